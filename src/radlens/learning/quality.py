"""The suite of changes of exposure, quality and position that a model is tried on, image by image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from radlens.learning.corruptions import SUITE, corrupt, parameters_of

Pixels = npt.NDArray[np.uint8]

# Changes of framing have a suite of their own: radlens.imaging.framing.
_FRAMING = ("shift", "crop")
# The strongest changes may hide the finding itself, and a negative is to be refused rather than answered.
_STRONGEST = 3
_WORDS: Mapping[str, str] = {
    "brighter": "brightness raised by {brightness:.0%}",
    "darker": "brightness lowered by {brightness:.0%}",
    "more contrast": "contrast × {contrast:g}",
    "less contrast": "contrast × {contrast:g}",
    "gamma": "gamma {gamma:g}",
    "blur": "blur of {blur:g} pixels",
    "lower resolution": "{resolution:.0%} of the resolution",
    "JPEG": "JPEG quality {jpeg:g}",
    "rotation": "rotation by {angle:g}°",
    "noise": "noise of {noise:g} grey levels",
    "border": "black border of {border:.0%}",
    "inversion": "inversion",
}


@dataclass(frozen=True)
class QualityChange:
    """One change of exposure, quality or position of the suite.

    Attributes:
        kind: one of ``QUALITY_KINDS``.
        strength: 1 to 3.
    """

    kind: str
    strength: int

    @property
    def counted(self) -> bool:
        """Whether a reader would still answer the same for certain, so that a verdict may rest on it."""
        return self.strength < _STRONGEST and self.kind != "inversion"

    @property
    def name(self) -> str:
        """In words.

        >>> QualityChange("darker", 2).name, QualityChange("JPEG", 1).name
        ('brightness lowered by 16 %', 'JPEG quality 50')
        """
        values = {key: abs(value) for key, value in parameters_of(self.kind, self.strength).items()}
        return _WORDS[self.kind].format(**values).replace("%", " %")

    @property
    def parameters(self) -> str:
        """In figures, for a table; an angle goes to either side.

        >>> QualityChange("darker", 2).parameters, QualityChange("rotation", 1).parameters
        ('brightness=-0.16', 'angle=±5')
        """
        sign = "±" if self.kind == "rotation" else ""
        return " ".join(f"{name}={sign}{value:g}" for name, value in parameters_of(self.kind, self.strength).items())


QUALITY_SUITE: tuple[QualityChange, ...] = tuple(
    QualityChange(kind, strength) for kind, strength in SUITE if kind not in _FRAMING
)
QUALITY_KINDS = tuple(dict.fromkeys(change.kind for change in QUALITY_SUITE))


def change_quality(pixels: Pixels, change: QualityChange, seed: int, first: int = 0) -> Pixels:
    """Change images, each by itself: what becomes of one depends on its number and the seed, not on the others.

    Blur, noise, resolution and JPEG are of the pixels as they are given: the same picture with more pixels is changed
    less.

    Args:
        pixels: uint8, shape (images, channels, height, width).
        change: one of the suite.
        seed: what noise and the direction of rotations follow from.
        first: number of the first of these images among all that are changed.

    Returns:
        uint8, of the same shape.
    """
    place = QUALITY_SUITE.index(change)
    changed = np.empty(pixels.shape, dtype=np.uint8)
    for number in range(len(pixels)):
        rng = np.random.default_rng((seed, 47, place, first + number))
        changed[number] = corrupt(pixels[number : number + 1], change.kind, change.strength, rng)[0]
    return changed
