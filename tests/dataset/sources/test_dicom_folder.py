"""DICOM files as a source: labels by every key, what the header adds, and what is left out, counted and said."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    BasicTextSRStorage,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    MediaStorageDirectoryStorage,
)

from radlens.config import DataSettings
from radlens.dataset.manifest import Manifest
from radlens.dataset.pseudonym import user_pseudonyms
from radlens.dataset.sources import header_columns, read_source
from radlens.dataset.sources.header_columns import read_headers
from radlens.errors import DataError, UsageError
from radlens.imaging.dicom_header import DicomHeader, read_header
from radlens.imaging.limits import DecodeError

STORAGE = DigitalXRayImageStorageForPresentation


def write_dicom(file: Path, number: int = 0, **elements: Any) -> Path:
    """A small picture; further elements by keyword, None removes one."""
    made = Dataset()
    made.SOPClassUID = elements.pop("SOPClassUID", STORAGE)
    made.SOPInstanceUID = f"1.2.826.1.{number + 1}"
    made.StudyInstanceUID, made.SeriesInstanceUID = f"1.2.826.2.{number + 1}", f"1.2.826.3.{number + 1}"
    made.PatientID, made.PatientName = f"MRN{number:03d}", "DOE^JANE"
    made.AccessionNumber = f"ACC{number:03d}"
    made.Modality = "DX"
    made.Rows, made.Columns = 4, 4
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.BitsAllocated = made.BitsStored = 8
    made.HighBit, made.PixelRepresentation = 7, 0
    made.PixelData = bytes(range(16))
    for name, value in elements.items():
        if value is None:
            del made[name]
        else:
            setattr(made, name, value)
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, made, enforce_file_format=True)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(buffer.getvalue())
    return file


def write_csv(folder: Path, rows: dict[str, Any]) -> Path:
    file = folder / "labels.csv"
    pd.DataFrame(rows).to_csv(file, index=False)
    return file


def read(folder: Path, labels: Path, csv: dict[str, Any] | None = None, **dicom: Any) -> Manifest:
    values = {"source": str(folder), "csv": csv or {}, "dicom": {"labels": labels, **dicom}}
    return read_source(DataSettings.model_validate(values))


def as_dict(manifest: Manifest, column: str = "label") -> dict[str, str]:
    return dict(zip(manifest.table["path"], manifest.table[column], strict=True))


@pytest.fixture
def six(tmp_path: Path) -> Path:
    """Six images of six patients, in folders of two."""
    for number in range(6):
        write_dicom(tmp_path / "images" / f"study{number // 2}" / f"image{number}.dcm", number)
    return tmp_path / "images"


LABELS = ["normal", "pneumonia"] * 3
SIX = {f"study{number // 2}/image{number}.dcm": LABELS[number] for number in range(6)}
KEYS = {
    "path": list(SIX),
    "sop_instance": [f"1.2.826.1.{number + 1}" for number in range(6)],
    "study": [f"1.2.826.2.{number + 1}" for number in range(6)],
    "series": [f"1.2.826.3.{number + 1}" for number in range(6)],
    "accession": [f"ACC{number:03d}" for number in range(6)],
    "patient": [f"MRN{number:03d}" for number in range(6)],
}


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("told", [True, False])
def test_every_key_brings_labels_to_images_and_auto_finds_it(six: Path, tmp_path: Path, key: str, told: bool) -> None:
    file = write_csv(tmp_path, {"key": KEYS[key][::-1], "label": LABELS[::-1]})
    manifest = read(six, file, key=key if told else "auto", key_column="key")
    assert as_dict(manifest) == SIX
    assert manifest.info.task == "binary"
    assert manifest.info.classes == ("normal", "pneumonia")
    assert manifest.info.notes[0].startswith(f"6 images got their label from labels.csv by {key.replace('_', ' ')}")
    written = manifest.table.to_csv() + str(manifest.info)
    if key != "path":
        assert not [identifier for identifier in KEYS[key] if identifier in written]


@pytest.mark.parametrize("form", ["stem", "name", "path without suffix", "dotted", "backslashes"])
def test_a_path_may_be_written_in_several_ways(six: Path, tmp_path: Path, form: str) -> None:
    ways: dict[str, Callable[[str], str]] = {
        "stem": lambda path: Path(path).stem,
        "name": lambda path: Path(path).name,
        "path without suffix": lambda path: path.removesuffix(".dcm"),
        "dotted": lambda path: f"./{path}",
        "backslashes": lambda path: path.replace("/", "\\"),
    }
    written = ways[form]
    file = write_csv(tmp_path, {"path": [written(path) for path in SIX], "label": LABELS})
    assert as_dict(read(six, file)) == SIX


def test_one_row_labels_all_images_of_a_study(tmp_path: Path) -> None:
    for number in range(6):
        write_dicom(tmp_path / "i" / f"{number}.dcm", number, StudyInstanceUID=f"1.2.{number // 3 + 1}")
    file = write_csv(tmp_path, {"study": ["1.2.1", "1.2.2"], "label": ["no", "yes"]})
    manifest = read(tmp_path / "i", file, key="study", key_column="study")
    assert as_dict(manifest) == {f"{number}.dcm": "no" if number < 3 else "yes" for number in range(6)}


def test_what_does_not_come_together_is_left_out_counted_and_said(
    six: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_dicom(six / "extra.dcm", 77)
    (six / "readme.txt").write_text("x")
    (six / "Doe.Jane").write_text("x")
    (six / ".hidden").write_text("x")
    write_dicom(six / "DICOMDIR", 90, SOPClassUID=MediaStorageDirectoryStorage)
    write_dicom(six / "report", 91, SOPClassUID=BasicTextSRStorage, Modality="SR", Rows=None, Columns=None)
    file = write_csv(six, {"path": [*SIX, "gone.dcm"], "label": [*LABELS, "normal"]})
    manifest = read(six, file)
    assert as_dict(manifest) == SIX
    assert "1 row(s) of labels.csv name no image: row 8." in caplog.text
    assert "1 DICOM image(s) have no row in labels.csv" in caplog.text
    assert "Skipped 4 file(s)" in caplog.text
    for said in ("1 .txt", "1 of another kind", "1 DICOMDIR", "1 DICOM object(s) without picture (SR)"):
        assert said in caplog.text
    assert "jane" not in caplog.text.casefold()
    assert "1 images without a row and 1 rows without an image were left out" in manifest.info.notes[0]


def test_a_file_that_cannot_be_read_goes_on_to_be_rejected(six: Path, tmp_path: Path) -> None:
    (six / "empty.dcm").write_bytes(b"")
    (six / "text.dcm").write_text("this is no image")
    (six / "broken").symlink_to(tmp_path / "nowhere")
    cut = (six / "study0" / "image0.dcm").read_bytes()
    (six / "cut").write_bytes(cut[:300])
    more = ["empty.dcm", "text.dcm", "broken", "cut"]
    file = write_csv(tmp_path, {"path": [*SIX, *more], "label": [*LABELS, *["normal"] * 4]})
    assert set(as_dict(read(six, file))) == {*SIX, *more}


def test_a_name_that_is_no_text_goes_on_to_be_rejected(
    six: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    try:
        os.rename(six / "study0" / "image0.dcm", os.fsencode(six / "study0") + b"/caf\xe9.dcm")  # noqa: PTH104
    except OSError:
        pytest.skip("the file system takes text only")
    file = write_csv(tmp_path, {"key": KEYS["patient"], "label": LABELS})
    manifest = read(six, file, key="patient", key_column="key")
    manifest.write(tmp_path / "m")
    assert set(as_dict(manifest)) == {*SIX, "study0/caf\\xe9.dcm"} - {"study0/image0.dcm"}
    assert "1 file(s)" in caplog.text


def test_links_in_a_circle_come_to_an_end(six: Path, tmp_path: Path) -> None:
    (six / "again").symlink_to(six)
    (six / "self").symlink_to(six / "self")
    file = write_csv(tmp_path, {"path": list(SIX), "label": LABELS})
    assert as_dict(read(six, file)) == SIX


def test_a_folder_that_may_not_be_listed_is_said(
    six: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    (six / "closed").mkdir()
    scandir = os.scandir

    def refuse(folder: Any) -> Any:
        if Path(folder).name == "closed":
            raise PermissionError(13, "Permission denied", str(folder))
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    file = write_csv(tmp_path, {"path": list(SIX), "label": LABELS})
    assert as_dict(read(six, file)) == SIX
    assert "1 folder(s)" in caplog.text
    assert "Permission denied" in caplog.text


def test_rows_that_agree_may_repeat_and_rows_that_differ_are_refused(six: Path, tmp_path: Path) -> None:
    keys = KEYS["patient"]
    same = write_csv(tmp_path, {"key": [*keys, keys[0]], "label": [*LABELS, LABELS[0]], "box": range(7)})
    assert as_dict(read(six, same, key_column="key")) == SIX
    other = write_csv(tmp_path, {"key": [*keys, keys[0]], "label": [*LABELS, "pneumonia"]})
    with pytest.raises(DataError, match="1 image key.* differ in label.* the same patient, rows 2, 8") as raised:
        read(six, other, key="patient", key_column="key")
    assert keys[0] not in str(raised.value)


def test_a_file_name_of_several_images_is_refused(tmp_path: Path) -> None:
    for number in range(4):
        write_dicom(tmp_path / "i" / f"p{number}" / "1.dcm", number)
    write_dicom(tmp_path / "i" / "p9" / "2.dcm", 9)
    file = write_csv(tmp_path, {"path": ["1.dcm", "2.dcm"], "label": ["no", "yes"]})
    with pytest.raises(DataError, match=r"row 2: the file name is that of several images in the folder \(4 in all\)"):
        read(tmp_path / "i", file, key="path")


def test_a_key_that_names_nothing_is_refused_with_counts_for_each_kind(six: Path, tmp_path: Path) -> None:
    file = write_csv(tmp_path, {"path": ["a", "b", "c", "MRN001"], "label": ["no", "yes", "no", "yes"]})
    with pytest.raises(
        DataError, match="of 4 rows.* path 0, sop_instance 0, series 0, study 0, accession 0, patient 1"
    ):
        read(six, file)
    with pytest.raises(DataError, match="series 0"):
        read(six, file, key="series")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"key_column": "Path"}, "data.dicom.key_column: .* has no column 'Path'. Did you mean 'path'"),
        ({"labels": "none.csv"}, r"data.dicom.labels: the CSV .*none\.csv does not exist"),
    ],
)
def test_wrong_settings_are_said(six: Path, tmp_path: Path, settings: dict[str, Any], message: str) -> None:
    file = write_csv(tmp_path, {"path": list(SIX), "label": LABELS})
    with pytest.raises(UsageError, match=message):
        read(six, **{"labels": file, **settings})


def test_labels_without_a_folder_are_a_usage_error(tmp_path: Path) -> None:
    file = write_csv(tmp_path, {"path": ["a", "b"], "label": ["no", "yes"]})
    with pytest.raises(UsageError, match="is no folder"):
        read(file, file)
    with pytest.raises(UsageError, match="is no folder"):
        read(Path("phantom"), file)


def test_a_folder_without_dicom_says_what_is_in_it(tmp_path: Path) -> None:
    (tmp_path / "i").mkdir()
    (tmp_path / "i" / "a.png").write_bytes(b"x")
    file = write_csv(tmp_path, {"path": ["a.png", "b"], "label": ["no", "yes"]})
    with pytest.raises(DataError, match="holds no DICOM image; it holds 1 .png"):
        read(tmp_path / "i", file)


def test_several_labels_an_image_and_the_csvs_own_columns(six: Path, tmp_path: Path) -> None:
    rows: dict[str, list[Any]] = {
        "path": list(SIX),
        "effusion": [0, 0, 1, 1, 0, 1],
        "mass": [0, 1, 0, 1, 0, 1],
        "fold": ["train"] * 3 + ["validation", "test", "test"],
        "person": [f"MRN{number // 2:03d}" for number in range(6)],
        "Age": [30, 31, 32, 33, 34, 35],
        "reader": ["Dr Who"] * 6,
    }
    columns = {"label": ["effusion", "mass"], "split": "fold", "patient": "person"}
    manifest = read(six, write_csv(tmp_path, rows), csv=columns)
    assert manifest.info.task == "multilabel"
    assert manifest.table["label"].tolist() == ["", "mass", "effusion", "effusion|mass", "", "effusion|mass"]
    assert manifest.table["split"].tolist() == ["train"] * 3 + ["val", "test", "test"]
    pseudonyms = user_pseudonyms()
    assert manifest.table["patient"].tolist() == [pseudonyms.of("patient", name) for name in rows["person"]]
    assert manifest.table["age"].tolist() == ["30", "31", "32", "33", "34", "35"]
    assert "reader" not in manifest.table.columns
    assert not manifest.table.astype(str).apply(lambda column: column.str.contains("MRN")).any(axis=None)


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
def classes(tmp_path: Path) -> Path:
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


def test_a_name_where_none_belongs_is_not_taken_over(classes: Path) -> None:
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
    tmp_path: Path, caplog: pytest.LogCaptureFixture
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


def test_one_id_for_all_is_a_placeholder(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(4):
        write_dicom(tmp_path / "a" / ("NO", "YES")[number % 2] / f"{number}.dcm", number, PatientID="1234")
    table = read_source(DataSettings(source=str(tmp_path / "a"))).table
    assert table["patient"].nunique() == 4
    assert "taken for a placeholder" in caplog.text


def test_dicom_among_other_formats_keeps_each_its_own(classes: Path) -> None:
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
    classes: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
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


def test_a_patient_column_with_other_names_than_the_headers_is_kept(classes: Path) -> None:
    rows = {"path": ["NO/x0", "YES/x3"], "label": ["no", "yes"], "person": ["one", "two"]}
    settings = DataSettings.model_validate({"source": str(write_csv(classes, rows)), "csv": {"patient": "person"}})
    assert read_source(settings).table["patient"].tolist() == ["one", "two"]


def test_the_same_patient_has_the_same_pseudonym_in_every_source(classes: Path, tmp_path: Path) -> None:
    file = write_csv(tmp_path, {"path": ["NO/x0", "NO/x1", "YES/x2", "YES/x3"], "label": ["a", "a", "b", "b"]})
    by_folder = as_dict(read_source(DataSettings(source=str(classes))), "patient")
    assert as_dict(read(classes, file), "patient") == by_folder


def test_paths_and_pictures_that_name_the_patient_are_warned_of_without_example(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
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


def test_the_pixels_of_a_row_are_those_of_its_file(six: Path, tmp_path: Path) -> None:
    file = write_csv(tmp_path, {"key": KEYS["sop_instance"], "label": LABELS})
    manifest = read(six, file, key_column="key")
    for location, label in zip(manifest.locations, manifest.table["label"], strict=True):
        number = int(pydicom.dcmread(location).SOPInstanceUID.rpartition(".")[2]) - 1
        assert LABELS[number] == label
        assert os.path.exists(location)  # noqa: PTH110
