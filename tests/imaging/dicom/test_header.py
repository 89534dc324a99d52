"""DICOM headers: held against pydicom on its own files, in every encoding."""

from __future__ import annotations

import struct
import warnings
from datetime import date, timedelta
from pathlib import Path

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.data import get_testdata_files
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence
from pydicom.uid import UID, DigitalXRayImageStorageForPresentation, ExplicitVRBigEndian

from made_headers import SYNTAXES, content_of, dataset, header_of, item, known
from radlens.imaging.dicom.header import DicomHeader, age_in_years, read_header
from radlens.imaging.limits import DecodeError

KEYWORDS = {
    "patient_id": "PatientID",
    "other_patient_ids": "OtherPatientIDs",
    "patient_name": "PatientName",
    "birth_date": "PatientBirthDate",
    "accession": "AccessionNumber",
    "study": "StudyInstanceUID",
    "series": "SeriesInstanceUID",
    "sop_instance": "SOPInstanceUID",
    "sop_class": "SOPClassUID",
    "institution": "InstitutionName",
}
FILES = sorted({name for name in get_testdata_files() if Path(name).is_file()})


def test_every_file_of_pydicom_gives_what_pydicom_reads() -> None:
    compared = 0
    for name in FILES:
        header = read_header(name)
        if header is None:
            assert not name.endswith(".dcm") or name.endswith("no_meta.dcm"), name
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            reference = pydicom.dcmread(name, stop_before_pixels=True, force=True)
            values = {keyword: reference.get(keyword) for keyword in KEYWORDS.values()}
        assert header is not None, name
        for field, keyword in KEYWORDS.items():
            value = values[keyword]
            texts = value if isinstance(value, MultiValue) else [value or ""]
            assert getattr(header, field) == "\\".join(map(str, texts)).strip(), (name, keyword)
            compared += value not in (None, "")
        assert header.has_pixels == bool(reference.get("Rows") and reference.get("Columns")), name
    assert compared > 1000


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda syntax: syntax.name)
def test_a_header_reads_the_same_in_every_encoding(syntax: UID, tmp_path: Path) -> None:
    made = dataset()
    assert known(content_of(made, syntax), tmp_path) == DicomHeader(
        patient_id="MRN-4711",
        patient_name="DOE^JANE",
        birth_date="19470312",
        accession="A77",
        study="1.2.3",
        series="1.2.3.4",
        sop_instance=str(made.SOPInstanceUID),
        institution="St. Elsewhere",
        sop_class=str(DigitalXRayImageStorageForPresentation),
        modality="DX",
        age=72.0,
        sex="F",
        view="PA",
        laterality="L",
        body_part="CHEST",
        manufacturer="ACME Imaging",
        has_pixels=True,
    )


@pytest.mark.parametrize("syntax", SYNTAXES[:3], ids=lambda syntax: syntax.name)
@pytest.mark.parametrize("keep_meta", [True, False])
def test_a_file_without_preamble_is_read_like_the_decoder_does(syntax: UID, keep_meta: bool, tmp_path: Path) -> None:
    content = content_of(dataset(), syntax)
    first = b"\x00\x08\x00\x16" if syntax == ExplicitVRBigEndian else b"\x08\x00\x16\x00"
    bare = content[132:] if keep_meta else content[content.index(first) :]
    assert known(bare, tmp_path) == known(content, tmp_path)


def test_other_files_are_no_dicom_and_what_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    assert header_of(b"\xff\xd8\xff" + bytes(200), tmp_path) is None
    assert header_of(b"", tmp_path) is None
    with pytest.raises(DecodeError, match=r"gone\.dcm"):
        read_header(tmp_path / "gone.dcm")


def test_what_identifies_is_not_shown(tmp_path: Path) -> None:
    shown = repr(known(content_of(dataset()), tmp_path))
    assert "CHEST" in shown
    for planted in ("DOE", "4711", "1947", "A77", "Elsewhere", "1.2.3"):
        assert planted not in shown.replace(str(DigitalXRayImageStorageForPresentation), "")


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda syntax: syntax.name)
@pytest.mark.parametrize("undefined", [True, False])
@pytest.mark.parametrize(("code", "view"), [("272479007", "PA"), ("R-10206", "AP"), ("399173006", "LL"), ("1", "")])
def test_the_view_is_told_by_its_code_where_the_position_is_missing(
    syntax: UID, undefined: bool, code: str, view: str, tmp_path: Path
) -> None:
    made = dataset(ViewPosition="")
    first = item(code, "view")
    first.ViewModifierCodeSequence = Sequence([item("399067008", "lateral")])
    made.ViewCodeSequence = Sequence([first, item("399067008", "lateral")])
    # Elsewhere the same element is something else.
    made.ProcedureCodeSequence = Sequence([item("399067008", "a procedure")])
    for sequence in ("ViewCodeSequence", "ProcedureCodeSequence"):
        made[sequence].is_undefined_length = undefined
        for entry in made[sequence].value:
            entry.is_undefined_length_sequence_item = undefined
    assert known(content_of(made, syntax), tmp_path).view == view


