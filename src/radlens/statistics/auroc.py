"""AUROC of held-out scores, with an interval from resampling groups of images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from scipy.special import expit, logit

from radlens.statistics.groups import FOLDS, Bools, Floats, Ints, count_rarer
from radlens.statistics.intervals import percentile_limits
from radlens.statistics.multiplicity import tail
from radlens.statistics.ranking import concordance
from radlens.statistics.resampling import patient_weights

CONFIDENCE = 0.95
RESAMPLES = 1000
# Models of different folds share most of what they were fitted to, so their scores vary together; the limits are moved
# away by this factor (1.5 for five folds) on the scale of log odds. Where there is nothing to tell, 78 to 88 % of the
# intervals covered one half without it, and 94 to 97 % do with it.
WIDENING = (1 + FOLDS / (FOLDS - 1)) ** 0.5

_EDGE = 1e-6


class Auroc(BaseModel):
    """The chance that an image of a class scores above one of another class; 0.5 is guessing."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    value: float = Field(ge=0, le=1, description="Area under the ROC curve.")
    low: float = Field(ge=0, le=1, description="Lower limit of the 95 % interval.")
    high: float = Field(ge=0, le=1, description="Upper limit of the 95 % interval.")


@dataclass(frozen=True)
class Judged:
    """How well held-out scores tell the classes.

    Attributes:
        mean: of the classes, each against the rest.
        classes: of each class; the limits hold for all of them together (Bonferroni), so that the highest is no
            better than it looks.
    """

    mean: Auroc
    classes: tuple[Auroc, ...]


def judge(
    scores: Floats,
    targets: Bools,
    folds: Ints,
    groups: Ints,
    seed: int,
    resamples: int = RESAMPLES,
    widening: float = WIDENING,
) -> Judged:
    """AUROC of each class against the rest, with intervals by drawing groups with replacement.

    Only images of the same fold are compared: each fold was scored by another model. The percentile limits are widened
    for cross-validation as Nadeau and Bengio do (2003, doi:10.1023/A:1024068626366). Where there is no error at all,
    and so no spread among the resamples, the lower limit is that of Clopper and Pearson (1934,
    doi:10.1093/biomet/26.4.404) for as many groups as the smaller side has.

    Args:
        scores: shape (images, classes), for each image by a model that was not fitted to it.
        targets: whether an image is of a class, shape (images, classes).
        folds: the fold of each image; every fold has images with and without each class, or no part in it.
        groups: images drawn together, such as those of a patient.
        seed: of the draws.
        resamples: number of draws.
        widening: factor of the distance between estimate and limits, in log odds; 1 for scores of one fixed model.
    """
    statistics = [concordance(column, truth, folds) for column, truth in zip(scores.T, targets.T, strict=True)]
    once = np.ones((1, len(groups)))
    values = [float(statistic(once)[0]) for statistic in statistics]
    draws = np.concatenate(
        [
            np.stack([statistic(weights) for statistic in statistics])
            for weights in patient_weights(groups, resamples, np.random.default_rng(seed))
        ],
        axis=1,
    )
    smaller = count_rarer(targets, groups)
    each = tuple(
        _limits(value, replicates, int(count), len(values), widening)
        for value, replicates, count in zip(values, draws, smaller, strict=True)
    )
    mean = _limits(float(np.mean(values)), draws.mean(axis=0), int(smaller.min()), 1, widening)
    return Judged(mean, each)


def auroc(scores: Floats, truth: Bools, folds: Ints) -> float:
    """AUROC over the pairs of images of the same fold, without an interval.

    >>> auroc(np.array([0.1, 0.4, 0.9, 0.2]), np.array([False, True, False, True]), np.array([0, 0, 1, 1]))
    0.5
    """
    return float(concordance(scores, truth, folds)(np.ones((1, len(scores))))[0])


def _limits(value: float, replicates: Floats, groups: int, intervals: int, widening: float) -> Auroc:
    reach = float(tail(CONFIDENCE, intervals) ** (1 / groups))
    if value == 1:
        return Auroc(value=1, low=reach, high=1)
    if value == 0:
        return Auroc(value=0, low=0, high=1 - reach)
    centre = logit(value)
    # A resample without any error would be infinitely far away.
    reached = np.clip(percentile_limits(replicates, CONFIDENCE, intervals), _EDGE, 1 - _EDGE)
    low, high = expit(centre + widening * (logit(reached) - centre)).tolist()
    return Auroc(value=value, low=min(low, value), high=max(high, value))
