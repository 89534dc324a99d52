"""What radlens wrote is told by its content, wherever it was moved, and is no image of a folder."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from made_pictures import encoded, noise
from radlens.config import DataSettings
from radlens.dataset.sources.folder import read_folder
from radlens.imaging.own_output import is_own_folder, is_own_output, picture_mark
from radlens.imaging.scan import LeftOut, list_folder, walk
from radlens.runtime.inputs import describe, find_images

FOLDERS = [
    ("config.yaml", "environment.json", "report.html"),
    ("audit.json", "manifest.csv", "audit.html"),
    ("config.json", "model.safetensors"),
    ("comparison.json", "manifest.csv"),
    ("manifest.csv", "dataset.yaml"),
]


def write(folder: Path, *names: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    """Two images and what radlens made of one."""
    for name in ("NORMAL/a.png", "PNEUMONIA/b.jpg"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(encoded(noise(), "PNG" if name.endswith("png") else "JPEG"))
    (tmp_path / "maps").mkdir()
    Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(tmp_path / "maps" / "a.png.png", pnginfo=picture_mark())
    return tmp_path


@pytest.mark.parametrize("names", FOLDERS)
def test_a_folder_that_radlens_wrote_is_left_out_and_said(inbox: Path, names: tuple[str, ...]) -> None:
    write(inbox / "out", *names)
    (inbox / "out" / "figure.png").write_bytes(encoded(noise(), "PNG"))
    if "dataset.yaml" in names:
        (inbox / "out" / "figure.png").unlink()
    left_out = LeftOut()
    images = list(walk(inbox, "in", left_out))
    assert images == ["in/NORMAL/a.png", "in/PNEUMONIA/b.jpg"]
    assert sorted(left_out.own) == ["in/maps/a.png.png", "in/out"]
    assert describe(left_out) == ["2 file(s) or folder(s) that radlens wrote are left out, first in/out."]


def test_a_source_leaves_them_out_too(inbox: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(inbox / "run", "config.yaml", "environment.json")
    manifest = read_folder(inbox, DataSettings(patient_from="none"))
    assert list(manifest.table["path"]) == ["NORMAL/a.png", "PNEUMONIA/b.jpg"]
    assert caplog.text.count("that radlens wrote are left out") == 1


@pytest.mark.parametrize("name", ["moved.png", "UPPER.PNG", "without", "odd.jpg.txt"])
def test_a_mark_stays_with_the_file(inbox: Path, name: str) -> None:
    shutil.copy(inbox / "maps" / "a.png.png", inbox / "NORMAL" / name)
    assert list_folder(inbox / "NORMAL").own == [name]
    left_out = LeftOut()
    arguments = [f"{inbox}/NORMAL/a.png", f"{inbox}/NORMAL/{name}", f"{inbox}/N*/{name[:2]}*"]
    assert list(find_images(arguments, left_out)) == [f"{inbox}/NORMAL/a.png"]
    assert len(left_out.own) == 2


def test_a_table_of_answers_is_no_file_of_another_kind(inbox: Path) -> None:
    (inbox / "answers.csv").write_text("path,predicted,answer\n")
    left_out = LeftOut()
    assert len(list(walk(inbox, "in", left_out))) == 2
    assert "in/answers.csv" in left_out.own
    assert not left_out.others


def test_folders_to_be_read_are_no_output(tmp_path: Path) -> None:
    for names in (("manifest.csv", "dataset.yaml", "pictures"), ("manifest.csv", "a.png"), ("config.json",), ()):
        folder = tmp_path / "-".join(names or ("none",))
        write(folder, *names)
        assert not is_own_folder(folder)


def test_other_programs_pictures_are_not_marked() -> None:
    assert not is_own_output(encoded(noise(), "PNG"))
    assert not is_own_output(b"tEXtSoftware\0radlens")
