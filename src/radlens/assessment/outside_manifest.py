"""What a table of another program's predictions says besides the probabilities: images, labels, operating point."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from radlens.assessment.outside_predictions import PREDICTED, OutsidePredictions, number_of
from radlens.assessment.predictions import ANSWER, UNFAMILIARITY
from radlens.base.errors import DataError, did_you_mean
from radlens.config import MISSING_WORDS, DataSettings
from radlens.dataset.manifest import REQUIRED_COLUMNS, DatasetInfo, Manifest, order_classes, task_of
from radlens.dataset.sources.identifying import is_identifying_name
from radlens.dataset.sources.label_cells import labels_of
from radlens.dataset.sources.labels import Labels
from radlens.dataset.sources.marks import plain, same_answer
from radlens.dataset.sources.table_cells import filled, name_rows, splits_of

# What a program answered says nothing of the image.
_ANSWERS = frozenset({"predicted", "threshold", ANSWER, UNFAMILIARITY})


def own_manifest(outside: OutsidePredictions, data: DataSettings) -> Manifest:
    """The images as the table itself lists them: with label, and where it has them patient, split and more.

    Raises:
        DataError: there is no label column, or a label has no probability column.
    """
    missing = [name for name in data.csv.label if name not in outside.cells.columns]
    if missing:
        raise DataError(
            f"{outside.file} has no column {missing[0]!r} with the true class of each image. Name it (--set "
            "data.csv.label=COLUMN), or give the labelled images as SOURCE: radlens evaluate FILE SOURCE --out DIR"
        )
    labels = _labels(outside, data)
    if labels.unknown is not None:
        labels = replace(labels, cells=labels.cells[labels.unknown == ""])
    table = pd.DataFrame({"path": outside.paths.loc[labels.cells.index], "label": labels.cells})
    patients = outside.column(data.csv.patient or "patient")
    table["patient"] = table["path"] if patients is None else filled(patients.loc[table.index], "patient", outside.file)
    splits = outside.column(data.csv.split or "split")
    table["split"] = "" if splits is None else splits_of(splits, outside.file)
    used = {str(series.name) for series in (outside.paths, patients, splits) if series is not None}
    used |= {*outside.columns.values(), outside.score, *data.csv.label}
    for name in outside.cells.columns:
        if name not in used and name.casefold() not in _ANSWERS and not is_identifying_name(name):
            table[f"source_{name}" if name in REQUIRED_COLUMNS else name] = outside.cells[name]
    info = DatasetInfo(
        name=outside.file.stem,
        task=labels.task,
        classes=labels.classes,
        root=str(outside.file.parent),
        source=str(outside.file),
        notes=labels.notes,
    )
    return Manifest(table, info)


def _labels(outside: OutsidePredictions, data: DataSettings) -> Labels:
    """The label of each row that has one; classes are spelled as the probability columns have them."""
    labels = labels_of(outside.cells, data, outside.file)
    spelling = {plain(name).casefold(): name for name in outside.classes}
    if labels.task == "multilabel":
        present = {name.casefold() for name in labels.classes}
        absent = [name for folded, name in spelling.items() if folded not in present]
        return replace(labels, classes=(*labels.classes, *absent))
    folded = labels.cells.map(plain).str.casefold()
    invalid = ~folded.isin(spelling.keys())
    if len(spelling) > 1 and outside.columns and invalid.any():
        first = str(labels.cells[invalid].iloc[0])
        raise DataError(
            f"{outside.file}: the label {first!r} of {name_rows(invalid, invalid.index)} ({int(invalid.sum())} in all) "
            f"has no probability column. {did_you_mean(first, spelling.values())}"
        )
    cells = folded.map(spelling).where(~invalid, labels.cells)
    names = list(dict.fromkeys(cells))
    alone = next(iter(outside.columns)) if len(outside.columns) == 1 else None
    positive = data.positive_class or (alone if alone in names else None)
    ordered = order_classes(names, positive if len(names) == 2 else None)
    return replace(labels, cells=cells, classes=ordered, task=task_of(ordered))


def stated_threshold(outside: OutsidePredictions, probabilities: pd.DataFrame, info: DatasetInfo) -> float | None:
    """The operating point that the file states: in a column ``threshold``, else as its ``predicted`` column implies.

    What was called positive lies above it and the rest below; the middle between the two is taken. None where the file
    says nothing, and for multiclass, which has no threshold.

    Raises:
        DataError: the file states several, or its answers do not follow from a single threshold; the message
            names a row.
    """
    if info.task == "multiclass":
        return None
    stated = outside.column("threshold")
    if stated is not None and (stated != "").any():
        values = stated[stated != ""].map(number_of)
        wrong = ~((values > 0) & (values < 1)) | (values != values.iloc[0])
        if wrong.any():
            raise DataError(
                f"{outside.file}: the threshold is {stated[values.index][wrong].iloc[0]!r} in "
                f"{name_rows(wrong, values.index)}; expected one and the same number between 0 and 1 in every row."
            )
        return float(values.iloc[0])
    if outside.column(PREDICTED) is None:
        return None
    called = outside.called(info)[:, 0 if info.task == "multilabel" else 1 :]
    scores = probabilities.to_numpy() if info.task == "multilabel" else probabilities.to_numpy()[:, 1:]
    below, above = scores[~called].max(initial=0.0), scores[called].min(initial=1.0)
    if below >= above:
        clash = pd.Series((called & (scores <= below)).any(axis=1), index=probabilities.index)
        raise DataError(
            f"{outside.file}: the predicted column does not follow from a single threshold: "
            f"{name_rows(clash, clash.index)} answer positive at {above:.4g}, others negative at {below:.4g}. "
            "State the operating point (--set evaluate.threshold=NUMBER), or take the column out."
        )
    middle = (below + above) / 2
    return float(np.clip(middle if middle > below else above, 1e-9, 1 - 1e-9))


def agree_on_labels(
    outside: OutsidePredictions, labels: Sequence[str], column: str, rows: pd.Index | None = None
) -> None:
    """See that the labels the file gives, if any, are those of the source.

    Args:
        outside: the predictions.
        labels: what the source says of each row's image.
        column: where the file may say it.
        rows: the numbers of these rows; None: all.

    Raises:
        DataError: they differ; the message names the rows.
    """
    given = outside.column(column)
    if given is None:
        return
    given = given if rows is None else given.loc[rows]
    true = pd.Series(list(labels), index=given.index)
    says = ~given.str.casefold().isin(["", *MISSING_WORDS])
    differs = says & pd.Series([not same_answer(*pair) for pair in zip(given, true, strict=True)], index=given.index)
    if differs.any():
        path, said, known = (series.loc[given.index][differs].iloc[0] for series in (outside.paths, given, true))
        raise DataError(
            f"{outside.file}: the label of {name_rows(differs, given.index)} ({int(differs.sum())} in all) is not that "
            f"of the source: {said!r} for {path!r}, which the source calls {known!r}. Correct the wrong one, or "
            "take the column out."
        )
