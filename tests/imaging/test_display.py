"""From stored values to what is shown: polarity, transparency, depth and orientation in closed form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from radlens.imaging.depth import Depth
from radlens.imaging.display import displayed, upright
from radlens.imaging.formats.stored import Stored
from radlens.imaging.limits import RefusedError

HEIGHT, WIDTH = 6, 9


def grey() -> npt.NDArray[np.uint8]:
    rows, columns = np.indices((HEIGHT, WIDTH))
    return (rows * 31 + columns * 11).astype(np.uint8)


def colour() -> npt.NDArray[np.uint8]:
    return np.stack([grey(), 255 - grey(), np.flipud(grey())], axis=2)


def stored(pixels: Image.Image | npt.NDArray[Any], **options: Any) -> Stored:
    return Stored(pixels, WIDTH, HEIGHT, "?", "none", **options)


def shown(
    pixels: Image.Image | npt.NDArray[Any], depth: Depth = "significant", **options: Any
) -> npt.NDArray[np.uint8]:
    image = displayed(stored(pixels, **options), depth)
    assert image.mode == ("L" if np.asarray(image).ndim == 2 else "RGB")
    return np.asarray(image)


def test_grey_and_colour_stay() -> None:
    np.testing.assert_array_equal(shown(Image.fromarray(grey())), grey())
    np.testing.assert_array_equal(shown(Image.fromarray(colour())), colour())


def test_one_bit_is_black_and_white() -> None:
    np.testing.assert_array_equal(shown(Image.fromarray(grey() > 90)), np.where(grey() > 90, 255, 0))


def test_a_palette_of_greys_is_grey_and_any_other_is_colour() -> None:
    image = Image.fromarray(grey() // 16).convert("P")
    levels = [15 * 17 - 17 * level for level in range(16)]
    image.putpalette([value for level in levels for value in (level, level, level)])
    np.testing.assert_array_equal(shown(image), 255 - 17 * (grey() // 16))
    image.putpalette([value for level in levels for value in (level, 0, 255 - level)])
    wanted = 255 - 17 * (grey() // 16)
    np.testing.assert_array_equal(shown(image), np.stack([wanted, 0 * wanted, 255 - wanted], axis=2))


def test_inks_become_light() -> None:
    inks = np.zeros((1, 4, 4), dtype=np.uint8)
    inks[0, 0, 3] = 255
    inks[0, 2] = (0, 255, 255, 0)
    inks[0, 3] = (255, 0, 0, 0)
    found = shown(Image.fromarray(inks, "CMYK"))
    np.testing.assert_array_equal(found[0], [(0, 0, 0), (255, 255, 255), (255, 0, 0), (0, 255, 255)])


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
def test_what_is_transparent_lies_on_black(kind: type[Any], channels: int) -> None:
    factor = 1 if kind == np.uint8 else 257
    light = (grey()[..., None] if channels == 1 else colour()).astype(int)
    alpha = np.flipud(grey()).astype(int)
    pixels = (np.dstack([light, alpha]) * factor).astype(kind)
    found = shown(pixels if kind == np.uint16 else Image.fromarray(pixels), "full")
    np.testing.assert_allclose(found, (light * alpha[..., None] / 255).reshape(found.shape), atol=1)


@pytest.mark.parametrize("alpha", [0, 255])
def test_transparency_that_says_nothing_is_dropped(alpha: int) -> None:
    pixels = np.dstack([colour(), np.full_like(grey(), alpha)])
    np.testing.assert_array_equal(shown(Image.fromarray(pixels)), colour())


def test_a_palette_with_transparent_entries_lies_on_black() -> None:
    image = Image.fromarray((grey() > 90).astype(np.uint8)).convert("P")
    image.putpalette([200, 200, 200, 100, 150, 200])
    image.info["transparency"] = bytes([0, 255])
    np.testing.assert_array_equal(shown(image), np.where((grey() > 90)[..., None], (100, 150, 200), 0))


def test_the_transparent_level_or_colour_is_black() -> None:
    level = int(grey()[2, 3])
    np.testing.assert_array_equal(
        shown(Image.fromarray(grey()), transparent=(level,)), np.where(grey() == level, 0, grey())
    )
    one = tuple(int(value) for value in colour()[2, 3])
    wanted = np.where((colour() == one).all(axis=2)[..., None], 0, colour())
    np.testing.assert_array_equal(shown(Image.fromarray(colour()), transparent=one), wanted)
    wide = grey().astype(np.uint16) * 257
    np.testing.assert_array_equal(shown(wide, transparent=(level * 257,)), np.where(grey() == level, 0, shown(wide)))


@pytest.mark.parametrize("bits", range(1, 17))
def test_the_fewest_usual_bits_that_hold_the_largest_value_span_the_range(bits: int) -> None:
    top = 2**bits - 1
    values = np.linspace(0, top, HEIGHT * WIDTH).round().astype(np.uint16).reshape(HEIGHT, WIDTH)
    usual = next(known for known in (8, 10, 12, 14, 16) if bits <= known)
    found = shown(values)
    np.testing.assert_allclose(found, values / (2**usual - 1) * 255, atol=0.5001)
    assert bits < 8 or found.max() >= 127, "an odd depth is one bit darker at most"
    if bits == usual:
        assert found.max() == 255


@pytest.mark.parametrize(
    ("largest", "declared", "container", "white"),
    [
        (900, 12, 16, 4095),
        (4095, 12, 16, 4095),
        (4096, 12, 16, 65535),
        (65520, 12, 16, 65535),
        (900, 16, 16, 65535),
        (900, 11, 16, 2047),
        (900, 12, 12, 4095),
        (900, 0, 16, 1023),
        (200, 0, 16, 255),
        (0, 0, 16, 255),
    ],
)
def test_what_becomes_white_is_what_the_file_declares_else_what_holds_the_values(
    largest: int, declared: int, container: int, white: int
) -> None:
    values = np.array([[0, largest // 2, largest]], dtype=np.uint16)
    found = shown(values, declared=declared, container=container)
    np.testing.assert_allclose(found[0], values[0] / white * 255, atol=0.5001)


def test_the_whole_container_or_the_images_own_range_can_be_asked_for() -> None:
    values = np.array([[1000, 1500, 3000]], dtype=np.uint16)
    assert shown(values, "full").tolist() == [[4, 6, 12]]
    assert shown(values, "full", container=12).tolist() == [[62, 93, 187]]
    assert shown(values, "range").tolist() == [[0, 64, 255]]
    assert shown(np.full((1, 2), 7, np.uint16), "range").tolist() == [[0, 0]]


@pytest.mark.parametrize("depth", ["significant", "full", "range"])
@pytest.mark.parametrize("kind", [np.int16, np.int32, np.uint32, np.float32])
def test_values_without_a_nominal_range_go_from_smallest_to_largest(kind: type[Any], depth: Depth) -> None:
    low = 0 if kind == np.uint32 else -100
    values = np.array([[low, low + 100], [low + 400, low + 120]], dtype=kind)
    assert shown(values, depth).tolist() == [[0, 64], [255, 77]]
    assert not shown(np.full((3, 3), 7, kind), depth).any()


def test_the_range_is_found_over_many_rows() -> None:
    values = np.arange(1000, dtype=np.float32)[:, None].repeat(2, axis=1)
    np.testing.assert_allclose(shown(values)[:, 0], np.arange(1000) / 999 * 255, atol=0.5001)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused(value: float) -> None:
    with pytest.raises(RefusedError, match="not a finite number"):
        shown(np.array([[0, value, 1]], dtype=np.float32))


@pytest.mark.parametrize("pixels", [grey(), grey().astype(np.uint16) * 257, grey().astype(np.float32)])
def test_where_0_is_white_the_picture_is_inverted(pixels: npt.NDArray[Any]) -> None:
    given = Image.fromarray(pixels) if pixels.dtype == np.uint8 else pixels
    np.testing.assert_array_equal(shown(given, inverted=True), 255 - shown(given))


UPRIGHT: dict[int, Callable[[npt.NDArray[Any]], npt.NDArray[Any]]] = {
    1: lambda pixels: pixels,
    2: np.fliplr,
    3: lambda pixels: np.rot90(pixels, 2),
    4: np.flipud,
    5: np.transpose,
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: np.rot90(pixels, 2).T,
    8: np.rot90,
}


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_cameras_orientation_is_undone(orientation: int) -> None:
    image, box = upright(Image.fromarray(grey()), orientation, (0, 0, WIDTH, HEIGHT))
    np.testing.assert_array_equal(np.asarray(image), UPRIGHT[orientation](grey()))
    assert box == (0, 0, *image.size)


@pytest.mark.parametrize("orientation", range(1, 9))
@given(st.integers(0, 4), st.integers(0, 2), st.integers(5, WIDTH), st.integers(3, HEIGHT))
def test_a_box_turns_with_the_picture(orientation: int, left: int, upper: int, right: int, lower: int) -> None:
    marked = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
    marked[upper:lower, left:right] = 255
    image, box = upright(Image.fromarray(marked), orientation, (left, upper, right, lower))
    assert image.getbbox() == box
