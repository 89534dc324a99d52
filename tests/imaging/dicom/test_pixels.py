"""Stored values: bits, signs, planes, colours and lengths."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from radlens.imaging.dicom.file import read_dicom
from radlens.imaging.dicom.pixel_form import read_form
from radlens.imaging.dicom.pixels import read_values
from radlens.imaging.limits import DEFAULT_LIMITS, DecodeError, DecodeLimits

UNCOMPRESSED = [
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
]
COLOURS = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)


def values_of(dicom: Any, made: Dataset) -> npt.NDArray[np.integer[Any]]:
    """The stored values that are found."""
    file = read_dicom(dicom.content(made), DEFAULT_LIMITS)
    return read_values(file, read_form(file, DEFAULT_LIMITS))[0]


@pytest.mark.parametrize("syntax", UNCOMPRESSED)
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("size", [1, 2, 4])
@given(data=st.data())
def test_values_are_read_whatever_overlays_lie_beside_them(
    dicom: Any, syntax: str, signed: bool, size: int, data: st.DataObject
) -> None:
    allocated = 8 * size
    stored = data.draw(st.integers(1, allocated))
    high = data.draw(st.integers(stored - 1, allocated - 1))
    lowest = -(2 ** (stored - 1)) if signed else 0
    numbers = st.integers(lowest, lowest + 2**stored - 1)
    wanted = np.array(data.draw(st.lists(numbers, min_size=6, max_size=6))).reshape(2, 3)
    overlays = np.array(data.draw(st.lists(st.integers(0, 2**allocated - 1), min_size=6, max_size=6))).reshape(2, 3)
    place = high + 1 - stored
    # Bit 0 stands for an overlay that is stored apart.
    beside = ({*range(1, place)} | {*range(high + 1, allocated)}) if place else {*range(high + 1, allocated)}
    bits = sorted(beside)[:16]
    mask = sum(1 << bit for bit in bits)
    cells = ((wanted.astype(object) & (2**stored - 1)) << place) | (overlays.astype(object) & mask)
    pixels = cells.astype(np.uint64).astype(f"u{size}")
    made = dicom.dataset(pixels, stored, syntax, HighBit=high, PixelRepresentation=int(signed))
    for group, bit in enumerate(bits):
        made.add_new((0x6000 + 2 * group, 0x0102), "US", bit)
    if syntax == ExplicitVRBigEndian and size == 1:
        made["PixelData"].VR = "OB"
    np.testing.assert_array_equal(values_of(dicom, made), wanted)


@pytest.mark.parametrize("shape", [(3, 4), (3, 3), (1, 1)])
def test_big_endian_bytes_may_be_stored_as_words(shape: tuple[int, int], dicom: Any) -> None:
    pixels = np.arange(1, 1 + shape[0] * shape[1], dtype=np.uint8).reshape(shape)
    made = dicom.dataset(pixels, 8, ExplicitVRBigEndian)
    data = pixels.tobytes() + bytes(pixels.size % 2)
    made.PixelData = np.frombuffer(data, dtype="<u2").byteswap().tobytes()
    made["PixelData"].VR = "OW"
    np.testing.assert_array_equal(values_of(dicom, made), pixels)


def test_signed_values_are_signed(dicom: Any) -> None:
    values = np.linspace(-2000, 2000, 100).round().astype(np.int16).reshape(10, 10)
    np.testing.assert_array_equal(
        dicom.shown(dicom.dataset(values, 16)), dicom.levels((values.astype(float) + 2000) / 4000)
    )


@pytest.mark.parametrize("planar", [0, 1])
@pytest.mark.parametrize("syntax", UNCOMPRESSED)
def test_colours_are_stored_together_or_apart(planar: int, syntax: str, dicom: Any) -> None:
    made = dicom.dataset(COLOURS, 8, syntax, PlanarConfiguration=planar)
    if planar:
        made.PixelData = COLOURS.transpose(2, 0, 1).tobytes()
    found = dicom.shown(made)
    assert np.abs(found - COLOURS @ np.array([0.299, 0.587, 0.114])).max() <= 0.51


def test_without_a_planar_configuration_colours_are_stored_together(dicom: Any) -> None:
    made = dicom.dataset(COLOURS, 8, PlanarConfiguration=None)
    np.testing.assert_array_equal(dicom.shown(made), dicom.shown(dicom.dataset(COLOURS, 8)))


@pytest.mark.parametrize(("bits", "dtype"), [(16, np.uint16), (12, np.uint16), (32, np.uint32)])
def test_deep_colours_keep_their_range(bits: int, dtype: type[np.generic], dicom: Any) -> None:
    deep = (COLOURS.astype(np.float64) / 255 * (2**bits - 1)).round().astype(dtype)
    found = dicom.shown(dicom.dataset(deep, bits)).astype(int)
    assert np.abs(found - dicom.shown(dicom.dataset(COLOURS, 8))).max() <= 1


def to_rgb(ybr: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """PS3.3 C.7.6.3.1.2, turned round."""
    y, blue, red = (ybr[..., channel].astype(float) for channel in range(3))
    rgb = [y + 1.402 * (red - 128), y - 0.344136 * (blue - 128) - 0.714136 * (red - 128), y + 1.772 * (blue - 128)]
    return np.clip(np.stack(rgb, axis=-1), 0, 255)


@pytest.mark.parametrize("planar", [0, 1])
def test_ybr_is_luminance_and_colour_differences(planar: int, dicom: Any) -> None:
    made = dicom.dataset(COLOURS, 8, PhotometricInterpretation="YBR_FULL", PlanarConfiguration=planar)
    if planar:
        made.PixelData = COLOURS.transpose(2, 0, 1).tobytes()
    wanted = to_rgb(COLOURS) @ np.array([0.299, 0.587, 0.114])
    assert np.abs(dicom.shown(made) - wanted).max() <= 1.1


def test_ybr_422_shares_colour_differences_between_two_pixels(dicom: Any) -> None:
    shared = COLOURS.copy()
    shared[:, 1::2, 1:] = shared[:, ::2, 1:]
    pairs = np.concatenate([shared[:, ::2, :1], shared[:, 1::2, :1], shared[:, ::2, 1:]], axis=2)
    made = dicom.dataset(shared, 8, PhotometricInterpretation="YBR_FULL_422", PixelData=pairs.tobytes())
    whole = dicom.dataset(shared, 8, PhotometricInterpretation="YBR_FULL")
    np.testing.assert_array_equal(dicom.shown(made), dicom.shown(whole))


def test_ybr_422_of_an_odd_width_or_with_all_samples_is_refused(dicom: Any) -> None:
    with pytest.raises(DecodeError, match="cannot share their colours in pairs"):
        dicom.shown(dicom.dataset(COLOURS[:, :7], 8, PhotometricInterpretation="YBR_FULL_422"))
    with pytest.raises(DecodeError, match="144 bytes of pixel data where 96 are a frame"):
        dicom.shown(dicom.dataset(COLOURS, 8, PhotometricInterpretation="YBR_FULL_422"))


@pytest.mark.parametrize("surplus", [1, 2, 100, 1597])
def test_surplus_bytes_are_cut_off(surplus: int, dicom: Any) -> None:
    made = dicom.dataset(PixelData=dicom.ramp.tobytes() + b"\xff" * surplus)
    np.testing.assert_array_equal(dicom.shown(made), dicom.shown(dicom.dataset()))


def test_one_pixel_may_be_padded_to_even_length(dicom: Any) -> None:
    assert dicom.shown(dicom.dataset(np.full((1, 1), 7, np.uint8), 8)).shape == (1, 1)


@pytest.mark.parametrize(
    ("elements", "message"),
    [
        ({"NumberOfFrames": 2, "PixelData": dicom_bytes}, "2 frames; a single image was expected")
        for dicom_bytes in (b"", bytes(3200))
    ]
    + [
        ({"PixelData": bytes(3200)}, "3,200 bytes of pixel data where 1,600 are a frame"),
        ({"PixelData": bytes(1598)}, "1,598 bytes of pixel data where 1,600 are needed"),
        ({"PixelData": b""}, "pixel data are empty"),
        ({"PhotometricInterpretation": "HSV"}, "photometric interpretation is none of MONOCHROME1"),
        ({"PhotometricInterpretation": "RGB"}, "1 samples in a pixel do not go with"),
        ({"SamplesPerPixel": 3}, "3 samples in a pixel do not go with"),
        ({"Rows": None}, "Rows is missing"),
        ({"Columns": [4, 5]}, "Columns is not a single whole number"),
        ({"Rows": 0}, "said to have 40 x 0 pixels"),
        ({"Rows": 65535, "Columns": 65535}, "65,535 x 65,535 pixels; at most 100,000,000"),
        ({"BitsAllocated": None}, "BitsAllocated is missing"),
        ({"BitsAllocated": 13}, "13 bits allocated to a value are not supported"),
        ({"BitsAllocated": 1, "BitsStored": 1, "HighBit": 0}, "1 bits allocated to a value are not supported"),
        ({"BitsAllocated": 64}, "64 bits allocated to a value are not supported"),
        ({"PixelRepresentation": None}, "PixelRepresentation is missing"),
        ({"PixelRepresentation": 2}, "0 or 1 was expected"),
    ],
)
def test_an_object_that_is_no_single_picture_is_refused(elements: dict[str, Any], message: str, dicom: Any) -> None:
    with pytest.raises(DecodeError, match=message):
        dicom.shown(dicom.dataset(**elements))


@pytest.mark.parametrize(
    ("elements", "message"),
    [
        ({"PhotometricInterpretation": "YBR_RCT"}, "YBR_RCT belongs to JPEG 2000"),
        ({"PhotometricInterpretation": "YBR_ICT"}, "YBR_ICT belongs to JPEG 2000"),
        ({"PlanarConfiguration": 2}, "0 or 1 was expected"),
        ({"PhotometricInterpretation": "YBR_PARTIAL_422"}, "photometric interpretation is none of"),
    ],
)
def test_colours_that_cannot_be_are_refused(elements: dict[str, Any], message: str, dicom: Any) -> None:
    with pytest.raises(DecodeError, match=message):
        dicom.shown(dicom.dataset(COLOURS, 8, **elements))


def test_one_frame_said_to_be_one_is_taken(dicom: Any) -> None:
    np.testing.assert_array_equal(dicom.shown(dicom.dataset(NumberOfFrames=1)), dicom.shown(dicom.dataset()))


def test_the_place_of_the_highest_bit_may_be_left_out(dicom: Any) -> None:
    np.testing.assert_array_equal(dicom.shown(dicom.dataset(HighBit=None)), dicom.shown(dicom.dataset()))


def test_the_limits_are_those_that_are_given(dicom: Any) -> None:
    made = dicom.dataset()
    with pytest.raises(DecodeError, match="40 x 20 pixels; at most 799"):
        dicom.shown(made, DecodeLimits(max_pixels=799))
    with pytest.raises(DecodeError, match="come to 1,600 bytes; at most 1,599"):
        dicom.shown(made, DecodeLimits(max_inflated=1599))
    dicom.shown(made, DecodeLimits(max_pixels=800, max_inflated=1600))
