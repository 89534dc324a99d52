"""Images without a known patient whose names are numbered in series, such as ``case7-1`` and ``case7-2``."""

from __future__ import annotations

import re

import pandas as pd

from radlens.dataset.audit.findings import Finding
from radlens.dataset.audit.name_families import name_form
from radlens.dataset.manifest import Manifest

# A word with more numbers after it than this, or the only one of its form, counts images and not those of one patient.
LONGEST_OF_ONE = 30
# With a smaller share of the images, no figure changes by what the series are.
WARN_SHARE = 0.01
EXAMPLES = 10

_LAST_NUMBER = re.compile(r"(.*?)[-_. (]*\d+\)?")
_DIGITS = re.compile(r"\d+")
_SUFFIX = re.compile(r"\.[A-Za-z][A-Za-z0-9]*$")


def series_findings(manifest: Manifest) -> list[Finding]:
    """Series of names among the images whose patient is not known.

    A series is two or more names that differ in their last number alone. What comes before it holds a number of its own
    and is one of several, or it is a word with few numbers: ``benign (1)`` to ``benign (437)`` counts images.
    """
    own = manifest.table["path"][manifest.table["patient"] == manifest.table["path"]]
    names = own.map(lambda path: _SUFFIX.sub("", path.rpartition("/")[2]))
    heads = names.map(lambda name: match.group(1) if (match := _LAST_NUMBER.fullmatch(name)) else "")
    table = pd.DataFrame({"path": own, "head": heads})[heads != ""]
    if table.empty:
        return []
    table["form"] = table["head"].map(name_form)
    size = table.groupby("head")["path"].transform("size")
    several = table.groupby("form")["head"].transform("nunique") > 1
    numbered = table["head"].str.contains(_DIGITS) & several
    series = table[(size > 1) & (numbered | (size <= LONGEST_OF_ONE))]
    if series.empty:
        return []
    groups = series.groupby("head")["path"].agg(list)
    largest = series["form"].value_counts().index[0]
    head = str(series["head"][series["form"] == largest].iloc[0])
    expression = "^(" + r"\d+".join(map(re.escape, _DIGITS.split(head))) + r")\D*\d"
    return [
        Finding(
            check="numbered_series",
            severity="warn" if len(series) >= WARN_SHARE * len(manifest) else "note",
            message=f"{len(series)} image(s) whose patient is not known have names in {len(groups)} numbered series, "
            f"such as {' and '.join(groups[head][:2])}. If a series is of one patient, its images may lie in different "
            f"splits, and results look better than they are: then say so (--set 'data.patient_from={expression}').",
            count=len(series),
            examples=tuple(f"{name}…: {len(paths)} images" for name, paths in groups.head(EXAMPLES).items()),
        )
    ]
