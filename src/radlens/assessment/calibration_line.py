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

# Where probabilities tell less than this of a shift, none fits better than another.
_LEAST_INFORMATION = 1e-9


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
        1 (calibration in the large): 0 when they are right on the whole; above 0 they are too low. Neither is defined
        for hard answers (0 and 1) with an error among them, nor where fewer than two patients have images of a kind.
    """
    with np.errstate(divide="ignore"):
        logits = np.log(score) - np.log1p(-score)
    sure = np.isinf(logits)
    wrong = int((sure & ((score == 1) != (truth == 1))).sum())
    if wrong:
        return _neither(f"{wrong:,} wrong answer(s) have a probability of exactly 0 or 1, and infinite log odds")
    # Right answers with infinite log odds are as likely under every line: they have no part in it.
    owners = np.unique(np.asarray(patients), return_inverse=True)[1]
    inner, inner_truth, inner_owners = logits[~sure], truth[~sure], owners[~sure]
    scarcer = min(len(np.unique(inner_owners[inner_truth == kind])) for kind in (0, 1))
    if scarcer < 2:
        between = ", and a probability between 0 and 1" if sure.any() else ""
        return _neither(f"fewer than two patients have images of one kind{between}")
    _, inner_owners = np.unique(inner_owners, return_inverse=True)
    line = {
        "slope": _slope(inner, inner_truth, inner_owners, scarcer, confidence),
        "intercept": _intercept(inner, inner_truth, inner_owners, scarcer, confidence),
    }
    if not sure.any():
        return line
    remark = f"without {int(sure.sum()):,} right answer(s) whose probability is exactly 0 or 1"
    return {
        name: metric if metric.reason else metric.model_copy(update={"reason": remark}) for name, metric in line.items()
    }


def _neither(reason: str) -> dict[str, Metric]:
    return {name: undefined(reason) for name in ("slope", "intercept")}


def _intercept(logits: Floats, truth: Ints, owners: Ints, patients: int, confidence: float) -> Metric:
    farthest = float(np.abs(logits).max()) + 40
    shift = brentq(lambda shift: float((truth - _logistic(logits + shift)).sum()), -farthest, farthest)
    expected = _logistic(logits + shift)
    if float((expected * (1 - expected)).sum()) < _LEAST_INFORMATION:
        return undefined("the probabilities are all so near 0 or 1 that a shift does not change them")
    return _limits(np.ones((len(truth), 1)), np.array([shift]), logits, truth, owners, patients, confidence)


def _slope(logits: Floats, truth: Ints, owners: Ints, patients: int, confidence: float) -> Metric:
    positive, negative = logits[truth == 1], logits[truth == 0]
    if negative.max() <= positive.min() or positive.max() <= negative.min():
        # The steeper the line, the better it fits, without an end (Albert and Anderson 1984).
        return undefined("the scores tell the classes apart without an error, or not at all: no line fits best")
    # On a scale of its own, so that logits of any size are fitted as exactly.
    scale = float(logits.std())
    design = np.stack([(logits - logits.mean()) / scale, np.ones(len(logits))], axis=1)
    values = np.zeros(2)
    # Newton's steps, halved while they make the likelihood smaller.
    for _ in range(100):
        expected = _logistic(design @ values)
        gradient = design.T @ (truth - expected)
        information = (design * (expected * (1 - expected))[:, None]).T @ design
        step = np.linalg.lstsq(information, gradient)[0]
        before, length = _likelihood(design @ values, truth), 1.0
        while length > 1e-6 and _likelihood(design @ (values + length * step), truth) < before:
            length /= 2
        values = values + length * step
        if np.abs(length * step).max() < 1e-9:
            break
    fitted = _limits(design, values, np.zeros(len(logits)), truth, owners, patients, confidence)
    scaled = {name: getattr(fitted, name) / scale for name in ("value", "low", "high")}
    return fitted.model_copy(update=scaled)


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
