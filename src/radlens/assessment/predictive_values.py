"""How often an answer is right where the disease is rarer or more frequent than among the test images."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from radlens.assessment.summary import limited, undefined
from radlens.runtime.metrics_sections import Metric, PredictiveValues
from radlens.statistics import interval_methods as methods
from radlens.statistics.metrics import Answers
from radlens.statistics.proportions import clustered_wilson

Limits = tuple[float, float]


def predictive_values(
    answers: Answers, patients: npt.ArrayLike, prevalences: Sequence[float], confidence: float
) -> list[PredictiveValues]:
    """PPV and NPV from sensitivity and specificity by Bayes' rule, for each prevalence.

    It is taken that both stay as they are among other patients, and that they were estimated on different ones.

    Args:
        answers: of a binary task.
        patients: the patient of each image.
        prevalences: shares of positive images, in (0, 1).
        confidence: of the intervals.

    Returns:
        For each ``prevalence``: ``ppv``, ``npv`` and ``flagged``, the share of images that would be called positive.
        Empty when a class is absent.
    """
    positive, called = answers.truth == 1, answers.predicted == 1
    if positive.all() or not positive.any():
        return []
    owners = np.asarray(patients)
    shares = {
        name: (float(success[base].mean()), clustered_wilson(success[base], owners[base], confidence))
        for name, success, base in (("found", called, positive), ("alarms", called, ~positive))
    }
    hits, alarms = shares["found"], shares["alarms"]
    rows = []
    for prevalence in prevalences:
        odds = prevalence / (1 - prevalence)
        rows.append(
            PredictiveValues(
                prevalence=prevalence,
                ppv=_by_ratio(alarms, hits, odds, "nothing was called positive"),
                npv=_by_ratio(_rest(hits), _rest(alarms), 1 / odds, "nothing was called negative"),
                flagged=prevalence * hits[0] + (1 - prevalence) * alarms[0],
            )
        )
    return rows


def ratio_limits(part: float, part_limits: Limits, whole: float, whole_limits: Limits) -> Limits:
    """Limits of ``part / whole`` from those of each (MOVER-R, Newcombe 2016, doi:10.1177/0962280213502144).

    The two estimates are independent and not negative; the high limit is infinite where ``whole`` may be 0.

    >>> low, high = ratio_limits(0.9, (0.8, 0.95), 0.1, (0.05, 0.2))
    >>> round(low, 2), round(high, 2)
    (4.44, 18.03)
    """
    product = part * whole
    near, far = part_limits[0] * (2 * part - part_limits[0]), whole_limits[1] * (2 * whole - whole_limits[1])
    below = product + math.sqrt(max(0.0, product**2 - near * far))
    near, far = part_limits[1] * (2 * part - part_limits[1]), whole_limits[0] * (2 * whole - whole_limits[0])
    above = product + math.sqrt(max(0.0, product**2 - near * far))
    low = part_limits[0] * (2 * part - part_limits[0]) / below if below > 0 else 0.0
    return max(0.0, low), above / far if far > 0 else math.inf


def _by_ratio(wrong: tuple[float, Limits], right: tuple[float, Limits], odds: float, reason: str) -> Metric:
    """The share of right ones, ``odds * right / (odds * right + wrong)``, with limits from those of their ratio."""
    if wrong[0] == 0 and right[0] == 0:
        return undefined(reason)
    low, high = (_share(odds, ratio) for ratio in ratio_limits(*right, *wrong))
    value = odds * right[0] / (odds * right[0] + wrong[0])
    return limited(value, low, high, methods.RATIO)


def _share(odds: float, ratio: float) -> float:
    return 1.0 if math.isinf(ratio) else odds * ratio / (odds * ratio + 1)


def _rest(share: tuple[float, Limits]) -> tuple[float, Limits]:
    value, (low, high) = share
    return 1 - value, (1 - high, 1 - low)
