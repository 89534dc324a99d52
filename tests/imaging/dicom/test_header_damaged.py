"""DICOM headers that are cut, damaged, hostile or huge: read as far as they go, at next to no cost."""

from __future__ import annotations

import io
import logging
import struct
import tracemalloc
import warnings
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.sequence import Sequence
from pydicom.uid import UID

from made_headers import SYNTAXES, content_of, dataset, item, known
from radlens.imaging.dicom import elements as dicom_elements
from radlens.imaging.dicom.elements import read_elements
from radlens.imaging.dicom.header import read_header


def test_a_report_is_no_picture_and_a_damaged_picture_is(tmp_path: Path) -> None:
    report = dataset(SOPClassUID=UID("1.2.840.10008.5.1.4.1.1.88.11"), Modality="SR", Rows=None, Columns=None)
    assert known(content_of(report), tmp_path).is_no_picture
    content = content_of(dataset())
    cut = known(content[: content.index(b"\x28\x00\x10\x00US")], tmp_path)
    assert not cut.has_pixels
    assert not cut.is_no_picture
    assert cut.patient_id == "MRN-4711"


WRONG = [
    b"",
    b"\0",
    b"\xff" * 7,
    b"\\\\\\",
    b"20201301",
    b"NaN",
    b"-1Y",
    b"999Y",
    b"1e400",
    b"\x1b$B%",
    b"\x1b$)C\xff\xfe",
]


@pytest.mark.parametrize("kind", [b"LO", b"US", b"DA", b"FD", b"AT"])
@pytest.mark.parametrize("wrong", WRONG)
def test_an_element_of_any_content_costs_no_other(wrong: bytes, kind: bytes, tmp_path: Path) -> None:
    content = content_of(dataset())
    wrong += b" " * (len(wrong) % 2)
    for tag in (0x00080020, 0x00080060, 0x00100030, 0x00100040, 0x00101010, 0x00185101, 0x00200062):
        mark = struct.pack("<HH", tag >> 16, tag & 0xFFFF)
        place = content.find(mark)
        if place < 0:
            continue
        (length,) = struct.unpack("<H", content[place + 6 : place + 8])
        value = mark + kind + struct.pack("<H", len(wrong)) + wrong
        header = known(content[:place] + value + content[place + 8 + length :], tmp_path)
        assert (header.patient_id, header.has_pixels) == ("MRN-4711", True)
        assert header.age is None or 0 <= header.age <= 90


def test_every_cut_gives_what_came_before_it(tmp_path: Path) -> None:
    content = content_of(dataset())
    whole = known(content, tmp_path)
    for end in range(132, len(content)):
        header = known(content[:end], tmp_path)
        for field in ("patient_id", "study", "series", "accession"):
            assert str(getattr(whole, field)).startswith(getattr(header, field))


@given(content=st.binary(max_size=300))
def test_random_bytes_after_the_mark_raise_nothing(content: bytes) -> None:
    assert read_elements(io.BytesIO(bytes(128) + b"DICM" + content), [(0x00100020,)]) is not None


@given(data=st.data())
def test_changed_bytes_raise_nothing(data: st.DataObject) -> None:
    content = bytearray(
        content_of(dataset(ViewCodeSequence=Sequence([item("1", "x")])), data.draw(st.sampled_from(SYNTAXES)))
    )
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(132, len(content) - 1))] = data.draw(st.integers(0, 255))
    assert read_elements(io.BytesIO(bytes(content)), [(0x00100020,), (0x00540220, 0x00080100)]) is not None


def peak_of_reading(content: bytes, folder: Path) -> int:
    file = folder / "bomb.dcm"
    file.write_bytes(content)
    read_header(file)
    tracemalloc.start()
    try:
        read_header(file)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_deflated_bomb_costs_no_memory(tmp_path: Path) -> None:
    content = content_of(dataset())
    begin = content[: content.index(b"\x08\x00\x16\x00UI")].replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.1.99")
    begin = begin.replace(b"\x02\x00\x10\x00UI\x14\x00", b"\x02\x00\x10\x00UI\x16\x00")
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(struct.pack("<HH2sHL", 0x0009, 0x1001, b"OB", 0, 400 * 2**20))
    for _ in range(400):
        packed += packer.compress(bytes(2**20))
    packed += packer.flush()
    assert len(packed) < 2**20
    assert peak_of_reading(begin + packed, tmp_path) < 2**20
    header = known(begin + zlib.compress(content[content.index(b"\x08\x00\x16\x00UI") :], wbits=-15), tmp_path)
    assert header.patient_id == "MRN-4711"


@pytest.mark.parametrize(
    "hostile",
    [
        struct.pack("<HHL", 0xFFFE, 0xE000, 0) * 300_000,
        struct.pack("<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF) * 300_000,
        struct.pack("<HH2sHL", 0x0010, 0x0010, b"UT", 0, 2**31) + bytes(2**22),
        struct.pack("<HH2sH", 0x0010, 0x0010, b"PN", 0xFFFF) + bytes(2**22),
    ],
    ids=["empty items", "nested items", "long value", "long name"],
)
def test_hostile_headers_cost_no_memory(hostile: bytes, tmp_path: Path) -> None:
    content = content_of(dataset())
    content = content[: content.index(b"\x10\x00\x10\x00PN")]
    sequence = struct.pack("<HH2sHL", 0x0009, 0x1001, b"SQ", 0, 0xFFFFFFFF)
    assert peak_of_reading(content + sequence + hostile, tmp_path) < 2**20
    assert peak_of_reading(content + hostile, tmp_path) < 2**20


def test_a_value_beyond_the_bound_counts_as_missing(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = dataset(PatientID="x" * (dicom_elements.MAX_VALUE + 2))
        header = known(content_of(made), tmp_path)
    assert (header.patient_id, header.patient_name) == ("", "DOE^JANE")


def test_reading_warns_and_logs_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    content = content_of(dataset()).replace(b"19470312", b"DOE^JANE")
    content = content.replace(b"DX", b"\xff\xfe").replace(b"20200311", b"JANE DOE")
    with warnings.catch_warnings(record=True) as caught, caplog.at_level(logging.DEBUG):
        warnings.simplefilter("always")
        known(content, tmp_path)
    assert caught == []
    assert caplog.records == []
