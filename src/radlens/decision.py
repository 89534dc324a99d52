"""From probabilities to an answer: the same function in evaluation and in deployment, in plain NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Task = Literal["binary", "multiclass", "multilabel"]
CalibrationKind = Literal["none", "temperature", "platt", "beta", "isotonic"]

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


def prediction_sets(probabilities: npt.NDArray[np.floating], least: Sequence[float]) -> npt.NDArray[np.bool_]:
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

    >>> sets, unfamiliarity = np.array([[0, 1], [1, 1], [1, 0]], bool), np.array([0.5, 0.6, 2])
    >>> commit(["ill", "ill", "well"], ["well", "ill"], sets, unfamiliarity)
    ['ill', 'refer', 'refuse']
    """
    answers = list(predicted)
    if sets is not None:
        alone = sets.sum(axis=1) == 1
        answers = [
            name if single and classes[member] == name else REFER
            for name, single, member in zip(answers, alone, sets.argmax(axis=1), strict=True)
        ]
    if unfamiliarity is not None:
        answers = [REFUSE if far > 1 else name for name, far in zip(answers, unfamiliarity, strict=True)]
    return answers


def name_answers(answers: npt.NDArray[np.int64], task: Task, classes: Sequence[str]) -> list[str]:
    """The class names of what :func:`decide` gave; for multilabel the names joined by ``|``, empty for none.

    >>> name_answers(np.array([[1, 0, 1]]), "multilabel", ["effusion", "mass", "nodule"])
    ['effusion|nodule']
    """
    if task != "multilabel":
        return [classes[answer] for answer in answers]
    return ["|".join(name for name, on in zip(classes, row, strict=True) if on) for row in answers]


