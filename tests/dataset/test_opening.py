"""The one line that a run begins with."""

from __future__ import annotations

from pathlib import Path

import pytest

from made_manifests import manifest
from radlens.config import DataSettings
from radlens.dataset.opening import opening_line
from radlens.dataset.sources import read_source


def test_a_folder_says_all_of_it_in_one_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in (
        "train/NORMAL/IM-0001-0001.png",
        "train/NORMAL/IM-0001-0002.png",
        "train/NORMAL/masks/IM-0001-0002.png",
        "train/PNEUMONIA/deep/person1_virus_6.png",
        "train/PNEUMONIA/notes.txt",
        "test/NORMAL/IM-0002-0001.png",
        "test/PNEUMONIA/person2_virus_6.png",
        "val/x.png",
    ):
        (tmp_path / "chests" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "chests" / name).touch()
    with caplog.at_level("INFO", logger="radlens"):
        read_source(DataSettings(source=str(tmp_path / "chests")))
    assert caplog.records[-1].getMessage() == (
        "chests: 5 images, binary, NORMAL 3, PNEUMONIA 2; positive: PNEUMONIA (NORMAL is the name of a healthy class); "
        "train 3, test 2; 4 patients; folders read as split/class, 1 sub-folders walked; left out: 1 named as masks or "
        "the like, 1 without label, 1 not images"
    )


def test_other_tasks_and_what_is_not_known() -> None:
    rows = [("a", "p1", "train"), ("b", "p1", ""), ("c", "2.png", "val")]
    assert opening_line(manifest(rows)) == (
        "x: 3 images, multiclass, a 1, b 1, c 1; train 1, val 1, without split 1; 1 patients, unknown for 1 images"
    )
    classes = tuple(f"class {number:02}" for number in range(20))
    line = opening_line(manifest([(name, f"{n}.png", "") for n, name in enumerate(classes)], classes=classes))
    assert line.endswith("class 11 1, 8 more; no splits; patients unknown")
