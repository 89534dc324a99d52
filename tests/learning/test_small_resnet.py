"""The small residual network: shapes, size, and blocks that start as their shortcut."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from radlens.learning.networks import count_parameters
from radlens.learning.networks.small_resnet import NETWORKS, WIDTHS, ResidualBlock, SmallResNet


@pytest.mark.parametrize("size", [(17, 17), (18, 31), (28, 28), (128, 96)])
def test_any_image_from_17_pixels_gives_one_row_of_logits(size: tuple[int, int]) -> None:
    network = SmallResNet(1, 5).eval()
    assert network(torch.rand(3, 1, *size)).shape == (3, 5)


def test_the_stem_for_tiny_images_keeps_every_pixel() -> None:
    fine, coarse = SmallResNet(1, 1, stride=1), SmallResNet(1, 1)
    image = torch.rand(1, 1, 28, 28)
    assert fine.blocks(fine.stem(image)).shape == (1, WIDTHS[-1], 4, 4)
    assert coarse.blocks(coarse.stem(image)).shape == (1, WIDTHS[-1], 2, 2)
    assert count_parameters(fine) == count_parameters(coarse)


@pytest.mark.parametrize("size", [(9, 12), (8, 8), (7, 2)])
def test_a_block_halves_and_rounds_up(size: tuple[int, int]) -> None:
    found = ResidualBlock(4, 6)(torch.rand(2, 4, *size))
    assert found.shape == (2, 6, -(-size[0] // 2), -(-size[1] // 2))


def test_a_block_starts_as_its_shortcut() -> None:
    torch.manual_seed(0)
    block = ResidualBlock(4, 6).eval()
    images = torch.randn(2, 4, 8, 10)
    averaged = functional.avg_pool2d(images, 2)
    wanted = torch.einsum("oc,bchw->bohw", block.shortcut.weight[:, :, 0, 0], averaged)
    wanted = functional.relu(wanted / (1 + block.shortcut_norm.eps) ** 0.5)
    torch.testing.assert_close(block(images), wanted, atol=1e-6, rtol=1e-5)
    torch.nn.init.ones_(block.norm2.weight)
    assert not torch.allclose(block(images), wanted, atol=1e-2), "the inner path has no effect at all"


def test_its_size_is_what_its_summary_says() -> None:
    assert 0.65e6 < count_parameters(SmallResNet(1, 1)) < 0.75e6
    assert "0.7 M" in NETWORKS[0].summary
    assert SmallResNet(1, 7).head.weight.shape == (7, WIDTHS[-1])


def test_the_place_of_a_finding_does_not_matter_far_from_the_border() -> None:
    # Global average pooling: a pattern moved by the network's whole stride gives the same logits.
    torch.manual_seed(0)
    network = SmallResNet(1, 2).eval()
    image = torch.zeros(1, 1, 160, 160)
    image[:, :, 64:80, 64:80] = torch.randn(16, 16)
    moved = torch.roll(image, (16, -16), dims=(2, 3))
    torch.testing.assert_close(network(image), network(moved), atol=1e-5, rtol=1e-4)
    assert not torch.allclose(network(image), network(torch.zeros_like(image)), atol=1e-5)
