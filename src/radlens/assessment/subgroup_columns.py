"""Which groups of images to look at: columns of the manifest, ages in bands, families of file names."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from radlens.base.errors import UsageError, did_you_mean
from radlens.dataset.audit.image_facts import HEADER_FACTS, ages_in_years
from radlens.dataset.audit.name_families import SMALLEST_SHARE, name_form
from radlens.dataset.manifest import REQUIRED_COLUMNS

NAME_FAMILY = "name_family"
MOST_GROUPS = 12
UNKNOWN = "unknown"
OTHER = "other"

# Lower ends of the bands, in years, and what each is called.
_AGES = (
    (0, "under 1"),
    (1, "1 to 4"),
    (5, "5 to 17"),
    (18, "18 to 39"),
    (40, "40 to 64"),
    (65, "65 to 79"),
    (80, "80 or more"),
)


def subgroup_columns(table: pd.DataFrame, wanted: Sequence[str] = ()) -> dict[str, pd.Series]:
    """The group of each image, by the columns that are looked at.

    Args:
        table: the manifest's.
        wanted: names of columns, or ``name_family``. None named: every column besides path, label, patient and split
            that has 2 to 12 values or is an age; and where there is none, the families of file names.

    Returns:
        For each column one text an image; ages in bands, ``unknown`` where a cell is empty.

    Raises:
        UsageError: a named column does not exist or has too many values.
    """
    if wanted:
        return {name: _groups_of(table, name, asked=True) for name in wanted}
    groups_by_column = {}
    for name in table.columns.difference(list(REQUIRED_COLUMNS), sort=False):
        groups = _groups_of(table, str(name))
        if _is_telling(groups, table["label"]):
            groups_by_column[str(name)] = groups
    if not groups_by_column and _is_telling(families := name_families(table), table["label"]):
        groups_by_column[NAME_FAMILY] = families
    return groups_by_column


def name_families(table: pd.DataFrame) -> pd.Series:
    """The form of each image's file name, such as ``IM-#``; rare forms are ``other``.

    >>> table = pd.DataFrame({"path": ["a/IM-1.png", "a/IM-2.png", "b/x_3.png"], "label": ["A", "A", "B"]})
    >>> name_families(table).tolist()
    ['IM-#', 'IM-#', 'x_#']
    """
    forms = table["path"].map(name_form)
    share = forms.groupby([table["label"], forms]).transform("size") / forms.groupby(table["label"]).transform("size")
    common = set(forms[share >= SMALLEST_SHARE])
    return forms.where(forms.isin(common), OTHER)


def age_bands(cells: pd.Series) -> pd.Series:
    """Ages as bands of years.

    >>> age_bands(pd.Series(["034Y", "6M", "71", ""])).tolist()
    ['18 to 39', 'under 1', '65 to 79', 'unknown']
    """
    ages = ages_in_years(cells.astype(str).str.strip())
    names = np.array([UNKNOWN, *(name for _, name in _AGES)], dtype=object)
    band = np.searchsorted([start for start, _ in _AGES], ages, side="right")
    return pd.Series(names[np.where(np.isnan(ages), 0, band)], index=cells.index)


def group_order(groups: pd.Series) -> list[str]:
    """The distinct groups: ages by age, others by size, ``other`` and ``unknown`` last."""
    ages = {name: number for number, (_, name) in enumerate(_AGES)}
    counts = groups.value_counts()

    def rank(name: str) -> tuple[int, int, int, str]:
        return (
            (name == OTHER) + 2 * (name == UNKNOWN),
            ages.get(name, len(ages)),
            -int(counts[name]),
            name,
        )

    return sorted(map(str, counts.index), key=rank)


def _groups_of(table: pd.DataFrame, name: str, *, asked: bool = False) -> pd.Series:
    if name == NAME_FAMILY and name not in table.columns:
        return name_families(table)
    if name not in table.columns or name in REQUIRED_COLUMNS:
        known = [str(column) for column in table.columns.difference(list(REQUIRED_COLUMNS))]
        raise UsageError(
            f"evaluate.subgroups: the manifest has no column {name!r} to make groups of. "
            f"{did_you_mean(name, [*known, NAME_FAMILY])}"
        )
    cells = table[name].astype(str).str.strip()
    if name.casefold().replace(" ", "_") in HEADER_FACTS["age"] and np.isfinite(ages_in_years(cells)).any():
        return age_bands(cells)
    groups = cells.where(cells != "", UNKNOWN)
    if asked and groups.nunique() > MOST_GROUPS:
        raise UsageError(
            f"evaluate.subgroups: the column {name!r} has {groups.nunique()} values, and at most {MOST_GROUPS} groups "
            "can be told apart. Put them into bands in the manifest first."
        )
    return groups


def _is_telling(groups: pd.Series, label: pd.Series) -> bool:
    """Whether there are a few groups, and they are not the labels under other names."""
    known = groups[groups != UNKNOWN]
    if not 2 <= known.nunique() <= MOST_GROUPS:
        return False
    pairs = pd.crosstab(known, label[known.index]) > 0
    return not bool((pairs.sum(axis=0) <= 1).all() and (pairs.sum(axis=1) <= 1).all())
