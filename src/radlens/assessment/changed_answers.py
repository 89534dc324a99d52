"""What a suite of changes of images does to a model's answers: figures for each change and class, the worst change,
what it costs, and a verdict.

The same figures as :mod:`radlens.assessment.framing_evidence` has for changes of framing, for any suite.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from radlens.assessment.framing_evidence import FEWEST, TOLERATED_LOSS
from radlens.assessment.framing_records import ChangeEvidence, Estimate, GroupAnswers, Verdict
from radlens.assessment.intervals import logit_limits
from radlens.assessment.paired_difference import Difference
from radlens.assessment.predictions import probabilities_of, targets_of
from radlens.dataset.manifest import DatasetInfo
from radlens.decision import decide, name_answers

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
# By name the images of each class and the question they are asked.
Groups = dict[str, tuple[Bools, int]]

# Images listed whose decision flips.
_MOST_FLIPS = 12


class Change(Protocol):
    """A change of images that keeps the label."""

    @property
    def kind(self) -> str:
        """What is changed."""

    @property
    def strength(self) -> float:
        """How much."""

    @property
    def name(self) -> str:
        """Both in words."""

    @property
    def counted(self) -> bool:
        """Whether the label is kept for certain, so that a verdict may rest on it."""


@dataclass(frozen=True)
class NamedChange:
    """A change of which no more is known; see :class:`Change`."""

    kind: str
    strength: float
    name: str
    counted: bool = True


@dataclass(frozen=True)
class TurnedImage:
    """An image whose right decision a counted change turns into a wrong one.

    Attributes:
        image: its number.
        change: the number of the change in the suite.
        predicted: what is answered under it.
        before: probability on the unchanged image, of the class (for binary the positive one) or label moved most.
        after: the same under the change.
    """

    image: int
    change: int
    predicted: str
    before: float
    after: float


@dataclass(frozen=True)
class JudgedChanges:
    """The figures of a suite of changes; see :class:`radlens.assessment.framing_records.FramingEvidence`."""

    unchanged: ChangeEvidence
    changes: tuple[ChangeEvidence, ...]
    worst: str
    worst_balanced_accuracy: Estimate
    loss: Estimate
    verdict: Verdict
    turned: tuple[TurnedImage, ...]


def judge_changes(
    suite: Sequence[Change],
    predictions: pd.DataFrame,
    answers: Sequence[npt.ArrayLike],
    info: DatasetInfo,
    threshold: float,
    confidence: float = 0.95,
) -> JudgedChanges:
    """The figures from the answers under every change.

    The loss of balanced accuracy under the worst change has an interval that holds for all counted changes together
    (Bonferroni); its standard error is taken over patients (Rao and Scott 1992, doi:10.2307/2532311).

    Args:
        suite: the changes; at least one is counted.
        predictions: answers to the unchanged images; see
            :func:`radlens.assessment.predictions.predictions_table`.
        answers: class probabilities, shape (images, classes), under each change of the suite in its order.
        info: the task and the classes.
        threshold: the operating point.
        confidence: of the intervals.
    """
    truth = targets_of(predictions, info)
    groups = _groups(truth, info)
    plain = _Answers.of(probabilities_of(predictions, info), truth, info, threshold)
    changed = [_Answers.of(np.asarray(each, dtype=np.float64), truth, info, threshold) for each in answers]
    figures = tuple(_figures(change, plain, each, groups) for change, each in zip(suite, changed, strict=True))
    counted = [number for number, change in enumerate(suite) if change.counted]
    worst = min(counted, key=lambda number: figures[number].balanced_accuracy)
    patients = predictions["patient"].to_numpy(dtype=str)
    unchanged = _figures(NamedChange("unchanged", 0.0, "unchanged"), plain, plain, groups)
    loss = _loss(plain, changed[worst], groups, patients, 1 - (1 - confidence) / len(counted))
    few = any(group.images < FEWEST for group in unchanged.groups.values())
    return JudgedChanges(
        unchanged=unchanged,
        changes=figures,
        worst=figures[worst].name,
        worst_balanced_accuracy=_balanced(changed[worst], groups, patients, confidence),
        loss=loss,
        verdict="fail" if loss.low > TOLERATED_LOSS else "warn" if few or loss.value > TOLERATED_LOSS else "pass",
        turned=_turned(counted, plain, changed, info),
    )


@dataclass(frozen=True)
class _Answers:
    """Answers to the images under one change, each of shape (images, questions): one question, or one a label."""

    right: Bools
    decided: Ints
    logits: Floats
    probability: Floats

    @classmethod
    def of(cls, probabilities: Floats, truth: Ints, info: DatasetInfo, threshold: float) -> _Answers:
        decided = decide(probabilities, info.task, threshold)
        rows, asked = len(truth), probabilities
        if info.task != "multilabel":
            column = np.ones(rows, dtype=np.int64) if info.task == "binary" else truth
            asked = probabilities[np.arange(rows), column][:, None]
        clipped = np.clip(asked, 1e-6, 1 - 1e-6)
        logits = np.log(clipped) - np.log1p(-clipped)
        return cls((decided == truth).reshape(rows, -1), decided.reshape(rows, -1), logits, asked)


def _groups(truth: Ints, info: DatasetInfo) -> Groups:
    """Groups without images are left out."""
    if info.task == "multilabel":
        named = {
            f"{prefix}{name}": (truth[:, index] == value, index)
            for index, name in enumerate(info.classes)
            for prefix, value in (("", 1), ("no ", 0))
        }
    else:
        named = {name: (truth == index, 0) for index, name in enumerate(info.classes)}
    return {name: group for name, group in named.items() if group[0].any()}


def _figures(change: Change, plain: _Answers, changed: _Answers, groups: Groups) -> ChangeEvidence:
    each = {}
    for name, (members, question) in groups.items():
        logits = changed.logits[members, question]
        low, middle, high = np.quantile(logits, [0.25, 0.5, 0.75]).tolist()
        each[name] = GroupAnswers(
            images=int(members.sum()),
            recall=float(changed.right[members, question].mean()),
            flipped=float((changed.decided != plain.decided)[members, question].mean()),
            shift=float(np.median(logits - plain.logits[members, question])),
            quartiles=(low, middle, high),
        )
    return ChangeEvidence(
        kind=change.kind,
        strength=change.strength,
        name=change.name,
        counted=change.counted,
        balanced_accuracy=float(np.mean([group.recall for group in each.values()])),
        groups=each,
    )


def _mean_and_error(values: Floats, groups: Groups, patients: npt.NDArray[np.str_]) -> tuple[float, float, int]:
    """The mean of the groups' means, its standard error over patients, and how many patients there are."""
    influence = np.zeros(len(values))
    means = []
    for members, question in groups.values():
        own = values[members, question]
        means.append(own.mean())
        influence[members] += (own - own.mean()) / len(own) / len(groups)
    _, member = np.unique(patients, return_inverse=True)
    sums = np.bincount(member, weights=influence)
    error = float(np.sqrt((sums**2).sum() * len(sums) / max(1, len(sums) - 1)))
    return float(np.mean(means)), error, len(sums)


