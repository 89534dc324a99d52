"""Finding the elements that decide a picture: what is DICOM at all, bounded inflating, bounded parsing."""

from __future__ import annotations

import struct
import tracemalloc
import zlib
from typing import Any

import numpy as np
import pytest
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from radlens.imaging.dicom import elements as dicom_elements
from radlens.imaging.dicom.encoding import looks_like_dicom
from radlens.imaging.dicom.file import read_dicom
from radlens.imaging.dicom.picture import decode_dicom
from radlens.imaging.limits import DEFAULT_LIMITS, DecodeError, DecodeLimits

MIB = 2**20
UNCOMPRESSED = [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian]


def meta(syntax: str) -> bytes:
    """Preamble, prefix and file meta information."""
    uid = syntax.encode() + b"\0" * (len(syntax) % 2)
    element = struct.pack("<HH2sH", 2, 0x10, b"UI", len(uid)) + uid
    return bytes(128) + b"DICM" + struct.pack("<HH2sHL", 2, 0, b"UL", 4, len(element)) + element


def element(group: int, number: int, kind: bytes, value: bytes) -> bytes:
    """An explicit element, little endian."""
    if kind in (b"OB", b"OW", b"SQ", b"UN"):
        return struct.pack("<HH2sHL", group, number, kind, 0, len(value)) + value
    return struct.pack("<HH2sH", group, number, kind, len(value)) + value


def pixels(rows: int, columns: int) -> bytes:
    """The elements of a grey picture of 16 bits, all 0."""
    numbers = {0x02: 1, 0x10: rows, 0x11: columns, 0x100: 16, 0x101: 16, 0x102: 15, 0x103: 0}
    parts = [element(0x28, place, b"US", struct.pack("<H", number)) for place, number in numbers.items()]
    parts.insert(1, element(0x28, 4, b"CS", b"MONOCHROME2 "))
    return b"".join(parts) + element(0x7FE0, 0x10, b"OW", bytes(2 * rows * columns))


def deflated(data_set: bytes, level: int = 9) -> bytes:
    """The file, its data set deflated."""
    packer = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS)
    return meta(DeflatedExplicitVRLittleEndian) + packer.compress(data_set) + packer.flush()


def refusal(content: bytes, limits: DecodeLimits = DEFAULT_LIMITS) -> str:
    """Why it is refused."""
    with pytest.raises(DecodeError) as caught:
        decode_dicom("x.dcm", content, limits)
    return str(caught.value)


def without_preamble(content: bytes) -> bytes:
    """The data set alone."""
    (length,) = struct.unpack("<L", content[140:144])
    return content[144 + length :]


@pytest.mark.parametrize("syntax", UNCOMPRESSED)
def test_a_data_set_without_preamble_is_recognised_and_shown(syntax: UID, dicom: Any) -> None:
    whole = dicom.content(dicom.dataset(syntax=syntax))
    bare = without_preamble(whole)
    assert bare[:4] in (b"\x08\0\x16\0", b"\0\x08\0\x16")
    assert looks_like_dicom(bare)
    image, _, _, _, compression, *_ = decode_dicom("x", bare)
    np.testing.assert_array_equal(np.asarray(image), dicom.shown(whole))
    assert compression == syntax.name


def test_a_file_may_begin_with_its_meta_information(dicom: Any) -> None:
    whole = dicom.content(dicom.dataset(syntax=ExplicitVRBigEndian))
    assert whole[132:136] == b"\2\0\0\0"
    np.testing.assert_array_equal(dicom.shown(whole[132:]), dicom.shown(whole))


@pytest.mark.parametrize("syntax", UNCOMPRESSED)
def test_a_file_that_does_not_name_its_syntax_is_shown(syntax: str, dicom: Any) -> None:
    whole = dicom.content(dicom.dataset(syntax=syntax))
    unnamed = meta("")[:144] + without_preamble(whole)
    unnamed = unnamed[:140] + struct.pack("<L", 0) + unnamed[144:]
    np.testing.assert_array_equal(dicom.shown(unnamed), dicom.shown(whole))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x08\0",
        b"DICM",
        bytes(128) + b"DICOM"[:3],
        bytes(500),
        b"\xff\xd8\xff\xe0" + bytes(200),
        b"\x89PNG\r\n\x1a\n" + bytes(200),
        b"BM" + bytes(200),
        b"II*\0\x08\0\0\0" + bytes(200),
        b"<html>" + b" " * 200,
        b"\x08\0\x05\0CS\x0a\0ISO_IR 100\x08\0\x04\0CS\x02\0AB\x08\0\x16\0UI\x00\0" + bytes(20),
        b"\x08\0\x05\0\xff\xff\xff\x7f" + bytes(200),
        b"\x08\0\x05\0ZZ\x0a\0" + bytes(200),
        b"\x10\0\x10\0PN\x04\0A^B \x10\0\x20\0LO\x02\0A \x10\0\x30\0DA\x00\0" + bytes(20),
    ],
)
def test_other_bytes_are_not_taken_for_dicom(content: bytes) -> None:
    assert not looks_like_dicom(content)
    assert "neither the DICOM prefix nor a DICOM header" in refusal(content)


