"""Whether a model does differently on a group of images than on the rest: permutation of who belongs to the group."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from radlens.statistics.groups import Bools, Floats, Ints
from radlens.statistics.ranking import ratio

# Weights, shape (permutations, images), to a metric, shape (permutations,).
Metric = Callable[[Floats], Floats]

# With fewer patients on either side nothing is tested.
FEWEST_PATIENTS = 10

_CHUNK = 2_000_000


def share_metric(success: npt.ArrayLike) -> Metric:
    """The weighted share of successes, such as right answers."""
    hits = np.asarray(success, dtype=np.float64)
    return lambda weights: ratio(weights @ hits, weights.sum(axis=1))


def difference_test(
    metric: Metric, inside: Bools, patients: Ints, strata: Ints, permutations: int, rng: np.random.Generator
) -> tuple[float, float]:
    """The metric of a group less that of the rest, and how often chance alone makes it as large.

    Whole patients change places between the group and the rest, those whose images are all of one side; where a patient
    has images on both (two views, say), these change places among themselves. Only patients, or images, of the same
    stratum do, so that the classes stay as frequent on either side. With one image a patient it is Fisher's
    permutation test; the p-value counts the data as one of the permutations (Phipson and Smyth 2010,
    doi:10.2202/1544-6115.1585).

    Args:
        metric: of weights.
        inside: whether each image is of the group.
        patients: code of the patient of each image, from 0.
        strata: class of each image, or 0 for all.
        permutations: how many are drawn.
        rng: where they are drawn from.

    Returns:
        Difference and two-sided p-value; NaN and 1 where the metric is undefined on a side.
    """

    def gap(weights: Floats) -> Floats:
        return metric(weights) - metric(1 - weights)

    observed = float(gap(inside[None].astype(np.float64))[0])
    if np.isnan(observed):
        return observed, 1.0
    reached, defined = 0, 0
    for weights in _permuted(inside, patients, strata, permutations, rng):
        drawn = gap(weights)
        drawn = drawn[~np.isnan(drawn)]
        reached += int((np.abs(drawn) >= abs(observed) - 1e-12).sum())
        defined += len(drawn)
    return observed, (1 + reached) / (1 + defined)


def _permuted(
    inside: Bools, patients: Ints, strata: Ints, permutations: int, rng: np.random.Generator
) -> Iterator[Floats]:
    """Who belongs to the group, shape (some permutations, images), after chance has moved them."""
    count = int(patients.max()) + 1
    held = np.bincount(patients, weights=inside, minlength=count)
    size = np.bincount(patients, minlength=count)
    mixed = ((held > 0) & (held < size))[patients]
    # Patients stand for all their images; those with images of both classes are a stratum of their own.
    kinds = int(strata.max()) + 1
    holds = np.stack([np.bincount(patients[strata == kind], minlength=count) > 0 for kind in range(kinds)], axis=1)
    composition = holds @ (2 ** np.arange(kinds))
    whole = np.flatnonzero((size > 0) & ((held == 0) | (held == size)))
    images = np.flatnonzero(mixed)
    chunk = max(1, _CHUNK // len(inside))
    for start in range(0, permutations, chunk):
        number = min(chunk, permutations - start)
        weights = np.empty((number, len(inside)))
        belongs = np.zeros((number, count))
        belongs[:, whole] = _shuffled((held > 0)[whole], composition[whole], number, rng)
        weights[:] = belongs[:, patients]
        if len(images):
            block = patients[images] * kinds + strata[images]
            weights[:, images] = _shuffled(inside[images], block, number, rng)
        yield weights


def _shuffled(values: Bools, blocks: Ints, number: int, rng: np.random.Generator) -> Floats:
    """The values in random order within each block, ``number`` times."""
    _, block = np.unique(blocks, return_inverse=True)
    order = np.argsort(block, kind="stable")
    places = np.argsort(block[order][None] + rng.random((number, len(values))), axis=1)
    shuffled = np.empty((number, len(values)))
    shuffled[:, order] = values[order][places]
    return shuffled
