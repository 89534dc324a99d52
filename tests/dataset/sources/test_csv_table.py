"""CSV files that list images."""

from __future__ import annotations

import logging
import unicodedata
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from radlens.base.errors import DataError, UsageError
from radlens.config import CsvColumns, DataSettings
from radlens.dataset.manifest import Manifest
from radlens.dataset.sources.csv_table import read_csv_table
from radlens.imaging.cache.pixel_cache import PixelCache
from radlens.imaging.preprocess import Preprocessing

Form = Literal["NFC", "NFD"]


def read(
    tmp_path: Path, text: str, *, encoding: str = "utf-8", positive: str | None = None, **columns: object
) -> Manifest:
    (tmp_path / "images").mkdir(exist_ok=True)
    for name in "abcd":
        (tmp_path / "images" / f"{name}.png").touch()
    file = tmp_path / "labels.csv"
    file.write_bytes(text.encode(encoding))
    settings = DataSettings(
        csv=CsvColumns.model_validate(columns), patient_from="none", positive_class=positive, source=str(file)
    )
    return read_csv_table(file, settings)


def test_columns_are_mapped_and_others_carried_along(tmp_path: Path) -> None:
    manifest = read(
        tmp_path,
        "file,finding,pid,part,age,label\nimages/a.png,normal,p1,TRAIN,60,x\nimages/b.png,pneumonia,p1,valid,61,y\n"
        "images/c.png,pneumonia,p2,,62,z\n",
        path="file",
        label=("finding",),
        patient="pid",
        split="part",
    )
    table = manifest.table
    assert list(table["path"]) == ["images/a.png", "images/b.png", "images/c.png"]
    assert list(table["label"]) == ["normal", "pneumonia", "pneumonia"]
    assert list(table["patient"]) == ["p1", "p1", "p2"]
    assert list(table["split"]) == ["train", "val", ""]
    assert list(table["age"]) == ["60", "61", "62"]
    assert list(table["source_label"]) == ["x", "y", "z"]
    assert (manifest.info.task, manifest.info.classes) == ("binary", ("normal", "pneumonia"))
    assert all(Path(location).is_file() for location in manifest.locations)


def test_image_root_and_absolute_paths(tmp_path: Path) -> None:
    text = f"path,label\na.png,cat\n{tmp_path / 'images' / 'b.png'},dog\n"
    manifest = read(tmp_path, text, image_root=tmp_path / "images")
    assert manifest.locations == [str(tmp_path / "images" / "a.png"), str(tmp_path / "images" / "b.png")]


def test_windows_paths_and_untidy_paths(tmp_path: Path) -> None:
    manifest = read(tmp_path, "path,label\nimages\\a.png,cat\n./images//b.png,dog\nimages/../images/c.png,dog\n")
    assert list(manifest.table["path"]) == ["images/a.png", "images/b.png", "images/c.png"]


def test_spaces_around_names_and_cells_do_not_matter(tmp_path: Path) -> None:
    manifest = read(
        tmp_path, "path , label\nimages/a.png, cat \nimages/b.png,Dog\nimages/c.png,dog\nimages/d.png,dog\n"
    )
    assert list(manifest.table["label"]) == ["cat", "dog", "dog", "dog"]


def test_positive_class(tmp_path: Path) -> None:
    text = "path,label\nimages/a.png,cat\nimages/b.png,dog\n"
    assert read(tmp_path, text, positive="cat").info.classes == ("dog", "cat")


def test_several_columns_of_marks_make_the_task_multilabel(tmp_path: Path) -> None:
    manifest = read(
        tmp_path,
        "path,mass,effusion\nimages/a.png,0,0\nimages/b.png,1,0\nimages/c.png,1.0,1\nimages/d.png,0.0,1\n",
        label=("mass", "effusion"),
    )
    assert (manifest.info.task, manifest.info.classes) == ("multilabel", ("mass", "effusion"))
    assert list(manifest.table["label"]) == ["", "mass", "mass|effusion", "effusion"]
    assert manifest.targets().tolist() == [[0, 0], [1, 0], [1, 1], [0, 1]]


