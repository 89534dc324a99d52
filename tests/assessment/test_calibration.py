"""A line through the logits: found again where it was planted, better than any other, and never sure of everything."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss as sklearn_log_loss

from radlens.assessment.calibration import fit_calibration, log_loss
from radlens.decision import Task, recalibrate
from radlens.statistics.metrics import Floats, Ints

TASKS = ["binary", "multiclass", "multilabel"]


def drawn(task: Task, rng: np.random.Generator, images: int = 20_000) -> tuple[Floats, Ints]:
    """Probabilities that are true, and labels drawn by them."""
    if task == "multilabel":
        true = 1 / (1 + np.exp(-rng.normal(0, 2, (images, 3))))
        return true, (rng.random(true.shape) < true).astype(np.int64)
    powers = np.exp(rng.normal(0, 2, (images, 2 if task == "binary" else 4)))
    true = powers / powers.sum(axis=1, keepdims=True)
    targets = (rng.random((images, 1)) > true.cumsum(axis=1)).sum(axis=1)
    return true, np.minimum(targets, true.shape[1] - 1)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize(("slope", "offset"), [(0.4, 1.0), (1.0, 0.0), (3.0, -1.5)])
def test_a_planted_line_is_found(task: Task, slope: float, offset: float) -> None:
    true, targets = drawn(task, np.random.default_rng(0))
    offset = 0.0 if task == "multiclass" else offset
    wrong = recalibrate(true, task, 1 / slope, -offset / slope)
    found = fit_calibration(wrong, targets, task)
    assert found[0] == pytest.approx(slope, rel=0.05)
    assert found[1] == pytest.approx(offset, abs=0.1)
    np.testing.assert_allclose(recalibrate(wrong, task, *found), true, atol=0.02)


def test_it_is_the_logistic_regression_of_the_logits() -> None:
    true, targets = drawn("binary", np.random.default_rng(3), images=3000)
    logits = np.log(true[:, 1] / true[:, 0])
    wanted = LogisticRegression(C=np.inf, tol=1e-8).fit(logits[:, None], targets)
    found = fit_calibration(true, targets, "binary")
    assert found == pytest.approx((wanted.coef_[0, 0], wanted.intercept_[0]), abs=0.01)


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 10_000), task=st.sampled_from(TASKS))
def test_no_other_line_has_a_smaller_loss(seed: int, task: Task) -> None:
    rng = np.random.default_rng(seed)
    true, targets = drawn(task, rng, images=40)
    found = fit_calibration(true, targets, task)
    smallest = log_loss(recalibrate(true, task, *found), targets, task, 1 / 42)
    for slope in np.geomspace(0.05, 20, 25):
        for offset in [0.0] if task == "multiclass" else np.linspace(-10, 10, 21):
            assert smallest <= log_loss(recalibrate(true, task, slope, offset), targets, task, 1 / 42) + 1e-6


def test_images_that_are_all_told_apart_leave_a_doubt() -> None:
    for images in (10, 1000):
        scores = np.array([[0.9, 0.1]] * (images // 2) + [[0.1, 0.9]] * (images // 2))
        targets = np.repeat([0, 1], images // 2)
        found = recalibrate(scores, "binary", *fit_calibration(scores, targets, "binary"))
        assert found[-1, 1] == pytest.approx(1 - 1 / (images + 2), abs=1e-3)


def test_one_class_alone_gives_a_finite_line() -> None:
    scores = np.array([[0.4, 0.6]] * 20)
    slope, offset = fit_calibration(scores, np.ones(20, dtype=np.int64), "binary")
    assert 0.05 <= slope <= 20
    assert -10 <= offset <= 10


def test_the_loss_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(1)
    for task in ("binary", "multiclass"):
        scores, targets = drawn(task, rng, images=200)
        assert log_loss(scores, targets, task) == pytest.approx(sklearn_log_loss(targets, scores))
    scores, targets = drawn("multilabel", rng, images=200)
    each = [sklearn_log_loss(targets[:, k], scores[:, k]) for k in range(3)]
    assert log_loss(scores, targets, "multilabel") == pytest.approx(np.mean(each))


def test_doubt_is_shared_among_the_other_answers() -> None:
    scores = np.array([[0.7, 0.2, 0.1]])
    wanted = -(0.9 * np.log(0.7) + 0.05 * np.log(0.2) + 0.05 * np.log(0.1))
    assert log_loss(scores, np.array([0]), "multiclass", 0.1) == pytest.approx(wanted)
    wanted = -(0.9 * np.log(0.7) + 0.1 * np.log(0.3))
    assert log_loss(scores[:, :1], np.array([[1]]), "multilabel", 0.1) == pytest.approx(wanted)


def test_nothing_cannot_be_calibrated() -> None:
    with pytest.raises(ValueError, match="equal and above 0"):
        fit_calibration(np.empty((0, 2)), np.empty(0, dtype=np.int64), "binary")
