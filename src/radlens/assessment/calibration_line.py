"""Calibration slope and intercept: whether probabilities are too sure, and whether they are too high or too low."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq

from radlens.assessment.summary import limited, undefined
from radlens.runtime.metrics_sections import Metric
from radlens.statistics import interval_methods as methods
from radlens.statistics.intervals import quantile
from radlens.statistics.metrics import Floats, Ints


def calibration_line(score: Floats, truth: Ints, patients: npt.ArrayLike, confidence: float) -> dict[str, Metric]:
    """Slope and intercept of the truth's logistic regression on the logits (Cox 1958; Van Calster et al. 2019,
    doi:10.1186/s12916-019-1466-7), with intervals from patients' totals (Liang and Zeger 1986,
    doi:10.1093/biomet/73.1.13).

    Args:
        score: probabilities, shape (images,).
        truth: 0 or 1.
        patients: the patient of each image.
        confidence: of the intervals.

    Returns:
        ``slope``: 1 for probabilities that are right; below 1 they are too sure. ``intercept``: with the slope held at
        1 (calibration in the large): 0 when they are right on the whole; above 0 they are too low.
    """
    logits = np.log(np.clip(score, 1e-15, 1 - 1e-15)) - np.log1p(-np.clip(score, 1e-15, 1 - 1e-15))
    owners = np.unique(np.asarray(patients), return_inverse=True)[1]
    scarcer = min(len(np.unique(owners[truth == kind])) for kind in (0, 1))
    if scarcer < 2:
        return {name: undefined("fewer than two patients have images of one kind") for name in ("slope", "intercept")}
    intercept = brentq(lambda shift: float((truth - _logistic(logits + shift)).sum()), -80, 80)
    large = _limits(np.ones((len(truth), 1)), np.array([intercept]), logits, truth, owners, scarcer, confidence)
    return {"slope": _slope(logits, truth, owners, scarcer, confidence), "intercept": large}


def _slope(logits: Floats, truth: Ints, owners: Ints, patients: int, confidence: float) -> Metric:
    positive, negative = logits[truth == 1], logits[truth == 0]
    if negative.max() <= positive.min() or positive.max() <= negative.min():
        # The steeper the line, the better it fits, without an end (Albert and Anderson 1984).
        return undefined("the scores tell the classes apart without an error, or not at all: no line fits best")
    design = np.stack([logits, np.ones(len(logits))], axis=1)
    values = np.array([1.0, 0.0])
    # Newton's steps, halved while they make the likelihood smaller.
    for _ in range(100):
        expected = _logistic(design @ values)
        gradient = design.T @ (truth - expected)
        information = (design * (expected * (1 - expected))[:, None]).T @ design
        step = np.linalg.solve(information, gradient)
        before, length = _likelihood(design @ values, truth), 1.0
        while length > 1e-6 and _likelihood(design @ (values + length * step), truth) < before:
            length /= 2
        values = values + length * step
        if np.abs(length * step).max() < 1e-9:
            break
    return _limits(design, values, np.zeros(len(logits)), truth, owners, patients, confidence)


def _limits(
    design: Floats, values: Floats, fixed: Floats, truth: Ints, owners: Ints, patients: int, confidence: float
) -> Metric:
    """The first coefficient with its interval from the sandwich of the patients' totals."""
    expected = _logistic(design @ values + fixed)
    information = (design * (expected * (1 - expected))[:, None]).T @ design
    parts = design * (truth - expected)[:, None]
    totals = np.stack([np.bincount(owners, weights=column) for column in parts.T], axis=1)
    bread = np.linalg.pinv(information)
    variance = (bread @ (totals.T @ totals) @ bread)[0, 0] * len(totals) / (len(totals) - 1)
    reach = quantile(confidence, patients) * float(np.sqrt(variance))
    return limited(float(values[0]), float(values[0]) - reach, float(values[0]) + reach, methods.SANDWICH)


def _likelihood(logits: Floats, truth: Ints) -> float:
    return float((truth * logits - np.logaddexp(0, logits)).sum())


def _logistic(logits: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -700, 700))))