def test_cells_left_out_of_the_loss_are_no_targets(tmp_path: Path) -> None:
    manifest = read(
        tmp_path,
        "path,mass,effusion\nimages/a.png,0,-1.0\nimages/b.png,1,0\nimages/c.png,,1\nimages/d.png,-1,\n",
        label=("mass", "effusion"),
        uncertain="ignore-in-loss",
        missing="ignore-in-loss",
    )
    assert list(manifest.table["path"]) == ["images/a.png", "images/b.png", "images/c.png"]
    assert manifest.known_targets().tolist() == [[0, -1], [1, 0], [-1, 1]]


def test_joined_cells_make_the_task_multilabel(tmp_path: Path) -> None:
    manifest = read(
        tmp_path,
        "path,label\nimages/a.png,Mass | effusion\nimages/b.png,mass\nimages/c.png,\nimages/d.png,mass|mass|\n",
    )
    assert (manifest.info.task, manifest.info.classes) == ("multilabel", ("effusion", "mass"))
    assert list(manifest.table["label"]) == ["effusion|mass", "mass", "", "mass"]


def test_positive_class_of_a_multilabel_task_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="two-class"):
        read(tmp_path, "path,label\nimages/a.png,mass|effusion\nimages/b.png,mass\n", positive="mass")


def test_an_index_column_without_a_name_is_carried_along(tmp_path: Path) -> None:
    manifest = read(tmp_path, ",path,label\n0,images/a.png,cat\n1,images/b.png,dog\n")
    assert list(manifest.table["label"]) == ["cat", "dog"]


