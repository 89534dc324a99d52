"""Two AUROCs on the same images: their difference and its standard error, with several images a patient."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from radlens.statistics.metrics import Floats, Ints
from radlens.statistics.paired_difference import Difference, patient_sums


@dataclass(frozen=True)
class PairedAuroc:
    """The two AUROCs and their difference, second minus first."""

    first: float
    second: float
    difference: Difference


def placements(truth: Ints, scores: Floats) -> tuple[Floats, Floats]:
    """Where each image stands among those of the other class.

    Args:
        truth: 0 or 1, shape (images,).
        scores: shape (images,); equal scores count half.

    Returns:
        For each positive image the share of negative images below it, and for each negative image the share of
        positive images above it; the mean of either is the AUROC.

    >>> positive, negative = placements(np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.4, 0.8]))
    >>> positive.tolist(), negative.tolist()
    ([0.75, 1.0], [1.0, 0.75])
    """
    ranks = rankdata(scores)
    positive, negative = truth == 1, truth == 0
    among_positive, among_negative = rankdata(scores[positive]), rankdata(scores[negative])
    below = (ranks[positive] - among_positive) / negative.sum()
    above = 1 - (ranks[negative] - among_negative) / positive.sum()
    return np.asarray(below), np.asarray(above)


def paired_delong(truth: Ints, first: Floats, second: Floats, patients: npt.ArrayLike) -> PairedAuroc:
    """Compare two AUROCs that come from the same images.

    The test of DeLong, DeLong and Clarke-Pearson (1988, doi:10.2307/2531595) in the form of Obuchowski (1997,
    doi:10.2307/2533958), which sums the placements of a patient's images before taking variances, and so holds when
    patients have several images, of one class or of both. With one image a patient it is DeLong's.

    Args:
        truth: 0 or 1, shape (images,); both occur.
        first: scores of the first model, shape (images,).
        second: scores of the second model.
        patients: whose image each is.

    Raises:
        ValueError: a class is absent.
    """
    if len(np.unique(truth)) < 2:
        raise ValueError("an AUROC needs images of both classes")
    _, member = np.unique(np.asarray(patients), return_inverse=True)
    positive, count = truth == 1, int(member.max()) + 1
    areas, found = [], []
    for scores in (first, second):
        below, above = placements(truth, scores)
        area = float(below.mean())
        areas.append(area)
        found.append((below - area, above - area))
    gaps = [later - earlier for earlier, later in zip(*found, strict=True)]
    by_positive = patient_sums(gaps[0], member[positive], count) / positive.sum()
    by_negative = patient_sums(gaps[1], member[~positive], count) / (~positive).sum()
    variance = (
        _scale(member[positive]) * (by_positive**2).sum()
        + _scale(member[~positive]) * (by_negative**2).sum()
        + 2 * count / max(1, count - 1) * (by_positive * by_negative).sum()
    )
    error = float(max(variance, 0.0)) ** 0.5
    return PairedAuroc(areas[0], areas[1], Difference(areas[1] - areas[0], error if error > 1e-12 else 0.0, count))


def _scale(member: Ints) -> float:
    """Patients over patients less one, of those that have images of a class."""
    count = len(np.unique(member))
    return count / max(1, count - 1)
