"""Path lengths of the rays through the simulated patient, organ by organ, on the pixel grid."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from radlens.dataset.phantom.anatomy import Consolidation, Floats, Patient
from radlens.dataset.phantom.bones import bones
from radlens.dataset.phantom.grid import Grid, Tube, bell, curve, step, texture
from radlens.dataset.phantom.physics import Acquisition


@dataclass(frozen=True, eq=False)
class Paths:
    """Path lengths in half inner widths of the thorax, and where the lesions are; all of shape (n, n).

    Attributes:
        soft: in soft tissue, bone counted in.
        lung: in aerated lung.
        bone: in compact bone.
        lungs: what the lungs would fill without lesions.
        consolidation: presence of a consolidation, 0 to 1; None without any.
        fluid: presence of pleural fluid, 0 to 1; None without any.
    """

    soft: Floats
    lung: Floats
    bone: Floats
    lungs: Floats
    consolidation: Floats | None
    fluid: Floats | None


def project(patient: Patient, acquisition: Acquisition, size: int) -> Paths:
    """Trace the parallel rays of an acquisition through a patient, on the grid of a picture of this size."""
    grid = Grid.of(acquisition, size)
    coarse, fine = texture(patient.texture_seed, grid)
    lungs = _lungs(patient, acquisition, grid)
    vessels, airways = _vessels(patient, acquisition, grid)
    air = lungs
    consolidation = fluid = None
    if patient.consolidations:
        share, consolidation = _consolidations(patient, grid, lungs, coarse, fine, airways)
        air, vessels = air * (1 - share), vessels * (1 - share)
    if patient.fluids:
        fluid = _fluids(patient, acquisition, grid)
        air, vessels = air * (1 - np.float32(0.97) * fluid), vessels * (1 - fluid)
    lung = air * (1 + np.float32(0.035) * fine)
    # Vessels show where there is air around them, not through the heart.
    lung -= np.minimum(vessels * np.minimum(lungs * np.float32(1.6), 1), lung * np.float32(0.8))
    soft = _body(patient, grid, coarse) - lung
    hollow = _trachea(patient, acquisition, grid) + _gas(patient, acquisition, grid, coarse)
    soft -= np.minimum(hollow, soft * np.float32(0.9))
    return Paths(np.maximum(soft, 0), lung, bones(patient, acquisition, grid), lungs, consolidation, fluid)


def _lungs(patient: Patient, acquisition: Acquisition, grid: Grid) -> Floats:
    """Chest cavity, half an ellipse on each side in every horizontal section, less what fills it from within.

    Heart and diaphragm overlap along the ray: the heart lies on the dome, so they leave room as one body.
    """
    thorax = patient.thorax
    depth = 2 * thorax.half_depth
    outer, inner = thorax.lateral_edge(grid.z), thorax.medial_edge(grid.z)
    share = np.clip(grid.z / np.float32(thorax.base), 0, 1)
    across = (np.abs(grid.x) - inner) / np.maximum(outer - inner, np.float32(1e-3))
    chord = np.sqrt(np.clip(1 - across * across, 0, 1)) * np.sqrt(np.clip(across * 5, 0, 1))
    chord *= depth * (1 - (1 - share) ** np.float32(2.5)) ** np.float32(0.6) * (grid.z > 0)
    lift = -acquisition.inspiration
    dome = np.where(grid.x < 0, thorax.dome(grid.x, -1, lift), thorax.dome(grid.x, 1, lift))
    diaphragm = np.clip((grid.z - dome) / thorax.dome_fall[2], 0, 1) * depth**2
    within = _merged(diaphragm, *_heart(patient, acquisition, grid))
    return np.asarray(np.maximum(chord - within, 0), np.float32)


def _heart(patient: Patient, acquisition: Acquisition, grid: Grid) -> tuple[Floats, Floats, Floats]:
    """Squared chords of the left heart and the right heart, both ellipsoids, and of the great vessels."""
    heart, height = patient.heart, patient.thorax.lung_height
    x = grid.x - np.float32(0.25 * math.sin(acquisition.rotation))
    left, right = 2 * heart.ratio * heart.left_share, 2 * heart.ratio * (1 - heart.left_share)
    low = height + max(patient.thorax.left_dome, 0.0) + acquisition.inspiration + 0.24
    # The left heart reaches from the right of the midline to the left border; its long axis is tilted.
    extent, centre = (left + 0.4 * right) / 2, (left - 0.4 * right) / 2
    cos, sin = math.cos(heart.tilt), math.sin(heart.tilt)
    long = extent / math.hypot(cos, heart.slimness * sin)
    short = heart.slimness * long
    dx, dz = x - centre, grid.z - np.float32(low - math.hypot(long * sin, short * cos))
    along, athwart = dx * (cos / long) + dz * (sin / long), dz * (cos / short) - dx * (sin / short)
    ventricle = np.maximum(1 - along * along - athwart * athwart, 0) * (2 * heart.half_depth) ** 2
    width = 0.8 * right + 0.05
    flat = ((x + (right - width)) / width) ** 2 + ((grid.z - np.float32(low - 0.5)) / 0.40) ** 2
    atrium = np.maximum(1 - flat, 0) * (1.7 * heart.half_depth) ** 2
    u = grid.z / np.float32(height)
    arch = heart.knob * bell((u - 0.27) / 0.075) + 0.12 * bell((u - 0.47) / 0.12)
    border = heart.mediastinum + np.where(x > 0, arch, heart.unfolding * bell((u - 0.34) / 0.16))
    border = border * np.clip(0.825 + 0.25 * grid.z, 0.6, 1)
    vessels = np.maximum(1 - (x / border) ** 2, 0) * 0.84**2
    return ventricle, atrium, vessels


def _merged(*squares: Floats) -> Floats:
    """Chord of bodies that merge with soft seams, from the squares of their chords."""
    total = squares[0] * squares[0]
    for square in squares[1:]:
        total = total + square * square
    return np.asarray(np.sqrt(np.sqrt(total)), np.float32)


def _body(patient: Patient, grid: Grid, coarse: Floats) -> Floats:
    """Path length in trunk, neck, shoulders, arms, breasts and head, lungs included."""
    thorax, soft, skeleton = patient.thorax, patient.soft, patient.skeleton
    x, z = np.abs(grid.x), grid.z
    # Below the apex the wall stands outside the ribs; above, it narrows into the root of the neck.
    side = np.maximum(thorax.lateral_edge(z + np.float32(0.08)), 0.35) + np.float32(thorax.wall + 0.045)
    depth = 0.60 + (2 * thorax.half_depth - 0.40) * step((z + 0.15) / (0.6 * thorax.lung_height))
    q = (x / side) ** 2
    trunk = np.maximum(1 - q * np.sqrt(q), 0) * (depth * depth * step((z + 0.35) / 0.3))
    neck = soft.neck * (1 + 1.3 * step((z + 0.6) / 0.6))
    neck = np.maximum(1 - (x / neck) ** 2, 0) * (0.36 * step((0.45 - z) / 0.5))
    joint, hand = skeleton.arm
    shoulder = _limb(x, z, (0.15, joint[1] - 0.08), joint, 0.34, 0.27)
    body = _merged(trunk, neck, shoulder, _limb(x, z, joint, hand, 0.26, 0.20))
    body *= 1 + np.float32(0.02) * coarse
    thickness, down, spread = soft.breast
    if thickness > 0:
        q = ((x - 0.52) / spread) ** 2 + ((z - down) / (0.8 * spread)) ** 2
        body += thickness * np.sqrt(np.maximum(1 - q, 0))
    if soft.chin is not None:
        q = (x / 0.46) ** 2 + ((z - np.float32(soft.chin)) / 0.34) ** 2
        body += np.float32(0.9) * np.sqrt(np.maximum(1 - q, 0))
    return body


def _limb(
    x: Floats, z: Floats, start: tuple[float, float], end: tuple[float, float], first: float, last: float
) -> Floats:
    """Squared chord of a limb between two points whose radius changes from the first to the last."""
    dx, dz = end[0] - start[0], end[1] - start[1]
    squared = dx * dx + dz * dz
    from_x, from_z = x - start[0], z - start[1]
    share = np.clip(from_x * (dx / squared) + from_z * (dz / squared), 0, 1)
    away = (from_x - share * dx) ** 2 + (from_z - share * dz) ** 2
    return np.asarray(4 * np.maximum((first + share * (last - first)) ** 2 - away, 0), np.float32)


def _gas(patient: Patient, acquisition: Acquisition, grid: Grid, coarse: Floats) -> Floats:
    """Path length in the gas of stomach and bowel."""
    thorax = patient.thorax
    bubbles = list(patient.soft.bowel)
    if patient.soft.stomach is not None:
        x, under, width, height = patient.soft.stomach
        top = thorax.lung_height + thorax.left_dome + acquisition.inspiration
        bubbles.append((x, top + under + height, width, height, 0.45 * width))
    gas = np.zeros((grid.n, grid.n), np.float32)
    for x, down, width, height, depth in bubbles:
        rows, columns = grid.window(x, down, 1.4 * width, 1.4 * height)
        q = ((grid.x[:, columns] - x) / width) ** 2 + ((grid.z[rows] - down) / height) ** 2
        q = q + np.float32(0.45) * coarse[rows, columns]
        gas[rows, columns] += 2 * depth * np.clip(1 - q, 0, 1)
    return gas


def _trachea(patient: Patient, acquisition: Acquisition, grid: Grid) -> Floats:
    """Path length in the windpipe and the two main bronchi."""
    share = np.linspace(0, 1, 96, dtype=np.float32)
    carina = 0.36 * patient.thorax.lung_height
    middle = 0.05 * math.sin(acquisition.rotation)
    return grid.tubes(
        curve(middle + 0.02 * share, (carina + 0.8) * share - 0.8, 0.0105, 0.052),
        curve(middle - 0.24 * share, carina + 0.22 * share, 0.0055, 0.052),
        curve(middle + 0.32 * share, carina + 0.20 * share, 0.0050, 0.052),
    )


def _vessels(patient: Patient, acquisition: Acquisition, grid: Grid) -> tuple[Floats, Floats]:
    """Path length in the vessels of the lungs, and 0 to 1 where a larger airway runs next to one."""
    vessels = patient.vessels
    thick, thin = vessels.radius > 0.017, vessels.radius <= 0.009
    middle = ~thick & ~thin
    accompanied = grid.tubes(*(_pieces(patient, acquisition, part, r) for part, r in ((thick, 0.023), (middle, 0.012))))
    return accompanied + grid.tubes(_pieces(patient, acquisition, thin, 0.006)), np.clip(accompanied * 40, 0, 1)


def _pieces(patient: Patient, acquisition: Acquisition, part: npt.NDArray[np.bool_], radius: float) -> Tube:
    """Some pieces of the vessels, drawn with one radius but each with its own volume."""
    start_x, start_z, end_x, end_z, size = (field[part] for field in vars(patient.vessels).values())
    dx, dz = end_x - start_x, end_z - start_z
    length = np.hypot(dx, dz)
    # About one point for 0.015 of length: closer than the pixels of a common picture.
    count = max(int(np.max(length, initial=0) / 0.015), 4)
    share = (np.arange(count, dtype=np.float32) + np.float32(0.5)) / np.float32(count)
    x = start_x[:, None] + dx[:, None] * share
    z = start_z[:, None] + dz[:, None] * share + np.float32(0.4 * acquisition.inspiration)
    volume = np.repeat((np.float32(math.pi / count) * size * size * length)[:, None], count, axis=1)
    return Tube(x, z, volume, radius)


def _consolidations(
    patient: Patient, grid: Grid, lungs: Floats, coarse: Floats, fine: Floats, airways: Floats
) -> tuple[Floats, Floats]:
    """Share of the lung's air that is replaced, and presence of a consolidation; both 0 to 1."""
    kept = np.ones((grid.n, grid.n), np.float32)
    presence = np.zeros((grid.n, grid.n), np.float32)
    for lesion in patient.consolidations:
        rows, columns, extent = _extent(patient, lesion, grid, coarse)
        rough = coarse[rows, columns]
        mottle = np.clip(0.75 + np.float32(0.35) * (fine[rows, columns] - rough), 0, 1)
        share = extent * (1 - lesion.patchiness * (1 - mottle)) * lesion.density
        share *= 1 - np.float32(lesion.bronchogram) * airways[rows, columns]
        # A small focus is shallow too: it cannot fill the whole depth of the lung.
        thickness = 2.4 * math.sqrt(lesion.width * lesion.height) * extent
        share *= np.minimum(thickness / np.maximum(lungs[rows, columns], np.float32(0.05)), 1)
        kept[rows, columns] *= 1 - share
        presence[rows, columns] = np.maximum(presence[rows, columns], extent)
    return 1 - kept, presence


