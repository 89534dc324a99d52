"""Whether acting on the model does more good than acting on everyone or on no one (Vickers and Elkin 2006)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from radlens.assessment import interval_methods as methods
from radlens.assessment.intervals import bootstrap, percentile_limits
from radlens.assessment.metrics import Answers, Floats
from radlens.assessment.weighted import Statistics

Block = dict[str, Any]

STEPS = np.round(np.arange(0.01, 1, 0.01), 2)


def decision_curve(
    answers: Answers, patients: npt.ArrayLike, resamples: int, confidence: float, rng: np.random.Generator
) -> Block:
    """Net benefit by the probability at which one would act (doi:10.1177/0272989X06295361).

    Net benefit is the share of true positives less the share of false positives times the odds of the probability: who
    acts from 10 % on takes one missed case for as bad as nine needless actions. Acting on no one has 0.

    Args:
        answers: of a binary task; the probabilities are taken at their word.
        patients: the patient of each image.
        resamples: of the bootstrap over patients.
        confidence: of the intervals.
        rng: where the resamples come from.

    Returns:
        Columns, each a list with one number a step: ``threshold``, ``net_benefit`` with ``low`` and ``high``,
        ``treat_all``, and ``gain``, what the model has over the better of all and none, with ``gain_low`` and
        ``gain_high``; and ``method``.
    """
    score, truth = answers.probabilities[:, 1], answers.truth
    called = (score[:, None] >= STEPS).astype(np.float64)
    odds = STEPS / (1 - STEPS)
    # What each image adds to the net benefit of the model and of acting on everyone.
    everyone = np.where(truth[:, None] == 1, 1.0, -odds)
    terms = np.concatenate([called * everyone, everyone], axis=1)

    def benefits(weights: Floats) -> Statistics:
        return {"both": (weights @ terms) / weights.sum(axis=1, keepdims=True)}

    model, treat_all = np.split(terms.mean(axis=0), 2)
    drawn_model, drawn_all = np.split(bootstrap(benefits, patients, resamples, rng)["both"], 2, axis=1)
    best, drawn_best = np.maximum(treat_all, 0), np.where(treat_all > 0, drawn_all, 0)
    limits = [percentile_limits(column, confidence) for column in drawn_model.T]
    gains = [percentile_limits(column, confidence) for column in (drawn_model - drawn_best).T]
    columns = {
        "threshold": STEPS,
        "net_benefit": model,
        "low": np.minimum([low for low, _ in limits], model),
        "high": np.maximum([high for _, high in limits], model),
        "treat_all": treat_all,
        "gain": model - best,
        "gain_low": [low for low, _ in gains],
        "gain_high": [high for _, high in gains],
    }
    lists = {name: [round(float(value), 6) for value in column] for name, column in columns.items()}
    return {**lists, "method": methods.PERCENTILE}


def better_range(curve: Mapping[str, Any]) -> tuple[float, float] | None:
    """The longest run of thresholds at which the model is better than both, beyond doubt; None where there is none.

    >>> better_range({"threshold": [0.1, 0.2, 0.3, 0.4], "gain_low": [0.0, 0.01, 0.02, -0.1]})
    (0.2, 0.3)
    """
    best: list[float] = []
    run: list[float] = []
    for threshold, low in zip(curve["threshold"], curve["gain_low"], strict=True):
        run = [*run, threshold] if low > 0 else []
        best = max(best, run, key=len)
    return (best[0], best[-1]) if best else None
