"""Whether two pictures are one and the same: laid over each other as well as can be, then compared in detail.

Chest radiographs all look alike from afar, and two exposures of a patient look alike even near. What tells a copy from
another exposure is that after one affine map for the whole picture every part of it agrees, down to the fine structure.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from radlens.dataset.audit.agreement import agreement, standardised
from radlens.dataset.audit.thumbnails import Bools, Floats, equalised, grid, warp

_COARSE, _MIDDLE = 32, 64
_ITERATIONS = {32: 10, 64: 6, 96: 4, 128: 4}
# Copies reached 0.90 or more in the coarse comparison, whatever was done to them.
_HOPELESS = 0.75
_PARTS = {32: 4, 64: 8, 96: 8, 128: 8}
_EDGE = 0.04


class _Limits(NamedTuple):
    """What tells a copy from another exposure.

    Attributes:
        similarity: least correlation of fine structure.
        offset: parts may be off by so much, as a share of the side, if noise explains it.
        excess: most that noise explains.
        sure: parts may be off by so much in any case, from one resampling to the next.
    """

    similarity: float
    offset: float
    excess: float
    sure: float


# By the side of the thumbnails compared at last. Found on chest radiographs with copies turned, cropped, re-encoded,
# brightened or made noisy, on exposures of one patient, and on simulated ones. With fewer pixels these lie closer
# together: at 32 pixels only copies that were changed little are told.
SAME_PICTURE = {
    128: _Limits(0.92, 0.00125, 0.50, 0.00065),
    96: _Limits(0.94, 0.00125, 0.55, 0.00070),
    64: _Limits(0.96, 0.00156, 0.60, 0.00110),
    32: _Limits(0.99, 0.00156, 0.80, 0.00095),
}
# Least similarity of two exposures that are likely of one patient; at fewer pixels nothing can be said.
SAME_PATIENT = {128: 0.75, 96: 0.80}


class Registration(NamedTuple):
    """How pictures lie over each other, each part one for each pair.

    Attributes:
        similarity: see :class:`radlens.dataset.audit.agreement.Agreement`; of pairs given up early, the correlation of
            coarse structure.
        offset: likewise; infinite for pairs given up early.
        excess: likewise.
        maps: where in the first picture each place of the second is found, shape (pairs, 2, 3); see
            :func:`radlens.dataset.audit.thumbnails.warp`.
        inverted: whether black and white are exchanged.
    """

    similarity: Floats
    offset: Floats
    excess: Floats
    maps: Floats
    inverted: Bools


def finest_side(height: int, width: int) -> int:
    """Side of the thumbnails in which images of this size are compared at last.

    >>> finest_side(224, 224), finest_side(150, 64), finest_side(28, 28)
    (128, 64, 32)
    """
    return max([side for side in _ITERATIONS if side <= min(height, width)], default=_COARSE)


def register(first: npt.NDArray[np.uint8], second: npt.NDArray[np.uint8], guesses: Floats) -> Registration:
    """Lay pictures over each other by an affine map, found from coarse to fine, and compare them.

    Args:
        first: shape (pairs, channels, height, width).
        second: likewise, of the same size.
        guesses: linear part of the map, right to about 5 degrees and a twentieth of the size; shape (pairs, 2, 2).
            Shift, half turn and exchange of black and white are found.
    """
    count, finest = len(first), finest_side(*first.shape[2:])
    maps, signs = np.zeros((count, 2, 3), np.float32), np.ones(count, np.float32)
    similarity = np.zeros(count, np.float32)
    offset, excess = np.full(count, np.inf, np.float32), np.full(count, np.inf, np.float32)
    left = np.arange(count)
    for side in sorted({_COARSE, min(_MIDDLE, finest), finest}):
        moving, fixed = (_detail(equalised(pixels[left], side)) for pixels in (first, second))
        if side == _COARSE:
            maps, signs = _place(moving, fixed, guesses.astype(np.float32))
        moving *= signs[left, None, None]
        maps[left], similarity[left] = _refine(moving, fixed, maps[left], _ITERATIONS[side])
        promising = similarity[left] >= _HOPELESS
        left, moving, fixed = left[promising], moving[promising], fixed[promising]
        if not len(left):
            break
    else:
        warped, inside = warp(moving, maps[left])
        similarity[left], offset[left], excess[left] = agreement(warped, fixed, inside, _PARTS[finest])
    return Registration(similarity, offset, excess, maps, signs < 0)


def judge(registration: Registration, finest: int) -> tuple[Bools, Bools]:
    """Whether pairs show the same picture, and whether, not being that, they are likely exposures of one patient.

    Args:
        registration: how the pairs lie over each other.
        finest: side of the thumbnails that they were compared in at last.
    """
    limits = SAME_PICTURE[finest]
    offset, excess = registration.offset, registration.excess
    in_place = (offset <= limits.offset) & (excess <= limits.excess) | (offset <= limits.sure)
    same = (registration.similarity >= limits.similarity) & in_place
    alike = np.isfinite(offset) & (registration.similarity >= SAME_PATIENT.get(finest, np.inf))
    return same, alike & ~same


def _smoothing(side: int, width: float) -> Floats:
    places = np.arange(side)
    weights = np.exp(-(((places[:, None] - places) / width) ** 2) / 2)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)


def _detail(pictures: Floats) -> Floats:
    """Structure of a few pixels' size, of like strength everywhere so that no bright edge outweighs the rest."""
    side = pictures.shape[1]
    fine, coarse, around = (_smoothing(side, width) for width in (0.6, 3.0, side / 12))
    band = fine @ pictures @ fine.T - coarse @ pictures @ coarse.T
    energy = band * band
    strength = np.sqrt(around @ energy @ around.T)
    mean = np.sqrt(energy.mean(axis=(1, 2), keepdims=True))
    return np.asarray(band / (strength + np.float32(0.3) * mean + np.float32(1e-6)), dtype=np.float32)


