"""Geometry of the phantoms against closed forms and against what radiologists measure."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radlens.dataset.phantom.anatomy import Patient
from radlens.dataset.phantom.grid import Grid, curve, mirrored, padded, texture
from radlens.dataset.phantom.physics import Acquisition
from radlens.dataset.phantom.projection import _heart, project
from radlens.dataset.phantom.sampling import draw_acquisition, draw_patient


def _pair(seed: int, *findings: str) -> tuple[Patient, Acquisition]:
    rng = np.random.default_rng(seed)
    patient = draw_patient(rng, findings)
    straight = replace(draw_acquisition(rng), rotation=0.0, tilt=0.0, shift=(0.0, 0.0), inspiration=0.0)
    return patient, straight


@given(size=st.integers(32, 700))
def test_padded_leaves_a_margin(size: int) -> None:
    assert size + 8 <= padded(size) <= 1.35 * size + 8


def test_splat_and_tubes_keep_the_volume() -> None:
    grid = Grid.of(_pair(0)[1], 224)
    share = np.linspace(0, 1, 300, dtype=np.float32)
    tube = mirrored(curve(0.2 + 0.5 * share, 0.3 + 0.8 * share, 0.004, 0.05, 0.8))
    expected = 2 * 0.004 * np.hypot(0.5, 0.8)
    for image in (grid.splat(tube.x, tube.z, tube.volume), grid.tubes(tube)):
        assert image.sum() * grid.pixel**2 == pytest.approx(expected, rel=1e-2)


def test_section_of_a_straight_tube_is_its_area() -> None:
    grid = Grid.of(_pair(0)[1], 224)
    height = np.linspace(-0.5, 2.5, 900, dtype=np.float32)
    image = grid.tubes(curve(np.full_like(height, 0.3), height, 0.0021, 0.06))
    row = image[grid.n // 2]
    assert row.sum() * grid.pixel == pytest.approx(0.0021, rel=0.02)
    assert not (np.abs(grid.x[0][row > 1e-4] - 0.3) > 0.075).any()


@pytest.mark.parametrize("seed", range(6))
def test_heart_is_as_wide_as_its_ratio_says(seed: int) -> None:
    for findings in ((), ("cardiomegaly",)):
        patient, acquisition = _pair(seed, *findings)
        grid = Grid.of(replace(acquisition, field=1.3), 448)
        ventricle, atrium, _ = _heart(patient, acquisition, grid)
        columns = np.flatnonzero((np.maximum(ventricle, atrium) > 0).any(axis=0))
        measured = (columns[-1] - columns[0]) * grid.pixel / 2
        assert measured == pytest.approx(patient.heart.ratio, abs=0.01)
        assert (measured > 0.5) == bool(findings)


def test_disease_leaves_the_healthy_anatomy_as_it_is() -> None:
    healthy, _ = _pair(3)
    for finding in ("pneumonia", "effusion"):
        ill, _ = _pair(3, finding)
        assert ill.thorax == healthy.thorax
        assert ill.heart == healthy.heart
        assert ill.skeleton == healthy.skeleton
        np.testing.assert_array_equal(ill.vessels.end_x, healthy.vessels.end_x)
    large, _ = _pair(3, "cardiomegaly")
    assert replace(large.heart, ratio=healthy.heart.ratio) == healthy.heart


def test_unknown_finding_is_refused() -> None:
    with pytest.raises(ValueError, match="fracture"):
        draw_patient(np.random.default_rng(0), ["fracture"])


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32), ill=st.sets(st.sampled_from(["cardiomegaly", "effusion", "pneumonia"])))
def test_paths_are_finite_and_positive(seed: int, ill: set[str]) -> None:
    rng = np.random.default_rng(seed)
    paths = project(draw_patient(rng, ill), draw_acquisition(rng), 48)
    for name in ("soft", "lung", "bone", "lungs"):
        path = getattr(paths, name)
        assert path.dtype == np.float32
        assert np.isfinite(path).all()
        assert path.min() >= 0
    assert (paths.consolidation is not None) == ("pneumonia" in ill)
    assert (paths.fluid is not None) == ("effusion" in ill)
    assert (paths.lung <= paths.lungs * 1.3 + 1e-5).all()


def test_effusion_fills_the_costophrenic_angle() -> None:
    patient, acquisition = _pair(5, "effusion")
    fluid = patient.fluids[0]
    grid = Grid.of(acquisition, 128)
    paths = project(patient, acquisition, 128)
    without = project(replace(patient, fluids=()), acquisition, 128)
    angle = (grid.x * fluid.side > 0) & (grid.z > patient.thorax.base - 0.15 * fluid.level) & (without.lung > 0.02)
    assert angle.any()
    assert paths.lung[angle].sum() < 0.1 * without.lung[angle].sum()
    apex = (grid.z < 0.3 * patient.thorax.lung_height) & (grid.x * fluid.side > 0)
    assert paths.lung[apex].sum() > 0.95 * without.lung[apex].sum()


def test_texture_is_fixed_to_the_patient() -> None:
    grid = Grid.of(_pair(0)[1], 200)
    coarse, fine = texture(7, grid)
    assert coarse.std() == pytest.approx(1.0, abs=0.35)
    assert fine.std() == pytest.approx(1.0, abs=0.35)
    pixels = 11
    moved = replace(_pair(0)[1], shift=(pixels * grid.pixel, 0.0))
    shifted, _ = texture(7, Grid.of(moved, 200))
    np.testing.assert_allclose(shifted[:, pixels:-4], coarse[:, : -pixels - 4], atol=0.05)
