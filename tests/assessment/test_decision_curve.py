"""Net benefit against counts by hand, and the table of thresholds against the metrics at each."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix

from known import span
from radlens.assessment.decision_curve import STEPS, better_range, decision_curve
from radlens.assessment.threshold_table import THRESHOLDS, threshold_table
from radlens.statistics.metrics import Answers, Floats, Ints, binary_metrics
from radlens.statistics.resampling import bootstrap
from radlens.statistics.weighted import Statistics


def drawn(seed: int = 0, images: int = 200, apart: float = 2.0) -> tuple[Answers, Ints]:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 2, images)
    truth[:2] = 0, 1
    score = np.round(1 / (1 + np.exp(-apart * (truth - 0.5) - rng.normal(size=images))), 2)
    answers = Answers(truth, np.stack([1 - score, score], axis=1), (score >= 0.5).astype(np.int64), ("n", "p"))
    return answers, np.arange(images) // 2


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 1000))
def test_net_benefit_is_that_of_the_counts(seed: int) -> None:
    answers, patients = drawn(seed, images=60)
    curve = decision_curve(answers, patients, 0.95)
    for index in (0, 9, 49, 89, 98):
        step = curve.threshold[index]
        called = (answers.probabilities[:, 1] >= step).astype(int)
        (_, fp), (_, tp) = confusion_matrix(answers.truth, called, labels=[0, 1])
        assert curve.net_benefit[index] == pytest.approx(tp / 60 - fp / 60 * step / (1 - step), abs=1e-6)
        prevalence = answers.truth.mean()
        everyone = prevalence - (1 - prevalence) * step / (1 - step)
        assert curve.treat_all[index] == pytest.approx(everyone, abs=1e-6)
        assert curve.gain[index] == pytest.approx(curve.net_benefit[index] - max(everyone, 0), abs=2e-6)
        assert curve.low[index] <= curve.net_benefit[index] <= curve.high[index]


def test_a_perfect_model_has_the_prevalence_and_is_better_everywhere() -> None:
    truth = np.repeat([0, 1], [60, 40])
    answers = Answers(truth, np.stack([1 - truth, truth], axis=1).astype(float), truth, ("n", "p"))
    curve = decision_curve(answers, np.arange(100), 0.95)
    assert curve.net_benefit == pytest.approx((0.4,) * len(STEPS))
    assert better_range(curve.threshold, curve.gain_low) == (0.01, 0.99)


def test_a_model_that_guesses_is_nowhere_better() -> None:
    rng = np.random.default_rng(3)
    truth = rng.integers(0, 2, 400)
    score = rng.random(400)
    answers = Answers(truth, np.stack([1 - score, score], axis=1), (score >= 0.5).astype(np.int64), ("n", "p"))
    curve = decision_curve(answers, np.arange(400), 0.95)
    assert better_range(curve.threshold, curve.gain_low) is None


def test_the_band_is_that_of_resampled_patients() -> None:
    answers, patients = drawn(images=400)
    curve = decision_curve(answers, patients, 0.95)
    called = answers.probabilities[:, [1]] >= STEPS
    everyone = np.where(answers.truth[:, None] == 1, 1.0, -STEPS / (1 - STEPS))
    treat_all = np.array(curve.treat_all)
    gain: Floats = called * everyone - np.where(treat_all > 0, everyone, 0)

    def means(weights: Floats) -> Statistics:
        total = weights.sum(axis=1, keepdims=True)
        return {"model": weights @ (called * everyone) / total, "gain": weights @ gain / total}

    drawn_again = bootstrap(means, patients, 3000, np.random.default_rng(0))
    for low, high, name in ((curve.low, curve.high, "model"), (curve.gain_low, curve.gain_high, "gain")):
        width = np.array(high) - np.array(low)
        # The few images that act at the last steps have a spread that resampling itself knows but roughly.
        np.testing.assert_allclose(width[:80], 2 * 1.97 * drawn_again[name].std(axis=0)[:80], rtol=0.08)


@pytest.mark.parametrize("threshold", [0.5, 0.123])
def test_the_table_has_the_metrics_of_each_threshold(threshold: float) -> None:
    answers, patients = drawn()
    rows = threshold_table(answers, patients, threshold, 0.95)
    assert [row.threshold for row in rows] == sorted({*THRESHOLDS, threshold})
    assert [row.threshold for row in rows if row.operating_point] == [threshold]
    for row in rows:
        called = (answers.probabilities[:, 1] >= row.threshold).astype(np.int64)
        wanted = binary_metrics(Answers(answers.truth, answers.probabilities, called, answers.classes))
        for name, metric in (("sensitivity", "sensitivity"), ("specificity", "specificity"), ("ppv", "precision")):
            assert row.metrics[name].value == pytest.approx(wanted[metric].value)
        assert row.flagged.value == called.mean()
        low, _, high = span(row.flagged)
        assert low <= called.mean() <= high
    none = Answers(answers.truth, answers.probabilities / 10, answers.predicted, answers.classes)
    assert threshold_table(none, patients, 0.5, 0.95)[-1].ppv.value is None
