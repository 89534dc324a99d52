"""Figures of changes of images: the same as the framing suite's own, and what was planted is found."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from radlens.assessment.changed_answers import NamedChange, judge_changes
from radlens.assessment.framing_evidence import judge_framing
from radlens.assessment.predictions import predictions_table
from radlens.assessment.stress_evidence import is_guessing, judge_quality
from radlens.dataset.manifest import DatasetInfo, Manifest
from radlens.decision import Task
from radlens.imaging.framing import SUITE


def made(task: Task, images: int = 90, classes: int = 3) -> tuple[Manifest, np.ndarray]:
    """A manifest and answers that are mostly right."""
    rng = np.random.default_rng(2)
    names = tuple("abc"[:classes])
    if task == "multilabel":
        truth = rng.integers(0, 2, (images, classes))
        labels = ["|".join(name for name, held in zip(names, row, strict=True) if held) for row in truth]
        scores = np.clip(truth * 0.6 + rng.uniform(0, 0.4, truth.shape), 0, 1)
    else:
        index = np.arange(images) % classes
        labels = [names[each] for each in index]
        scores = rng.uniform(0, 1, (images, classes)) + 1.5 * np.eye(classes)[index]
        scores /= scores.sum(axis=1, keepdims=True)
    table = pd.DataFrame(
        {
            "path": [f"{number}.png" for number in range(images)],
            "label": labels,
            "patient": [f"p{number // 3}" for number in range(images)],
            "split": "test",
        }
    )
    return Manifest(table, DatasetInfo(name="made", task=task, classes=names, root="/")), scores


@pytest.mark.parametrize(("task", "classes"), [("binary", 2), ("multiclass", 3), ("multilabel", 3)])
def test_the_figures_are_those_that_the_framing_suite_has_of_the_same_answers(task: Task, classes: int) -> None:
    manifest, scores = made(task, classes=classes)
    predictions = predictions_table(manifest, scores, 0.45)
    rng = np.random.default_rng(7)
    answers = []
    for _ in SUITE:
        other = rng.permutation(len(scores))
        mixed = 0.7 * scores + 0.3 * scores[other]
        answers.append(mixed if task == "multilabel" else mixed / mixed.sum(axis=1, keepdims=True))
    framing = judge_framing(predictions, answers, manifest.info, 0.45, confidence=0.9)
    judged = judge_changes(SUITE, predictions, answers, manifest.info, 0.45, 0.9)
    assert judged.unchanged == framing.unchanged
    assert judged.changes == framing.changes
    assert (judged.worst, judged.verdict) == (framing.worst, framing.verdict)
    assert judged.loss.model_dump() == pytest.approx(framing.loss.model_dump(), abs=1e-12)
    assert judged.worst_balanced_accuracy.model_dump() == pytest.approx(
        framing.worst_balanced_accuracy.model_dump(), abs=1e-12
    )
    assert framing.flips
    assert [
        (manifest.table["path"][each.image], SUITE[each.change].name, each.predicted, each.before, each.after)
        for each in judged.turned
    ] == [(flip.path, flip.change, flip.predicted, flip.before, flip.after) for flip in framing.flips]


def test_a_change_that_turns_one_class_round_fails_and_the_figures_are_as_planted() -> None:
    manifest, scores = made("binary", 120, 2)
    predictions = predictions_table(manifest, scores)
    ill = (manifest.table["label"] == "b").to_numpy()
    turned = scores.copy()
    turned[ill] = scores[ill][:, ::-1]
    suite = (
        NamedChange("dark", 1, "dark 1"),
        NamedChange("dark", 2, "dark 2"),
        NamedChange("dark", 3, "dark 3", False),
    )
    right = predictions["label"] == predictions["predicted"]
    found = judge_quality(suite, predictions, [scores, turned, 1 - scores], manifest.info, 0.5)
    assert found.worst == "dark 2"
    assert found.verdict == "fail"
    lost = right[ill].mean() - (1 - right[ill].mean())
    assert found.loss.value == pytest.approx(lost / 2)
    assert found.worst_change.groups["b"].flipped == 1
    assert found.worst_change.groups["a"].flipped == 0
    assert found.changes[0].balanced_accuracy == found.unchanged.balanced_accuracy
    assert all(flip.label == "b" and flip.predicted == "a" and flip.change == "dark 2" for flip in found.flips)

    harmless = judge_quality(suite, predictions, [scores, scores, turned], manifest.info, 0.5)
    assert (harmless.verdict, harmless.loss.value, harmless.flips) == ("pass", 0.0, ())


def test_few_images_of_a_class_do_not_pass() -> None:
    manifest, scores = made("binary", 38, 2)
    suite = (NamedChange("dark", 1, "dark 1"),)
    found = judge_quality(suite, predictions_table(manifest, scores), [scores], manifest.info, 0.5)
    assert found.verdict == "warn"


def test_a_model_that_guesses_is_told() -> None:
    manifest, scores = made("multiclass", 90, 3)
    suite = (NamedChange("dark", 1, "dark 1"),)
    rng = np.random.default_rng(0)
    guessed = rng.dirichlet(np.ones(3), 90)
    right, guessing = (
        judge_changes(suite, predictions_table(manifest, each), [each], manifest.info, 0.5).unchanged
        for each in (scores, guessed)
    )
    assert not is_guessing(right, "multiclass")
    assert is_guessing(guessing, "multiclass")
