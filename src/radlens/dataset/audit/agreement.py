"""How far two pictures agree part by part, once they lie over each other.

A copy agrees with its original in fine structure nearly everywhere, and one affine map puts every part of it in its
place. In another exposure of the same patient, ribs, heart and diaphragm have moved against each other.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from radlens.dataset.audit.thumbnails import Bools, Floats

_LEAST_OVERLAP = 0.4
_ROUNDS = 8


class Agreement(NamedTuple):
    """Of pairs of pictures, each part one for each pair; over the parts of a picture, the median.

    Attributes:
        similarity: correlation of fine structure within a part, -1 to 1; -1 where less than 40 % can be compared.
        offset: how far a part is off the place where an affine map puts it, as a share of the picture's side.
        excess: that, against how far noise as strong as the unlike rest would put it off; without unit.
    """

    similarity: Floats
    offset: Floats
    excess: Floats


class _Parts(NamedTuple):
    """Measures of the parts, each of shape (pairs, parts); offsets in pixels, of shape (pairs, parts, 2)."""

    correlation: Floats
    offsets: Floats
    counted: Bools


def agreement(first: Floats, second: Floats, inside: Bools, parts: int) -> Agreement:
    """Compare pictures that lie over each other.

    Args:
        first: fine structure, shape (pairs, side, side).
        second: likewise.
        inside: where the first has been taken from within its picture.
        parts: into how many parts each side is cut.
    """
    measured = _measure(first, second, inside, parts)
    off = _beyond_affine(measured, parts)
    noise = np.sqrt(np.maximum(1 - measured.correlation**2, 0) + np.float32(1e-3))
    similarity, offset, excess = (
        _median(np.asarray(values, np.float32), measured.counted) for values in (measured.correlation, off, off / noise)
    )
    enough = measured.counted.mean(axis=1) >= _LEAST_OVERLAP
    return Agreement(np.where(enough, similarity, np.float32(-1)), offset / np.float32(first.shape[1]), excess)


def standardised(values: Floats, weight: Floats) -> Floats:
    """Mean 0 and variance 1 where the weight is 1, and 0 where it is 0; along the last axis."""
    total = np.maximum(weight.sum(axis=-1, keepdims=True), 1)
    centred = (values - (values * weight).sum(axis=-1, keepdims=True) / total) * weight
    spread = np.sqrt((centred**2).sum(axis=-1, keepdims=True) / total)
    return np.asarray(centred / (spread + np.float32(1e-6)), dtype=np.float32)


def _measure(first: Floats, second: Floats, inside: Bools, parts: int) -> _Parts:
    """Correlation, and the shift that a least-squares step finds (Lucas and Kanade 1981), within each part."""
    down, across = (np.gradient(second, axis=axis) for axis in (1, 2))
    first_parts, second_parts, weight, down, across = (
        _in_parts(each.astype(np.float32), parts) for each in (first, second, inside, down, across)
    )
    total = np.maximum(weight.sum(axis=2), 1)
    left, right = standardised(first_parts, weight), standardised(second_parts, weight)
    mean = (second_parts * weight).sum(axis=2, keepdims=True) / total[:, :, None]
    spread = np.sqrt(((second_parts - mean) ** 2 * weight).sum(axis=2, keepdims=True) / total[:, :, None])
    error = (left - right) * spread
    matrix = np.empty((*total.shape, 2, 2), np.float32)
    matrix[..., 0, 0], matrix[..., 1, 1] = ((slope**2 * weight).sum(axis=2) for slope in (down, across))
    matrix[..., 0, 1] = matrix[..., 1, 0] = (down * across * weight).sum(axis=2)
    # In a part without structure there is nothing to see a shift by.
    strength = np.trace(matrix, axis1=2, axis2=3).mean(axis=1)
    matrix += (np.float32(0.02) * strength + np.float32(1e-6))[:, None, None, None] * np.eye(2, dtype=np.float32)
    slopes = np.stack([(slope * error).sum(axis=2) for slope in (down, across)], axis=2)
    energy = np.maximum((first_parts**2 * weight).sum(axis=2), (second_parts**2 * weight).sum(axis=2))
    seen = energy > 0.1 * energy.mean(axis=1, keepdims=True)
    counted = seen & (weight.sum(axis=2) > 0.7 * weight.shape[2])
    offsets = np.linalg.solve(matrix, slopes[..., None])[..., 0]
    return _Parts((left * right).sum(axis=2) / total, offsets, counted)


def _beyond_affine(measured: _Parts, parts: int) -> Floats:
    """Lengths of the offsets that no affine map explains, in pixels, shape (pairs, parts).

    The map is fitted by least absolute deviations, so that parts that were painted over do not draw it to them.
    """
    centres = (np.arange(parts) + 0.5) / parts - 0.5
    row, column = (each.ravel() for each in np.meshgrid(centres, centres, indexing="ij"))
    design = np.stack([row, column, np.ones_like(row)], axis=1).astype(np.float32)
    weight = measured.counted.astype(np.float32)
    ridge = np.float32(1e-4) * np.eye(3, dtype=np.float32)
    off = np.zeros_like(measured.correlation)
    for _ in range(_ROUNDS):
        weighted = weight[:, :, None] * design
        fitted = np.linalg.solve(design.T @ weighted + ridge, weighted.transpose(0, 2, 1) @ measured.offsets)
        off = np.linalg.norm(measured.offsets - design @ fitted, axis=2)
        weight = measured.counted / np.maximum(off, np.float32(0.05))
    return off


def _median(values: Floats, counted: Bools) -> Floats:
    """Median over the parts that count, infinite where none does."""
    ordered = np.sort(np.where(counted, values, np.inf), axis=1)
    middle = np.maximum(counted.sum(axis=1) - 1, 0) // 2
    return np.asarray(ordered[np.arange(len(ordered)), middle], np.float32)


def _in_parts(pictures: Floats, parts: int) -> Floats:
    """Shape (pairs, parts * parts, pixels of a part)."""
    count, side = pictures.shape[:2]
    size = side // parts
    cut = pictures.reshape(count, parts, size, parts, size).transpose(0, 1, 3, 2, 4)
    return cut.reshape(count, parts * parts, size * size)
