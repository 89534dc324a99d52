from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from fixture_types import PredictionsOf
from radlens.assessment.evaluate import answers_of
from radlens.decision import Task
from radlens.statistics.metrics import (
    METRICS,
    ONE_VS_REST,
    Answers,
    binary_metrics,
    multiclass_metrics,
    multilabel_metrics,
    per_class_metrics,
)
from radlens.statistics.weighted import binary_statistic, statistic


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10_000))
def test_weighted_binary_metrics_agree_with_scikit_learn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth, score = rng.integers(0, 2, 50), np.round(rng.random(50), 1)
    truth[:4], score[:4] = [0, 0, 1, 1], [0.1, 0.9, 0.1, 0.9]
    called = (score >= 0.5).astype(np.int64)
    answers = Answers(truth, np.stack([1 - score, score], axis=1), called, ("n", "p"))
    weights = rng.integers(0, 3, (4, 50)).astype(float)
    weights[:, :4] += 1
    found = binary_statistic(answers)(weights)
    for row, weight in enumerate(weights):
        expected = {
            "accuracy": sk.accuracy_score(truth, called, sample_weight=weight),
            "sensitivity": sk.recall_score(truth, called, sample_weight=weight),
            "specificity": sk.recall_score(truth, called, pos_label=0, sample_weight=weight),
            "precision": sk.precision_score(truth, called, sample_weight=weight),
            "f1": sk.f1_score(truth, called, sample_weight=weight),
            "brier": sk.brier_score_loss(truth, score, sample_weight=weight),
        }
        for name, value in expected.items():
            assert found[name][row] == pytest.approx(value, abs=1e-12), name


@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel"])
def test_weights_of_one_give_the_point_estimates(task: Task, predictions_of: PredictionsOf) -> None:
    table, info = predictions_of(task)
    answers = answers_of(table, info)
    found = statistic(answers, task)(np.ones((1, len(table))))
    estimators = {"binary": binary_metrics, "multiclass": multiclass_metrics, "multilabel": multilabel_metrics}
    for name, estimate in estimators[task](answers).items():
        assert found[name][0] == pytest.approx(estimate.value, abs=1e-12), name
    if task == "multiclass":
        for index, block in enumerate(per_class_metrics(answers).values()):
            for name in ONE_VS_REST:
                assert found[f"{index}/{name}"][0] == pytest.approx(block[name].value, abs=1e-12)
    if task == "multilabel":
        for index in range(3):
            block = binary_metrics(answers.one_vs_rest(index))
            for name in METRICS:
                assert found[f"{index}/{name}"][0] == pytest.approx(block[name].value, abs=1e-12)


@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel"])
def test_weights_are_the_same_as_rows_repeated(task: Task, predictions_of: PredictionsOf) -> None:
    table, info = predictions_of(task, images=60)
    rng = np.random.default_rng(5)
    weights = rng.integers(1, 4, 60)
    repeated = answers_of(table.loc[np.repeat(table.index, weights)], info)
    once = statistic(answers_of(table, info), task)(weights[None].astype(float))
    many = statistic(repeated, task)(np.ones((1, weights.sum())))
    for name in once:
        # The bins of the calibration error are those of the images that were weighted, not of the repeated ones.
        if not name.endswith(("ece", "gaps", "masses")):
            assert once[name][0] == pytest.approx(many[name][0], abs=1e-12), name


def test_a_resample_without_a_class_is_undefined_not_zero() -> None:
    score = np.array([0.2, 0.9])
    answers = Answers(np.array([0, 1]), np.stack([1 - score, score], axis=1), np.array([0, 1]), ("n", "p"))
    found = binary_statistic(answers)(np.array([[2.0, 0.0], [0.0, 2.0]]))
    assert np.isnan(found["sensitivity"]).tolist() == [True, False]
    assert np.isnan(found["specificity"]).tolist() == [False, True]
    assert np.isnan(found["auroc"]).all()
    assert np.isnan(found["average_precision"]).tolist() == [True, False]
    assert found["accuracy"].tolist() == [1, 1]
