"""Physics of the phantoms against closed forms."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from radlens.dataset.phantom.physics import (
    MU_BONE,
    MU_LUNG,
    MU_SOFT,
    Acquisition,
    attenuation,
    expose,
    mark,
    shutter,
    transmission,
)
from radlens.dataset.phantom.sampling import draw_acquisition


@pytest.fixture
def acquisition() -> Acquisition:
    plain = draw_acquisition(np.random.default_rng(0))
    return replace(plain, marker="", collimation=(0.0, 0.0, 0.0, 0.0))


def test_slab_follows_beer_lambert() -> None:
    soft, bone = np.array([[0.0, 5.0, 20.0]], np.float32), np.array([[0.0, 0.0, 1.5]], np.float32)
    passed = transmission(attenuation({MU_SOFT: soft, MU_BONE: bone}))
    np.testing.assert_allclose(passed[0], [1.0, np.exp(-MU_SOFT * 5), np.exp(-MU_SOFT * 20 - MU_BONE * 1.5)], rtol=1e-5)


def test_transmissions_of_layers_multiply() -> None:
    first, second = np.array([3.0], np.float32), np.array([4.0], np.float32)
    both = transmission(attenuation({MU_SOFT: first + second}))
    one, other = (transmission(attenuation({MU_SOFT: part})) for part in (first, second))
    np.testing.assert_allclose(both, one * other, rtol=1e-5)


def test_coefficients_lie_between_the_tabulated_energies() -> None:
    # NISTIR 5632, ICRU-44 tissues: mass attenuation in cm2/g at 60 and at 80 keV, times density.
    assert 0.1823 * 1.06 < MU_SOFT < 0.2048 * 1.06
    assert 0.2229 * 1.92 < MU_BONE < 0.3148 * 1.92
    assert 0.1826 * 0.26 < MU_LUNG < 0.2053 * 0.26


def test_thicker_is_brighter_and_air_is_dark(acquisition: Acquisition) -> None:
    thickness = np.tile(np.linspace(0, 25, 112, dtype=np.float32), (112, 1))
    primary = transmission(attenuation({MU_SOFT: thickness}))
    shown = expose(primary, acquisition, np.zeros_like(primary))
    profile = shown.mean(axis=0)
    assert profile[0] < 0.05
    assert (np.diff(profile) > -1e-3).all()
    assert profile[-1] > 0.5
    assert shown.min() >= 0
    assert shown.max() <= 1


def test_noise_falls_with_the_square_root_of_the_dose(acquisition: Acquisition) -> None:
    primary = np.full((112, 112), 0.05, np.float32)
    noise = np.random.default_rng(1).standard_normal(primary.shape, dtype=np.float32)
    low, high = (expose(primary, replace(acquisition, quanta=quanta), noise).std() for quanta in (4e4, 16e4))
    assert low / high == pytest.approx(2.0, rel=0.05)


def test_scatter_lowers_contrast(acquisition: Acquisition) -> None:
    primary = np.full((112, 112), 0.02, np.float32)
    primary[40:72, 40:72] = 0.1
    contrast = []
    for share in (0.0, 0.4):
        shown = expose(primary, replace(acquisition, scatter=share), np.zeros_like(primary))
        contrast.append(float(shown[:30].mean() - shown[48:64, 48:64].mean()))
    assert contrast[1] < contrast[0]


def test_shutter_blackens_the_margins(acquisition: Acquisition) -> None:
    shown = np.ones((100, 100), np.float32)
    shutter(shown, replace(acquisition, collimation=(0.05, 0.1, 0.0, 0.02)))
    assert not shown[:, :5].any()
    assert not shown[:, 90:].any()
    assert not shown[98:].any()
    assert shown[:98, 5:90].all()


@pytest.mark.parametrize("letter", ["R", "L"])
def test_marker_lies_where_it_was_drawn(acquisition: Acquisition, letter: str) -> None:
    shown = np.zeros((224, 224), np.float32)
    mark(shown, replace(acquisition, marker=letter, marker_at=(0.1, 0.3)))
    rows, columns = np.nonzero(shown > 0.5)
    assert abs(rows.mean() - 0.3 * 224) < 6
    assert abs(columns.mean() - 0.1 * 224) < 6


def test_planted_tag_lies_in_the_lower_left_corner(acquisition: Acquisition) -> None:
    shown = np.zeros((100, 100), np.float32)
    mark(shown, acquisition)
    assert not shown.any()
    mark(shown, replace(acquisition, cue=True))
    assert shown[92:96, 4:9].min() > 0.9
    assert not shown[:85].any()
    assert not shown[:, 15:].any()