def _place(moving: Floats, fixed: Floats, guesses: Floats) -> tuple[Floats, Floats]:
    """The shift, and whether a half turn and an exchange of black and white, by the peak of the cross-correlation."""
    count, side = moving.shape[:2]
    taper = np.hanning(side + 2)[1:-1]
    window = np.outer(taper, taper).astype(np.float32)
    shape, reach = (2 * side, 2 * side), side // 3
    target = np.conj(np.fft.rfft2(fixed * window, shape))
    highest, signs = np.zeros(count, np.float32), np.ones(count, np.float32)
    maps = np.zeros((count, 2, 3), np.float32)
    for linear in (guesses, -guesses):
        turned, inside = warp(moving, np.concatenate([linear, np.zeros((count, 2, 1), np.float32)], axis=2))
        turned *= inside * window
        strength = np.sqrt((turned**2).sum(axis=(1, 2))) + np.float32(1e-6)
        surface = np.fft.irfft2(target * np.fft.rfft2(turned, shape), shape)
        near = np.roll(surface, (reach, reach), axis=(1, 2))[:, : 2 * reach + 1, : 2 * reach + 1].reshape(count, -1)
        peak = np.abs(near).argmax(axis=1)
        height = near[np.arange(count), peak].astype(np.float32) / strength
        shift = (np.stack(np.divmod(peak, 2 * reach + 1), axis=1) - reach)[:, :, None].astype(np.float32) / side
        better = np.abs(height) > highest
        highest[better], signs[better] = np.abs(height)[better], np.sign(height)[better]
        maps[better] = np.concatenate([linear, linear @ shift], axis=2)[better]
    return maps, signs


def _refine(moving: Floats, fixed: Floats, maps: Floats, iterations: int) -> tuple[Floats, Floats]:
    """Better maps by Gauss-Newton steps, inverse compositional (Baker and Matthews 2004), and the correlations reached.

    doi:10.1023/B:VISI.0000011205.11775.fd
    """
    count, side = fixed.shape[:2]
    row, column = grid(side)
    within = (np.maximum(np.abs(row), np.abs(column)) < 0.5 - _EDGE).astype(np.float32)
    down, across = (np.gradient(fixed, np.float32(1 / side), axis=axis).reshape(count, 1, -1) for axis in (1, 2))
    steepest = np.concatenate(
        [slope * part for slope in (down, across) for part in (row, column, np.ones_like(row))], axis=1
    )
    target = fixed.reshape(count, -1)
    damping = np.eye(6, dtype=np.float32) * np.float32(1e-3 * side * side)
    best, highest = maps.copy(), np.full(count, -1, np.float32)
    for iteration in range(iterations + 1):
        warped, inside = warp(moving, maps)
        weight = inside.reshape(count, -1) * within
        standard_moving, standard_target = (standardised(part, weight) for part in (warped.reshape(count, -1), target))
        correlation = (standard_moving * standard_target).sum(axis=1) / np.maximum(weight.sum(axis=1), 1)
        better = correlation > highest
        best[better], highest[better] = maps[better], correlation[better]
        if iteration == iterations:
            break
        spread = np.sqrt((target**2 * weight).sum(axis=1) / np.maximum(weight.sum(axis=1), 1))
        weighted = steepest * weight[:, None]
        error = (standard_moving - standard_target) * spread[:, None]
        step = np.linalg.solve(weighted @ steepest.transpose(0, 2, 1) + damping, weighted @ error[:, :, None])
        change = np.tile(np.eye(3, dtype=np.float32), (count, 1, 1))
        change[:, :2] += step.reshape(count, 2, 3)
        maps = np.concatenate([maps, np.tile(np.array([[[0, 0, 1]]], dtype=np.float32), (count, 1, 1))], axis=1)
        maps = (maps @ np.linalg.inv(change))[:, :2]
    return best, highest