def _extent(patient: Patient, lesion: Consolidation, grid: Grid, coarse: Floats) -> tuple[slice, slice, Floats]:
    """Where one consolidation is: rows, columns, and its presence there, 0 to 1, with an irregular soft edge."""
    thorax = patient.thorax
    down = lesion.down * thorax.lung_height
    inner, outer = float(thorax.medial_edge(down)), float(thorax.lateral_edge(down))
    x = lesion.side * (inner + lesion.across * (outer - inner))
    rows, columns = grid.window(x, down, 2.4 * lesion.width, 2.4 * lesion.height)
    dx, dz = (grid.x[:, columns] - x) / lesion.width, (grid.z[rows] - down) / lesion.height
    away = np.sqrt(dx * dx + dz * dz)
    # The noise shapes the edge and spares the core.
    field = 1.1 - away + np.minimum(away, 1) * np.float32(0.6 * lesion.raggedness) * coarse[rows, columns]
    extent = step(field / np.float32(0.9))
    if lesion.lobar:
        fissure = thorax.fissure * thorax.lung_height + 0.12 * (np.abs(grid.x[:, columns]) - 0.5)
        beyond = grid.z[rows] - fissure if lesion.down > thorax.fissure else fissure - grid.z[rows]
        extent = extent * np.clip(beyond / 0.03 + 1, 0, 1)
    return rows, columns, np.asarray(extent, np.float32)


def _fluids(patient: Patient, acquisition: Acquisition, grid: Grid) -> Floats:
    """Presence of pleural fluid below a meniscus that climbs the outer wall, 0 to 1."""
    thorax = patient.thorax
    outer, inner = thorax.lateral_edge(grid.z), thorax.medial_edge(grid.z)
    across = np.clip((np.abs(grid.x) - inner) / np.maximum(outer - inner, np.float32(1e-3)), 0, 1)
    present = np.zeros((grid.n, grid.n), np.float32)
    for fluid in patient.fluids:
        climb = 1 - fluid.meniscus * (1 - across * across)
        top = thorax.base + 0.5 * acquisition.inspiration - fluid.level * climb
        present = np.maximum(present, step((grid.z - top) / 0.16) * (grid.x * fluid.side > 0))
    return present