def test_of_random_bytes_none_are_taken_for_dicom() -> None:
    rng = np.random.default_rng(1)
    assert not any(looks_like_dicom(b"\x08\0" + rng.bytes(300)) for _ in range(3000))


def test_only_elements_that_decide_the_picture_are_looked_at(dicom: Any) -> None:
    made = dicom.dataset(PatientName="DOE^JANE", PatientID="MRN-4711", PatientBirthDate="19470312")
    made.add_new(0x00091001, "LT", "DOE^JANE again")
    elements = read_dicom(dicom.content(made), DEFAULT_LIMITS).elements
    assert {place[0] >> 16 for place in elements.values} == {0x0008, 0x0028, 0x7FE0}
    assert "DOE" not in str(elements)


@pytest.mark.parametrize("level", [0, 1, 9])
def test_a_deflated_file_is_shown(level: int, dicom: Any) -> None:
    whole = dicom.content(dicom.dataset())
    packed = deflated(without_preamble(whole), level)
    np.testing.assert_array_equal(dicom.shown(packed), dicom.shown(whole))
    assert decode_dicom("x", packed)[4] == "Deflated Explicit VR Little Endian"
    # Some writers pad the stream to even length.
    np.testing.assert_array_equal(dicom.shown(packed + b"\0"), dicom.shown(whole))


def test_a_deflated_file_of_many_steps_is_shown(dicom: Any) -> None:
    values = np.random.default_rng(0).integers(0, 4096, (900, 1200), dtype=np.uint16)
    whole = dicom.content(dicom.dataset(values))
    np.testing.assert_array_equal(dicom.shown(deflated(without_preamble(whole), 1)), dicom.shown(whole))


