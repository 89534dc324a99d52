"""The metrics of :mod:`radlens.statistics.metrics` for many weightings of the same images at once.

A bootstrap resample is a weighting: each image counts as often as its patient was drawn. One sort and a few matrix
products serve every resample.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from radlens.decision import Task
from radlens.statistics.metrics import (
    ECE_BINS,
    METRICS,
    ONE_VS_REST,
    Answers,
    Floats,
    Ints,
    equal_mass_bins,
    squared_errors,
    top_label,
)
from radlens.statistics.ranking import ranking_statistic, ratio

Statistics = dict[str, Floats]
Statistic = Callable[[Floats], Statistics]


def statistic(answers: Answers, task: Task) -> Statistic:
    """A function from weights, shape (resamples, images), to each metric, shape (resamples,); NaN where undefined.

    Metrics of one class are named ``class/metric``, with the class's index. ``gaps``, shape (resamples, bins), are the
    signed parts whose absolute values add up to the calibration error; ``masses`` are the bins' shares of the images.
    """
    if task == "binary":
        return binary_statistic(answers)
    parts = [binary_statistic(answers.one_vs_rest(index)) for index in range(len(answers.classes))]
    whole = _multiclass_statistic(answers) if task == "multiclass" else _exact_match_statistic(answers)
    averaged = ONE_VS_REST if task == "multiclass" else METRICS

    def evaluate(weights: Floats) -> Statistics:
        each = [part(weights) for part in parts]
        values = {name: np.mean([block[name] for block in each], axis=0) for name in averaged}
        for index, block in enumerate(each):
            values.update({f"{index}/{name}": block[name] for name in averaged})
            if task == "multilabel":
                values[f"{index}/gaps"] = block["gaps"]
        for name in ("gaps", "masses"):
            values[name] = np.concatenate([block[name] / len(each) for block in each], axis=1)
        return values | whole(weights)

    return evaluate


def binary_statistic(answers: Answers) -> Statistic:
    """The nine metrics of a binary task as a function of the weights."""
    truth, called, score = answers.truth, answers.predicted, answers.probabilities[:, 1]
    terms = np.stack([truth * called, (1 - truth) * called, truth * (1 - called), (score - truth) ** 2], axis=1)
    gaps, bins = _gap_columns(score, truth)
    ranks = ranking_statistic(truth, score)

    def evaluate(weights: Floats) -> Statistics:
        total = weights.sum(axis=1)
        tp, fp, fn, squared = (weights @ terms).T
        tn = total - tp - fp - fn
        parts = (weights @ gaps) / total[:, None]
        auroc, average_precision = ranks(weights)
        return {
            "accuracy": ratio(tp + tn, total),
            "sensitivity": ratio(tp, tp + fn),
            "specificity": ratio(tn, tn + fp),
            "precision": ratio(tp, tp + fp),
            "f1": ratio(2 * tp, 2 * tp + fp + fn),
            "auroc": auroc,
            "average_precision": average_precision,
            "brier": ratio(squared, total),
            "ece": np.abs(parts).sum(axis=1),
            "gaps": parts,
            "masses": (weights @ bins) / total[:, None],
        }

    return evaluate


def _multiclass_statistic(answers: Answers) -> Statistic:
    """Accuracy, Brier score and top-label calibration error: those that are no macro averages."""
    score, right = top_label(answers)
    terms = np.stack([right, squared_errors(answers)], axis=1)
    gaps, bins = _gap_columns(score, right)

    def evaluate(weights: Floats) -> Statistics:
        total = weights.sum(axis=1)
        hits, squared = (weights @ terms).T
        parts = (weights @ gaps) / total[:, None]
        return {
            "accuracy": ratio(hits, total),
            "brier": ratio(squared, total),
            "ece": np.abs(parts).sum(axis=1),
            "gaps": parts,
            "masses": (weights @ bins) / total[:, None],
        }

    return evaluate


def _exact_match_statistic(answers: Answers) -> Statistic:
    exact = (answers.predicted == answers.truth).all(axis=1).astype(np.float64)
    return lambda weights: {"exact_match": ratio(weights @ exact, weights.sum(axis=1))}


def _gap_columns(score: Floats, outcome: Ints) -> tuple[Floats, Floats]:
    """Score minus outcome, and 1, in the column of the score's bin, shape (images, bins); the bins of all images."""
    ones = np.eye(ECE_BINS)[equal_mass_bins(score)]
    return ones * (score - outcome)[:, None], ones
