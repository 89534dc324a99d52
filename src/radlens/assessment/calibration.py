"""Make probabilities mean what they say: a line through a model's logits, fitted on validation images."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from radlens.decision import Task, recalibrate

# Beyond these a model is sure of everything or of nothing, whatever it sees.
_SLOPES, _OFFSETS = (0.05, 20.0), (-10.0, 10.0)


def fit_calibration(
    probabilities: npt.NDArray[np.float64], targets: npt.NDArray[np.int64], task: Task, *, offset: bool = True
) -> tuple[float, float]:
    """Slope and offset with the smallest log loss (Platt 1999); for multiclass the slope alone (Guo et al. 2017,
    arXiv:1706.04599).

    Each label is taken as right but for one chance in the number of images plus two, as Platt does: without that,
    images that are all told apart would make the model sure of everything.

    Args:
        probabilities: shape (images, classes), of images that the model was not trained on.
        targets: shape (images,), or (images, classes) for multilabel.
        task: binary, multiclass or multilabel.
        offset: False: the slope alone, whatever the task.

    Returns:
        For :func:`radlens.decision.recalibrate`: a slope between 0.05 and 20, an offset between -10 and 10.

    >>> sure = np.array([[0.01, 0.99]] * 800 + [[0.9, 0.1]] * 800)
    >>> labels = np.array(([1] * 3 + [0]) * 200 + ([0] * 3 + [1]) * 200)
    >>> recalibrate(sure, "binary", *fit_calibration(sure, labels, "binary"))[[0, -1], 1].round(2).tolist()
    [0.75, 0.25]
    """
    if len(probabilities) == 0 or len(probabilities) != len(targets):
        raise ValueError(f"{len(probabilities)} probabilities and {len(targets)} targets; equal and above 0 expected")
    doubt = 1 / (len(targets) + 2)

    def loss(values: npt.NDArray[np.float64]) -> float:
        moved = recalibrate(probabilities, task, float(np.exp(values[0])), float(values[1]) if len(values) > 1 else 0.0)
        return log_loss(moved, targets, task, doubt)

    limits = [tuple(np.log(_SLOPES)), _OFFSETS][: 2 if offset and task != "multiclass" else 1]
    optimum = minimize(
        loss, np.zeros(len(limits)), method="Nelder-Mead", bounds=limits, options={"xatol": 1e-6, "fatol": 1e-9}
    )
    return float(np.exp(optimum.x[0])), float(optimum.x[1]) if len(limits) > 1 else 0.0


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
