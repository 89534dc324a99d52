"""The simulated patient: geometry of the chest and of its lesions.

Lengths are in units of half the inner width of the thorax, so that one set of proportions serves a child and an adult.
``x`` runs from the patient's right (negative, at the left of the picture) to the left, ``y`` from back to front, ``z``
from the apex of the lungs (0) downwards. Nothing here knows of pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

FINDINGS = ("cardiomegaly", "effusion", "pneumonia")
MEDIAL_EDGE = 0.05
_APEX_CENTRE = 0.43


@dataclass(frozen=True)
class Thorax:
    """Rib cage, lungs and diaphragm.

    Attributes:
        half_width_cm: the unit of all other lengths, in cm.
        lung_height: from the apex to the top of the right diaphragm.
        taper: how fast the chest widens below the apex; smaller is broader.
        half_depth: of the inner chest, front to back.
        wall: soft tissue outside the ribs, at the side.
        left_dome: how much lower the left diaphragm stands.
        dome_fall: how far the diaphragm falls towards the side, the middle, and the front and back.
        fissure: height of the border between upper and lower lobes, as a share of the lung height.
    """

    half_width_cm: float
    lung_height: float
    taper: float
    half_depth: float
    wall: float
    left_dome: float
    dome_fall: tuple[float, float, float]
    fissure: float

    @property
    def base(self) -> float:
        """Height of the costophrenic angles: the lowest point of the lungs."""
        return self.lung_height + self.dome_fall[0]

    def lateral_edge(self, z: Floats | float) -> Floats:
        """Distance of the lungs' outer border from the midline at these heights."""
        share = np.clip(np.asarray(z, np.float32) / self.base, 0.0, 1.0)
        widest = np.float32(1.0 - _APEX_CENTRE)
        return np.asarray(_APEX_CENTRE + widest * (1.0 - (1.0 - share) ** 2.6) ** self.taper, np.float32)

    def medial_edge(self, z: Floats | float) -> Floats:
        """Distance of the lungs' inner border from the midline, before heart and great vessels push it outwards."""
        share = np.clip(np.asarray(z, np.float32) / (0.17 * self.base), 0.0, 1.0)
        return np.asarray(_APEX_CENTRE - (_APEX_CENTRE - MEDIAL_EDGE) * np.sqrt(1.0 - (1.0 - share) ** 2), np.float32)

    def dome(self, x: Floats, side: int, lift: float = 0.0) -> Floats:
        """Height of the diaphragm of a side (-1 right, 1 left) over ``x``, seen from the front."""
        lateral, medial, _ = self.dome_fall
        top = self.lung_height - lift + (self.left_dome if side > 0 else 0.0)
        offset = (np.asarray(x, np.float32) * side - 0.48) / 0.52
        fall = np.where(offset > 0, lateral * np.abs(offset) ** 2.0, medial * np.abs(offset) ** 2)
        return np.asarray(top + fall, np.float32)


@dataclass(frozen=True)
class Heart:
    """Heart and great vessels.

    Attributes:
        ratio: heart width as a share of the inner width of the thorax.
        left_share: part of the heart's width to the left of the midline.
        tilt: of the long axis against the horizontal, in radians.
        slimness: short axis over long axis.
        half_depth: front to back.
        mediastinum: half-width of the great vessels above the heart.
        knob: how far the aortic arch stands out to the left.
        unfolding: how far the ascending aorta and upper vena cava stand out to the right.
    """

    ratio: float
    left_share: float
    tilt: float
    slimness: float
    half_depth: float
    mediastinum: float
    knob: float
    unfolding: float


@dataclass(frozen=True)
class Skeleton:
    """Bones.

    Attributes:
        rib_slope: how far a rib falls from the spine to its front end.
        rib_pitch: distance of neighbouring ribs.
        rib_start: height of the first rib at the spine.
        rib_width: radius of a rib.
        rib_bone: cross-section of compact bone in a rib, relative to the usual.
        rib_shift: of each pair's height, from the first rib to the eleventh.
        density: mineral content of all bones, relative to the usual.
        curve: sideways deviation of the spine and the phase of it.
        clavicle: height at the breast-bone, height at the shoulder, bow.
        scapula: how far the shoulder blades lie outside the lungs.
        shoulder: height and half-width of the shoulders.
        arm_up: whether the arms are raised.
    """

    rib_slope: float
    rib_pitch: float
    rib_start: float
    rib_width: float
    rib_bone: float
    rib_shift: tuple[float, ...]
    density: float
    curve: tuple[float, float]
    clavicle: tuple[float, float, float]
    scapula: float
    shoulder: tuple[float, float]
    arm_up: bool

    @property
    def arm(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """The arm from the shoulder joint to where it leaves the picture, on the left side, as ``x`` and ``z``."""
        height, width = self.shoulder
        joint = (width, height + 0.06)
        return joint, (width + 0.32, -0.75) if self.arm_up else (width + 0.16, 1.7)


@dataclass(frozen=True)
class SoftTissue:
    """What lies over and under the chest.

    Attributes:
        neck: half-width of the neck.
        chin: height of the chin; None when it is above the picture.
        breast: thickness, height and spread of the breasts; zero thickness for none.
        stomach: x, depth below the left dome, half-width and half-height of the gas bubble; None without gas.
        bowel: gas below the diaphragm, one row each of x, z, half-width, half-height, depth.
    """

    neck: float
    chin: float | None
    breast: tuple[float, float, float]
    stomach: tuple[float, float, float, float] | None
    bowel: tuple[tuple[float, float, float, float, float], ...]


@dataclass(frozen=True)
class Consolidation:
    """One airless part of a lung.

    Attributes:
        side: -1 right, 1 left.
        across: centre, from the inner (0) to the outer (1) border of the lung.
        down: centre, from the apex (0) to the diaphragm (1).
        width: half-width.
        height: half-height.
        raggedness: how strongly the edge follows the noise of the tissue.
        density: share of the air within it that is replaced.
        patchiness: 0 homogeneous, 1 mottled.
        bronchogram: how much air is left in the airways that cross it.
        lobar: whether it ends sharply at the fissure.
    """

    side: int
    across: float
    down: float
    width: float
    height: float
    raggedness: float
    density: float
    patchiness: float
    bronchogram: float
    lobar: bool


@dataclass(frozen=True)
class Fluid:
    """A pleural effusion.

    Attributes:
        side: -1 right, 1 left.
        level: height of the fluid above the costophrenic angle, at the outer wall.
        meniscus: how much lower the fluid stands at the inner border, as a share of the level.
    """

    side: int
    level: float
    meniscus: float


@dataclass(frozen=True)
class Vessels:
    """Branching vessels of the lungs as straight pieces, each array of shape (pieces,); ``radius`` is for contrast."""

    start_x: Floats
    start_z: Floats
    end_x: Floats
    end_z: Floats
    radius: Floats


@dataclass(frozen=True, eq=False)
class Patient:
    """A simulated patient: all that stays the same from one image to the next.

    Attributes:
        age: in years.
        sex: F or M.
        findings: what is to be seen, of ``FINDINGS``.
        texture_seed: of the fine structure of the tissue.
    """

    age: int
    sex: str
    findings: frozenset[str]
    thorax: Thorax
    heart: Heart
    skeleton: Skeleton
    soft: SoftTissue
    vessels: Vessels
    consolidations: tuple[Consolidation, ...]
    fluids: tuple[Fluid, ...]
    texture_seed: int
