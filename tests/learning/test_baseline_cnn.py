"""The notebook's network: its parameter count, each layer's output, and its arithmetic against NumPy and SciPy."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch
from numpy.lib.stride_tricks import sliding_window_view
from scipy.signal import correlate
from torch import Tensor, nn

from radlens.base.errors import UsageError
from radlens.learning.classifier import to_probabilities
from radlens.learning.networks import build_network, count_parameters
from radlens.learning.networks.baseline_cnn import build_baseline_cnn

Array = npt.NDArray[np.float64]


def build(shape: tuple[int, int, int] = (1, 150, 150), outputs: int = 1) -> nn.Sequential:
    torch.manual_seed(0)
    return build_baseline_cnn(shape, outputs)


def layers_of(network: nn.Module) -> list[nn.Module]:
    """The layers in their order, the blocks taken apart."""
    return [layer for layer in network.modules() if not isinstance(layer, nn.Sequential)]


def test_it_has_exactly_the_notebooks_number_of_parameters() -> None:
    network = build()
    assert count_parameters(network) == 1_995_649
    assert count_parameters(build_network("baseline_cnn", (1, 150, 150), 1)) == 1_995_649
    kinds = {
        kind: sum(count_parameters(layer) for layer in layers_of(network) if isinstance(layer, kind))
        for kind in (nn.Conv2d, nn.BatchNorm2d)
    }
    assert kinds == {nn.Conv2d: 387_840, nn.BatchNorm2d: 1_920}
    dense = [count_parameters(layer) for layer in layers_of(network) if isinstance(layer, nn.Linear)]
    assert dense == [1_605_760, 129]


def test_every_layer_gives_the_shape_it_should() -> None:
    conv, relu, norm, pool = nn.Conv2d, nn.ReLU, nn.BatchNorm2d, nn.MaxPool2d
    wanted: list[tuple[type[nn.Module], tuple[int, ...]]] = []
    for filters, size in ((32, 148), (64, 72), (128, 34), (256, 15)):
        full, half = (2, filters, size, size), (2, filters, size // 2, size // 2)
        wanted += [(conv, full), (relu, full), (norm, full), (pool, half)]
    wanted += [(nn.Flatten, (2, 12_544)), (nn.Linear, (2, 128)), (relu, (2, 128)), (nn.Linear, (2, 1))]
    network = build()
    images: Tensor = torch.rand(2, 1, 150, 150)
    found = []
    for layer in layers_of(network):
        images = layer(images)
        found.append((type(layer), tuple(images.shape)))
    assert found == wanted


def numbers(values: Tensor | None) -> Array:
    assert values is not None
    return np.asarray(values.detach().double().numpy())


def convolved(images: Array, layer: nn.Conv2d) -> Array:
    """Cross-correlation without padding, as SciPy does it: images (batch, channels, height, width)."""
    kernels = list(zip(numbers(layer.weight), numbers(layer.bias), strict=True))
    return np.array(
        [[correlate(image, kernel, mode="valid")[0] + shift for kernel, shift in kernels] for image in images]
    )


def normalised(images: Array, layer: nn.BatchNorm2d) -> Array:
    """With the running statistics and the epsilon of Keras."""
    shift, scale = numbers(layer.running_mean), np.sqrt(numbers(layer.running_var) + 1e-3)
    column = (slice(None), None, None)
    return (images - shift[column]) / scale[column] * numbers(layer.weight)[column] + numbers(layer.bias)[column]


def pooled(images: Array) -> Array:
    """The largest of each 2 x 2, odd rows and columns at the end left out."""
    return np.asarray(sliding_window_view(images, (2, 2), axis=(2, 3))[:, :, ::2, ::2].max(axis=(4, 5)))


def dense(values: Array, layer: nn.Linear) -> Array:
    return values @ numbers(layer.weight).T + numbers(layer.bias)


def reference(images: Array, network: nn.Sequential) -> Array:
    """The notebook's forward pass, up to the sigmoid, in NumPy and SciPy with 64 bits."""
    layers = iter(layers_of(network))
    for _ in range(4):
        conv, _, norm, _ = (next(layers) for _ in range(4))
        assert isinstance(conv, nn.Conv2d)
        assert isinstance(norm, nn.BatchNorm2d)
        images = pooled(normalised(np.maximum(convolved(images, conv), 0), norm))
    next(layers)
    hidden, _, head = layers
    values = images.reshape(len(images), -1)
    assert isinstance(hidden, nn.Linear)
    assert isinstance(head, nn.Linear)
    logits = dense(np.maximum(dense(values, hidden), 0), head)
    return np.asarray(1 / (1 + np.exp(-logits)))


def in_use(network: nn.Sequential) -> nn.Sequential:
    """Weights as after some training: batch norm and biases off their initial values."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for layer in layers_of(network):
            if isinstance(layer, nn.BatchNorm2d):
                assert layer.running_mean is not None
                assert layer.running_var is not None
                layer.running_mean.normal_(0.1, 0.2, generator=generator)
                layer.running_var.uniform_(0.3, 2, generator=generator)
                layer.weight.uniform_(0.5, 1.5, generator=generator)
                layer.bias.normal_(0, 0.3, generator=generator)
            elif isinstance(layer, nn.Conv2d | nn.Linear):
                assert layer.bias is not None
                layer.bias.normal_(0, 0.1, generator=generator)
    return network.eval()


@pytest.mark.parametrize(("shape", "outputs"), [((1, 150, 150), 1), ((3, 62, 50), 3)])
def test_the_forward_pass_is_that_of_an_independent_reference(shape: tuple[int, int, int], outputs: int) -> None:
    network = in_use(build(shape, outputs))
    images = np.random.default_rng(0).random((2 if shape[0] == 3 else 1, *shape))
    images[1:] *= np.linspace(0.2, 1, shape[2])
    with torch.inference_mode():
        logits = network(torch.from_numpy(images).float())
        found = torch.sigmoid(logits).numpy()
    wanted = reference(images, network)
    assert 0.02 < wanted.min() <= wanted.max() < 0.98, "saturated answers would hide a difference"
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    assert np.ptp(wanted, axis=0).min() > 1e-3 or len(images) == 1, "the images make no difference"
    if outputs == 1:
        np.testing.assert_allclose(to_probabilities(logits, "binary")[:, 1], wanted[:, 0], atol=1e-5)


def test_it_starts_as_keras_starts_it() -> None:
    network = build()
    for layer in network:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            assert layer.bias is not None
            assert not layer.bias.any()
            inputs, outputs = layer.weight[0].numel(), len(layer.weight) * layer.weight[0, 0].numel()
            limit = (6 / (inputs + outputs)) ** 0.5
            assert float(layer.weight.detach().abs().max()) <= limit
            assert float(layer.weight.detach().std()) == pytest.approx(limit / 3**0.5, rel=0.15)
        if isinstance(layer, nn.BatchNorm2d):
            assert (layer.eps, layer.momentum) == (1e-3, 0.01)


def test_images_too_small_for_four_blocks_are_refused() -> None:
    assert build((1, 46, 46)).eval()(torch.zeros(1, 1, 46, 46)).shape == (1, 1)
    with pytest.raises(UsageError, match="at least 46 x 46"):
        build_network("baseline_cnn", (1, 45, 46), 1)
