"""The operating points that travel with a model, and what is done where the validation images do not allow a rule."""

from __future__ import annotations

import logging

import pandas as pd
import pytest

from fixture_types import PredictionsOf
from known import known
from radlens.assessment.carried_points import operating_point_or_half, points_for_sensitivities
from radlens.assessment.operating_point import choose_operating_point, describe_operating_point
from radlens.assessment.operating_words import rule_in_words
from radlens.config import EvaluateSettings
from radlens.dataset.manifest import DatasetInfo

BALANCED = EvaluateSettings(threshold="balanced")


def validation(predictions_of: PredictionsOf, images: int = 120) -> tuple[pd.DataFrame, DatasetInfo]:
    table, info = predictions_of("binary", images=images)
    return table[table["split"] == "val"], info


def test_thresholds_for_sensitivities_say_what_they_do_at_least(predictions_of: PredictionsOf) -> None:
    table, info = validation(predictions_of, images=240)
    for name, (threshold, record) in points_for_sensitivities(table, info, 0.95).items():
        target = float(name.removeprefix("sensitivity "))
        assert record == describe_operating_point(f"sensitivity:{target:g}", threshold, table, info, 0.95)
        assert known(record).sensitivity >= target
    cases = table[table["label"] == info.classes[1]]
    assert all(record is None for _, record in points_for_sensitivities(cases, info, 0.95).values())
    assert points_for_sensitivities(table.drop(cases.index), info, 0.95) == {}


def test_what_can_be_chosen_is(predictions_of: PredictionsOf) -> None:
    table, info = validation(predictions_of)
    assert operating_point_or_half(BALANCED, table, info) == choose_operating_point(BALANCED, table, info)


def test_equal_scores_end_no_training(predictions_of: PredictionsOf, caplog: pytest.LogCaptureFixture) -> None:
    table, info = validation(predictions_of)
    table = table.assign(probability_NORMAL=0.7, probability_PNEUMONIA=0.3)
    with caplog.at_level(logging.WARNING, "radlens"):
        threshold, point = operating_point_or_half(BALANCED, table, info)
    assert threshold == 0.5
    assert "every validation image has the same score" in caplog.text
    assert (known(point).sensitivity, known(point).specificity) == (0.0, 1.0)
    assert "balanced could not be followed" in rule_in_words(known(point), "binary")


def test_validation_images_of_one_class_end_no_training(predictions_of: PredictionsOf) -> None:
    table, info = validation(predictions_of)
    assert operating_point_or_half(BALANCED, table[table["label"] == "NORMAL"], info) == (0.5, None)
