"""How good a set of answers is: point estimates, each a number or the reason why there is none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.metrics import average_precision_score, confusion_matrix, multilabel_confusion_matrix, roc_auc_score

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

METRICS = ("accuracy", "sensitivity", "specificity", "precision", "f1", "auroc", "average_precision", "brier", "ece")
# By the number of distinct scores.
_FEW_SCORES = {
    1: "all scores are equal: there is no curve, and the area is one half whatever the images",
    2: "two distinct scores: the curve has one point, and the area is the mean of sensitivity and specificity there",
}
HARD = "the answers are 0 and 1 alone, which are no probabilities"
# Those of any task.
EVERY = (*METRICS, "exact_match")
ONE_VS_REST = ("sensitivity", "specificity", "precision", "f1", "auroc", "average_precision")
ECE_BINS = 15

_ECE = (
    f"expected calibration error: mean gap between {{score}} and {{outcome}} over {ECE_BINS} bins of equally many "
    "images (equal scores share a bin); 0 is best; biased upwards when there are few images"
)
DEFINITIONS: Mapping[str, Mapping[str, str]] = {
    "binary": {
        "accuracy": "share of images answered rightly",
        "sensitivity": "share of positive images called positive (recall)",
        "specificity": "share of negative images called negative",
        "precision": "share of images called positive that are positive",
        "f1": "harmonic mean of precision and sensitivity",
        "auroc": "chance that a positive image scores above a negative one; 0.5 is guessing",
        "average_precision": "area under the precision-recall curve, as a step function; guessing gives the prevalence",
        "brier": "mean squared difference between the probability of the positive class and 0 or 1; 0 is best, 1 worst",
        "ece": _ECE.format(score="the probability of the positive class", outcome="the share of positive images"),
    },
    "multiclass": {
        "accuracy": "share of images whose most probable class is the true one",
        "sensitivity": "mean over the classes of the share of that class's images recognised (macro recall)",
        "specificity": "mean over the classes, each against the rest",
        "precision": "mean over the classes",
        "f1": "mean over the classes",
        "auroc": "mean over the classes, each against the rest",
        "average_precision": "mean over the classes, each against the rest",
        "brier": "mean over images of the sum over classes of the squared difference between probability and 0 or 1 "
        "(Brier 1950); 0 is best, 2 worst",
        "ece": _ECE.format(
            score="the probability of the predicted class (top label)", outcome="the share of right answers"
        ),
    },
    "multilabel": {
        "accuracy": "mean over the labels of the share of images answered rightly for that label",
        "exact_match": "share of images with every label right",
        "sensitivity": "mean over the labels",
        "specificity": "mean over the labels",
        "precision": "mean over the labels",
        "f1": "mean over the labels",
        "auroc": "mean over the labels",
        "average_precision": "mean over the labels",
        "brier": "mean over the labels of the mean squared difference between probability and 0 or 1; 0 is best",
        "ece": "mean over the labels of the "
        + _ECE.format(score="the probability of the label", outcome="the share of images that have it"),
    },
}


@dataclass(frozen=True)
class Estimate:
    """A number, with a remark where it says little; or None with the reason why it is not defined."""

    value: float | None
    reason: str = ""


@dataclass(frozen=True)
class Answers:
    """What one set of images was answered, as numbers.

    Attributes:
        truth: class indices, shape (images,); for multilabel 0 or 1, shape (images, classes).
        probabilities: shape (images, classes).
        predicted: like ``truth``.
        classes: the class names, in order.
    """

    truth: Ints
    probabilities: Floats
    predicted: Ints
    classes: tuple[str, ...]

    def one_vs_rest(self, index: int) -> Answers:
        """The binary question "is it this class?", with the class as the positive one."""
        if self.truth.ndim == 2:
            truth, predicted = self.truth[:, index], self.predicted[:, index]
        else:
            truth, predicted = (self.truth == index).astype(np.int64), (self.predicted == index).astype(np.int64)
        score = self.probabilities[:, index]
        name = self.classes[index]
        return Answers(truth, np.stack([1 - score, score], axis=1), predicted, (f"other than {name}", name))


def binary_metrics(answers: Answers) -> dict[str, Estimate]:
    """The nine metrics of a binary task; class 1 is the positive one.

    A ratio without a denominator is undefined, and so are AUROC and average precision when a class is absent, and the
    calibration error of hard answers. An AUROC of so few distinct scores that there is no curve says so.
    """
    truth, score = answers.truth, answers.probabilities[:, 1]
    negative, positive = answers.classes
    (tn, fp), (fn, tp) = confusion_matrix(truth, answers.predicted, labels=[0, 1]).tolist()
    no_positive, no_negative = f"no image is {positive}", f"no image is {negative}"
    ranks = {"auroc": Estimate(None, no_positive), "average_precision": Estimate(None, no_positive)}
    if tp + fn:
        ranks["average_precision"] = Estimate(float(average_precision_score(truth, score)))
        area = Estimate(None, no_negative)
        if tn + fp:
            area = Estimate(float(roc_auc_score(truth, score)), _FEW_SCORES.get(len(np.unique(score)), ""))
        ranks["auroc"] = area
    return {
        "accuracy": _ratio(tp + tn, len(truth), "no image"),
        "sensitivity": _ratio(tp, tp + fn, no_positive),
        "specificity": _ratio(tn, tn + fp, no_negative),
        "precision": _ratio(tp, tp + fp, f"no image was called {positive}"),
        "f1": _ratio(2 * tp, 2 * tp + fp + fn, f"no image is or was called {positive}"),
        **ranks,
        "brier": Estimate(float(np.mean((score - truth) ** 2))),
        "ece": _calibration_error(score, truth),
    }


def multiclass_metrics(answers: Answers) -> dict[str, Estimate]:
    """The nine metrics of a multiclass task: overall accuracy, macro averages, multi-class Brier, top-label ECE.

    A macro average over the classes is undefined as soon as it is for one class.
    """
    each = per_class_metrics(answers)
    score, right = top_label(answers)
    return {
        "accuracy": Estimate(float(right.mean())),
        **{name: macro(name, each) for name in ONE_VS_REST},
        "brier": Estimate(float(squared_errors(answers).mean())),
        "ece": _calibration_error(score, right),
    }


def multilabel_metrics(answers: Answers) -> dict[str, Estimate]:
    """The nine metrics of a multilabel task, each the mean over the labels, and ``exact_match``."""
    each = {name: binary_metrics(answers.one_vs_rest(index)) for index, name in enumerate(answers.classes)}
    exact = (answers.predicted == answers.truth).all(axis=1)
    return {**{name: macro(name, each) for name in METRICS}, "exact_match": Estimate(float(exact.mean()))}


def per_class_metrics(answers: Answers) -> dict[str, dict[str, Estimate]]:
    """The metrics of each class against the rest, by class name."""
    each = {}
    for index, name in enumerate(answers.classes):
        block = binary_metrics(answers.one_vs_rest(index))
        each[name] = {metric: block[metric] for metric in ONE_VS_REST}
    return each


def macro(metric: str, each: Mapping[str, Mapping[str, Estimate]]) -> Estimate:
    """The mean over the classes, with what is to be said of each of them; or why there is none."""
    undefined = [f"{name}: {block[metric].reason}" for name, block in each.items() if block[metric].value is None]
    if undefined:
        return Estimate(None, f"undefined for {len(undefined)} of {len(each)} classes ({'; '.join(undefined)})")
    remarks = {block[metric].reason for block in each.values()}
    mean = float(np.mean([block[metric].value for block in each.values()]))
    return Estimate(mean, remarks.pop() if len(remarks) == 1 else "")


def confusion(answers: Answers) -> list[list[int]] | list[list[list[int]]]:
    """Counts with true classes as rows and predicted classes as columns; for multilabel one such 2 x 2 a label."""
    if answers.truth.ndim == 2:
        counts = multilabel_confusion_matrix(answers.truth, answers.predicted)
    else:
        counts = confusion_matrix(answers.truth, answers.predicted, labels=range(len(answers.classes)))
    return list(counts.tolist())


def top_label(answers: Answers) -> tuple[Floats, Ints]:
    """For each image of a multiclass task, the probability of the class answered, and 1 where it is right, else 0."""
    score = np.take_along_axis(answers.probabilities, answers.predicted[:, None], axis=1)[:, 0]
    return score, (answers.predicted == answers.truth).astype(np.int64)


def squared_errors(answers: Answers) -> Floats:
    """For each image of a multiclass task, the sum over classes of the squared error; its mean is the Brier score."""
    outcome = np.eye(len(answers.classes))[answers.truth]
    return np.asarray(((answers.probabilities - outcome) ** 2).sum(axis=1))


def equal_mass_bins(scores: npt.ArrayLike, bins: int = ECE_BINS) -> Ints:
    """The bin of each score, 0 to ``bins - 1``, with equally many scores in each as far as ties allow.

    Equal scores share a bin (that of their middle rank), so the order of the rows does not matter.

    >>> equal_mass_bins([0.1, 0.9, 0.4, 0.6], bins=2).tolist()
    [0, 1, 0, 1]
    """
    _, place, counts = np.unique(np.asarray(scores), return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - counts / 2
    return np.asarray(np.floor(bins * middle / counts.sum()), dtype=np.int64)[place]


def expected_calibration_error(scores: Floats, outcomes: Sequence[int] | Ints, bins: int = ECE_BINS) -> float:
    """Mean absolute gap between score and outcome over bins of equal mass (Naeini et al. 2015, Nixon et al. 2019).

    >>> expected_calibration_error(np.array([0.25, 0.75]), [0, 1])
    0.25
    """
    gaps = np.bincount(equal_mass_bins(scores, bins), weights=scores - np.asarray(outcomes), minlength=bins)
    return float(np.abs(gaps).sum() / len(scores))


def are_hard(scores: npt.ArrayLike) -> bool:
    """Whether all scores are exactly 0 or 1: answers of a tree, of a reader, of a saturated network.

    >>> are_hard([0.0, 1.0, 1.0]), are_hard([0.0, 0.5])
    (True, False)
    """
    return bool(np.isin(np.asarray(scores), (0.0, 1.0)).all())


def _calibration_error(scores: Floats, outcomes: Ints) -> Estimate:
    return Estimate(None, HARD) if are_hard(scores) else Estimate(expected_calibration_error(scores, outcomes))


def _ratio(part: float, whole: float, reason: str) -> Estimate:
    return Estimate(part / whole) if whole else Estimate(None, reason)
