from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from radlens.statistics.intervals import (
    bootstrap_logit_limits,
    inverted_limits,
    logit_limits,
    percentile_limits,
)
from radlens.statistics.metrics import Answers, Floats, Ints
from radlens.statistics.ranking import concordance
from radlens.statistics.resampling import bootstrap
from radlens.statistics.weighted import Statistic, binary_statistic


def correct_share(right: Floats) -> Statistic:
    return lambda weights: {"accuracy": weights @ right / weights.sum(axis=1)}


def auroc_alone(truth: Ints, score: Floats) -> Statistic:
    area = concordance(score, truth)
    return lambda weights: {"auroc": area(weights)}


def test_accuracy_agrees_with_wilson_when_there_are_many_images() -> None:
    n, right = 4000, 3400
    outcome = np.repeat([1.0, 0.0], [right, n - right])
    replicates = bootstrap(correct_share(outcome), np.arange(n), 4000, np.random.default_rng(0))["accuracy"]
    z, p = 1.959964, right / n
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    assert percentile_limits(replicates, 0.95) == pytest.approx((centre - half, centre + half), abs=0.0015)


def test_copies_of_an_image_do_not_narrow_the_interval() -> None:
    rng = np.random.default_rng(4)
    right = (rng.random(300) < 0.8).astype(float)
    once = bootstrap(correct_share(right), np.arange(300), 500, np.random.default_rng(0))["accuracy"]
    patients = np.repeat(np.arange(300), 4)
    four = bootstrap(correct_share(np.repeat(right, 4)), patients, 500, np.random.default_rng(0))["accuracy"]
    np.testing.assert_allclose(once, four, atol=1e-12)
    naive = bootstrap(correct_share(np.repeat(right, 4)), np.arange(1200), 500, np.random.default_rng(0))["accuracy"]
    assert np.ptp(percentile_limits(naive, 0.95)) < 0.65 * np.ptp(percentile_limits(four, 0.95))


def test_interval_of_auroc_covers_the_truth_about_as_often_as_it_says() -> None:
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
        area = auroc_alone(truth, score)
        for groups in (patients, np.arange(160)):
            found = bootstrap(area, groups, 200, rng)["auroc"]
            low, high = percentile_limits(found, 0.95)
            if groups is patients:
                covered += low <= truth_value <= high
            else:
                naive += low <= truth_value <= high
    # 200 trials: three standard errors of 0.95 are 0.046.
    assert covered / 200 >= 0.90
    assert naive / 200 < covered / 200


def planted_gaps(rng: np.random.Generator, images: int = 150) -> Statistic:
    """A model that says 0.5 +- 0.3 where 0.5 +- 0.15 is true: the gap is 0.15, but for the middle one of 15 bins."""
    score = rng.choice([0.2, 0.8], images) + rng.uniform(-0.05, 0.05, images)
    truth = (rng.random(images) < 0.5 + (score - 0.5) / 2).astype(np.int64)
    answers = Answers(truth, np.stack([1 - score, score], axis=1), (score >= 0.5).astype(np.int64), ("n", "p"))
    return binary_statistic(answers)


def test_inverted_limits_take_off_the_bias_of_the_calibration_error() -> None:
    rng = np.random.default_rng(11)
    percentile = inverted = 0
    middles, plain = [], []
    for _ in range(200):
        measure = planted_gaps(rng)
        seen = measure(np.ones((1, 150)))
        replicates = bootstrap(measure, np.arange(150), 200, rng)
        low, high = percentile_limits(replicates["ece"], 0.95)
        percentile += low <= 0.14 <= high
        low, middle, high = inverted_limits(seen["gaps"][0], replicates["gaps"], 0.95)
        inverted += low <= 0.14 <= high
        middles.append(middle)
        plain.append(seen["ece"][0])
    # Of 200 intervals that cover in 93 to 97 % of the cases, fewer or more are seen once in ten thousand times.
    assert stats.binom.ppf(1e-4, 200, 0.93) <= inverted <= stats.binom.ppf(1 - 1e-4, 200, 0.97)
    assert percentile < inverted
    assert abs(np.median(middles) - 0.14) < 0.01 < 0.02 < np.median(plain) - 0.14


def test_a_calibrated_model_may_have_no_calibration_error() -> None:
    rng = np.random.default_rng(2)
    score = rng.random(400)
    gaps = np.zeros((400, 10))
    gaps[np.arange(400), np.floor(10 * score).astype(int)] = score - (rng.random(400) < score)
    weights = rng.multinomial(400, np.full(400, 1 / 400), size=500)
    low, middle, high = inverted_limits(gaps.mean(axis=0), weights @ gaps / 400, 0.95)
    assert low == 0 <= middle < high < np.abs(gaps.mean(axis=0)).sum() + 0.02


def test_inverted_limits_of_a_large_gap_are_those_of_the_normal_distribution() -> None:
    rng = np.random.default_rng(0)
    deviations = rng.normal(0, 0.01, (20_000, 1))
    low, middle, high = inverted_limits(np.array([-0.3]), -0.3 + deviations, 0.95)
    assert (low, middle, high) == pytest.approx((0.3 - 0.0196, 0.3, 0.3 + 0.0196), abs=5e-4)
    assert inverted_limits(np.zeros(3), np.zeros((5, 3)), 0.95) == (0, 0, 0)


def test_logit_limits_mirror_keep_inside_and_widen_for_few_patients() -> None:
    low, high = logit_limits(0.9, 0.003, 0.95)
    assert (1 - high, 1 - low) == pytest.approx(logit_limits(0.1, 0.003, 0.95))
    assert 0 < low < 0.9 < high < 1
    assert logit_limits(0.5, 1e-8, 0.95) == pytest.approx((0.5 - 1.96e-4, 0.5 + 1.96e-4), abs=1e-8)
    few = logit_limits(0.9, 0.003, 0.95, patients=4)
    assert few[0] < low
    assert few[1] > high
    doubled = logit_limits(1.8, 4 * 0.003, 0.95, top=2.0)
    assert doubled == pytest.approx((2 * low, 2 * high))


@pytest.mark.parametrize(("value", "variance"), [(1.0, 0.1), (0.0, 0.1), (0.5, 0.0), (0.5, float("nan"))])
def test_logit_limits_without_spread_are_the_estimate(value: float, variance: float) -> None:
    assert logit_limits(value, variance, 0.95) == (value, value)


def test_bootstrap_logit_limits_know_the_spread_of_a_mean() -> None:
    rng = np.random.default_rng(5)
    right = (rng.random(500) < 0.7).astype(float)
    replicates = bootstrap(correct_share(right), np.arange(500), 4000, rng)["accuracy"]
    value = right.mean()
    low, high = bootstrap_logit_limits(replicates, value, 0.95, 500)
    assert high - low == pytest.approx(2 * 1.965 * math.sqrt(value * (1 - value) / 500), rel=0.05)
