"""Net benefit against counts by hand, and the table of thresholds against the metrics at each."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix

from radlens.assessment.decision_curve import STEPS, better_range, decision_curve
from radlens.assessment.metrics import Answers, binary_metrics
from radlens.assessment.threshold_table import THRESHOLDS, threshold_table


def drawn(seed=0, images=200, apart=2.0) -> tuple[Answers, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 2, images)
    truth[:2] = 0, 1
    score = np.round(1 / (1 + np.exp(-apart * (truth - 0.5) - rng.normal(size=images))), 2)
    answers = Answers(truth, np.stack([1 - score, score], axis=1), (score >= 0.5).astype(np.int64), ("n", "p"))
    return answers, np.arange(images) // 2


def curve_of(answers, patients, resamples=200, seed=0):
    return decision_curve(answers, patients, resamples, 0.95, np.random.default_rng(seed))


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 1000))
def test_net_benefit_is_that_of_the_counts(seed):
    answers, patients = drawn(seed, images=60)
    curve = curve_of(answers, patients, resamples=100)
    for index in (0, 9, 49, 89, 98):
        step = curve["threshold"][index]
        called = (answers.probabilities[:, 1] >= step).astype(int)
        (_, fp), (_, tp) = confusion_matrix(answers.truth, called, labels=[0, 1])
        assert curve["net_benefit"][index] == pytest.approx(tp / 60 - fp / 60 * step / (1 - step), abs=1e-6)
        prevalence = answers.truth.mean()
        everyone = prevalence - (1 - prevalence) * step / (1 - step)
        assert curve["treat_all"][index] == pytest.approx(everyone, abs=1e-6)
        assert curve["gain"][index] == pytest.approx(curve["net_benefit"][index] - max(everyone, 0), abs=2e-6)
        assert curve["low"][index] <= curve["net_benefit"][index] <= curve["high"][index]


def test_a_perfect_model_has_the_prevalence_and_is_better_everywhere():
    truth = np.repeat([0, 1], [60, 40])
    answers = Answers(truth, np.stack([1 - truth, truth], axis=1).astype(float), truth, ("n", "p"))
    curve = curve_of(answers, np.arange(100))
    assert curve["net_benefit"] == pytest.approx([0.4] * len(STEPS))
    assert better_range(curve) == (0.01, 0.99)


def test_a_model_that_guesses_is_nowhere_better():
    rng = np.random.default_rng(3)
    truth = rng.integers(0, 2, 400)
    score = rng.random(400)
    answers = Answers(truth, np.stack([1 - score, score], axis=1), (score >= 0.5).astype(np.int64), ("n", "p"))
    assert better_range(curve_of(answers, np.arange(400))) is None


def test_the_band_is_that_of_resampled_patients():
    answers, patients = drawn(images=400)
    curve = curve_of(answers, patients, resamples=2000)
    index = 19
    called = answers.probabilities[:, 1] >= STEPS[index]
    worth = np.where(answers.truth == 1, 1.0, -STEPS[index] / (1 - STEPS[index])) * called
    totals = np.bincount(patients, weights=worth)
    error = totals.std(ddof=1) / np.sqrt(len(totals)) / 2
    assert curve["high"][index] - curve["low"][index] == pytest.approx(2 * 1.96 * error, rel=0.08)


@pytest.mark.parametrize("threshold", [0.5, 0.123])
def test_the_table_has_the_metrics_of_each_threshold(threshold):
    answers, patients = drawn()
    rows = threshold_table(answers, patients, threshold, 0.95)
    assert [row["threshold"] for row in rows] == sorted({*THRESHOLDS, threshold})
    assert [row["threshold"] for row in rows if row["operating_point"]] == [threshold]
    for row in rows:
        called = (answers.probabilities[:, 1] >= row["threshold"]).astype(np.int64)
        wanted = binary_metrics(Answers(answers.truth, answers.probabilities, called, answers.classes))
        for name, metric in (("sensitivity", "sensitivity"), ("specificity", "specificity"), ("ppv", "precision")):
            assert row[name]["value"] == pytest.approx(wanted[metric].value)
        assert row["flagged"]["value"] == called.mean()
        assert row["flagged"]["low"] <= called.mean() <= row["flagged"]["high"]
    none = Answers(answers.truth, answers.probabilities / 10, answers.predicted, answers.classes)
    assert threshold_table(none, patients, 0.5, 0.95)[-1]["ppv"]["value"] is None
