"""The maps add up to the logits where they are exact, follow the formula elsewhere, and point at what counts."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from radlens.imaging.preprocess import Preprocessing
from radlens.learning.networks import build_network
from radlens.learning.saliency import activation_maps, find_layers, shared_out
from radlens.learning.trained_model import TrainedModel


def network(name: str, shape: tuple[int, int, int], outputs: int) -> nn.Module:
    torch.manual_seed(0)
    module = build_network(name, shape, outputs)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return module.eval()


@pytest.mark.parametrize(("name", "size"), [("small_resnet", 64), ("small_resnet_28", 28), ("efficientnet_lite0", 96)])
@pytest.mark.parametrize("outputs", [1, 3])
def test_the_mean_of_an_exact_map_is_the_logit(name: str, size: int, outputs: int) -> None:
    module = network(name, (1, size, size), outputs)
    images = torch.rand((4, 1, size, size)) * 2 - 1
    maps = activation_maps(module, images)
    assert maps.shape[:2] == (4, outputs)
    assert maps.shape[2] * maps.shape[3] > 1
    torch.testing.assert_close(maps.mean(dim=(2, 3)), module(images), rtol=1e-4, atol=1e-4)


class Detector(nn.Module):
    """Sees bright spots: two channels, bright and dark, pooled by their mean."""

    def __init__(self) -> None:
        super().__init__()
        self.look = nn.Conv2d(1, 2, 8, stride=8)
        self.act = nn.ReLU()
        self.head = nn.Linear(2, 2)
        assert self.look.bias is not None
        with torch.no_grad():
            self.look.weight[0], self.look.weight[1] = 1 / 64, -1 / 64
            self.look.bias.zero_()
            self.head.weight.copy_(torch.tensor([[2.0, -1.0], [-2.0, 1.0]]))
            self.head.bias.copy_(torch.tensor([0.5, -0.5]))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """From (batch, 1, height, width) to (batch, 2)."""
        return torch.as_tensor(self.head(self.act(self.look(images)).mean(dim=(2, 3))))


def test_a_planted_spot_is_found_and_speaks_for_one_class_and_against_the_other() -> None:
    images = torch.full((3, 1, 32, 40), 0.1)
    places = [(0, 0), (2, 3), (3, 4)]
    for image, (row, column) in zip(images, places, strict=True):
        image[0, 8 * row : 8 * row + 8, 8 * column : 8 * column + 8] = 1.0
    maps = activation_maps(Detector(), images)
    for found, place in zip(maps, places, strict=True):
        assert divmod(int(found[0].argmax()), 5) == place
        assert divmod(int(found[1].argmin()), 5) == place
        assert found[0][place] == pytest.approx(2.5)
        assert found[1][place] == pytest.approx(-2.5)


class Elsewhere(Detector):
    """Sees the same at each place, and moves it to the right on the way to coarser features, as deep networks do."""

    def __init__(self) -> None:
        super().__init__()
        self.move = nn.Conv2d(2, 2, (2, 4), stride=2, padding=(0, 2), groups=2, bias=False)
        with torch.no_grad():
            self.move.weight.zero_()
            self.move.weight[..., :2] = 1.0

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """From (batch, 1, height, width) to (batch, 2)."""
        return torch.as_tensor(self.head(self.move(self.act(self.look(images))).mean(dim=(2, 3))))


def test_evidence_is_shown_where_it_came_from_not_where_it_was_moved_to() -> None:
    images = torch.full((2, 1, 32, 48), 0.1)
    places = [(0, 1), (3, 2)]
    for image, (row, column) in zip(images, places, strict=True):
        image[0, 8 * row : 8 * row + 8, 8 * column : 8 * column + 8] = 1.0
    module = Elsewhere().eval()
    layers = find_layers(module, (1, 32, 48))
    assert tuple(layers) == (module.head, module.move, module.act)
    maps = activation_maps(module, images)
    assert maps.shape == (2, 2, 4, 6)
    torch.testing.assert_close(maps.mean(dim=(2, 3)), module(images))
    for found, place in zip(maps, places, strict=True):
        assert divmod(int(found[0].argmax()), 6) == place
        assert divmod(int(found[1].argmin()), 6) == place
    # Told by the last features alone, the spot would lie further to the right.
    coarse = activation_maps(module, images, layers._replace(finer=None))
    wanted = [(row // 2, column // 2 + 1) for row, column in places]
    assert [divmod(int(found[0].argmax()), coarse.shape[-1]) for found in coarse] == wanted


def test_products_are_what_places_add_and_the_rest_is_shared_out() -> None:
    products = torch.tensor([[[[1.0, -2.0], [0.0, 5.0]]]])
    maps = shared_out(products, torch.tensor([[6.0]]))
    assert maps.tolist() == [[[[6.0, -6.0], [2.0, 22.0]]]]


class Flat(nn.Module):
    """No pooling: each place has weights of its own, as in the baseline network."""

    def __init__(self) -> None:
        super().__init__()
        self.look = nn.Conv2d(1, 3, 4, stride=4)
        self.head = nn.Linear(3 * 12, 2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """From (batch, 1, 12, 16) to (batch, 2)."""
        return torch.as_tensor(self.head(torch.tanh(self.look(images)).flatten(1)))


def test_other_networks_have_grad_cam_by_its_formula() -> None:
    torch.manual_seed(1)
    module = Flat().eval()
    images = torch.rand((5, 1, 12, 16))
    assert find_layers(module, (1, 12, 16)).features is None
    found = activation_maps(module, images)
    before = module.look(images)
    features = torch.tanh(before)
    weights = module.head.weight.view(2, 3, 12)
    # The last map that a module gives is the convolution's, before tanh, whose slope is 1 - tanh^2.
    slopes = (1 - features.flatten(2) ** 2)[:, None] * weights[None]
    expected = (slopes.mean(dim=3)[..., None, None] * before[:, None]).sum(dim=2)
    torch.testing.assert_close(found, expected.detach(), rtol=1e-4, atol=1e-5)
    assert all(parameter.grad is None for parameter in module.parameters())


def test_the_baseline_network_has_a_map() -> None:
    module = network("baseline_cnn", (1, 150, 150), 1)
    maps = activation_maps(module, torch.rand((2, 1, 150, 150)))
    assert maps.shape[:2] == (2, 1)
    assert float(maps.abs().sum()) > 0


def test_a_network_without_places_is_said() -> None:
    with pytest.raises(ValueError, match="no feature maps"):
        activation_maps(nn.Sequential(nn.Flatten(), nn.Linear(64, 1)), torch.rand((2, 1, 8, 8)))


@pytest.mark.parametrize("flip_tta", [False, True])
def test_a_model_that_looks_at_the_mirror_image_has_a_map_that_turns_with_the_image(flip_tta: bool) -> None:
    contract = Preprocessing(height=64, width=64, low=-1.0, high=1.0)
    tensors = {name: value.numpy() for name, value in network("small_resnet", contract.shape, 1).state_dict().items()}
    model = TrainedModel("binary", ("a", "b"), "small_resnet", contract, 0.5, tensors, flip_tta=flip_tta)
    pixels = np.random.default_rng(0).integers(0, 256, (5, 1, 64, 64), dtype=np.uint8)
    rows = np.arange(5)
    straight, turned = model.maps(pixels, rows, batch_size=2), model.maps(pixels[..., ::-1].copy(), rows)
    assert np.allclose(straight, turned[..., ::-1], atol=1e-4) == flip_tta
    positive = model.probabilities(pixels)[:, 1]
    np.testing.assert_allclose(1 / (1 + np.exp(-straight.mean(axis=(1, 2, 3)))), positive, atol=1e-4)
