"""Wilson's interval against SciPy's, and its clustered form against what clusters are known to do."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from radlens.statistics.proportions import clustered_proportion, clustered_wilson, wilson_limits


@given(trials=st.integers(1, 500), share=st.floats(0, 1), confidence=st.sampled_from([0.8, 0.95, 0.99]))
def test_the_limits_are_those_of_scipy(trials: int, share: float, confidence: float) -> None:
    successes = round(share * trials)
    wanted = stats.binomtest(successes, trials).proportion_ci(confidence, method="wilson")
    found = wilson_limits(successes / trials, trials, confidence)
    assert found == pytest.approx((wanted.low, wanted.high), abs=1e-12)


def test_one_image_a_patient_is_the_ordinary_interval() -> None:
    outcome = np.repeat([1, 0], [37, 13])
    wanted = stats.binomtest(37, 50).proportion_ci(method="wilson")
    # A variance of 50 / 49 of the binomial one is what 50 patients give; it is no clustering.
    found = clustered_wilson(outcome, np.arange(50), 0.95)
    assert found == pytest.approx((wanted.low, wanted.high), abs=2e-3)


def test_the_design_effect_of_copies_is_their_number() -> None:
    outcome = np.repeat([1, 0, 1, 1], 25)
    copies = clustered_proportion(np.repeat(outcome, 3), np.repeat(np.arange(100), 3))
    assert copies.value == 0.75
    assert copies.design_effect == pytest.approx(3 * 100 / 99)
    assert copies.effective == pytest.approx(99)


def test_the_design_effect_follows_from_the_correlation_within_patients() -> None:
    # Patients' own chances are Beta(a, b): outcomes of one patient correlate by 1 / (a + b + 1) (Kish 1965).
    rng = np.random.default_rng(0)
    for a, b, size in ((3.0, 1.0, 4), (1.0, 1.0, 2), (20.0, 5.0, 6)):
        chance = rng.beta(a, b, 60_000)
        outcome = (rng.random((60_000, size)) < chance[:, None]).astype(int)
        found = clustered_proportion(outcome.ravel(), np.repeat(np.arange(60_000), size))
        assert found.design_effect == pytest.approx(1 + (size - 1) / (a + b + 1), rel=0.03)


@settings(deadline=None)
@given(sizes=st.lists(st.integers(1, 5), min_size=1, max_size=30), seed=st.integers(0, 1000))
def test_the_limits_hold_the_share_and_are_never_narrower_than_for_independent_images(
    sizes: list[int], seed: int
) -> None:
    patients = np.repeat(np.arange(len(sizes)), sizes)
    outcome = np.random.default_rng(seed).integers(0, 2, len(patients))
    low, high = clustered_wilson(outcome, patients, 0.95)
    naive = wilson_limits(outcome.mean(), len(outcome), 0.95)
    assert 0 <= low <= outcome.mean() <= high <= 1
    assert low <= naive[0] + 1e-12
    assert high >= naive[1] - 1e-12
    order = np.random.default_rng(seed).permutation(len(patients))
    assert clustered_wilson(outcome[order], patients[order], 0.95) == pytest.approx((low, high), abs=1e-12)


def test_all_or_none_count_patients_and_are_not_certain() -> None:
    low, high = clustered_wilson(np.ones(40), np.repeat(np.arange(10), 4), 0.95)
    square = stats.t.ppf(0.975, 9) ** 2
    assert (low, high) == pytest.approx((10 / (10 + square), 1.0))
    low, high = clustered_wilson(np.zeros(10), np.arange(10), 0.95)
    assert (low, high) == pytest.approx((0.0, 3.841459 / (10 + 3.841459)))


def test_nothing_has_no_share() -> None:
    with pytest.raises(ValueError, match="above 0"):
        clustered_proportion([], [])
    with pytest.raises(ValueError, match="one or more trials"):
        wilson_limits(0.5, 0, 0.95)
