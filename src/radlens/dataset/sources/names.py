"""How sources read the names that people give to splits and classes."""

from __future__ import annotations

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
    counts = stripped.value_counts().rename_axis("name").reset_index(name="count")
    counts = counts.sort_values(["count", "name"], ascending=[False, True])
    chosen: dict[str, str] = {}
    for name in counts["name"]:
        chosen.setdefault(name.casefold(), name)
    return stripped.map({name: chosen[name.casefold()] for name in counts["name"]})
