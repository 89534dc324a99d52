"""Where a score becomes an answer: a fixed threshold, or one chosen on validation images and never on test images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from radlens.assessment.predictions import probabilities_of, targets_of
from radlens.base.errors import DataError
from radlens.config import EvaluateSettings
from radlens.dataset.manifest import DatasetInfo
from radlens.decision import WEIGHING_RULES, OperatingPoint
from radlens.statistics.proportions import clustered_wilson

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Costs:
    """What wrong answers cost, and how often the disease is met.

    Attributes:
        missed: a positive image called negative.
        alarm: a negative image called positive.
        prevalence: share of positive images where the model is used; None: as among the images chosen on.
    """

    missed: float = 1.0
    alarm: float = 1.0
    prevalence: float | None = None


def choose_operating_point(
    settings: EvaluateSettings, predictions: pd.DataFrame, info: DatasetInfo, copies: Sequence[pd.DataFrame] = ()
) -> tuple[float, OperatingPoint | None]:
    """The threshold that the settings ask for, and what is known of it; see :func:`choose_threshold`.

    Args:
        settings: the rule, its costs, and the confidence of the bounds.
        predictions: rows of the validation split alone.
        info: the task and the classes.
        copies: predictions on changed copies of the same images. ``balanced``, ``youden`` and ``cost`` go by images
            and copies together: a threshold between two scores that a little noise would move is not a good one. A
            target is one on the images themselves, and so are the bounds.

    Returns:
        The threshold and its record; None for multiclass, and where an image of one kind is missing for a label.
    """
    costs = Costs(settings.cost_missed, settings.cost_alarm, settings.cost_prevalence)
    weighed = copies if settings.threshold in WEIGHING_RULES else ()
    threshold = choose_threshold(settings.threshold, pd.concat([predictions, *weighed]), info, costs)
    point = describe_operating_point(settings.threshold, threshold, predictions, info, settings.confidence)
    if point is None:
        return threshold, None
    point = replace(point, copies=len(weighed))
    if settings.threshold == "cost":
        point = replace(point, cost_missed=costs.missed, cost_alarm=costs.alarm, cost_prevalence=costs.prevalence)
    return threshold, point


def choose_threshold(
    setting: float | str, predictions: pd.DataFrame, info: DatasetInfo, costs: Costs = Costs()
) -> float:
    """The threshold that the setting asks for.

    A chosen one lies midway between two neighbouring scores. For multilabel it is common to all labels, and what is
    best is the mean over them.

    Args:
        setting: a probability in (0, 1), taken as it is. ``balanced`` or ``youden``: the highest balanced accuracy,
            mean of sensitivity and specificity, which is half of Youden's index plus a half (1950,
            doi:10.1002/1097-0142(1950)3:1<32::AID-CNCR2820030106>3.0.CO;2-3). ``cost``: the least expected cost. Of
            several equally good ones the one nearest to 0.5 is taken. ``sensitivity:0.95``: the highest threshold that
            still reaches it; ``specificity:0.9``: the lowest.
        predictions: rows of the validation split alone; their ``predicted`` column is not looked at.
        info: the task and the classes. A multiclass task takes the most probable class and has no threshold: 0.5.
        costs: for ``cost``.

    Raises:
        ValueError: a row is not of the validation split.
        DataError: a threshold is to be chosen, and a class or label has no validation image, or all scores are equal;
            or one for a sensitivity or specificity of a multilabel task.
    """
    _only_validation(predictions)
    if info.task == "multiclass":
        return 0.5
    if isinstance(setting, int | float):
        return float(setting)
    rule, _, target = setting.partition(":")
    if target and info.task != "binary":
        raise DataError(
            f"A threshold for a {rule} is of one label, and this task has {len(info.classes)}. "
            "Give a fixed one (evaluate.threshold=0.5), balanced or cost."
        )
    truth, scores = _columns(predictions, info)
    for name, column in zip(info.classes[-truth.shape[1] :], truth.T, strict=True):
        if len(np.unique(column)) < 2:
            raise DataError(
                f"The threshold cannot be chosen: the validation images are all with or all without {name}. "
                "Give a fixed one (evaluate.threshold=0.5) or a larger validation split."
            )
    if rule == "sensitivity":
        return threshold_for_sensitivity(float(target), predictions, info)
    if rule == "specificity":
        return threshold_for_specificity(float(target), predictions, info)
    return cheapest_threshold(truth, scores, costs) if rule == "cost" else balanced_threshold(truth, scores)


def describe_operating_point(
    setting: float | str, threshold: float, predictions: pd.DataFrame, info: DatasetInfo, confidence: float
) -> OperatingPoint | None:
    """What a threshold does on validation images, with lower bounds from the clustered Wilson interval.

    The threshold was fitted to these very images, so that both are a little better than on others.

    Args:
        setting: what it was chosen by.
        threshold: in (0, 1).
        predictions: rows of the validation split alone.
        info: the task and the classes.
        confidence: of each bound by itself: one-sided, such as 0.95.

    Returns:
        None for a multiclass task, and where an image of one kind is missing for a label.
    """
    _only_validation(predictions)
    if info.task == "multiclass" or not len(predictions):
        return None
    truth, scores = _columns(predictions, info)
    owners = predictions["patient"].to_numpy(dtype=str)
    if not ((truth == 1).any(axis=0) & (truth == 0).any(axis=0)).all():
        return None
    shares: dict[int, list[tuple[float, float, int]]] = {1: [], 0: []}
    for column, score in zip(truth.T, scores.T, strict=True):
        for kind, label_shares in shares.items():
            base = column == kind
            success = (score[base] >= threshold) == (kind == 1)
            # The low end of a two-sided interval with twice the tail is the one-sided bound.
            low, _ = clustered_wilson(success, owners[base], 2 * confidence - 1)
            label_shares.append((float(success.mean()), low, len(np.unique(owners[base]))))
    means = {
        kind: np.mean([entry[:2] for entry in label_shares], axis=0).tolist() for kind, label_shares in shares.items()
    }
    return OperatingPoint(
        rule=str(setting),
        sensitivity=means[1][0],
        sensitivity_low=means[1][1],
        specificity=means[0][0],
        specificity_low=means[0][1],
        confidence=confidence,
        positive_patients=min(entry[2] for entry in shares[1]),
        negative_patients=min(entry[2] for entry in shares[0]),
    )


def balanced_threshold(truth: Ints, scores: Floats) -> float:
    """The common threshold with the highest mean balanced accuracy; of several the nearest to 0.5.

    Args:
        truth: 0 or 1, shape (images, labels); each label has images of both kinds.
        scores: in [0, 1], shape (images, labels).

    Raises:
        DataError: all scores are equal.
    """
    return _best_threshold(truth, scores, balanced_accuracy)


def cheapest_threshold(truth: Ints, scores: Floats, costs: Costs) -> float:
    """The common threshold with the least expected cost (Metz 1978, doi:10.1016/S0001-2998(78)80014-2).

    Below the lowest score everyone is called positive, above the highest no one; where that costs least, it is so.

    Args:
        truth: 0 or 1, shape (images, labels); each label has images of both kinds.
        scores: in [0, 1], shape (images, labels).
        costs: of wrong answers, and how often each kind is met.

    Raises:
        DataError: all scores are equal.
    """

    def saved(thresholds: Floats, column: Ints, score: Floats) -> Floats:
        prevalence = float(column.mean()) if costs.prevalence is None else costs.prevalence
        sensitivity, specificity = rates(thresholds, column, score)
        missed, alarms = prevalence * (1 - sensitivity), (1 - prevalence) * (1 - specificity)
        return np.asarray(-(costs.missed * missed + costs.alarm * alarms))

    lowest, highest = float(scores.min()) / 2, (float(scores.max()) + 1) / 2
    return _best_threshold(truth, scores, saved, [end for end in (lowest, highest) if 0 < end < 1])


def threshold_for_sensitivity(target: float, predictions: pd.DataFrame, info: DatasetInfo) -> float:
    """The highest threshold at which the predictions of a binary task still reach a sensitivity.

    It lies midway to the next lower score, or is that score's half where there is none, so that no case of the
    validation images lies on it.

    Args:
        target: the sensitivity, in (0, 1].
        predictions: rows of the validation split alone.
        info: the task and the classes.

    Raises:
        ValueError: a row is not of the validation split, or the target is not a share.
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


