"""File meta information that contradicts itself: the first group counts, and its first transfer syntax."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
import pytest
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from radlens.imaging.dicom.elements import read_elements

SECOND = "second file meta group: passed over, the first counts, which its group length ends"
TWO = "two transfer syntaxes: the first counts"
LENGTH = "wrong group length of the file meta: its elements count"
# What follows the first group of a deflated file is deflated, and can be no second one.
SYNTAXES = [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian]


def element(tag: int, kind: str, value: bytes) -> bytes:
    """An element of the file meta information."""
    value += bytes(len(value) % 2)
    return struct.pack("<HH2sH", 2, tag, kind.encode(), len(value)) + value


def syntax_of(uid: str) -> bytes:
    return element(0x10, "UI", uid.encode())


def group(*elements: bytes, length: int | None = None) -> bytes:
    """A group with its length, the true one unless another is given."""
    content = b"".join(elements)
    return element(0, "UL", struct.pack("<L", len(content) if length is None else length)) + content


CLASS, WRITER = element(2, "UI", b"1.2.840.10008.5.1.4.1.1.7"), element(0x12, "UI", b"1.2.3")


def with_meta(dicom: Any, syntax: str, meta: bytes) -> bytes:
    """The ramp in a syntax, its file meta information replaced."""
    content = bytes(dicom.content(dicom.dataset(syntax=syntax)))
    (length,) = struct.unpack("<L", content[140:144])
    return content[:132] + meta + content[144 + length :]


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_of_two_groups_the_first_counts(syntax: str, dicom: Any) -> None:
    first, second = group(CLASS, syntax_of(syntax), WRITER), group(CLASS, syntax_of(RLELossless), WRITER)
    content = with_meta(dicom, syntax, first + second)
    np.testing.assert_array_equal(dicom.shown(content), dicom.shown(dicom.dataset()))
    assert dicom.remarks(content) == (SECOND, TWO)
    elements = read_elements(io.BytesIO(content), [(0x00080016,)])
    assert elements is not None
    assert elements.text((0x00080016,)) == "1.2.840.10008.5.1.4.1.1.7"


@pytest.mark.parametrize(
    ("meta", "remarks"),
    [
        (group(CLASS, syntax_of(ExplicitVRLittleEndian)) + group(syntax_of(ExplicitVRLittleEndian)), (SECOND,)),
        (group(CLASS, WRITER) + group(syntax_of(ExplicitVRLittleEndian)), (SECOND,)),
        (group(CLASS, syntax_of(ExplicitVRLittleEndian), syntax_of(RLELossless), WRITER), (TWO,)),
        (group(CLASS, syntax_of(ExplicitVRLittleEndian), WRITER, length=len(CLASS)), (LENGTH,)),
        (group(CLASS, syntax_of(ExplicitVRLittleEndian), WRITER, length=0), (LENGTH,)),
        (group(CLASS, syntax_of(ExplicitVRLittleEndian), WRITER, length=5000), (LENGTH,)),
        (group(CLASS, syntax_of(ExplicitVRLittleEndian), WRITER)[12:], ()),
        (group(syntax_of(ExplicitVRLittleEndian), CLASS, WRITER), ()),
        (group(CLASS, WRITER), ()),
        (b"", ()),
    ],
)
def test_a_group_whose_length_or_syntax_is_wrong_missing_or_doubled(
    meta: bytes, remarks: tuple[str, ...], dicom: Any
) -> None:
    content = with_meta(dicom, ExplicitVRLittleEndian, meta)
    np.testing.assert_array_equal(dicom.shown(content), dicom.shown(dicom.dataset()))
    assert dicom.remarks(content) == remarks


def test_a_deflated_data_set_that_begins_like_an_element_is_no_second_group(dicom: Any) -> None:
    content = with_meta(
        dicom, DeflatedExplicitVRLittleEndian, group(CLASS, syntax_of(DeflatedExplicitVRLittleEndian), WRITER)
    )
    np.testing.assert_array_equal(dicom.shown(content), dicom.shown(dicom.dataset()))
    assert not dicom.remarks(content)
