"""DICOM files as a source: labels by every key, and what is left out, counted and said."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.uid import BasicTextSRStorage, MediaStorageDirectoryStorage

from radlens.base.errors import DataError, UsageError
from radlens.config import DataSettings
from radlens.dataset.manifest import Manifest
from radlens.dataset.pseudonym import user_pseudonyms
from radlens.dataset.sources import read_source

Write = Callable[..., Path]
Columns = Callable[..., dict[str, str]]


def read(folder: Path, labels: Path, csv: dict[str, Any] | None = None, **dicom: Any) -> Manifest:
    values = {"source": str(folder), "csv": csv or {}, "dicom": {"labels": labels, **dicom}}
    return read_source(DataSettings.model_validate(values))


@pytest.fixture
def six(tmp_path: Path, write_dicom: Write) -> Path:
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
def test_every_key_brings_labels_to_images_and_auto_finds_it(
    six: Path, tmp_path: Path, key: str, told: bool, write_csv: Write, as_dict: Columns
) -> None:
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
def test_a_path_may_be_written_in_several_ways(
    six: Path, tmp_path: Path, form: str, write_csv: Write, as_dict: Columns
) -> None:
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


def test_one_row_labels_all_images_of_a_study(
    tmp_path: Path, write_dicom: Write, write_csv: Write, as_dict: Columns
) -> None:
    for number in range(6):
        write_dicom(tmp_path / "i" / f"{number}.dcm", number, StudyInstanceUID=f"1.2.{number // 3 + 1}")
    file = write_csv(tmp_path, {"study": ["1.2.1", "1.2.2"], "label": ["no", "yes"]})
    manifest = read(tmp_path / "i", file, key="study", key_column="study")
    assert as_dict(manifest) == {f"{number}.dcm": "no" if number < 3 else "yes" for number in range(6)}


def test_what_does_not_come_together_is_left_out_counted_and_said(
    six: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, write_dicom: Write, write_csv: Write, as_dict: Columns
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


def test_a_file_that_cannot_be_read_goes_on_to_be_rejected(
    six: Path, tmp_path: Path, write_csv: Write, as_dict: Columns
) -> None:
    (six / "empty.dcm").write_bytes(b"")
    (six / "text.dcm").write_text("this is no image")
    (six / "broken").symlink_to(tmp_path / "nowhere")
    cut = (six / "study0" / "image0.dcm").read_bytes()
    (six / "cut").write_bytes(cut[:300])
    more = ["empty.dcm", "text.dcm", "broken", "cut"]
    file = write_csv(tmp_path, {"path": [*SIX, *more], "label": [*LABELS, *["normal"] * 4]})
    assert set(as_dict(read(six, file))) == {*SIX, *more}


def test_a_name_that_is_no_text_goes_on_to_be_rejected(
    six: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, write_csv: Write, as_dict: Columns
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


def test_links_in_a_circle_come_to_an_end(six: Path, tmp_path: Path, write_csv: Write, as_dict: Columns) -> None:
    (six / "again").symlink_to(six)
    (six / "self").symlink_to(six / "self")
    file = write_csv(tmp_path, {"path": list(SIX), "label": LABELS})
    assert as_dict(read(six, file)) == SIX


def test_a_folder_that_may_not_be_listed_is_said(
    six: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    write_csv: Write,
    as_dict: Columns,
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


def test_rows_that_agree_may_repeat_and_rows_that_differ_are_refused(
    six: Path, tmp_path: Path, write_csv: Write, as_dict: Columns
) -> None:
    keys = KEYS["patient"]
    same = write_csv(tmp_path, {"key": [*keys, keys[0]], "label": [*LABELS, LABELS[0]], "box": range(7)})
    assert as_dict(read(six, same, key_column="key")) == SIX
    other = write_csv(tmp_path, {"key": [*keys, keys[0]], "label": [*LABELS, "pneumonia"]})
    with pytest.raises(DataError, match="1 image key.* differ in label.* the same patient, rows 2, 8") as raised:
        read(six, other, key="patient", key_column="key")
    assert keys[0] not in str(raised.value)


def test_a_file_name_of_several_images_is_refused(tmp_path: Path, write_dicom: Write, write_csv: Write) -> None:
    for number in range(4):
        write_dicom(tmp_path / "i" / f"p{number}" / "1.dcm", number)
    write_dicom(tmp_path / "i" / "p9" / "2.dcm", 9)
    file = write_csv(tmp_path, {"path": ["1.dcm", "2.dcm"], "label": ["no", "yes"]})
    with pytest.raises(DataError, match=r"row 2: the file name is that of several images in the folder \(1 such row"):
        read(tmp_path / "i", file, key="path")


def test_a_key_that_names_nothing_is_refused_with_counts_for_each_kind(
    six: Path, tmp_path: Path, write_csv: Write
) -> None:
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
def test_wrong_settings_are_said(
    six: Path, tmp_path: Path, settings: dict[str, Any], message: str, write_csv: Write
) -> None:
    file = write_csv(tmp_path, {"path": list(SIX), "label": LABELS})
    with pytest.raises(UsageError, match=message):
        read(six, **{"labels": file, **settings})


def test_labels_without_a_folder_are_a_usage_error(tmp_path: Path, write_csv: Write) -> None:
    file = write_csv(tmp_path, {"path": ["a", "b"], "label": ["no", "yes"]})
    with pytest.raises(UsageError, match="is not a folder"):
        read(file, file)
    with pytest.raises(UsageError, match="is not a folder"):
        read(Path("phantom"), file)


def test_a_folder_without_dicom_says_what_is_in_it(tmp_path: Path, write_csv: Write) -> None:
    (tmp_path / "i").mkdir()
    (tmp_path / "i" / "a.png").write_bytes(b"x")
    file = write_csv(tmp_path, {"path": ["a.png", "b"], "label": ["no", "yes"]})
    with pytest.raises(DataError, match="holds no DICOM image; it holds 1 .png"):
        read(tmp_path / "i", file)


def test_several_labels_an_image_and_the_csvs_own_columns(six: Path, tmp_path: Path, write_csv: Write) -> None:
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


def test_the_pixels_of_a_row_are_those_of_its_file(six: Path, tmp_path: Path, write_csv: Write) -> None:
    file = write_csv(tmp_path, {"key": KEYS["sop_instance"], "label": LABELS})
    manifest = read(six, file, key_column="key")
    for location, label in zip(manifest.locations, manifest.table["label"], strict=True):
        number = int(pydicom.dcmread(location).SOPInstanceUID.rpartition(".")[2]) - 1
        assert LABELS[number] == label
        assert os.path.exists(location)  # noqa: PTH110
