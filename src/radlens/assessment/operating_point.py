"""Where a score becomes an answer: a fixed threshold, or one chosen on validation images and never on test images."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from radlens.assessment.predictions import probabilities_of, targets_of
from radlens.dataset.manifest import DatasetInfo
from radlens.errors import DataError

Floats = npt.NDArray[np.float64]

# What screening and triage are asked for most often.
SENSITIVITIES = (0.95, 0.98, 0.99)


def choose_threshold(setting: float | Literal["balanced"], predictions: pd.DataFrame, info: DatasetInfo) -> float:
    """The threshold that the setting asks for.

    Args:
        setting: a probability in (0, 1), taken as it is; or ``balanced``: the highest balanced accuracy (mean of
            sensitivity and specificity) on the predictions, for multilabel the highest mean over the labels at one
            common threshold. It lies midway between two neighbouring scores; of several equally good ones the one
            nearest to 0.5 is taken.
        predictions: rows of the validation split alone; their ``predicted`` column is not looked at.
        info: the task and the classes. A multiclass task takes the most probable class and has no threshold: 0.5.

    Raises:
        ValueError: a row is not of the validation split.
        DataError: ``balanced``, and a class or label has no validation image, or all scores are equal.
    """
    _only_validation(predictions)
    if info.task == "multiclass":
        return 0.5
    if setting != "balanced":
        return float(setting)
    truth, scores = targets_of(predictions, info), probabilities_of(predictions, info)
    if info.task == "binary":
        truth, scores = truth[:, None], scores[:, 1:]
    for name, column in zip(info.classes[-truth.shape[1] :], truth.T, strict=True):
        if len(np.unique(column)) < 2:
            raise DataError(
                f"The threshold cannot be chosen: the validation images are all with or all without {name}. "
                "Give a fixed one (evaluate.threshold=0.5) or a larger validation split."
            )
    return balanced_threshold(truth, scores)


def balanced_threshold(truth: npt.NDArray[np.int64], scores: Floats) -> float:
    """The common threshold with the highest mean balanced accuracy; of several the nearest to 0.5.

    Args:
        truth: 0 or 1, shape (images, labels); each label has images of both kinds.
        scores: in [0, 1], shape (images, labels).

    Raises:
        DataError: all scores are equal.
    """
    candidates = _midpoints(scores)
    if not len(candidates):
        raise DataError(
            "The threshold cannot be chosen: the model gives every validation image the same score. "
            "It has learned nothing; train longer or with a higher learning rate, or give a fixed threshold."
        )
    quality = np.mean(
        [balanced_accuracy(candidates, column, score) for column, score in zip(truth.T, scores.T, strict=True)], axis=0
    )
    best = candidates[quality >= quality.max() - 1e-12]
    return float(best[np.abs(best - 0.5).argmin()])


def threshold_for_sensitivity(target: float, predictions: pd.DataFrame, info: DatasetInfo) -> float:
    """The highest threshold at which the predictions of a binary task still reach a sensitivity.

    It lies midway to the next lower score, or is that score's half where there is none, so that no case of the
    validation images lies on it.

    Args:
        target: the sensitivity, in (0, 1].
        predictions: rows of the validation split alone.
        info: the task and the classes.

    Raises:
        ValueError: a row is not of the validation split, or the target is no share.
        DataError: no validation image is of the positive class.
    """
    _only_validation(predictions)
    if not 0 < target <= 1:
        raise ValueError(f"a sensitivity lies in (0, 1], got {target}")
    scores = probabilities_of(predictions, info)[:, 1]
    positive = np.sort(scores[targets_of(predictions, info) == 1])[::-1]
    if not len(positive):
        raise DataError(f"No validation image is of the class {info.classes[1]}: no threshold has a sensitivity.")
    lowest = positive[int(np.ceil(target * len(positive) - 1e-9)) - 1]
    below = scores[scores < lowest]
    middle = (lowest + below.max()) / 2 if len(below) else lowest / 2
    return float(np.clip(middle, 1e-9, 1 - 1e-9))


def balanced_accuracy(thresholds: Floats, truth: npt.NDArray[np.int64], scores: Floats) -> Floats:
    """Mean of sensitivity and specificity at each threshold; a score equal to it counts as positive.

    >>> balanced_accuracy(np.array([0.1, 0.5]), np.array([0, 0, 1]), np.array([0.2, 0.3, 0.9])).tolist()
    [0.5, 1.0]
    """
    positive, negative = np.sort(scores[truth == 1]), np.sort(scores[truth == 0])
    sensitivity = 1 - np.searchsorted(positive, thresholds, side="left") / len(positive)
    specificity = np.searchsorted(negative, thresholds, side="left") / len(negative)
    return np.asarray((sensitivity + specificity) / 2)


def _only_validation(predictions: pd.DataFrame) -> None:
    other = sorted(set(predictions["split"]) - {"val"})
    if other:
        raise ValueError(f"the operating point is chosen on validation images only, got rows of {', '.join(other)}")


def _midpoints(scores: Floats) -> Floats:
    """Midway between neighbouring distinct scores, where a number lies between them."""
    distinct = np.unique(scores)
    middle = distinct[:-1] + np.diff(distinct) / 2
    return np.asarray(middle[(middle > distinct[:-1]) & (middle < 1)])
