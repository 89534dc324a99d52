"""McNemar's test against SciPy's binomial test, against all swaps counted out, and by simulation."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.stats import binomtest, chi2, ttest_rel

from radlens.statistics.mcnemar import mcnemar, swap_test
from radlens.statistics.paired_difference import Difference, mean_difference


@pytest.mark.parametrize(("alone", "other"), [(0, 0), (1, 0), (3, 9), (10, 10), (40, 17)])
def test_with_one_image_a_patient_it_is_the_exact_binomial_test(alone: int, other: int) -> None:
    first = np.repeat([True, False, True, False], [alone, other, 50, 5])
    second = np.repeat([False, True, True, False], [alone, other, 50, 5])
    found = mcnemar(first, second, range(len(first)))
    assert (found.only_first, found.only_second) == (alone, other)
    expected = binomtest(alone, alone + other).pvalue if alone + other else 1.0
    assert found.p_exact == pytest.approx(expected, rel=1e-9)
    if alone + other:
        count = len(first)
        statistic = (alone - other) ** 2 / (alone + other) * (count - 1) / count
        assert found.p_clustered == pytest.approx(chi2.sf(statistic, 1))
    else:
        assert found.p_clustered is None


def test_the_exact_test_counts_all_swaps_of_patients() -> None:
    excess = np.array([3, -1, 2, 2, 0, -1, 1])
    sums = [abs(np.dot(signs, excess)) for signs in itertools.product((-1, 1), repeat=len(excess))]
    assert swap_test(excess) == pytest.approx(np.mean(np.array(sums) >= abs(excess.sum())))


def draw(rng: np.random.Generator, patients: int, images: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two models that are right equally often, mostly on all images of a patient or on none."""
    patient = np.repeat(np.arange(patients), images)
    hard = rng.normal(size=(2, patients))[:, patient]
    right = hard + 0.4 * rng.normal(size=(2, patients * images)) < 0.8
    return right[0], right[1], patient


def test_under_the_null_five_in_a_hundred_are_called_different() -> None:
    rng = np.random.default_rng(0)
    clustered, exact, naive, means = [], [], [], []
    for _ in range(1500):
        first, second, patient = draw(rng, 60, 3)
        found = mcnemar(first, second, patient)
        clustered.append(found.p_clustered)
        exact.append(found.p_exact)
        naive.append(mcnemar(first, second, np.arange(len(first))).p_clustered)
        means.append(mean_difference(first, second, patient).p_value)
    assert 0.035 <= np.mean(np.array(clustered) < 0.05) <= 0.065
    assert 0.03 <= np.mean(np.array(exact) < 0.05) <= 0.06
    assert 0.035 <= np.mean(np.array(means) < 0.05) <= 0.065
    assert np.mean(np.array(naive) < 0.05) > 0.15


def test_the_difference_of_means_is_the_paired_t_test_where_patients_have_one_image() -> None:
    rng = np.random.default_rng(1)
    first, second = rng.normal(size=40), rng.normal(0.3, 1, size=40)
    found, expected = mean_difference(first, second, range(40)), ttest_rel(second, first)
    assert found.p_value == pytest.approx(expected.pvalue)
    interval = expected.confidence_interval(0.9)
    assert found.limits(0.9) == pytest.approx((interval.low, interval.high))


def test_a_difference_that_is_none_is_certain_of_it() -> None:
    found = mean_difference([1, 0, 1], [1, 0, 1], ["a", "a", "b"])
    assert found == Difference(0.0, 0.0, 2)
    assert (found.p_value, found.p_above(-0.01), found.p_below(0.01)) == (1.0, 0.0, 0.0)
