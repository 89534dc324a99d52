"""The gradient by forward operations is that of automatic differentiation, or there is none."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from radlens.learning.networks import build_network
from radlens.learning.reverse_pass import NoReverseError, ReversePass
from radlens.learning.saliency import find_layers

Rest = Callable[[Tensor], Tensor]


def both(rest: Rest, features: Tensor, output: int = 0) -> tuple[Tensor, Tensor]:
    """The gradient of a logit by the features, in both ways; ``rest`` makes logits of the features."""
    with torch.no_grad(), ReversePass() as kept:
        seen = features * 1
        logits = rest(seen)
        found = kept.gradient(logits, output, seen)
    leaf = features.clone().requires_grad_()
    (wanted,) = torch.autograd.grad(rest(leaf * 1)[:, output].sum(), leaf)
    return found, wanted


def agrees(rest: Rest, features: Tensor, output: int = 0) -> None:
    found, wanted = both(rest, features, output)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-6)
    assert float(wanted.abs().max()) > 0


def some(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(len(shape) + sum(shape)))


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("efficientnet_lite0", 64),
        ("efficientnet_lite0", 75),
        ("efficientnet_lite1", 64),
        ("small_resnet", 64),
        ("small_resnet", 67),
        ("small_resnet_28", 28),
        ("monai:resnet10", 64),
        ("monai:densenet121", 64),
    ],
)
def test_own_networks_and_those_of_others_have_a_way_back(name: str, size: int) -> None:
    torch.manual_seed(0)
    network = build_network(name, (1, size, size), 2)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    network.eval()
    layer = find_layers(network, (1, size, size)).finer
    assert layer is not None
    images, seen = torch.rand((3, 1, size, size)) * 2 - 1, []
    hook = layer.register_forward_hook(lambda _, __, made: seen.append(made))
    with torch.no_grad(), ReversePass() as kept:
        logits = network(images)
    hook.remove()
    leaf = seen[0].clone().requires_grad_()
    layer.register_forward_hook(lambda *_: leaf.clone())
    again = network(images)
    torch.testing.assert_close(again, logits, rtol=1e-4, atol=1e-5)
    for output in (0, 1):
        (wanted,) = torch.autograd.grad(again[:, output].sum(), leaf, retain_graph=True)
        found = kept.gradient(logits, output, seen[0])
        assert float((found - wanted).norm()) <= 1e-3 * float(wanted.norm())


@settings(max_examples=60, deadline=None)
@given(
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    padding=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    dilation=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 3)),
    groups=st.sampled_from([1, 2, 4]),
    size=st.tuples(st.integers(8, 12), st.integers(8, 12)),
)
def test_convolutions(
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
    kernel: tuple[int, int],
    groups: int,
    size: tuple[int, int],
) -> None:
    weight, head = some(8, 4 // groups, *kernel), some(2, 8)

    def rest(features: Tensor) -> Tensor:
        made = functional.conv2d(features, weight, None, stride, padding, dilation, groups)
        return functional.linear(made.mean(dim=(2, 3)), head)

    agrees(rest, some(2, 4, *size), output=1)


@settings(max_examples=30, deadline=None)
@given(kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)), size=st.tuples(st.integers(3, 8), st.integers(3, 8)))
@pytest.mark.parametrize("partly", [False, True])
def test_pooling_by_the_mean(kernel: tuple[int, int], size: tuple[int, int], partly: bool) -> None:
    features = some(2, 3, *size)
    pool = nn.AvgPool2d(kernel, ceil_mode=partly, count_include_pad=False)
    weight = some(2, pool(features)[0].numel())
    agrees(lambda given: functional.linear(pool(given).flatten(1), weight), features)


NORM = nn.BatchNorm2d(3).eval()
ELSEWHERE = torch.ones(2, 3)


@pytest.mark.parametrize(
    "middle",
    [
        pytest.param(functional.relu, id="relu"),
        pytest.param(lambda x: functional.relu(x, inplace=True), id="relu in place"),
        pytest.param(torch.relu, id="torch.relu"),
        pytest.param(lambda x: x.relu(), id="Tensor.relu"),
        pytest.param(functional.relu6, id="relu6"),
        pytest.param(lambda x: functional.hardtanh(x, -0.5, 0.7), id="hardtanh"),
        pytest.param(lambda x: x.clamp(0, 1), id="clamp"),
        pytest.param(lambda x: torch.clamp(x, max=0.3), id="clamp above"),
        pytest.param(lambda x: functional.pad(x, [1, 2, 0, 3]), id="pad"),
        pytest.param(lambda x: torch.cat([x, functional.relu(x)], dim=1), id="cat"),
        pytest.param(lambda x: x + functional.relu(x), id="shortcut"),
        pytest.param(lambda x: functional.dropout(x, 0.5, training=False), id="dropout at rest"),
        pytest.param(NORM, id="batch norm"),
        pytest.param(
            lambda x: functional.batch_norm(x, torch.ones(3), torch.full((3,), 4.0)), id="norm without weights"
        ),
    ],
)
def test_each_operation(middle: Rest) -> None:
    with torch.no_grad():
        NORM.running_mean, NORM.running_var = some(3), some(3).exp()
        NORM.weight.copy_(some(3))
    agrees(lambda features: middle(features).mean(dim=(2, 3)), some(2, 3, 5, 6))


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(lambda x: functional.adaptive_avg_pool2d(x, 1).flatten(1), id="adaptive pooling"),
        pytest.param(lambda x: torch.flatten(functional.adaptive_avg_pool2d(x, (1, 1)), 1), id="torch.flatten"),
        pytest.param(lambda x: torch.mean(x, dim=[2, 3]), id="torch.mean"),
        pytest.param(lambda x: x.mean((-2, -1), keepdim=True).view(-1, 3), id="kept sides"),
    ],
)
def test_each_way_to_the_mean(end: Rest) -> None:
    agrees(end, some(2, 3, 4, 5), output=2)


def test_what_is_added_in_place_is_added() -> None:
    features = some(2, 3, 4, 5)
    with torch.no_grad(), ReversePass() as kept:
        seen = features * 1
        made = functional.relu(seen)
        made += seen
        logits = functional.relu(made).mean(dim=(2, 3))
        found = kept.gradient(logits, 1, seen)
    _, wanted = both(lambda given: functional.relu(functional.relu(given) + given).mean(dim=(2, 3)), features, 1)
    torch.testing.assert_close(found, wanted)
    assert float(wanted.max()) > 0


@pytest.mark.parametrize(
    ("rest", "said"),
    [
        (lambda x: x.tanh().mean(dim=(2, 3)), "tanh has no rule"),
        (lambda x: x.relu_().mean(dim=(2, 3)), "has no rule"),
        (lambda x: torch.relu(input=x).mean(dim=(2, 3)), "relu has no rule"),
        (lambda x: x.mul_(2).mean(dim=(2, 3)), "has no rule"),
        (lambda x: x.mean(dim=1).flatten(1), "a mean over other sides"),
        (lambda x: x.mean(dim=(0, 2, 3))[None], "has no rule"),
        (lambda x: functional.conv2d(x, torch.ones(1, 3, 2, 2), padding="same").mean(dim=(2, 3)), "a word"),
        (lambda x: functional.pad(x, [1, 1, 1, 1], mode="reflect").mean(dim=(2, 3)), "zeros around"),
        (lambda x: functional.avg_pool2d(x, 3, 1).mean(dim=(2, 3)), "overlap"),
        (lambda x: torch.add(x, x, alpha=2).mean(dim=(2, 3)), "weighted sum"),
        (lambda x: (x + x[:1, :, :1, :1]).mean(dim=(2, 3)), "several shapes"),
        (lambda x: functional.adaptive_avg_pool2d(x, 2).mean(dim=(2, 3)), "more than one place"),
        (lambda x: functional.batch_norm(x, None, None, training=True).mean(dim=(2, 3)), "own statistics"),
        (lambda _: ELSEWHERE, "do not come from there"),
    ],
)
def test_what_has_no_rule_is_refused_and_not_guessed(rest: Rest, said: str) -> None:
    features = some(2, 3, 4, 5)
    with torch.no_grad(), ReversePass() as kept:
        seen = features * 1
        logits = rest(seen)
        with pytest.raises(NoReverseError, match=said):
            kept.gradient(logits, 0, seen)
