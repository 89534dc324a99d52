"""Folders of images."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from made_pictures import encoded, noise
from radlens.base.errors import DataError
from radlens.config import DataSettings
from radlens.dataset.manifest import Manifest
from radlens.dataset.sources.folder import read_folder
from radlens.imaging.cache.pixel_cache import PixelCache
from radlens.imaging.preprocess import Preprocessing

ANY = DataSettings(patient_from="none")


def touch(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def test_class_folders_alone(tmp_path: Path) -> None:
    touch(tmp_path, "PNEUMONIA/b.jpeg", "NORMAL/a.png", "NORMAL/sub/deep/c.DCM")
    manifest = read_folder(tmp_path, ANY)
    assert list(manifest.table["path"]) == ["NORMAL/a.png", "NORMAL/sub/deep/c.DCM", "PNEUMONIA/b.jpeg"]
    assert list(manifest.table["label"]) == ["NORMAL", "NORMAL", "PNEUMONIA"]
    assert set(manifest.table["split"]) == {""}
    assert manifest.info.classes == ("NORMAL", "PNEUMONIA")
    assert manifest.info.task == "binary"
    assert all(Path(location).is_file() for location in manifest.locations)


@pytest.mark.parametrize("given", ["chests", "chests/train"])
def test_the_set_is_named_by_the_folder_that_says_something(tmp_path: Path, given: str) -> None:
    root = touch(tmp_path / given, "PNEUMONIA/b.jpeg", "NORMAL/a.png")
    assert read_folder(root, ANY).info.name == "chests"


def test_splits_and_classes_in_any_case(tmp_path: Path) -> None:
    touch(tmp_path, "Training/NORMAL/a.png", "Training/NORMAL/b.png", "Training/Pneumonia/c.png")
    touch(tmp_path, "valid/normal/d.png", "valid/PNEUMONIA/e.png", "TEST/Normal/f.png", "TEST/Pneumonia/g.png")
    manifest = read_folder(tmp_path, ANY)
    assert manifest.info.classes == ("NORMAL", "Pneumonia")
    counts = manifest.class_counts()
    assert counts.loc["train"].to_dict() == {"NORMAL": 2, "Pneumonia": 1}
    assert counts.loc["val"].to_dict() == {"NORMAL": 1, "Pneumonia": 1}
    assert counts.loc["test"].to_dict() == {"NORMAL": 1, "Pneumonia": 1}


def test_more_than_two_classes_and_the_positive_class(tmp_path: Path) -> None:
    touch(tmp_path / "four", "DRUSEN/a.png", "CNV/a.png", "NORMAL/a.png", "DME/a.png")
    manifest = read_folder(tmp_path / "four", ANY)
    assert (manifest.info.task, manifest.info.classes) == ("multiclass", ("NORMAL", "CNV", "DME", "DRUSEN"))
    touch(tmp_path / "two", "cat/a.png", "dog/a.png")
    chosen = read_folder(tmp_path / "two", DataSettings(patient_from="none", positive_class="Cat"))
    assert chosen.info.classes == ("dog", "cat")


def test_what_systems_leave_behind_is_ignored(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    touch(tmp_path, "NORMAL/a.png", "PNEUMONIA/b.png", ".DS_Store", "NORMAL/Thumbs.db", "NORMAL/._a.png")
    touch(tmp_path, "__MACOSX/NORMAL/._a.png", ".cache/x.png", "NORMAL/.hidden/z.png")
    manifest = read_folder(tmp_path, ANY)
    assert len(manifest) == 2
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_other_files_are_counted_and_said_aloud(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    touch(tmp_path, "NORMAL/a.png", "NORMAL/notes.txt", "PNEUMONIA/b.png", "PNEUMONIA/c.txt", "PNEUMONIA/LICENSE")
    assert len(read_folder(tmp_path, ANY)) == 2
    assert "Ignored 3 file(s)" in caplog.text
    assert "2 .txt (NORMAL/notes.txt, PNEUMONIA/c.txt), 1 without suffix (PNEUMONIA/LICENSE)" in caplog.text


def test_images_and_folders_beside_the_layout_are_said_aloud(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    touch(tmp_path, "train/NORMAL/a.png", "train/PNEUMONIA/b.png", "train/loose.png", "extra/c.png")
    assert len(read_folder(tmp_path, ANY)) == 2
    assert "Ignored the folder(s) extra" in caplog.text
    assert "1 image(s)" in caplog.text
    assert "loose.png" in caplog.text


@pytest.mark.parametrize("name", ["a.jfif", "a.JPE", "a", "a.txt", "a.png"])
def test_content_decides_what_is_an_image(name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for label in ("A", "B"):
        (tmp_path / label).mkdir()
        (tmp_path / label / name).write_bytes(encoded(noise(), "JPEG"))
    assert list(read_folder(tmp_path, ANY).table["path"]) == [f"A/{name}", f"B/{name}"]
    assert "Ignored" not in caplog.text


def test_files_without_a_suffix_count_when_they_are_dicom(tmp_path: Path) -> None:
    touch(tmp_path, "A/plain.png", "B/plain.png", "A/README", "A/1.2.840.1", "A/1.2.840.2", "A/DICOMDIR")
    for name in ("IM0001", "1.2.840.1", "DICOMDIR"):
        (tmp_path / "A" / name).write_bytes(bytes(128) + b"DICM")
    paths = set(read_folder(tmp_path, ANY).table["path"])
    assert paths == {"A/plain.png", "B/plain.png", "A/IM0001", "A/1.2.840.1"}


@pytest.mark.parametrize("prefix", ["", "chest_xray/", "chest_xray/chest_xray/", "archive/chest_xray/chest_xray/"])
def test_folders_that_archives_nest_are_entered(tmp_path: Path, prefix: str) -> None:
    names = ("train/NORMAL/a.jpeg", "train/PNEUMONIA/b.jpeg", "test/NORMAL/c.jpeg", "test/PNEUMONIA/d.jpeg")
    touch(tmp_path, *(prefix + name for name in names))
    if prefix:
        touch(tmp_path, "__MACOSX/x", f"{Path(prefix).parts[0]}/__MACOSX/train/NORMAL/._a.jpeg")
    assert list(read_folder(tmp_path, ANY).table["path"]) == sorted(names)


def test_the_kaggle_archive_with_its_second_copy_is_read_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    names = ("train/NORMAL/a.jpeg", "train/PNEUMONIA/b.jpeg")
    touch(tmp_path, *(f"chest_xray/{name}" for name in names), *(f"chest_xray/chest_xray/{name}" for name in names))
    manifest = read_folder(tmp_path, ANY)
    assert list(manifest.table["path"]) == list(names)
    assert "Ignored the folder(s) chest_xray" in caplog.text


def test_a_split_folder_nested_in_itself_is_entered(tmp_path: Path) -> None:
    touch(tmp_path, "train/train/A/a.png", "train/train/B/b.png", "val/A/p1/a.png", "val/B/b.png")
    assert set(read_folder(tmp_path, ANY).table["label"]) == {"A", "B"}


def test_one_class_folder_in_a_split_is_not_taken_for_nesting(tmp_path: Path) -> None:
    touch(tmp_path, "train/A/a.png", "train/B/b.png", "val/A/p1/a.png", "val/A/p2/a.png")
    manifest = read_folder(tmp_path, ANY)
    assert set(manifest.table["label"]) == {"A", "B"}


def test_flat_folder_is_refused_with_the_layout(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "b.png", "labels.csv")
    with pytest.raises(DataError, match=r"no class folders; found 2 \.png, 1 \.csv in it.*NORMAL/"):
        read_folder(tmp_path, ANY)


def test_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="found nothing in it"):
        read_folder(tmp_path, ANY)


def test_empty_class_folder_is_named(tmp_path: Path) -> None:
    touch(tmp_path, "train/NORMAL/a.png")
    (tmp_path / "train" / "PNEUMONIA").mkdir()
    with pytest.raises(DataError, match=r"train/PNEUMONIA holds no image; it is empty"):
        read_folder(tmp_path, ANY)
    touch(tmp_path, "train/PNEUMONIA/readme.txt")
    with pytest.raises(DataError, match=r"train/PNEUMONIA holds no image; it holds 1 \.txt"):
        read_folder(tmp_path, ANY)


def test_single_class_is_refused(tmp_path: Path) -> None:
    touch(tmp_path, "NORMAL/a.png", "NORMAL/b.png")
    with pytest.raises(DataError, match=r"Only one class was found in .*'NORMAL'"):
        read_folder(tmp_path, ANY).require_every_class()


def test_two_folders_for_one_split_are_refused(tmp_path: Path) -> None:
    touch(tmp_path, "train/A/a.png", "val/A/b.png", "validation/A/c.png")
    with pytest.raises(DataError, match="several folders for the split val: val, validation"):
        read_folder(tmp_path, ANY)


def test_links_in_a_circle_end(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    touch(tmp_path, "NORMAL/a.png", "NORMAL/sub/b.png", "PNEUMONIA/c.png")
    (tmp_path / "NORMAL" / "sub" / "up").symlink_to(tmp_path / "NORMAL", target_is_directory=True)
    (tmp_path / "NORMAL" / "self.png").symlink_to(tmp_path / "NORMAL" / "self.png")
    (tmp_path / "NORMAL" / "one").symlink_to(tmp_path / "NORMAL" / "two")
    (tmp_path / "NORMAL" / "two").symlink_to(tmp_path / "NORMAL" / "one")
    manifest = read_folder(tmp_path, ANY)
    # The link to itself is listed like any image, so that reading it later says that it is broken.
    assert list(manifest.table["path"]) == ["NORMAL/a.png", "NORMAL/self.png", "NORMAL/sub/b.png", "PNEUMONIA/c.png"]
    wanted = ("2 file(s), link(s) or folder(s) could not be looked at", "1 link(s) to a folder that was read already")
    for note, text in zip(manifest.info.notes[-2:], wanted, strict=True):
        assert text in note
        assert text in caplog.text
    assert "NORMAL/one (a link that leads nowhere)" in manifest.info.notes[-2]
    assert "first NORMAL/sub/up." in manifest.info.notes[-1]


def test_a_broken_link_with_the_name_of_an_image_is_listed_and_rejected_when_read(tmp_path: Path) -> None:
    touch(tmp_path, "PNEUMONIA/c.png")
    (tmp_path / "NORMAL").mkdir()
    (tmp_path / "NORMAL" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    manifest = read_folder(tmp_path, ANY)
    assert list(manifest.table["path"]) == ["NORMAL/gone.png", "PNEUMONIA/c.png"]
    cache = PixelCache.build(manifest.locations, Preprocessing(height=8, width=8))
    assert dict(cache.rejected)[manifest.locations[0]] == "the file cannot be read (No such file or directory)"


def test_a_folder_that_links_to_itself_is_entered_no_further(tmp_path: Path) -> None:
    (tmp_path / "loop").mkdir()
    (tmp_path / "loop" / "loop").symlink_to(tmp_path / "loop", target_is_directory=True)
    with pytest.raises(DataError, match="holds no image"):
        read_folder(tmp_path, ANY)


@pytest.mark.parametrize("place", ["NORMAL/gone", "gone", "train/gone", "train/NORMAL/gone", "test"])
def test_a_broken_link_of_which_the_name_says_nothing_is_said_aloud(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, place: str
) -> None:
    prefix = "train/" if place.startswith("t") else ""
    touch(tmp_path, f"{prefix}NORMAL/a.png", f"{prefix}PNEUMONIA/c.png")
    (tmp_path / place).symlink_to(tmp_path / "nowhere")
    manifest = read_folder(tmp_path, ANY)
    assert len(manifest) == 2
    assert f"{Path(place).name} (a link that leads nowhere)" in manifest.info.notes[-1]
    assert manifest.info.notes[-1] in caplog.text


def test_what_may_not_be_opened_is_rejected_or_said_aloud(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, no_privileges: None
) -> None:
    touch(tmp_path, "NORMAL/a.png", "NORMAL/IM0001", "NORMAL/locked/b.png", "PNEUMONIA/c.png")
    for name in ("NORMAL/a.png", "NORMAL/IM0001", "NORMAL/locked"):
        (tmp_path / name).chmod(0)
    try:
        manifest = read_folder(tmp_path, ANY)
        cache = PixelCache.build(manifest.locations, Preprocessing(height=8, width=8))
    finally:
        (tmp_path / "NORMAL" / "locked").chmod(0o700)
    assert list(manifest.table["path"]) == ["NORMAL/a.png", "PNEUMONIA/c.png"]
    assert dict(cache.rejected)[manifest.locations[0]] == "the file cannot be read (Permission denied)"
    assert "2 file(s), link(s) or folder(s) could not be looked at" in manifest.info.notes[-1]
    assert "NORMAL/IM0001 (Permission denied)" in manifest.info.notes[-1]
    assert manifest.info.notes[-1] in caplog.text


def test_a_class_folder_that_may_not_be_opened_is_an_error(tmp_path: Path, no_privileges: None) -> None:
    touch(tmp_path, "NORMAL/a.png", "OTHER/b.png", "PNEUMONIA/c.png")
    (tmp_path / "NORMAL").chmod(0)
    try:
        with pytest.raises(DataError, match="NORMAL holds no image; it cannot be read: Permission denied"):
            read_folder(tmp_path, ANY)
    finally:
        (tmp_path / "NORMAL").chmod(0o700)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
@pytest.mark.parametrize("name", ["pipe", "pipe.png"])
def test_a_named_pipe_is_not_waited_for(tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str) -> None:
    touch(tmp_path, "NORMAL/a.png", "PNEUMONIA/c.png")
    os.mkfifo(tmp_path / "NORMAL" / name)
    manifest = read_folder(tmp_path, ANY)
    cache = PixelCache.build(manifest.locations, Preprocessing(height=8, width=8))
    assert ("1 without suffix" in caplog.text) == (name == "pipe")
    assert (str(tmp_path / "NORMAL" / "pipe.png") in dict(cache.rejected)) == (name == "pipe.png")


def test_names_with_accents_spaces_and_capitals_are_told_apart(tmp_path: Path) -> None:
    names = ["NORMAL/a b .png", "NORMAL/ü.png", "NORMAL/u\u0308.png", "NORMAL/肺炎 ☢.png", 'NORMAL/x,"y"\n\r.png']
    names += ["NORMAL/same.png", "NORMAL/SAME.png", "PNEUMONIA/c.png"]
    touch(tmp_path, *names)
    if len(list((tmp_path / "NORMAL").iterdir())) < 7:
        pytest.skip("this file system does not tell such names apart")
    manifest = read_folder(tmp_path, ANY)
    assert sorted(manifest.table["path"]) == sorted(names)
    assert all(Path(location).is_file() for location in manifest.locations)
    manifest.write(tmp_path / "out")
    assert Manifest.read(tmp_path / "out").locations == manifest.locations


def test_a_folder_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere cannot be read: No such file"):
        read_folder(tmp_path / "nowhere", ANY)


def test_linked_class_folders_are_followed(tmp_path: Path) -> None:
    touch(tmp_path / "store", "x/a.png", "y/b.png")
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "A").symlink_to(tmp_path / "store" / "x", target_is_directory=True)
    (tmp_path / "set" / "B").symlink_to(tmp_path / "store" / "y", target_is_directory=True)
    assert list(read_folder(tmp_path / "set", ANY).table["path"]) == ["A/a.png", "B/b.png"]


@pytest.mark.skipif(os.name != "posix", reason="names of raw bytes exist on POSIX systems only")
def test_a_name_that_is_no_text_is_rejected_when_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    touch(tmp_path, "A/a.png", "B/b.png")
    try:
        (tmp_path / "A" / os.fsdecode(b"caf\xe9.png")).touch()
    except OSError:
        pytest.skip("this file system refuses such names")
    (tmp_path / "A" / os.fsdecode(b"caf\xe9")).symlink_to(tmp_path / "nowhere")
    manifest = read_folder(tmp_path, ANY)
    assert list(manifest.table["path"]) == ["A/a.png", r"A/caf\xe9.png", "B/b.png"]
    assert r"1 file(s) in" in caplog.text
    assert r"caf\xe9.png" in caplog.text
    cache = PixelCache.build(manifest.locations, Preprocessing(height=8, width=8))
    assert manifest.locations[1] in dict(cache.rejected)
    manifest.write(tmp_path / "out")
    assert Manifest.read(tmp_path / "out").info.notes == manifest.info.notes


@pytest.mark.skipif(os.name != "posix", reason="names of raw bytes exist on POSIX systems only")
def test_a_class_of_which_the_name_is_no_text_is_refused(tmp_path: Path) -> None:
    touch(tmp_path, "A/a.png", "B/b.png")
    try:
        (tmp_path / "B").rename(tmp_path / os.fsdecode(b"caf\xe9"))
    except OSError:
        pytest.skip("this file system refuses such names")
    with pytest.raises(DataError, match=r"The class folder b'caf\\xe9' .* is not UTF-8 text"):
        read_folder(tmp_path, ANY)


def test_patients_come_from_the_names(tmp_path: Path) -> None:
    touch(tmp_path, "NORMAL/IM-0115-0001.jpeg", "NORMAL/IM-0115-0002.jpeg", "PNEUMONIA/person1_virus_6.jpeg")
    manifest = read_folder(tmp_path, DataSettings())
    assert list(manifest.table["patient"]) == ["IM-0115", "IM-0115", "person1"]
    assert "Kermany" in manifest.info.notes[0]


def test_kermany_training_set(shared_data: Path) -> None:
    manifest = read_folder(shared_data / "kermany224", DataSettings())
    assert manifest.class_counts().loc["train"].to_dict() == {"NORMAL": 1341, "PNEUMONIA": 3875}
    assert manifest.info.classes == ("NORMAL", "PNEUMONIA")
    assert manifest.table["patient"].nunique() == 2846
    alone = read_folder(shared_data / "kermany224" / "train", DataSettings())
    assert list("train/" + alone.table["path"]) == list(manifest.table["path"])
    assert set(alone.table["split"]) == {""}
