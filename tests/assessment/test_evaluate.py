from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from fixture_types import PredictionsOf
from known import known, span
from radlens.assessment.evaluate import evaluate
from radlens.assessment.predictions import predictions_table, with_threshold
from radlens.base.errors import DataError
from radlens.config import EvaluateSettings
from radlens.dataset.manifest import DatasetInfo, Manifest
from radlens.runtime.metrics_record import read_metrics, write_metrics
from radlens.statistics.metrics import METRICS, ONE_VS_REST, Floats

SETTINGS = EvaluateSettings(resamples=200)
TASKS = ("binary", "multiclass", "multilabel")


def binary_table(
    truth: list[int], score: list[float] | Floats, patients: list[str] | None = None, split: str = "test"
) -> tuple[pd.DataFrame, DatasetInfo]:
    info = DatasetInfo(name="x", task="binary", classes=("healthy", "ill"), root=".")
    n = len(truth)
    rows = pd.DataFrame(
        {
            "path": [f"{i}.png" for i in range(n)],
            "label": np.where(np.asarray(truth) == 1, "ill", "healthy"),
            "patient": [f"p{i}" for i in range(n)] if patients is None else patients,
            "split": split,
        }
    )
    # A manifest holds every class; one that lacks some is a part of another.
    extra = pd.DataFrame({"path": ["a", "b"], "label": ["healthy", "ill"], "patient": ["x", "y"], "split": "train"})
    whole = Manifest(pd.concat([rows, extra], ignore_index=True), info)
    part = whole.only((whole.table["split"] == split).to_numpy())
    score = np.asarray(score, dtype=float)
    return predictions_table(part, np.stack([1 - score, score], axis=1)), info


@pytest.mark.parametrize("task", TASKS)
def test_metrics_have_the_documented_form(task: str, predictions_of: PredictionsOf) -> None:
    table, info = predictions_of(task)
    found = evaluate(table, info, 0.5, SETTINGS, seed=0)
    assert list(found) == ["val", "test"]
    for split, block in found.items():
        part = table[table["split"] == split]
        assert block.n == len(part)
        assert block.n_patients == part["patient"].nunique()
        assert block.task == task
        assert block.classes == info.classes
        assert block.threshold == (None if task == "multiclass" else 0.5)
        assert block.interval.confidence == 0.95
        assert block.interval.resamples == 200
        for name in METRICS:
            metric = block.metrics[name]
            low, value, high = span(metric)
            assert low <= value <= high, name
            assert metric.method in block.interval.methods, name
        json.dumps(block.model_dump(), allow_nan=False)


def test_binary_block_by_hand() -> None:
    table, info = binary_table([1, 1, 1, 0, 0], [0.9, 0.8, 0.3, 0.6, 0.1])
    block = evaluate(table, info, 0.5, SETTINGS, seed=0)["test"]
    assert block.confusion_matrix == ((1, 1), (1, 2))
    assert block.positive_class == "ill"
    assert block.class_counts == {"healthy": 2, "ill": 3}
    assert block.sensitivity.value == pytest.approx(2 / 3)
    assert block.specificity.value == pytest.approx(1 / 2)


def test_multiclass_and_multilabel_have_a_block_for_each_class(predictions_of: PredictionsOf) -> None:
    table, info = predictions_of("multiclass")
    block = evaluate(table, info, 0.5, SETTINGS, seed=0)["test"]
    assert list(known(block.per_class)) == list(info.classes)
    assert set(ONE_VS_REST) <= known(block.per_class)["viral"].metrics.keys()
    assert np.array(block.confusion_matrix).shape == (3, 3)
    assert np.array(block.confusion_matrix).sum(axis=1).tolist() == list(block.class_counts.values())
    table, info = predictions_of("multilabel")
    block = evaluate(table, info, 0.5, SETTINGS, seed=0)["test"]
    assert np.array(block.confusion_matrix).shape == (3, 2, 2)
    assert set(METRICS) <= known(block.per_label)["mass"].metrics.keys()
    low, value, high = span(known(block.exact_match))
    assert low < value < high
    mean = np.mean([known(known(part.accuracy).value) for part in known(block.per_label).values()])
    assert block.accuracy.value == pytest.approx(mean)


@pytest.mark.parametrize("task", TASKS)
def test_same_seed_same_metrics_in_any_row_order(task: str, predictions_of: PredictionsOf) -> None:
    table, info = predictions_of(task)
    once = evaluate(table, info, 0.5, SETTINGS, seed=4)
    assert evaluate(table, info, 0.5, SETTINGS, seed=4) == once
    shuffled = evaluate(table.sample(frac=1, random_state=1), info, 0.5, SETTINGS, seed=4)
    for split, block in once.items():
        for name in METRICS:
            assert span(shuffled[split].metrics[name]) == pytest.approx(span(block.metrics[name]), abs=1e-12)
    assert evaluate(table, info, 0.5, SETTINGS, seed=5)["test"].brier != once["test"].brier


def test_the_intervals_of_a_split_do_not_depend_on_the_other_splits(predictions_of: PredictionsOf) -> None:
    table, info = predictions_of("binary")
    alone = evaluate(table[table["split"] == "test"], info, 0.5, SETTINGS, seed=0)
    assert list(alone) == ["test"]
    assert alone["test"] == evaluate(table, info, 0.5, SETTINGS, seed=0)["test"]


