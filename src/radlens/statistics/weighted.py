"""The metrics of :mod:`radlens.statistics.metrics` for many weightings of the same images at once.

A bootstrap resample is a weighting: each image counts as often as its patient was drawn. One sort and a few matrix
products serve every resample.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

import numpy as np

from radlens.decision import Task
from radlens.statistics.metrics import (
    ECE_BINS,
    EVERY,
    METRICS,
    ONE_VS_REST,
    Answers,
    Floats,
    Ints,
    equal_mass_bins,
    squared_errors,
    top_label,
)
from radlens.statistics.ranking import concordance, ranking_statistic, ratio

Statistics = dict[str, Floats]
Statistic = Callable[[Floats], Statistics]


def statistic(answers: Answers, task: Task, names: Collection[str] = EVERY) -> Statistic:
    """A function from weights, shape (resamples, images), to each metric, shape (resamples,); NaN where undefined.

    Metrics of one class are named ``class/metric``, with the class's index. With ``ece`` come ``gaps``, shape
    (resamples, bins): the signed parts whose absolute values add up to the calibration error; and ``masses``: the bins'
    shares of the images.

    Args:
        answers: what the images were answered.
        task: binary, multiclass or multilabel.
        names: of the metrics wanted. The costly ones, ``average_precision`` and ``ece``, are left out where not named.
    """
    if task == "binary":
        return binary_statistic(answers, names)
    parts = [binary_statistic(answers.one_vs_rest(index), names) for index in range(len(answers.classes))]
    whole = _multiclass_statistic(answers, names) if task == "multiclass" else _exact_match_statistic(answers)

    def evaluate(weights: Floats) -> Statistics:
        each = [part(weights) for part in parts]
        averaged = [name for name in (ONE_VS_REST if task == "multiclass" else METRICS) if name in each[0]]
        values = {name: np.mean([block[name] for block in each], axis=0) for name in averaged}
        for index, block in enumerate(each):
            values.update({f"{index}/{name}": block[name] for name in averaged})
            if task == "multilabel" and "gaps" in block:
                values[f"{index}/gaps"] = block["gaps"]
        for name in ("gaps", "masses"):
            if name in each[0]:
                values[name] = np.concatenate([block[name] / len(each) for block in each], axis=1)
        return values | whole(weights)

    return evaluate


def binary_statistic(answers: Answers, names: Collection[str] = EVERY) -> Statistic:
    """The nine metrics of a binary task as a function of the weights; ``names`` as in :func:`statistic`."""
    truth, called, score = answers.truth, answers.predicted, answers.probabilities[:, 1]
    terms = np.stack([truth * called, (1 - truth) * called, truth * (1 - called), (score - truth) ** 2], axis=1)
    area, ranks = concordance(score, truth), ranking_statistic(truth, score)
    calibration = _calibration_statistic(score, truth) if "ece" in names else None

    def evaluate(weights: Floats) -> Statistics:
        total = weights.sum(axis=1)
        tp, fp, fn, squared = (weights @ terms).T
        tn = total - tp - fp - fn
        values = {
            "accuracy": ratio(tp + tn, total),
            "sensitivity": ratio(tp, tp + fn),
            "specificity": ratio(tn, tn + fp),
            "precision": ratio(tp, tp + fp),
            "f1": ratio(2 * tp, 2 * tp + fp + fn),
            "brier": ratio(squared, total),
        }
        if "average_precision" in names:
            values["auroc"], values["average_precision"] = ranks(weights)
        else:
            values["auroc"] = area(weights)
        return values | calibration(weights) if calibration else values

    return evaluate


def _multiclass_statistic(answers: Answers, names: Collection[str]) -> Statistic:
    """Accuracy, Brier score and top-label calibration error: those that are not macro averages."""
    score, right = top_label(answers)
    terms = np.stack([right, squared_errors(answers)], axis=1)
    calibration = _calibration_statistic(score, right) if "ece" in names else None

    def evaluate(weights: Floats) -> Statistics:
        total = weights.sum(axis=1)
        hits, squared = (weights @ terms).T
        values = {"accuracy": ratio(hits, total), "brier": ratio(squared, total)}
        return values | calibration(weights) if calibration else values

    return evaluate


def _calibration_statistic(score: Floats, outcome: Ints) -> Statistic:
    """The calibration error with its parts."""
    # Score minus outcome, and 1, in the column of the score's bin, shape (images, bins); the bins of all images.
    bins = np.eye(ECE_BINS)[equal_mass_bins(score)]
    gaps = bins * (score - outcome)[:, None]

    def evaluate(weights: Floats) -> Statistics:
        total = weights.sum(axis=1)[:, None]
        parts = (weights @ gaps) / total
        return {"ece": np.abs(parts).sum(axis=1), "gaps": parts, "masses": (weights @ bins) / total}

    return evaluate


def _exact_match_statistic(answers: Answers) -> Statistic:
    exact = (answers.predicted == answers.truth).all(axis=1).astype(np.float64)
    return lambda weights: {"exact_match": ratio(weights @ exact, weights.sum(axis=1))}
