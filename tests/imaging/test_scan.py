"""Folders are walked one at a time, and what is left out is counted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from made_pictures import encoded
from radlens.imaging import scan
from radlens.imaging.scan import LeftOut, Listing, list_folder, walk

GREY = np.arange(64, dtype=np.uint8).reshape(8, 8)
NAMES = ("x.jfif", "x.JPE", "x.pjpeg", "x", "x.txt", "1.2.840.7", "x.jpg.1", "x.tmp", "x.csv", "Bild ü")


def test_each_entry_is_of_one_kind(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    for name in ("x.png", "a.JPG", "notes.txt", ".secret", "Thumbs.db", "@eaDir", "DICOMDIR", "._x.png", ".DS_Store"):
        (tmp_path / name).touch()
    (tmp_path / "lost").symlink_to(tmp_path / "nowhere")
    found = list_folder(tmp_path)
    assert found.folders == ["b"]
    assert found.images == ["a.JPG", "x.png"]
    assert found.others == [("notes.txt", ".txt")]
    assert found.hidden == [".secret"]
    assert [name for name, _ in found.lost] == ["lost"]


def test_no_folder_is_listed_before_its_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "x.png").touch()
        (tmp_path / str(number) / ".hidden").touch()
    listed = []

    def noted(folder: Path) -> Listing:
        listed.append(folder.name)
        return list_folder(folder)

    monkeypatch.setattr(scan, "list_folder", noted)
    left_out = LeftOut()
    images = walk(tmp_path, "in", left_out)
    assert next(images) == "in/0/x.png"
    assert listed == [tmp_path.name, "0"]
    assert list(images) == [f"in/{number}/x.png" for number in range(1, 5)]
    assert left_out.hidden == 5


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF", "BMP", "WEBP"])
def test_content_decides_whatever_the_name(form: str, name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(encoded(GREY, form))
    listing = list_folder(tmp_path)
    assert (listing.images, listing.others) == ([name], [])


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("a.gif", b"GIF89a", ".gif"),
        ("scan", b"GIF89a", "a GIF"),
        ("scan", b"%PDF-1.7", "a PDF document"),
        ("clip", bytes(4) + b"ftypheic", "a HEIC, AVIF or video file"),
        ("notes", b"BMI of all patients, by ward", ""),
        ("BM.txt", b"BM", ".txt"),
        ("empty", b"", ""),
        ("README", b"II said so", ""),
    ],
)
def test_what_is_no_image_is_of_a_kind(name: str, content: bytes, kind: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    assert list_folder(tmp_path).others == [(name, kind)]


def test_what_is_called_an_image_is_not_opened_for_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for suffix in (".jpg", ".jfif", ".dcm", ".tif"):
        (tmp_path / f"x{suffix}").write_bytes(b"broken")
    monkeypatch.setattr(scan, "_head", lambda path: pytest.fail(f"{path} was opened"))
    assert len(list_folder(tmp_path).images) == 4


def test_what_is_left_out_is_counted_by_kind_and_the_first_are_named(tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / f"{number}.txt").touch()
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "film").write_bytes(b"GIF89a")
    left_out = LeftOut()
    assert not list(walk(tmp_path, "in", left_out))
    assert left_out.named_others() == "5 .txt (in/0.txt, in/1.txt, in/2.txt, …), 1 a GIF (in/sub/film)"
    whole = LeftOut()
    for _ in range(2):
        whole.add(left_out)
    assert whole.named_others().startswith("10 .txt (in/0.txt, in/1.txt, in/2.txt, …), 2 a GIF (in/sub/film, in/sub/f")
