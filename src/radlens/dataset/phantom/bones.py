"""Bones of the simulated patient: path length in compact bone along each ray."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np

from radlens.dataset.phantom.anatomy import Floats, Patient
from radlens.dataset.phantom.grid import Grid, Tube, bell, curve, mirrored, step
from radlens.dataset.phantom.physics import Acquisition


def bones(patient: Patient, acquisition: Acquisition, grid: Grid) -> Floats:
    """Path length in compact bone, shape (n, n), in half inner widths of the thorax.

    Spongy bone is counted as the compact bone that attenuates as much.
    """
    turn = math.sin(acquisition.rotation)
    points = round(150 * max(1.0, grid.n / 256))
    tubes = [
        _ribs(patient, turn, points),
        mirrored(_clavicle(patient, points), 0.55 * turn),
        mirrored(_upper_arm(patient, points)),
    ]
    if patient.soft.chin is not None:
        tubes.append(_jaw(patient.soft.chin, points))
    total = grid.tubes(*tubes)
    total += _spine(patient, -0.5 * turn, grid)
    total += _shoulder_blades(patient, grid)
    return np.asarray(np.maximum(total * np.float32(patient.skeleton.density), 0), np.float32)


def _ribs(patient: Patient, turn: float, points: int) -> Tube:
    """Eleven pairs of ribs: tilted ellipses around the chest, thinner in front and without the front ends."""
    thorax, skeleton = patient.thorax, patient.skeleton
    number = np.arange(len(skeleton.rib_shift), dtype=np.float32)[:, None]
    start = skeleton.rib_start + skeleton.rib_pitch * number + np.asarray(skeleton.rib_shift, np.float32)[:, None]
    slope = skeleton.rib_slope * (0.55 + 0.09 * np.minimum(number, 5))
    reach = thorax.lateral_edge(np.maximum(start + 0.5 * slope, 0.08)) + np.float32(0.025)
    depth = thorax.half_depth * (0.6 + 0.4 * reach)
    end = np.float32(math.pi) * (0.80 - 0.075 * np.maximum(number - 5, 0))
    angle = np.linspace(0, 1, points, dtype=np.float32)[None, :] * end
    x, y = np.maximum(reach * np.sin(angle), np.float32(0.10)), -depth * np.cos(angle)
    # A rib first rises a little from the spine, then falls around the side.
    z = start + slope * ((1 - np.cos(angle)) / 2) ** np.float32(0.9) - np.float32(0.03) * np.sin(2 * angle)
    length = np.sqrt(sum(np.gradient(part, axis=1) ** 2 for part in (x, y, z)))
    behind, fade = step((1.75 - angle) / 0.5), step((end - angle) / 0.12)
    volume = np.float32(skeleton.rib_bone) * length * (0.0042 * behind + 0.0026 * (1 - behind) * fade)
    x, height = np.asarray([x + turn * y, turn * y - x], np.float32), np.asarray([z, z], np.float32)
    return Tube(x, height, np.asarray([volume, volume], np.float32), skeleton.rib_width, 1.05)


def _clavicle(patient: Patient, points: int) -> Tube:
    skeleton = patient.skeleton
    medial, lateral, bow = skeleton.clavicle
    share = np.linspace(0, 1, points, dtype=np.float32)
    x = 0.11 + (skeleton.shoulder[1] - 0.13) * share
    z = medial + (lateral - medial) * share - 0.8 * bow * np.sin(np.float32(2 * math.pi) * share)
    return curve(x, z, 0.0095 * (1 - 0.3 * np.sin(np.float32(math.pi) * share)), 0.055, 1.0)


def _upper_arm(patient: Patient, points: int) -> Tube:
    share = np.linspace(0, 1, points, dtype=np.float32)
    (x, z), (far_x, far_z) = patient.skeleton.arm
    head = 1 + 1.2 * np.exp(-share / np.float32(0.04))
    return curve(x + 0.02 + (far_x - x) * share, z + (far_z - z) * share, 0.012 * head, 0.075, 1.0)


def _jaw(height: float, points: int) -> Tube:
    angle = np.linspace(0.15, math.pi - 0.15, points, dtype=np.float32)
    x, z = 0.36 * np.cos(angle), height + 0.22 * np.sin(angle)
    return curve(x.astype(np.float32), z.astype(np.float32), 0.012, 0.055, 1.0)


def _spine(patient: Patient, shift: float, grid: Grid) -> Floats:
    """Vertebral bodies with end plates and discs, pedicles, spinous and transverse processes, about the midline."""
    z = grid.z
    amplitude, phase = patient.skeleton.curve
    middle = amplitude * np.sin(np.float32(1.6) * z + np.float32(phase)) + shift
    _, columns = grid.window(0.0, 0.0, 0.36, 1.0)
    x = np.abs(grid.x[:, columns] - middle)
    # Vertebrae grow from the neck downwards.
    along = (z + 1.0) / (0.158 + 0.022 * (z + 1.0)) % 1.0
    off = np.abs(along - 0.5)
    width = (0.122 + 0.018 * (z + 0.5)) * (1 + 0.10 * (off * 2) ** 2)
    q = (x / width) ** 2
    spine = np.sqrt(np.maximum(1 - q * q, 0)) * (0.034 * step((0.46 - off) / 0.10) + 0.020 * bell((off - 0.39) / 0.035))
    spine += 0.045 * bell((x - 0.62 * width) / 0.022) * bell((along - 0.36) / 0.13)
    spine += 0.05 * bell(x / 0.022) * bell((along - 0.78) / 0.14)
    spine += 0.016 * step((0.27 - x) / 0.06) * bell((along - 0.36) / 0.10)
    total = np.zeros((grid.n, grid.n), np.float32)
    total[:, columns] = spine
    return total


def _shoulder_blades(patient: Patient, grid: Grid) -> Floats:
    """Thin plates between three corners, thicker at the rim."""
    shift = patient.skeleton.scapula
    top, tip, joint = (0.66 + shift, 0.02), (0.84 + shift, 0.92), (1.10 + 0.6 * shift, 0.22)
    total = np.zeros((grid.n, grid.n), np.float32)
    for side in (-1, 1):
        rows, columns = grid.window(side * (0.9 + shift), 0.47, 0.3, 0.52)
        x, z = side * grid.x[:, columns], grid.z[rows]
        inside = np.full((z.size, x.size), np.inf, np.float32)
        for (from_x, from_z), (to_x, to_z) in pairwise((top, tip, joint, top)):
            length = math.hypot(to_x - from_x, to_z - from_z)
            distance = (x - from_x) * ((to_z - from_z) / length) - (z - from_z) * ((to_x - from_x) / length)
            np.minimum(inside, distance, out=inside)
        rim = bell((inside - np.float32(0.018)) / np.float32(0.014))
        total[rows, columns] = np.float32(0.007) * np.clip(inside * 50, 0, 1) + np.float32(0.011) * rim
    return total
