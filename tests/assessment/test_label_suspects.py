"""Wrong labels planted among simulated answers are found."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from radlens.assessment.label_suspects import SUSPECT_COLUMNS, find_label_suspects
from radlens.assessment.predictions import PREFIX
from radlens.base.errors import DataError
from radlens.dataset.manifest import DatasetInfo
from radlens.decision import Task


def information(classes: tuple[str, ...], task: Task) -> DatasetInfo:
    return DatasetInfo(name="x", task=task, classes=classes, root="/data")


def answers(labels: list[str], probabilities: np.ndarray, classes: tuple[str, ...]) -> pd.DataFrame:
    table = pd.DataFrame({"path": [f"{number:04d}.png" for number in range(len(labels))], "label": labels})
    table["patient"], table["split"], table["predicted"] = table["path"], "test", table["label"]
    return table.assign(**dict(zip([PREFIX + name for name in classes], probabilities.T, strict=True)))


def exclusive(
    classes: tuple[str, ...], seed: int = 0, count: int = 600, wrong: int = 30
) -> tuple[pd.DataFrame, set[str]]:
    """Answers of a good model to true labels, of which some are then written down wrongly."""
    rng = np.random.default_rng(seed)
    true = rng.integers(0, len(classes), count)
    logits = rng.normal(0, 1, (count, len(classes)))
    logits[np.arange(count), true] += 4
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    written = true.copy()
    planted = rng.choice(count, wrong, replace=False)
    written[planted] = (true[planted] + rng.integers(1, len(classes), wrong)) % len(classes)
    table = answers([classes[label] for label in written], probabilities, classes)
    return table.assign(true=[classes[label] for label in true]), set(table["path"][planted])


@pytest.mark.parametrize("classes", [("no", "yes"), ("a", "b", "c", "d")])
def test_planted_wrong_labels_are_found(classes: tuple[str, ...]) -> None:
    task: Task = "binary" if len(classes) == 2 else "multiclass"
    table, planted = exclusive(classes)
    found = find_label_suspects(table, information(classes, task))
    assert tuple(found.columns) == SUSPECT_COLUMNS
    assert len(planted & set(found["path"])) >= 0.85 * len(planted)
    assert len(planted & set(found["path"])) >= 0.7 * len(found)
    # The most suspicious are almost all wrong.
    assert len(planted & set(found["path"][:20])) >= 18
    assert found["self_confidence"].is_monotonic_increasing
    rows = table.set_index("path").loc[found["path"]]
    assert (found["given"] == rows["label"].to_numpy()).all()
    assert (found["suggested"] != found["given"]).all()
    right = found["path"].isin(planted)
    assert (found["suggested"][right] == rows["true"].to_numpy()[right]).mean() > 0.9
    own = [rows[PREFIX + label].iloc[number] for number, label in enumerate(found["given"])]
    assert found["self_confidence"].tolist() == own


def test_hardly_any_label_is_suspected_when_all_are_right() -> None:
    table, _ = exclusive(("no", "yes"), wrong=0)
    found = find_label_suspects(table, information(("no", "yes"), "binary"))
    assert len(found) < 0.02 * len(table)


def test_a_label_is_doubted_by_how_the_model_answers_it_usually() -> None:
    """A model that never exceeds 0.4 for a rare class still says which of its images are unlike the others."""
    positive = np.concatenate([np.full(40, 0.4), np.full(10, 0.01), np.full(195, 0.02), np.full(5, 0.41)])
    labels = ["yes"] * 50 + ["no"] * 200
    table = answers(labels, np.stack([1 - positive, positive], axis=1), ("no", "yes"))
    found = find_label_suspects(table, information(("no", "yes"), "binary"))
    assert set(found["path"]) == set(table["path"][40:50])


def test_planted_wrong_labels_among_several() -> None:
    classes = ("a", "b", "c")
    rng = np.random.default_rng(1)
    true = rng.random((500, 3)) < 0.35
    probabilities = 1 / (1 + np.exp(-(rng.normal(0, 0.8, (500, 3)) + np.where(true, 3, -3))))
    written = true.copy()
    planted = rng.choice(500, 25, replace=False)
    column = rng.integers(0, 3, 25)
    written[planted, column] ^= True
    cells = ["|".join(name for name, held in zip(classes, row, strict=True) if held) for row in written]
    table = answers(cells, probabilities, classes)
    found = find_label_suspects(table, information(classes, "multilabel"))
    assert len(set(table["path"][planted]) & set(found["path"])) >= 22
    assert len(found) <= 32
    truth = dict(
        zip(table["path"], ("|".join(np.array(classes)[row]) for row in true), strict=True),
    )
    right = found["path"].isin(table["path"][planted])
    assert (found["suggested"][right] == found["path"][right].map(truth)).mean() > 0.9
    assert found["self_confidence"].between(0, 1).all()


def test_only_splits_that_the_model_was_not_trained_on_are_looked_at() -> None:
    table, _ = exclusive(("no", "yes"))
    table["split"] = np.where(np.arange(600) < 400, "train", "val")
    found = find_label_suspects(table, information(("no", "yes"), "binary"))
    assert set(found["split"]) == {"val"}
    alone = find_label_suspects(table[400:], information(("no", "yes"), "binary"))
    pd.testing.assert_frame_equal(found, alone)
    train = find_label_suspects(table, information(("no", "yes"), "binary"), splits=("train",))
    assert set(train["split"]) == {"train"}


@pytest.mark.parametrize("labels", [["yes"] * 30, ["yes"] * 27 + ["no"] * 3, ["yes"]])
def test_too_few_of_a_class_to_say_anything(labels: list[str]) -> None:
    positive = np.linspace(0.01, 0.99, len(labels))
    table = answers(labels, np.stack([1 - positive, positive], axis=1), ("no", "yes"))
    found = find_label_suspects(table, information(("no", "yes"), "binary"))
    assert found.empty
    assert tuple(found.columns) == SUSPECT_COLUMNS


def test_a_class_with_hardly_any_image_does_not_disturb_the_others() -> None:
    table, planted = exclusive(("a", "b", "c"))
    keep = (table["label"] != "c") | (table["label"] == "c").cumsum().le(2)
    found = find_label_suspects(table[keep], information(("a", "b", "c"), "multiclass"))
    assert "c" not in set(found["given"])
    assert len(planted & set(found["path"])) >= 10


def test_no_answer_on_such_splits() -> None:
    table, _ = exclusive(("no", "yes"))
    assert find_label_suspects(table.assign(split="train"), information(("no", "yes"), "binary")).empty


def test_unusable_predictions_are_refused() -> None:
    table, _ = exclusive(("no", "yes"))
    with pytest.raises(DataError, match="lack the column"):
        find_label_suspects(table.drop(columns=["probability_yes"]), information(("no", "yes"), "binary"))
