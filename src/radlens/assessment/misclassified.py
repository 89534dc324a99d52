"""Which images were answered wrongly, the most telling ones first."""

from __future__ import annotations

import numpy as np
import pandas as pd

from radlens.assessment.predictions import PREFIX, probabilities_of, targets_of
from radlens.dataset.class_names import means_nothing_found
from radlens.dataset.manifest import DatasetInfo


def misclassified(predictions: pd.DataFrame, info: DatasetInfo, split: str | None = None) -> pd.DataFrame:
    """The wrong answers: missed findings (false negatives) first, and in each group the most confident first.

    Args:
        predictions: the predictions table.
        info: the task and the classes.
        split: only the rows of this split; None: all.

    Returns:
        The rows of ``predictions`` that are wrong, with three more columns. ``missed``: True for a finding that was
        called absent (for multiclass: an image of another class called the first class, if that one means "nothing
        found"). ``score``: probability of the positive class (binary), of the predicted class (multiclass) or of the
        label that was most wrong (multilabel). ``confidence``: the probability the model gave to its wrong answer.
    """
    table = predictions if split is None else predictions[predictions["split"] == split]
    if table.empty:
        return table.assign(missed=False, score=0.0, confidence=0.0)
    truth, predicted = targets_of(table, info), targets_of(table, info, "predicted")
    scores = probabilities_of(table, info)
    if info.task == "multilabel":
        wrong = truth != predicted
        doubt = np.where(wrong, np.where(truth == 1, 1 - scores, scores), 0)
        missed_only = np.where(wrong & (truth == 1), doubt, 0)
        missed = (wrong & (truth == 1)).any(axis=1)
        confidence = np.where(missed, missed_only.max(axis=1), doubt.max(axis=1))
        worst = np.where(missed, missed_only.argmax(axis=1), doubt.argmax(axis=1))
        score, any_wrong = scores[np.arange(len(table)), worst], wrong.any(axis=1)
    else:
        any_wrong = truth != predicted
        confidence = scores[np.arange(len(table)), predicted]
        score = scores[:, 1] if info.task == "binary" else confidence
        nothing_found = info.task == "binary" or means_nothing_found(info.classes[0])
        missed = any_wrong & (predicted == 0) if nothing_found else np.zeros(len(table), dtype=bool)
    errors: pd.DataFrame = table.assign(missed=missed, score=score, confidence=confidence)[any_wrong]
    return errors.sort_values(["missed", "confidence", "path"], ascending=[False, False, True], kind="stable")


def label_errors(row: pd.Series, info: DatasetInfo) -> tuple[list[tuple[str, float]], list[tuple[str, float]]]:
    """For one row of a multilabel predictions table: the labels missed and those raised falsely, with their scores."""
    truth, predicted = set(str(row["label"]).split("|")), set(str(row["predicted"]).split("|"))
    missed = [(name, float(row[PREFIX + name])) for name in info.classes if name in truth - predicted]
    raised = [(name, float(row[PREFIX + name])) for name in info.classes if name in predicted - truth]
    return missed, raised
