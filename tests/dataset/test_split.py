"""Splits: no patient in two of them, every class in each, the shares met, the same every time."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from made_manifests import CLASSES, Rows, binary, manifest, split_by_path
from radlens.base.errors import DataError
from radlens.config import DataSettings, SplitSettings
from radlens.dataset.manifest import Manifest
from radlens.dataset.sources import read_source
from radlens.dataset.split import assign_splits, part_patients

# Patients with up to nine images, mostly of one class, each class having at least six patients.
patient = st.tuples(st.sampled_from(CLASSES), st.integers(1, 9), st.booleans())
population = st.lists(patient, min_size=0, max_size=60).map(
    lambda drawn: [*drawn, *((name, 1 + number % 4, False) for name in CLASSES for number in range(6))]
)
shares = st.builds(SplitSettings, validation=st.floats(0.05, 0.3), test=st.floats(0.05, 0.3))


def rows_of(drawn: list[tuple[str, int, bool]]) -> Rows:
    rows = []
    for number, (label, images, mixed) in enumerate(drawn):
        labels = [label] * images
        if mixed:
            labels[-1] = CLASSES[number % 3]
        rows += [(name, f"patient{number}", "") for name in labels]
    return rows


@settings(deadline=None, max_examples=60)
@given(population, shares, st.integers(0, 2**31 - 1))
def test_patients_stay_together_and_every_class_is_everywhere(
    drawn: list[tuple[str, int, bool]], chosen: SplitSettings, seed: int
) -> None:
    rows = manifest(rows_of(drawn))
    result = assign_splits(rows, chosen, seed)
    table = result.table
    assert list(table["path"]) == list(rows.table["path"])
    assert list(table["label"]) == list(rows.table["label"])
    assert set(table["split"]) == {"train", "val", "test"}
    assert table.groupby("patient")["split"].nunique().max() == 1
    assert (result.class_counts() > 0).all(axis=None)


@settings(deadline=None, max_examples=60)
@given(population, shares, st.integers(0, 1000), st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(
    drawn: list[tuple[str, int, bool]], chosen: SplitSettings, seed: int, random: object
) -> None:
    rows = manifest(rows_of(drawn))
    first = split_by_path(assign_splits(rows, chosen, seed))
    shuffled = list(range(len(rows)))
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    again = assign_splits(Manifest(rows.table.iloc[shuffled], rows.info), chosen, seed)
    assert split_by_path(again) == first


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(1, 9)), min_size=0, max_size=80),
    shares,
    st.integers(0, 1000),
)
def test_shares_are_met_in_each_class_up_to_the_largest_patient(
    drawn: list[tuple[str, int]], chosen: SplitSettings, seed: int
) -> None:
    drawn += [(label, 1) for label in "ab" for _ in range(3)]
    rows = [(label, f"p{number}", "") for number, (label, images) in enumerate(drawn) for _ in range(images)]
    result = assign_splits(binary(rows), chosen, seed)
    counts = result.class_counts()
    for label in "ab":
        sizes = [images for name, images in drawn if name == label]
        for split, share in (("val", chosen.validation), ("test", chosen.test)):
            assert abs(counts[label][split] - share * sum(sizes)) <= max(sizes)


def test_another_seed_gives_another_split_and_the_same_seed_the_same() -> None:
    rows = binary([(label, f"{label}{number}", "") for label in "ab" for number in range(100)])
    first = split_by_path(assign_splits(rows, SplitSettings(), 1))
    assert split_by_path(assign_splits(rows, SplitSettings(), 1)) == first
    other = split_by_path(assign_splits(rows, SplitSettings(), 2))
    assert np.mean([first[path] != other[path] for path in first]) > 0.2


def test_the_split_is_the_same_in_every_version() -> None:
    """Frozen on purpose: a change of this result changes every published figure."""
    rows = binary([(label, f"{label}{number}", "") for label in "ab" for number in range(10)])
    result = assign_splits(rows, SplitSettings(), 0).table
    chosen = {split: sorted(result["patient"][result["split"] == split]) for split in ("val", "test")}
    assert chosen == {"val": ["a9", "b0"], "test": ["a4", "b1"]}


def test_class_shares_are_equal_in_large_splits() -> None:
    rng = np.random.default_rng(0)
    rows = [
        (label, f"{label}{number}", "")
        for label, patients in (("a", 600), ("b", 1500))
        for number in range(patients)
        for _ in range(rng.integers(1, 5))
    ]
    counts = assign_splits(binary(rows), SplitSettings(), 0).class_counts()
    share = counts["b"] / counts.sum(axis=1)
    assert float(share.max() - share.min()) < 0.005
    assert counts.loc["test"].sum() / len(rows) == pytest.approx(0.15, abs=0.005)


def test_a_patient_counts_for_its_rarest_class() -> None:
    """With every patient of the rare class having common images too, the rare class is still parted by its share."""
    rows = [("a", f"p{number}", "") for number in range(400) for _ in range(3)]
    rows += [("b", f"p{number}", "") for number in range(40)]
    counts = assign_splits(binary(rows), SplitSettings(), 0).class_counts()
    assert counts["b"].to_dict() == {"train": 28, "val": 6, "test": 6}


def test_huge_patients_stay_in_train() -> None:
    rows = (
        [("a", "huge", "")] * 500 + [("a", f"a{n}", "") for n in range(500)] + [("b", f"b{n}", "") for n in range(100)]
    )
    for seed in range(5):
        table = assign_splits(binary(rows), SplitSettings(), seed).table
        assert set(table["split"][table["patient"] == "huge"]) == {"train"}
        assert (table["split"] == "test").sum() == 150 + 15


def test_multilabel_with_images_without_a_label() -> None:
    rng = np.random.default_rng(1)
    cells = ["", "a", "b", "a|b", "c", "a|c"]
    rows = [
        (cells[rng.choice(6, p=[0.4, 0.3, 0.15, 0.05, 0.05, 0.05])], f"p{n}", "") for n in range(1000) for _ in "xy"
    ]
    result = assign_splits(manifest(rows, "multilabel"), SplitSettings(), 0)
    by_cell = pd.crosstab(result.table["split"], result.table["label"], normalize="columns")
    assert result.table.groupby("patient")["split"].nunique().max() == 1
    assert ((by_cell.loc["test"] > 0.08) & (by_cell.loc["test"] < 0.22)).all()
    assert (result.table["split"] == "val").mean() == pytest.approx(0.15, abs=0.01)


def test_a_class_that_only_comes_with_rarer_ones_is_given_to_each_split() -> None:
    """Each patient of class c has one of the rarer classes a and b too, so that c is no stratum of its own."""
    rows = [("a|c", f"a{n}", "") for n in range(2)] + [("b|c", f"b{n}", "") for n in range(2)]
    rows += [("a", f"x{n}", "") for n in range(20)] + [("b", f"y{n}", "") for n in range(20)]
    rows += [("c", f"a{n % 2}", "") for n in range(60)]
    for seed in range(20):
        result = assign_splits(manifest(rows, "multilabel"), SplitSettings(), seed)
        assert (result.class_counts() > 0).all(axis=None)


def test_three_patients_of_a_class_are_enough_and_two_are_not() -> None:
    many = [("a", f"a{n}", "") for n in range(30)]
    for seed in range(10):
        result = assign_splits(binary([*many, *(("b", f"b{n}", "") for n in range(3))]), SplitSettings(), seed)
        assert result.class_counts()["b"].to_dict() == {"train": 1, "val": 1, "test": 1}
    with pytest.raises(DataError, match=r"each class needs at least 3, but these have fewer: b \(2\)"):
        assign_splits(binary([*many, *(("b", f"b{n % 2}", "") for n in range(50))]), SplitSettings(), 0)


def test_part_patients_against_a_worked_example() -> None:
    """Ten images in the stratum, a fifth for test, three tenths for val: patients of 2, 1 and 2, the rest for train."""
    images = np.array([2, 1, 2, 3, 2])
    assigned = part_patients(images, np.zeros(5, np.int64), np.arange(5), {"test": 0.2, "val": 0.3})
    assert list(assigned) == ["test", "val", "val", "train", "train"]


def test_what_is_done_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    rows = binary([(label, f"{label}{number}", "") for label in "ab" for number in range(50)])
    result = assign_splits(rows, SplitSettings(), 7)
    assert result.info.notes[0] in caplog.text
    assert "seed 7" in result.info.notes[0]


@pytest.mark.parametrize("seed", [0, 1])
def test_kermany_training_set(shared_data: Path, seed: int) -> None:
    source = read_source(DataSettings(source=str(shared_data / "kermany224")))
    result = assign_splits(source, SplitSettings(), seed)
    counts = result.class_counts()
    assert int(counts.to_numpy().sum()) == 5216
    assert result.table.groupby("patient")["split"].nunique().max() == 1
    assert counts["PNEUMONIA"].sum() == 3875
    share = counts["PNEUMONIA"] / counts.sum(axis=1)
    assert float(share.max() - share.min()) < 0.005
    for split in ("val", "test"):
        assert counts.loc[split].sum() / 5216 == pytest.approx(0.15, abs=0.002)
