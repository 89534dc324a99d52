"""Official splits: kept, completed, replaced, or refused where they share patients."""

from __future__ import annotations

import pandas as pd
import pytest

from made_manifests import Rows, binary, official
from radlens.base.errors import DataError
from radlens.config import SplitSettings
from radlens.dataset.split import assign_splits


def test_usable_official_splits_are_kept(caplog: pytest.LogCaptureFixture) -> None:
    rows = binary(official({"train": 30, "val": 10, "test": 12}))
    result = assign_splits(rows, SplitSettings(), 0)
    pd.testing.assert_frame_equal(result.table, rows.table)
    assert result.info.notes == ()
    assert not caplog.records


def test_a_small_official_validation_joins_train_and_is_replaced(caplog: pytest.LogCaptureFixture) -> None:
    rows = binary(official({"train": 92, "val": 8, "test": 20}))
    result = assign_splits(rows, SplitSettings(), 0)
    assert set(result.class_counts().loc["val"]) <= {14, 15, 16}
    kept = result.table["split"] == "test"
    assert set(result.table["path"][kept]) == set(rows.table["path"][rows.table["split"] == "test"])
    former = result.table["split"][rows.table["split"] == "val"]
    assert "train" in set(former)
    assert "8 image(s) in its smallest class" in caplog.text
    assert "16 image(s) joined train" in result.info.notes[0]
    assert result.table.groupby("patient")["split"].nunique().max() == 1


def test_an_official_validation_without_a_class_is_too_small() -> None:
    rows = [*official({"train": 60, "test": 20}), *(("a", f"v{n}", "val") for n in range(50))]
    result = assign_splits(binary(rows), SplitSettings(), 0)
    assert result.class_counts().loc["val"].min() > 5


def test_the_smallest_usable_validation_is_a_setting() -> None:
    rows = binary(official({"train": 30, "val": 4, "test": 12}))
    kept = assign_splits(rows, SplitSettings(min_validation=4), 0)
    assert list(kept.table["split"]) == list(rows.table["split"])


def test_a_missing_test_or_validation_is_made_from_train() -> None:
    rows = binary(official({"train": 100, "val": 20}))
    result = assign_splits(rows, SplitSettings(test=0.2), 0)
    assert result.class_counts().loc["test"].to_dict() == {"a": 20, "b": 20}
    assert list(result.table["split"][rows.table["split"] == "val"]) == ["val"] * 40
    rows = binary(official({"train": 100, "test": 20}))
    result = assign_splits(rows, SplitSettings(validation=0.1), 0)
    assert result.class_counts().loc["val"].to_dict() == {"a": 10, "b": 10}


def test_official_splits_can_be_ignored() -> None:
    rows = binary(official({"train": 100, "val": 2, "test": 2}))
    result = assign_splits(rows, SplitSettings(official=False), 0)
    assert result.class_counts().loc["test"].min() >= 14
    assert "official: false" in result.info.notes[0]


def test_official_splits_without_train_are_an_error() -> None:
    with pytest.raises(DataError, match=r"images for val, test and none for train.*official=false"):
        assign_splits(binary(official({"val": 20, "test": 20})), SplitSettings(), 0)


def test_images_without_a_split_join_train() -> None:
    rows = [*official({"train": 20, "val": 20, "test": 20}), ("a", "new", "")]
    result = assign_splits(binary(rows), SplitSettings(), 0)
    assert result.table["split"].iloc[-1] == "train"
    assert "1 image(s) without a split joined train." in result.info.notes


def test_an_official_test_without_a_class_is_an_error() -> None:
    rows = [*official({"train": 60, "val": 20}), *(("a", f"t{n}", "test") for n in range(20))]
    with pytest.raises(DataError, match="test has no b"):
        assign_splits(binary(rows), SplitSettings(), 0)


def overlapping() -> Rows:
    return [
        *official({"train": 40, "val": 20, "test": 20}),
        ("a", "in_test_and_train", "train"),
        ("b", "in_test_and_train", "train"),
        ("b", "in_test_and_train", "test"),
        ("a", "in_test_and_val", "val"),
        ("a", "in_test_and_val", "test"),
        ("b", "in_val_and_train", "val"),
        ("b", "in_val_and_train", "train"),
    ]


def test_official_splits_that_share_patients_are_an_error() -> None:
    with pytest.raises(DataError) as raised:
        assign_splits(binary(overlapping()), SplitSettings(), 0)
    message = str(raised.value)
    assert "2 patient(s) of the test split" in message
    assert "2 in train, 1 in val image(s)" in message
    assert "in_test_and_train, in_test_and_val" in message
    assert "--set data.split.overlap=drop_train" in message


def test_validation_that_shares_patients_with_train_is_an_error() -> None:
    rows = [*official({"train": 40, "val": 20, "test": 20}), ("b", "x", "val"), ("b", "x", "train")]
    with pytest.raises(DataError, match=r"1 patient\(s\) of the val split are in other splits too \(1 in train"):
        assign_splits(binary(rows), SplitSettings(), 0)


@pytest.mark.parametrize("by_settings", [True, False])
def test_shared_patients_are_dropped_from_train_then_from_validation(
    by_settings: bool, caplog: pytest.LogCaptureFixture
) -> None:
    rows = binary(overlapping(), overlap="error" if by_settings else "drop_train")
    chosen = SplitSettings(overlap="drop_train" if by_settings else None)
    result = assign_splits(rows, chosen, 0)
    last = result.table[result.table["patient"].str.startswith("in_")]
    assert list(zip(last["patient"], last["split"], strict=True)) == [
        ("in_test_and_train", "test"),
        ("in_test_and_val", "test"),
        ("in_val_and_train", "val"),
    ]
    assert len(result) == len(rows) - 4
    assert "dropped (2 in train, 1 in val)" in caplog.text
    assert any("dropped (1 in train)" in note for note in result.info.notes)


def test_settings_win_over_what_the_data_set_says() -> None:
    with pytest.raises(DataError, match="drop_train"):
        assign_splits(binary(overlapping(), overlap="drop_train"), SplitSettings(overlap="error"), 0)


def test_overlap_of_train_with_a_validation_that_is_replaced_does_not_matter() -> None:
    rows = [*official({"train": 60, "val": 2, "test": 20}), ("b", "x", "val"), ("b", "x", "train")]
    result = assign_splits(binary(rows), SplitSettings(), 0)
    assert len(result) == len(rows)
    assert result.table.groupby("patient")["split"].nunique().max() == 1


def test_nothing_left_of_train_is_an_error() -> None:
    rows = [(label, f"{label}{n}", split) for label in "ab" for n in range(20) for split in ("train", "test")]
    with pytest.raises(DataError, match="nothing is left to train on"):
        assign_splits(binary(rows), SplitSettings(overlap="drop_train"), 0)
