"""Folders are walked one at a time, and what is left out is counted."""

from __future__ import annotations

from pathlib import Path

import pytest

from radlens.imaging import scan
from radlens.imaging.scan import LeftOut, Listing, list_folder, walk


def test_each_entry_is_of_one_kind(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    for name in ("x.png", "a.JPG", "notes.txt", ".secret", "Thumbs.db", "@eaDir"):
        (tmp_path / name).touch()
    (tmp_path / "lost").symlink_to(tmp_path / "nowhere")
    found = list_folder(tmp_path)
    assert found.folders == ["b"]
    assert found.images == ["a.JPG", "x.png"]
    assert found.others == ["notes.txt"]
    assert found.hidden == [".secret", "@eaDir", "Thumbs.db"]
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
