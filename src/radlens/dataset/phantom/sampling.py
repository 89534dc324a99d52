"""Random patients and exposures for the simulated radiographs; nothing is random after these but the quantum noise."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import numpy.typing as npt

from radlens.dataset.phantom.anatomy import (
    FINDINGS,
    Consolidation,
    Fluid,
    Heart,
    Patient,
    Skeleton,
    SoftTissue,
    Thorax,
    Vessels,
)
from radlens.dataset.phantom.physics import Acquisition


def draw_acquisition(rng: np.random.Generator) -> Acquisition:
    """Draw the conditions of one exposure."""
    view = "PA" if rng.random() < 0.55 else "AP"
    collimated = rng.random() < 0.3
    margins = rng.uniform(0.0, 0.07, 4) * collimated
    marker = str(rng.choice(["R", "L", ""], p=[0.65, 0.2, 0.15]))
    marker_margin = rng.uniform(0.03, 0.1)
    return Acquisition(
        view=view,
        field=float(rng.uniform(1.16, 1.42)),
        shift=(float(rng.normal(0.0, 0.03)), float(rng.normal(0.0, 0.02))),
        top=float(rng.uniform(0.18, 0.42)),
        tilt=float(np.clip(rng.normal(0.0, 1.3), -4.5, 4.5)),
        rotation=float(np.clip(rng.normal(0.0, 0.05), -0.14, 0.14)),
        inspiration=float(rng.normal(0.0, 0.05)),
        quanta=float(np.exp(rng.uniform(np.log(2e4), np.log(2e5)))),
        scatter=float(rng.uniform(0.1, 0.42)),
        gamma=float(rng.uniform(1.0, 1.7)),
        brightness=float(rng.uniform(0.66, 0.84)),
        detail=float(rng.uniform(0.3, 1.1)),
        collimation=(float(margins[0]), float(margins[1]), float(margins[2]), float(margins[3])),
        marker=marker,
        marker_at=(float(marker_margin if marker == "R" else 1 - marker_margin), float(rng.uniform(0.06, 0.5))),
    )


def draw_margins(rng: np.random.Generator) -> tuple[float, float, float, float]:
    """Draw how little a tight frame shows above, below, left and right of the lungs, as shares of their size."""
    above, below, left, right = rng.uniform(0.0, (0.06, 0.08, 0.05, 0.05)).tolist()
    return above, below, left, right


def draw_patient(rng: np.random.Generator, findings: Collection[str] = ()) -> Patient:
    """Draw a patient with these findings.

    The healthy anatomy depends on the generator alone: the same state of it gives the same body with and without
    pneumonia or effusion, and a larger heart in the same chest with cardiomegaly.

    Args:
        rng: where the random numbers come from.
        findings: of ``FINDINGS``; none for a normal chest.

    Raises:
        ValueError: an unknown finding.
    """
    unknown = sorted(set(findings) - set(FINDINGS))
    if unknown:
        raise ValueError(f"unknown finding(s) {', '.join(unknown)}; known are {', '.join(FINDINGS)}")
    body, lesions = rng.spawn(2)
    child = bool(body.random() < 0.45)
    age = int(body.integers(1, 9)) if child else int(np.clip(body.normal(52, 17), 18, 92))
    sex = "FM"[int(body.integers(2))]
    thorax = _draw_thorax(body, age, sex)
    return Patient(
        age=age,
        sex=sex,
        findings=frozenset(findings),
        thorax=thorax,
        heart=_draw_heart(body, age, "cardiomegaly" in findings),
        skeleton=_draw_skeleton(body, age, thorax),
        soft=_draw_soft_tissue(body, age, sex, thorax),
        vessels=_draw_vessels(body, thorax),
        consolidations=_draw_consolidations(lesions) if "pneumonia" in findings else (),
        fluids=_draw_fluids(lesions) if "effusion" in findings else (),
        texture_seed=int(body.integers(2**31)),
    )


def _draw_thorax(rng: np.random.Generator, age: int, sex: str) -> Thorax:
    grown = min(age / 18.0, 1.0)
    adult_cm = 12.6 if sex == "F" else 14.0
    return Thorax(
        half_width_cm=float((6.0 + (adult_cm - 6.0) * grown**0.8) * rng.normal(1.0, 0.05)),
        lung_height=float(np.clip(rng.normal(1.42 + 0.22 * grown, 0.11), 1.2, 1.9)),
        taper=float(rng.uniform(0.68, 1.0)),
        half_depth=float(rng.uniform(0.60, 0.74) + 0.05 * (1 - grown)),
        wall=float(rng.uniform(0.09, 0.22) + 0.06 * grown * rng.random()),
        left_dome=float(rng.normal(0.05, 0.045)),
        dome_fall=(float(rng.uniform(0.30, 0.52)), float(rng.uniform(0.02, 0.12)), float(rng.uniform(0.22, 0.5))),
        fissure=float(rng.uniform(0.45, 0.6)),
    )


def _draw_heart(rng: np.random.Generator, age: int, enlarged: bool) -> Heart:
    # Both ratios are drawn, so that what follows does not depend on the finding.
    normal, large = rng.uniform(0.41, 0.49), rng.uniform(0.52, 0.66)
    grown = min(age / 18.0, 1.0)
    return Heart(
        ratio=float(large if enlarged else normal),
        left_share=float(rng.uniform(0.62, 0.72)),
        tilt=float(rng.uniform(0.85, 1.15)),
        slimness=float(rng.uniform(0.56, 0.70)),
        half_depth=float(rng.uniform(0.42, 0.54)),
        mediastinum=float(rng.uniform(0.18, 0.25) + 0.07 * (1 - grown) * rng.random()),
        knob=float(rng.uniform(0.02, 0.07) + 0.06 * max(age - 30, 0) / 60),
        unfolding=float(rng.uniform(0.0, 0.06) + 0.04 * max(age - 40, 0) / 50),
    )


def _draw_skeleton(rng: np.random.Generator, age: int, thorax: Thorax) -> Skeleton:
    grown = min(age / 18.0, 1.0)
    return Skeleton(
        rib_slope=float(np.clip(rng.normal(0.42 + 0.22 * grown, 0.08), 0.25, 0.9)),
        rib_pitch=float(thorax.base / rng.uniform(9.0, 10.2)),
        rib_start=float(rng.uniform(-0.10, 0.0)),
        rib_width=float(rng.uniform(0.036, 0.048)),
        rib_bone=float(rng.uniform(0.75, 1.25)),
        rib_shift=tuple(rng.normal(0.0, 0.009, 11).tolist()),
        density=float(np.clip(rng.normal(1.0, 0.1), 0.7, 1.3) - 0.2 * max(age - 60, 0) / 30),
        curve=(float(rng.normal(0.0, 0.025)), float(rng.uniform(0, 2 * np.pi))),
        clavicle=(float(rng.uniform(0.02, 0.2)), float(rng.uniform(-0.18, 0.06)), float(rng.uniform(0.03, 0.09))),
        scapula=float(rng.uniform(-0.02, 0.18)),
        shoulder=(float(rng.uniform(0.02, 0.18)), float(rng.uniform(1.02, 1.2))),
        arm_up=bool(rng.random() < 0.45 - 0.3 * grown),
    )


def _draw_soft_tissue(rng: np.random.Generator, age: int, sex: str, thorax: Thorax) -> SoftTissue:
    thickness = float(rng.gamma(3.0, 0.045))
    breast = (thickness, float(rng.uniform(0.85, 1.15) * thorax.lung_height), float(rng.uniform(0.3, 0.42)))
    if sex == "M" or age < 14:
        breast = (0.0, *breast[1:])
    bubble = (rng.uniform(0.4, 0.62), rng.uniform(0.1, 0.2), rng.uniform(0.12, 0.3), rng.uniform(0.06, 0.15))
    stomach = bubble if rng.random() < 0.7 else None
    loops = int(rng.poisson(2.5 if age < 14 else 0.8))
    bowel = tuple(
        (
            float(rng.uniform(-0.8, 0.9)),
            float(thorax.lung_height + rng.uniform(0.35, 0.9)),
            float(rng.uniform(0.08, 0.2)),
            float(rng.uniform(0.05, 0.13)),
            float(rng.uniform(0.04, 0.1)),
        )
        for _ in range(loops)
    )
    height, visible = float(rng.uniform(-0.62, -0.45)), rng.random() < (0.4 if age < 14 else 0.08)
    return SoftTissue(float(rng.uniform(0.3, 0.4)), height if visible else None, breast, stomach, bowel)


def _draw_vessels(rng: np.random.Generator, thorax: Thorax, trunks: int = 7, generations: int = 6) -> Vessels:
    """Two trees that leave the hila, each piece parting into two thinner and shorter ones."""
    pieces: list[npt.NDArray[np.float64]] = []
    for side in (-1, 1):
        # Directions from straight up to straight down on the outer side.
        angle = np.linspace(-1.35, 1.45, trunks) + rng.normal(0, 0.1, trunks)
        x = rng.uniform(0.16, 0.30, trunks)
        z = thorax.lung_height * 0.45 + (0.0 if side < 0 else -0.05) + 0.11 * angle + rng.normal(0, 0.03, trunks)
        radius = 0.038 * rng.uniform(0.7, 1.1, trunks)
        length = 0.21 * rng.uniform(0.8, 1.2, trunks)
        for _ in range(generations):
            end_x, end_z = x + length * np.cos(angle), z + length * np.sin(angle)
            pieces.append(np.stack([side * x, z, side * end_x, end_z, radius]))
            spread = rng.uniform(0.18, 0.5, angle.size)
            angle = np.concatenate([angle - spread, angle + spread]) + rng.normal(0, 0.1, 2 * angle.size)
            x, z = np.tile(end_x, 2), np.tile(end_z, 2)
            radius = np.tile(radius, 2) * rng.uniform(0.64, 0.86, angle.size)
            length = np.tile(length, 2) * rng.uniform(0.72, 0.98, angle.size)
    return Vessels(*np.concatenate(pieces, axis=1).astype(np.float32))


def _draw_consolidations(rng: np.random.Generator) -> tuple[Consolidation, ...]:
    """Lobar pneumonia (one large opacity), segmental, or patchy bronchopneumonia (several, often on both sides)."""
    pattern = rng.choice(["lobar", "segmental", "patchy"], p=[0.3, 0.35, 0.35])
    count = {"lobar": 1, "segmental": int(rng.integers(1, 3)), "patchy": int(rng.integers(4, 10))}[str(pattern)]
    low, high = {"lobar": (0.36, 0.55), "segmental": (0.25, 0.40), "patchy": (0.16, 0.30)}[str(pattern)]
    # Log-uniform from barely visible to nearly white; one severity for the whole patient.
    severity = float(np.exp(rng.uniform(np.log(0.45), np.log(1.1))))
    side = int(rng.choice([-1, 1], p=[0.58, 0.42]))
    lesions = []
    for _ in range(count):
        size = float(rng.uniform(low, high))
        lesions.append(
            Consolidation(
                side=side if pattern != "patchy" or rng.random() < 0.55 else -side,
                across=float(rng.uniform(0.25, 0.75)),
                down=float(rng.beta(2.6, 1.7) * 0.75 + 0.15),
                width=size * float(rng.uniform(0.8, 1.2)),
                height=size * float(rng.uniform(0.75, 1.25)),
                raggedness=float(rng.uniform(0.7, 1.5)),
                density=float(np.clip(severity * rng.uniform(0.8, 1.25), 0.25, 1.0)),
                patchiness=float(rng.uniform(0.1, 0.7)),
                bronchogram=float(rng.uniform(0.1, 0.35) if rng.random() < 0.45 else 0.0),
                lobar=bool(pattern == "lobar" and rng.random() < 0.6),
            )
        )
    return tuple(lesions)


def _draw_fluids(rng: np.random.Generator) -> tuple[Fluid, ...]:
    first = int(rng.choice([-1, 1]))
    sides = (first, -first) if rng.random() < 0.3 else (first,)
    return tuple(
        Fluid(side, float(np.exp(rng.uniform(np.log(0.36), np.log(1.05)))), float(rng.uniform(0.35, 0.7)))
        for side in sides
    )