def threshold_for_specificity(target: float, predictions: pd.DataFrame, info: DatasetInfo) -> float:
    """The lowest threshold at which the predictions of a binary task still reach a specificity.

    It lies midway to the next higher score, or to 1 where there is none.

    Args:
        target: the specificity, in (0, 1].
        predictions: rows of the validation split alone.
        info: the task and the classes.

    Raises:
        ValueError: a row is not of the validation split, or the target is not a share.
        DataError: no validation image is of the negative class.
    """
    _only_validation(predictions)
    if not 0 < target <= 1:
        raise ValueError(f"a specificity lies in (0, 1], got {target}")
    scores = probabilities_of(predictions, info)[:, 1]
    negative = np.sort(scores[targets_of(predictions, info) == 0])
    if not len(negative):
        raise DataError(f"No validation image is of the class {info.classes[0]}: no threshold has a specificity.")
    highest = negative[int(np.ceil(target * len(negative) - 1e-9)) - 1]
    above = scores[scores > highest]
    middle = (highest + above.min()) / 2 if len(above) else (highest + 1) / 2
    return float(np.clip(middle, 1e-9, 1 - 1e-9))


def balanced_accuracy(thresholds: Floats, truth: Ints, scores: Floats) -> Floats:
    """Mean of sensitivity and specificity at each threshold; a score equal to it counts as positive.

    >>> balanced_accuracy(np.array([0.1, 0.5]), np.array([0, 0, 1]), np.array([0.2, 0.3, 0.9])).tolist()
    [0.5, 1.0]
    """
    return np.asarray(np.mean(rates(thresholds, truth, scores), axis=0))


