"""Each wrong answer gets the reason that was planted for it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from fixture_types import PredictionsOf
from radlens.assessment.failure_reasons import REASONS, failures
from radlens.dataset.manifest import DatasetInfo

INFO = DatasetInfo(name="x", task="binary", classes=("NORMAL", "PNEUMONIA"), root=".")


def table(rows: list[tuple[str, str, float]]) -> pd.DataFrame:
    found = pd.DataFrame(rows, columns=["path", "label", "probability_PNEUMONIA"])
    found["probability_NORMAL"] = 1 - found["probability_PNEUMONIA"]
    predicted = np.where(found["probability_PNEUMONIA"] >= 0.5, "PNEUMONIA", "NORMAL")
    return found.assign(patient=found["path"], split="test", predicted=predicted)


PREDICTIONS = table(
    [
        ("right", "NORMAL", 0.1),
        ("near alarm", "NORMAL", 0.60),
        ("sure alarm", "NORMAL", 0.99),
        ("dark", "PNEUMONIA", 0.45),
        ("doubted", "PNEUMONIA", 0.01),
        ("photograph", "PNEUMONIA", 0.02),
        ("near miss", "PNEUMONIA", 0.39),
        ("far miss", "PNEUMONIA", 0.37),
    ]
)
FACTS = pd.DataFrame(
    {
        "path": [*PREDICTIONS["path"], *(f"other {number}" for number in range(40))],
        "width": 200,
        "height": [*[200] * 7, 90, *[200] * 40],
        "mean": [120, 121, 119, 20, 122, 118, 120, 121, *np.linspace(110, 130, 40)],
        "std": [50.0, 51, 49, 50, 52, 48, 50, 51, *np.linspace(45, 55, 40)],
    }
)


def test_the_likely_reasons_are_those_that_were_planted() -> None:
    found = failures(
        PREDICTIONS.assign(unfamiliarity=np.where(PREDICTIONS["path"] == "photograph", 1.8, 0.7)),
        INFO,
        "test",
        0.5,
        suspects=pd.DataFrame({"path": ["doubted", "photograph", "right"]}),
        facts=FACTS,
    )
    assert dict(zip(found["path"], found["reason"], strict=True)) == {
        "doubted": "label",
        "photograph": "unfamiliar",
        "far miss": "quality",
        "near miss": "threshold",
        "dark": "quality",
        "sure alarm": "unexplained",
        "near alarm": "threshold",
    }
    detail = found.set_index("path")["detail"]
    assert (detail["dark"], detail["far miss"], detail["sure alarm"]) == ("unusually dark", "small", "")
    # Missed findings first, and the surest of them first of all.
    assert found["missed"].tolist() == [True] * 5 + [False] * 2
    assert found["path"].iloc[0] == "doubted"


def test_with_nothing_known_only_the_scores_speak() -> None:
    found = failures(PREDICTIONS, INFO, "test", 0.5)
    assert set(found["reason"]) == {"threshold", "unexplained"}
    assert set(found["reason"]) <= set(REASONS)
    # At another operating point other answers are close.
    moved = failures(PREDICTIONS, INFO, "test", 0.02)
    assert "photograph" in set(moved.loc[moved["reason"] == "threshold", "path"])


def test_several_classes_are_close_when_two_probabilities_are() -> None:
    info = DatasetInfo(name="x", task="multiclass", classes=("a", "b", "c"), root=".")
    scores = np.array([[0.45, 0.40, 0.15], [0.9, 0.05, 0.05], [0.2, 0.7, 0.1]])
    predictions = pd.DataFrame(scores, columns=["probability_a", "probability_b", "probability_c"]).assign(
        path=["close", "sure", "right"], patient="p", split="test", label="b", predicted=["a", "a", "b"]
    )
    found = failures(predictions, info, "test", None).set_index("path")["reason"]
    assert found.to_dict() == {"sure": "unexplained", "close": "threshold"}


@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel"])
def test_every_task_has_a_reason_for_every_error(task: str, predictions_of: PredictionsOf) -> None:
    predictions, info = predictions_of(task)
    found = failures(predictions, info, "test", None if task == "multiclass" else 0.5)
    wrong = (predictions["label"] != predictions["predicted"]) & (predictions["split"] == "test")
    assert len(found) == wrong.sum()
    assert set(found["reason"]) <= set(REASONS)


def test_no_error_no_reason() -> None:
    found = failures(PREDICTIONS.head(1), INFO, "test", 0.5)
    assert found.empty
    assert {"reason", "detail"} <= set(found)
