"""Slope, intercept, bins and the parts of the Brier score, against fits and sums made another way."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from fixture_types import PredictionsOf
from known import known, span
from radlens.assessment.calibration_evidence import brier_parts, calibration_evidence, reliability_bins
from radlens.assessment.calibration_line import calibration_line
from radlens.assessment.evaluate import answers_of
from radlens.assessment.summary import Summary
from radlens.config import EvaluateSettings
from radlens.decision import Task
from radlens.statistics.metrics import Answers, Floats, Ints, expected_calibration_error


def drawn(
    seed: int = 0, images: int = 400, sureness: float = 1.0, shift: float = 0.0, each: int = 2
) -> tuple[Floats, Ints, Ints]:
    rng = np.random.default_rng(seed)
    logits = np.repeat(rng.normal(0, 1.5, images // each), each) + rng.normal(0, 0.7, images)
    truth = (rng.random(images) < 1 / (1 + np.exp(-logits))).astype(np.int64)
    return 1 / (1 + np.exp(-sureness * logits - shift)), truth, np.arange(images) // each


def logit(score: Floats) -> Floats:
    return np.log(score / (1 - score))


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 1000))
def test_the_slope_is_that_of_a_logistic_regression(seed: int) -> None:
    score, truth, patients = drawn(seed, images=120, sureness=2.0)
    wanted = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(logit(score)[:, None], truth)
    found = calibration_line(score, truth, patients, 0.95)
    assert found["slope"].value == pytest.approx(wanted.coef_[0, 0], rel=1e-4)
    # With the slope held at 1, as many positive images are expected as there are.
    expected = 1 / (1 + np.exp(-logit(score) - known(found["intercept"].value)))
    assert expected.sum() == pytest.approx(truth.sum())


def test_the_interval_is_the_sandwich_written_out_patient_by_patient() -> None:
    score, truth, patients = drawn(3, images=90, sureness=1.5, each=3)
    found = calibration_line(score, truth, patients, 0.95)["slope"]
    fit = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(logit(score)[:, None], truth)
    design = np.stack([np.ones(90), logit(score)], axis=1)
    expected = fit.predict_proba(logit(score)[:, None])[:, 1]
    bread = np.linalg.inv(sum(p * (1 - p) * np.outer(x, x) for x, p in zip(design, expected, strict=True)))
    meat = np.zeros((2, 2))
    for patient in range(30):
        total = sum(
            x * (y - p) for x, y, p, who in zip(design, truth, expected, patients, strict=True) if who == patient
        )
        meat += np.outer(total, total)
    error = np.sqrt((bread @ meat @ bread)[1, 1] * 30 / 29)
    low, _, high = span(found)
    half = (high - low) / 2
    assert 1.96 * error < half < 2.5 * error, "Student's quantile is a little larger"
    assert half / error == pytest.approx(2.05, abs=0.15)


def test_planted_distortions_are_found() -> None:
    score, truth, patients = drawn(images=40_000, sureness=2.0, shift=0.0)
    assert calibration_line(score, truth, patients, 0.95)["slope"].value == pytest.approx(0.5, abs=0.02)
    score, truth, patients = drawn(images=40_000, sureness=1.0, shift=0.8)
    assert calibration_line(score, truth, patients, 0.95)["intercept"].value == pytest.approx(-0.8, abs=0.05)


def test_scores_without_an_error_or_without_a_difference_have_no_slope() -> None:
    truth = np.repeat([0, 1], 20)
    for score in (np.where(truth == 1, 0.9, 0.1), np.full(40, 0.5), truth.astype(float)):
        found = calibration_line(score.astype(float), truth, np.arange(40), 0.95)
        assert found["slope"].value is None
        assert found["slope"].reason
    found = calibration_line(np.array([0.2, 0.3, 0.4]), np.array([0, 0, 1]), np.arange(3), 0.95)
    assert found["intercept"].value is None


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 1000), decimals=st.sampled_from([1, 8]))
def test_the_parts_add_up_to_the_brier_score(seed: int, decimals: int) -> None:
    score, truth, _ = drawn(seed, images=100)
    score = np.round(score, decimals)
    parts = brier_parts(score, truth)
    total = parts.reliability - parts.resolution + parts.uncertainty + parts.within
    assert total == pytest.approx(np.mean((score - truth) ** 2), abs=1e-12)


def test_few_distinct_probabilities_have_the_parts_of_murphy() -> None:
    score = np.repeat([0.1, 0.4, 0.9], [50, 30, 20])
    truth = np.concatenate([np.repeat([1, 0], [10, 40]), np.repeat([1, 0], [12, 18]), np.repeat([1, 0], [15, 5])])
    parts = brier_parts(score, truth)
    shares, sizes, base = np.array([0.2, 0.4, 0.75]), np.array([50, 30, 20]) / 100, 0.37
    assert parts.reliability == pytest.approx(sizes @ (np.array([0.1, 0.4, 0.9]) - shares) ** 2)
    assert parts.resolution == pytest.approx(sizes @ (shares - base) ** 2)
    assert parts.uncertainty == pytest.approx(base * (1 - base))
    assert parts.within == pytest.approx(0, abs=1e-12)


def test_the_corrected_reliability_of_a_calibrated_model_is_0_on_the_average() -> None:
    rng = np.random.default_rng(0)
    plain, corrected = [], []
    for _ in range(400):
        score = rng.choice([0.1, 0.3, 0.6, 0.8], 80)
        parts = brier_parts(score, (rng.random(80) < score).astype(np.int64))
        plain.append(parts.reliability)
        corrected.append(parts.reliability_corrected)
    assert np.mean(corrected) < 0.4 * np.mean(plain), "cut off at 0, the mean stays a little above"


def test_bins_hold_every_image_and_their_intervals_the_share() -> None:
    score, truth, patients = drawn()
    bins = reliability_bins(score, truth, patients, 0.95)
    assert sum(part.n for part in bins) == 400
    assert sum(part.n * known(part.observed.value) for part in bins) == pytest.approx(truth.sum())
    gaps = sum(part.n * abs(part.mean - known(part.observed.value)) for part in bins) / 400
    assert gaps == pytest.approx(expected_calibration_error(score, truth))
    for low, value, high in (span(part.observed) for part in bins):
        assert low <= value <= high


def test_the_correction_brings_the_error_of_a_calibrated_model_down() -> None:
    plain, corrected = [], []
    for seed in range(20):
        score, truth, patients = drawn(seed)
        answers = Answers(truth, np.stack([1 - score, score], axis=1), (score >= 0.5).astype(np.int64), ("n", "p"))
        settings_ = EvaluateSettings(resamples=200)
        summary = Summary.of(answers, "binary", patients, settings_, np.random.default_rng(0))
        found = calibration_evidence(summary)
        plain.append(expected_calibration_error(score, truth))
        corrected.append(known(found.ece_corrected.value))
        largest = max(abs(part.mean - known(part.observed.value)) for part in found.bins)
        assert found.mce.value == pytest.approx(largest)
    assert np.mean(corrected) < 0.5 * np.mean(plain)


@pytest.mark.parametrize("task", ["multiclass", "multilabel"])
def test_other_tasks_have_bins_and_errors(task: Task, predictions_of: PredictionsOf) -> None:
    table, info = predictions_of(task)
    answers, patients = answers_of(table, info), table["patient"].to_numpy(dtype=str)
    settings_ = EvaluateSettings(resamples=100)
    found = calibration_evidence(Summary.of(answers, task, patients, settings_, np.random.default_rng(0)))
    assert found.slope is None
    assert sum(part.n for part in found.bins) == len(table) * (3 if task == "multilabel" else 1)
    low, value, high = span(found.ece_corrected)
    assert low <= value <= high
    assert 0 < known(found.mce.value) <= 1
