"""A small residual network for training from scratch on a CPU: 0.7 M parameters, for images large and tiny."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional

from radlens.learning.networks.network import Network

WIDTHS = (24, 48, 96, 192)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with batch norm next to a shortcut, at half the resolution.

    The shortcut averages before its 1x1 convolution, so that no pixel is dropped (He et al. 2019,
    doi:10.1109/CVPR.2019.00065); the second batch norm starts at zero, so that the block starts as its shortcut.
    """

    def __init__(self, channels: int, filters: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, filters, 3, stride=2, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(filters)
        self.conv2 = nn.Conv2d(filters, filters, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(filters)
        self.shortcut = nn.Conv2d(channels, filters, 1, bias=False)
        self.shortcut_norm = nn.BatchNorm2d(filters)
        nn.init.zeros_(self.norm2.weight)

    def forward(self, images: Tensor) -> Tensor:
        """From (batch, channels, height, width) to (batch, filters, ceil(height / 2), ceil(width / 2))."""
        inner = functional.relu(self.norm1(self.conv1(images)), inplace=True)
        inner = self.norm2(self.conv2(inner))
        outer = functional.avg_pool2d(images, 2, ceil_mode=True, count_include_pad=False)
        outer = self.shortcut_norm(self.shortcut(outer))
        return functional.relu(inner + outer, inplace=True)


class SmallResNet(nn.Module):
    """A stem, three residual blocks, global average pooling and a linear head (He et al. 2016,
    doi:10.1109/CVPR.2016.90).

    Args:
        channels: of the images.
        outputs: number of logits.
        stride: of the stem; 2 for speed, 1 for images so small that every pixel counts.
    """

    def __init__(self, channels: int, outputs: int, stride: int = 2) -> None:
        super().__init__()
        self.stem = nn.Conv2d(channels, WIDTHS[0], 3, stride=stride, padding=1, bias=False)
        self.stem_norm = nn.BatchNorm2d(WIDTHS[0])
        self.blocks = nn.Sequential(*(ResidualBlock(a, b) for a, b in itertools.pairwise(WIDTHS)))
        self.head = nn.Linear(WIDTHS[-1], outputs)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        """From (batch, channels, height, width) to logits, shape (batch, outputs)."""
        features = functional.relu(self.stem_norm(self.stem(images)), inplace=True)
        features = self.blocks(features)
        return torch.as_tensor(self.head(features.mean(dim=(2, 3))))


NETWORKS = (
    Network(
        name="small_resnet",
        summary="A small residual network with global average pooling; 0.7 M parameters, fast on a CPU.",
        # At 16 the last features are one pixel, of which batch norm has no statistics when a batch is one image.
        smallest=17,
        build=lambda input_shape, outputs: SmallResNet(input_shape[0], outputs),
    ),
    Network(
        name="small_resnet_28",
        summary="The same with a stem that keeps every pixel, for images of about 28 x 28; 0.7 M parameters.",
        smallest=9,
        build=lambda input_shape, outputs: SmallResNet(input_shape[0], outputs, stride=1),
    ),
)
