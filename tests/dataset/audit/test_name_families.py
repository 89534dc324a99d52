"""Families of file names: their forms, and whether what they hold differs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fixture_types import MakeImages
from radlens.config import DataSettings
from radlens.dataset.audit.name_families import find_name_families, name_form
from radlens.dataset.manifest import Manifest
from radlens.dataset.sources import read_source
from radlens.imaging.cache.pixel_cache import PixelCache
from radlens.imaging.preprocess import Preprocessing


@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("train/NORMAL/IM-0115-0001.jpeg", "IM-#"),
        ("IM-0660-0001-0001.jpeg", "IM-#"),
        ("NORMAL2-IM-0374-0001.jpeg", "NORMAL#-IM-#"),
        ("person1_bacteria_2.jpeg", "person#_bacteria_#"),
        ("person1_virus_2_1.jpeg", "person#_virus_#"),
        ("00000013_005.png", "#"),
        ("1.2.840.113619.2.5.1762583153.215519", "#"),
        ("scan.1.2.840.dcm", "scan.#"),
        ("3fa85f64-5717-4562-b3fc-2c963f66afa6.png", "#"),
        ("d41d8cd98f00b204e9800998ecf8427e.png", "#"),
        ("CHNCXR_0001_0.png", "CHNCXR_#"),
        ("archive.npz::train_images/17", "#"),
        ("pneumonia.png", "pneumonia"),
        ("P000007-2.dcm", "P#"),
        ("patient 12 (3).png", "patient # (#)"),
    ],
)
def test_form_of_a_name(path: str, form: str) -> None:
    assert name_form(path) == form


def two_families(make_images: MakeImages, *, differ: bool, seed: int = 0) -> tuple[Manifest, PixelCache]:
    """Class well comes as A# and B#; the border of B# is brighter, or not; ill comes as C# alone, with a stray."""
    rng = np.random.default_rng(seed)
    paths = [f"A{number}.png" for number in range(80)] + [f"B{number}.png" for number in range(60)]
    paths += [f"C{number}.png" for number in range(99)] + ["stray.png"]
    pixels = rng.integers(0, 100, (240, 1, 32, 32), dtype=np.uint8)
    if differ:
        pixels[80:140, :, 0] += 40
    return make_images(["well"] * 140 + ["ill"] * 100, paths=paths, pixels=pixels)


def test_families_that_differ_are_told_apart(make_images: MakeImages) -> None:
    (found,) = find_name_families(*two_families(make_images, differ=True), seed=0)
    assert found.label == "well"
    assert [(family.form, family.images, family.patients, family.elsewhere) for family in found.families] == [
        ("A#", 80, 80, 0),
        ("B#", 60, 60, 0),
    ]
    assert found.families[1].example == "B0.png"
    assert found.views["border"].low > 0.9
    assert (found.images, found.patients, found.sampled) == (140, 140, False)


def test_families_that_do_not_differ_are_not(make_images: MakeImages) -> None:
    (found,) = find_name_families(*two_families(make_images, differ=False), seed=0)
    assert all(auroc.low < 0.55 for auroc in found.views.values())


def test_names_of_the_other_class_are_counted(make_images: MakeImages) -> None:
    labels = ["well"] * 60 + ["ill"] * 60
    paths = [f"{'AB'[number % 2]}{number}.png" for number in range(120)]
    found = find_name_families(*make_images(labels, paths=paths), seed=0)
    assert [(each.label, [family.elsewhere for family in each.families]) for each in found] == [
        ("well", [30, 30]),
        ("ill", [30, 30]),
    ]


@pytest.mark.parametrize(
    "paths",
    [
        [f"scan{number}.png" for number in range(100)],
        [f"{chr(97 + number % 26)}{chr(97 + number // 26)}.png" for number in range(100)],
        [f"A{number}.png" for number in range(98)] + ["B98.png", "B99.png"],
    ],
    ids=["one form", "every name its own form", "a few strays"],
)
def test_no_families(make_images: MakeImages, paths: list[str]) -> None:
    assert find_name_families(*make_images(["ill"] * 99 + ["well"], paths=paths), seed=0) == ()


def test_families_of_few_patients_are_no_families(make_images: MakeImages) -> None:
    paths = [f"A{number}.png" for number in range(50)] + [f"B{number}.png" for number in range(50)]
    patients = [*range(50), *(50 + number % 5 for number in range(50))]
    assert find_name_families(*make_images(["ill"] * 99 + ["well"], paths=paths, patients=patients), seed=0) == ()


def test_three_families_are_each_told_from_the_rest(make_images: MakeImages) -> None:
    paths = [f"{'ABC'[number % 3]}{number}.png" for number in range(150)]
    modes = ["RGB" if number % 3 == 2 else "L" for number in range(150)]
    found = find_name_families(*make_images(["ill"] * 149 + ["well"], paths=paths, facts={"mode": modes}), seed=0)[0]
    assert len(found.families) == 3
    # C is told wholly; A and B from each other not at all, from C wholly.
    assert found.views["facts"].value == pytest.approx((1 + 0.75 + 0.75) / 3, abs=0.05)


def test_the_two_series_of_normals_come_out(shared_data: Path) -> None:
    manifest = read_source(DataSettings(source=str(shared_data / "kermany224" / "train")))
    normal = manifest.only(manifest.table["label"] == "NORMAL")
    cache = PixelCache.build(normal.locations, Preprocessing(height=64, width=64), 2)
    (found,) = find_name_families(normal, cache, seed=0)
    assert [(family.form, family.images) for family in found.families] == [("NORMAL#-IM-#", 744), ("IM-#", 597)]
    assert found.views["border"].low > 0.6