@pytest.mark.parametrize("tenth", range(10))
def test_a_deflated_file_cut_short_is_refused(tenth: int, dicom: Any) -> None:
    packed = deflated(without_preamble(dicom.content(dicom.dataset())))
    start = len(meta(DeflatedExplicitVRLittleEndian))
    assert "cut short" in refusal(packed[: start + (len(packed) - start) * tenth // 10])


def test_damaged_deflated_data_are_refused() -> None:
    assert "is damaged" in refusal(meta(DeflatedExplicitVRLittleEndian) + b"\xff" * 100)


def test_a_deflated_bomb_is_refused_before_memory_is_spent() -> None:
    # 186 MB in 186 KB, with a header that declares a picture of that size.
    bomb = deflated(pixels(9300, 10_000))
    assert len(bomb) < 190_000
    tracemalloc.start()
    try:
        assert "decompression bomb" in refusal(bomb)
        assert "come to more than 8,388,608" in refusal(bomb, DecodeLimits(max_inflated=8 * MIB))
        assert tracemalloc.get_traced_memory()[1] < 16 * MIB
    finally:
        tracemalloc.stop()


def test_a_deflated_bomb_beside_a_small_picture_is_refused() -> None:
    assert "decompression bomb" in refusal(deflated(element(9, 0x10, b"UN", bytes(60 * MIB)) + pixels(4, 4)))


def test_what_inflates_to_exactly_the_limit_is_opened(dicom: Any) -> None:
    data_set = without_preamble(dicom.content(dicom.dataset()))
    packed = deflated(data_set)
    dicom.shown(packed, DecodeLimits(max_inflated=len(data_set)))
    assert "data.limits.max_inflated" in refusal(packed, DecodeLimits(max_inflated=len(data_set) - 1))


ITEM, OPEN_ITEM = struct.pack("<HHL", 0xFFFE, 0xE000, 0), struct.pack("<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF)
OPEN_PRIVATE = struct.pack("<HH2sHL", 9, 0x10, b"SQ", 0, 0xFFFFFFFF)
OPEN_LUT = struct.pack("<HH2sHL", 0x28, 0x3000, b"SQ", 0, 0xFFFFFFFF)


def nested(levels: int) -> bytes:
    """Sequences of defined length in one another."""
    inner = b""
    for _ in range(levels):
        inner = element(0x28, 0x3000, b"SQ", struct.pack("<HHL", 0xFFFE, 0xE000, len(inner)) + inner)
    return inner


HOSTILE = {
    "sequences in one another": meta(ExplicitVRLittleEndian) + (OPEN_PRIVATE + OPEN_ITEM) * 100_000,
    "lookup tables in one another": meta(ExplicitVRLittleEndian) + (OPEN_LUT + OPEN_ITEM) * 100_000,
    "sequences of defined length in one another": meta(ExplicitVRLittleEndian) + nested(2000) + pixels(4, 4),
    "millions of items": meta(ExplicitVRLittleEndian) + OPEN_PRIVATE + ITEM * MIB,
    "millions of items of a lookup table": meta(ExplicitVRLittleEndian)
    + element(0x28, 0x3000, b"SQ", ITEM * MIB)
    + pixels(4, 4),
    "millions of elements": meta(ImplicitVRLittleEndian) + struct.pack("<HHL", 0x28, 0x10, 0) * MIB,
    "a sequence for a number": meta(ExplicitVRLittleEndian) + element(0x28, 2, b"SQ", ITEM * MIB) + pixels(4, 4)[10:],
    "millions of window centres": meta(ImplicitVRLittleEndian)
    + b"".join(
        struct.pack("<HHL", 0x28, place, len(value)) + value
        for place, value in {
            0x02: b"\1\0",
            0x04: b"MONOCHROME2 ",
            0x10: b"\4\0",
            0x11: b"\4\0",
            0x100: b"\x10\0",
            0x101: b"\x10\0",
            0x102: b"\x0f\0",
            0x103: b"\0\0",
            0x1050: b"1\\" * MIB,
            0x1051: b"9\\" * MIB,
        }.items()
    )
    + struct.pack("<HHL", 0x7FE0, 0x10, 32)
    + bytes(32),
    "a transfer syntax of 60,000 letters": meta("1." * 30_000) + pixels(4, 4),
    "a giant length": meta(ExplicitVRLittleEndian)
    + pixels(4, 4)[:-44]
    + struct.pack("<HH2sHL", 0x7FE0, 0x10, b"OW", 0, 0xFFFFFFF0)
    + bytes(8),
    "nothing after the prefix": bytes(128) + b"DICM",
    "the file meta information alone": meta(ExplicitVRLittleEndian),
    "a syntax and rubbish": meta("1.2.3.4.5.6") + bytes(range(256)) * 40,
    "random bytes after the prefix": bytes(128) + b"DICM" + np.random.default_rng(3).bytes(100_000),
    "a private syntax with rubbish in pieces": meta("1.3.46.670589.33.1.4.1")
    + pixels(4, 4)[:-44]
    + struct.pack("<HH2sHL", 0x7FE0, 0x10, b"OB", 0, 0xFFFFFFFF)
    + (struct.pack("<HHL", 0xFFFE, 0xE000, 8) + b"rubbish!") * 50
    + struct.pack("<HHL", 0xFFFE, 0xE0DD, 0),
}


# What is absurd in these is passed over.
SHOWN = {"a sequence for a number", "millions of window centres"}


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_hostile_files_are_refused_or_shown_in_bounded_memory(name: str) -> None:
    content = HOSTILE[name]
    tracemalloc.start()
    try:
        if name in SHOWN:
            assert decode_dicom("x.dcm", content).remarks
        else:
            assert refusal(content).startswith("x.dcm: ")
        assert tracemalloc.get_traced_memory()[1] < 4 * len(content) + 48 * MIB
    finally:
        tracemalloc.stop()


def test_the_number_of_elements_is_bounded(dicom: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    content = dicom.content(dicom.dataset())
    monkeypatch.setattr(dicom_elements, "MAX_ELEMENTS", 10)
    assert "more elements than an image can have" in refusal(content)
    monkeypatch.setattr(dicom_elements, "MAX_ELEMENTS", 100)
    dicom.shown(content)


def test_elements_that_are_not_wanted_are_passed_over(dicom: Any) -> None:
    made = dicom.dataset()
    for number in range(2000):
        made.add_new(0x00091000 + number, "LO", f"value {number}")

    np.testing.assert_array_equal(dicom.shown(made), dicom.shown(dicom.dataset()))
