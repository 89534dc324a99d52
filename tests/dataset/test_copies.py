"""Copies of an image end in one split, whatever their patients are called."""

from __future__ import annotations

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from radlens.config import SplitSettings
from radlens.dataset.copies import join_patients, restore_patients
from radlens.dataset.manifest import DatasetInfo, Manifest
from radlens.dataset.split import assign_splits

INFO = DatasetInfo(name="made up", task="binary", classes=("normal", "ill"), root="/nowhere")


def manifest(patients: list[str], splits: list[str] | None = None) -> Manifest:
    count = len(patients)
    return Manifest(
        pd.DataFrame(
            {
                "path": [f"{number}.png" for number in range(count)],
                "label": [INFO.classes[number % 2] for number in range(count)],
                "patient": patients,
                "split": splits or [""] * count,
            }
        ),
        INFO,
    )


def test_patients_that_share_a_copy_are_joined_also_in_a_chain() -> None:
    joined = join_patients(manifest(["e", "d", "c", "b", "a"]), [(0, 1), (1, 2), (3, 4)])
    assert joined.table["patient"].tolist() == ["c", "c", "c", "a", "a"]


def test_copies_in_two_official_splits_are_left_apart() -> None:
    original = manifest(["a", "b", "c", "d"], ["train", "test", "train", "test"])
    assert join_patients(original, [(0, 1)]).table["patient"].tolist() == ["a", "b", "c", "d"]
    joined = join_patients(original, [(0, 1, 2)])
    assert joined.table["patient"].tolist() == ["a", "b", "a", "d"]


def test_without_copies_nothing_changes() -> None:
    original = manifest(["a", "b"])
    assert join_patients(original, []) is original


@given(st.lists(st.tuples(st.integers(0, 59), st.integers(0, 59)), max_size=12), st.integers(0, 99))
def test_copies_end_in_one_split_under_their_own_names(pairs: list[tuple[int, int]], seed: int) -> None:
    # Images 60 to 119 are of patients without copies, so that there is always enough to part.
    original = manifest([f"p{number:03d}" for number in range(120)])
    parted = restore_patients(assign_splits(join_patients(original, pairs), SplitSettings(), seed), original)
    assert parted.table["patient"].tolist() == original.table["patient"].tolist()
    split = parted.table["split"].tolist()
    for a, b in pairs:
        assert split[a] == split[b]
