"""Labels from one column of classes, or from several columns of marks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from radlens.base.errors import DataError, UsageError
from radlens.dataset.manifest import order_classes, task_of
from radlens.dataset.sources.labels import Kind, Labels, Remarks, join_names
from radlens.dataset.sources.marks import Column, truth_of
from radlens.dataset.sources.names import one_spelling
from radlens.dataset.sources.table_cells import name_rows

# A column with more different fractions than this holds measurements, and no grades.
_MOST_FRACTIONS = 20


def from_column(cells: pd.Series, remarks: Remarks) -> Labels:
    """Exclusive classes from one column: marks, numbers by value, or names in one spelling.

    Raises:
        UsageError: cells are to count as 0 or 1 in a column of other classes.
        DataError: too few rows have a label, or the numbers are measurements.
    """
    column = Column(cells, remarks.rules.missing_words)
    values, out, name = column.values, np.zeros(len(cells), dtype=bool), str(cells.name)
    masks: dict[Kind, npt.NDArray[np.bool_]] = {"uncertain": column.uncertain, "missing": column.missing}
    for kind, mask in masks.items():
        rule = remarks.rule_for(kind, mask[:, None], [name], cells.index)
        if mask.any() and rule in ("negative", "positive"):
            if not column.is_marks:
                raise UsageError(
                    f"data.csv.{kind}={rule} is for columns of 0 and 1; the column {name!r} of {remarks.file} holds "
                    "other classes."
                )
            values = values.mask(mask, "0" if rule == "negative" else "1")
        else:
            out |= mask
    remarks.heed_left_out(out)
    values = values[~out]
    if column.is_marks:
        values = values.map(dict(zip("01", column.words or "01", strict=True)))
    elif column.is_numeric:
        _heed_fractions(name, values, remarks)
    else:
        values = one_spelling(values)
        _mention_mixture(name, values, remarks)
    plain_cells = ~(out | column.uncertain | column.missing)
    remarks.mention_spellings(name, Counter(zip(cells[plain_cells], values[plain_cells[~out]], strict=True)))
    distinct = list(values.unique())
    if column.is_marks:
        classes = tuple(word for word in column.words or "01" if word in distinct)
    else:
        # Grades stand in their order: 10 comes after 9.
        classes = tuple(sorted(distinct, key=float)) if column.is_numeric else order_classes(distinct)
    remarks.mention_alike([] if column.is_numeric else classes)
    return Labels(values, classes, task_of(classes))


def from_columns(raw: pd.DataFrame, names: Sequence[str], remarks: Remarks) -> Labels:
    """Several labels an image, from columns of marks; the classes keep the order in which the columns are named.

    A label that no image has is left out, since nothing can be learnt of it.

    Raises:
        DataError: a cell is no mark, too few rows have labels, or fewer than two labels have images.
    """
    columns = [Column(raw[name], remarks.rules.missing_words) for name in names]
    for name, column in zip(names, columns, strict=True):
        _require_marks(raw[name], column, remarks)
    present = np.stack([np.asarray(column.values == "1", dtype=bool) for column in columns], axis=1)
    unknown, out = np.zeros_like(present), np.zeros(len(present), dtype=bool)
    kinds: tuple[Kind, ...] = ("uncertain", "missing")
    for kind in kinds:
        mask = np.stack([getattr(column, kind) for column in columns], axis=1)
        rule = remarks.rule_for(kind, mask, names, raw.index)
        if rule == "exclude":
            out |= mask.any(axis=1)
        elif rule == "ignore-in-loss":
            unknown |= mask
        else:
            present |= mask & (rule == "positive")
    # An image of which nothing is known has nothing to teach.
    out |= unknown.all(axis=1)
    remarks.heed_left_out(out)
    present, unknown, index = present[~out], unknown[~out], raw.index[~out]
    kept = _with_images(present, names, remarks)
    names, present, unknown = [names[number] for number in kept], present[:, kept], unknown[:, kept]
    if not remarks.rules.one_hot and len(names) > 2 and (present.sum(axis=1) == 1).all():
        remarks.say(
            "Every row has exactly one of these labels.",
            "If they are exclusive classes: --set data.csv.one_hot=true",
        )
    not_known = join_names(unknown, names, index) if unknown.any() else None
    return Labels(join_names(present, names, index), tuple(names), "multilabel", not_known)


def exclusive(labels: Labels, remarks: Remarks) -> Labels:
    """The same labels as exclusive classes; rows with none or several are left out.

    Raises:
        DataError: no row has exactly one.
    """
    out = np.asarray(labels.cells.str.contains("|", regex=False) | (labels.cells == ""), dtype=bool)
    if out.any():
        remarks.say(
            f"{int(out.sum())} row(s) do not have exactly one of the exclusive classes and are left out: "
            f"{name_rows(out, labels.cells.index)}."
        )
    remarks.heed_left_out(out)
    cells = labels.cells[~out]
    classes = tuple(name for name in labels.classes if (cells == name).any())
    return Labels(cells, classes, task_of(classes))


def _require_marks(cells: pd.Series, column: Column, remarks: Remarks) -> None:
    valued = ~(column.missing | column.uncertain)
    unusable = valued & np.asarray([truth_of(cell) is None for cell in column.values], dtype=bool)
    if column.is_marks or not unusable.any():
        return
    raise DataError(
        f"{remarks.file}: the label column {cells.name!r} holds {cells[unusable].iloc[0]!r} in "
        f"{name_rows(unusable, cells.index)} ({int(unusable.sum())} in all); expected 0 or 1. Decide what such cells "
        "mean and write 0 or 1."
    )


def _with_images(present: npt.NDArray[np.bool_], names: Sequence[str], remarks: Remarks) -> list[int]:
    """The numbers of the labels that an image has."""
    kept = [number for number in range(len(names)) if present[:, number].any()]
    without = [name for number, name in enumerate(names) if number not in kept]
    if without and len(kept) < 2:
        raise DataError(f"{remarks.file}: No image of class {', '.join(without)} was found; two labels are needed.")
    if without:
        remarks.say(f"No image has the label(s) {', '.join(without)}: left out.")
    return kept


def _heed_fractions(name: str, values: pd.Series, remarks: Remarks) -> None:
    fractions = sorted({value for value in values.unique() if "." in value}, key=float)
    if len(fractions) > _MOST_FRACTIONS:
        raise DataError(
            f"{remarks.file}: the column {name!r} holds {len(fractions)} different fractions, such as {fractions[0]}: "
            "measurements, and not classes. Write a class for each row, or name another column (data.csv.label)."
        )
    if fractions:
        remarks.say(f"The column {name!r} holds fractions ({', '.join(fractions[:4])}): each value is a class.")


def _mention_mixture(name: str, values: pd.Series, remarks: Remarks) -> None:
    distinct = list(values.unique())
    answers = [value for value in distinct if truth_of(value) is not None]
    if answers and len(answers) < len(distinct):
        others = [value for value in distinct if value not in answers]
        remarks.say(
            f"The column {name!r} mixes {', '.join(map(repr, answers[:4]))} with other names, such as {others[0]!r}: "
            "each is a class.",
            "To join or drop classes: data.class_map",
        )
