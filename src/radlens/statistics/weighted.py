"""The metrics of :mod:`radlens.statistics.metrics` for many weightings of the same images at once.

A bootstrap resample is a weighting: each image counts as often as its patient was drawn. The order of the scores
is the same in all of them, so one sort and a few matrix products serve every resample.
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
)

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
        found = {name: np.mean([block[name] for block in each], axis=0) for name in averaged}
        for index, block in enumerate(each):
            found.update({f"{index}/{name}": block[name] for name in averaged})
            if task == "multilabel":
                found[f"{index}/gaps"] = block["gaps"]
        for name in ("gaps", "masses"):
            found[name] = np.concatenate([block[name] / len(each) for block in each], axis=1)
        return found | whole(weights)

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
            "accuracy": _divide(tp + tn, total),
            "sensitivity": _divide(tp, tp + fn),
            "specificity": _divide(tn, tn + fp),
            "precision": _divide(tp, tp + fp),
            "f1": _divide(2 * tp, 2 * tp + fp + fn),
            "auroc": auroc,
            "average_precision": average_precision,
            "brier": _divide(squared, total),
            "ece": np.abs(parts).sum(axis=1),
            "gaps": parts,
            "masses": (weights @ bins) / total[:, None],
        }

    return evaluate


def ranking_statistic(truth: Ints, score: Floats) -> Callable[[Floats], tuple[Floats, Floats]]:
    """AUROC and average precision as a function of the weights; equal scores count half and share one threshold."""
    order = np.argsort(-score, kind="stable")
    starts = np.flatnonzero(np.diff(score[order], prepend=np.inf))
    sorted_truth = truth[order]

    def evaluate(weights: Floats) -> tuple[Floats, Floats]:
        drawn = weights[:, order]
        everyone = np.add.reduceat(drawn, starts, axis=1)
        positive = np.add.reduceat(drawn * sorted_truth, starts, axis=1)
        negative = everyone - positive
        hits, called = np.cumsum(positive, axis=1), np.cumsum(everyone, axis=1)
        positives, negatives = hits[:, -1], called[:, -1] - hits[:, -1]
        concordant = (negative * (hits - positive / 2)).sum(axis=1)
        precision = np.divide(hits, called, out=np.zeros_like(hits), where=called > 0)
        area = (positive * precision).sum(axis=1)
        return _divide(concordant, positives * negatives), _divide(area, positives)

    return evaluate


def _multiclass_statistic(answers: Answers) -> Statistic:
    """Accuracy, Brier score and top-label calibration error: those that are no macro averages."""
    chosen = np.take_along_axis(answers.probabilities, answers.predicted[:, None], axis=1)[:, 0]
    right = (answers.predicted == answers.truth).astype(np.int64)
    terms = np.stack([right, squared_errors(answers)], axis=1)
    gaps, bins = _gap_columns(chosen, right)

    def evaluate(weights: Floats) -> Statistics:
        total = weights.sum(axis=1)
        hits, squared = (weights @ terms).T
        parts = (weights @ gaps) / total[:, None]
        return {
            "accuracy": _divide(hits, total),
            "brier": _divide(squared, total),
            "ece": np.abs(parts).sum(axis=1),
            "gaps": parts,
            "masses": (weights @ bins) / total[:, None],
        }

    return evaluate


def _exact_match_statistic(answers: Answers) -> Statistic:
    exact = (answers.predicted == answers.truth).all(axis=1).astype(np.float64)
    return lambda weights: {"exact_match": _divide(weights @ exact, weights.sum(axis=1))}


def _gap_columns(score: Floats, outcome: Ints) -> tuple[Floats, Floats]:
    """Score minus outcome, and 1, in the column of the score's bin, shape (images, bins); the bins of all images."""
    ones = np.eye(ECE_BINS)[equal_mass_bins(score)]
    return ones * (score - outcome)[:, None], ones


def _divide(part: Floats, whole: Floats) -> Floats:
    return np.divide(part, whole, out=np.full_like(part, np.nan), where=whole > 0)
