"""What a suite of changes of images does to a model's answers: figures for each change and class, the worst change,
what it costs, and a verdict; the same rules for changes of framing as for all others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from radlens.assessment.framing_answers import Change, FramedAnswers, figures_of, groups_of, mean_of_means
from radlens.assessment.predictions import probabilities_of, targets_of
from radlens.dataset.manifest import DatasetInfo
from radlens.decision import name_answers
from radlens.runtime.framing_records import (
    FEWEST_OF_A_CLASS,
    TOLERATED_LOSS,
    ChangeEvidence,
    Estimate,
    SuiteEvidence,
    Verdict,
)
from radlens.statistics.intervals import logit_limits

# Images listed whose decision flips.
_MOST_FLIPS = 12
# How far a change moved a logit, its number in the suite and the question whose answer turned.
_Turn = tuple[float, int, int]


@dataclass(frozen=True)
class NamedChange:
    """A change of which no more is known; see :class:`radlens.assessment.framing_answers.Change`."""

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
        asked: the class or label that the probabilities are of.
        before: probability of it on the unchanged image.
        after: the same under the change.
    """

    image: int
    change: int
    predicted: str
    asked: str
    before: float
    after: float

    def described(self, suite: Sequence[Change], predictions: pd.DataFrame) -> dict[str, Any]:
        """The fields that every record of such an image has.

        Args:
            suite: the changes.
            predictions: answers to the unchanged images.
        """
        return {
            "path": str(predictions["path"].iloc[self.image]),
            "label": str(predictions["label"].iloc[self.image]),
            "predicted": self.predicted,
            "change": suite[self.change].name,
            "asked": self.asked,
            "before": self.before,
            "after": self.after,
        }


class JudgedChanges(SuiteEvidence):
    """The figures of a suite of changes, and the images that its counted changes turn wrong."""

    turned: tuple[TurnedImage, ...]

    @property
    def figures(self) -> dict[str, Any]:
        """The fields that the evidence on every suite has."""
        return {name: getattr(self, name) for name in SuiteEvidence.model_fields}


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
    groups = groups_of(truth, info)
    plain = FramedAnswers.of(probabilities_of(predictions, info), truth, info, threshold)
    changed = [FramedAnswers.of(np.asarray(each, dtype=np.float64), truth, info, threshold) for each in answers]
    figures = tuple(figures_of(change, plain, each, groups) for change, each in zip(suite, changed, strict=True))
    counted = [number for number, change in enumerate(suite) if change.counted]
    worst = min(counted, key=lambda number: figures[number].balanced_accuracy)
    patients = predictions["patient"].to_numpy(dtype=str)
    right = mean_of_means(changed[worst].right.astype(np.float64), groups, patients)
    low, high = logit_limits(right.value, right.standard_error**2, confidence, right.patients)
    lost = mean_of_means(plain.right.astype(np.float64) - changed[worst].right, groups, patients)
    least, most = lost.limits(1 - (1 - confidence) / len(counted))
    loss = Estimate(value=lost.value, low=max(-1.0, least), high=min(1.0, most))
    unchanged = figures_of(None, plain, plain, groups)
    return JudgedChanges(
        unchanged=unchanged,
        changes=figures,
        worst=figures[worst].name,
        worst_balanced_accuracy=Estimate(value=right.value, low=low, high=high),
        loss=loss,
        verdict=_verdict(loss, unchanged, info),
        turned=_turned(suite, predictions, plain, changed, info),
    )


def _verdict(loss: Estimate, unchanged: ChangeEvidence, info: DatasetInfo) -> Verdict:
    every = 2 * len(info.classes) if info.task == "multilabel" else len(info.classes)
    counts = [group.images for group in unchanged.groups.values()]
    # Where all of a few images answer alike the interval has no width, and would be taken for certainty.
    if len(counts) < every or min(counts) < FEWEST_OF_A_CLASS:
        return "warn"
    if loss.low > TOLERATED_LOSS:
        return "fail"
    # Shares of few images differ by rounding where they are the same.
    return "warn" if loss.value > TOLERATED_LOSS + 1e-9 else "pass"


def _turned(
    suite: Sequence[Change],
    predictions: pd.DataFrame,
    plain: FramedAnswers,
    changed: Sequence[FramedAnswers],
    info: DatasetInfo,
) -> tuple[TurnedImage, ...]:
    """Images that counted changes turn wrong, of each kind of change in turn the one whose logit it moves most."""
    kinds: dict[str, dict[int, _Turn]] = {}
    for number, (change, answers) in enumerate(zip(suite, changed, strict=True)):
        if not change.counted:
            continue
        turned = plain.right & ~answers.right
        moved = np.where(turned, np.abs(answers.logits - plain.logits), -1.0)
        of_kind = kinds.setdefault(change.kind, {})
        for image in np.flatnonzero(turned.any(axis=1)).tolist():
            question = int(moved[image].argmax())
            turn = (float(moved[image, question]), number, question)
            of_kind[image] = max(of_kind.get(image, turn), turn, key=lambda candidate: candidate[0])
    queues = [sorted(turns.items(), key=lambda item: -item[1][0]) for turns in kinds.values() if turns]
    queues.sort(key=lambda queue: -queue[0][1][0])
    shown: dict[int, _Turn] = {}
    for each in zip_longest(*queues):
        for item in filter(None, each):
            if len(shown) < _MOST_FLIPS:
                shown.setdefault(*item)
    return tuple(
        _turned_image(image, number, question, str(predictions["label"].iloc[image]), plain, changed[number], info)
        for image, (_, number, question) in shown.items()
    )


def _turned_image(
    image: int,
    number: int,
    question: int,
    label: str,
    plain: FramedAnswers,
    changed: FramedAnswers,
    info: DatasetInfo,
) -> TurnedImage:
    decided = changed.decided[image] if info.task == "multilabel" else changed.decided[image, 0]
    asked = {"binary": info.classes[-1], "multiclass": label, "multilabel": info.classes[question]}
    return TurnedImage(
        image,
        number,
        name_answers(np.array([decided]), info.task, info.classes)[0],
        asked[info.task],
        float(plain.probability[image, question]),
        float(changed.probability[image, question]),
    )
