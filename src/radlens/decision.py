"""From probabilities to an answer: the same function in evaluation and in deployment, in plain NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

Task = Literal["binary", "multiclass", "multilabel"]

# What stands in place of a class where the model does not commit itself.
REFER, REFUSE = "refer", "refuse"


def decide(probabilities: npt.NDArray[np.floating], task: Task, threshold: float = 0.5) -> npt.NDArray[np.int64]:
    """Turn class probabilities into predicted classes.

    Args:
        probabilities: shape (images, classes), values in [0, 1]. For ``binary`` column 1 is the positive class.
        task: ``binary`` and ``multilabel`` compare with the threshold; ``multiclass`` takes the most probable class.
        threshold: the operating point, in (0, 1); a probability equal to it counts as positive.

    Returns:
        ``binary`` and ``multiclass``: class indices, shape (images,). ``multilabel``: 0 or 1, shape (images, classes).

    >>> decide(np.array([[0.8, 0.2], [0.3, 0.7]]), "binary")
    array([0, 1])
    """
    if probabilities.ndim != 2:
        raise ValueError(f"probabilities must have shape (images, classes), got {probabilities.shape}")
    if not 0 < threshold < 1:
        raise ValueError(f"threshold must lie in (0, 1), got {threshold}")
    if task == "binary":
        return np.asarray(probabilities[:, 1] >= threshold, dtype=np.int64)
    if task == "multiclass":
        return np.asarray(probabilities.argmax(axis=1), dtype=np.int64)
    return np.asarray(probabilities >= threshold, dtype=np.int64)


def recalibrate(
    probabilities: npt.NDArray[np.floating], task: Task, slope: float, offset: float = 0.0
) -> npt.NDArray[np.float64]:
    """Move probabilities along a line of their logits (Platt 1999; with no offset, Guo et al. 2017, arXiv:1706.04599).

    Args:
        probabilities: shape (images, classes), values in [0, 1].
        task: ``binary`` moves the positive class, ``multilabel`` each column by itself; ``multiclass`` knows no offset.
        slope: above 0; below 1 the answers become less sure. It is one over the temperature. With 1 and no offset the
            probabilities are given back as they are.
        offset: added to the logits; above 0 raises the probabilities.

    Returns:
        Shape (images, classes); what is within 1e-15 of 0 or 1 counts as that far. The order of the images stays, and
        for ``multiclass`` the most probable class.

    Raises:
        ValueError: the slope is not above 0, or a multiclass task has an offset.

    >>> recalibrate(np.array([[0.1, 0.9]]), "binary", 0.5).round(3).tolist()
    [[0.25, 0.75]]
    """
    if not slope > 0 or (task == "multiclass" and offset):
        raise ValueError(f"slope must be above 0, and offset 0 for multiclass, got {slope} and {offset}")
    if slope == 1 and offset == 0:
        return np.asarray(probabilities, dtype=np.float64)
    inside = np.clip(np.asarray(probabilities, dtype=np.float64), 1e-15, 1 - 1e-15)
    if task == "multiclass":
        powers = np.exp((np.log(inside) - np.log(inside).max(axis=1, keepdims=True)) * slope)
        return np.asarray(powers / powers.sum(axis=1, keepdims=True))
    moved = 1 / (1 + np.exp(-slope * (np.log(inside) - np.log1p(-inside)) - offset))
    if task == "binary":
        moved[:, 0] = 1 - moved[:, 1]
    return np.asarray(moved)


def prediction_sets(
    probabilities: npt.NDArray[np.floating], least: Sequence[float]
) -> npt.NDArray[np.bool_]:
    """The classes that a conformal prediction leaves possible; see :mod:`radlens.assessment.conformal`.

    Args:
        probabilities: shape (images, classes), values in [0, 1].
        least: for each class the least probability with which it stays in the set.

    Returns:
        Shape (images, classes). A set may hold one class, several or none.

    >>> prediction_sets(np.array([[0.9, 0.1], [0.4, 0.6]]), [0.3, 0.5]).tolist()
    [[True, False], [True, True]]
    """
    if probabilities.ndim != 2 or probabilities.shape[1] != len(least):
        raise ValueError(f"{len(least)} limits do not fit probabilities of shape {probabilities.shape}")
    return np.asarray(probabilities >= np.asarray(least))


def commit(
    predicted: Sequence[str],
    classes: Sequence[str],
    sets: npt.NDArray[np.bool_] | None = None,
    unfamiliarity: npt.NDArray[np.floating] | None = None,
) -> list[str]:
    """The answers that the model stands by.

    Args:
        predicted: the class of each image at the operating point.
        classes: the names of the classes, in the order of the columns of ``sets``.
        sets: what :func:`prediction_sets` gave; None: the model carries no limits.
        unfamiliarity: of each image; above 1 it is unlike the training images. None: the model cannot tell.

    Returns:
        For each image its class; ``refer`` where the set is not that class alone: a person should look; ``refuse``
        where the image is unlike those that the model was trained on: its answer would mean nothing.

    >>> commit(["ill", "ill", "well"], ["well", "ill"], np.array([[0, 1], [1, 1], [1, 0]], bool), np.array([0.5, 0.6, 2]))
    ['ill', 'refer', 'refuse']
    """
    found = list(predicted)
    if sets is not None:
        alone = sets.sum(axis=1) == 1
        found = [
            name if one and classes[chosen] == name else REFER
            for name, one, chosen in zip(found, alone, sets.argmax(axis=1), strict=True)
        ]
    if unfamiliarity is not None:
        found = [REFUSE if far > 1 else name for name, far in zip(found, unfamiliarity, strict=True)]
    return found


def name_answers(answers: npt.NDArray[np.int64], task: Task, classes: Sequence[str]) -> list[str]:
    """The class names of what :func:`decide` gave; for multilabel the names joined by ``|``, empty for none.

    >>> name_answers(np.array([[1, 0, 1]]), "multilabel", ["effusion", "mass", "nodule"])
    ['effusion|nodule']
    """
    if task != "multilabel":
        return [classes[answer] for answer in answers]
    return ["|".join(name for name, on in zip(classes, row, strict=True) if on) for row in answers]
