"""The labels that a table gives, from one column or several; whatever is doubtful in them is said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd

from radlens.base.errors import UsageError
from radlens.config import DataSettings
from radlens.dataset.manifest import order_classes
from radlens.dataset.sources.joined_labels import from_joined, separators_of
from radlens.dataset.sources.label_columns import exclusive, from_column, from_columns
from radlens.dataset.sources.labels import Labels, Remarks


def labels_of(raw: pd.DataFrame, settings: DataSettings, file: Path) -> Labels:
    """Read the label column or columns ``settings.csv.label``; what comes back has the rows with a label.

    Numbers are read by value, and so are words for yes and no. What is uncertain or missing is treated as the settings
    say, counted and said; so is whatever is written in several ways.

    Args:
        raw: the cells, by row number.
        settings: of the data.
        file: the table, for messages.

    Raises:
        UsageError: a setting does not fit these columns.
        DataError: a cell holds what is not a label, or most rows would be left out and no
            setting says that they shall be.
    """
    names, remarks = settings.csv.label, Remarks(file, settings.csv)
    if len(names) > 1:
        labels = from_columns(raw, names, remarks)
        if settings.csv.one_hot:
            labels = exclusive(labels, remarks)
    else:
        cells = raw[names[0]]
        separators = separators_of([str(cell) for cell in cells.unique()], settings.csv.label_separator)
        labels = from_column(cells, remarks) if separators is None else from_joined(cells, separators, remarks)
    labels = replace(labels, notes=tuple(remarks.notes))
    if labels.task == "multilabel":
        if settings.positive_class is not None:
            raise UsageError("data.positive_class is for two-class tasks; here an image may have several labels.")
        return labels
    if len(labels.classes) < 2:
        choices = tuple(f"To treat them otherwise: {remarks.choices(kind)}." for kind in remarks.unstated)
        return replace(labels, notes=(*labels.notes, *choices))
    if settings.positive_class is not None:
        labels = replace(labels, classes=order_classes(labels.classes, settings.positive_class))
    return labels
