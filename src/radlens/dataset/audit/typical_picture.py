"""The picture that is typical of a set, and which window of it each image shows.

Radiographs of one kind look alike from afar, whatever is framed how: laid over each other they give a clear picture of
what they have in common. Each image is then a window of that picture, larger or smaller, higher or lower. Such a fit
uses all of the picture, so that it holds where a lung is white; no part of the body is built in.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from radlens.dataset.audit.thumbnails import equalised
from radlens.imaging.cache.pixel_cache import PixelCache

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

SIDE = 32
COARSE = 16
# The typical picture reaches from here to there, where 0 to 1 is what the middle image shows.
LOW, HIGH = -0.5, 1.5

# So many images make the typical picture, in so many rounds of laying them over it; fewer have nothing in common.
IMAGES = 300
ROUNDS = 4
FEWEST = 20

# Standard deviation of what counts as local brightness, as a share of the side.
_LOCAL = 0.15
_CLIP = 2.5
# Places of the typical picture that fewer images show are not trusted: its edge goes on instead.
_SEEN = 0.1
_LENGTHS = np.exp(np.linspace(np.log(0.6), np.log(1.5), 9))
_CENTRES = np.linspace(0.29, 0.71, 8)
_STEPS = 5
_LONGEST_STEP = 0.08
_CHUNK = 512


@dataclass(frozen=True, eq=False)
class Windows:
    """Which window of the typical picture each image shows.

    Attributes:
        start: upper and left edge, shape (images, 2), in the typical picture's height and width.
        length: height and width, likewise; 1 is that of the middle image, less a tighter frame.
        similarity: correlation of the image with its window, shape (images,).
    """

    start: Floats
    length: Floats
    similarity: Floats


def structures(cache: PixelCache, images: Ints) -> Floats:
    """What is brighter or darker than its surroundings, shape (images, 32, 32); brightness and contrast are gone."""
    result = np.empty((len(images), SIDE, SIDE), dtype=np.float32)
    places = np.arange(SIDE)
    blur = np.exp(-0.5 * ((places[:, None] - places) / (_LOCAL * SIDE)) ** 2)
    blur = (blur / blur.sum(axis=1, keepdims=True)).astype(np.float32)
    for start in range(0, len(images), _CHUNK):
        part = equalised(cache.pixels[cache.rows[images[start : start + _CHUNK]]], SIDE)
        part = part - blur @ part @ blur.T
        part /= part.std(axis=(1, 2), keepdims=True) + np.float32(1e-3)
        result[start : start + len(part)] = _standard(np.clip(part, -_CLIP, _CLIP))
    return result


def typical_picture(pictures: Floats, seed: int) -> Floats:
    """Lay some of the pictures over each other: shape (64, 64), from ``LOW`` to ``HIGH`` of the middle image's frame.

    Each round fits the pictures to the mean of the last one, leaves out the quarter that fits it worst, and moves the
    frame back to the middle of all.

    Args:
        pictures: from :func:`structures`.
        seed: which pictures are taken.
    """
    drawn = np.sort(np.random.default_rng(seed).permutation(len(pictures))[:IMAGES])
    part = pictures[drawn]
    start, length = np.zeros((len(part), 2), np.float32), np.ones((len(part), 2), np.float32)
    canvas = _laid_over(part, start, length)
    for _ in range(ROUNDS):
        windows = fit_windows(part, canvas)
        scale = np.exp(np.median(np.log(windows.length), axis=0))
        corner = np.median(windows.start + windows.length / 2, axis=0) - scale / 2
        kept = windows.similarity >= np.quantile(windows.similarity, 0.25)
        canvas = _laid_over(part[kept], (windows.start[kept] - corner) / scale, windows.length[kept] / scale)
    return canvas


def fit_windows(pictures: Floats, canvas: Floats) -> Windows:
    """The window of the typical picture that is most like each picture.

    The best of about 5,000 windows at low resolution starts a Gauss-Newton search for the two edges, the height and
    the width that leave the least squared difference, brightness and contrast apart (Lucas and Kanade 1981, IJCAI).

    Args:
        pictures: from :func:`structures`.
        canvas: from :func:`typical_picture`.
    """
    parts = []
    states, templates = _coarse_windows(canvas)
    for first in range(0, len(pictures), _CHUNK):
        part = pictures[first : first + _CHUNK]
        small = _standard(_halved(part)).reshape(len(part), -1)
        best = states[(small @ templates.T).argmax(axis=1)]
        parts.append(_refined(part, canvas, best))
    start, length, similarity = (np.concatenate(each) for each in zip(*parts, strict=True))
    return Windows(start, length, similarity)


def _coarse_windows(canvas: Floats) -> tuple[Floats, Floats]:
    """Windows as (top, left, height, width), shape (windows, 4), and what they show, shape (windows, 16 * 16)."""
    length, centre = (each.ravel() for each in np.meshgrid(_LENGTHS, _CENTRES, indexing="ij"))
    start = centre - length / 2
    sampling = _sampling(start, length, COARSE)
    rows, columns = (each.ravel() for each in np.indices((len(start), len(start))))
    shown = np.einsum("aij,jk,blk->abil", sampling, _halved(canvas[None])[0], sampling, optimize=True)
    states = np.stack([start[rows], start[columns], length[rows], length[columns]], axis=1).astype(np.float32)
    return states, _standard(shown.reshape(-1, COARSE, COARSE)).reshape(len(states), -1)


def _refined(pictures: Floats, canvas: Floats, states: Floats) -> tuple[Floats, Floats, Floats]:
    """Start, length and similarity after a few Gauss-Newton steps; the best step of each picture counts."""
    side = np.float32((HIGH - LOW) / len(canvas))
    fields = np.concatenate([canvas, *np.gradient(canvas, side)], axis=1)
    states = states.copy()
    best, reached = states.copy(), np.full(len(states), -2.0, dtype=np.float32)
    for step in range(_STEPS + 1):
        shown, down, across = _shown(fields, states)
        similarity = (pictures * _standard(shown)).sum(axis=(1, 2))
        better = similarity > reached
        best[better], reached[better] = states[better], similarity[better]
        if step < _STEPS:
            states = states + _step(pictures, shown, down, across)
            states[:, 2:] = np.clip(states[:, 2:], 0.4, 2.0)
    return best[:, :2], best[:, 2:], reached


def _step(pictures: Floats, shown: Floats, down: Floats, across: Floats) -> Floats:
    """Changes of top, left, height and width, shape (images, 4), that lessen the difference, contrast apart."""
    count = len(pictures)
    u = ((np.arange(SIDE) + 0.5) / SIDE).astype(np.float32)
    terms = [down, across, down * u[:, None], across * u, shown, np.ones_like(shown)]
    basis = np.stack([term.reshape(count, -1) for term in terms], axis=2)
    normal = basis.transpose(0, 2, 1) @ basis
    # A little damping keeps directions that nothing tells at rest.
    normal += 1e-3 * np.trace(normal, axis1=1, axis2=2)[:, None, None] / 6 * np.eye(6, dtype=np.float32)
    solved = np.linalg.solve(normal, basis.transpose(0, 2, 1) @ pictures.reshape(count, -1, 1))[:, :, 0]
    contrast = np.maximum(solved[:, 4:5], 1e-3)
    return np.asarray(np.clip(solved[:, :4] / contrast, -_LONGEST_STEP, _LONGEST_STEP), np.float32)


def _shown(fields: Floats, states: Floats) -> tuple[Floats, Floats, Floats]:
    """What a window shows of three fields that stand next to each other, each of shape (images, 32, 32)."""
    rows, columns = (_sampling(states[:, axis], states[:, axis + 2], SIDE) for axis in (0, 1))
    sampled = (rows.reshape(-1, rows.shape[2]) @ fields).reshape(len(states), SIDE, 3, -1)
    whole: Floats = np.asarray(sampled.transpose(0, 2, 1, 3) @ columns.transpose(0, 2, 1)[:, None], np.float32)
    return whole[:, 0], whole[:, 1], whole[:, 2]


def _sampling(start: npt.NDArray[np.floating], length: npt.NDArray[np.floating], side: int) -> Floats:
    """Matrices that sample windows of a line from ``LOW`` to ``HIGH``, shape (windows, side, points of the line).

    Where a window is larger than the middle image it averages; outside of the line its end goes on.
    """
    start, length = np.asarray(start, np.float32)[:, None], np.asarray(length, np.float32)[:, None]
    count = round((HIGH - LOW) * side)
    places = (start + length * ((np.arange(side, dtype=np.float32) + 0.5) / side) - LOW) * side - 0.5
    places = np.clip(places, 0, count - 1)
    distance = np.abs(np.arange(count, dtype=np.float32) - places[:, :, None])
    weights = np.maximum(1 - distance / np.maximum(length, 1)[:, :, None], 0)
    return np.asarray(weights / weights.sum(axis=2, keepdims=True), np.float32)


def _laid_over(pictures: Floats, start: Floats, length: Floats) -> Floats:
    """The mean of pictures put back where their windows lie, shape (64, 64)."""
    count = round((HIGH - LOW) * SIDE)
    places = LOW + (np.arange(count) + 0.5) / SIDE
    within = (places - start[:, :, None]) / length[:, :, None]
    distance = np.abs(within[..., None] * SIDE - (np.arange(SIDE) + 0.5))
    weights = np.maximum(1 - distance, 0)
    inside = (within > 0) & (within < 1)
    weights = (weights / np.maximum(weights.sum(axis=3, keepdims=True), 1e-6) * inside[..., None]).astype(np.float32)
    total = (weights[:, 0] @ pictures @ weights[:, 1].transpose(0, 2, 1)).sum(axis=0)
    images = np.einsum("ni,nj->ij", inside[:, 0].astype(np.float32), inside[:, 1].astype(np.float32))
    mean = np.where(images > 0, total / np.maximum(images, 1), 0)
    trusted = [np.flatnonzero(images.max(axis=axis) >= _SEEN * len(pictures)) for axis in (1, 0)]
    rows, columns = (np.clip(np.arange(count), each[0], each[-1]) for each in trusted)
    return np.asarray(mean[np.ix_(rows, columns)], np.float32)


def _halved(pictures: Floats) -> Floats:
    """Fields of two by two pixels become one."""
    count, height, width = pictures.shape
    return np.asarray(pictures.reshape(count, height // 2, 2, width // 2, 2).mean(axis=(2, 4)), np.float32)


def _standard(pictures: Floats) -> Floats:
    """Mean 0 and sum of squares 1, so that a sum of products is a correlation."""
    centred = pictures - pictures.mean(axis=(1, 2), keepdims=True)
    size = np.sqrt((centred**2).sum(axis=(1, 2), keepdims=True))
    return np.asarray(centred / np.maximum(size, 1e-6), np.float32)
