"""The images that the rows of a table name, found on the disk."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from radlens.base.errors import DataError
from radlens.config import CsvColumns
from radlens.dataset.sources.table_images import TableImages, find_images

DISK = ["images_001/00000001_000.png", "images_001/00000002_000.png", "images_002/00000003_000.JPG"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in DISK:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def find(root: Path, names: list[str], **rules: Any) -> TableImages:
    cells = pd.Series(names, index=range(2, len(names) + 2), dtype=str, name="image")
    return find_images(cells, root, root / "labels.csv", CsvColumns.model_validate(rules))


def test_bare_names_and_stems_in_sub_folders(root: Path) -> None:
    assert find(root, [Path(name).name for name in DISK]).paths.tolist() == DISK
    assert find(root, [Path(name).stem for name in DISK]).paths.tolist() == DISK


def test_other_suffixes_and_folders_are_said(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    images = find(root, ["/old/images_001/00000001_000.png", "D:\\NIH\\images\\00000002_000.png", "00000003_000.png"])
    assert images.paths.tolist() == DISK
    assert "2 row(s) of labels.csv give another folder than their image lies in" in caplog.text
    assert "1 row(s) of labels.csv give another suffix" in caplog.text
    assert "'00000003_000.png' to 'images_002/00000003_000.JPG'" in images.notes[1]


def test_rows_without_an_image_and_images_without_a_row_are_counted(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    images = find(root, [DISK[0], "gone.png", DISK[2]])
    assert images.paths.to_dict() == {2: DISK[0], 4: DISK[2]}
    assert "1 of 3 row(s) of labels.csv name no image below" in caplog.text
    assert "row 3" in images.notes[0]
    assert "1 image file(s) next to the listed ones have no row in labels.csv" in caplog.text
    with pytest.raises(DataError, match=r"1 of 3 row\(s\).*\n  - row 3: gone\.png\nBelow it lie 3 image files"):
        find(root, [DISK[0], "gone.png", DISK[2]], unmatched="error")


def test_most_rows_are_not_left_out_unasked(root: Path) -> None:
    names = [DISK[0], "x.png", "y.png"]
    with pytest.raises(DataError, match=r"2 of 3 row\(s\)(?s:.*)data\.csv\.unmatched=leave_out"):
        find(root, names)
    assert find(root, names, unmatched="leave_out").paths.tolist() == DISK[:1]
    with pytest.raises(DataError, match=r"image_root=FOLDER"):
        find(root, ["x.png"], unmatched="leave_out")


def test_a_name_of_several_images_is_said_with_them(root: Path) -> None:
    (root / "images_002" / "00000001_000.png").touch()
    names = ["00000001_000", "00000002_000", "00000003_000"]
    images = find(root, names)
    assert images.paths.tolist() == DISK[1:]
    both = "images_001/00000001_000.png, images_002/00000001_000.png"
    assert f"1 of them fit several images, such as '00000001_000' ({both})" in images.notes[0]
