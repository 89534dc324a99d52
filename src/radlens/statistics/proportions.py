"""The score interval of a proportion (Wilson 1927), for images that are not independent: several are of one patient."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from radlens.statistics.intervals import quantile


@dataclass(frozen=True)
class Proportion:
    """A share of images, with what the images of one patient have in common taken into account.

    Attributes:
        value: the share, 0 to 1.
        images: how many images it is a share of.
        patients: how many patients these are of.
        design_effect: how many times larger the variance is than that of as many independent images; 1 or more.
    """

    value: float
    images: int
    patients: int
    design_effect: float

    @property
    def effective(self) -> float:
        """How many independent images would say as much."""
        return self.images / self.design_effect


def clustered_proportion(success: npt.ArrayLike, patients: npt.ArrayLike) -> Proportion:
    """The share of successes, and its design effect (Rao and Scott 1992, doi:10.2307/2532311).

    The variance is that of a ratio of patients' totals. Where all or none succeed there is none to see, and the images
    of a patient count as one. A variance below that of independent images is not believed.

    Args:
        success: 0 or 1 for each image, shape (images,).
        patients: the patient of each image.

    Raises:
        ValueError: there is no image, or the lengths differ.

    >>> round(clustered_proportion([1, 1, 0, 0, 1, 1], ["a", "a", "b", "b", "c", "c"]).design_effect, 9)
    3.0
    """
    outcome = np.asarray(success, dtype=np.float64)
    names, membership = np.unique(np.asarray(patients), return_inverse=True)
    if len(outcome) == 0 or len(outcome) != len(membership):
        raise ValueError(f"{len(outcome)} outcomes and {len(membership)} patients; equal and above 0 expected")
    images, count = len(outcome), len(names)
    value = float(outcome.mean())
    if value in (0.0, 1.0) or count == 1:
        return Proportion(value, images, count, images / count)
    excess = np.bincount(membership, weights=outcome - value)
    variance = count / (count - 1) * float(excess @ excess) / images**2
    return Proportion(value, images, count, max(1.0, variance * images / (value * (1 - value))))


def wilson_limits(value: float, trials: float, confidence: float, patients: float = np.inf) -> tuple[float, float]:
    """The proportions that a score test does not reject (Wilson 1927, doi:10.1080/01621459.1927.10502953).

    Args:
        value: the share of successes, 0 to 1.
        trials: how many independent ones there were; need not be whole.
        confidence: such as 0.95.
        patients: how many patients told how many trials are independent; Student's quantile takes the normal one's
            place for them.

    >>> low, high = wilson_limits(0.8, 50, 0.95)
    >>> round(low, 4), round(high, 4)
    (0.6696, 0.8876)
    """
    if not (0 <= value <= 1 and trials > 0):
        raise ValueError(f"expected a share of one or more trials, got {value} of {trials}")
    square = quantile(confidence, patients) ** 2
    centre = (value + square / (2 * trials)) / (1 + square / trials)
    reach = np.sqrt(square * (value * (1 - value) / trials + square / (4 * trials**2))) / (1 + square / trials)
    # Rounding must leave no limit on the wrong side of the estimate.
    return max(0.0, min(value, float(centre - reach))), min(1.0, max(value, float(centre + reach)))


def proportion_limits(share: Proportion, confidence: float) -> tuple[float, float]:
    """Wilson's limits with the effective number of images in place of their number, as for surveys.

    Of the intervals for proportions from complex surveys this one covers best (Franco et al. 2019,
    doi:10.1093/jssam/smy019). With one image a patient it is Wilson's own.
    """
    patients = np.inf if share.images == share.patients else share.patients
    return wilson_limits(share.value, share.effective, confidence, patients)


def clustered_wilson(success: npt.ArrayLike, patients: npt.ArrayLike, confidence: float) -> tuple[float, float]:
    """:func:`proportion_limits` of outcomes, 0 or 1 for each image; see :func:`clustered_proportion`."""
    return proportion_limits(clustered_proportion(success, patients), confidence)
