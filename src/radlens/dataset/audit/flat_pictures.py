"""Pictures of two grey levels, or of almost one: masks, drawings and empty images among the images."""

from __future__ import annotations

from collections import Counter

import numpy as np
import numpy.typing as npt

from radlens.dataset.audit.basics import EXAMPLES
from radlens.dataset.audit.findings import Finding
from radlens.dataset.manifest import Manifest
from radlens.imaging.cache.pixel_cache import PixelCache

# Levels within 6 of one another count as one: resizing and compression spread what was one grey level.
_BINS, _BIN = 64, 4
# Resizing blurs the edges of a mask, which take up to a tenth of the picture; of chest X-rays none comes near it.
_TWO_LEVELS, _APART, _SECOND = 0.9, 40, 0.002
_ONE_LEVEL = 0.98
# Side of the grid of pixels that is looked at, and at how many pictures.
_SIDE = 64
_MOST = 10_000
_CHUNK = 256
# So many in a folder, and such a share of it, are a cluster.
_CLUSTER, _CLUSTER_SHARE = 5, 0.5
_WARN_SHARE = 0.01


def is_flat(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Whether pictures consist of two grey levels, or of almost one.

    Args:
        pixels: shape (images, height, width).
    """
    rows, columns = (np.linspace(0, length - 1, min(length, _SIDE)).astype(np.int64) for length in pixels.shape[1:])
    level = pixels[:, rows][:, :, columns].reshape(len(pixels), -1) // _BIN
    counts = np.zeros((len(pixels), _BINS + 2), dtype=np.int64)
    for number, picture in enumerate(level):
        counts[number, 1:-1] = np.bincount(picture, minlength=_BINS)
    around = counts[:, :-2] + counts[:, 1:-1] + counts[:, 2:]
    image, place = np.arange(len(pixels)), np.arange(_BINS)
    first = around.argmax(axis=1)
    apart = np.abs(place - first[:, None]) >= _APART // _BIN
    second = np.where(apart, around, 0).max(axis=1)
    share, other = around[image, first] / level.shape[1], second / level.shape[1]
    return np.asarray((share >= _ONE_LEVEL) | ((share + other >= _TWO_LEVELS) & (other >= _SECOND)), dtype=bool)


def flat_findings(manifest: Manifest, cache: PixelCache) -> list[Finding]:
    """The folders that hold such pictures; of many images so many are looked at, evenly through the table.

    Args:
        manifest: readable images.
        cache: their pixels, in that order.
    """
    images = np.unique(np.linspace(0, len(manifest) - 1, min(len(manifest), _MOST)).astype(np.int64))
    flat = np.zeros(len(images), dtype=bool)
    for start in range(0, len(images), _CHUNK):
        part = images[start : start + _CHUNK]
        flat[start : start + len(part)] = is_flat(cache.pixels[cache.rows[part]][:, 0])
    if not flat.any():
        return []
    paths = manifest.table["path"].to_numpy()[images]
    folders = [str(path).rpartition("/")[0] for path in paths]
    seen, count = Counter(folders), int(flat.sum())
    by_folder = Counter(folder for folder, is_one in zip(folders, flat, strict=True) if is_one)
    clusters = [
        f"{number} of {seen[folder]} in {folder or 'the folder itself'}"
        for folder, number in by_folder.most_common()
        if number >= _CLUSTER and number >= _CLUSTER_SHARE * seen[folder]
    ]
    where = f": {', '.join(clusters[:EXAMPLES])}" if clusters else f", in {len(by_folder)} folder(s)"
    sampled = "" if len(images) == len(manifest) else f" (Told from {len(images):,} images.)"
    return [
        Finding(
            check="flat_pictures",
            severity="warn" if clusters or count >= max(_CLUSTER, _WARN_SHARE * len(images)) else "note",
            message=f"{count} picture(s) consist of two grey levels or of almost one, as masks and empty images do"
            f"{where}. A model would learn these for the disease: look at them, and take out of the source what is no "
            f"image of it.{sampled}",
            count=count,
            examples=tuple(str(path) for path in paths[flat][:EXAMPLES]),
            groups=(tuple(str(path) for path in paths[flat][:4]),),
            titles=("pictures of two grey levels or of almost one",),
        )
    ]
