"""What was answered, referred and refused is counted as it stands in the table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fixture_types import PredictionsOf
from known import known, span
from radlens.assessment.abstention import abstention, risk_coverage, wrong_answers
from radlens.assessment.evaluate import evaluate
from radlens.assessment.predictions import check_predictions, read_predictions, with_answers, write_predictions
from radlens.base.errors import DataError
from radlens.config import EvaluateSettings
from radlens.dataset.manifest import DatasetInfo
from radlens.runtime.record_base import Figure

INFO = DatasetInfo(name="made up", root="", task="binary", classes=("well", "ill"))


def table() -> pd.DataFrame:
    ill = np.array([0.02, 0.10, 0.45, 0.80, 0.97, 0.60, 0.30, 0.99])
    truth = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    return pd.DataFrame(
        {
            "path": [f"{number}.png" for number in range(8)],
            "patient": [f"p{number}" for number in range(8)],
            "split": "test",
            "label": np.array(INFO.classes)[truth],
            "predicted": np.array(INFO.classes)[(ill >= 0.5).astype(int)],
            "probability_well": 1 - ill,
            "probability_ill": ill,
        }
    )


def answered() -> pd.DataFrame:
    return with_answers(table(), INFO, (0.5, 0.7), np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 1.2]))


def test_the_answers_by_hand() -> None:
    # 0.60 is too little for "ill" and 0.40 for "well": nothing is plausible. 0.99 is sure, but unfamiliar.
    assert list(answered()["answer"]) == ["well", "well", "well", "ill", "ill", "refer", "well", "refuse"]


def test_counts_and_shares_by_hand() -> None:
    found = abstention(answered(), INFO, 0.95)
    counts = {
        name: getattr(found, name) for name in ("n_answered", "n_referred", "n_refused", "errors", "errors_avoided")
    }
    assert counts == {"n_answered": 6, "n_referred": 1, "n_refused": 1, "errors": 2, "errors_avoided": 0}
    assert found.accuracy.value == pytest.approx(4 / 6)
    assert {name: share.value for name, share in known(found.wrong).items()} == {"well": 0.25, "ill": 0.25}
    low, _, high = span(found.answered)
    assert low < 0.75 < high


def test_errors_on_what_was_not_answered_are_avoided() -> None:
    found = abstention(with_answers(table(), INFO, (0.9, 0.9), None), INFO, 0.95)
    assert (found.errors, found.errors_avoided, found.n_answered) == (2, 2, 4)
    assert found.accuracy.value == 1


def test_where_nothing_is_answered_no_share_of_answers_is_made_up() -> None:
    found = abstention(with_answers(table(), INFO, None, np.full(8, 2.0)), INFO, 0.95)
    assert found.n_refused == 8
    assert found.accuracy == Figure(value=None, low=None, high=None)


def test_a_class_that_is_plausible_but_not_the_one_at_the_operating_point_is_referred() -> None:
    # The set is "well" alone, but 0.55 is above the operating point: what contradicts itself is no answer.
    row = table().iloc[[5]].assign(probability_well=0.45, probability_ill=0.55)
    assert list(with_answers(row, INFO, (0.4, 0.9), None)["answer"]) == ["refer"]


def test_the_curve_is_that_of_counting() -> None:
    rows = table()
    coverage, risk = risk_coverage(rows, INFO)
    sure = np.maximum(rows["probability_well"].to_numpy(), rows["probability_ill"].to_numpy())
    wrong = wrong_answers(rows, INFO)
    for share, error in zip(coverage, risk, strict=True):
        surest = np.argsort(-sure, kind="stable")[: round(share * len(rows))]
        assert error == pytest.approx(wrong[surest].mean())
    assert coverage[-1] == 1
    assert risk[-1] == pytest.approx(wrong.mean())


def test_images_that_are_equally_sure_come_together() -> None:
    rows = table().assign(probability_well=0.4, probability_ill=0.6, predicted="ill")
    coverage, risk = risk_coverage(rows, INFO)
    assert (list(coverage), list(risk)) == ([1.0], [0.5])


def test_the_table_survives_a_file(tmp_path: Path) -> None:
    write_predictions(answered(), tmp_path / "predictions.csv")
    pd.testing.assert_frame_equal(read_predictions(tmp_path / "predictions.csv", INFO), answered())


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("answer", "perhaps", "unusable answer"),
        ("unfamiliarity", -1.0, "unusable unfamiliarity"),
        ("unfamiliarity", "far", "unusable unfamiliarity"),
        ("unfamiliarity", float("inf"), "unusable unfamiliarity"),
    ],
)
def test_a_table_that_says_something_else(column: str, value: float | str, message: str) -> None:
    rows = answered().astype({column: object})
    rows.loc[3, column] = value
    with pytest.raises(DataError, match=message):
        check_predictions(rows, INFO)


@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel"])
def test_the_evidence_tells_of_it_where_the_model_may_abstain(task: str, predictions_of: PredictionsOf) -> None:
    rows, info = predictions_of(task)
    settings = EvaluateSettings(resamples=100)
    assert evaluate(rows, info, 0.5, settings, 0)["test"].abstention is None
    least = None if task == "multilabel" else [0.4] * len(info.classes)
    rows = with_answers(rows, info, least, np.linspace(0, 1.1, len(rows)))
    block = evaluate(rows, info, 0.5, settings, 0)["test"]
    found = known(block.abstention)
    assert found.n_answered + found.n_referred + found.n_refused == block.n
    assert found.n_refused > 0
    assert (found.wrong is not None) == (task != "multilabel")
