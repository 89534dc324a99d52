"""Lookup tables of DICOM with the quirks of their descriptors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.pixels.processing import _expand_segmented_lut
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from radlens.imaging.dicom.lut import LookupTable, expand_segments
from radlens.imaging.dicom.picture import decode_dicom
from radlens.imaging.limits import DecodeError, RefusedError

STEPS = [0, 1000, 4000, 9000, 16000, 25000, 36000, 49000]
SMALL = np.arange(12, dtype=np.uint16).reshape(3, 4)
UNCOMPRESSED = [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian]


def raw_lut(descriptor: list[int], data: bytes, kind: str = "US") -> Sequence:
    """A table as bytes, the way files hold them."""
    item = Dataset()
    item.add_new("LUTDescriptor", kind, descriptor)
    item.add_new("LUTData", "OW", data)
    return Sequence([item])


def test_a_voi_lut_is_looked_up_and_shown_by_its_depth(dicom: Any) -> None:
    wanted = np.array(STEPS)[np.clip(SMALL.astype(int) - 2, 0, 7)] / 65535
    made = dicom.dataset(SMALL, VOILUTSequence=dicom.lut(2, STEPS))
    np.testing.assert_array_equal(dicom.shown(made), dicom.levels(wanted))


def test_a_voi_lut_goes_before_a_window(dicom: Any) -> None:
    made = dicom.dataset(SMALL, VOILUTSequence=dicom.lut(2, STEPS), WindowCenter=3, WindowWidth=2)
    alone = dicom.dataset(SMALL, VOILUTSequence=dicom.lut(2, STEPS))
    np.testing.assert_array_equal(dicom.shown(made), dicom.shown(alone))


def test_of_several_voi_luts_the_first_is_the_default_view(dicom: Any) -> None:
    both = Sequence([*dicom.lut(2, STEPS), *dicom.lut(0, [65535] * 8)])
    one = dicom.dataset(SMALL, VOILUTSequence=dicom.lut(2, STEPS))
    np.testing.assert_array_equal(dicom.shown(dicom.dataset(SMALL, VOILUTSequence=both)), dicom.shown(one))


def test_an_empty_sequence_is_no_lut(dicom: Any) -> None:
    made = dicom.dataset(SMALL, VOILUTSequence=Sequence(), ModalityLUTSequence=Sequence())
    np.testing.assert_array_equal(dicom.shown(made), dicom.shown(dicom.dataset(SMALL)))


def test_a_voi_lut_is_looked_up_with_rescaled_values(dicom: Any) -> None:
    values = np.arange(1000, 1012, dtype=np.uint16).reshape(3, 4)
    made = dicom.dataset(values, RescaleSlope=1, RescaleIntercept=-1000, VOILUTSequence=dicom.lut(2, STEPS))
    wanted = np.array(STEPS)[np.clip(values.astype(int) - 1002, 0, 7)] / 65535
    np.testing.assert_array_equal(dicom.shown(made), dicom.levels(wanted))
    halved = dicom.dataset(values * 2, RescaleSlope=0.5, RescaleIntercept=-1000, VOILUTSequence=dicom.lut(2, STEPS))
    np.testing.assert_array_equal(dicom.shown(halved), dicom.levels(wanted))


def test_a_modality_lut_comes_before_all_else(dicom: Any) -> None:
    values = np.arange(8, dtype=np.uint16).reshape(2, 4)
    table = dicom.lut(0, STEPS)
    table[0].ModalityLUTType = "US"
    shares = np.array(STEPS).reshape(2, 4) / 49000
    np.testing.assert_array_equal(dicom.shown(dicom.dataset(values, ModalityLUTSequence=table)), dicom.levels(shares))
    # The slope is redundant beside it, and left out.
    made = dicom.dataset(values, ModalityLUTSequence=table, RescaleSlope=7, RescaleIntercept=3)
    np.testing.assert_array_equal(dicom.shown(made), dicom.levels(shares))
    seen = dicom.dataset(values, ModalityLUTSequence=table, WindowCenter=20000, WindowWidth=10001)
    wanted = np.clip((np.array(STEPS).reshape(2, 4) - 19999.5) / 10000 + 0.5, 0, 1)
    np.testing.assert_array_equal(dicom.shown(seen), dicom.levels(wanted))


@pytest.mark.parametrize("syntax", UNCOMPRESSED)
@pytest.mark.parametrize("kind", ["US", "SS"])
def test_the_first_value_mapped_may_be_negative(syntax: str, kind: str, dicom: Any) -> None:
    values = np.arange(-6, 6, dtype=np.int16).reshape(3, 4)
    first = -4 if kind == "SS" else 65536 - 4
    data = np.array(STEPS, dtype=">u2" if syntax == ExplicitVRBigEndian else "<u2").tobytes()
    wanted = np.array(STEPS)[np.clip(values.astype(int) + 4, 0, 7)]
    made = dicom.dataset(values, 16, syntax, VOILUTSequence=raw_lut([8, first, 16], data, kind))
    np.testing.assert_array_equal(dicom.shown(made), dicom.levels(wanted / 65535))
    made = dicom.dataset(values, 16, syntax, ModalityLUTSequence=raw_lut([8, first, 16], data, kind))
    np.testing.assert_array_equal(dicom.shown(made), dicom.levels(wanted / 49000))


def test_a_large_first_value_stays_large_where_no_input_is_negative(dicom: Any) -> None:
    values = np.array([[60000, 60001, 60007]], dtype=np.uint16)
    made = dicom.dataset(values, 16, VOILUTSequence=dicom.lut(60000, STEPS))
    assert dicom.shown(made).tolist() == [[0, 4, 191]]


@pytest.mark.parametrize("kind", ["US", "SS"])
def test_no_entries_mean_65536(kind: str, dicom: Any) -> None:
    values = np.array([[0, 1, 32768, 65535]], dtype=np.uint16)
    entries = np.arange(65536, dtype="<u2")[::-1].tobytes()
    made = dicom.dataset(values, 16, VOILUTSequence=raw_lut([0, 0, 16], entries, kind))
    assert dicom.shown(made).tolist() == [[255, 255, 127, 0]]


@pytest.mark.parametrize("syntax", UNCOMPRESSED)
@pytest.mark.parametrize("packed", [True, False])
def test_entries_of_8_bits_take_a_byte_or_a_word(syntax: str, packed: bool, dicom: Any) -> None:
    entries = np.array([10, 20, 40, 80, 160], dtype=np.uint8)
    order = ">" if syntax == ExplicitVRBigEndian else "<"
    padded = np.append(entries, np.uint8(0))
    words = padded.view("<u2") if packed else entries.astype("<u2")
    data = words.astype(f"{order}u2").tobytes()
    values = np.arange(5, dtype=np.uint16).reshape(1, 5)
    made = dicom.dataset(values, 12, syntax, VOILUTSequence=raw_lut([5, 0, 8], data))
    assert dicom.shown(made).tolist() == [entries.tolist()]


@pytest.mark.parametrize(("bits", "white"), [(10, 1023), (12, 4095), (16, 65535), (0, 1023), (99, 1023)])
def test_white_is_the_largest_entry_of_the_depth(bits: int, white: int, dicom: Any) -> None:
    # A depth that cannot be is told from the largest entry, as dcmtk does.
    values = np.arange(4, dtype=np.uint16).reshape(2, 2)
    made = dicom.dataset(values, VOILUTSequence=dicom.lut(0, [0, 300, 600, 900], bits))
    wanted = np.array([[0, 300], [600, 900]]) / white
    np.testing.assert_array_equal(dicom.shown(made), dicom.levels(wanted))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (raw_lut([8, 0, 16], b"\1\2" * 7), "8 entries of 16 bits has only 14 bytes"),
        (raw_lut([8, 0, 8], b"\1" * 6), "8 entries of 8 bits has only 6 bytes"),
        (raw_lut([8, 0, 16], b""), "has only 0 bytes"),
        (raw_lut([2, 0, 8], b"\0\1\0\2"), "8 bits holds the entry 512"),
        (raw_lut([8, 0], bytes(16)), "LUTDescriptor is missing or damaged"),
        (Sequence([Dataset()]), "LUTDescriptor is missing or damaged"),
    ],
)
@pytest.mark.parametrize("place", ["VOILUTSequence", "ModalityLUTSequence"])
def test_a_table_that_contradicts_itself_is_refused_or_passed_over(
    table: Sequence, message: str, place: str, dicom: Any
) -> None:
    made = dicom.dataset(SMALL, **{place: table})
    if place == "ModalityLUTSequence":
        with pytest.raises(DecodeError, match=message):
            dicom.shown(made)
    else:
        assert message in dicom.remarks(made)[0]


def palette(dicom: Any, values: Any, colours: list[tuple[int, int, int]], bits: int, **elements: Any) -> Dataset:
    """An object of indexed colours."""
    made: Dataset = dicom.dataset(values, 8 * values.dtype.itemsize, **elements)
    made.PhotometricInterpretation = "PALETTE COLOR"
    for channel, colour in enumerate(("Red", "Green", "Blue")):
        entries = [entry[channel] for entry in colours]
        made.add_new(f"{colour}PaletteColorLookupTableDescriptor", "US", [len(entries) % 65536, 0, bits])
        made.add_new(f"{colour}PaletteColorLookupTableData", "OW", np.array(entries, dtype="<u2").tobytes())
    return made


COLOURS = [(0, 0, 0), (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)]


@pytest.mark.parametrize(("bits", "factor"), [(8, 1), (16, 1), (16, 257)])
def test_indexed_colours_become_their_luminance(bits: int, factor: int, dicom: Any) -> None:
    # Descriptors that say 16 bits for entries of 8 are common.
    values = np.array([[0, 1, 2, 3, 4, 9]], dtype=np.uint8)
    scaled = [(red * factor, green * factor, blue * factor) for red, green, blue in COLOURS]
    made = palette(dicom, values, scaled, bits)
    assert dicom.shown(made).tolist() == [[0, 76, 150, 29, 255, 255]]
    content = dicom.content(made)
    assert decode_dicom("x", content)[3] == "PALETTE COLOR"


def test_indices_may_be_of_16_bits(dicom: Any) -> None:
    grey = [(value, value, value) for value in range(65536)]
    values = np.array([[0, 257, 40000, 65535]], dtype=np.uint16)
    assert dicom.shown(palette(dicom, values, grey, 16)).tolist() == [[0, 1, 156, 255]]


@pytest.mark.parametrize("missing", ["RedPaletteColorLookupTableData", "BluePaletteColorLookupTableDescriptor"])
def test_a_palette_without_a_part_is_refused(missing: str, dicom: Any) -> None:
    made = palette(dicom, np.zeros((2, 2), np.uint8), COLOURS, 8)
    del made[missing]
    with pytest.raises(DecodeError, match=r"has only 0 bytes|Descriptor is missing"):
        dicom.shown(made)


def test_palettes_of_different_lengths_are_refused(dicom: Any) -> None:
    made = palette(dicom, np.zeros((2, 2), np.uint8), COLOURS, 8)
    made.GreenPaletteColorLookupTableDescriptor = [3, 0, 8]
    with pytest.raises(DecodeError, match="differ in length"):
        dicom.shown(made)


segments = st.lists(
    st.tuples(st.just(0), st.lists(st.integers(0, 255), min_size=1, max_size=9))
    | st.tuples(st.just(1), st.tuples(st.integers(1, 9), st.integers(0, 255))),
    max_size=6,
)


@given(begin=st.lists(st.integers(0, 255), min_size=1, max_size=5), rest=segments, wide=st.booleans())
def test_segments_expand_as_in_pydicom(begin: list[int], rest: list[Any], wide: bool) -> None:
    codes = [0, len(begin), *begin]
    for kind, body in rest:
        codes += [0, len(body), *body] if kind == 0 else [1, *body]
    codes += [2, 1, 0, 0] if wide else [2, 1, 0, 0, 0, 0]
    form = f"<{len(codes)}{'H' if wide else 'B'}"
    wanted = _expand_segmented_lut(tuple(codes), form)
    data = np.array(codes, dtype="<u2" if wide else np.uint8).tobytes()
    np.testing.assert_array_equal(expand_segments(data, 16 if wide else 8, "<", len(wanted)), wanted)


def test_segments_of_8_bits_may_be_stored_as_big_endian_words() -> None:
    codes = bytes([0, 2, 10, 20, 1, 4, 60, 2, 1, 0, 0, 0, 0, 0])
    swapped = np.frombuffer(codes, dtype="<u2").byteswap().tobytes()
    wanted = [10, 20, 30, 40, 50, 60, 10, 20]
    assert expand_segments(codes, 8, "<", 8).tolist() == expand_segments(swapped, 8, ">", 8).tolist() == wanted


@pytest.mark.parametrize("name", ["gdcm-US-ALOKA-16.dcm", "gdcm-US-ALOKA-16_big.dcm"])
def test_a_real_segmented_palette_is_that_of_pydicom(name: str, radiographs: Any) -> None:
    from pydicom.pixels.processing import apply_color_lut

    header = pydicom.dcmread(radiographs / name)
    colours = apply_color_lut(header.pixel_array, header) / 257
    wanted = colours @ np.array([0.299, 0.587, 0.114])
    found = np.asarray(decode_dicom(name, (radiographs / name).read_bytes())[0])
    assert np.abs(found - wanted).max() <= 1


@pytest.mark.parametrize(
    "codes",
    [
        [1, 5, 60, 0],
        [2, 1, 0, 0, 0, 0],
        [0, 1, 9, 7, 1, 1, 1],
        [0, 1, 9, 0, 0, 0],
        [0, 1, 9, 2, 1, 3, 0, 0, 0],
        [0, 1, 9],
        [],
    ],
)
def test_damaged_segments_are_refused(codes: list[int]) -> None:
    with pytest.raises(RefusedError, match="segmented palette"):
        expand_segments(bytes(codes), 8, "<", 100)


def test_segments_that_repeat_each_other_stay_within_the_declared_entries() -> None:
    # Each indirect segment would repeat all before it: entries would double with every one of them.
    codes = [0, 2, 1, 2] + [2, 255, 0, 0, 0, 0] * 5000
    with pytest.raises(RefusedError):
        expand_segments(bytes(codes), 8, "<", 65536)


def test_a_table_keeps_to_its_ends() -> None:
    table = LookupTable(10, np.array([5, 6, 7], dtype=np.uint16), 8)
    assert table.look_up(np.array([-1e300, 9.0, 10.4, 10.6, 12.0, 1e300])).tolist() == [5, 5, 5, 6, 7, 7]
    assert table.highest == 255
