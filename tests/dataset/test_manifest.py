"""The manifest refuses what is not whole, and reads back as it was written."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radlens.base.errors import DataError
from radlens.dataset.manifest import DatasetInfo, Manifest, order_classes, split_labels


def make(labels: list[str], task: str = "binary", classes: tuple[str, ...] = ("normal", "ill")) -> Manifest:
    table = pd.DataFrame(
        {
            "path": [f"{number}.png" for number in range(len(labels))],
            "label": labels,
            "patient": [f"p{number}" for number in range(len(labels))],
            "split": "",
        }
    )
    info = DatasetInfo.model_validate({"name": "made", "task": task, "classes": classes, "root": "/images"})
    return Manifest(table, info)


def test_targets_follow_the_order_of_the_classes() -> None:
    assert make(["ill", "normal", "ill"]).targets().tolist() == [1, 0, 1]
    three = make(["c", "a", "b"], "multiclass", ("b", "a", "c"))
    assert three.targets().tolist() == [2, 1, 0]


def test_labels_that_are_not_known_are_no_targets_and_are_not_judged() -> None:
    made = make(["mass", "", "effusion|mass"], "multilabel", ("effusion", "mass")).with_split(["train", "val", "val"])
    manifest = Manifest(made.table.assign(unknown_labels=["effusion", "effusion|mass", ""]), made.info)
    assert manifest.known_targets().tolist() == [[-1, 1], [-1, -1], [1, 1]]
    assert manifest.targets().tolist() == [[0, 1], [0, 0], [1, 1]]
    judged = manifest.fully_labelled(("val", "test"))
    assert judged.table["path"].tolist() == ["0.png", "2.png"]
    assert "1 image(s) with a label that is not known" in judged.info.notes[-1]
    assert manifest.fully_labelled().table["path"].tolist() == ["2.png"]


@given(st.lists(st.sets(st.sampled_from(["mass", "effusion", "nodule"])), min_size=1, max_size=20))
def test_multilabel_targets_hold_each_label_of_a_cell(sets: list[set[str]]) -> None:
    classes = ("effusion", "mass", "nodule")
    sets = [*sets, set(classes)]
    manifest = make(["|".join(sorted(labels)) for labels in sets], "multilabel", classes)
    expected = [[int(name in labels) for name in classes] for labels in sets]
    assert manifest.targets().tolist() == expected
    assert manifest.class_counts().sum().to_dict() == {
        name: sum(row[column] for row in expected) for column, name in enumerate(classes)
    }


@pytest.mark.parametrize(
    ("labels", "task", "classes", "message"),
    [
        (["normal", "sick"], "binary", ("normal", "ill"), "'sick' are not among the classes"),
        (["a", "b"], "binary", ("a", "b", "c"), "two classes, got 3"),
        (["a", "b"], "binary", ("a", "a"), "not distinct"),
        ([], "binary", ("a", "b"), "lists no image"),
    ],
)
def test_labels_that_do_not_fit_are_refused(
    labels: list[str], task: str, classes: tuple[str, ...], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        make(labels, task, classes)


@pytest.mark.parametrize(
    ("task", "classes", "absent", "message"),
    [
        ("binary", ("a", "ill"), ["ill"], "No image of class ill"),
        ("multiclass", ("a", "b", "c"), ["b", "c"], "No image of class b, c"),
        ("multiclass", ("a",), [], "Only one class was found in .*'a'"),
        ("multilabel", ("a", "b"), ["b"], "No image of class b"),
    ],
)
def test_what_can_be_judged_cannot_always_be_learnt(
    task: str, classes: tuple[str, ...], absent: list[str], message: str
) -> None:
    manifest = make(["a", "a"], task, classes)
    assert manifest.absent_classes() == absent
    with pytest.raises(DataError, match=message):
        manifest.require_every_class()


def test_missing_columns_repeated_paths_and_strange_splits_are_refused() -> None:
    manifest = make(["normal", "ill"])
    with pytest.raises(DataError, match="lacks the column.*patient"):
        Manifest(manifest.table.drop(columns="patient"), manifest.info)
    with pytest.raises(DataError, match=r"listed more than once, first 0\.png"):
        Manifest(manifest.table.assign(path="0.png"), manifest.info)
    with pytest.raises(DataError, match="Unknown split"):
        manifest.with_split(["train", "dev"])
    with pytest.raises(DataError, match="Unknown split"):
        Manifest(manifest.table.assign(split=["train", "dev"]), manifest.info)


def test_what_is_derived_leaves_the_manifest_as_it_was() -> None:
    manifest = make(["normal", "ill"])
    before = manifest.table.copy()
    derived = manifest.with_split(["train", "val"]).with_notes("a note").only(np.array([True, False]))
    pd.testing.assert_frame_equal(manifest.table, before)
    assert manifest.info.notes == ()
    assert (list(derived.table["split"]), derived.info.notes) == (["train"], ("a note",))
    assert derived.table["split"].dtype == before["split"].dtype


def test_class_counts_of_several_labels_against_counting_one_by_one() -> None:
    cells = ["a|b", "", "c", "b|c|a", "a", ""] * 3
    manifest = make(cells, "multilabel", ("c", "a", "b")).with_split((["train"] * 4 + ["val"] * 2) * 3)
    counts = manifest.class_counts()
    assert list(counts.columns) == ["c", "a", "b"]
    for split in ("train", "val"):
        part = [cell for cell, where in zip(cells, manifest.table["split"], strict=True) if where == split]
        assert counts.loc[split].to_dict() == {name: sum(name in cell.split("|") for cell in part) for name in "cab"}


def test_locations_start_from_the_root_unless_absolute() -> None:
    manifest = make(["normal", "ill"])
    moved = Manifest(manifest.table.assign(path=["a/b.png", "/elsewhere/c.png"]), manifest.info)
    assert moved.locations == ["/images/a/b.png", "/elsewhere/c.png"]


def test_what_is_written_reads_back(tmp_path: Path) -> None:
    manifest = make(["normal", "ill", "ill"]).with_split(["train", "val", "test"]).with_notes("a note", "another: ü")
    manifest = Manifest(manifest.table.assign(view=["PA", "", "AP"], patient=["007", "NA", "8"]), manifest.info)
    manifest.write(tmp_path)
    again = Manifest.read(tmp_path)
    assert again.info == manifest.info
    pd.testing.assert_frame_equal(again.table, manifest.table)


any_name = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)


@settings(max_examples=200)
@given(st.lists(any_name, min_size=2, max_size=8, unique=True))
def test_any_names_that_a_file_may_have_read_back(names: list[str]) -> None:
    labels = ["normal", "ill"] * (len(names) // 2) + ["ill"] * (len(names) % 2)
    manifest = make(labels)
    manifest = Manifest(manifest.table.assign(path=names, patient=names, site=names), manifest.info)
    with tempfile.TemporaryDirectory() as folder:
        manifest.write(Path(folder))
        pd.testing.assert_frame_equal(Manifest.read(Path(folder)).table, manifest.table)


def test_a_folder_without_manifest_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no readable manifest\.csv"):
        Manifest.read(tmp_path)


def test_a_selection_keeps_the_classes_and_is_never_empty() -> None:
    manifest = make(["normal", "ill", "ill"])
    part = manifest.only(np.array([True, False, False]))
    assert part.info.classes == ("normal", "ill")
    assert part.class_counts().to_numpy().tolist() == [[1, 0]]
    with pytest.raises(DataError, match="left after the selection"):
        manifest.only(np.zeros(3, dtype=bool))


def test_the_negative_class_comes_first_and_the_positive_can_be_named() -> None:
    assert order_classes(["PNEUMONIA", "Normal"]) == ("Normal", "PNEUMONIA")
    assert order_classes(["zebra", "ant", "No Finding"]) == ("No Finding", "ant", "zebra")
    assert order_classes(["cat", "dog"], "CAT") == ("dog", "cat")
    with pytest.raises(DataError, match="'bird' must be one of two classes; found cat, dog"):
        order_classes(["cat", "dog"], "bird")


@given(st.permutations(["b", "normal", "A", "c"]))
def test_the_order_of_classes_does_not_depend_on_the_order_found(names: list[str]) -> None:
    assert order_classes(names) == ("normal", "A", "b", "c")


def test_an_empty_cell_has_no_label() -> None:
    assert split_labels("") == []
    assert split_labels("a|b") == ["a", "b"]
