"""How a picture is framed: which window of it is shown, and the suite of changed framings that a model is tried on.

How tightly a radiograph is collimated and cropped says nothing about the disease, yet it often goes with the class,
because ill and healthy people were examined in other places and other ways. Every change here keeps the label by
construction, save for the strongest cuts, which may remove the finding itself and are left out of verdicts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]

# Images resampled at once.
_CHUNK = 256


@dataclass(frozen=True)
class Framing:
    """The window of a picture that is shown, stretched to the size of the picture.

    Attributes:
        top: upper edge of the window as a share of the height, counted from the top; below 0 it lies above the picture.
        bottom: lower edge, counted from the top; above 1 it lies below the picture.
        left: left edge as a share of the width.
        right: right edge.

    Raises:
        ValueError: the window is empty or shows nothing of the picture.
    """

    top: float = 0.0
    bottom: float = 1.0
    left: float = 0.0
    right: float = 1.0

    def __post_init__(self) -> None:
        for start, stop in ((self.top, self.bottom), (self.left, self.right)):
            if not (np.isfinite((start, stop)).all() and start < stop and start < 1 and stop > 0):
                raise ValueError(f"a window must show a part of the picture, got {self}")


def reframe(pixels: Pixels, framings: Framing | Sequence[Framing]) -> Pixels:
    """Show a window of each picture, resampled to the size of the picture.

    Args:
        pixels: uint8, shape (images, channels, height, width).
        framings: one for all images or one for each.

    Returns:
        uint8, of the same shape, by a triangle filter that averages where the window is larger than the picture. What
        lies outside the picture is black.

    Raises:
        ValueError: the number of framings is not that of the images.
    """
    if not isinstance(framings, Framing) and len(framings) != len(pixels):
        raise ValueError(f"expected one framing or {len(pixels)}, got {len(framings)}")
    height, width = pixels.shape[-2:]
    result = np.empty_like(pixels)
    for start in range(0, len(pixels), _CHUNK):
        part = pixels[start : start + _CHUNK].astype(np.float32)
        if isinstance(framings, Framing):
            rows, columns = _vertical(framings, height), _horizontal(framings, width).T
        else:
            own = framings[start : start + _CHUNK]
            rows = np.stack([_vertical(framing, height) for framing in own])[:, None]
            columns = np.stack([_horizontal(framing, width).T for framing in own])[:, None]
        result[start : start + len(part)] = np.clip(rows @ part @ columns + 0.5, 0, 255).astype(np.uint8)
    return result


def _vertical(framing: Framing, height: int) -> npt.NDArray[np.float32]:
    return _resampling(height, framing.top, framing.bottom)


def _horizontal(framing: Framing, width: int) -> npt.NDArray[np.float32]:
    return _resampling(width, framing.left, framing.right)


def _resampling(size: int, start: float, stop: float) -> npt.NDArray[np.float32]:
    """The matrix that samples a window of a line of pixels, shape (size, size); rows of zeros lie outside the line."""
    scale = stop - start
    centres = (start + (np.arange(size) + 0.5) / size * scale) * size
    pixels = np.arange(size) + 0.5
    weights = np.maximum(1 - np.abs(pixels[None, :] - centres[:, None]) / max(scale, 1.0), 0)
    # What is cut off has no part in the picture, not even in its outermost row.
    shown = (pixels > start * size) & (pixels < stop * size)
    if shown.any():
        weights = weights * shown
    inside = (centres > 0) & (centres < size)
    total = np.where(inside, weights.sum(axis=1), 1.0)
    return np.asarray(weights * inside[:, None] / total[:, None], dtype=np.float32)


@dataclass(frozen=True)
class FramingChange:
    """One change of framing of the suite.

    Attributes:
        kind: one of ``KINDS``.
        strength: share cut off each side that is named, ratio of a stretch (vertical to horizontal magnification),
            enlargement of the window, or share of a shift.
        counted: whether the label is kept for certain, so that a verdict may rest on it; the strongest cuts could
            remove the finding itself.
    """

    kind: str
    strength: float
    counted: bool = True

    @property
    def name(self) -> str:
        """In words, such as ``top and bottom 15 %``.

        >>> FramingChange("top and bottom", 0.15).name, FramingChange("stretched", 1.33).name
        ('top and bottom 15 %', 'stretched 1.33')
        """
        if self.kind in ("stretched", "zoomed out", "combined"):
            return f"{self.kind} {self.strength:g}"
        return f"{self.kind} {self.strength:.0%}".replace("%", " %")

    def framings(self, images: int, rng: np.random.Generator) -> list[Framing]:
        """The framing of each image; ``rng`` gives directions of shifts and windows of combinations."""
        if self.kind == "combined":
            return draw_framings(images, rng)
        if self.kind == "shifted":
            right, down = self.strength * rng.choice([-1, 1], (2, images))
            return [Framing(-y, 1 - y, -x, 1 - x) for x, y in zip(right.tolist(), down.tolist(), strict=True)]
        return [_windows(self.kind, self.strength)] * images


def _windows(kind: str, strength: float) -> Framing:
    if kind == "stretched":
        # The longer side keeps its length and the other is squeezed between black margins: nothing is cut off.
        squeezed = max(strength, 1 / strength)
        low, high = 0.5 - squeezed / 2, 0.5 + squeezed / 2
        return Framing(left=low, right=high) if strength > 1 else Framing(top=low, bottom=high)
    if kind == "zoomed out":
        low, high = 0.5 - strength / 2, 0.5 + strength / 2
        return Framing(low, high, low, high)
    sides = ("top", "bottom", "left", "right") if kind == "all sides" else kind.split(" and ")
    edges = {"top": strength, "bottom": 1 - strength, "left": strength, "right": 1 - strength}
    return Framing(**{side: edges[side] for side in sides})


# Limits of the share that a combined change cuts off at top and bottom, and at left and right; below 0 is a margin.
_COMBINED_ROWS, _COMBINED_COLUMNS = (-0.05, 0.15), (-0.05, 0.1)


def draw_framings(images: int, rng: np.random.Generator) -> list[Framing]:
    """Windows whose four edges lie independently anywhere from a narrow margin to a moderate cut."""
    top, bottom = rng.uniform(*_COMBINED_ROWS, (2, images)).tolist()
    left, right = rng.uniform(*_COMBINED_COLUMNS, (2, images)).tolist()
    return [Framing(a, 1 - b, c, 1 - d) for a, b, c, d in zip(top, bottom, left, right, strict=True)]


def _changes(kind: str, strengths: Sequence[float], counted: int) -> list[FramingChange]:
    """The first ``counted`` strengths keep the label for certain."""
    return [FramingChange(kind, strength, number < counted) for number, strength in enumerate(strengths)]


_CUTS = (0.05, 0.1, 0.15, 0.2, 0.25)
# Lungs reach nearer to the left and right edges than to the upper and lower ones.
SUITE: tuple[FramingChange, ...] = (
    *_changes("top", _CUTS, 4),
    *_changes("bottom", _CUTS, 4),
    *_changes("left", _CUTS, 3),
    *_changes("right", _CUTS, 3),
    *_changes("top and bottom", _CUTS, 3),
    *_changes("left and right", _CUTS[:4], 2),
    *_changes("all sides", _CUTS[:4], 3),
    *_changes("stretched", (0.6, 0.75, 1.33, 1.67), 4),
    *_changes("zoomed out", (1.15, 1.3, 1.5), 3),
    *_changes("shifted", (0.05, 0.1, 0.15), 3),
    *_changes("combined", (1, 2, 3), 3),
)
KINDS = tuple(dict.fromkeys(change.kind for change in SUITE))


def reframe_each(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Change the framing of each image by one of the counted changes, each equally likely.

    Args:
        pixels: uint8, shape (images, channels, height, width).
        rng: what changes and windows are drawn from.

    Returns:
        uint8, of the same shape.
    """
    changes = [change for change in SUITE if change.counted]
    drawn = rng.integers(len(changes), size=len(pixels))
    return reframe(pixels, [changes[number].framings(1, rng)[0] for number in drawn])
