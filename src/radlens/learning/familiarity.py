"""How unlike the training images an image is, told by a network that knows nothing of their classes.

A network that was trained to tell two classes apart forgets what else there is to see: it finds the chest of an adult
as familiar as that of a child. The early layers of a network that was trained on photographs still see the difference
(benchmarks/familiarity.py), and cost little.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.covariance import LedoitWolf
from torch import Tensor, nn

from radlens.errors import DataError
from radlens.learning.networks.efficientnet_lite import SCALES, STAGES, EfficientNetLite, load_imagenet
from radlens.progress import track

# Side in pixels of what the layers see, and how many stages of EfficientNet-Lite0 they are.
SIDE, DEPTH = 128, 5
FEATURES = 2 * STAGES[DEPTH - 1].width
# More training images than this make the statistics no better.
MOST_IMAGES = 4000


class Familiarity(nn.Module):
    """The distance of an image from the training images.

    The mean and the standard deviation over the image of each channel of the early layers of EfficientNet-Lite0, with
    its weights from ImageNet, and their Mahalanobis distance from the training images' (Lee et al. 2018,
    arXiv:1807.03888), with a covariance shrunk after Ledoit and Wolf 2004, doi:10.1016/S0047-259X(03)00096-4.

    Args:
        shape: channels (1 or 3), height and width of the images.
        centre: mean features of the training images, shape (224,).
        whitening: shape (224, 224); the distance is the length of (features - centre) @ whitening.

    Raises:
        RadlensError: the ImageNet weights are not installed.
        DataError: the statistics have another shape, or are no numbers.
    """

    rows: Tensor
    columns: Tensor
    centre: Tensor
    whitening: Tensor

    def __init__(
        self, shape: tuple[int, int, int], centre: npt.NDArray[np.floating], whitening: npt.NDArray[np.floating]
    ) -> None:
        super().__init__()
        if centre.shape != (FEATURES,) or whitening.shape != (FEATURES, FEATURES):
            raise DataError(
                f"The statistics of familiar images have the shapes {centre.shape} and {whitening.shape}; "
                f"({FEATURES},) and ({FEATURES}, {FEATURES}) were expected. The model folder is damaged."
            )
        if not (np.isfinite(centre).all() and np.isfinite(whitening).all()):
            raise DataError("The statistics of familiar images hold what is no number. The model folder is damaged.")
        self.layers = _early_layers(shape[0])
        self.register_buffer("rows", _resizing(shape[1]), persistent=False)
        self.register_buffer("columns", _resizing(shape[2]).T.contiguous(), persistent=False)
        self.register_buffer("centre", torch.from_numpy(np.asarray(centre, np.float32)))
        self.register_buffer("whitening", torch.from_numpy(np.asarray(whitening, np.float32)))
        self.eval().requires_grad_(False)

    @classmethod
    def fit(
        cls, shape: tuple[int, int, int], pixels: npt.NDArray[np.uint8], rows: npt.NDArray[np.int64], seed: int
    ) -> Familiarity:
        """Take the statistics of training images.

        Args:
            shape: channels, height and width of the images.
            pixels: uint8, shape (any, channels, height, width); may be memory-mapped.
            rows: which of them are training images; of more than 4,000, that many are drawn.
            seed: what the draw follows from.
        """
        untouched = cls(shape, np.zeros(FEATURES), np.eye(FEATURES))
        if len(rows) > MOST_IMAGES:
            rows = np.sort(np.random.default_rng((seed, 23)).choice(rows, MOST_IMAGES, replace=False))
        features = untouched.features_of(pixels, rows).astype(np.float64)
        centre = features.mean(axis=0)
        found = LedoitWolf(assume_centered=True).fit(features - centre)
        # A constant feature has no spread to divide by; a hair of the mean variance stands for it.
        covariance = found.covariance_ + 1e-9 * max(np.trace(found.covariance_), 1e-9) * np.eye(FEATURES)
        return cls(shape, centre, np.linalg.cholesky(np.linalg.inv(covariance)))

    def features(self, pixels: Tensor) -> Tensor:
        """From grey values 0 to 255, shape (batch, channels, height, width), to shape (batch, 224)."""
        small = torch.matmul(torch.matmul(self.rows, pixels.float()), self.columns)
        seen = self.layers((small / 127.5 - 1).contiguous(memory_format=torch.channels_last))
        mean = seen.mean(dim=(2, 3))
        spread = (seen - mean[:, :, None, None]).square().mean(dim=(2, 3)).sqrt()
        return torch.cat([mean, spread], dim=1)

    def forward(self, pixels: Tensor) -> Tensor:
        """From grey values 0 to 255, shape (batch, channels, height, width), to distances, shape (batch,)."""
        return torch.matmul(self.features(pixels) - self.centre, self.whitening).square().sum(dim=1).sqrt()

    @torch.inference_mode()
    def features_of(
        self, pixels: npt.NDArray[np.uint8], rows: npt.NDArray[np.int64], batch_size: int = 32
    ) -> npt.NDArray[np.float32]:
        """The features of some of the images, shape (rows, 224)."""
        starts = range(0, len(rows), batch_size)
        parts = [
            self.features(torch.from_numpy(pixels[rows[start : start + batch_size]])).numpy()
            for start in track(starts, "Learning what is familiar (batches)", len(starts))
        ]
        return np.concatenate(parts)

    def statistics(self) -> dict[str, npt.NDArray[Any]]:
        """What :meth:`__init__` needs beside the shape, by name."""
        return {"centre": self.centre.cpu().numpy(), "whitening": self.whitening.cpu().numpy()}

    @classmethod
    def from_statistics(cls, shape: tuple[int, int, int], values: Mapping[str, npt.NDArray[Any]]) -> Familiarity:
        """Build from what :meth:`statistics` gave."""
        if set(values) != {"centre", "whitening"}:
            raise DataError(f"Of the statistics of familiar images there are only: {', '.join(values) or 'none'}.")
        return cls(shape, values["centre"], values["whitening"])


def _early_layers(channels: int) -> nn.Sequential:
    """The first stages of EfficientNet-Lite0, with ImageNet's weights."""
    network = EfficientNetLite(channels, 1, SCALES[0])
    load_imagenet(network, 0)
    blocks = sum(stage.repeats for stage in STAGES[:DEPTH])
    layers = nn.Sequential(network.stem, *list(network.blocks)[:blocks])
    # As half precision holds them, so that a graph that stores them so gives the same distances.
    for layer in layers.modules():
        if isinstance(layer, nn.Conv2d):
            layer.weight.data = layer.weight.data.half().float()
    return layers.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def _resizing(size: int) -> Tensor:
    """The matrix that resizes a column of ``size`` pixels to ``SIDE`` of them, by a triangle filter as wide as a pixel
    of the coarser grid, as Pillow's bilinear does; shape (SIDE, size), rows that add up to 1.
    """
    scale = size / SIDE
    centres = (np.arange(SIDE) + 0.5) * scale
    distance = np.abs(np.arange(size)[None, :] + 0.5 - centres[:, None]) / max(scale, 1.0)
    weights = np.maximum(1 - distance, 0)
    return torch.from_numpy((weights / weights.sum(axis=1, keepdims=True)).astype(np.float32))
