"""Whether acting on the model does more good than acting on everyone or on no one (Vickers and Elkin 2006)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from radlens.runtime.metrics_sections import DecisionCurve
from radlens.statistics import interval_methods as methods
from radlens.statistics.intervals import quantile
from radlens.statistics.metrics import Answers, Floats

STEPS = np.round(np.arange(0.01, 1, 0.01), 2)


def decision_curve(answers: Answers, patients: npt.ArrayLike, confidence: float) -> DecisionCurve:
    """Net benefit by the probability at which one would act (doi:10.1177/0272989X06295361).

    Net benefit is the share of true positives less the share of false positives times the odds of the probability: who
    acts from 10 % on takes one missed case for as bad as nine needless actions. Acting on no one has 0.

    Args:
        answers: of a binary task; the probabilities are taken at their word.
        patients: the patient of each image.
        confidence: of the intervals.

    Returns:
        Columns, each a list with one number a step: ``threshold``, ``net_benefit`` with ``low`` and ``high``,
        ``treat_all``, and ``gain``, what the model has over the better of all and none, with ``gain_low`` and
        ``gain_high``; and ``method``.
    """
    score, truth = answers.probabilities[:, 1], answers.truth
    called = (score[:, None] >= STEPS).astype(np.float64)
    # What each image adds to the net benefit of acting on everyone, and of the model.
    everyone = np.where(truth[:, None] == 1, 1.0, -STEPS / (1 - STEPS))
    model, treat_all = called * everyone, everyone.mean(axis=0)
    gain = model - np.where(treat_all > 0, everyone, 0)
    reaches = [_reach(worth, patients, confidence) for worth in (model, gain)]
    columns = {
        "threshold": STEPS,
        "net_benefit": model.mean(axis=0),
        "low": model.mean(axis=0) - reaches[0],
        "high": model.mean(axis=0) + reaches[0],
        "treat_all": treat_all,
        "gain": gain.mean(axis=0),
        "gain_low": gain.mean(axis=0) - reaches[1],
        "gain_high": gain.mean(axis=0) + reaches[1],
    }
    rounded = {name: tuple(round(float(value), 6) for value in column) for name, column in columns.items()}
    return DecisionCurve(**rounded, method=methods.SANDWICH)


def _reach(worth: Floats, patients: npt.ArrayLike, confidence: float) -> Floats:
    """How far the limits of each column's mean lie from it, by the spread of the patients' totals."""
    names, membership = np.unique(np.asarray(patients), return_inverse=True)
    excess = worth - worth.mean(axis=0)
    totals = np.stack([np.bincount(membership, weights=column) for column in excess.T], axis=1)
    variance = (totals**2).sum(axis=0) * len(names) / max(len(names) - 1, 1) / len(worth) ** 2
    return np.asarray(quantile(confidence, len(names)) * np.sqrt(variance))


def better_range(thresholds: Sequence[float], gain_low: Sequence[float]) -> tuple[float, float] | None:
    """The longest run of thresholds at which the model is better than both, beyond doubt; None where there is none.

    Args:
        thresholds: in rising order.
        gain_low: for each the lower limit of what the model has over the better of both.

    >>> better_range([0.1, 0.2, 0.3, 0.4], [0.0, 0.01, 0.02, -0.1])
    (0.2, 0.3)
    """
    best: list[float] = []
    run: list[float] = []
    for threshold, low in zip(thresholds, gain_low, strict=True):
        run = [*run, threshold] if low > 0 else []
        best = max(best, run, key=len)
    return (best[0], best[-1]) if best else None
