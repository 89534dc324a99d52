"""AUROC and average precision of weighted images against scikit-learn, with ties and with folds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from radlens.statistics.auroc import auroc
from radlens.statistics.ranking import concordance, ranking_statistic


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10_000), decimals=st.sampled_from([0, 1, 2, 8]))
def test_weighted_ranks_agree_with_scikit_learn_whatever_the_ties(seed: int, decimals: int) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 2, 60)
    truth[:2] = 0, 1
    score = np.round(rng.random(60), decimals)
    weights = rng.integers(0, 4, (5, 60)).astype(float)
    weights[:, :2] += 1
    auroc, precision = ranking_statistic(truth, score)(weights)
    for row, weight in enumerate(weights):
        assert auroc[row] == pytest.approx(sk.roc_auc_score(truth, score, sample_weight=weight), abs=1e-12)
        assert precision[row] == pytest.approx(
            sk.average_precision_score(truth, score, sample_weight=weight), abs=1e-12
        )


def test_weights_count_like_copies_of_images() -> None:
    rng = np.random.default_rng(1)
    scores, truth, folds = rng.integers(0, 9, 50).astype(float), rng.random(50) < 0.5, rng.integers(0, 2, 50)
    weights = rng.integers(0, 4, (5, 50))
    found = concordance(scores, truth, folds)(weights.astype(float))
    copied = [auroc(np.repeat(scores, row), np.repeat(truth, row), np.repeat(folds, row)) for row in weights]
    assert found == pytest.approx(copied)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10_000), decimals=st.sampled_from([0, 1, 8]))
def test_without_folds_and_with_one_the_auroc_is_the_same_to_the_last_digit(seed: int, decimals: int) -> None:
    rng = np.random.default_rng(seed)
    truth, score = rng.integers(0, 2, 40), np.round(rng.normal(size=40), decimals)
    weights = rng.integers(0, 4, (6, 40)).astype(float)
    expected = ranking_statistic(truth, score)(weights)[0]
    for folds in (None, np.full(40, 3)):
        np.testing.assert_array_equal(concordance(score, truth, folds)(weights), expected)
    split = np.repeat([0, 1], 20)
    np.testing.assert_array_equal(
        concordance(score, truth, split)(np.where(split == 0, weights, 0)),
        concordance(score[:20], truth[:20])(weights[:, :20]),
    )
