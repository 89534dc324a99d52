"""Names of splits and spellings of classes."""

from __future__ import annotations

import pandas as pd
import pytest

from radlens.dataset.sources.names import one_spelling, spellings, split_of


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


def test_accents_encoded_in_two_ways_are_one_name() -> None:
    composed, decomposed = "Entz\u00fcndung", "Entzu\u0308ndung"
    assert list(one_spelling(pd.Series([composed, decomposed, decomposed.upper(), composed]))) == [composed] * 4


def test_spellings_are_chosen_by_how_often_they_occur() -> None:
    assert spellings({"Mass": 2, "mass": 3, "MASS": 1, "nodule": 1}) == {
        "mass": "mass",
        "Mass": "mass",
        "MASS": "mass",
        "nodule": "nodule",
    }
    assert spellings({}) == {}
