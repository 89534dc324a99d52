"""One scale for a data set: from many pictures, in spite of labels and defects, and the same in use."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from radlens.imaging.decode import decode, decode_values
from radlens.imaging.depth import Depth, ValueRange, decide_depth, describe_depth, range_of
from radlens.imaging.limits import DecodeError

SIDE = 64


def picture(bits: int, seed: int = 0) -> npt.NDArray[np.uint16]:
    """A ramp that reaches nine tenths of the depth, with noise."""
    top = 2**bits - 1
    ramp = np.linspace(0.02, 0.9, SIDE * SIDE).reshape(SIDE, SIDE)
    noise = np.random.default_rng(seed).normal(0, 0.01, ramp.shape)
    values: npt.NDArray[np.uint16] = np.clip((ramp + noise) * top, 0, top).astype(np.uint16)
    return values


def png(values: npt.NDArray[np.uint16]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, "PNG")
    return buffer.getvalue()


def with_pixel(values: npt.NDArray[np.uint16], value: int) -> npt.NDArray[np.uint16]:
    changed = values.copy()
    changed[0, 0] = value
    return changed


def with_label(values: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint16]:
    """Burned in at the container's white, 4 % of the picture."""
    changed = values.copy()
    changed[2:15, 2:15] = 65535
    return changed


def with_air(values: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint16]:
    """A third of the picture saturated at the depth's own white."""
    changed = values.copy()
    changed[:, : SIDE // 3] = 2 ** int(values.max()).bit_length() - 1
    return changed


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("change", [lambda values: values, with_label, with_air])
def test_the_depth_is_that_of_the_picture_and_not_of_a_label_or_air(bits: int, change: Any) -> None:
    assert range_of(change(picture(bits))).bits == bits


@pytest.mark.parametrize("value", [4095, 4096, 16383, 16384, 65535])
def test_one_pixel_decides_nothing(value: int) -> None:
    assert range_of(with_pixel(picture(12), value)).bits == 12


@given(st.lists(st.sampled_from([8, 10, 12, 14, 16]), min_size=1, max_size=60))
def test_the_scale_holds_nineteen_of_twenty_images_and_no_smaller_one_does(depths: list[int]) -> None:
    bits = decide_depth([ValueRange("uint16", 0, 2**each - 1) for each in depths])
    assert isinstance(bits, int)
    assert np.mean([each <= bits for each in depths]) >= 0.95
    assert bits == 8 or np.mean([each < bits for each in depths]) < 0.95


@pytest.mark.parametrize(
    ("low", "high", "scale"),
    [
        (0, 0.8, (0, 1)),
        (0.1, 1.0, (0, 1)),
        (3, 250, (0, 255)),
        (0, 4000, (0, 4095)),
        (0, 1.2, (0, 1.2)),
        (-1000, 400, (-1000, 400)),
        (0, 2e6, (0, 2e6)),
    ],
)
def test_other_numbers_go_from_black_to_white_by_their_usual_range_or_their_own(
    low: float, high: float, scale: tuple[float, float]
) -> None:
    assert decide_depth([ValueRange("float32", low, high)] * 3) == scale


def test_where_there_is_nothing_to_decide_on_every_picture_is_by_itself() -> None:
    assert decide_depth([]) == "significant"
    assert decide_depth([ValueRange("float32", 2, 2)]) == "significant"
    assert describe_depth("full") == "white at the largest value of the container"


@pytest.mark.parametrize("value", [3900, 4095, 4096, 16383, 16384])
def test_a_recorded_depth_shows_a_picture_the_same_whatever_its_brightest_pixel(value: int) -> None:
    decoded = decode("x.png", png(with_pixel(picture(12), value)), depth=12)
    wanted = np.floor(np.clip(with_pixel(picture(12), value) / 4095, 0, 1) * 255 + 0.5)
    np.testing.assert_array_equal(np.asarray(decoded.image), wanted)
    assert decoded.facts.undeclared == "uint16"
    assert decoded.facts.clipped == (value > 4095) / SIDE**2


@pytest.mark.parametrize("kind", ["uint16", "int16", "uint32", "int32", "float32", "float64"])
def test_recorded_values_of_black_and_white_hold_for_every_kind(kind: str) -> None:
    values = np.array([[100, 200, 300, 400, 500]], dtype=kind)
    decoded = decode_values(values, "x", (200.0, 400.0))
    np.testing.assert_allclose(np.asarray(decoded.image), [[0, 0, 127.5, 255, 255]], atol=0.5001)
    assert decoded.facts.values == range_of(values)
    assert decoded.facts.clipped == pytest.approx(0.2)


def test_files_that_declare_their_depth_keep_it() -> None:
    values = picture(12)
    content = png(values)
    declared = content[:33] + _chunk(b"sBIT", bytes([12])) + content[33:]
    for depth in ("auto", "significant", 16, (0.0, 9.0)):
        facts = decode("x", declared, depth=depth).facts
        assert not facts.undeclared
        assert facts.mean == pytest.approx((values / 4095 * 255).mean(), abs=0.5)
    brighter = png(with_pixel(values, 4096))
    shown = decode("x", brighter[:33] + _chunk(b"sBIT", bytes([12])) + brighter[33:]).facts
    assert shown.mean == pytest.approx((values / 4095 * 255).mean(), abs=0.5), "one pixel above is clipped"


@pytest.mark.parametrize("depth", [12, (0.0, 1.0)])
def test_eight_bits_are_as_they_were(depth: Depth) -> None:
    values = (picture(8)).astype(np.uint8)
    np.testing.assert_array_equal(np.asarray(decode_values(values, "x", depth).image), values)


def test_numbers_that_are_not_finite_are_refused_at_any_scale() -> None:
    for wrong in (np.nan, np.inf):
        with pytest.raises(DecodeError, match="x: a pixel value is not a finite number"):
            decode_values(np.array([[0, wrong]], dtype=np.float32), "x", (0.0, 1.0))


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
