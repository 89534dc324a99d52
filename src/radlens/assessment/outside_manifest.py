"""What a table of another program's predictions says besides the probabilities: images, labels, operating point."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from radlens.assessment.outside_predictions import OutsidePredictions, number_of
from radlens.assessment.predictions import ANSWER, UNFAMILIARITY
from radlens.base.errors import DataError, did_you_mean
from radlens.config import DataSettings
from radlens.dataset.manifest import REQUIRED_COLUMNS, DatasetInfo, Manifest, order_classes
from radlens.dataset.sources.csv_table import filled, labels_of, name_rows, splits_of
from radlens.dataset.sources.identifying import is_identifying_name
from radlens.decision import Task

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
    labels, classes, task = _labels(outside, data)
    table = pd.DataFrame({"path": outside.paths, "label": labels})
    patients = outside.column(data.csv.patient or "patient")
    table["patient"] = table["path"] if patients is None else filled(patients, "patient", outside.file)
    splits = outside.column(data.csv.split or "split")
    table["split"] = "" if splits is None else splits_of(splits, outside.file)
    used = {str(series.name) for series in (outside.paths, patients, splits) if series is not None}
    used |= {*outside.columns.values(), outside.score, *data.csv.label}
    for name in outside.cells.columns:
        if name not in used and name.casefold() not in _ANSWERS and not is_identifying_name(name):
            table[f"source_{name}" if name in REQUIRED_COLUMNS else name] = outside.cells[name]
    info = DatasetInfo(
        name=outside.file.stem, task=task, classes=classes, root=str(outside.file.parent), source=str(outside.file)
    )
    return Manifest(table, info)


def _labels(outside: OutsidePredictions, data: DataSettings) -> tuple[pd.Series, tuple[str, ...], Task]:
    """The label of each row, the classes and the task; classes are spelled as the probability columns have them."""
    labels, classes, task = labels_of(outside.cells, data, outside.file)
    if outside.score or task == "multilabel":
        return labels, classes, task
    spelling = {name.casefold(): name for name in outside.columns}
    alone = next(iter(outside.columns)) if len(outside.columns) == 1 else None
    if alone and len(classes) == 2 and alone.casefold() in {name.casefold() for name in classes}:
        spelling |= {name.casefold(): name for name in classes if name.casefold() != alone.casefold()}
    invalid = ~labels.str.casefold().isin(spelling.keys())
    if invalid.any():
        first = str(labels[invalid].iloc[0])
        raise DataError(
            f"{outside.file}: the label {first!r} of {name_rows(invalid, labels.index)} ({int(invalid.sum())} in all) "
            f"has no probability column. {did_you_mean(first, spelling.values())}"
        )
    ordered = order_classes(list(spelling.values()), data.positive_class or alone)
    return labels.str.casefold().map(spelling), ordered, "binary" if len(ordered) == 2 else "multiclass"


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
    answered = outside.column("predicted")
    if answered is None:
        return None
    called = _called(outside, answered, info)
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


def _called(outside: OutsidePredictions, answered: pd.Series, info: DatasetInfo) -> npt.NDArray[np.bool_]:
    """Which labels each row was answered to have, shape (rows, labels); for binary one, the positive class."""
    known = {name.casefold(): number for number, name in enumerate(info.classes)}
    parts = [[part.strip().casefold() for part in cell.split("|") if part.strip()] for cell in answered]
    invalid = pd.Series([not known.keys() >= set(names) for names in parts], index=answered.index)
    if info.task == "binary":
        invalid |= pd.Series([len(names) != 1 for names in parts], index=answered.index)
    if invalid.any():
        raise DataError(
            f"{outside.file}: the predicted class of {name_rows(invalid, answered.index)} is "
            f"{answered[invalid].iloc[0]!r}. {did_you_mean(answered[invalid].iloc[0], info.classes)}"
        )
    held: npt.NDArray[np.bool_] = np.zeros((len(parts), len(info.classes)), dtype=bool)
    for row, names in enumerate(parts):
        held[row, [known[name] for name in names]] = True
    return held if info.task == "multilabel" else held[:, 1:]


def agree_on_labels(outside: OutsidePredictions, labels: Sequence[str], column: str) -> None:
    """See that the labels the file gives, if any, are those of the source.

    Args:
        outside: the predictions.
        labels: what the source says of each row's image.
        column: where the file may say it.

    Raises:
        DataError: they differ; the message names the rows.
    """
    given = outside.column(column)
    if given is None:
        return
    true = pd.Series(list(labels), index=given.index)
    differs = (given != "") & (given.str.casefold() != true.str.casefold())
    if differs.any():
        path, said, known = (series[differs].iloc[0] for series in (outside.paths, given, true))
        raise DataError(
            f"{outside.file}: the label of {name_rows(differs, given.index)} ({int(differs.sum())} in all) is not that "
            f"of the source: {said!r} for {path!r}, which the source calls {known!r}. Correct the wrong one, or "
            "take the column out."
        )
