"""How sources read the names that people give to splits and classes."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Mapping

import pandas as pd

SPLIT_SYNONYMS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
}


def split_of(name: str) -> str | None:
    """The split that a folder or cell names, in any case; ``None`` if it names none.

    >>> split_of("Validation"), split_of("NORMAL")
    ('val', None)
    """
    return SPLIT_SYNONYMS.get(name.strip().casefold())


def one_spelling(names: pd.Series) -> pd.Series:
    """The same names with one spelling for those that differ in case or outer spaces only: the most frequent one.

    >>> list(one_spelling(pd.Series(["Normal", "NORMAL", "NORMAL ", "mass"])))
    ['NORMAL', 'NORMAL', 'NORMAL', 'mass']
    """
    stripped = names.str.strip()
    return stripped.map(spellings(Counter(stripped.tolist())))


def spellings(counts: Mapping[str, int]) -> dict[str, str]:
    """One spelling for names that differ in case or in the encoding of accents only: the most frequent one.

    Args:
        counts: how often each name occurs.

    >>> spellings({"Mass": 2, "mass": 3, "nodule": 1})
    {'mass': 'mass', 'Mass': 'mass', 'nodule': 'nodule'}
    """
    ranked = sorted(counts, key=lambda name: (-counts[name], name))
    spelling_of: dict[str, str] = {}
    for name in ranked:
        spelling_of.setdefault(_folded(name), name)
    return {name: spelling_of[_folded(name)] for name in ranked}


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name.casefold())
