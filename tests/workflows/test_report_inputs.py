"""What a page shows of the images on disk."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from radlens.base.errors import DataError
from radlens.config import resolve
from radlens.dataset.manifest import DatasetInfo, Manifest
from radlens.workflows.pictures import picture_reader
from radlens.workflows.report_inputs import _within


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    (tmp_path / "sub").mkdir()
    for name, value in (("a", 10), ("b", 200)):
        Image.fromarray(np.full((600, 900), value, dtype=np.uint8)).save(tmp_path / "sub" / f"{name}.png")
    table = pd.DataFrame(
        {"path": ["sub/a.png", "sub/b.png"], "label": ["no", "yes"], "patient": ["1", "2"], "split": "test"}
    )
    return Manifest(table, DatasetInfo(name="x", task="binary", classes=("no", "yes"), root=str(tmp_path)))


def test_a_picture_is_read_by_its_manifest_path_and_is_small(manifest: Manifest) -> None:
    read = picture_reader(manifest)
    assert read("sub/b.png").shape == (213, 320)
    assert read("sub/b.png").dtype == np.uint8
    assert (read("sub/a.png").mean(), read("sub/b.png").mean()) == (10, 200)
    with pytest.raises(KeyError):
        read("elsewhere.png")


def test_a_picture_that_has_gone_or_exceeds_the_limits_is_refused(manifest: Manifest, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="pixels"):
        picture_reader(manifest, resolve(assignments=("data.limits.max_pixels=1000",)))("sub/a.png")
    (tmp_path / "sub" / "a.png").unlink()
    with pytest.raises(DataError, match=r"a\.png"):
        picture_reader(manifest)("sub/a.png")


def test_locations_lose_the_folder_that_all_images_lie_in(manifest: Manifest, tmp_path: Path) -> None:
    assert [_within(manifest, location) for location in manifest.locations] == list(manifest.table["path"])
    elsewhere = os.fspath(tmp_path.parent / "other.png")
    assert _within(manifest, elsewhere) == elsewhere
