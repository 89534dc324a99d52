"""The predictions table: one row an image, with its true label, predicted label and a probability for each class."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from radlens.base.errors import DataError
from radlens.base.files import replacing
from radlens.dataset.manifest import SPLITS, DatasetInfo, Manifest, number_labels, split_labels
from radlens.decision import REFER, REFUSE, commit, decide, name_answers, prediction_sets

FIXED_COLUMNS = ("path", "patient", "split", "label", "predicted")
# What a model that may abstain says besides that.
ANSWER, UNFAMILIARITY = "answer", "unfamiliarity"
PREFIX = "probability_"

# Probabilities of exclusive classes add up to 1; half-precision arithmetic is that far off.
SUM_TOLERANCE = 5e-3


def probability_columns(info: DatasetInfo) -> list[str]:
    """The names of the probability columns, in class order."""
    return [PREFIX + name for name in info.classes]


def predictions_table(manifest: Manifest, probabilities: npt.ArrayLike, threshold: float = 0.5) -> pd.DataFrame:
    """Put what a model answered next to what is true.

    Args:
        manifest: the images that were answered, in the order of the probabilities.
        probabilities: shape (images, classes), in [0, 1]; for binary and multiclass each row adds up to 1, for
            multilabel the columns are independent.
        threshold: the operating point, in (0, 1); see :func:`radlens.decision.decide`.

    Returns:
        Columns ``path, patient, split, label, predicted`` and one ``probability_<class>`` for each class.

    Raises:
        DataError: a probability is missing or outside [0, 1], or the rows do not add up to 1.
        ValueError: the shape does not fit the manifest.
    """
    info = manifest.info
    scores = np.asarray(probabilities, dtype=np.float64)
    expected = (len(manifest), len(info.classes))
    if scores.shape != expected:
        raise ValueError(f"probabilities must have shape {expected} (images, classes), got {scores.shape}")
    table = manifest.table[["path", "patient", "split", "label"]].copy()
    table["predicted"] = _predicted(scores, info, threshold)
    for column, values in zip(probability_columns(info), scores.T, strict=True):
        table[column] = values.astype(np.float64)
    return check_predictions(table, info)


def with_threshold(predictions: pd.DataFrame, info: DatasetInfo, threshold: float) -> pd.DataFrame:
    """The same probabilities, decided again at another operating point."""
    return predictions.assign(predicted=_predicted(probabilities_of(predictions, info), info, threshold))


def with_answers(
    predictions: pd.DataFrame,
    info: DatasetInfo,
    least: Sequence[float] | None,
    unfamiliarity: npt.NDArray[np.float64] | None,
) -> pd.DataFrame:
    """Add the answers that the model stands by (:func:`radlens.decision.commit`), and how unfamiliar the images are.

    Args:
        predictions: a predictions table.
        info: the task and the classes.
        least: the conformal limits that the model carries, one a class; None: it carries none.
        unfamiliarity: of each image, as a share of the distance at which it is refused; None: the model cannot tell.

    Returns:
        The table with ``answer``, and with ``unfamiliarity`` where it is known; as it was where the model does not
        abstain.
    """
    if least is None and unfamiliarity is None:
        return predictions
    sets = None if least is None else prediction_sets(probabilities_of(predictions, info), least)
    answers = commit(list(predictions["predicted"]), info.classes, sets, unfamiliarity)
    table = predictions.assign(**{ANSWER: answers})
    return table if unfamiliarity is None else table.assign(**{UNFAMILIARITY: unfamiliarity})


def check_predictions(table: pd.DataFrame, info: DatasetInfo) -> pd.DataFrame:
    """Validate a predictions table and bring its columns in order.

    Raises:
        DataError: a column is missing, a path appears twice, a split or class name is unknown, or a probability is
            no number in [0, 1]. The message names the first image at fault.
    """
    columns = [*FIXED_COLUMNS, *probability_columns(info)]
    missing = [name for name in columns if name not in table.columns]
    if missing:
        raise DataError(
            f"The predictions lack the column(s) {', '.join(missing)}. Expected: {', '.join(columns)}. "
            "Were they made by a model with other classes?"
        )
    if table.empty:
        raise DataError("The predictions list no image.")
    extra = [name for name in (ANSWER, UNFAMILIARITY) if name in table.columns]
    table = table[[*columns, *extra]].reset_index(drop=True)
    for name in FIXED_COLUMNS:
        table[name] = table[name].astype(str)
    repeated = table["path"].duplicated()
    if repeated.any():
        raise DataError(
            f"{repeated.sum()} path(s) were predicted more than once, first {table['path'][repeated].iloc[0]}."
        )
    _fail_at(table, ~table["split"].isin(SPLITS), "split", f"expected {', '.join(SPLITS)}")
    for column in ("label", "predicted"):
        _fail_at(table, ~_known(table[column], info), column, f"expected {', '.join(info.classes)}")
    _check_probabilities(table, info)
    _check_abstention(table, info)
    return table


def targets_of(table: pd.DataFrame, info: DatasetInfo, column: str = "label") -> npt.NDArray[np.int64]:
    """Names as numbers: class indices, shape (images,); for multilabel 0 or 1, shape (images, classes)."""
    return number_labels(table[column], info)


def probabilities_of(table: pd.DataFrame, info: DatasetInfo) -> npt.NDArray[np.float64]:
    """The probabilities, shape (images, classes)."""
    return table[probability_columns(info)].to_numpy(dtype=np.float64)


def write_predictions(table: pd.DataFrame, path: Path) -> None:
    """Write ``predictions.csv``; every probability reads back as the same number."""
    with replacing(path) as temporary:
        table.to_csv(temporary, index=False)


def read_predictions(path: Path, info: DatasetInfo) -> pd.DataFrame:
    """Read what :func:`write_predictions` wrote.

    Raises:
        DataError: the file is missing, is not a CSV, or fails :func:`check_predictions`.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except FileNotFoundError:
        raise DataError(f"There is no predictions file {path}. Evaluate the model first.") from None
    except (OSError, ValueError) as error:
        raise DataError(f"The predictions file {path} cannot be read as CSV: {error}") from error
    try:
        return check_predictions(table, info)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def _predicted(scores: npt.NDArray[np.float64], info: DatasetInfo, threshold: float) -> list[str]:
    return name_answers(decide(scores, info.task, threshold), info.task, info.classes)


