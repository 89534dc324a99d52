"""The window that training images show: stretched, cut at each side by itself, with black margins; against truth."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from radlens.config import AugmentSettings
from radlens.imaging.framing import Framing, reframe
from radlens.imaging.preprocess import Preprocessing
from radlens.learning.augment import COLUMNS, UNCHANGED, apply, draw

GREY_LEVELS = Preprocessing(low=0.0, high=255.0)
NONE = AugmentSettings(rotation=0, zoom=(1, 1), flip_horizontal=0)


def smooth(height: int, width: int) -> npt.NDArray[np.uint8]:
    """A picture without symmetry, shape (1, 1, height, width); black is nowhere in it."""
    noise = gaussian_filter(np.random.default_rng(3).normal(size=(height, width)), 5)
    return np.asarray(40 + 200 * (noise - noise.min()) / np.ptp(noise), np.uint8)[None, None]


def shown(pixels: npt.NDArray[np.uint8], framing: Framing, margin: float) -> npt.NDArray[np.float32]:
    """What the augmentation makes of a picture when its parameters are those of a window."""
    width, height = framing.right - framing.left, framing.bottom - framing.top
    row = dict(zip(COLUMNS, UNCHANGED, strict=True))
    row |= {"zoom": (width * height) ** -0.5, "stretch": width / height, "margin": margin}
    row["shift_x"] = (0.5 - (framing.left + framing.right) / 2) / width
    row["shift_y"] = (0.5 - (framing.top + framing.bottom) / 2) / height
    parameters = torch.tensor([list(row.values())], dtype=torch.float32)
    return np.asarray(apply(torch.from_numpy(pixels.copy()), parameters, GREY_LEVELS).numpy())


@given(st.lists(st.floats(0.0, 0.4), min_size=4, max_size=4))
def test_a_window_within_the_picture_is_what_reframing_shows(edges: list[float]) -> None:
    top, bottom, left, right = edges
    framing, pixels = Framing(top, 1 - bottom, left, 1 - right), smooth(72, 96)
    found, expected = shown(pixels, framing, 0.0), reframe(pixels, framing)
    # Within one pixel of the original, the augmentation blends in what was cut off; reframing does not.
    down, across = (math.ceil(1 / (1 - near - far)) + 1 for near, far in ((top, bottom), (left, right)))
    inner = (..., slice(down, -down), slice(across, -across))
    np.testing.assert_allclose(found[inner], expected[inner], atol=0.6)


def test_beyond_the_picture_it_is_black_with_a_margin_and_repeats_the_border_without() -> None:
    framing, pixels = Framing(-0.25, 1.25, -0.5, 1.0), smooth(60, 60)
    black, repeated = shown(pixels, framing, 1.0)[0, 0], shown(pixels, framing, 0.0)[0, 0]
    assert (black[:10] == 0).all()
    assert (black[50:] == 0).all()
    assert (black[:, :20] == 0).all()
    assert (black[10:50, 20:] >= 39).all()
    np.testing.assert_array_equal(repeated[10:50, 20:], black[10:50, 20:])
    np.testing.assert_allclose(repeated[:10, 20:], np.repeat(repeated[10:11, 20:], 10, axis=0), atol=3)
    assert repeated.min() >= 39


def test_a_stretch_goes_along_the_rows_of_the_result_whatever_the_rotation() -> None:
    """A disc, turned or not, becomes an upright ellipse whose axes are in the ratio of the stretch."""
    rows, columns = np.indices((120, 120)) - 59.5
    disc = (200 * (np.hypot(rows, columns) < 20)).astype(np.uint8)[None, None]
    for angle in (0.0, 45.0):
        row = dict(zip(COLUMNS, UNCHANGED, strict=True)) | {"stretch": 2.25, "angle": angle}
        found = apply(torch.from_numpy(disc), torch.tensor([list(row.values())], dtype=torch.float32), GREY_LEVELS)
        rows_on, columns_on = np.nonzero(found[0, 0].numpy() > 100)
        assert np.ptp(rows_on) + 1 == pytest.approx(40 * 1.5, abs=2)
        assert np.ptp(columns_on) + 1 == pytest.approx(40 / 1.5, abs=2)


def windows(settings: AugmentSettings, images: int = 20_000) -> npt.NDArray[np.float64]:
    """Top, bottom, left and right margin (above 0: cut off) of drawn windows, shape (4, images)."""
    table = dict(zip(COLUMNS, draw(images, settings, np.random.default_rng(0)).astype(float).T, strict=True))
    width, height = table["stretch"] ** 0.5 / table["zoom"], table["stretch"] ** -0.5 / table["zoom"]
    across, down = 0.5 - table["shift_x"] * width, 0.5 - table["shift_y"] * height
    return np.stack([down - height / 2, 1 - down - height / 2, across - width / 2, 1 - across - width / 2])


def test_each_side_is_cut_by_itself_within_its_limits() -> None:
    cut = windows(NONE.model_copy(update={"sides": (-0.1, 0.2)}))
    for side in cut:
        assert -0.1 - 1e-5 <= side.min() < -0.098
        assert 0.198 < side.max() <= 0.2 + 1e-5
        assert side.mean() == pytest.approx(0.05, abs=0.003)
    assert np.abs(np.corrcoef(cut) - np.eye(4)).max() < 0.04, "one side depends on another"


def test_a_stretch_is_as_likely_up_as_across_and_keeps_the_area() -> None:
    table = dict(
        zip(COLUMNS, draw(20_000, NONE.model_copy(update={"stretch": 0.6}), np.random.default_rng(0)).T, strict=True)
    )
    logs = np.log(table["stretch"])
    assert -0.6 <= logs.min() < -0.59
    assert 0.59 < logs.max() <= 0.6
    assert logs.mean() == pytest.approx(0, abs=0.02)
    np.testing.assert_allclose(table["zoom"], 1, rtol=1e-5)


def test_a_crop_of_another_aspect_lies_anywhere_within_the_image() -> None:
    cut = windows(NONE.model_copy(update={"crop": (0.3, 0.3), "stretch": 0.5}))
    assert cut.min() >= -1e-5, "the window leaves the image"
    share = cut[0] / (cut[0] + cut[1])
    assert np.quantile(share, [0.05, 0.5, 0.95]) == pytest.approx([0.05, 0.5, 0.95], abs=0.02)


def test_margins_are_black_at_their_probability() -> None:
    margin = draw(20_000, NONE.model_copy(update={"margin": 0.3}), np.random.default_rng(0))[:, COLUMNS.index("margin")]
    assert set(margin) == {0.0, 1.0}
    assert margin.mean() == pytest.approx(0.3, abs=0.02)


def test_what_was_drawn_before_is_drawn_as_it_was() -> None:
    """Runs without the new settings keep their images: the draws of a window come last."""
    new = {"stretch": 0.6, "sides": (-0.1, 0.2), "margin": 0.5}
    with_window = draw(300, NONE.model_copy(update={"brightness": 0.2, "noise": 0.1} | new), np.random.default_rng(1))
    without = draw(300, NONE.model_copy(update={"brightness": 0.2, "noise": 0.1}), np.random.default_rng(1))
    kept = [COLUMNS.index(name) for name in ("angle", "brightness", "noise", "noise_seed", "border_left")]
    np.testing.assert_array_equal(with_window[:, kept], without[:, kept])
    assert (without[:, COLUMNS.index("stretch")] == 1).all()
