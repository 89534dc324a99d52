"""AUROC and average precision as functions of the images' weights.

The order of the scores is the same whatever the weights, so one sort serves every resample and every permutation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from radlens.statistics.groups import Bools, Floats, Ints


@dataclass(frozen=True)
class _Ranking:
    """Images in falling order of their scores, fold by fold; those of one fold with equal scores are a tie.

    Attributes:
        order: of the images.
        positive: 1 or 0 for each image, in that order.
        ties: where each tie begins, in that order.
        folds: the tie that each fold begins with.
        fold_of_tie: the fold of each tie, counted from 0.
    """

    order: Ints
    positive: Floats
    ties: Ints
    folds: Ints
    fold_of_tie: Ints

    @classmethod
    def of(cls, scores: Floats, truth: Ints | Bools, folds: Ints | None = None) -> _Ranking:
        fold = np.zeros(len(scores), dtype=np.int64) if folds is None else folds
        order = np.lexsort((-scores, fold))
        score, fold = scores[order], fold[order]
        new_fold = np.diff(fold, prepend=fold[0] - 1) != 0
        ties = np.flatnonzero(new_fold | (np.diff(score, prepend=np.nan) != 0))
        new_fold = new_fold[ties]
        return cls(order, truth[order].astype(np.float64), ties, np.flatnonzero(new_fold), np.cumsum(new_fold) - 1)

    def weigh(self, weights: Floats) -> tuple[Floats, Floats]:
        """The weights of the positive and of all images of each tie, shape (resamples, ties)."""
        drawn = weights[:, self.order]
        everyone = np.add.reduceat(drawn, self.ties, axis=1)
        positive = np.add.reduceat(drawn * self.positive, self.ties, axis=1)
        return positive, everyone

    def auroc(self, positive: Floats, everyone: Floats) -> Floats:
        """The share of pairs of a positive and a negative image of one fold in which the positive one is higher."""
        negative, above = everyone - positive, np.cumsum(positive, axis=1)
        if len(self.folds) == 1:
            pairs = above[:, -1] * negative.sum(axis=1)
        else:
            above -= (above - positive)[:, self.folds][:, self.fold_of_tie]
            of_folds = [np.add.reduceat(side, self.folds, axis=1) for side in (positive, negative)]
            pairs = (of_folds[0] * of_folds[1]).sum(axis=1)
        return ratio((negative * (above - positive / 2)).sum(axis=1), pairs)


def concordance(scores: Floats, truth: Ints | Bools, folds: Ints | None = None) -> Callable[[Floats], Floats]:
    """AUROC as a function of the images' weights, shape (resamples, images); equal scores count half.

    Args:
        scores: shape (images,).
        truth: whether each image is positive.
        folds: the fold of each image; only images of the same fold are compared. None: all of them are.
    """
    ranking = _Ranking.of(scores, truth, folds)
    return lambda weights: ranking.auroc(*ranking.weigh(weights))


def ranking_statistic(truth: Ints, score: Floats) -> Callable[[Floats], tuple[Floats, Floats]]:
    """AUROC and average precision as a function of the weights; equal scores count half and share one threshold."""
    ranking = _Ranking.of(score, truth)

    def evaluate(weights: Floats) -> tuple[Floats, Floats]:
        positive, everyone = ranking.weigh(weights)
        return ranking.auroc(positive, everyone), _average_precision(positive, everyone)

    return evaluate


def ratio(part: Floats, whole: Floats) -> Floats:
    """Part by part; NaN where the whole is 0."""
    return np.divide(part, whole, out=np.full_like(part, np.nan), where=whole > 0)


def _average_precision(positive: Floats, everyone: Floats) -> Floats:
    """The area under the precision-recall curve as a step function, from the weights of each tie."""
    hits, called = np.cumsum(positive, axis=1), np.cumsum(everyone, axis=1)
    precision = np.divide(hits, called, out=np.zeros_like(hits), where=called > 0)
    return ratio((positive * precision).sum(axis=1), hits[:, -1])