def _balanced(answers: _Answers, groups: Groups, patients: npt.NDArray[np.str_], confidence: float) -> Estimate:
    value, error, count = _mean_and_error(answers.right.astype(np.float64), groups, patients)
    low, high = logit_limits(value, error**2, confidence, count)
    return Estimate(value=value, low=low, high=high)


def _loss(
    plain: _Answers, changed: _Answers, groups: Groups, patients: npt.NDArray[np.str_], confidence: float
) -> Estimate:
    lost = plain.right.astype(np.float64) - changed.right
    value, error, count = _mean_and_error(lost, groups, patients)
    low, high = Difference(value, error, count).limits(confidence)
    return Estimate(value=value, low=max(-1.0, low), high=min(1.0, high))


def _turned(
    counted: Sequence[int], plain: _Answers, changed: Sequence[_Answers], info: DatasetInfo
) -> tuple[TurnedImage, ...]:
    """For each image the counted change that moves its logit furthest to the wrong side; the furthest moved first."""
    furthest: dict[int, tuple[float, int]] = {}
    for number in counted:
        turned = plain.right.all(axis=1) & ~changed[number].right.all(axis=1)
        moved = np.abs(changed[number].logits - plain.logits).max(axis=1)
        for image in np.flatnonzero(turned).tolist():
            furthest[image] = max(furthest.get(image, (0.0, number)), (float(moved[image]), number))
    ranked = sorted(furthest, key=lambda image: -furthest[image][0])[:_MOST_FLIPS]
    listed = []
    for image in ranked:
        number = furthest[image][1]
        after = changed[number]
        question = int(np.abs(after.logits - plain.logits)[image].argmax())
        decided = after.decided[image] if info.task == "multilabel" else after.decided[image, 0]
        listed.append(
            TurnedImage(
                image,
                number,
                name_answers(np.array([decided]), info.task, info.classes)[0],
                float(plain.probability[image, question]),
                float(after.probability[image, question]),
            )
        )
    return tuple(listed)
