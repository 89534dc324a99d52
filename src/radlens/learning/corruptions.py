"""Images as other equipment and other hands would have made them: known changes at graded strengths.

After Hendrycks and Dietterich 2019 (arXiv:1903.12261), with the kinds that radiographs meet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch

from radlens.imaging.preprocess import Preprocessing
from radlens.learning.augment import COLUMNS, UNCHANGED, apply

Pixels = npt.NDArray[np.uint8]

# Parameters of the augmentation at each strength; what is left out changes nothing.
_WARPED: Mapping[str, Sequence[Mapping[str, float]]] = {
    "brighter": [{"brightness": 0.08}, {"brightness": 0.16}, {"brightness": 0.25}],
    "darker": [{"brightness": -0.08}, {"brightness": -0.16}, {"brightness": -0.25}],
    "more contrast": [{"contrast": 1.2}, {"contrast": 1.5}, {"contrast": 1.9}],
    "less contrast": [{"contrast": 0.8}, {"contrast": 0.6}, {"contrast": 0.4}],
    "gamma": [{"gamma": 1.3}, {"gamma": 1.7}, {"gamma": 2.2}],
    "blur": [{"blur": 0.7}, {"blur": 1.2}, {"blur": 2.0}],
    "lower resolution": [{"resolution": 0.6}, {"resolution": 0.4}, {"resolution": 0.25}],
    "JPEG": [{"jpeg": 50}, {"jpeg": 25}, {"jpeg": 10}],
    "rotation": [{"angle": 5}, {"angle": 12}, {"angle": 25}],
    "shift": [{"shift_x": 0.05, "shift_y": 0.05}, {"shift_x": 0.1, "shift_y": 0.1}, {"shift_x": 0.2, "shift_y": 0.1}],
    "crop": [{"zoom": 1.12}, {"zoom": 1.25}, {"zoom": 1.5}],
}
# Standard deviation of the noise in grey levels; width of the border as a share of the size.
_NOISE = (5.0, 12.0, 25.0)
_BORDER = (0.04, 0.08, 0.15)
KINDS = (*_WARPED, "noise", "border", "inversion")
STRENGTHS = (1, 2, 3)
# Every change there is: inversion has one strength.
SUITE = tuple((kind, strength) for kind in KINDS for strength in (STRENGTHS if kind != "inversion" else (1,)))

_GREY_LEVELS = Preprocessing(low=0.0, high=255.0)


def corrupt(pixels: Pixels, kind: str, strength: int, rng: np.random.Generator) -> Pixels:
    """Change every image in the same way.

    Args:
        pixels: uint8, shape (images, channels, height, width).
        kind: one of ``KINDS``. Inversion has one strength only.
        strength: 1 to 3.
        rng: what the noise, and the direction of rotations and shifts, are drawn from.

    Returns:
        uint8, of the same shape.

    Raises:
        ValueError: the kind or the strength is unknown.
    """
    if kind not in KINDS or strength not in STRENGTHS:
        raise ValueError(f"expected a kind of {', '.join(KINDS)} and a strength of 1 to 3, got {kind!r}, {strength}")
    if kind == "inversion":
        return 255 - pixels
    if kind == "noise":
        noise = rng.normal(0, _NOISE[strength - 1], pixels.shape)
        return np.clip(pixels + noise, 0, 255).round().astype(np.uint8)
    if kind == "border":
        return _with_border(pixels, _BORDER[strength - 1])
    values = {**dict(zip(COLUMNS, UNCHANGED, strict=True)), **_WARPED[kind][strength - 1]}
    rows = np.tile(np.array(list(values.values()), dtype=np.float32), (len(pixels), 1))
    for name in ("angle", "shift_x", "shift_y"):
        rows[:, COLUMNS.index(name)] *= rng.choice([-1, 1], len(pixels))
    changed = apply(torch.from_numpy(pixels.copy()), torch.from_numpy(rows), _GREY_LEVELS)
    return changed.round().to(torch.uint8).numpy()


def parameters_of(kind: str, strength: int) -> Mapping[str, float]:
    """What a change does in figures: parameters of the augmentation, ``noise`` in grey levels, ``border`` as a share.

    >>> parameters_of("JPEG", 2), parameters_of("noise", 1), parameters_of("inversion", 1)
    ({'jpeg': 25}, {'noise': 5.0}, {})
    """
    if kind == "noise":
        return {"noise": _NOISE[strength - 1]}
    if kind == "border":
        return {"border": _BORDER[strength - 1]}
    return {} if kind == "inversion" else dict(_WARPED[kind][strength - 1])


def corrupt_each(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Change each image by a kind and a strength of its own, each equally likely; inversion is left out.

    Args:
        pixels: uint8, shape (images, channels, height, width).
        rng: what kinds and strengths are drawn from.

    Returns:
        uint8, of the same shape.
    """
    pairs = [(kind, strength) for kind, strength in SUITE if kind != "inversion"]
    drawn = rng.integers(len(pairs), size=len(pixels))
    changed = np.empty(pixels.shape, dtype=np.uint8)
    for number, (kind, strength) in enumerate(pairs):
        if (drawn == number).any():
            changed[drawn == number] = corrupt(pixels[drawn == number], kind, strength, rng)
    return changed


def _with_border(pixels: Pixels, share: float) -> Pixels:
    """A black frame over the edge, as collimation leaves it."""
    height, width = pixels.shape[-2:]
    rows, columns = max(1, round(height * share)), max(1, round(width * share))
    framed = np.zeros_like(pixels)
    framed[..., rows:-rows, columns:-columns] = pixels[..., rows:-rows, columns:-columns]
    return framed
