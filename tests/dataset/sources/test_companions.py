"""Masks, annotations and the like are left out; classes of such names are not."""

from __future__ import annotations

from pathlib import Path

import pytest

from radlens.base.errors import DataError
from radlens.config import DataSettings
from radlens.dataset.manifest import Manifest
from radlens.dataset.sources.companions import companion_files, companion_folders, is_companion_name
from radlens.dataset.sources.folder import read_folder


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def read(root: Path, companions: str = "leave_out") -> Manifest:
    return read_folder(
        root, DataSettings.model_validate({"patient_from": "none", "folder": {"companions": companions}})
    )


COMPANIONS = [
    "masks",
    "Masks",
    "mask",
    "lung_masks",
    "LungMask",
    "lungmasks",
    "infection_masks",
    "ManualMask",
    "leftMask",
    "seg",
    "segmentation",
    "Segmentations",
    "labels",
    "annotations",
    "overlays",
    "bounding_boxes",
    "bbox",
    "bboxes",
    "gt",
    "GT",
    "ground_truth",
    "GroundTruth",
    "heatmaps",
    "gradcam",
    "contours",
    "masks_png",
    "mask2",
    "train_masks",
    "máscaras",
    "thumbnails",
    "roi_masks",
]
OTHERS = [
    "images",
    "with_mask",
    "without_mask",
    "unmasked",
    "no_mask",
    "incorrect_mask",
    "NORMAL",
    "left",
    "right",
    "sagittal",
    "segmental",
    "gtx",
    "labelled_mass",
    "mask_weared_incorrect",
    "brain",
    "Class_1",
]


@pytest.mark.parametrize("name", COMPANIONS)
def test_companion_folders_are_known_by_name_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    touch(tmp_path, *(f"{label}/images/{label}{n}.png" for label in ("COVID", "Normal") for n in range(3)))
    touch(tmp_path, *(f"{label}/{name}/{label}{n}.png" for label in ("COVID", "Normal") for n in range(2)))
    manifest = read(tmp_path)
    assert {Path(path).parent.name for path in manifest.table["path"]} == {"images"}
    assert len(manifest) == 6
    assert f"4 picture(s) in 2 folder(s), first COVID/{name}, are left out" in manifest.info.notes[-1]
    assert manifest.info.notes[-1] in caplog.text
    assert len(read(tmp_path, "keep")) == 10


@pytest.mark.parametrize("name", OTHERS)
def test_other_names_are_none_of_companions(name: str) -> None:
    assert not is_companion_name(name)


def test_images_in_the_class_folder_itself_and_masks_below(tmp_path: Path) -> None:
    touch(tmp_path, "COVID/a.png", "COVID/masks/a.png", "Normal/b.png", "Normal/masks/b.png", "Normal/p1/masks/c.png")
    assert list(read(tmp_path).table["path"]) == ["COVID/a.png", "Normal/b.png", "Normal/p1/masks/c.png"]


@pytest.mark.parametrize("prefix", ["", "train/"])
def test_companions_above_the_classes_and_next_to_them(tmp_path: Path, prefix: str) -> None:
    touch(
        tmp_path / "above", *(f"{prefix}{kind}/{c}/a.png" for kind in ("images", "masks") for c in ("COVID", "Normal"))
    )
    assert {Path(path).parts[-2] for path in read(tmp_path / "above").table["path"]} == {"COVID", "Normal"}
    assert len(read(tmp_path / "above")) == 2
    assert any("2 picture(s)" in note for note in read(tmp_path / "above").info.notes)
    touch(tmp_path / "next", *(f"{prefix}{name}/a.png" for name in ("COVID", "Normal", "masks")))
    assert set(read(tmp_path / "next").table["label"]) == {"COVID", "Normal"}


@pytest.mark.parametrize(
    "classes",
    [
        ("with_mask", "without_mask"),
        ("mask", "no_mask"),
        ("Mask", "Non Mask"),
        ("face", "mask"),
        ("mask", "no mask", "mask worn incorrectly"),
        ("label_0", "label_1"),
        ("masked", "unmasked"),
    ],
)
@pytest.mark.parametrize("split", [False, True])
def test_classes_of_such_names_are_kept(tmp_path: Path, classes: tuple[str, ...], split: bool) -> None:
    for above in ("train", "test") if split else ("",):
        touch(tmp_path / above, *(f"{name}/a.png" for name in classes))
    assert set(read(tmp_path).table["label"]) == set(classes)


def test_a_class_of_companions_alone_keeps_them(tmp_path: Path) -> None:
    touch(tmp_path, "COVID/annotations/a.png", "Normal/annotations/b.png")
    assert len(read(tmp_path)) == 2


def test_images_and_masks_are_not_two_classes(tmp_path: Path) -> None:
    touch(tmp_path, "images/a.png", "masks/a.png")
    with pytest.raises(DataError, match="Only one class was found"):
        read(tmp_path).require_every_class()


@pytest.mark.parametrize(
    ("image", "companion"),
    [
        ("benign (1).png", "benign (1)_mask.png"),
        ("benign (1).png", "benign (1)_mask_1.png"),
        ("ISIC_0000.jpg", "ISIC_0000_Segmentation.png"),
        ("000_HC.png", "000_HC_Annotation.png"),
        ("x.PNG", "X_MASK.png"),
        ("a.b.png", "a.b-seg.png"),
        ("17.png", "17.mask.png"),
        ("17.png", "mask_17.png"),
        ("x.jpg", "x_lungmask.png"),
        ("x.jpg", "x_gt (2).png"),
    ],
)
def test_companion_files_are_known_by_the_image_they_are_of(image: str, companion: str) -> None:
    assert companion_files([image, companion, "other.png"]) == {companion}
    assert not companion_files([companion, "other.png"])


def test_companion_files_are_left_out_and_counted(tmp_path: Path) -> None:
    names = [
        f"{label}/{label} ({n}){end}.png" for label in ("benign", "malignant") for n in (1, 2) for end in ("", "_mask")
    ]
    manifest = read(touch(tmp_path, *names))
    assert sorted(manifest.table["path"]) == sorted(name for name in names if "mask" not in name)
    assert "4 picture(s) in 2 folder(s)" in manifest.info.notes[-1]


def test_where_nothing_else_would_be_left_no_folder_is_a_companion() -> None:
    assert companion_folders(["masks", "labels"], images_here=False, classes_here=False) == frozenset()
    assert companion_folders(["masks"], images_here=True, classes_here=False) == {"masks"}
