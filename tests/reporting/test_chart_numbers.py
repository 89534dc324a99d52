"""The numbers under a chart are those that are drawn, and reach the reader as they are."""

from __future__ import annotations

import base64
import io

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import auc, roc_auc_score

from fixture_types import PredictionsOf
from known import known
from radlens.assessment.evaluate import evaluate
from radlens.assessment.predictions import PREFIX, targets_of
from radlens.config import EvaluateSettings
from radlens.reporting.chart_numbers import (
    decision_numbers,
    precision_recall_numbers,
    reliability_numbers,
    roc_numbers,
    threshold_numbers,
)
from radlens.reporting.embed import to_download

SETTINGS = EvaluateSettings(resamples=100)


@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel"])
def test_the_area_under_the_points_is_the_auroc(task: str, predictions_of: PredictionsOf) -> None:
    table, info = predictions_of(task)
    points, truth = roc_numbers(table, info), targets_of(table, info)
    for key, curve in points.groupby("class"):
        name = str(key)
        index = info.classes.index(name)
        has = truth[:, index] == 1 if task == "multilabel" else truth == index
        expected = roc_auc_score(has, table[PREFIX + name])
        assert auc(curve["false_positive_rate"], curve["sensitivity"]) == pytest.approx(expected)
    assert set(points["class"]) == ({"PNEUMONIA"} if task == "binary" else set(info.classes))


def test_precision_and_sensitivity_are_those_at_each_threshold(predictions_of: PredictionsOf) -> None:
    table, info = predictions_of("binary")
    points, truth = precision_recall_numbers(table, info), targets_of(table, info)
    row = points.iloc[len(points) // 2]
    called = (table[PREFIX + "PNEUMONIA"] >= row["threshold"]).to_numpy()
    assert row["precision"] == pytest.approx(truth[called].mean())
    assert row["sensitivity"] == pytest.approx(called[truth == 1].mean())


def test_a_class_that_is_absent_has_no_curve(predictions_of: PredictionsOf) -> None:
    table, info = predictions_of("multiclass")
    points = roc_numbers(table[table["label"] != "viral"], info)
    assert set(points["class"]) == {"normal", "bacterial"}


def test_tables_hold_what_was_measured(predictions_of: PredictionsOf) -> None:
    table, info = predictions_of("binary")
    block = evaluate(table, info, 0.5, SETTINGS, seed=0)["test"]
    assert reliability_numbers(known(block.calibration).bins)["images"].sum() == block.n
    thresholds = threshold_numbers(known(block.thresholds))
    (row,) = thresholds[thresholds["operating_point"]].to_dict("records")
    assert row["sensitivity"] == block.sensitivity.value
    assert row["sensitivity_low"] == pytest.approx(block.sensitivity.low)
    decision_curve = known(block.decision_curve)
    curve = decision_numbers(decision_curve)
    assert len(curve) == 99
    assert tuple(curve["net_benefit"]) == decision_curve.net_benefit


def test_a_download_is_the_table() -> None:
    table = pd.DataFrame({"class": ["Ödem, <b>"], "value": [0.123456789], "none": [np.nan]})
    found = to_download(table, "test-roc")
    kind, _, text = found.uri.partition(",")
    assert (kind, found.file) == ("data:text/csv;base64", "test-roc.csv")
    read = pd.read_csv(io.BytesIO(base64.b64decode(text)))
    assert read["class"][0] == "Ödem, <b>"
    assert read["value"][0] == pytest.approx(0.123457)
    assert read["none"].isna().all()
