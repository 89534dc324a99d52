"""The variance of an AUROC without resampling: DeLong 1988, and Obuchowski 1997 for patients with several images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from radlens.statistics.intervals import logit_limits
from radlens.statistics.metrics import Floats, Ints
from radlens.statistics.proportions import wilson_limits


@dataclass(frozen=True)
class Area:
    """An AUROC and how sure it is.

    Attributes:
        value: the AUROC.
        variance: of the value, over other patients.
        positives: patients with a positive image.
        negatives: patients with a negative image.
    """

    value: float
    variance: float
    positives: int
    negatives: int


def placements(truth: Ints, score: Floats) -> tuple[Floats, Floats]:
    """For each positive image the share of negatives below it, for each negative the share of positives above it.

    Equal scores count half. By midranks, in the time of a sort (Sun and Xu 2014, doi:10.1109/LSP.2014.2337313).

    Args:
        truth: 0 or 1, shape (images,), both kinds present.
        score: shape (images,).

    Returns:
        Shapes (positives,) and (negatives,), in the order of the images. The mean of either is the AUROC.

    >>> placements(np.array([0, 1, 0, 1]), np.array([0.1, 0.4, 0.4, 0.8]))
    (array([0.75, 1.  ]), array([1.  , 0.75]))
    """
    positive = truth == 1
    count, others = int(positive.sum()), int((~positive).sum())
    if not count or not others:
        raise ValueError(f"an AUROC needs positive and negative images, got {count} and {others}")
    everyone = stats.rankdata(score)
    above = (everyone[positive] - stats.rankdata(score[positive])) / others
    below = 1 - (everyone[~positive] - stats.rankdata(score[~positive])) / count
    return above, below


def clustered_auroc(truth: Ints, score: Floats, patients: npt.ArrayLike) -> Area:
    """AUROC and its variance, with what images of one patient share (Obuchowski 1997, doi:10.2307/2533958).

    With one image a patient it is the variance of DeLong et al. 1988 (doi:10.2307/2531595).

    Args:
        truth: 0 or 1, shape (images,).
        score: shape (images,).
        patients: the patient of each image; one may have images of both kinds.

    Raises:
        ValueError: a kind is missing, or is that of one patient alone.
    """
    positive = truth == 1
    above, below = placements(truth, score)
    area = float(above.mean())
    names, membership = np.unique(np.asarray(patients), return_inverse=True)
    parts, excess, owners = [], [], []
    for mask, placed in ((positive, above), (~positive, below)):
        count = len(np.unique(membership[mask]))
        if count < 2:
            raise ValueError("the spread of an AUROC shows with two patients or more with images of each kind")
        sums = np.bincount(membership[mask], weights=placed - area, minlength=len(names))
        parts.append(count / (count - 1) * float(sums @ sums) / len(placed) ** 2)
        excess.append(sums / len(placed))
        owners.append(count)
    shared = len(names) / (len(names) - 1) * float(excess[0] @ excess[1])
    return Area(area, max(0.0, sum(parts) + 2 * shared), *owners)


def area_limits(area: Area, confidence: float) -> tuple[float, float]:
    """Limits of an AUROC by its logit, which does not reach beyond 1; Student's quantile for the scarcer kind.

    With an AUROC of 0 or 1 no spread is seen. As many pairs of a positive and a negative patient as there are without
    one in two of them are independent, and all in the same order: the limits are those of Wilson for that many.

    >>> low, high = area_limits(Area(1.0, 0.0, 30, 50), 0.95)
    >>> round(low, 3), high
    (0.886, 1.0)
    """
    if area.value in (0.0, 1.0):
        return wilson_limits(area.value, min(area.positives, area.negatives), confidence)
    return logit_limits(area.value, area.variance, confidence, min(area.positives, area.negatives))
