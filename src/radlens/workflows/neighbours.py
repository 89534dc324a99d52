"""The training images that a model finds most like an image: what it may have gone by."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from radlens.dataset.manifest import Manifest
from radlens.imaging.cache.pixel_cache import PixelCache
from radlens.learning.trained_model import TrainedModel

NEIGHBOURS = 3
# More training images than this are too long to look through for a page.
MOST_IMAGES = 1500


def training_neighbours(
    model: TrainedModel, manifest: Manifest, cache: PixelCache, paths: Sequence[str], seed: int
) -> dict[str, list[tuple[str, str]]]:
    """Path and label of the nearest training images, the nearest first, for each path.

    Nearest by the cosine between what the network sees of two images before it decides. Of more than 1,500 training
    images that many are drawn.

    Args:
        model: what answered.
        manifest: the images with their splits.
        cache: their pixels, in the same order.
        paths: which images; each once.
        seed: what the draw follows from.

    Returns:
        Empty where there is no training image, or the network does not end in a linear layer.
    """
    train = np.flatnonzero((manifest.table["split"] == "train").to_numpy())
    if len(train) > MOST_IMAGES:
        train = np.sort(np.random.default_rng((seed, 31)).choice(train, MOST_IMAGES, replace=False))
    if not len(train) or not paths:
        return {}
    places = {path: number for number, path in enumerate(manifest.table["path"])}
    own = np.array([places[path] for path in paths])
    try:
        known, asked = (_directions(model, cache, rows) for rows in (train, own))
    except ValueError:
        return {}
    nearest = np.argsort(-(asked @ known.T), axis=1, kind="stable")[:, :NEIGHBOURS]
    names, labels = (manifest.table[column].to_numpy(dtype=str)[train] for column in ("path", "label"))
    return {
        path: list(zip(names[row].tolist(), labels[row].tolist(), strict=True))
        for path, row in zip(paths, nearest, strict=True)
    }


def _directions(model: TrainedModel, cache: PixelCache, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    vectors = model.embeddings(cache.pixels, cache.rows[rows])
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True).clip(1e-12))
