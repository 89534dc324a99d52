"""Values that contradict Bits Stored, High Bit or Pixel Representation: the picture, with a remark, or a refusal."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ExplicitVRLittleEndian, RLELossless

from made_codestreams import LOSSLESS_FORMS, imagecodecs
from radlens.imaging.limits import DecodeError

RNG = np.random.default_rng(3)
ROWS, COLUMNS = np.mgrid[0:48, 0:64] / 48
# A bright field with two dark ones in it and grain all over, in 12 bits.
FIELD = 2000 + 1700 * np.sin(3 * ROWS) * np.cos(5 * COLUMNS) + RNG.normal(0, 15, ROWS.shape)
TRUE = FIELD.round().astype(np.uint16)
NATIVE = [ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian, RLELossless]


def made_of(dicom: Any, pixels: npt.NDArray[Any], bits: int, syntax: str = ExplicitVRLittleEndian, **more: Any) -> Any:
    """An object in a syntax, its header being as wrong as it is made."""
    if syntax != RLELossless:
        return dicom.dataset(pixels, bits, syntax, **more)
    made = dicom.dataset(pixels, 8 * pixels.dtype.itemsize)
    made.compress(RLELossless, encoding_plugin="pydicom")
    made.BitsStored, made.HighBit = bits, bits - 1
    for name, value in more.items():
        setattr(made, name, value)
    return made


def true_picture(dicom: Any, pixels: npt.NDArray[Any] = TRUE, **more: Any) -> Any:
    return dicom.shown(dicom.dataset(pixels, 8 * pixels.dtype.itemsize, **more))


@pytest.mark.parametrize("syntax", NATIVE)
@pytest.mark.parametrize("declared", [11, 10, 8, 6])
def test_values_above_the_bits_declared_are_shown_and_remarked_on(syntax: str, declared: int, dicom: Any) -> None:
    made = made_of(dicom, TRUE, declared, syntax, WindowCenter=2000, WindowWidth=4000)
    np.testing.assert_array_equal(dicom.shown(made), true_picture(dicom, WindowCenter=2000, WindowWidth=4000))
    assert dicom.remarks(made) == (f"wrong Bits Stored: {declared} declared, but values of 12 bits",)


@pytest.mark.parametrize("form", sorted(LOSSLESS_FORMS))
@pytest.mark.parametrize("declared", [10, 8])
def test_a_codestream_has_the_last_word_on_its_values(form: str, declared: int, dicom: Any) -> None:
    syntax, encode = LOSSLESS_FORMS[form]
    made = dicom.compressed(encode(TRUE), syntax, TRUE, declared)
    np.testing.assert_array_equal(dicom.shown(made), true_picture(dicom))
    assert dicom.remarks(made) == (f"wrong Bits Stored: {declared} declared, but values of 12 bits",)


@pytest.mark.parametrize("form", sorted(LOSSLESS_FORMS))
def test_a_codestream_of_more_bits_than_its_values_need_is_no_fault(form: str, dicom: Any) -> None:
    syntax, encode = LOSSLESS_FORMS[form]
    made = dicom.compressed(encode(TRUE), syntax, TRUE, 12)
    np.testing.assert_array_equal(dicom.shown(made), true_picture(dicom))
    assert not dicom.remarks(made)


def test_a_codestream_of_exactly_its_precision_is_believed_even_in_noise(dicom: Any) -> None:
    noise = RNG.integers(0, 4096, (32, 32), dtype=np.uint16)
    frame = imagecodecs.jpeg2k_encode(noise, codecformat="j2k", level=0, bitspersample=12)
    made = dicom.compressed(bytes(frame), "1.2.840.10008.1.2.4.90", noise, 10)
    np.testing.assert_array_equal(dicom.shown(made), true_picture(dicom, noise))


@pytest.mark.parametrize("declared", [10, 8])
def test_signed_values_above_the_bits_declared_keep_their_own_sign_bit(declared: int, dicom: Any) -> None:
    signed = TRUE.astype(np.int16) - np.int16(2000)
    made = dicom.dataset(signed, declared)
    np.testing.assert_array_equal(dicom.shown(made), true_picture(dicom, signed))
    assert dicom.remarks(made) == (f"wrong Bits Stored: {declared} declared, but values of 12 bits",)


def test_unsigned_values_called_signed_are_shown(dicom: Any) -> None:
    made = dicom.dataset(TRUE, 12, PixelRepresentation=1)
    np.testing.assert_array_equal(dicom.shown(made), true_picture(dicom))
    assert dicom.remarks(made) == ("wrong Bits Stored: 12 declared, but values of 13 bits",)


def test_signed_values_called_unsigned_are_shown(dicom: Any) -> None:
    signed = TRUE.astype(np.int16) - np.int16(2000)
    made = dicom.dataset(signed, 12, PixelRepresentation=0)
    np.testing.assert_array_equal(dicom.shown(made), true_picture(dicom, signed))
    assert dicom.remarks(made) == ("wrong Pixel Representation: unsigned declared, but the values are signed",)


def test_padding_takes_the_sign_that_the_values_have(dicom: Any) -> None:
    signed = TRUE.astype(np.int16) - np.int16(2000)
    signed[:6] = -2040
    made = dicom.dataset(signed, 12, PixelRepresentation=0, PixelPaddingValue=65536 - 2040)
    assert not dicom.shown(made)[:6].any()
    np.testing.assert_array_equal(dicom.shown(made)[6:], true_picture(dicom, signed[6:]))


def test_a_sign_at_the_place_declared_needs_no_bits_above_it(dicom: Any) -> None:
    signed = TRUE.astype(np.int16) - np.int16(2000)
    made = dicom.dataset(signed.view(np.uint16) & np.uint16(0x0FFF), 12, PixelRepresentation=1)
    np.testing.assert_array_equal(dicom.shown(made), true_picture(dicom, signed))
    assert not dicom.remarks(made)


@pytest.mark.parametrize("shape", ["lines", "half"])
def test_an_overlay_that_is_not_declared_is_left_out_with_a_remark(shape: str, dicom: Any) -> None:
    overlay = np.zeros(TRUE.shape, dtype=np.uint16)
    overlay[10 : 12 if shape == "lines" else 40] = 1
    made = dicom.dataset(TRUE | overlay << np.uint16(13), 12)
    np.testing.assert_array_equal(dicom.shown(made), true_picture(dicom))
    assert dicom.remarks(made)[0].startswith("bits beside the values:")


def test_a_declared_overlay_is_left_out_without_a_word_and_the_rest_is_looked_at(dicom: Any) -> None:
    overlay = RNG.integers(0, 2, TRUE.shape, dtype=np.uint16) << np.uint16(15)
    made = dicom.dataset(TRUE | overlay, 12)
    made.add_new(0x60000102, "US", 15)
    np.testing.assert_array_equal(dicom.shown(made), true_picture(dicom))
    assert not dicom.remarks(made)
    made.BitsStored, made.HighBit = 10, 9
    np.testing.assert_array_equal(dicom.shown(made), true_picture(dicom))
    assert dicom.remarks(made) == ("wrong Bits Stored: 10 declared, but values of 12 bits",)


@pytest.mark.parametrize("signed", [False, True])
def test_padding_above_the_bits_declared_is_padding(signed: bool, dicom: Any) -> None:
    pixels = TRUE.astype(np.int16) - np.int16(2000) if signed else TRUE.copy()
    wanted = true_picture(dicom, pixels).copy()
    pixels[:8] = -32768 if signed else 65535
    made = dicom.dataset(pixels, 13)
    made.add_new(0x00280120, "SS" if signed else "US", -32768 if signed else 65535)
    shown = dicom.shown(made)
    assert not shown[:8].any()
    part = np.ptp(pixels[8:].astype(int)) == np.ptp(TRUE.astype(int))
    assert np.array_equal(shown[8:], wanted[8:]) if part else np.abs(shown[8:].astype(int) - wanted[8:]).max() < 30
    assert not dicom.remarks(made)


@pytest.mark.parametrize("mark", [4096, 65535])
def test_marks_above_the_values_are_white_and_nothing_else_changes(mark: int, dicom: Any) -> None:
    pixels, clipped = TRUE.copy(), TRUE.copy()
    pixels[5:20, 5:9], clipped[5:20, 5:9] = mark, 4095
    made = dicom.dataset(pixels, 12)
    assert np.abs(dicom.shown(made).astype(int) - true_picture(dicom, clipped)).max() <= 1
    assert dicom.remarks(made)[0].startswith("wrong Bits Stored: 12 declared, but ")


def test_a_few_dead_pixels_cost_nothing(dicom: Any) -> None:
    pixels, clipped = TRUE.copy(), TRUE.copy()
    for row, value in ((3, 40000), (17, 60000), (30, 65535)):
        pixels[row, row], clipped[row, row] = value, 4095
    np.testing.assert_array_equal(dicom.shown(dicom.dataset(pixels, 12)), true_picture(dicom, clipped))


def test_what_looks_like_no_picture_is_refused_with_both_numbers(dicom: Any) -> None:
    noise = RNG.integers(0, 4096, (32, 32), dtype=np.uint16)
    with pytest.raises(DecodeError, match="values of 12 bits where Bits Stored declares 10, and neither"):
        dicom.shown(dicom.dataset(noise, 10))


@pytest.mark.parametrize("declared", [6, 4])
def test_bytes_of_more_bits_than_declared(declared: int, dicom: Any) -> None:
    values = (TRUE >> 4).astype(np.uint8)
    made = dicom.dataset(values, declared)
    np.testing.assert_array_equal(dicom.shown(made), true_picture(dicom, values))


def test_values_of_32_bits_of_more_bits_than_declared(dicom: Any) -> None:
    values = TRUE.astype(np.uint32) * np.uint32(300)
    np.testing.assert_array_equal(dicom.shown(dicom.dataset(values, 16)), true_picture(dicom, values))


def test_colours_of_more_bits_than_declared(dicom: Any) -> None:
    colours = np.stack([TRUE, TRUE[::-1], TRUE[:, ::-1]], axis=2)
    np.testing.assert_array_equal(dicom.shown(dicom.dataset(colours, 8)), dicom.shown(dicom.dataset(colours, 12)))


@pytest.mark.parametrize("signed", [False, True])
def test_a_high_bit_that_the_values_do_not_reach_is_not_believed(signed: bool, dicom: Any) -> None:
    pixels = TRUE.astype(np.int16) - np.int16(2000) if signed else TRUE
    made = dicom.dataset(pixels, 12, HighBit=15)
    np.testing.assert_array_equal(dicom.shown(made), true_picture(dicom, pixels))
    assert dicom.remarks(made) == ("wrong High Bit: 15 declared, but the values end at bit 11",)


@pytest.mark.parametrize("form", sorted(LOSSLESS_FORMS))
def test_values_at_the_upper_end_are_that_in_a_codestream_too(form: str, dicom: Any) -> None:
    syntax, encode = LOSSLESS_FORMS[form]
    upper = TRUE << np.uint16(4)
    view: dict[str, Any] = {"WindowCenter": 2000, "WindowWidth": 4000}
    made = dicom.compressed(encode(upper), syntax, upper, 12, HighBit=15, **view)
    np.testing.assert_array_equal(dicom.shown(made), true_picture(dicom, **view))
    assert not dicom.remarks(made)


@pytest.mark.parametrize(
    ("elements", "remark"),
    [
        ({"HighBit": 16}, "wrong High Bit: 16 declared for 12 of 16 bits, 11 is taken"),
        ({"HighBit": 5}, "wrong High Bit: 5 declared for 12 of 16 bits, 11 is taken"),
        ({"BitsStored": 0}, "Bits Stored is 0, which cannot be: all 16 bits allocated are read"),
        ({"BitsStored": 17, "HighBit": 16}, "Bits Stored is 17, which cannot be: all 16 bits allocated are read"),
        ({"BitsStored": None}, "Bits Stored is missing: all 16 bits allocated are read"),
    ],
)
def test_bits_that_cannot_be_are_put_right(elements: dict[str, Any], remark: str, dicom: Any) -> None:
    made = dicom.dataset(TRUE, 12, **elements)
    # Of what is not declared, the scale is that of 12 bits, which hold the values; else it is the range of the values.
    on_scale = np.floor(TRUE * (255 / 4095) + 0.5)
    expected = on_scale if "BitsStored" in elements else true_picture(dicom)
    np.testing.assert_array_equal(dicom.shown(made), expected)
    assert dicom.remarks(made)[0] == remark
