"""Names of splits and spellings of classes."""

from __future__ import annotations

import pandas as pd
import pytest

from radlens.dataset.sources.names import one_spelling, split_of


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train", "train"),
        ("Training", "train"),
        ("VAL", "val"),
        ("valid", "val"),
        ("Validation", "val"),
        ("dev", "val"),
        ("test", "test"),
        (" Testing ", "test"),
        ("NORMAL", None),
        ("trainer", None),
        ("", None),
    ],
)
def test_split_of(name: str, split: str | None) -> None:
    assert split_of(name) == split


def test_one_spelling_takes_the_most_frequent_and_breaks_ties_the_same_way() -> None:
    names = pd.Series(["normal", "NORMAL", "Mass", "mass ", "mass"])
    assert list(one_spelling(names)) == ["NORMAL", "NORMAL", "mass", "mass", "mass"]
    assert list(one_spelling(names[::-1])) == ["mass", "mass", "mass", "NORMAL", "NORMAL"]
