"""Layouts of folders: splits, groups, patients and wrappers above and below the classes."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from radlens.base.errors import DataError
from radlens.config import DataSettings, resolve
from radlens.dataset.manifest import Manifest
from radlens.dataset.sources.folder import read_folder

TWO = ("NORMAL", "PNEUMONIA")


def make(root: Path, *levels: tuple[str, ...], files: tuple[str, ...] = ("a.png", "b.png")) -> Path:
    """Folders of every combination of the names of the levels, each with the files."""
    for names in product(*levels):
        folder = root.joinpath(*names)
        folder.mkdir(parents=True, exist_ok=True)
        for name in files:
            (folder / name).touch()
    return root


def read(root: Path, **folder: str) -> Manifest:
    return read_folder(root, DataSettings.model_validate({"patient_from": "none", "folder": folder}))


def cells(manifest: Manifest, *columns: str) -> set[tuple[str, ...]]:
    return set(manifest.table[list(columns)].itertuples(index=False, name=None))


SPELLINGS = [
    ("train", "val", "test"),
    ("Training", "Validation", "Testing"),
    ("train_set", "valid_set", "test_set"),
    ("train-set", "dev-set", "test-set"),
    ("training_data", "validation_data", "testing_data"),
    ("trainset", "valset", "testset"),
    ("TrainImages", "ValImages", "TestImages"),
    ("train2017", "val2017", "test2017"),
    ("entrenamiento", "validación", "prueba"),
    ("训练集", "验证集", "测试集"),
]


@pytest.mark.parametrize("names", SPELLINGS)
@pytest.mark.parametrize("inside", [False, True])
def test_splits_above_and_inside_the_classes(tmp_path: Path, names: tuple[str, str, str], inside: bool) -> None:
    manifest = read(make(tmp_path, TWO, names) if inside else make(tmp_path, names, TWO))
    assert cells(manifest, "label", "split") == set(product(TWO, ("train", "val", "test")))
    assert manifest.info.classes == TWO


def test_splits_that_share_a_prefix(tmp_path: Path) -> None:
    manifest = read(make(tmp_path, ("chest_train", "chest_test"), TWO))
    assert cells(manifest, "label", "split") == set(product(TWO, ("train", "test")))


GROUPS = [
    (("fold_1", "fold_2", "fold_3"), "fold"),
    (("Fold1", "Fold2"), "fold"),
    (("siteA", "siteB"), "site"),
    (("Hospital 1", "Hospital 2"), "site"),
    (("center-Mayo", "center-Guangzhou"), "site"),
    (("batch_1", "batch_2"), "group"),
    (("Mayo", "Guangzhou"), "group"),
    (("40X", "100X", "200X"), "group"),
]


@pytest.mark.parametrize(("names", "column"), GROUPS)
def test_folds_and_hospitals_above_the_classes_are_a_column(
    tmp_path: Path, names: tuple[str, ...], column: str
) -> None:
    manifest = read(make(tmp_path, names, TWO))
    assert cells(manifest, "label", column) == set(product(TWO, names))
    assert set(manifest.table["split"]) == {""}


def test_folds_with_numbered_classes(tmp_path: Path) -> None:
    assert cells(read(make(tmp_path, ("fold_0", "fold_1"), ("0", "1"))), "label", "fold") == set(
        product(("0", "1"), ("fold_0", "fold_1"))
    )


@pytest.mark.parametrize("names", [("fold_1", "fold_2"), ("site_a", "site_b")])
def test_folds_inside_the_classes_are_a_column(tmp_path: Path, names: tuple[str, ...]) -> None:
    manifest = read(make(tmp_path, TWO, names))
    assert cells(manifest, "label", names[0][:4]) == set(product(TWO, names))


@pytest.mark.parametrize(
    ("levels", "column"),
    [
        ((("train", "test"), ("siteA", "siteB"), TWO), "site"),
        ((("fold_1", "fold_2"), ("train", "test"), TWO), "fold"),
        ((("train", "test"), TWO, ("siteA", "siteB")), "site"),
    ],
)
def test_splits_groups_and_classes_together(tmp_path: Path, levels: tuple[tuple[str, ...], ...], column: str) -> None:
    manifest = read(make(tmp_path, *levels))
    groups = next(level for level in levels if level[0] in ("siteA", "fold_1"))
    assert cells(manifest, "label", "split", column) == set(product(TWO, ("train", "test"), groups))


@pytest.mark.parametrize(
    "below",
    [
        (("patient_001", "patient_002"),),
        (("001", "002", "003", "004", "005", "006"),),
        (("patient_001", "patient_002"), ("study1", "study2"), ("series1",)),
        (("left", "right"),),
        (("PA", "lateral"),),
        (("images",),),
        (("female", "male"), ("a", "b")),
    ],
)
def test_folders_within_a_class_are_walked(tmp_path: Path, below: tuple[tuple[str, ...], ...]) -> None:
    manifest = read(make(tmp_path, TWO, *below))
    assert manifest.info.classes == TWO
    assert len(manifest) == 2 * 2 * len(list(product(*below)))
    assert len(read(make(tmp_path / "split" / "x", ("train", "test"), TWO, *below))) == 2 * len(manifest)


@pytest.mark.parametrize("wrapper", ["chest_xray", "chest_xray/chest_xray", "archive/data/images", "data"])
@pytest.mark.parametrize(
    "levels", [(TWO,), (("train", "test"), TWO), (TWO, ("train", "test")), (("fold1", "fold2"), TWO)]
)
def test_folders_that_only_hold_another_are_entered(
    tmp_path: Path, wrapper: str, levels: tuple[tuple[str, ...], ...]
) -> None:
    plain, wrapped = read(make(tmp_path / "plain", *levels)), read(make(tmp_path / "x" / wrapper, *levels))
    assert wrapped.table.equals(plain.table)


def test_one_class_with_patients_is_one_class(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="Only one class was found in .*'NORMAL'"):
        read(make(tmp_path, ("NORMAL",), ("p1", "p2"))).require_every_class()


def test_the_same_split_above_and_below_is_one(tmp_path: Path) -> None:
    for split in ("train", "test"):
        make(tmp_path / split, TWO, (split,))
    assert cells(read(tmp_path), "label", "split") == set(product(TWO, ("train", "test")))


ASKED = [
    ((("COVID", "Influenza"), ("early", "late")), {"class", "group/class"}),
    ((("early", "late"), ("COVID", "Influenza")), {"class", "group/class"}),
    ((("train", "test"), ("COVID", "Influenza"), ("early", "late")), {"split/class", "split/group/class"}),
    ((("benign", "malignant"), ("healthy", "sick")), {"class", "group/class"}),
    ((("train", "test"), TWO, ("train", "val")), {"split/class", "any/class/split"}),
]


@pytest.mark.parametrize(("levels", "readings"), ASKED)
def test_where_two_readings_are_possible_the_question_names_settings_that_answer_it(
    tmp_path: Path, levels: tuple[tuple[str, ...], ...], readings: set[str]
) -> None:
    make(tmp_path, *levels)
    with pytest.raises(DataError) as raised:
        read(tmp_path)
    ways = [line.split()[1] for line in str(raised.value).splitlines() if line.startswith("  --set ")]
    assert {way.partition("=")[2] for way in ways} == readings
    for way in ways:
        manifest = read_folder(tmp_path, resolve(assignments=(way,), data={"patient_from": "none"}).data)
        wanted = way.partition("=")[2].split("/").index("class")
        assert set(manifest.table["label"]) == set(levels[wanted])


def test_the_layout_and_the_column_can_be_stated(tmp_path: Path) -> None:
    make(tmp_path, ("Mayo", "Guangzhou"), ("train", "test"), TWO)
    manifest = read(tmp_path, layout="group/split/class", group="clinic")
    assert cells(manifest, "clinic", "split", "label") == set(product(("Mayo", "Guangzhou"), ("train", "test"), TWO))
    assert cells(read(tmp_path, layout="any/any/class"), "split", "label") == set(product(("",), TWO))


@pytest.mark.parametrize("layout", ["split", "class/class", "folder/class", "", "class/"])
def test_layouts_that_say_nothing_are_refused(layout: str) -> None:
    with pytest.raises(ValueError, match="expected auto|must be class"):
        DataSettings.model_validate({"folder": {"layout": layout}})


@pytest.mark.parametrize("inside", ["", "images/", "test/", "test1/", "unknown/p1/"])
def test_a_test_folder_without_labels_is_left_out_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, inside: str
) -> None:
    make(tmp_path, ("train", "val"), TWO)
    make(tmp_path / "test" / inside)
    manifest = read(tmp_path)
    assert cells(manifest, "label", "split") == set(product(TWO, ("train", "val")))
    assert "2 image(s) in test are left out" in manifest.info.notes[-1]
    assert manifest.info.notes[-1] in caplog.text


def test_a_flat_test_folder_next_to_classes_is_left_out_and_said(tmp_path: Path) -> None:
    make(tmp_path, (*TWO, "test"))
    manifest = read(tmp_path)
    assert cells(manifest, "label", "split") == set(product(TWO, ("",)))
    assert "2 image(s) in test are left out" in manifest.info.notes[-1]


@pytest.mark.parametrize("names", [("fold_1", "fold_2"), ("Mayo", "Guangzhou")])
def test_images_without_class_next_to_folds_and_hospitals_are_left_out(tmp_path: Path, names: tuple[str, str]) -> None:
    make(tmp_path, names, TWO)
    make(tmp_path / "extra")
    manifest = read(tmp_path)
    assert set(manifest.table["label"]) == set(TWO)
    assert "2 image(s) in extra are left out" in manifest.info.notes[-1]


def test_splits_inside_some_classes_are_not_used_and_that_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make(tmp_path, ("NORMAL",), ("train", "test"))
    make(tmp_path, ("PNEUMONIA",))
    assert cells(read(tmp_path), "label", "split") == set(product(TWO, ("",)))
    assert "not used as splits" in caplog.text


def test_splits_inside_that_repeat_the_class(tmp_path: Path) -> None:
    for name in TWO:
        make(tmp_path, (name,), (f"{name.lower()}_train", f"{name.lower()}_test"))
    assert cells(read(tmp_path), "label", "split") == set(product(TWO, ("train", "test")))


@pytest.mark.parametrize("form", ["{split}_{name}", "{name}-{split}", "{name} {split}"])
def test_splits_in_the_names_of_the_class_folders(tmp_path: Path, form: str) -> None:
    make(tmp_path, tuple(form.format(split=split, name=name) for split in ("train", "test") for name in TWO))
    assert cells(read(tmp_path), "label", "split") == set(product(TWO, ("train", "test")))


def test_patients_above_the_classes_are_a_group(tmp_path: Path) -> None:
    assert cells(read(make(tmp_path, ("p1", "p2", "p3"), TWO)), "label", "group") == set(
        product(TWO, ("p1", "p2", "p3"))
    )


def test_a_train_folder_without_labels_is_refused(tmp_path: Path) -> None:
    make(tmp_path / "train")
    make(tmp_path / "test", TWO)
    with pytest.raises(DataError, match=r"train has no class folders; found 2 \.png"):
        read(tmp_path)


def test_the_tree_is_said_as_it_was_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    make(tmp_path, TWO, ("train", "test"), ("p1", "p2"))
    with caplog.at_level("INFO", logger="radlens"):
        read(tmp_path)
    assert "read as class/split, 8 sub-folder(s) walked" in caplog.text
    assert "  test: NORMAL 4, PNEUMONIA 4" in caplog.text
