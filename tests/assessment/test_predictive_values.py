"""Predictive values by Bayes' rule, and their limits against what is known of ratios."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from known import known, span
from radlens.assessment.predictive_values import predictive_values, ratio_limits
from radlens.statistics.metrics import Answers, Ints
from radlens.statistics.proportions import wilson_limits


def answered(tp: int, fn: int, fp: int, tn: int) -> tuple[Answers, Ints]:
    truth = np.repeat([1, 1, 0, 0], [tp, fn, fp, tn])
    called = np.repeat([1, 0, 1, 0], [tp, fn, fp, tn])
    score = np.where(called == 1, 0.9, 0.1)
    return Answers(truth, np.stack([1 - score, score], axis=1), called, ("n", "p")), np.arange(len(truth))


def test_they_follow_from_sensitivity_and_specificity() -> None:
    answers, patients = answered(90, 10, 40, 160)
    (row,) = predictive_values(answers, patients, [0.02], 0.95)
    # Of 10,000 people 200 are ill: 180 are found; of 9,800 others 1,960 are called positive.
    assert row.ppv.value == pytest.approx(180 / (180 + 1960))
    assert row.npv.value == pytest.approx(7840 / (7840 + 20))
    assert row.flagged == pytest.approx((180 + 1960) / 10_000)


def test_at_the_prevalence_of_the_images_they_are_the_precision() -> None:
    answers, patients = answered(80, 20, 30, 170)
    (row,) = predictive_values(answers, patients, [1 / 3], 0.95)
    assert row.ppv.value == pytest.approx(80 / 110)
    assert row.npv.value == pytest.approx(170 / 190)


@given(tp=st.integers(0, 40), fn=st.integers(0, 40), fp=st.integers(0, 40), tn=st.integers(0, 40))
def test_limits_hold_the_value_and_stay_within_0_and_1(tp: int, fn: int, fp: int, tn: int) -> None:
    answers, patients = answered(tp + 1, fn, fp, tn + 1)
    for row in predictive_values(answers, patients, [0.01, 0.5, 0.9], 0.95):
        for metric in (row.ppv, row.npv):
            low, value, high = span(metric)
            assert 0 <= low <= value <= high <= 1


def test_a_perfect_specificity_is_not_taken_for_certain() -> None:
    answers, patients = answered(50, 5, 0, 60)
    (row,) = predictive_values(answers, patients, [0.1], 0.95)
    assert row.ppv.value == row.ppv.high == 1
    assert 0.3 < known(row.ppv.low) < 0.8


def test_nothing_called_positive_has_no_ppv_and_one_class_nothing() -> None:
    answers, patients = answered(0, 10, 0, 20)
    (row,) = predictive_values(answers, patients, [0.1], 0.95)
    assert row.ppv.value is None
    assert row.npv.value == pytest.approx(0.9)
    assert predictive_values(*answered(5, 5, 0, 0), [0.1], 0.95) == []


def test_limits_of_a_ratio_turned_over_are_those_turned_over() -> None:
    one, other = (0.8, (0.7, 0.88)), (0.15, (0.08, 0.27))
    low, high = ratio_limits(*one, *other)
    assert ratio_limits(*other, *one) == pytest.approx((1 / high, 1 / low))
    assert ratio_limits(0.8, (0.7, 0.88), 0.0, (0.0, 0.05))[1] == math.inf


def test_limits_of_a_ratio_are_those_of_its_logarithm_when_images_are_many() -> None:
    # Delta method: the logarithm of a ratio of independent shares has the variance of the sum (Katz et al. 1978).
    n, one, other = 200_000, 0.8, 0.15
    low, high = ratio_limits(one, wilson_limits(one, n, 0.95), other, wilson_limits(other, n, 0.95))
    reach = 1.959964 * math.sqrt((1 - one) / (one * n) + (1 - other) / (other * n))
    assert math.log(low) == pytest.approx(math.log(one / other) - reach, rel=1e-3)
    assert math.log(high) == pytest.approx(math.log(one / other) + reach, rel=1e-3)
