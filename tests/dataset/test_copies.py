"""Copies of an image end in one split, whatever their patients are called and wherever they came from."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from made_manifests import Rows, binary, official
from radlens.base.errors import DataError
from radlens.config import SplitSettings
from radlens.dataset.audit.duplicates import Duplicates, duplicate_findings
from radlens.dataset.copies import group_by_copies
from radlens.dataset.folds import assign_folds
from radlens.dataset.manifest import Manifest
from radlens.dataset.split import assign_splits


def manifest(patients: list[str], splits: list[str] | None = None) -> Manifest:
    rows: Rows = [("ab"[n // 4 % 2], patient, splits[n] if splits else "") for n, patient in enumerate(patients)]
    return binary(rows)


@pytest.mark.parametrize("splits", [None, ["train", "test", "val", "", "train"]])
def test_patients_that_share_a_copy_are_grouped_also_in_a_chain_and_across_splits(splits: list[str] | None) -> None:
    grouped = group_by_copies(manifest(["e", "d", "c", "b", "a"], splits), [(0, 1), (1, 2), (3, 4)])
    assert grouped.tolist() == ["c", "c", "c", "a", "a"]
    assert grouped.index.tolist() == [f"{number}.png" for number in range(5)]


def test_without_copies_the_patients_are_the_groups() -> None:
    assert group_by_copies(manifest(list("badce"))).tolist() == list("badce")


PAIRS = st.lists(st.tuples(st.integers(0, 59), st.integers(0, 59)), max_size=12)
# Images 60 to 119 are of patients without copies, so that there is always enough to split.
MANY = [f"p{number:03d}" for number in range(120)]
OFFICIAL = [("train", "train", "val", "test")[number % 4] for number in range(120)]


@settings(max_examples=30)
@given(PAIRS, st.integers(0, 99), st.sampled_from([None, OFFICIAL]))
def test_copies_end_in_one_split_under_their_own_names(
    pairs: list[tuple[int, int]], seed: int, splits: list[str] | None
) -> None:
    original = manifest(MANY, splits)
    result = assign_splits(original, SplitSettings(official=False), seed, pairs)
    assert result.table["patient"].tolist() == original.table["patient"].tolist()
    split = result.table["split"].tolist()
    folds = assign_folds(original, 4, seed, pairs)
    for a, b in pairs:
        assert split[a] == split[b]
        assert folds[a] == folds[b]


@settings(max_examples=30)
@given(PAIRS, st.integers(0, 9), st.sampled_from([1, 40]))
def test_copies_are_dropped_from_train_then_from_validation_and_never_from_test(
    pairs: list[tuple[int, int]], seed: int, min_validation: int
) -> None:
    original = manifest(MANY, OFFICIAL)
    rules = SplitSettings(overlap="drop_train", min_validation=min_validation)
    result = assign_splits(original, rules, seed, pairs)
    split = dict(zip(result.table["path"], result.table["split"], strict=True))
    assert [path for path in split if split[path] == "test"] == [
        f"{n}.png" for n in range(120) if OFFICIAL[n] == "test"
    ]
    left = [{split[path] for path in (f"{a}.png", f"{b}.png") if path in split} for a, b in pairs]
    assert all(len(splits) <= 1 for splits in left)
    if not any(a != b for a, b in pairs):
        assert len(result) == len(original)


def with_copies(overlap: str | None = None) -> tuple[Manifest, list[tuple[int, int]], SplitSettings]:
    rows = official({"train": 30, "val": 20, "test": 20})
    first = {split: next(n for n, row in enumerate(rows) if row[2] == split) for split in ("train", "val", "test")}
    # A copy in test of an image of train, whose patient has two, and one of another label; and one in val.
    pairs = [(first["train"], first["test"]), (59, first["test"] + 2), (first["val"], first["test"] + 4)]
    return binary(rows), pairs, SplitSettings.model_validate({"overlap": overlap})


def test_what_was_dropped_is_counted_with_the_patients_who_share_a_copy() -> None:
    rows, pairs, rules = with_copies("drop_train")
    result = assign_splits(rows, rules, 0, pairs)
    assert len(result) == len(rows) - 6
    assert any("6 image(s) were dropped (4 in train, 2 in val) that are copies" in note for note in result.info.notes)


@pytest.mark.parametrize("overlap", [None, "error", "keep"])
def test_copies_in_official_splits_stay_for_the_audit_to_tell(overlap: str | None) -> None:
    rows, pairs, rules = with_copies(overlap)
    result = assign_splits(rows, rules, 0, pairs)
    pd.testing.assert_frame_equal(result.table, rows.table)
    (leak,) = [each for each in duplicate_findings(result, Duplicates(tuple(pairs))) if each.check == "leak"]
    assert "--set data.split.overlap=drop_train" in leak.message
    assert "--set data.split.official=false" in leak.message


def test_a_validation_split_made_from_what_joined_train_tears_no_copies_apart() -> None:
    rows = [*official({"train": 60, "val": 4, "test": 20}), *(("a", f"late{n}", "") for n in range(8))]
    pairs = [(n, len(rows) - 1 - n) for n in range(8)]
    for seed in range(5):
        split = assign_splits(binary(rows), SplitSettings(), seed, pairs).table["split"]
        assert all(split[a] == split[b] for a, b in pairs)


def test_nothing_left_of_train_names_the_way_out() -> None:
    rows = [(label, f"{split}{label}{n}", split) for split in ("train", "test") for label in "ab" for n in range(20)]
    pairs = [(number, number + 40) for number in range(40)]
    with pytest.raises(DataError, match=r"nothing is left to train on.*data\.split\.official=false"):
        assign_splits(binary(rows), SplitSettings(overlap="drop_train"), 0, pairs)
    assert len(assign_splits(binary(rows), SplitSettings(official=False), 0, pairs)) == 80
