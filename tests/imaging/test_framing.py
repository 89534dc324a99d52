"""Windows of pictures against closed forms and against Pillow; the suite keeps what it promises."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from radlens.imaging.framing import KINDS, SUITE, Framing, FramingChange, draw_framings, reframe, reframe_each

Pixels = npt.NDArray[np.uint8]

PICTURES = arrays(np.uint8, st.tuples(st.just(2), st.just(1), st.integers(4, 24), st.integers(4, 24)))
EDGES = st.tuples(st.floats(-0.4, 0.4), st.floats(0.6, 1.4), st.floats(-0.4, 0.4), st.floats(0.6, 1.4))


def noise(height: int, width: int, images: int = 1, seed: int = 0) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (images, 1, height, width), dtype=np.uint8)


@given(PICTURES)
def test_the_whole_window_changes_nothing(pixels: Pixels) -> None:
    np.testing.assert_array_equal(reframe(pixels, Framing()), pixels)


@pytest.mark.parametrize("cut", [1, 3, 10, 20])
def test_cutting_rows_is_resizing_what_is_left(cut: int) -> None:
    pixels = noise(40, 30)
    for side in ("top", "bottom"):
        left = pixels[0, 0, cut:] if side == "top" else pixels[0, 0, :-cut]
        framing = Framing(top=cut / 40) if side == "top" else Framing(bottom=1 - cut / 40)
        expected = np.asarray(Image.fromarray(left).resize((30, 40), Image.Resampling.BILINEAR))
        # Pillow rounds to fixed point on the way.
        np.testing.assert_allclose(reframe(pixels, framing)[0, 0].astype(int), expected, atol=1)


def test_cutting_columns_of_colour_is_resizing_what_is_left() -> None:
    pixels = np.concatenate([noise(20, 50, seed=seed) for seed in range(3)], axis=1)
    expected = Image.fromarray(pixels[0, :, :, 5:40].transpose(1, 2, 0)).resize((50, 20), Image.Resampling.BILINEAR)
    cut = reframe(pixels, Framing(left=0.1, right=0.8))[0]
    np.testing.assert_allclose(cut.astype(int), np.asarray(expected).transpose(2, 0, 1), atol=1)


def test_what_is_cut_off_is_seen_nowhere() -> None:
    pixels = np.full((1, 1, 40, 40), 100, np.uint8)
    pixels[:, :, :10] = 255
    np.testing.assert_array_equal(reframe(pixels, Framing(top=0.25)), 100)


@given(st.integers(-8, 8), st.integers(-8, 8))
def test_a_shift_by_whole_pixels_moves_exactly_them(down: int, right: int) -> None:
    pixels = np.maximum(noise(20, 20), 1)
    moved = reframe(pixels, Framing(-down / 20, 1 - down / 20, -right / 20, 1 - right / 20))
    expected = np.zeros_like(pixels)
    to_rows, from_rows = slice(max(down, 0), 20 + min(down, 0)), slice(max(-down, 0), 20 - max(down, 0))
    to_columns, from_columns = slice(max(right, 0), 20 + min(right, 0)), slice(max(-right, 0), 20 - max(right, 0))
    expected[..., to_rows, to_columns] = pixels[..., from_rows, from_columns]
    np.testing.assert_array_equal(moved, expected)


def test_margins_are_black_and_as_wide_as_asked() -> None:
    pixels = np.full((1, 1, 60, 60), 200, np.uint8)
    shown = reframe(pixels, Framing(-0.5, 1.5, -0.25, 1.25))[0, 0]
    rows, columns = np.flatnonzero(shown.any(axis=1)), np.flatnonzero(shown.any(axis=0))
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (15, 44, 10, 49)
    np.testing.assert_array_equal(shown[15:45, 10:50], 200)


def test_halving_a_picture_averages_and_does_not_skip() -> None:
    stripes = np.zeros((1, 1, 64, 64), np.uint8)
    stripes[:, :, ::2] = 200
    halved = reframe(stripes, Framing(-0.5, 1.5))[0, 0, 17:47]
    np.testing.assert_allclose(halved.astype(int), 100, atol=1)


@given(PICTURES, EDGES)
def test_nothing_is_brighter_or_darker_than_the_picture_and_its_margin(
    pixels: Pixels, edges: tuple[float, float, float, float]
) -> None:
    shown = reframe(pixels, Framing(*edges))
    assert shown.max() <= pixels.max()
    if edges[0] >= 0 and edges[1] <= 1 and edges[2] >= 0 and edges[3] <= 1:
        assert shown.min() >= pixels.min()


@given(PICTURES, EDGES)
def test_a_mirrored_window_of_a_mirrored_picture_is_the_mirrored_result(
    pixels: Pixels, edges: tuple[float, float, float, float]
) -> None:
    top, bottom, left, right = edges
    straight = reframe(pixels, Framing(top, bottom, left, right)).astype(int)
    mirrored = reframe(pixels[..., ::-1], Framing(top, bottom, 1 - right, 1 - left)).astype(int)
    assert np.abs(mirrored[..., ::-1] - straight).max() <= 1


@given(st.lists(EDGES, min_size=1, max_size=5))
def test_many_windows_at_once_are_each_its_own(windows: list[tuple[float, float, float, float]]) -> None:
    framings = [Framing(*window) for window in windows]
    pixels = noise(12, 10, images=len(framings))
    alone = np.concatenate([reframe(pixels[[number]], framing) for number, framing in enumerate(framings)])
    np.testing.assert_array_equal(reframe(pixels, framings), alone)


def test_more_images_than_are_resampled_at_once_keep_their_windows() -> None:
    framings = draw_framings(300, np.random.default_rng(0))
    pixels = noise(8, 8, images=300)
    np.testing.assert_array_equal(reframe(pixels, framings)[299:], reframe(pixels[299:], framings[299]))


def test_windows_and_images_must_be_as_many() -> None:
    with pytest.raises(ValueError, match="expected one framing or 3, got 2"):
        reframe(noise(8, 8, images=3), [Framing(), Framing()])


@pytest.mark.parametrize("edges", [(0.5, 0.5), (0.6, 0.4), (1.0, 1.2), (-0.5, 0.0), (float("nan"), 1.0)])
def test_a_window_that_shows_nothing_is_refused(edges: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="must show a part of the picture"):
        Framing(*edges)
    with pytest.raises(ValueError, match="must show a part of the picture"):
        Framing(0.0, 1.0, *edges)


@pytest.mark.parametrize(
    ("kind", "strength", "window"),
    [
        ("top", 0.1, (0.1, 1.0, 0.0, 1.0)),
        ("left and right", 0.1, (0.0, 1.0, 0.1, 0.9)),
        ("all sides", 0.2, (0.2, 0.8, 0.2, 0.8)),
        ("zoomed out", 1.5, (-0.25, 1.25, -0.25, 1.25)),
        # Twice as high as wide: the height is kept and the width halved between margins; and the other way round.
        ("stretched", 2.0, (0.0, 1.0, -0.5, 1.5)),
        ("stretched", 0.5, (-0.5, 1.5, 0.0, 1.0)),
    ],
)
def test_a_change_has_the_window_that_its_name_says(
    kind: str, strength: float, window: tuple[float, float, float, float]
) -> None:
    (framing,) = FramingChange(kind, strength).framings(1, np.random.default_rng(0))
    assert (framing.top, framing.bottom, framing.left, framing.right) == pytest.approx(window)


def test_shifts_go_all_ways_by_what_they_say() -> None:
    framings = FramingChange("shifted", 0.1).framings(100, np.random.default_rng(0))
    moves = {(round(framing.top, 6), round(framing.left, 6)) for framing in framings}
    assert moves == {(0.1, 0.1), (0.1, -0.1), (-0.1, 0.1), (-0.1, -0.1)}


def test_the_suite_has_each_change_once_and_counts_the_mild_ones() -> None:
    names = [change.name for change in SUITE]
    assert len(set(names)) == len(names)
    assert set(KINDS) == {change.kind for change in SUITE}
    for kind in KINDS:
        changes = [change for change in SUITE if change.kind == kind]
        assert changes[0].counted
        if kind != "stretched":
            assert all(first.strength < second.strength for first, second in pairwise(changes))
        # Beyond a strength that is not counted, none is.
        counted = [change.counted for change in changes]
        assert counted == sorted(counted, reverse=True)


def test_what_counts_keeps_the_middle_of_the_picture() -> None:
    pixels = np.zeros((1, 1, 60, 60), np.uint8)
    pixels[:, :, 15:45, 12:48] = 255
    for change in SUITE:
        if change.counted:
            # No more than the edges of the middle part are lost: over half of its bright area is still there.
            shown = reframe(pixels, change.framings(1, np.random.default_rng(0)))
            scale = [1 / max(1.0, edge) for edge in _sizes(change)]
            assert (shown > 127).sum() > 0.5 * 30 * 36 * np.prod(scale)


def _sizes(change: FramingChange) -> tuple[float, float]:
    (framing,) = change.framings(1, np.random.default_rng(0))
    return framing.bottom - framing.top, framing.right - framing.left


def test_random_windows_move_every_edge_by_itself() -> None:
    framings = draw_framings(2000, np.random.default_rng(0))
    edges = np.array([(one.top, 1 - one.bottom, one.left, 1 - one.right) for one in framings])
    np.testing.assert_allclose(edges.min(axis=0), -0.05, atol=0.01)
    np.testing.assert_allclose(edges.max(axis=0), (0.15, 0.15, 0.1, 0.1), atol=0.01)
    assert np.abs(np.corrcoef(edges.T) - np.eye(4)).max() < 0.1


def test_each_image_gets_one_counted_change_and_the_seed_repeats_it() -> None:
    pixels = noise(16, 16, images=1).repeat(40, axis=0)
    changed = reframe_each(pixels, np.random.default_rng(3))
    np.testing.assert_array_equal(changed, reframe_each(pixels, np.random.default_rng(3)))
    assert (changed != reframe_each(pixels, np.random.default_rng(4))).any()
    fixed = [change for change in SUITE if change.counted and change.kind not in ("shifted", "combined")]
    possible = {reframe(pixels[:1], change.framings(1, np.random.default_rng(0))).tobytes() for change in fixed}
    assert sum(image[None].tobytes() in possible for image in changed) > 20
    # Most images differ from each other: a change is drawn for each.
    assert len({image.tobytes() for image in changed}) > 15
