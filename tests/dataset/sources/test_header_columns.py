"""What DICOM headers add to a source: columns, patients and pseudonyms, and no identifier."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from radlens.config import DataSettings
from radlens.dataset.manifest import Manifest
from radlens.dataset.pseudonym import user_pseudonyms
from radlens.dataset.sources import header_columns, read_source
from radlens.dataset.sources.header_columns import read_headers
from radlens.imaging.dicom.header import DicomHeader, read_header
from radlens.imaging.limits import DecodeError

Write = Callable[..., Path]
Columns = Callable[..., dict[str, str]]
FILLED = {
    "PatientSex": "M",
    "PatientAge": "094Y",
    "ViewPosition": "AP",
    "Laterality": "R",
    "BodyPartExamined": "CHEST",
    "Manufacturer": "ACME",
    "InstitutionName": "St.  Elsewhere",
}


@pytest.fixture
def classes(tmp_path: Path, write_dicom: Write) -> Path:
    """Class folders with four DICOM files of three patients."""
    for number, (label, patient) in enumerate([("NO", "A1"), ("NO", "A2"), ("YES", "A2"), ("YES", "A3")]):
        more = FILLED if number == 0 else {}
        write_dicom(tmp_path / "c" / label / f"x{number}", number, PatientID=patient, **more)
    return tmp_path / "c"


def test_class_folders_of_dicom_files_take_their_columns_from_the_headers(classes: Path) -> None:
    table = read_source(DataSettings(source=str(classes))).table
    pseudonyms = user_pseudonyms()
    assert table["patient"].tolist() == [pseudonyms.of("patient", name) for name in ("A1", "A2", "A2", "A3")]
    first, second = table.iloc[0], table.iloc[1]
    assert first[["view", "laterality", "body_part", "age", "sex", "manufacturer", "modality"]].tolist() == [
        "AP",
        "R",
        "CHEST",
        "90",
        "M",
        "ACME",
        "DX",
    ]
    assert first["site"] == pseudonyms.of("site", "st. elsewhere")
    assert first["study"] == pseudonyms.of("study", "1.2.826.2.1")
    assert first["series"] == pseudonyms.of("series", "1.2.826.3.1")
    assert second[["view", "age", "sex", "site"]].tolist() == [""] * 4
    assert not table.astype(str).apply(lambda column: column.str.contains("1.2.826", regex=False)).any(axis=None)


def test_a_name_where_none_belongs_is_not_taken_over(classes: Path, write_dicom: Write) -> None:
    misplaced = {"ViewPosition": "JANE", "BodyPartExamined": "DOE JANE", "Manufacturer": "Jane Doe", "Modality": "DOE"}
    write_dicom(classes / "NO" / "x0", 0, **misplaced)
    first = read_source(DataSettings(source=str(classes))).table.iloc[0].to_dict()
    assert "modality" in first
    assert [first.get(name, "") for name in ("view", "body_part", "manufacturer", "modality")] == [""] * 4


def test_the_manifest_reads_back_as_it_was(classes: Path, tmp_path: Path) -> None:
    manifest = read_source(DataSettings(source=str(classes)))
    manifest.write(tmp_path / "m")
    pd.testing.assert_frame_equal(Manifest.read(tmp_path / "m").table, manifest.table, check_dtype=False)


def test_a_column_that_no_header_fills_is_not_there(classes: Path) -> None:
    (classes / "NO" / "x0").unlink()
    table = read_source(DataSettings(source=str(classes))).table
    assert list(table.columns) == ["path", "label", "patient", "split", "modality", "study", "series"]


def test_the_institution_can_be_named(classes: Path) -> None:
    settings = DataSettings.model_validate({"source": str(classes), "dicom": {"site": "name"}})
    assert read_source(settings).table["site"][0] == "St. Elsewhere"


def test_a_rule_for_file_names_outweighs_the_header(classes: Path) -> None:
    table = read_source(DataSettings(source=str(classes), patient_from=r"^(x\d)")).table
    assert table["patient"].tolist() == ["x0", "x1", "x2", "x3"]
    alone = read_source(DataSettings(source=str(classes), patient_from="none")).table
    assert alone["patient"].tolist() == alone["path"].tolist()


def test_without_patient_id_names_then_studies_tell_the_patient(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, write_dicom: Write, as_dict: Columns
) -> None:
    for number in range(4):
        study = {"StudyInstanceUID": f"1.2.{number // 2 + 1}", "PatientID": "ANONYMOUS"}
        write_dicom(tmp_path / "a" / ("NO", "YES")[number % 2] / f"{number}.dcm", number, **study)
        named = tmp_path / "b" / ("NO", "YES")[number % 2] / f"person{number // 2}_virus_{number}.dcm"
        write_dicom(named, number, **study)
    by_study = as_dict(read_source(DataSettings(source=str(tmp_path / "a"))), "patient")
    assert by_study["NO/0.dcm"] == by_study["YES/1.dcm"] != by_study["NO/2.dcm"] == by_study["YES/3.dcm"]
    assert "4 DICOM header(s) have no Patient ID" in caplog.text
    by_name = as_dict(read_source(DataSettings(source=str(tmp_path / "b"))), "patient")
    assert sorted(by_name.values()) == ["person0", "person0", "person1", "person1"]


def test_one_id_for_all_is_a_placeholder(tmp_path: Path, caplog: pytest.LogCaptureFixture, write_dicom: Write) -> None:
    for number in range(4):
        write_dicom(tmp_path / "a" / ("NO", "YES")[number % 2] / f"{number}.dcm", number, PatientID="1234")
    table = read_source(DataSettings(source=str(tmp_path / "a"))).table
    assert table["patient"].nunique() == 4
    assert "taken for a placeholder" in caplog.text


def test_dicom_among_other_formats_keeps_each_its_own(classes: Path, as_dict: Columns) -> None:
    (classes / "NO" / "IM-0001-0001.jpeg").write_bytes(b"x")
    (classes / "NO" / "IM-0001-0002.jpeg").write_bytes(b"x")
    manifest = read_source(DataSettings(source=str(classes)))
    patients = as_dict(manifest, "patient")
    assert patients["NO/IM-0001-0001.jpeg"] == patients["NO/IM-0001-0002.jpeg"] == "IM-0001"
    assert as_dict(manifest, "view")["NO/IM-0001-0001.jpeg"] == ""
    assert len(manifest.info.notes) == 2


def test_other_formats_are_not_opened(classes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (classes / "NO" / "a.jpeg").write_bytes(b"x")
    opened: list[str] = []

    def noted(file: str) -> DicomHeader | None:
        opened.append(file)
        return read_header(file)

    monkeypatch.setattr(header_columns, "read_header", noted)
    read_source(DataSettings(source=str(classes)))
    assert sorted(Path(file).name for file in opened) == ["x0", "x1", "x2", "x3"]


def test_a_csv_of_dicom_files_keeps_its_own_columns_and_no_identifiers(
    classes: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, write_csv: Write
) -> None:
    rows = {
        "path": ["NO/x0", "NO/x1", "YES/x2", "YES/x3"],
        "label": ["no", "no", "yes", "yes"],
        "sex": ["F"] * 4,
        "who": ["A1", "A2", "A2", "A3"],
        "surname": ["Smith"] * 4,
        "words": ["", "seen for Jane Doe", "", ""],
        "uid": ["1.2.826.2.1", "", "", ""],
        "MRN": ["77"] * 4,
        "Patient Name": ["X"] * 4,
        "rating": ["1", "2", "2", "1"],
    }
    file = write_csv(classes, rows)
    table = read_source(DataSettings(source=str(file))).table
    assert set(table.columns) - {"path", "label", "patient", "split"} == {
        *("view", "laterality", "body_part", "age", "manufacturer", "site", "modality", "study", "series"),
        *("sex", "rating"),
    }
    assert table["sex"].tolist() == ["F"] * 4
    assert "'who'" in caplog.text
    assert "'words'" in caplog.text
    assert "Jane" not in caplog.text
    with_patients = DataSettings.model_validate({"source": str(file), "csv": {"patient": "who"}})
    pseudonyms = user_pseudonyms()
    expected = [pseudonyms.of("patient", name) for name in rows["who"]]
    assert read_source(with_patients).table["patient"].tolist() == expected == table["patient"].tolist()


def test_a_patient_column_with_other_names_than_the_headers_is_kept(classes: Path, write_csv: Write) -> None:
    rows = {"path": ["NO/x0", "YES/x3"], "label": ["no", "yes"], "person": ["one", "two"]}
    settings = DataSettings.model_validate({"source": str(write_csv(classes, rows)), "csv": {"patient": "person"}})
    assert read_source(settings).table["patient"].tolist() == ["one", "two"]


def test_the_same_patient_has_the_same_pseudonym_in_every_source(
    classes: Path, tmp_path: Path, write_csv: Write, as_dict: Columns
) -> None:
    file = write_csv(tmp_path, {"path": ["NO/x0", "NO/x1", "YES/x2", "YES/x3"], "label": ["no", "no", "yes", "yes"]})
    by_folder = as_dict(read_source(DataSettings(source=str(classes))), "patient")
    labelled = DataSettings.model_validate({"source": str(classes), "dicom": {"labels": file}})
    assert as_dict(read_source(labelled), "patient") == by_folder


def test_paths_and_pictures_that_name_the_patient_are_warned_of_without_example(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, write_dicom: Write
) -> None:
    for number, name in enumerate(["jane_doe", "x", "MRN002", "y"]):
        folder = tmp_path / "c" / ("NO", "YES")[number % 2]
        write_dicom(folder / f"{name}.dcm", number, BurnedInAnnotation="YES" if number == 1 else "NO")
    write_dicom(tmp_path / "c" / "NO" / "MRN009.dcm", 9, PatientIdentityRemoved="YES")
    read_source(DataSettings(source=str(tmp_path / "c"), patient_from="none"))
    assert "names of 2 DICOM image(s) hold the patient's name" in caplog.text
    assert "headers of 1 image(s) say that text" in caplog.text
    assert "jane" not in caplog.text.casefold()
    assert "MRN" not in caplog.text


@pytest.mark.parametrize("workers", [0, 1, 4])
def test_headers_come_in_the_order_of_the_files_each_read_once(workers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    count = 700
    files = [f"{number}.dcm" for number in range(count)]
    opened: list[str] = []

    def slow(file: str) -> Any:
        opened.append(file)
        if len(opened) % 100 == 1:
            time.sleep(0.01)
        if file == "13.dcm":
            raise DecodeError("13.dcm: gone")
        return None

    monkeypatch.setattr(header_columns, "read_header", slow)
    used = list(read_headers(files, lambda number, header: (number, isinstance(header, DecodeError)), workers=workers))
    assert used == [(number, number == 13) for number in range(count)]
    assert sorted(opened) == sorted(files)
