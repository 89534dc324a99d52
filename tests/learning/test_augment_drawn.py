"""Drawn parameters: within their limits, at their probabilities, and from seed and epoch alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from radlens.config import AugmentSettings
from radlens.learning.augment import COLUMNS, UNCHANGED, draw, draw_epoch

NONE = AugmentSettings(rotation=0, zoom=(1, 1), shift=0, flip_horizontal=0, flip_vertical=0, brightness=0, contrast=0)


def test_a_crop_keeps_its_share_of_the_area_and_lies_anywhere_within_the_image() -> None:
    settings = NONE.model_copy(update={"crop": (0.25, 1.0)})
    columns = dict(zip(COLUMNS, draw(20_000, settings, np.random.default_rng(0)).T, strict=True))
    area = columns["zoom"] ** -2.0
    assert 0.25 - 1e-3 <= area.min() < 0.26
    assert 0.99 < area.max() <= 1 + 1e-5
    assert area.mean() == pytest.approx(0.625, abs=0.01), "uniform in the area"
    free = (columns["zoom"] - 1) / 2
    for name in ("shift_x", "shift_y"):
        assert (np.abs(columns[name]) <= free + 1e-6).all(), "the crop leaves the image"
        assert np.quantile(columns[name][free > 0.3] / free[free > 0.3], [0.05, 0.95]) == pytest.approx(
            [-0.9, 0.9], abs=0.05
        )


def test_degradations_come_at_their_probability_and_within_their_limits(degraded: AugmentSettings) -> None:
    columns = dict(zip(COLUMNS, draw(20_000, degraded, np.random.default_rng(0)).T, strict=True))
    for name, unchanged, low, high in (
        ("blur", 0, 0, 1.5),
        ("resolution", 1, 0.4, 1),
        ("jpeg", 100, 30, 100),
        ("noise", 0, 0, 0.1),
        ("frame", 0, 0, 0.2),
    ):
        changed = columns[name] != unchanged
        # Of the qualities from 30 to 100 one leaves the image as it is.
        assert changed.mean() == pytest.approx(0.5, abs=0.02), name
        assert low - 1e-6 <= columns[name].min() <= columns[name].max() <= high + 1e-6
        assert np.ptp(columns[name][changed]) > 0.95 * (high - low)
    assert np.log(columns["gamma"]).mean() == pytest.approx(0, abs=0.02)


def test_coverings_come_at_their_probability_and_in_any_grey(degraded: AugmentSettings) -> None:
    columns = dict(zip(COLUMNS, draw(20_000, degraded, np.random.default_rng(0)).T, strict=True))
    framed, hidden = columns["frame"] > 0, columns["border_left"] > 0
    assert hidden.mean() == pytest.approx(0.1, abs=0.01)
    assert (framed & hidden).mean() == pytest.approx(0.05, abs=0.01), "one depends on the other"
    assert (columns["frame_grey"][framed] == 0).mean() == pytest.approx(0.5, abs=0.02), "as often black"
    for name, covered in (("frame_grey", framed), ("middle_grey", hidden)):
        assert not columns[name][~covered].any()
        assert columns[name][covered].max() > 0.97
    assert np.quantile(columns["border_left"][hidden], [0, 1]) == pytest.approx(degraded.hide_border, abs=0.005)


def test_without_coverings_the_other_parameters_are_the_same(degraded: AugmentSettings) -> None:
    """Runs of before are drawn again as they were."""
    without = draw(500, degraded.model_copy(update={"frame": 0.0, "hide": 0.0}), np.random.default_rng(0))
    assert (without[:, 14:18] == 0).all()
    np.testing.assert_array_equal(without[:, :14], draw(500, degraded, np.random.default_rng(0))[:, :14])


def test_drawn_parameters_lie_within_their_limits_and_fill_them(moves: AugmentSettings) -> None:
    table = draw(20_000, moves, np.random.default_rng(0))
    assert table.dtype == np.float32
    assert table.shape == (20_000, len(COLUMNS))
    columns = dict(zip(COLUMNS, table.T, strict=True))
    limits = {
        "angle": (-20, 20),
        "zoom": (0.5, 2),
        "shift_x": (-0.1, 0.1),
        "shift_y": (-0.1, 0.1),
        "brightness": (-0.2, 0.2),
        "contrast": (0.6, 1.4),
    }
    for name, (low, high) in limits.items():
        assert low - 1e-6 <= columns[name].min() < low + 0.02 * (high - low), name
        assert high + 1e-6 >= columns[name].max() > high - 0.02 * (high - low), name
    for name, share in {"flip_x": 0.5, "flip_y": 0.3}.items():
        assert set(columns[name]) == {0.0, 1.0}
        assert columns[name].mean() == pytest.approx(share, abs=0.02)
    assert np.log(columns["zoom"]).mean() == pytest.approx(0, abs=0.02), "enlarging and shrinking are as likely"
    between = np.corrcoef(table[:, :8].T) - np.eye(8)
    assert np.abs(between).max() < 0.04, "the columns depend on one another"


def test_settings_of_nothing_and_disabled_settings_change_nothing(moves: AugmentSettings) -> None:
    rng = np.random.default_rng(0)
    np.testing.assert_array_equal(draw(5, NONE, rng), np.tile(np.array(UNCHANGED, np.float32), (5, 1)))
    disabled = moves.model_copy(update={"enabled": False})
    np.testing.assert_array_equal(draw(5, disabled, rng), np.tile(np.array(UNCHANGED, np.float32), (5, 1)))


@given(st.integers(0, 2**31 - 1), st.integers(0, 500))
def test_an_epochs_parameters_follow_from_seed_and_epoch_alone(
    degraded: AugmentSettings, seed: int, epoch: int
) -> None:
    first = draw_epoch(7, degraded, seed, epoch)
    np.random.default_rng().random(100)
    torch.rand(3)
    np.testing.assert_array_equal(draw_epoch(7, degraded, seed, epoch), first)
    for other in (draw_epoch(7, degraded, seed, epoch + 1), draw_epoch(7, degraded, seed + 1, epoch)):
        assert (other[:, COLUMNS.index("angle")] != first[:, COLUMNS.index("angle")]).all()


def test_epochs_and_seeds_are_drawn_independently(moves: AugmentSettings) -> None:
    angles = {(seed, epoch): draw_epoch(4000, moves, seed, epoch)[:, 0] for seed in (0, 1) for epoch in (0, 1, 2)}
    between = np.corrcoef(list(angles.values())) - np.eye(6)
    assert np.abs(between).max() < 0.06