@pytest.mark.parametrize("undefined", [True, False])
def test_the_first_item_with_a_code_tells_the_view(undefined: bool, tmp_path: Path) -> None:
    without = Dataset()
    without.CodeMeaning = "a view without code"
    made = dataset(
        ViewPosition=None, ViewCodeSequence=Sequence([without, item("272479007", "PA"), item("R-10206", "AP")])
    )
    made["ViewCodeSequence"].is_undefined_length = undefined
    assert known(content_of(made), tmp_path).view == "PA"


def test_elements_inside_sequences_are_not_taken_for_the_patients_own(tmp_path: Path) -> None:
    other = Dataset()
    other.PatientID, other.PatientName = "SOMEBODY", "ELSE"
    made = dataset(PatientID=None)
    made.ReferencedPatientSequence = Sequence([other])
    made.OtherPatientIDsSequence = Sequence([other])
    for undefined in (True, False):
        made["ReferencedPatientSequence"].is_undefined_length = undefined
        made["OtherPatientIDsSequence"].is_undefined_length = undefined
        header = known(content_of(made), tmp_path)
        assert (header.patient_id, header.patient_name) == ("", "DOE^JANE")


def test_a_sequence_of_unknown_kind_holds_implicit_elements(tmp_path: Path) -> None:
    content = content_of(dataset(PatientName=None))
    at = content.index(b"\x10\x00\x20\x00LO")
    # A length that would be a value representation, were the element explicit; what it covers would be one too.
    inner = struct.pack("<HHL", 0x0009, 0x1002, 0x4141)
    inner += (
        struct.pack("<HHL", 0xFFFE, 0xE0DD, 0) + struct.pack("<HH2sH", 0x0010, 0x0010, b"PN", 6) + b"MR^NOT"
    ).ljust(0x4141, b"\0")
    unknown = struct.pack("<HH2sHL", 0x0009, 0x1001, b"UN", 0, 0xFFFFFFFF)
    unknown += struct.pack("<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF) + inner + struct.pack("<HHL", 0xFFFE, 0xE00D, 0)
    unknown += struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)
    header = known(content[:at] + unknown + content[at:], tmp_path)
    assert (header.patient_name, header.patient_id, header.view) == ("", "MRN-4711", "PA")


@pytest.mark.parametrize(
    ("charset", "name"),
    [
        ("ISO_IR 100", "Müller^Jörg"),
        ("ISO_IR 192", "王^小東"),
        ("ISO_IR 144", "Люкceмбypг"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎"),
    ],
)
def test_text_is_read_in_the_files_character_set(charset: str | list[str], name: str, tmp_path: Path) -> None:
    made = dataset(SpecificCharacterSet=charset, PatientName=name)
    assert known(content_of(made), tmp_path).patient_name == name


@pytest.mark.parametrize(
    ("age", "birth", "study", "years"),
    [
        ("045Y", "", "", 45),
        ("45Y", "", "", 45),
        ("018M", "", "", 1.5),
        ("030M", "", "", 2),
        ("026W", "", "", 0.5),
        ("003D", "", "", 0.01),
        ("089Y", "", "", 89),
        ("090Y", "", "", 90),
        ("102Y", "", "", 90),
        ("999Y", "", "", None),
        ("45", "", "", None),
        ("DOE", "", "", None),
        ("", "20000229", "20190228", 18),
        ("", "20000229", "20190301", 19),
        ("", "2000.02.29", "20000829", 0.5),
        ("DOE", "19470312", "20200312", 73),
        ("", "19250101", "20200101", 90),
        ("", "19000101", "20200101", None),
        ("", "20200101", "20190101", None),
        ("", "20201332", "20210101", None),
        ("", "19470312", "", None),
    ],
)
def test_ages(age: str, birth: str, study: str, years: float | None) -> None:
    assert age_in_years(age, birth, study) == years


@given(days=st.integers(0, 110 * 365))
def test_an_age_from_dates_is_never_a_year_off(days: int) -> None:
    born = date(1900, 2, 28)
    years = age_in_years("", born.strftime("%Y%m%d"), (born + timedelta(days)).strftime("%Y%m%d"))
    assert years is not None
    exact = days / 365.2425
    assert years == 90 if exact > 90.01 else exact - 1.01 < years <= exact + 0.01


def test_a_code_that_is_none_and_a_sex_that_is_none_stay_empty(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = dataset(ViewPosition="DOE^JANE", BodyPartExamined="DOE^JANE CHEST", PatientSex="JANE", Modality="DOE^J")
        header = known(content_of(made), tmp_path)
    assert (header.view, header.body_part, header.sex, header.modality) == ("", "", "", "")
