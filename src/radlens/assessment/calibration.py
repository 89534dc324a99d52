"""Make probabilities mean what they say: one temperature for a model's logits, fitted on validation images."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar

from radlens.decision import Task, temper

# Beyond these a model is sure of everything or of nothing, whatever it sees.
_COLDEST, _HOTTEST = 0.05, 20.0


def fit_temperature(probabilities: npt.NDArray[np.float64], targets: npt.NDArray[np.int64], task: Task) -> float:
    """The temperature with the smallest log loss (Guo et al. 2017, arXiv:1706.04599).

    Each label is taken as right but for one chance in the number of images plus two (Platt 1999): without that,
    images that are all told apart would make the model sure of everything.

    Args:
        probabilities: shape (images, classes), of images that the model was not trained on.
        targets: shape (images,), or (images, classes) for multilabel.
        task: binary, multiclass or multilabel.

    Returns:
        Between 0.05 and 20; see :func:`radlens.decision.temper`.

    >>> sure = np.array([[0.01, 0.99]] * 1000)
    >>> labels = np.array([1] * 800 + [0] * 200)
    >>> round(float(temper(sure, "binary", fit_temperature(sure, labels, "binary"))[0, 1]), 2)
    0.8
    """
    if len(probabilities) == 0 or len(probabilities) != len(targets):
        raise ValueError(f"{len(probabilities)} probabilities and {len(targets)} targets; equal and above 0 expected")
    doubt = 1 / (len(targets) + 2)

    def loss(logarithm: float) -> float:
        return log_loss(temper(probabilities, task, float(np.exp(logarithm))), targets, task, doubt)

    found = minimize_scalar(loss, bounds=(np.log(_COLDEST), np.log(_HOTTEST)), method="bounded")
    return float(np.exp(found.x))


def log_loss(
    probabilities: npt.NDArray[np.float64], targets: npt.NDArray[np.int64], task: Task, doubt: float = 0.0
) -> float:
    """Mean negative logarithm of the probability of what is true; for multilabel, over images and labels.

    Args:
        probabilities: shape (images, classes).
        targets: shape (images,), or (images, classes) for multilabel.
        task: binary, multiclass or multilabel.
        doubt: the chance that a label is wrong, shared among the other answers.
    """
    logarithms = np.log(np.maximum(probabilities, 1e-15))
    if task == "multilabel":
        absent = np.log(np.maximum(1 - probabilities, 1e-15))
        right, wrong = np.where(targets == 1, logarithms, absent), np.where(targets == 1, absent, logarithms)
    else:
        right = np.take_along_axis(logarithms, targets[:, None], axis=1)
        wrong = (logarithms.sum(axis=1, keepdims=True) - right) / max(1, logarithms.shape[1] - 1)
    return float(-((1 - doubt) * right + doubt * wrong).mean())