def _known(names: pd.Series, info: DatasetInfo) -> pd.Series:
    known = set(info.classes)
    if info.task == "multilabel":
        return names.map(lambda cell: known.issuperset(split_labels(cell))).astype(bool)
    return names.isin(known)


def _check_probabilities(table: pd.DataFrame, info: DatasetInfo) -> None:
    columns = probability_columns(info)
    for column in columns:
        values = table[column]
        if not pd.api.types.is_numeric_dtype(values):
            values = values.map(_number)
        outside = ~values.between(0, 1)
        _fail_at(
            table, outside, column, "expected a number in [0, 1]; a model that gives none has diverged in training"
        )
        table[column] = values.astype(np.float64)
    if info.task != "multilabel":
        total = table[columns].sum(axis=1)
        _fail_at(
            table.assign(sum=total),
            (total - 1).abs() > SUM_TOLERANCE,
            "sum",
            "expected probabilities that add up to 1",
        )


def _check_abstention(table: pd.DataFrame, info: DatasetInfo) -> None:
    if ANSWER in table.columns:
        table[ANSWER] = table[ANSWER].astype(str)
        known = _known(table[ANSWER], info) | table[ANSWER].isin((REFER, REFUSE))
        _fail_at(table, ~known, ANSWER, f"expected {', '.join((*info.classes, REFER, REFUSE))}")
    if UNFAMILIARITY in table.columns:
        values = table[UNFAMILIARITY].map(_number).astype(np.float64)
        _fail_at(table, ~values.between(0, np.inf, inclusive="left"), UNFAMILIARITY, "expected a number from 0 up")
        table[UNFAMILIARITY] = values


def _number(value: object) -> float:
    """The exact number that a text stands for; NaN where it is none. (pandas rounds the last digit of some.)"""
    try:
        return float(str(value))
    except ValueError:
        return math.nan


def _fail_at(table: pd.DataFrame, wrong: pd.Series, column: str, expected: str) -> None:
    if wrong.any():
        first = table[wrong].iloc[0]
        raise DataError(
            f"{wrong.sum()} prediction(s) have an unusable {column}, first {first[column]!r} for {first['path']}: "
            f"{expected}."
        )
