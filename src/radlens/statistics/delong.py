"""The variance of an AUROC without resampling: DeLong 1988, and Obuchowski 1997 for patients with several images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from radlens.statistics.groups import Floats, Ints, count_patients
from radlens.statistics.intervals import logit_limits
from radlens.statistics.placements import clustered_variance, placements
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
    _, membership = np.unique(np.asarray(patients), return_inverse=True)
    positives, negatives = (count_patients(membership, members) for members in (positive, ~positive))
    if min(positives, negatives) < 2:
        raise ValueError("the spread of an AUROC shows with two patients or more with images of each kind")
    variance = clustered_variance(above - area, below - area, positive, membership)
    return Area(area, variance, positives, negatives)


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
