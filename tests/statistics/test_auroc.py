"""AUROC and its interval against scikit-learn, a plain bootstrap, and the closed form of its standard error."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logit
from sklearn.metrics import roc_auc_score

from radlens.statistics.auroc import auroc, judge


def one_fold(count: int) -> np.ndarray:
    return np.zeros(count, dtype=np.int64)


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=40))
def test_equals_scikit_learn_with_ties(pairs: list[tuple[int, bool]]) -> None:
    scores, truth = np.array([score for score, _ in pairs], float), np.array([true for _, true in pairs])
    if truth.all() or not truth.any():
        assert np.isnan(auroc(scores, truth, one_fold(len(pairs))))
    else:
        assert auroc(scores, truth, one_fold(len(pairs))) == pytest.approx(roc_auc_score(truth, scores))


def test_only_pairs_of_the_same_fold_count() -> None:
    rng = np.random.default_rng(0)
    folds, truth = rng.integers(0, 3, 200), rng.random(200) < 0.4
    scores = truth + rng.normal(0, 1.5, 200) + 100 * folds
    pairs = right = 0.0
    for fold in range(3):
        inside = folds == fold
        size = truth[inside].sum() * (~truth[inside]).sum()
        pairs, right = pairs + size, right + size * roc_auc_score(truth[inside], scores[inside])
    assert auroc(scores, truth, folds) == pytest.approx(right / pairs)
    assert abs(roc_auc_score(truth, scores) - right / pairs) > 0.05


def simulate(seed: int, groups: int = 60, size: int = 5, shift: float = 1.0) -> tuple[np.ndarray, ...]:
    """Images of a group share label and most of their score."""
    rng = np.random.default_rng(seed)
    label = rng.random(groups) < 0.5
    score = rng.normal(shift * label, 1)
    group = np.repeat(np.arange(groups), size)
    return score[group] + rng.normal(0, 0.3, len(group)), label[group], group


def test_interval_is_that_of_a_plain_bootstrap_over_groups() -> None:
    scores, truth, groups = simulate(0)
    judged = judge(scores[:, None], truth[:, None], one_fold(300), groups, seed=4, resamples=400, widening=1)
    rng = np.random.default_rng(99)
    replicates: list[float] = []
    while len(replicates) < 400:
        drawn = np.concatenate([np.flatnonzero(groups == group) for group in rng.integers(0, 60, 60)])
        if 0 < truth[drawn].sum() < len(drawn):
            replicates.append(roc_auc_score(truth[drawn], scores[drawn]))
    low, high = np.quantile(replicates, [0.025, 0.975])
    assert judged.mean == judged.classes[0]
    assert judged.mean.value == pytest.approx(roc_auc_score(truth, scores))
    assert (judged.mean.low, judged.mean.high) == pytest.approx((low, high), abs=0.025)


def test_width_is_that_of_the_closed_form_for_clustered_data() -> None:
    """Obuchowski 1997 (doi:10.2307/2533958): the variance from each group's sums of placements."""
    scores, truth, groups = simulate(1, groups=400)
    positive, negative = scores[truth], scores[~truth]
    above = np.array([(score > negative).mean() for score in positive])
    below = np.array([(score < positive).mean() for score in negative])
    value = above.mean()
    variance = 0.0
    for placements, owner in ((above, groups[truth]), (below, groups[~truth])):
        sums = np.array([(placements[owner == group] - value).sum() for group in np.unique(owner)])
        variance += len(sums) / (len(sums) - 1) * (sums**2).sum() / len(placements) ** 2
    found = judge(scores[:, None], truth[:, None], one_fold(2000), groups, seed=0, widening=1).mean
    assert found.value == pytest.approx(value)
    assert (found.high - found.low) / (2 * 1.96) == pytest.approx(np.sqrt(variance), rel=0.1)


@pytest.mark.parametrize("clustered", [True, False])
def test_interval_covers_one_half_when_there_is_nothing_to_tell(clustered: bool) -> None:
    covered = 0
    for seed in range(200):
        scores, truth, groups = simulate(seed, shift=0.0)
        groups = groups if clustered else np.arange(300)
        found = judge(scores[:, None], truth[:, None], one_fold(300), groups, seed, resamples=200, widening=1).mean
        covered += found.low <= 0.5 <= found.high
    # 95 % of 200, give or take three standard errors; drawing single images is far too sure of itself.
    assert (covered >= 180) if clustered else (covered < 150)


def test_without_an_error_the_limit_is_that_of_the_smaller_side() -> None:
    truth = np.repeat([True, False], [12, 40])
    found = judge(truth[:, None] * 1.0, truth[:, None], one_fold(52), np.arange(52), seed=0).mean
    assert (found.value, found.high) == (1, 1)
    # Of 12 patients all were told rightly: Clopper and Pearson's lower limit is 0.025^(1/12).
    assert found.low == pytest.approx(0.7354, abs=1e-4)


def test_limits_of_several_classes_hold_together() -> None:
    rng = np.random.default_rng(3)
    scores, truth = rng.normal(0, 1, (400, 3)), rng.random((400, 3)) < 0.5
    scores[:, 1] += 2 * truth[:, 1]
    together = judge(scores, truth, one_fold(400), np.arange(400), seed=0)
    alone = judge(scores[:, 1:2], truth[:, 1:2], one_fold(400), np.arange(400), seed=0).mean
    assert together.classes[1].value == alone.value
    assert together.classes[1].high - together.classes[1].low > alone.high - alone.low
    assert together.mean.value == pytest.approx(np.mean([each.value for each in together.classes]))


def test_limits_are_widened_in_log_odds() -> None:
    scores, truth, groups = simulate(5)
    plain, wide = (
        judge(scores[:, None], truth[:, None], one_fold(300), groups, seed=0, widening=factor).mean
        for factor in (1.0, 1.5)
    )
    assert wide.value == plain.value
    for limit in ("low", "high"):
        near, far = (logit(getattr(each, limit)) - logit(plain.value) for each in (plain, wide))
        assert far == pytest.approx(1.5 * near)