def rates(thresholds: Floats, truth: Ints, scores: Floats) -> tuple[Floats, Floats]:
    """Sensitivity and specificity at each threshold; a score equal to it counts as positive."""
    positive, negative = np.sort(scores[truth == 1]), np.sort(scores[truth == 0])
    sensitivity = 1 - np.searchsorted(positive, thresholds, side="left") / len(positive)
    specificity = np.searchsorted(negative, thresholds, side="left") / len(negative)
    return np.asarray(sensitivity), np.asarray(specificity)


def _best_threshold(
    truth: Ints, scores: Floats, quality: Callable[[Floats, Ints, Floats], Floats], ends: Sequence[float] = ()
) -> float:
    candidates = _midpoints(scores)
    if not len(candidates):
        raise DataError(
            "The threshold cannot be chosen: every validation image has the same score, and a model that gives such "
            "scores has learned nothing. Train longer or with a higher learning rate, or give a fixed threshold "
            "(evaluate.threshold=0.5)."
        )
    candidates = np.concatenate([candidates, ends])
    means = np.mean(
        [quality(candidates, column, score) for column, score in zip(truth.T, scores.T, strict=True)], axis=0
    )
    best = candidates[means >= means.max() - 1e-12]
    return float(best[np.abs(best - 0.5).argmin()])


def _columns(predictions: pd.DataFrame, info: DatasetInfo) -> tuple[Ints, Floats]:
    """Truth and scores of each label, shape (images, labels); a binary task has one."""
    truth, scores = targets_of(predictions, info), probabilities_of(predictions, info)
    return (truth[:, None], scores[:, 1:]) if info.task == "binary" else (truth, scores)


def _only_validation(predictions: pd.DataFrame) -> None:
    other = sorted(set(predictions["split"]) - {"val"})
    if other:
        raise ValueError(f"the operating point is chosen on validation images only, got rows of {', '.join(other)}")


def _midpoints(scores: Floats) -> Floats:
    """Midway between neighbouring distinct scores, where a number lies between them."""
    distinct = np.unique(scores)
    middle = distinct[:-1] + np.diff(distinct) / 2
    return np.asarray(middle[(middle > distinct[:-1]) & (middle < 1)])
