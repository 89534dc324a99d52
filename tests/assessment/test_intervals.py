from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radlens.assessment import intervals
from radlens.assessment.intervals import (
    bootstrap,
    count_patients,
    exact_limits,
    patient_weights,
    percentile_limits,
    reflected_limits,
)
from radlens.assessment.metrics import Answers
from radlens.assessment.weighted import binary_statistic, ranking_statistic


def all_weights(patients, resamples=200, seed=0) -> np.ndarray:
    return np.concatenate(list(patient_weights(patients, resamples, np.random.default_rng(seed))))


def correct_share(right: np.ndarray):
    return lambda weights: {"accuracy": weights @ right / weights.sum(axis=1)}


@settings(deadline=None, max_examples=30)
@given(sizes=st.lists(st.integers(1, 6), min_size=1, max_size=20), seed=st.integers(0, 100))
def test_all_images_of_a_patient_come_along(sizes, seed):
    patients = np.repeat(np.arange(len(sizes)), sizes)
    weights = all_weights(patients, 30, seed)
    assert weights.shape == (30, len(patients))
    for patient in range(len(sizes)):
        columns = weights[:, patients == patient]
        assert (columns == columns[:, :1]).all()
    # As many patients are drawn as there are.
    first = np.unique(patients, return_index=True)[1]
    assert (weights[:, first].sum(axis=1) == len(sizes)).all()


def test_unique_patients_give_the_ordinary_bootstrap():
    images = 40
    weights = all_weights([f"p{i:02d}" for i in range(images)], 50, seed=3)
    drawn = np.random.default_rng(3).integers(0, images, size=(50, images))
    np.testing.assert_array_equal(weights, [np.bincount(row, minlength=images) for row in drawn])


def test_same_seed_same_weights_in_any_row_order():
    patients = np.array([f"p{i % 7}" for i in range(30)])
    order = np.random.default_rng(1).permutation(30)
    np.testing.assert_array_equal(all_weights(patients)[:, order], all_weights(patients[order]))
    assert not np.array_equal(all_weights(patients, seed=0), all_weights(patients, seed=1))


def test_chunks_change_nothing(monkeypatch):
    patients = np.arange(11)
    whole = all_weights(patients, 101)
    monkeypatch.setattr(intervals, "_CHUNK", 50)
    chunks = list(patient_weights(patients, 101, np.random.default_rng(0)))
    assert len(chunks) > 1
    np.testing.assert_array_equal(np.concatenate(chunks), whole)


def test_accuracy_agrees_with_wilson_when_there_are_many_images():
    n, right = 4000, 3400
    outcome = np.repeat([1.0, 0.0], [right, n - right])
    replicates = bootstrap(correct_share(outcome), np.arange(n), 4000, np.random.default_rng(0))["accuracy"]
    z, p = 1.959964, right / n
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    assert percentile_limits(replicates, 0.95) == pytest.approx((centre - half, centre + half), abs=0.0015)


def test_copies_of_an_image_do_not_narrow_the_interval():
    rng = np.random.default_rng(4)
    right = (rng.random(300) < 0.8).astype(float)
    once = bootstrap(correct_share(right), np.arange(300), 500, np.random.default_rng(0))["accuracy"]
    patients = np.repeat(np.arange(300), 4)
    four = bootstrap(correct_share(np.repeat(right, 4)), patients, 500, np.random.default_rng(0))["accuracy"]
    np.testing.assert_allclose(once, four, atol=1e-12)
    naive = bootstrap(correct_share(np.repeat(right, 4)), np.arange(1200), 500, np.random.default_rng(0))["accuracy"]
    assert np.ptp(percentile_limits(naive, 0.95)) < 0.65 * np.ptp(percentile_limits(four, 0.95))


def test_interval_of_auroc_covers_the_truth_about_as_often_as_it_says():
    # Positives are normal around 1, negatives around 0: the true AUROC is Phi(1 / sqrt(2)). Two images a patient share
    # most of their score, so that images are not independent.
    truth_value = 0.5 * (1 + math.erf(0.5))
    rng = np.random.default_rng(7)
    patients = np.repeat(np.arange(80), 2)
    truth = np.repeat(np.arange(80) % 2, 2)
    covered = naive = 0
    for _ in range(200):
        shared, own = np.repeat(rng.normal(size=80), 2), rng.normal(size=160)
        score = truth + math.sqrt(0.8) * shared + math.sqrt(0.2) * own
        ranks = ranking_statistic(truth, score)
        for groups in (patients, np.arange(160)):
            found = bootstrap(lambda weights, ranks=ranks: {"auroc": ranks(weights)[0]}, groups, 200, rng)["auroc"]
            low, high = percentile_limits(found, 0.95)
            if groups is patients:
                covered += low <= truth_value <= high
            else:
                naive += low <= truth_value <= high
    # 200 trials: three standard errors of 0.95 are 0.046.
    assert covered / 200 >= 0.90
    assert naive / 200 < covered / 200


def test_reflected_limits_take_off_the_bias_of_the_calibration_error():
    rng = np.random.default_rng(11)
    percentile = reflected = 0
    # The model says 0.5 +- 0.3 where 0.5 +- 0.15 is true: the true gap is 0.15 everywhere.
    for _ in range(100):
        score = rng.choice([0.2, 0.8], 150) + rng.uniform(-0.05, 0.05, 150)
        truth = (rng.random(150) < 0.5 + (score - 0.5) / 2).astype(np.int64)
        answers = Answers(truth, np.stack([1 - score, score], axis=1), (score >= 0.5).astype(np.int64), ("n", "p"))
        measure = binary_statistic(answers)
        value = float(measure(np.ones((1, 150)))["ece"][0])
        replicates = bootstrap(measure, np.arange(150), 200, rng)["ece"]
        low, high = percentile_limits(replicates, 0.95)
        percentile += low <= 0.15 <= high
        low, high = reflected_limits(replicates, value, 0.95)
        reflected += low <= 0.15 <= high
    assert reflected >= 85
    assert percentile < reflected


def test_reflected_limits_are_the_mirror_image_and_never_negative():
    replicates = np.linspace(0.1, 0.3, 101)
    assert reflected_limits(replicates, 0.15, 0.5) == pytest.approx((0.05, 0.15))
    assert reflected_limits(replicates, 0.05, 0.5) == (0.0, 0.0)


@pytest.mark.parametrize(("successes", "trials"), [(0, 10), (10, 10), (50, 50), (0, 1)])
def test_exact_limits_leave_a_tail_of_the_stated_size(successes, trials):
    low, high = exact_limits(successes, trials, 0.95)
    if successes == 0:
        assert low == 0
        assert (1 - high) ** trials == pytest.approx(0.025)
    else:
        assert high == 1
        assert low**trials == pytest.approx(0.025)


@pytest.mark.parametrize(("successes", "trials"), [(3, 10), (0, 0)])
def test_exact_limits_are_for_none_or_all(successes, trials):
    with pytest.raises(ValueError, match="none or all"):
        exact_limits(successes, trials, 0.95)


def test_count_patients():
    assert count_patients(["a", "a", "b", "c"], np.array([True, True, True, False])) == 2
