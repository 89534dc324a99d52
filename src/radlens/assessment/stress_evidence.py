"""From answers under every change to the evidence of ``radlens stress``, and to its table."""

from __future__ import annotations

from collections.abc import Sequence

import numpy.typing as npt
import pandas as pd

from radlens.assessment.changed_answers import judge_changes
from radlens.assessment.framing_answers import Change
from radlens.assessment.stress_records import QualityEvidence, QualityFlip, StressRecord
from radlens.dataset.manifest import DatasetInfo
from radlens.decision import Task
from radlens.runtime.framing_records import ChangeEvidence

# This much better than guessing, or there is nothing that a change could take away.
_ABOVE_GUESSING = 0.1


def judge_quality(
    suite: Sequence[Change],
    predictions: pd.DataFrame,
    answers: Sequence[npt.ArrayLike],
    info: DatasetInfo,
    threshold: float,
    confidence: float = 0.95,
) -> QualityEvidence:
    """The evidence from the answers under every change of exposure, quality and position.

    Args:
        suite: the changes.
        predictions: answers to the unchanged images.
        answers: class probabilities, shape (images, classes), under each change of the suite in its order.
        info: the task and the classes.
        threshold: the operating point.
        confidence: of the intervals.
    """
    judged = judge_changes(suite, predictions, answers, info, threshold, confidence)
    flips = tuple(QualityFlip(**turned.described(suite, predictions)) for turned in judged.turned)
    return QualityEvidence(**judged.figures, flips=flips)


def is_guessing(unchanged: ChangeEvidence, task: Task) -> bool:
    """Whether the unchanged images are answered hardly better than by guessing."""
    chance = 1 / max(2, len(unchanged.groups)) if task == "multiclass" else 0.5
    return unchanged.balanced_accuracy < chance + _ABOVE_GUESSING


def stress_table(record: StressRecord) -> pd.DataFrame:
    """One row a change and class, the unchanged images first; quartiles are of logits."""
    rows = [("unchanged", record.framing.unchanged)]
    rows += [(suite, change) for suite, evidence in record.suites().items() for change in evidence.changes]
    return pd.DataFrame(
        [
            {
                "suite": suite,
                "kind": change.kind,
                "strength": change.strength,
                "change": change.name,
                "counted": change.counted,
                "balanced_accuracy": change.balanced_accuracy,
                "class": name,
                "images": group.images,
                "recall": group.recall,
                "flipped": group.flipped,
                "shift": group.shift,
                "low": group.quartiles[0],
                "median": group.quartiles[1],
                "high": group.quartiles[2],
            }
            for suite, change in rows
            for name, group in change.groups.items()
        ]
    )
