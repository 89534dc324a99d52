"""Scores for images that the scorer was not fitted to: by a forest or a line of many facts, by a histogram of one."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.ensemble import ExtraTreesClassifier

from radlens.dataset.audit.image_facts import is_numeric
from radlens.statistics.auroc import auroc
from radlens.statistics.groups import Bools, Ints

Floats = npt.NDArray[np.float64]
Features = npt.NDArray[np.float32]

TREES = 100
BINS = 16
# Names beyond the most frequent ones, such as those of sites, count as one.
LEVELS = 30

_SHUFFLED_IMAGES = 5000
# Penalty of the weights of a line, as a share of the images.
_RIDGE = 0.01


def to_features(facts: pd.DataFrame) -> tuple[Features, Ints]:
    """Facts as numbers for a forest, and the column of ``facts`` that each feature came from.

    Numbers stay as they are, with the median and a feature of 1 where unknown; names become a feature of 0 or 1 each.
    """
    features: list[Features] = []
    owners = []
    for number, name in enumerate(facts.columns):
        fact_features = _numbers(facts[name]) if is_numeric(facts[name]) else _indicators(facts[name])
        features += fact_features
        owners += [number] * len(fact_features)
    matrix = np.stack(features, axis=1) if features else np.empty((len(facts), 0), dtype=np.float32)
    return matrix, np.array(owners, dtype=np.int64)


def _numbers(fact: pd.Series) -> list[Features]:
    values = fact.to_numpy(dtype=np.float32)
    known = np.isfinite(values)
    if known.all():
        return [values]
    filled = np.where(known, values, np.median(values[known]) if known.any() else 0).astype(np.float32)
    return [filled, (~known).astype(np.float32)]


def _indicators(fact: pd.Series) -> list[Features]:
    levels = fact.value_counts().index[:LEVELS]
    # Of two levels, one says all.
    return [(fact == level).to_numpy(dtype=np.float32) for level in (levels[:1] if len(levels) == 2 else levels)]


def forest_scores(
    features: Features, targets: Bools, folds: Ints, seed: int
) -> tuple[Floats, list[ExtraTreesClassifier]]:
    """Score every image by extremely randomised trees fitted to the other folds (Geurts et al. 2006,
    doi:10.1007/s10994-006-6226-1).

    Such a forest needs no scaling, sees what only several facts together tell, is not misled by many useless ones,
    serves 100 images as well as 10,000, and answers all classes at once.

    Args:
        features: shape (images, features).
        targets: whether an image is of a class, shape (images, classes).
        folds: the fold of each image.
        seed: of the trees.

    Returns:
        Scores, shape (images, classes), and the forest of each fold.
    """
    scores = np.zeros(targets.shape)
    forests: list[ExtraTreesClassifier] = []
    if not features.shape[1]:
        return scores, forests
    # One class is a list to scikit-learn, several are the columns of a table.
    classes = targets[:, 0] if targets.shape[1] == 1 else targets
    for fold in range(int(folds.max()) + 1):
        held_out = folds == fold
        forest = ExtraTreesClassifier(TREES, min_samples_leaf=3, max_features=0.3, random_state=seed, n_jobs=-1)
        forest.fit(features[~held_out], classes[~held_out].astype(np.int64))
        # Threads would add the trees' answers up in another order each time.
        forest.n_jobs = 1
        scores[held_out] = _answers(forest, features[held_out], targets.shape[1])
        forests.append(forest)
    return scores, forests


def _answers(forest: ExtraTreesClassifier, features: Features, classes: int) -> Floats:
    """The share of trees for each class, shape (images, classes)."""
    given = forest.predict_proba(features)
    columns = [given] if classes == 1 else given
    # A class that was absent, or the only one, in fitting has one column.
    known = [forest.classes_] if classes == 1 else forest.classes_
    return np.stack(
        [
            column[:, 1] if len(values) == 2 else np.full(len(column), float(values[0]))
            for column, values in zip(columns, known, strict=True)
        ],
        axis=1,
    )


def importances(
    forests: list[ExtraTreesClassifier],
    features: Features,
    owners: Ints,
    targets: Bools,
    folds: Ints,
    rng: np.random.Generator,
) -> Floats:
    """How much AUROC is lost when a fact is shuffled among held-out images, shape (facts, classes).

    A fact that others can stand in for loses little (permutation importance, Breiman 2001,
    doi:10.1023/A:1010933404324).
    """
    facts = int(owners.max()) + 1 if len(owners) else 0
    repeats = max(1, min(10, _SHUFFLED_IMAGES // len(features)))
    scores = np.empty((repeats, facts + 1, *targets.shape))
    for fold, forest in enumerate(forests):
        held_out = np.flatnonzero(folds == fold)
        for repeat in range(repeats):
            copies = np.repeat(features[held_out][np.newaxis], facts + 1, axis=0)
            shuffled = features[rng.permutation(held_out)]
            for fact in range(facts):
                own = owners == fact
                copies[fact, :, own] = shuffled[:, own].T
            answers = _answers(forest, copies.reshape(-1, features.shape[1]), targets.shape[1])
            scores[repeat][:, held_out] = answers.reshape(facts + 1, len(held_out), -1)
    reached = np.array(
        [
            [[auroc(each[:, k], targets[:, k], folds) for k in range(targets.shape[1])] for each in repeat]
            for repeat in scores
        ]
    ).mean(axis=0)
    return np.asarray(reached[-1] - reached[:-1], dtype=np.float64)


def linear_scores(features: Features, targets: Bools, folds: Ints, scored: Features | None = None) -> Floats:
    """Score every image along the line that tells a class best in the other folds, for each class.

    A line needs far less time than a forest, and is enough where more of a fact always means more of a class. It is a
    ridge regression on standardised features (Hoerl and Kennard 1970, doi:10.1080/00401706.1970.10488634), so that
    features that say the same do no harm.

    Args:
        features: what the lines are fitted to, shape (images, features).
        targets: whether an image is of a class, shape (images, classes).
        folds: the fold of each image.
        scored: what they are asked about; None: the same.

    Returns:
        Shape (images, classes).
    """
    asked = features if scored is None else scored
    scores = np.empty(targets.shape)
    for fold in range(int(folds.max()) + 1):
        held_out = folds == fold
        fitted = features[~held_out].astype(np.float64)
        mean, spread = fitted.mean(axis=0), fitted.std(axis=0) + 1e-9
        standard = (fitted - mean) / spread
        penalty = _RIDGE * len(fitted) * np.eye(features.shape[1])
        truth = targets[~held_out] - targets[~held_out].mean(axis=0)
        weights = np.linalg.solve(standard.T @ standard + penalty, standard.T @ truth)
        scores[held_out] = (asked[held_out] - mean) / spread @ weights
    return scores


def histogram_scores(fact: pd.Series, targets: Bools, folds: Ints) -> Floats:
    """Score every image by the share of each class among the images of other folds with the same value of one fact.

    Numbers are put into 16 bins of equally many images, so that any form of dependence counts; unknown is a bin of its
    own. The answer is the same for all facts that order the images alike.

    Returns:
        Shape (images, classes).
    """
    bins = _bins(fact)
    size = int(folds.max()) + 1
    cell = bins * size + folds
    shape = (int(bins.max()) + 1, size)
    images = np.bincount(cell, minlength=shape[0] * size).reshape(shape)
    other_images = images.sum(axis=1, keepdims=True) - images
    scores = np.empty(targets.shape)
    for column, truth in enumerate(targets.T):
        positives = np.bincount(cell, weights=truth, minlength=shape[0] * size).reshape(shape)
        elsewhere = positives.sum(axis=1, keepdims=True) - positives
        # One image more at the overall rate steadies bins with few images.
        rate = elsewhere.sum(axis=0) / np.maximum(other_images.sum(axis=0), 1)
        scores[:, column] = ((elsewhere + rate) / (other_images + 1))[bins, folds]
    return scores


def _bins(fact: pd.Series) -> Ints:
    if not is_numeric(fact):
        levels = {level: number for number, level in enumerate(fact.value_counts().index[: LEVELS - 1])}
        return fact.map(levels).fillna(len(levels)).to_numpy(dtype=np.int64)
    values = fact.to_numpy(dtype=np.float64)
    known = np.isfinite(values)
    bins = np.zeros(len(values), dtype=np.int64)
    if known.any():
        edges = np.unique(np.quantile(values[known], np.linspace(0, 1, BINS + 1)[1:-1], method="higher"))
        bins[known] = 1 + np.searchsorted(edges, values[known], side="left")
    return np.unique(bins, return_inverse=True)[1]
