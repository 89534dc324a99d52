"""Answers to the same images under one framing, class by class: what is right, and where the logits lie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from radlens.dataset.manifest import DatasetInfo
from radlens.decision import Task, decide
from radlens.runtime.framing_records import ChangeEvidence, GroupAnswers
from radlens.statistics.paired_difference import Difference

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
# By name of a group: which images are of it, shape (images,), and the question that they are asked.
Groups = dict[str, tuple[Bools, int]]


class Change(Protocol):
    """A change of images that keeps their labels: of framing, or of a suite of another kind."""

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
class FramedAnswers:
    """Answers under one framing, each of shape (images, questions): one question, or for multilabel one a label.

    Attributes:
        right: whether the decision is the truth.
        decided: the class index; for multilabel 0 or 1.
        logits: of the probability asked for.
        probability: for binary of the positive class, for multiclass of the true one, for multilabel of each label.
    """

    right: Bools
    decided: Ints
    logits: Floats
    probability: Floats

    @classmethod
    def of(cls, probabilities: Floats, truth: Ints, info: DatasetInfo, threshold: float) -> FramedAnswers:
        """The answers that follow from class probabilities, shape (images, classes), at an operating point."""
        decided = decide(probabilities, info.task, threshold)
        asked = _asked(probabilities, truth, info.task)
        clipped = np.clip(asked, 1e-6, 1 - 1e-6)
        logits = np.log(clipped) - np.log1p(-clipped)
        rows = len(truth)
        return cls((decided == truth).reshape(rows, -1), decided.reshape(rows, -1), logits, asked)


def _asked(probabilities: Floats, truth: Ints, task: Task) -> Floats:
    """The probabilities whose logits are compared, shape (images, questions)."""
    if task == "multilabel":
        return probabilities
    column = np.ones(len(truth), dtype=np.int64) if task == "binary" else truth
    return probabilities[np.arange(len(truth)), column][:, None]


def groups_of(truth: Ints, info: DatasetInfo) -> Groups:
    """By name the images of each group and the question they are asked; groups without images are left out."""
    if info.task == "multilabel":
        named = {
            f"{prefix}{name}": (truth[:, index] == value, index)
            for index, name in enumerate(info.classes)
            for prefix, value in (("", 1), ("no ", 0))
        }
    else:
        named = {name: (truth == index, 0) for index, name in enumerate(info.classes)}
    return {name: group for name, group in named.items() if group[0].any()}


def figures_of(change: Change | None, plain: FramedAnswers, changed: FramedAnswers, groups: Groups) -> ChangeEvidence:
    """The figures of one change.

    Args:
        change: what was done to the images; None: nothing.
        plain: answers to the unchanged images.
        changed: answers under the change.
        groups: see :func:`groups_of`.
    """
    each = {}
    for group, (members, question) in groups.items():
        logits = changed.logits[members, question]
        low, middle, high = np.quantile(logits, [0.25, 0.5, 0.75]).tolist()
        each[group] = GroupAnswers(
            images=int(members.sum()),
            recall=float(changed.right[members, question].mean()),
            flipped=float((changed.decided != plain.decided)[members, question].mean()),
            shift=float(np.median(logits - plain.logits[members, question])),
            quartiles=(low, middle, high),
        )
    return ChangeEvidence(
        kind=change.kind if change else "unchanged",
        strength=change.strength if change else 0.0,
        name=change.name if change else "unchanged",
        counted=change is None or change.counted,
        balanced_accuracy=float(np.mean([group.recall for group in each.values()])),
        groups=each,
    )


def mean_of_means(values: Floats, groups: Groups, patients: npt.NDArray[np.str_]) -> Difference:
    """The mean of the groups' means, with its standard error over patients (Rao and Scott 1992).

    Images of a patient are taken together (doi:10.2307/2532311); the value is a ratio of sums in each group, and its
    error that of the linearised ratio.

    Args:
        values: shape (images, questions).
        groups: see :func:`groups_of`.
        patients: whose image each is, shape (images,).
    """
    means = {name: float(values[members, question].mean()) for name, (members, question) in groups.items()}
    influence = np.zeros(len(values))
    for name, (members, question) in groups.items():
        influence[members] += (values[members, question] - means[name]) / members.sum() / len(groups)
    _, member = np.unique(patients, return_inverse=True)
    sums = np.bincount(member, weights=influence)
    error = float(np.sqrt((sums**2).sum() * len(sums) / max(1, len(sums) - 1)))
    return Difference(float(np.mean(list(means.values()))), error, len(sums))
