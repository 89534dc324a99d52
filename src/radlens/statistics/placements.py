"""Where each image stands among those of the other class, and the variance over patients of what these places say."""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata

from radlens.statistics.groups import Bools, Floats, Ints, count_patients


def placements(truth: Ints, score: Floats) -> tuple[Floats, Floats]:
    """For each positive image the share of negatives below it, for each negative the share of positives above it.

    Equal scores count half. By midranks, in the time of a sort (Sun and Xu 2014, doi:10.1109/LSP.2014.2337313).

    Args:
        truth: 0 or 1, shape (images,), both kinds present.
        score: shape (images,).

    Returns:
        Shapes (positives,) and (negatives,), in the order of the images. The mean of either is the AUROC.

    Raises:
        ValueError: a kind is missing.

    >>> placements(np.array([0, 1, 0, 1]), np.array([0.1, 0.4, 0.4, 0.8]))
    (array([0.75, 1.  ]), array([1.  , 0.75]))
    """
    positive = truth == 1
    count, others = int(positive.sum()), int((~positive).sum())
    if not count or not others:
        raise ValueError(f"an AUROC needs images of both classes, positive and negative, got {count} and {others}")
    everyone = rankdata(score)
    above = (everyone[positive] - rankdata(score[positive])) / others
    below = 1 - (everyone[~positive] - rankdata(score[~positive])) / count
    return above, below


def clustered_variance(above: Floats, below: Floats, positive: Bools, patients: Ints) -> float:
    """The variance of an AUROC, or of a difference of two, over other patients (Obuchowski 1997, doi:10.2307/2533958).

    The placements of a patient's images are added up before variances are taken. With one image a patient it is the
    variance of DeLong et al. 1988 (doi:10.2307/2531595).

    Args:
        above: placements of the positive images less their mean, or the differences of two models' such placements.
        below: the same of the negative images.
        positive: which images are positive, shape (images,).
        patients: the patient of each image, numbered from 0 without gaps.

    Returns:
        0 or more.
    """
    count = int(patients.max()) + 1
    own, mean_excess = 0.0, []
    for members, deviations in ((positive, above), (~positive, below)):
        owners = count_patients(patients, members)
        sums = np.bincount(patients[members], weights=deviations, minlength=count)
        own += owners / max(1, owners - 1) * float(sums @ sums) / len(deviations) ** 2
        mean_excess.append(sums / len(deviations))
    shared = count / max(1, count - 1) * float(mean_excess[0] @ mean_excess[1])
    return max(0.0, own + 2 * shared)