def test_a_perfect_model_keeps_its_uncertainty() -> None:
    table, info = binary_table([0, 1] * 20, [0.1, 0.9, 0.2, 0.8] * 10, patients=[f"p{i // 2}" for i in range(40)])
    block = evaluate(table, info, 0.5, SETTINGS, seed=0)["test"]
    # Twenty patients, each with one healthy and one ill image: Wilson's limit is n / (n + z^2).
    reach = 20 / (20 + stats.norm.ppf(0.975) ** 2)
    for name in ("sensitivity", "specificity", "precision"):
        assert span(block.metrics[name]) == pytest.approx((reach, 1.0, 1.0))
        assert block.metrics[name].method == "Wilson"
    # Forty images of twenty patients, without a difference to tell how much the two of a patient share.
    reach = 20 / (20 + stats.t.ppf(0.975, 19) ** 2)
    assert span(block.accuracy) == pytest.approx((reach, 1.0, 1.0))
    assert block.accuracy.method == "Wilson, clustered"
    assert block.auroc.value == 1
    assert span(block.auroc) == pytest.approx((20 / 23.841459, 1.0, 1.0))
    assert block.auroc.method == "Wilson, pairs"
    assert block.accuracy.reason is block.auroc.reason is None
    assert "no spread" in known(block.average_precision.reason)


def test_what_is_undefined_is_null_with_a_reason() -> None:
    table, info = binary_table([0, 0, 0, 0], [0.1, 0.2, 0.3, 0.4])
    block = evaluate(table, info, 0.5, SETTINGS, seed=0)["test"]
    for name in ("sensitivity", "precision", "f1", "auroc", "average_precision"):
        assert block.metrics[name].value is None
        assert block.metrics[name].low is None
        assert block.metrics[name].reason
    assert block.specificity.value == 1


def test_an_interval_is_withheld_when_many_resamples_lack_a_class() -> None:
    table, info = binary_table([1] + [0] * 30, np.linspace(0.9, 0.1, 31))
    block = evaluate(table, info, 0.5, SETTINGS, seed=0)["test"]
    assert block.auroc.value == 1
    assert block.auroc.low is None
    assert "two patients or more" in known(block.auroc.reason)
    # (1 - 1/31)^31 = 36 % of the resamples leave the only ill patient out.
    assert block.average_precision.low is None
    assert "of the resamples" in known(block.average_precision.reason)


def test_predictions_made_with_another_threshold_are_refused(predictions_of: PredictionsOf) -> None:
    table, info = predictions_of("binary")
    with pytest.raises(DataError, match=r"do not follow.*threshold 0\.3"):
        evaluate(table, info, 0.3, SETTINGS, seed=0)
    assert evaluate(with_threshold(table, info, 0.3), info, 0.3, SETTINGS, seed=0)["test"].threshold == 0.3


def test_metrics_file_is_plain_json(tmp_path: Path, predictions_of: PredictionsOf) -> None:
    table, info = predictions_of("multilabel")
    metrics = evaluate(table, info, 0.5, SETTINGS, seed=0)
    write_metrics(metrics, tmp_path / "metrics.json")
    assert list(json.loads((tmp_path / "metrics.json").read_text(encoding="utf-8"))) == ["val", "test"]
    assert read_metrics(tmp_path / "metrics.json") == metrics


def test_evidence_for_decisions_is_of_binary_tasks(predictions_of: PredictionsOf) -> None:
    table, info = predictions_of("binary")
    settings = SETTINGS.model_copy(update={"prevalence": (0.01, 0.3)})
    block = evaluate(table, info, 0.5, settings, seed=0)["test"]
    assert [row.prevalence for row in known(block.predictive_values)] == [0.01, 0.3]
    row = next(row for row in known(block.thresholds) if row.operating_point)
    assert row.sensitivity == block.sensitivity
    assert row.ppv == block.precision
    assert known(block.decision_curve).threshold[-1] == 0.99
    assert known(known(block.calibration).slope).method == "sandwich"
    for task in ("multiclass", "multilabel"):
        table, info = predictions_of(task)
        block = evaluate(table, info, 0.5, SETTINGS, seed=0)["test"]
        assert set(known(block.sample_size).needed) == set(info.classes)
        assert (block.predictive_values, block.thresholds, block.decision_curve) == (None, None, None)


def test_each_class_has_the_methods_of_a_binary_question(predictions_of: PredictionsOf) -> None:
    table, info = predictions_of("multiclass")
    block = evaluate(table, info, 0.5, SETTINGS, seed=0)["test"]
    viral = known(block.per_class)["viral"]
    assert viral.sensitivity.method == "Wilson, clustered"
    assert viral.auroc.method == "DeLong, clustered"
    assert viral.f1.method == block.auroc.method == block.brier.method == "bootstrap, logit"
    truth = np.where(table["label"] == "viral", "viral", "other")
    other = DatasetInfo(name="x", task="binary", classes=("other", "viral"), root=".")
    score = table["probability_viral"]
    rest = table.assign(label=truth, probability_other=1 - score, predicted=np.where(score >= 0.5, "viral", "other"))
    alone = evaluate(rest, other, 0.5, SETTINGS, seed=0)["test"]
    assert viral.auroc == alone.auroc


def test_one_image_a_patient_has_the_ordinary_methods() -> None:
    table, info = binary_table([0, 1] * 20, np.linspace(0.1, 0.9, 40))
    block = evaluate(table, info, 0.5, SETTINGS, seed=0)["test"]
    assert (block.sensitivity.method, block.auroc.method) == ("Wilson", "DeLong")
