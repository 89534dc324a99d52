"""Images whose label is perhaps wrong, by confident learning on answers of a model that was not trained on them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from radlens.assessment.predictions import check_predictions, probabilities_of, targets_of
from radlens.base.optional import require_installed
from radlens.dataset.manifest import DatasetInfo

# Imported late, since it takes seconds; missed now, not after the training.
require_installed("cleanlab")

SUSPECT_COLUMNS = ("path", "patient", "split", "given", "suggested", "self_confidence")
# Splits that no weight of the model was fitted to.
HELD_OUT = ("val", "test")

# Confident learning counts errors of each class, for which it must have seen the class.
_FEWEST = 5


def find_label_suspects(predictions: pd.DataFrame, info: DatasetInfo, splits: Sequence[str] = HELD_OUT) -> pd.DataFrame:
    """Images whose given label a model contradicts more surely than it usually answers that label.

    Confident learning (Northcutt et al. 2021, doi:10.1613/jair.1.12125; the cleanlab package): an image counts as of
    a class when its probability reaches the mean of those that bear this label; from how often this differs from the
    label follows how many labels of each class are wrong, and the least likely ones are named. A suspect is for a
    person to look at: it may also be a mistake of the model.

    Args:
        predictions: as :func:`radlens.assessment.predictions.predictions_table` makes them.
        info: of the data set.
        splits: where to look; the model must not have been trained on them, or it repeats their errors.

    Returns:
        One row a suspect, the most suspicious first: ``path, patient, split, given`` (its label), ``suggested`` (the
        label that the model finds likelier; for multilabel the given labels with the doubtful ones changed) and
        ``self_confidence`` (the probability of the given label, 0 to 1; for multilabel of the most doubtful one).

    Raises:
        DataError: the predictions are not usable.
    """
    table = check_predictions(predictions, info)
    table = table[table["split"].isin(list(splits))].reset_index(drop=True)
    if table.empty:
        return pd.DataFrame(columns=list(SUSPECT_COLUMNS))
    targets, probabilities = targets_of(table, info), probabilities_of(table, info)
    if info.task == "multilabel":
        suspected, suggested, confidence = _several_labels(targets, probabilities, info)
    else:
        suspected, suggested, confidence = _one_label(targets, probabilities, info)
    suspects = table[["path", "patient", "split"]].assign(
        given=table["label"], suggested=suggested, self_confidence=confidence
    )
    suspects = suspects[suspected].sort_values(["self_confidence", "path"], kind="stable")
    return suspects[list(SUSPECT_COLUMNS)].reset_index(drop=True)


Found = tuple[npt.NDArray[np.bool_], list[str], npt.NDArray[np.float64]]


def _one_label(targets: npt.NDArray[np.int64], probabilities: npt.NDArray[np.float64], info: DatasetInfo) -> Found:
    rows = np.arange(len(targets))
    others = probabilities.copy()
    others[rows, targets] = -1
    suggested = [info.classes[index] for index in others.argmax(axis=1)]
    return _issues(targets, probabilities), suggested, probabilities[rows, targets]


def _several_labels(targets: npt.NDArray[np.int64], probabilities: npt.NDArray[np.float64], info: DatasetInfo) -> Found:
    """Each label is a question of its own; an image is a suspect when any of them is answered otherwise."""
    confidence = np.where(targets == 1, probabilities, 1 - probabilities)
    doubtful = np.stack(
        [
            _issues(truth, np.stack([1 - probability, probability], axis=1))
            for truth, probability in zip(targets.T, probabilities.T, strict=True)
        ],
        axis=1,
    )
    changed = np.where(doubtful, 1 - targets, targets)
    suggested = ["|".join(name for name, held in zip(info.classes, row, strict=True) if held) for row in changed]
    least = np.where(doubtful, confidence, 1.0).min(axis=1)
    return np.asarray(doubtful.any(axis=1)), suggested, np.asarray(least)


def _issues(targets: npt.NDArray[np.int64], probabilities: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    from cleanlab.filter import find_label_issues

    counts = np.bincount(targets, minlength=probabilities.shape[1])
    seen = np.flatnonzero(counts >= _FEWEST)
    issues = np.zeros(len(targets), dtype=bool)
    if len(seen) < 2:
        return issues
    # Classes with hardly any image are left out of the count, and their images out of the search.
    rows = np.isin(targets, seen)
    part = probabilities[rows][:, seen]
    part = part / np.maximum(part.sum(axis=1, keepdims=True), np.finfo(np.float64).tiny)
    issues[rows] = find_label_issues(np.searchsorted(seen, targets[rows]), part, n_jobs=1)
    return issues
