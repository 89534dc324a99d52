"""Cells that hold several labels: joined by a sign, or written as a list."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

import numpy as np
import pandas as pd

from radlens.base.errors import DataError
from radlens.dataset.class_names import means_nothing_found
from radlens.dataset.manifest import order_classes
from radlens.dataset.sources.labels import Labels, Remarks
from radlens.dataset.sources.marks import number_in
from radlens.dataset.sources.names import spellings

_LIST = re.compile(r"\[.*\]|\(.*\)|\{.*\}", re.DOTALL)
# A quoted name, which may hold commas and the other kind of quote, or a bare one.
_ITEM = re.compile(r"""'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|([^,'"\s][^,]*)""", re.DOTALL)
_SIGNS = ("|", ";")
# Past this share of the images on which it stands alone, a "normal" that stands with other labels is no slip.
_MOST_TOGETHER = 0.05


def is_list(cell: str) -> bool:
    """Whether a cell is written as a list.

    >>> [is_list(cell) for cell in ("['a', 'b']", "[]", "mass (left)")]
    [True, True, False]
    """
    return _LIST.fullmatch(cell) is not None


def separators_of(cells: Iterable[str], stated: str | None) -> tuple[str, ...] | None:
    """What joins several labels in the distinct cells of one column; None where each cell is one label.

    A comma joins where at least half of the names that it joins stand alone in other cells.

    Args:
        cells: the distinct ones.
        stated: the separator that a user named.

    >>> separators_of(["a|b", "c"], None), separators_of(["a,b", "a", "b"], None), separators_of(["x, left", "y"], None)
    (('|',), (',',), None)
    """
    if stated:
        return (stated,)
    texts = [cell for cell in cells if number_in(cell) is None]
    lists = any(map(is_list, texts))
    signs = tuple(sign for sign in _SIGNS if any(sign in cell for cell in texts if not is_list(cell)))
    if signs or lists:
        return signs
    alone = {cell.casefold() for cell in texts if "," not in cell}
    parts = {part.strip().casefold() for cell in texts if "," in cell for part in cell.split(",") if part.strip()}
    return (",",) if parts and 2 * len(parts & alone) >= len(parts) else None


def split_cell(cell: str, separators: tuple[str, ...]) -> list[str]:
    r"""The labels in a cell.

    >>> split_cell("['pleural effusion', \"heart's base\"]", ()), split_cell("a| b;", ("|", ";"))
    (['pleural effusion', "heart's base"], ['a', 'b'])
    """
    if is_list(cell):
        items = [next((part for part in match if part), "") for match in _ITEM.findall(cell[1:-1])]
    elif separators:
        items = re.split("|".join(map(re.escape, separators)), cell)
    else:
        items = [cell]
    # The bar joins labels in the manifest.
    return [item.strip().replace("|", "/") for item in items if item.strip()]


def from_joined(cells: pd.Series, separators: tuple[str, ...], remarks: Remarks) -> Labels:
    """Several labels an image from one column, each cell in class order, each label in one spelling.

    Names that say that nothing was found (``No Finding``, ``normal``) are no labels: such images have none. An empty
    cell says the same, unless the column has a word for it: then its image has no value.

    Raises:
        DataError: no cell names a label, or too few rows have a value.
    """
    name, images = str(cells.name), Counter(cells.tolist())
    absent = {word.casefold() for word in remarks.rules.missing_words}
    parts = {cell: [part for part in split_cell(cell, separators) if part.casefold() not in absent] for cell in images}
    counts: Counter[str] = Counter()
    for cell, named in parts.items():
        counts.update(dict.fromkeys(named, images[cell]))
    spelling = spellings(counts)
    labelled = {cell: {spelling[part] for part in named} for cell, named in parts.items()}
    nothing = _names_of_nothing(name, labelled, images, remarks)
    classes = order_classes(sorted(set(spelling.values()) - nothing))
    if not classes:
        raise DataError(f"{remarks.file}: the column {name!r} names no label, only {', '.join(sorted(nothing))}.")
    rank = {label: number for number, label in enumerate(classes)}
    labels = {cell: "|".join(sorted(named & rank.keys(), key=rank.__getitem__)) for cell, named in labelled.items()}
    no_value = [cell for cell, named in parts.items() if not named and (cell != "" or nothing)]
    out = np.asarray(cells.isin(no_value), dtype=bool)
    if remarks.rule_for("missing", out[:, None], [name], cells.index) == "negative":
        out[:] = False
    remarks.heed_left_out(out)
    remarks.mention_spellings(name, {(part, label): counts[part] for part, label in spelling.items()})
    remarks.mention_alike(classes)
    return Labels(cells[~out].map(labels).astype(str), classes, "multilabel")


def _names_of_nothing(name: str, labelled: dict[str, set[str]], images: Counter[str], remarks: Remarks) -> set[str]:
    """The labels that say that nothing was found; one that often stands with others is a label of its own.

    Args:
        name: of the column.
        labelled: the labels of each distinct cell.
        images: how often each cell occurs.
        remarks: told what is read how.
    """
    nothing = {label for labels in labelled.values() for label in labels if means_nothing_found(label)}
    if not nothing:
        return nothing
    alone = sum(images[cell] for cell, labels in labelled.items() if labels and labels <= nothing)
    together = sum(images[cell] for cell, labels in labelled.items() if labels & nothing and labels - nothing)
    words = ", ".join(map(repr, sorted(nothing)))
    if together > _MOST_TOGETHER * alone:
        remarks.say(f"{words} in the column {name!r} often stands with other labels and is read as one of them.")
        return set()
    remarks.say(f"{words} in the column {name!r} is read as no label: {alone} image(s).")
    if together:
        remarks.say(f"{together} image(s) have {words} along with other labels, which are kept.")
    return nothing
