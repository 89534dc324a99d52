"""Facts of the frame: what is shown around a chest whose place is known."""

from __future__ import annotations

import numpy as np
import pytest

from fixture_types import MakeImages
from radlens.dataset.audit.framing import FACTS, MIDDLE, chest_of, framing_facts, profiles
from radlens.dataset.audit.typical_picture import SIDE


def chest(top: float, bottom: float, left: float, right: float, frame: tuple[float, ...], size: int = 64) -> np.ndarray:
    """A bright body with two dark lungs in a box of the scene, seen in a frame (top, bottom, left, right)."""
    v = frame[0] + (frame[1] - frame[0]) * (np.arange(size)[:, None] + 0.5) / size
    u = frame[2] + (frame[3] - frame[2]) * (np.arange(size) + 0.5) / size
    middle, wide = (left + right) / 2, (right - left) / 2
    lungs = (v > top) & (v < bottom) & (np.abs(u - middle) > 0.3 * wide) & (np.abs(u - middle) < wide)
    body = np.abs(u - middle) < 1.25 * wide
    return np.where(lungs, 60.0, np.where(body, 170.0 + 30 * v, 10.0))


def test_facts_are_those_of_the_frames(make_images: MakeImages) -> None:
    rng = np.random.default_rng(0)
    start, stop = rng.uniform(-0.1, 0.1, (2, 2, 120))
    frames = np.stack([start[0], 1 + stop[0], start[1], 1 + stop[1]], axis=1)
    pictures = np.stack([chest(0.2, 0.75, 0.2, 0.8, tuple(frame)) for frame in frames])
    pixels = np.clip(pictures + rng.normal(0, 5, pictures.shape), 0, 255).astype(np.uint8)[:, None]
    facts = framing_facts(make_images(["ill", "well"] * 60, pixels=pixels)[1], np.arange(120), 0)
    assert tuple(facts) == FACTS
    assert facts.notna().all(axis=None)
    height, width = frames[:, 1] - frames[:, 0], frames[:, 3] - frames[:, 2]
    truth = {
        "chest_height": 0.55 / height,
        "above_chest": (0.2 - frames[:, 0]) / height,
        "below_chest": (frames[:, 1] - 0.75) / height,
        "chest_width": 0.6 / width,
        "left_of_chest": (0.2 - frames[:, 2]) / width,
        "right_of_chest": (frames[:, 3] - 0.8) / width,
        "chest_aspect": 0.55 / height / (0.6 / width),
    }
    for name, values in truth.items():
        # The box is that of the typical picture, a little off for all images; what differs among them must be right.
        assert np.corrcoef(facts[name], values)[0, 1] > 0.97, name
        assert facts[name].median() == pytest.approx(np.median(values), abs=0.06), name
    total = facts["chest_height"] + facts["above_chest"] + facts["below_chest"]
    assert total.to_numpy() == pytest.approx(1)


def test_a_chest_that_is_cut_off_has_less_than_nothing_around_it(make_images: MakeImages) -> None:
    frames = [(0.0, 1.0, 0.0, 1.0)] * 50 + [(0.3, 1.0, 0.0, 1.0)] * 4
    pixels = np.stack([chest(0.2, 0.75, 0.2, 0.8, frame) for frame in frames]).astype(np.uint8)[:, None]
    facts = framing_facts(make_images(["ill", "well"] * 27, pixels=pixels)[1], np.arange(54), 0)
    assert (facts["above_chest"][50:] < 0).all()
    assert (facts["above_chest"][:50] > 0.1).all()
    # Only what is to be seen counts as the chest's share of the picture.
    assert facts["chest_share"][50] == pytest.approx(facts["chest_width"][50] * (0.45 / 0.7), abs=0.05)


def test_aspect_is_that_of_the_picture_as_it_is_stored(make_images: MakeImages) -> None:
    square = np.stack([chest(0.2, 0.75, 0.2, 0.8, (0, 1, 0, 1))] * 40).astype(np.uint8)[:, None]
    tall = np.repeat(square, 2, axis=2)
    facts = [
        framing_facts(make_images(["ill", "well"] * 20, pixels=each)[1], np.arange(40), 0) for each in (square, tall)
    ]
    assert facts[1]["chest_aspect"][0] == pytest.approx(2 * facts[0]["chest_aspect"][0], rel=0.02)
    assert facts[1]["chest_height"][0] == pytest.approx(facts[0]["chest_height"][0], abs=0.01)


def test_pictures_that_are_unlike_the_others_have_no_facts(make_images: MakeImages) -> None:
    rng = np.random.default_rng(0)
    pixels = np.stack([chest(0.2, 0.75, 0.2, 0.8, (0, 1, 0, 1))] * 60) + rng.normal(0, 5, (60, 64, 64))
    pixels[[7, 31]] = rng.integers(0, 256, (2, 64, 64))
    cache = make_images(["ill", "well"] * 30, pixels=pixels.clip(0, 255).astype(np.uint8)[:, None])[1]
    unknown = framing_facts(cache, np.arange(60), 0).isna()
    assert np.flatnonzero(unknown.any(axis=1)).tolist() == [7, 31]
    assert (unknown.any(axis=1) == unknown.all(axis=1)).all()
    # Of a few images nothing is typical.
    assert framing_facts(cache, np.arange(19), 0).isna().all(axis=None)


@pytest.mark.parametrize("box", [(0.2, 0.75, 0.2, 0.8), (0.1, 0.6, 0.25, 0.7), (0.3, 0.9, 0.15, 0.85)])
def test_the_chest_is_the_box_around_two_dark_fields(box: tuple[float, float, float, float]) -> None:
    canvas = chest(*box, (-0.5, 1.5, -0.5, 1.5), 2 * SIDE)
    found = chest_of(canvas.astype(np.float32))
    assert (found.top, found.bottom, found.left, found.right) == pytest.approx(box, abs=0.04)


def test_where_no_two_fields_are_the_middle_stands_for_the_chest() -> None:
    v, u = np.indices((2 * SIDE, 2 * SIDE)) / (2 * SIDE)
    one_blob = np.exp(-(((v - 0.5) / 0.1) ** 2) - ((u - 0.5) / 0.1) ** 2)
    for canvas in (one_blob, -one_blob, u, 0 * u):
        assert chest_of(canvas.astype(np.float32)) == MIDDLE


def test_profiles_tell_where_it_is_brighter_and_not_how_bright(make_images: MakeImages) -> None:
    down = np.linspace(20, 200, 64)[:, None] + np.zeros(64)
    pixels = np.stack([down, down.T, 0.5 * down + 90]).astype(np.uint8)[:, None]
    rows, columns = profiles(make_images(["ill", "well", "ill"], pixels=pixels)[1], np.arange(3))
    assert rows.shape == columns.shape == (3, 32)
    assert rows[0] == pytest.approx(np.linspace(-0.5, 0.5, 65)[1::2], abs=0.02)
    assert columns[1] == pytest.approx(rows[0], abs=1e-5)
    assert columns[0] == pytest.approx(0, abs=0.02)
    assert rows[2] == pytest.approx(rows[0], abs=0.02)