@dataclass(frozen=True)
class Calibration:
    """From a network's probabilities to those that mean what they say, as plain numbers.

    Attributes:
        kind: ``none``: as they are. ``temperature`` and ``line``: along a line of the logits, see :func:`recalibrate`.
            ``beta``: Kull et al. 2017, doi:10.1214/17-EJS1338SI. ``isotonic``: a rising line through points (Zadrozny
            and Elkan 2002, doi:10.1145/775047.775151). The last two are of binary and multilabel tasks.
        numbers: none; the slope; slope and offset; a, b and c of ``a ln p - b ln(1 - p) + c``, the new logit; the
            points' probabilities before, then as many after.

    Raises:
        ValueError: numbers that the kind cannot have.

    >>> rising = Calibration("isotonic", (0.0, 0.5, 1.0, 0.1, 0.2, 0.9))
    >>> rising.apply(np.array([[0.75, 0.25]]), "binary").round(3).tolist()
    [[0.85, 0.15]]
    """

    kind: CalibrationKind = "none"
    numbers: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not (np.isfinite(self.numbers).all() and self._fits()):
            raise ValueError(f"a calibration of kind {self.kind} cannot have the numbers {self.numbers}")

    def _fits(self) -> bool:
        if self.kind == "isotonic":
            before, after = self.points
            rising = len(before) > 0 and (np.diff(before) > 0).all() and (np.diff(after) >= 0).all()
            return bool(rising) and len(self.numbers) % 2 == 0
        if len(self.numbers) != {"none": 0, "temperature": 1, "platt": 2, "beta": 3}[self.kind]:
            return False
        return min(self.numbers[:2]) >= 0 if self.kind == "beta" else self.slope > 0

    @property
    def slope(self) -> float:
        """What the logits are multiplied by; 1 where they are not moved along a line."""
        return self.numbers[0] if self.kind in ("temperature", "platt") else 1.0

    @property
    def offset(self) -> float:
        """What is added to the logits after that; 0 where they are not moved along a line."""
        return self.numbers[1] if self.kind == "platt" else 0.0

    @property
    def points(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Of ``isotonic``: probabilities before and after; between them it is straight, beyond them level."""
        half = len(self.numbers) // 2
        return np.array(self.numbers[:half]), np.array(self.numbers[half:])

    def apply(self, probabilities: npt.NDArray[np.floating], task: Task) -> npt.NDArray[np.float64]:
        """Calibrated probabilities, shape (images, classes), as :func:`recalibrate` takes and gives them.

        Raises:
            ValueError: ``beta`` or ``isotonic`` for a multiclass task.
        """
        if self.kind not in ("beta", "isotonic"):
            return recalibrate(probabilities, task, self.slope, self.offset)
        if task == "multiclass":
            raise ValueError(f"a multiclass task has no calibration of kind {self.kind}")
        inside = np.clip(np.asarray(probabilities, dtype=np.float64), 1e-15, 1 - 1e-15)
        if self.kind == "beta":
            first, second, constant = self.numbers
            moved = 1 / (1 + np.exp(-first * np.log(inside) + second * np.log1p(-inside) - constant))
        else:
            moved = np.interp(inside, *self.points)
        if task == "binary":
            moved[:, 0] = 1 - moved[:, 1]
        return np.asarray(moved)


def adjust_prevalence(
    probabilities: npt.NDArray[np.floating], task: Task, before: Sequence[float], after: Sequence[float]
) -> npt.NDArray[np.float64]:
    """Probabilities for a place where the classes are more or less frequent (Saerens et al. 2002, equation 2.4,
    doi:10.1162/089976602753284446).

    It is right when nothing but the frequencies differs: images of each class look as they did before.

    Args:
        probabilities: shape (images, classes), calibrated where the frequencies were ``before``.
        task: ``binary`` and ``multiclass`` redistribute each image's probability; ``multilabel`` moves each column.
        before: frequency of each class, in (0, 1); for binary and multiclass they add up to 1.
        after: the same where the model is to be used.

    Raises:
        ValueError: frequencies that there cannot be.

    >>> adjust_prevalence(np.array([[0.5, 0.5]]), "binary", (0.5, 0.5), (0.9, 0.1)).round(3).tolist()
    [[0.9, 0.1]]
    """
    old, new = np.asarray(before, dtype=np.float64), np.asarray(after, dtype=np.float64)
    for shares in (old, new):
        adds_up = task == "multilabel" or abs(shares.sum() - 1) < 1e-6
        if shares.shape != probabilities.shape[1:] or not ((shares > 0) & (shares < 1)).all() or not adds_up:
            raise ValueError(f"expected the frequency of each class, got {shares.tolist()}")
    present = np.asarray(probabilities, dtype=np.float64) * (new / old)
    if task == "multilabel":
        absent = (1 - np.asarray(probabilities, dtype=np.float64)) * ((1 - new) / (1 - old))
        return np.asarray(present / (present + absent))
    return np.asarray(present / present.sum(axis=1, keepdims=True))


# What may choose an operating point: these weigh one kind of error against the other, ...
WEIGHING_RULES = ("balanced", "youden", "cost")
# ... and these reach a stated target, as in sensitivity:0.95.
TARGET_RULES = ("sensitivity", "specificity")


@dataclass(frozen=True)
class OperatingPoint:
    """How an operating point was chosen on validation images, and how well it is known what it does.

    Attributes:
        rule: the setting it was chosen by.
        sensitivity: on the images it was chosen on, for multilabel the mean over the labels, as all that follows.
        sensitivity_low: what it is at least, with the confidence.
        specificity: on the same images.
        specificity_low: what it is at least, with the confidence.
        confidence: of each lower bound by itself.
        positive_patients: patients with a positive image; for multilabel of the label that has fewest.
        negative_patients: patients with a negative image, likewise.
        cost_missed: of the rule ``cost``: what it costs to miss a positive image; None: another rule, or not known.
        cost_alarm: of the same: what it costs to call a negative image positive.
        cost_prevalence: of the same: share of positive images that was reckoned with; None: that of the validation
            images.
        copies: how many changed copies of each of these images the rule went by too.
    """

    rule: str
    sensitivity: float
    sensitivity_low: float
    specificity: float
    specificity_low: float
    confidence: float
    positive_patients: int
    negative_patients: int
    cost_missed: float | None = None
    cost_alarm: float | None = None
    cost_prevalence: float | None = None
    copies: int = 0