def test_missing_columns_are_all_listed_with_the_nearest_name(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as raised:
        read(tmp_path, "Path,Label,pid\nimages/a.png,cat,1\n", patient="patient")
    message = str(raised.value)
    assert "no column 'path'. Did you mean 'Path'? Known: Label, Path, pid." in message
    assert "no column 'label'. Did you mean 'Label'?" in message
    assert "data.csv.patient" in message


def test_a_row_without_a_label_is_left_out_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    manifest = read(tmp_path, "path,label\nimages/a.png,cat\nimages/b.png\nimages/c.png,dog\n")
    assert list(manifest.table["path"]) == ["images/a.png", "images/c.png"]
    assert "1 cell(s) of the column 'label' have no value (row 3)" in caplog.text
    assert any("(row 3)" in note for note in manifest.info.notes)


def test_empty_patient_is_refused_with_its_row(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no patient in the column 'pid': row 2\."):
        read(tmp_path, "path,label,pid\nimages/a.png,cat,\nimages/b.png,dog,p\n", patient="pid")


def test_missing_images_are_counted_and_the_first_shown(tmp_path: Path) -> None:
    rows = "".join(f"images/x{number}.png,dog\n" for number in range(7))
    with pytest.raises(DataError) as raised:
        read(tmp_path, f"path,label\nimages/a.png,cat\n{rows}")
    message = str(raised.value)
    assert "7 of 8 row(s) of labels.csv name no image" in message
    assert "row 3: images/x0.png" in message
    assert message.count("- row") == 5
    assert "data.csv.image_root" in message


def listing(tmp_path: Path, names: list[str], **settings: object) -> Manifest:
    """A table of these images, in turn of two classes."""
    rows = "".join(f'"{name}",{"cat" if number % 2 else "dog"}\n' for number, name in enumerate(names))
    file = tmp_path / "labels.csv"
    file.write_text(f"path,label\n{rows}", encoding="utf-8")
    return read_csv_table(file, DataSettings.model_validate({"patient_from": "none", **settings}))


def test_a_few_missing_images_are_left_out_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    names = [f"{number}.png" for number in range(20)]
    for name in names[1:]:
        (tmp_path / name).touch()
    manifest = listing(tmp_path, names)
    assert list(manifest.table["path"]) == names[1:]
    assert "1 of 20 row(s) of labels.csv name no image" in caplog.text
    assert any("left out (row 2)" in note for note in manifest.info.notes)
    with pytest.raises(DataError, match="1 of 20"):
        listing(tmp_path, names, csv={"unmatched": "error"})


def test_a_broken_link_is_listed_and_rejected_when_it_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.png").symlink_to(tmp_path / "nowhere.png")
    (tmp_path / "b.png").symlink_to(tmp_path / "b.png")
    manifest = listing(tmp_path, ["a.png", "b.png"])
    reasons = dict(PixelCache.build(manifest.locations, Preprocessing(height=8, width=8)).rejected)
    assert "No such file" in reasons[str(tmp_path / "a.png")]
    assert "Too many levels of symbolic links" in reasons[str(tmp_path / "b.png")]


def test_names_with_accents_spaces_and_capitals_are_told_apart(tmp_path: Path) -> None:
    names = ["Lunge 1/ü b.png", "Lunge 1/u\u0308 b.png", "Lunge 1/same.png", "Lunge 1/SAME.png", "肺炎, ☢.png"]
    (tmp_path / "Lunge 1").mkdir()
    for name in names:
        (tmp_path / name).touch()
    if len(list((tmp_path / "Lunge 1").iterdir())) < 4:
        pytest.skip("this file system does not tell such names apart")
    manifest = listing(tmp_path, names)
    assert list(manifest.table["path"]) == names
    assert all(Path(location).is_file() for location in manifest.locations)


@pytest.mark.parametrize(("written", "stored"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_accents_encoded_in_another_way_than_on_the_disk_are_found(tmp_path: Path, written: Form, stored: Form) -> None:
    names = ["Entzündung/ä.png", "Entzündung/é.png"]
    for name in names:
        path = tmp_path / unicodedata.normalize(stored, name)
        path.parent.mkdir(exist_ok=True)
        path.touch()
    manifest = listing(tmp_path, [unicodedata.normalize(written, name) for name in names])
    assert all(Path(location).is_file() for location in manifest.locations)


def test_a_folder_that_may_not_be_listed_can_hold_images_all_the_same(tmp_path: Path, no_privileges: None) -> None:
    (tmp_path / "hidden").mkdir()
    for name in ("hidden/a.png", "hidden/b.png"):
        (tmp_path / name).touch()
    (tmp_path / "hidden").chmod(0o100)
    try:
        assert len(listing(tmp_path, ["hidden/a.png", "hidden/b.png"])) == 2
    finally:
        (tmp_path / "hidden").chmod(0o700)


def test_images_at_the_root_of_the_disk_and_within_archives_are_looked_for_too(tmp_path: Path) -> None:
    np.savez(tmp_path / "set.npz", x=np.zeros((2, 4, 4), np.uint8))
    assert len(listing(tmp_path, ["set.npz::x/0", "set.npz::x/1"])) == 2
    with pytest.raises(DataError, match="2 of 3 row"):
        listing(tmp_path, ["set.npz::x/0", "/no such image.png", "other.npz::x/1"])


def test_missing_folder_of_images(tmp_path: Path) -> None:
    manifest = read(tmp_path, "path,label\nnowhere/q.png,cat\nimages/b.png,dog\n")
    with pytest.raises(DataError, match=r"one class was found in .*'dog'"):
        manifest.require_every_class()


def test_missing_image_root(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nowhere does not exist"):
        read(tmp_path, "path,label\na.png,cat\n", image_root=tmp_path / "nowhere")


def test_an_image_listed_twice_is_refused_with_its_rows(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"1 image\(s\) are listed more than once, first 'images/a\.png' in rows 2, 4"):
        read(tmp_path, "path,label\nimages/a.png,cat\nimages/b.png,dog\n./images/a.png,dog\n")


def test_unknown_split_is_refused_with_its_row(tmp_path: Path) -> None:
    text = "path,label,split\nimages/a.png,cat,train\nimages/b.png,dog,trian\n"
    with pytest.raises(DataError, match=r"'trian' in row 3\. Did you mean 'train'"):
        read(tmp_path, text, split="split")


def test_single_class_is_refused(tmp_path: Path) -> None:
    manifest = read(tmp_path, "path,label\nimages/a.png,cat\nimages/b.png,Cat\n")
    with pytest.raises(DataError, match="one class .*'Cat'"):
        manifest.require_every_class()


def test_a_class_that_no_image_has_is_refused(tmp_path: Path) -> None:
    text = "path,mass,effusion\nimages/a.png,1,0\nimages/b.png,0,0\n"
    with pytest.raises(DataError, match="No image of class effusion"):
        read(tmp_path, text, label=("mass", "effusion")).require_every_class()


def test_patient_and_split_columns_that_are_not_used_are_mentioned(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    manifest = read(tmp_path, "path,label,patient,split\nimages/a.png,cat,1,train\nimages/b.png,dog,2,test\n")
    assert "--set data.csv.patient=patient" in caplog.text
    assert "--set data.csv.split=split" in caplog.text
    assert list(manifest.table["source_patient"]) == ["1", "2"]
    assert list(manifest.table["patient"]) == ["images/a.png", "images/b.png"]
