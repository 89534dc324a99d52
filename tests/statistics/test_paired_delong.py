"""Paired AUROCs against brute force, the jackknife, and simulations with patients of several images."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from radlens.statistics.metrics import Floats, Ints
from radlens.statistics.paired_delong import paired_delong
from radlens.statistics.placements import placements


def delong_by_definition(truth: np.ndarray, first: np.ndarray, second: np.ndarray) -> float:
    """The variance of the difference as DeLong, DeLong and Clarke-Pearson write it, with covariance matrices."""
    positives, negatives = [], []
    for scores in (first, second):
        x, y = scores[truth == 1][:, None], scores[truth == 0][None, :]
        pairs = (x > y) + 0.5 * (x == y)
        positives.append(pairs.mean(axis=1))
        negatives.append(pairs.mean(axis=0))
    matrix = np.cov(positives) / len(positives[0]) + np.cov(negatives) / len(negatives[0])
    contrast = np.array([-1.0, 1.0])
    return float(contrast @ matrix @ contrast)


def draw(
    rng: np.random.Generator, patients: int, images: int, mixed: bool, signal: tuple[float, float]
) -> tuple[Ints, Floats, Floats, Ints]:
    """Scores of two models on the same images; a patient's images share most of what is random in them."""
    patient = np.repeat(np.arange(patients), images)
    truth = rng.integers(0, 2, patients)[patient]
    if mixed:
        truth = rng.integers(0, 2, patients * images)
    shared, own = rng.normal(size=(3, patients))[:, patient], rng.normal(size=(2, patients * images))
    first, second = (
        strength * truth + 0.6 * shared[0] + 0.9 * shared[1 + number] + 0.5 * own[number]
        for number, strength in enumerate(signal)
    )
    return truth, first, second, patient


@pytest.mark.parametrize("decimals", [1, 9])
def test_with_one_image_a_patient_it_is_delongs(decimals: int) -> None:
    truth, first, second, patient = draw(np.random.default_rng(0), 150, 1, False, (1.0, 1.5))
    first, second = first.round(decimals), second.round(decimals)
    found = paired_delong(truth, first, second, patient)
    assert found.first == pytest.approx(roc_auc_score(truth, first))
    assert found.second == pytest.approx(roc_auc_score(truth, second))
    assert found.difference.standard_error**2 == pytest.approx(delong_by_definition(truth, first, second))


@pytest.mark.parametrize("mixed", [False, True])
def test_with_several_images_it_is_near_the_jackknife_over_patients(mixed: bool) -> None:
    truth, first, second, patient = draw(np.random.default_rng(1), 120, 4, mixed, (1.0, 1.4))
    found = paired_delong(truth, first, second, patient).difference
    left_out = []
    for one in range(120):
        kept = patient != one
        left_out.append(roc_auc_score(truth[kept], second[kept]) - roc_auc_score(truth[kept], first[kept]))
    jackknife = (119 / 120 * ((np.array(left_out) - np.mean(left_out)) ** 2).sum()) ** 0.5
    assert found.standard_error == pytest.approx(jackknife, rel=0.03)
    images = paired_delong(truth, first, second, np.arange(len(truth))).difference
    # What a patient's images share matters less where he has images of both classes.
    assert found.standard_error > (1.1 if mixed else 1.5) * images.standard_error


@pytest.mark.parametrize("mixed", [False, True])
def test_under_the_null_five_in_a_hundred_are_called_different(mixed: bool) -> None:
    rng = np.random.default_rng(2)
    p_values, naive = [], []
    for _ in range(1500):
        truth, first, second, patient = draw(rng, 60, 3, mixed, (1.2, 1.2))
        p_values.append(paired_delong(truth, first, second, patient).difference.p_value)
        naive.append(paired_delong(truth, first, second, np.arange(len(truth))).difference.p_value)
    assert 0.035 <= np.mean(np.array(p_values) < 0.05) <= 0.065
    assert np.mean(np.array(naive) < 0.05) > (0.065 if mixed else 0.15)


def test_at_the_boundary_of_the_margin_non_inferiority_is_claimed_in_one_of_forty() -> None:
    rng = np.random.default_rng(3)
    # The true AUROCs of these strengths, from many images; their distance is the margin.
    truth, first, second, _ = draw(rng, 400_000, 1, False, (1.2, 1.0))
    margin = roc_auc_score(truth, first) - roc_auc_score(truth, second)
    claimed = []
    for _ in range(1500):
        truth, first, second, patient = draw(rng, 80, 2, False, (1.2, 1.0))
        claimed.append(paired_delong(truth, first, second, patient).difference.p_above(-margin) < 0.025)
    assert 0.015 <= np.mean(claimed) <= 0.037


def test_a_model_does_not_differ_from_itself() -> None:
    truth, first, _, patient = draw(np.random.default_rng(4), 30, 2, False, (1.0, 1.0))
    found = paired_delong(truth, first, 2 * first - 1, patient)
    assert (found.difference.value, found.difference.standard_error, found.difference.p_value) == (0, 0, 1)
    assert found.difference.limits(0.95) == (0, 0)


def test_one_class_alone_has_no_auroc() -> None:
    with pytest.raises(ValueError, match="both classes"):
        paired_delong(np.ones(4, dtype=int), np.arange(4.0), np.arange(4.0), range(4))


def test_placements_of_equal_scores_count_half() -> None:
    positive, negative = placements(np.array([0, 1, 1, 0]), np.array([0.5, 0.5, 0.5, 0.1]))
    assert positive.tolist() == [0.75, 0.75]
    assert negative.tolist() == [0.5, 1.0]
