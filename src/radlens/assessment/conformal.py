"""Conformal prediction: from validation images, how probable a class must be to stay possible."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from radlens.assessment.predictions import probabilities_of, targets_of
from radlens.dataset.manifest import DatasetInfo

# Rates to choose among when the model is used, besides the one that was asked for.
ALPHAS = (0.01, 0.02, 0.05, 0.1)
OOD_RATES = (0.002, 0.005, 0.01, 0.015)
# Where nothing tells what a rate costs; of several labels an image no limits are known, and it is never used.
USUAL_RATE = 0.05


def least_probabilities(predictions: pd.DataFrame, info: DatasetInfo, alpha: float) -> tuple[float, ...]:
    """For each class the least probability with which it stays in the set of possible answers.

    Split conformal prediction, each class by itself (Vovk 2012, doi:10.1007/s10994-013-5355-6; Angelopoulos and Bates
    2023, doi:10.1561/2200000101). Of new images of a class that are drawn as the validation images of it were, at most
    the share ``alpha`` has a set without it: over all draws of both, whatever the model. This says nothing of
    images that are drawn otherwise, such as those of another hospital.

    Args:
        predictions: rows of the validation split alone, none of which the model was trained on.
        info: the task and the classes; several labels at once have no such set.
        alpha: in (0, 1).

    Returns:
        One number a class, in [0, 1]; 0 where there are too few validation images of the class to rule it out at all.

    Raises:
        ValueError: a row is not of the validation split, the task is multilabel, or the rate is not a share.
    """
    other = sorted(set(predictions["split"]) - {"val"})
    if other:
        raise ValueError(f"conformal limits are chosen on validation images only, got rows of {', '.join(other)}")
    if info.task == "multilabel" or not 0 < alpha < 1:
        raise ValueError(f"one class an image and a rate in (0, 1) were expected, got {info.task} and {alpha}")
    truth, scores = targets_of(predictions, info), probabilities_of(predictions, info)
    limits = []
    for index in range(len(info.classes)):
        own = np.sort(scores[truth == index, index])
        # So many of the n + 1 places that a new image can take among them may lie below the limit.
        below = int(np.floor(alpha * (len(own) + 1) + 1e-9))
        limits.append(float(own[below - 1]) if below else 0.0)
    return tuple(limits)


def common_limits(tables: Sequence[pd.DataFrame], info: DatasetInfo, alpha: float) -> tuple[float, ...]:
    """The lower one of the images' own limit and of that with all copies, so that the rate holds for both.

    Args:
        tables: predictions on validation images, and on changed copies of them.
        info: the task and the classes.
        alpha: the rate.
    """
    both = (least_probabilities(each, info, alpha) for each in (tables[0], pd.concat(tables)))
    return tuple(map(min, zip(*both, strict=True)))


def farthest_distance(distances: npt.NDArray[np.float64], rate: float) -> float:
    """The distance above which an image is unlike the training images.

    Of new images that are drawn as the validation images were, at most the share ``rate`` lies beyond it (conformal
    anomaly detection, Laxhammar and Falkman 2010, doi:10.1145/1833280.1833287); where these are too few for that, none
    of them lies beyond it.

    Args:
        distances: of the validation images, shape (images,).
        rate: in (0, 1).

    >>> farthest_distance(np.arange(1.0, 200.0), 0.01)
    198.0
    """
    if not len(distances) or not 0 < rate < 1:
        raise ValueError(f"distances and a rate in (0, 1) were expected, got {len(distances)} and {rate}")
    beyond = max(0, int(np.floor(rate * (len(distances) + 1) + 1e-9)) - 1)
    return float(np.sort(distances)[len(distances) - 1 - beyond])
