"""Copies planted among pictures are found; pictures that only look alike are not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from PIL import Image, ImageEnhance

from radlens.config import PhantomSettings
from radlens.dataset.audit.duplicates import Duplicates, duplicate_findings, find_duplicates
from radlens.dataset.manifest import DatasetInfo, Manifest
from radlens.dataset.phantom.source import phantom_manifest
from radlens.imaging.cache.pixel_cache import PixelCache
from radlens.imaging.preprocess import Preprocessing

CONTRACT = Preprocessing(height=150, width=150)
INFO = DatasetInfo(name="made up", task="binary", classes=("normal", "ill"), root="/nowhere")


def pictures(count: int, seed: int) -> list[Image.Image]:
    """One image of each patient: several of one simulated patient differ in their exposure alone."""
    manifest = phantom_manifest(PhantomSettings(images=count, size=160, seed=seed))
    first = ~manifest.table["patient"].duplicated()
    return [Image.open(location).convert("L") for location in manifest.only(first).locations]


def stacked(images: list[Image.Image]) -> npt.NDArray[np.uint8]:
    return np.stack([np.asarray(image.resize((150, 150)), dtype=np.uint8)[None] for image in images])


def found_in(images: list[Image.Image]) -> Duplicates:
    return find_duplicates([f"{number:064d}" for number in range(len(images))], stacked(images), np.arange(len(images)))


CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "turned by 4 degrees": lambda image: image.rotate(4, Image.Resampling.BILINEAR),
    "mirrored": lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "turned by 90 degrees": lambda image: image.transpose(Image.Transpose.ROTATE_90),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.2),
    "of less contrast": lambda image: ImageEnhance.Contrast(image).enhance(0.7),
    "smaller": lambda image: image.resize((120, 120)),
    "cropped": lambda image: image.crop((4, 4, 156, 156)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_copy_is_found_and_nothing_else(change: str) -> None:
    originals = pictures(90, seed=5)
    found = found_in([*originals, *(CHANGES[change](image) for image in originals[:5])])
    assert found.exact == ()
    planted = {(number, len(originals) + number) for number in range(5)}
    assert set(found.near) <= planted
    assert len(found.near) >= 4


@pytest.mark.parametrize("seed", range(3))
def test_clean_phantoms_have_no_copies(seed: int) -> None:
    assert found_in(pictures(200, seed)) == Duplicates()


def test_equal_files_are_exact_and_equal_pixels_in_other_files_are_near(tmp_path: Path) -> None:
    first, second = pictures(16, seed=1)[:2]
    first.save(tmp_path / "a.png")
    first.save(tmp_path / "b.png")
    first.save(tmp_path / "c.png", compress_level=0)
    second.save(tmp_path / "d.png")
    cache = PixelCache.build([str(tmp_path / f"{name}.png") for name in "abcd"], CONTRACT)
    found = find_duplicates(cache.digests, cache.pixels, cache.rows)
    assert found.exact == ((0, 1),)
    assert found.near == ((0, 1, 2),)
    assert found.groups() == ((0, 1, 2),)
    assert found.only(np.array([True, False, True, True])) == Duplicates((), ((0, 1),))


def test_unreadable_images_are_no_copies_of_one_another() -> None:
    found = find_duplicates(["", "", "a"], np.zeros((1, 1, 32, 32), np.uint8), np.array([-1, -1, 0]))
    assert found == Duplicates()


def manifest(rows: list[tuple[str, str, str]]) -> Manifest:
    table = pd.DataFrame(rows, columns=["label", "patient", "split"])
    return Manifest(table.assign(path=[f"{number}.png" for number in range(len(rows))]), INFO)


def test_copies_are_judged_by_split_label_and_patient() -> None:
    rows = [("normal", f"p{number}", "train") for number in range(300)]
    rows += [("normal", "p0", "train"), ("normal", "q", "test"), ("ill", "p2", "train")]
    found = duplicate_findings(manifest(rows), Duplicates(((0, 300), (1, 301)), ((2, 302),)))
    judged = {(finding.check, finding.severity): finding for finding in found}
    assert set(judged) == {
        ("leak", "block"),
        ("duplicate", "warn"),
        ("duplicate", "note"),
        ("conflicting_labels", "warn"),
    }
    assert judged["leak", "block"].groups == (("1.png", "301.png"),)
    assert judged["conflicting_labels", "warn"].examples == ("2.png (normal) = 302.png (ill)",)
    assert "different names" not in judged["duplicate", "warn"].message


def test_many_conflicting_labels_block() -> None:
    rows = [("normal", "a", ""), ("ill", "a", ""), ("normal", "b", "")]
    (conflict,) = [
        finding
        for finding in duplicate_findings(manifest(rows), Duplicates(((0, 1),)))
        if finding.check == "conflicting_labels"
    ]
    assert conflict.severity == "block"
    assert conflict.count == 2
