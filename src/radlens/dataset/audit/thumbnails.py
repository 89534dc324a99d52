"""Thumbnails that can be compared: of one size, with equalised grey levels, resampled under an affine map."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]

# Spread of the equalised grey levels, 0.29 where all differ; a picture with less is almost all of one grey.
LEAST_SPREAD = 0.1


def equalised(pixels: npt.NDArray[np.uint8], side: int) -> Floats:
    """Reduce images to equalised grey thumbnails.

    Args:
        pixels: shape (images, channels, height, width).
        side: height and width of a thumbnail.

    Returns:
        Shape (images, side, side), the share of the picture that is darker, -0.5 to 0.5: what is left of the grey
        levels when brightness, contrast and gamma are taken away.
    """
    grey = pixels[:, 0].astype(np.float32) if pixels.shape[1] == 1 else pixels.mean(axis=1, dtype=np.float32)
    rows, columns = _shrinking(grey.shape[1], side), _shrinking(grey.shape[2], side)
    return _ranked(rows @ grey @ columns.T)


def _shrinking(length: int, side: int) -> Floats:
    """The matrix of a bilinear resize that widens with the reduction, shape (side, length)."""
    reach = max(length / side, 1.0)
    centres = (np.arange(side) + 0.5) * length / side
    weights = np.maximum(0, 1 - np.abs(np.arange(length) + 0.5 - centres[:, None]) / reach)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)


def _ranked(images: Floats) -> Floats:
    """Each grey level, 0 to 255, becomes the share of its image below it, less a half; equal levels stay equal."""
    count, size = len(images), images[0].size
    flat = np.clip(images.reshape(count, size), 0, 254.99)
    level = flat.astype(np.int64)
    offset = 257 * np.arange(count)[:, None]
    histogram = np.bincount((offset + level).ravel(), minlength=257 * count).reshape(count, 257)
    below = np.cumsum(histogram, axis=1)
    # A level stands in the middle of the pixels that have it; between two whole levels the share is interpolated.
    middle = ((below - histogram / 2) / size - 0.5).astype(np.float32).ravel()
    index, part = offset + level, (flat - level).astype(np.float32)
    lower = middle[index]
    return np.asarray(lower + part * (middle[index + 1] - lower), dtype=np.float32).reshape(images.shape)


def grid(side: int) -> Floats:
    """Centres of the pixels as row and column, -0.5 to 0.5 over the picture, shape (2, side * side)."""
    centres = (np.arange(side) + 0.5) / side - 0.5
    return np.stack(np.meshgrid(centres, centres, indexing="ij")).reshape(2, -1).astype(np.float32)


def warp(images: Floats, maps: npt.NDArray[np.floating]) -> tuple[Floats, Bools]:
    """Resample images under affine maps, bilinearly.

    Args:
        images: shape (images, side, side).
        maps: shape (images, 2, 3): where in the image (row, column, as of :func:`grid`) each place of the result is
            taken from.

    Returns:
        The warped images, and where the places lay within the image; outside, its edge goes on.

    >>> picture = np.arange(16, dtype=np.float32).reshape(1, 4, 4)
    >>> mirrored, inside = warp(picture, np.array([[[1.0, 0, 0], [0, -1, 0]]]))
    >>> mirrored[0, 0].round(3).tolist(), bool(inside.all())
    ([3.0, 2.0, 1.0, 0.0], True)
    """
    count, side = images.shape[:2]
    maps = maps.astype(np.float32)
    places = (maps[:, :, :2] @ grid(side) + maps[:, :, 2:] + np.float32(0.5)) * side - np.float32(0.5)
    inside = ((places >= -0.5) & (places <= side - 0.5)).all(axis=1)
    places = np.clip(places, 0, np.nextafter(np.float32(side - 1), np.float32(0)))
    whole = places.astype(np.int32)
    row, column = np.moveaxis(places - whole, 1, 0)
    first = whole[:, 0] * side + whole[:, 1] + (side * side * np.arange(count, dtype=np.int32))[:, None]
    flat = images.ravel()
    upper = flat[first] * (1 - column) + flat[first + 1] * column
    lower = flat[first + side] * (1 - column) + flat[first + side + 1] * column
    shape = (count, side, side)
    return (upper * (1 - row) + lower * row).reshape(shape), inside.reshape(shape)
