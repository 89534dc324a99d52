"""Too few cases for a claim: how many more patients would make an interval as narrow as the claim needs."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from radlens.statistics.delong import Area, area_limits, clustered_auroc
from radlens.statistics.metrics import Answers
from radlens.statistics.proportions import Proportion, clustered_proportion, proportion_limits

SOURCE = (
    "The smallest number of patients whose interval would reach no further than the margin to either side of its "
    "middle, if the figure and the likeness of a patient's images stay as they are (sensitivity and specificity: "
    "Buderer 1996, doi:10.1111/j.1553-2712.1996.tb03538.x, with the interval of Wilson; AUROC: Obuchowski 1998, "
    "doi:10.1177/096228029800700405, positive and negative patients in the proportion of these)."
)
_MOST = 10_000_000


@dataclass(frozen=True)
class Shortfall:
    """How narrow an interval is, and how many patients it lacks.

    Attributes:
        half_width: of the interval.
        more_positive: patients with positive images still missing; 0 where there are enough.
        more_negative: the same for negative images.
    """

    half_width: float
    more_positive: int = 0
    more_negative: int = 0


def sample_size(answers: Answers, patients: npt.ArrayLike, margin: float, confidence: float) -> dict[str, Shortfall]:
    """Of a question with two answers, what the claims would need.

    Args:
        answers: of a binary task, or one class against the rest.
        patients: the patient of each image.
        margin: the half width of an interval that a claim can stand.
        confidence: of the intervals.

    Returns:
        For ``sensitivity``, ``specificity`` and ``auroc``, where they are defined, what is missing.
    """
    owners = np.asarray(patients)
    positive, called = answers.truth == 1, answers.predicted == 1
    missing: dict[str, Shortfall] = {}
    for name, success, base, key in (
        ("sensitivity", called, positive, "more_positive"),
        ("specificity", ~called, ~positive, "more_negative"),
    ):
        if base.any():
            share = clustered_proportion(success[base], owners[base])
            needed = patients_for_share(share, margin, confidence)
            enough = Shortfall(half(proportion_limits(share, confidence)))
            missing[name] = replace(enough, **{key: max(0, needed - share.patients)})
    try:
        area = clustered_auroc(answers.truth, answers.probabilities[:, 1], owners)
    except ValueError:
        return missing
    times = times_for_area(area, margin, confidence)
    missing["auroc"] = Shortfall(
        half(area_limits(area, confidence)),
        max(0, math.ceil(times * area.positives) - area.positives),
        max(0, math.ceil(times * area.negatives) - area.negatives),
    )
    return missing


def patients_for_share(share: Proportion, margin: float, confidence: float) -> int:
    """The smallest number of patients, each with as many images as now, for which Wilson's interval is so narrow.

    >>> patients_for_share(Proportion(0.9, 50, 50, 1.0), 0.05, 0.95)
    141
    """
    each = share.images / share.patients

    def reach(count: int) -> float:
        images = round(count * each) if each > 1 else count
        return half(proportion_limits(replace(share, images=images, patients=count), confidence))

    return _smallest(lambda count: reach(count) <= margin)


def times_for_area(area: Area, margin: float, confidence: float) -> float:
    """By how much the patients of both kinds would have to be more for the interval of AUROC to be so narrow.

    The variance falls with their number; 1 or less when there are enough.
    """
    scarcer = min(area.positives, area.negatives)

    def fits(count: int) -> bool:
        times = count / scarcer
        larger = Area(area.value, area.variance / times, round(area.positives * times), round(area.negatives * times))
        return half(area_limits(larger, confidence)) <= margin

    return _smallest(fits, at_least=2) / scarcer


def half(limits: tuple[float, float]) -> float:
    """Half the width of an interval."""
    return (limits[1] - limits[0]) / 2


def _smallest(fits: Callable[[int], bool], at_least: int = 1) -> int:
    """The smallest number that fits, of those that all larger ones fit with, by halving."""
    upper = at_least
    while not fits(upper) and upper < _MOST:
        upper *= 2
    lower = upper // 2 if upper > at_least else at_least - 1
    while upper - lower > 1:
        middle = (lower + upper) // 2
        lower, upper = (lower, middle) if fits(middle) else (middle, upper)
    return upper
