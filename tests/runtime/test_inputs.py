"""What files, folders, patterns and standard input stand for, and what is left out of it."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from radlens.base.errors import UsageError
from radlens.imaging.scan import LeftOut
from radlens.runtime.inputs import describe, find_images

DICOM = bytes(128) + b"DICM"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of all that lies about in folders, which is the current one."""
    files = {
        "in/b.png": b"",
        "in/a.JPG": b"",
        "in/IM0001": DICOM,
        "in/1.2.840.7": DICOM,
        "in/notes.txt": b"",
        "in/README": b"no image",
        "in/.hidden.png": b"",
        "in/Thumbs.db": b"",
        "in/sub/c.dcm": DICOM,
        "in/sub/.git/d.png": b"",
        "in/__MACOSX/a.JPG": b"",
        "in/odd[1].png": b"",
    }
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def found(*arguments: str, standard_input: int = 0) -> list[str]:
    return list(find_images(arguments, LeftOut(), standard_input))


WHOLE = ["in/1.2.840.7", "in/IM0001", "in/a.JPG", "in/b.png", "in/odd[1].png", "in/sub/c.dcm"]


def test_a_folder_stands_for_the_images_below_it_and_the_rest_is_counted(folder: Path) -> None:
    left_out = LeftOut()
    assert list(find_images(["in"], left_out)) == WHOLE
    assert left_out.others == {".txt": 1, "": 1}
    assert left_out.hidden == 2
    assert describe(left_out) == [
        "2 hidden file(s) or folder(s) are left out.",
        "2 file(s) that are not images are left out: 1 without suffix (in/README), 1 .txt (in/notes.txt).",
    ]
    assert describe(LeftOut()) == []
    assert found("in/") == WHOLE
    assert found(str(folder / "in")) == [str(folder / path) for path in WHOLE]


def test_what_is_named_is_taken_whatever_it_is_and_as_often(folder: Path) -> None:
    named = ["in/notes.txt", "in/.hidden.png", "in/b.png", "in/b.png", "no/such.png", "in/odd[1].png", "set.npz::x/3"]
    assert found(*named) == named
    assert found("in/sub", "in/a.JPG") == ["in/sub/c.dcm", "in/a.JPG"]


def test_patterns_stand_for_what_a_shell_would_find(folder: Path) -> None:
    assert found("in/*.png") == ["in/b.png", "in/odd[1].png"]
    assert found("in/?.*g") == ["in/b.png"]
    assert found("in/**/*.dcm") == ["in/sub/c.dcm"]
    assert found("i*") == WHOLE
    assert found("in/[ab].*") == ["in/a.JPG", "in/b.png"]
    assert found("*.tiff") == ["*.tiff"], "what nothing matches gets an answer that says so"
    assert set(found("in/**")) == {*WHOLE, "in/notes.txt", "in/README"}


def test_standard_input_gives_a_path_a_line(folder: Path) -> None:
    read, write = os.pipe()
    strange = os.fsencode("in/caf\xe9").replace(b"\xc3\xa9", b"\xe9")
    os.write(write, b"in/a.JPG\r\n\nin/sub\n" + strange + b"\nin/last*.png")
    os.close(write)
    wanted = ["in/b.png", "in/a.JPG", "in/sub/c.dcm", os.fsdecode(strange), "in/last*.png"]
    assert found("in/b.png", "-", standard_input=read) == wanted
    os.close(read)
    with pytest.raises(UsageError, match="named twice"):
        found("-", "-")


def test_a_path_is_given_on_before_standard_input_ends(folder: Path) -> None:
    read, write = os.pipe()
    images = find_images(["-"], LeftOut(), read)
    os.write(write, b"first.png\nsec")
    assert next(images) == "first.png"

    def go_on() -> None:
        time.sleep(0.05)
        os.write(write, b"ond.png\n")
        os.close(write)

    later = threading.Thread(target=go_on)
    later.start()
    assert list(images) == ["second.png"]
    later.join()
    os.close(read)


def test_links_are_followed_and_circles_come_to_an_end(folder: Path) -> None:
    (folder / "in" / "sub" / "back").symlink_to(folder / "in")
    (folder / "in" / "gone.png").symlink_to(folder / "nothing.png")
    left_out = LeftOut()
    assert sorted(find_images(["in"], left_out)) == sorted([*WHOLE, "in/gone.png"])
    assert left_out.again == ["in/sub/back"]
    assert "read already" in describe(left_out)[0]
