"""AUROC variances against sums over all pairs, written out as the papers print them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from radlens.statistics.delong import area_limits, clustered_auroc
from radlens.statistics.placements import placements
from radlens.statistics.ranking import concordance
from radlens.statistics.resampling import bootstrap


def kernel(positive: np.ndarray, negative: np.ndarray) -> np.ndarray:
    """1, one half or 0 for each pair, as the positive image scores above, like or below the negative one."""
    above, like = positive[:, None] > negative, positive[:, None] == negative
    return np.asarray(above + like / 2, dtype=np.float64)


def delong_by_hand(truth: np.ndarray, score: np.ndarray) -> float:
    """Equations 4 and 5 of DeLong et al. 1988, in the time of all pairs."""
    pairs = kernel(score[truth == 1], score[truth == 0])
    return float(pairs.mean(axis=1).var(ddof=1) / pairs.shape[0] + pairs.mean(axis=0).var(ddof=1) / pairs.shape[1])


def obuchowski_by_hand(truth: np.ndarray, score: np.ndarray, patients: np.ndarray) -> float:
    """Section 2 of Obuchowski 1997, patient by patient."""
    pairs = kernel(score[truth == 1], score[truth == 0])
    area, (positives, negatives) = pairs.mean(), pairs.shape
    everyone = np.unique(patients)
    with_positive, with_negative = (set(patients[truth == value]) for value in (1, 0))
    s10 = s01 = s11 = 0.0
    for patient in everyone:
        own_positive, own_negative = patients[truth == 1] == patient, patients[truth == 0] == patient
        x = pairs.mean(axis=1)[own_positive].sum() - own_positive.sum() * area
        y = pairs.mean(axis=0)[own_negative].sum() - own_negative.sum() * area
        s10 += x**2 * len(with_positive) / ((len(with_positive) - 1) * positives)
        s01 += y**2 * len(with_negative) / ((len(with_negative) - 1) * negatives)
        s11 += x * y * len(everyone) / (len(everyone) - 1)
    return float(s10 / positives + s01 / negatives + 2 * s11 / (positives * negatives))


def drawn(seed: int, decimals: int, images: int = 60) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 2, images)
    truth[:4] = 0, 1, 0, 1
    score = np.round(rng.normal(size=images) + truth, decimals)
    patients = rng.integers(0, images // 3, images)
    patients[:4] = 0, 1, 2, 3
    return truth, score, patients


@settings(deadline=None)
@given(seed=st.integers(0, 10_000), decimals=st.sampled_from([0, 1, 8]))
def test_it_is_delong_for_one_image_a_patient(seed: int, decimals: int) -> None:
    truth, score, _ = drawn(seed, decimals)
    found = clustered_auroc(truth, score, np.arange(len(truth)))
    assert found.value == pytest.approx(roc_auc_score(truth, score), abs=1e-12)
    assert found.variance == pytest.approx(delong_by_hand(truth, score), rel=1e-9)


@settings(deadline=None)
@given(seed=st.integers(0, 10_000), decimals=st.sampled_from([0, 1, 8]))
def test_it_is_obuchowski_for_patients_with_several_images(seed: int, decimals: int) -> None:
    truth, score, patients = drawn(seed, decimals)
    found = clustered_auroc(truth, score, patients)
    assert found.variance == pytest.approx(max(0.0, obuchowski_by_hand(truth, score, patients)), rel=1e-9, abs=1e-15)
    order = np.random.default_rng(seed).permutation(len(truth))
    again = clustered_auroc(truth[order], score[order], patients[order])
    assert again.variance == pytest.approx(found.variance, rel=1e-9, abs=1e-15)


def test_placements_are_shares_of_pairs() -> None:
    truth, score, _ = drawn(3, 1)
    pairs = kernel(score[truth == 1], score[truth == 0])
    above, below = placements(truth, score)
    np.testing.assert_allclose(above, pairs.mean(axis=1), atol=1e-12)
    np.testing.assert_allclose(below, pairs.mean(axis=0), atol=1e-12)


def test_the_variance_is_that_of_resampled_patients() -> None:
    rng = np.random.default_rng(1)
    patients = np.repeat(np.arange(400), 3)
    truth = np.repeat(rng.integers(0, 2, 400), 3)
    score = truth + np.repeat(rng.normal(size=400), 3) + rng.normal(0, 0.5, 1200)
    area = concordance(score, truth)
    resampled = bootstrap(lambda weights: {"auroc": area(weights)}, patients, 2000, rng)["auroc"]
    found = clustered_auroc(truth, score, patients)
    assert found.variance == pytest.approx(resampled.var(), rel=0.1)
    assert found.variance > 2 * clustered_auroc(truth, score, np.arange(1200)).variance


def test_copies_of_images_add_nothing() -> None:
    truth, score, _ = drawn(5, 8)
    patients = np.arange(len(truth))
    once = clustered_auroc(truth, score, patients)
    four = clustered_auroc(np.repeat(truth, 4), np.repeat(score, 4), np.repeat(patients, 4))
    assert (four.value, four.variance) == pytest.approx((once.value, once.variance))
    assert area_limits(four, 0.95) == pytest.approx(area_limits(once, 0.95))


def test_perfect_scores_show_no_spread() -> None:
    found = clustered_auroc(np.array([0, 0, 1, 1]), np.array([0.1, 0.2, 0.8, 0.9]), np.arange(4))
    assert (found.value, found.variance) == (1.0, 0.0)
    # Two pairs without a patient in common, both in order: Wilson's low limit is n / (n + z^2).
    assert area_limits(found, 0.95) == pytest.approx((2 / (2 + 3.841459), 1.0))
    low, _ = area_limits(clustered_auroc(np.repeat([0, 1], 300), np.arange(600.0), np.arange(600) // 3), 0.95)
    assert low == pytest.approx(100 / (100 + 3.841459)), "patients count, not images"


def test_one_patient_of_a_kind_says_nothing_of_others() -> None:
    truth = np.array([1, 1, 0, 0])
    with pytest.raises(ValueError, match="two patients or more"):
        clustered_auroc(truth, np.arange(4.0), np.array([0, 0, 1, 2]))
    with pytest.raises(ValueError, match="got 4 and 0"):
        clustered_auroc(np.ones(4, dtype=np.int64), np.arange(4.0), np.arange(4))
