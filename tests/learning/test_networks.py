"""The registry: a network is one file, and a wrong name or size is said before anything is built."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from radlens.base.errors import UsageError
from radlens.learning import networks
from radlens.learning.networks import build_network, check_network, count_parameters, registry

NEW_NETWORK = """
from torch import nn

from radlens.learning.networks.network import Network

NETWORKS = (
    Network(
        name="dense_only",
        summary="A linear model.",
        smallest=4,
        build=lambda shape, outputs: nn.Sequential(nn.Flatten(), nn.Linear(shape[0] * shape[1] * shape[2], outputs)),
    ),
)
"""


@pytest.fixture
def fresh_registry() -> Iterator[None]:
    registry.cache_clear()
    yield
    registry.cache_clear()


def test_the_registry_names_each_network_by_its_own_name() -> None:
    assert {"baseline_cnn", "small_resnet"} <= set(registry())
    for name, network in registry().items():
        assert network.name == name
        assert network.summary
        assert network.smallest > 0


@pytest.mark.usefixtures("fresh_registry")
def test_adding_a_network_touches_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = set(registry())
    registry.cache_clear()
    (tmp_path / "dense_only.py").write_text(NEW_NETWORK, encoding="utf-8")
    (tmp_path / "no_network.py").write_text("OTHER = 'not one'\n", encoding="utf-8")
    monkeypatch.setattr(networks, "__path__", [*networks.__path__, str(tmp_path)])
    assert set(registry()) == before | {"dense_only"}
    module = build_network("dense_only", (1, 6, 5), 3)
    assert module(torch.zeros(2, 1, 6, 5)).shape == (2, 3)


@pytest.mark.parametrize("name", sorted(registry()))
@pytest.mark.parametrize(("channels", "outputs"), [(1, 1), (3, 4)])
def test_every_network_takes_its_smallest_image_and_gives_its_outputs(name: str, channels: int, outputs: int) -> None:
    size = registry()[name].smallest
    shape = (channels, size, size)
    module = build_network(name, shape, outputs)
    assert module.eval()(torch.zeros(2, *shape)).shape == (2, outputs)
    # The last batch of an epoch may hold a single image.
    assert module.train()(torch.zeros(1, *shape)).shape == (1, outputs)


@pytest.mark.parametrize("name", sorted(registry()))
def test_images_one_pixel_too_small_are_refused(name: str) -> None:
    size = registry()[name].smallest
    for shape in ((1, size - 1, size), (1, size, size - 1)):
        with pytest.raises(UsageError, match=f"needs images of at least {size} x {size} pixels, got {shape[1]} x"):
            check_network(name, shape)
        with pytest.raises(UsageError):
            build_network(name, shape, 1)


def test_an_unknown_network_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="Unknown network 'small_resnt'. Did you mean 'small_resnet'"):
        build_network("small_resnt", (1, 64, 64), 1)


@pytest.mark.parametrize("name", sorted(registry()))
def test_fresh_weights_follow_from_torchs_random_state(name: str) -> None:
    def weights(seed: int) -> dict[str, torch.Tensor]:
        torch.manual_seed(seed)
        return build_network(name, (1, 64, 64), 1).state_dict()

    first, again, other = weights(1), weights(1), weights(2)
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert any(not torch.equal(first[key], other[key]) for key in first)


@pytest.mark.parametrize("name", sorted(registry()))
def test_every_weight_has_a_gradient(name: str) -> None:
    module = build_network(name, (1, 64, 64), 2)
    # Layers that start at zero hide what is before them, so all weights are moved off it.
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.02 * torch.rand_like(parameter))
    module(torch.rand(4, 1, 64, 64)).square().sum().backward()
    without = [key for key, value in module.named_parameters() if value.grad is None or not value.grad.any()]
    assert without == []


def test_parameters_are_counted_as_keras_counts_them() -> None:
    # Weights 3 * 2 * 9 and biases 2; scale, shift, running mean and running variance of each of 2 channels.
    assert count_parameters(nn.Sequential(nn.Conv2d(3, 2, 3), nn.BatchNorm2d(2))) == 54 + 2 + 4 * 2
