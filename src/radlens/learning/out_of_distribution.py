"""Out-of-distribution detection: how unlike the training images an image is, told by a network that was never told
their classes.

A network that was trained to tell two classes apart forgets what else there is to see: it finds the chest of an adult
as familiar as that of a child. The early layers of a network that was trained on photographs still see the difference
(benchmarks/out_of_distribution.py), and cost little.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from radlens.base.errors import DataError
from radlens.base.progress import track
from radlens.imaging.framing import reframe_each
from radlens.learning.corruptions import corrupt_each
from radlens.learning.networks.efficientnet_lite import SCALES, STAGES, EfficientNetLite, load_imagenet
from radlens.learning.nuisance import whitening_of
from radlens.learning.process_settings import kept_random_state

Floats = npt.NDArray[np.floating]
Pixels = npt.NDArray[np.uint8]

# The stages of EfficientNet-Lite0 whose channels are looked at, and the side in pixels of what the first one sees.
STAGES_SEEN, SIDE = (3, 4, 5), 160
FEATURES = 2 * sum(STAGES[number - 1].width for number in STAGES_SEEN)
# More directions make the model larger and let noise count for more; fewer tell less of the images.
DIRECTIONS = 288
# More training images than this make the distance little better and the model larger.
MOST_IMAGES = 2000
# Of the nearest training images it is the fifth that counts: one odd image in training makes nothing familiar.
NEIGHBOURS = 5
# The same in model folders without reference images, where the distance is that from the centre.
_OLD_STAGES, _OLD_SIDE = (5,), 128
_OLD_FEATURES = 2 * STAGES[4].width
# Images changed at once.
_CHUNK = 250


class OodDetector(nn.Module):
    """The distance of an image from the training images.

    The features are the mean and the standard deviation over the image of each channel after three early stages of
    EfficientNet-Lite0, with its weights from ImageNet. The distance is that to the fifth nearest training image (Sun et
    al. 2022, arXiv:2204.06507), in units of how far other framing and exposure move an image
    (:func:`radlens.learning.nuisance.whitening_of`), so that what only these change counts little.

    Without reference images, as in older model folders, it is the Mahalanobis distance of the fifth stage's features
    from their mean (Lee et al. 2018, arXiv:1807.03888).

    Args:
        shape: channels (1 or 3), height and width of the images.
        centre: mean features of the training images, shape (464,); without references (224,).
        whitening: shape (464, 288); without references (224, 224).
        references: (features - centre) @ whitening of training images, shape (images, 288); None: only the centre.

    Raises:
        RadlensError: the ImageNet weights are not installed.
        DataError: the statistics have another shape, or are not finite numbers.
    """

    rows: Tensor
    columns: Tensor
    centre: Tensor
    whitening: Tensor
    references: Tensor
    lengths: Tensor

    def __init__(
        self, shape: tuple[int, int, int], centre: Floats, whitening: Floats, references: Floats | None = None
    ) -> None:
        super().__init__()
        _check(centre, whitening, references)
        self.side, stages = (_OLD_SIDE, _OLD_STAGES) if references is None else (SIDE, STAGES_SEEN)
        self.neighbours = 0 if references is None else min(NEIGHBOURS, len(references))
        self.layers, self._ends = _early_layers(shape[0], stages)
        self.register_buffer("rows", _resizing(shape[1], self.side), persistent=False)
        self.register_buffer("columns", _resizing(shape[2], self.side).T.contiguous(), persistent=False)
        self.register_buffer("centre", torch.from_numpy(np.asarray(centre, np.float32)))
        self.register_buffer("whitening", torch.from_numpy(np.asarray(whitening, np.float32)))
        # Half precision is finer than the distances between neighbours, and halves what the folder grows by.
        kept = np.zeros((0, whitening.shape[1])) if references is None else references
        self.register_buffer("references", torch.from_numpy(np.asarray(kept, np.float16)))
        self.register_buffer("lengths", self.references.float().square().sum(dim=1), persistent=False)
        self.eval().requires_grad_(False)

    @classmethod
    def fit(cls, shape: tuple[int, int, int], pixels: Pixels, rows: npt.NDArray[np.int64], seed: int) -> OodDetector:
        """Take the statistics of training images, and of copies of them that are framed and exposed otherwise.

        Args:
            shape: channels, height and width of the images.
            pixels: uint8, shape (any, channels, height, width); may be memory-mapped.
            rows: which of them are training images; of more than 2,000, that many are drawn.
            seed: what the draw and the copies follow from.
        """
        untouched = cls(shape, np.zeros(FEATURES), np.zeros((FEATURES, DIRECTIONS)), np.zeros((1, DIRECTIONS)))
        if len(rows) > MOST_IMAGES:
            rows = np.sort(np.random.default_rng((seed, 23)).choice(rows, MOST_IMAGES, replace=False))
        features = untouched.features_of(pixels, rows).astype(np.float64)
        # Exposure weighs so little that a quarter of the images tells enough of it.
        few = slice(None, None, 4)
        framed = untouched._changed(pixels, rows, reframe_each, np.random.default_rng((seed, 24))) - features
        exposed = untouched._changed(pixels, rows[few], corrupt_each, np.random.default_rng((seed, 25))) - features[few]
        centre = features.mean(axis=0)
        whitening = whitening_of(framed, exposed, features - centre, DIRECTIONS)
        return cls(shape, centre, whitening, (features - centre) @ whitening)

    def features(self, pixels: Tensor) -> Tensor:
        """From grey values 0 to 255, shape (batch, channels, height, width), to shape (batch, 464), or (batch, 224)."""
        small = torch.matmul(torch.matmul(self.rows, pixels.float()), self.columns)
        seen = (small / 127.5 - 1).contiguous(memory_format=torch.channels_last)
        statistics = []
        for number, layer in enumerate(self.layers):
            seen = layer(seen)
            if number in self._ends:
                mean = seen.mean(dim=(2, 3))
                statistics += [mean, (seen - mean[:, :, None, None]).square().mean(dim=(2, 3)).sqrt()]
        return torch.cat(statistics, dim=1)

    def forward(self, pixels: Tensor) -> Tensor:
        """From grey values 0 to 255, shape (batch, channels, height, width), to distances, shape (batch,)."""
        place = torch.matmul(self.features(pixels) - self.centre, self.whitening)
        squares = place.square().sum(dim=1)
        if self.neighbours:
            products = torch.matmul(place, self.references.float().T)
            apart = squares[:, None] + self.lengths - 2 * products
            squares = torch.topk(apart, self.neighbours, dim=1, largest=False).values[:, -1].clamp(min=0)
        return squares.sqrt()

    @torch.inference_mode()
    def features_of(self, pixels: Pixels, rows: npt.NDArray[np.int64], batch_size: int = 32) -> npt.NDArray[np.float32]:
        """The features of some of the images, one row each."""
        starts = range(0, len(rows), batch_size)
        parts = [
            self.features(torch.from_numpy(pixels[rows[start : start + batch_size]])).numpy()
            for start in track(starts, "Learning what is familiar (batches)", len(starts))
        ]
        return np.concatenate(parts)

    def _changed(
        self,
        pixels: Pixels,
        rows: npt.NDArray[np.int64],
        change: Callable[[Pixels, np.random.Generator], Pixels],
        rng: np.random.Generator,
    ) -> npt.NDArray[np.float64]:
        """The features of changed copies of some of the images, shape (rows, 464)."""
        parts = []
        for start in range(0, len(rows), _CHUNK):
            copies = change(pixels[rows[start : start + _CHUNK]], rng)
            parts.append(self.features_of(copies, np.arange(len(copies))))
        return np.concatenate(parts).astype(np.float64)

    def statistics(self) -> dict[str, npt.NDArray[Any]]:
        """What :meth:`__init__` needs besides the shape, by name."""
        names = ("centre", "whitening", "references") if self.neighbours else ("centre", "whitening")
        return {name: self.get_buffer(name).cpu().numpy() for name in names}

    @classmethod
    def from_statistics(cls, shape: tuple[int, int, int], values: Mapping[str, npt.NDArray[Any]]) -> OodDetector:
        """Build from what :meth:`statistics` gave, now or in an earlier version."""
        if set(values) - {"references"} != {"centre", "whitening"}:
            raise DataError(f"Of the statistics of familiar images there are only: {', '.join(values) or 'none'}.")
        return cls(shape, values["centre"], values["whitening"], values.get("references"))


def _check(centre: Floats, whitening: Floats, references: Floats | None) -> None:
    """Raises DataError: the statistics have another shape, or are not finite numbers."""
    given = [value for value in (centre, whitening, references) if value is not None]
    if references is None:
        expected: list[tuple[int, ...]] = [(_OLD_FEATURES,), (_OLD_FEATURES, _OLD_FEATURES)]
    else:
        expected = [(FEATURES,), (FEATURES, DIRECTIONS), (max(1, len(references)), DIRECTIONS)]
    if [value.shape for value in given] != expected:
        raise DataError(
            f"The statistics of familiar images have the shapes {', '.join(str(value.shape) for value in given)}; "
            f"{', '.join(map(str, expected))} were expected. The model folder is damaged."
        )
    if not all(np.isfinite(value).all() for value in given):
        raise DataError(
            "The statistics of familiar images hold values that are not finite numbers. The model folder is damaged."
        )


def _early_layers(channels: int, stages: Sequence[int]) -> tuple[nn.Sequential, frozenset[int]]:
    """The first stages of EfficientNet-Lite0, with ImageNet's weights, and which layers end the wanted ones."""
    with kept_random_state():
        # The weights drawn here are replaced.
        network = EfficientNetLite(channels, 1, SCALES[0])
    load_imagenet(network, 0)
    ends = np.cumsum([stage.repeats for stage in STAGES]).tolist()
    layers = nn.Sequential(network.stem, *list(network.blocks)[: ends[max(stages) - 1]])
    # As half precision holds them, so that a graph that stores them so gives the same distances.
    for layer in layers.modules():
        if isinstance(layer, nn.Conv2d):
            layer.weight.data = layer.weight.data.half().float()
    layers = layers.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return layers, frozenset(ends[number - 1] for number in stages)


def _resizing(size: int, side: int) -> Tensor:
    """The matrix that resizes a column of ``size`` pixels to ``side`` of them, by a triangle filter as wide as a pixel
    of the coarser grid, as Pillow's bilinear does; shape (side, size), rows that add up to 1.
    """
    scale = size / side
    centres = (np.arange(side) + 0.5) * scale
    distance = np.abs(np.arange(size)[None, :] + 0.5 - centres[:, None]) / max(scale, 1.0)
    weights = np.maximum(1 - distance, 0)
    return torch.from_numpy((weights / weights.sum(axis=1, keepdims=True)).astype(np.float32))
