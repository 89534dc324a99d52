"""Resampling of patients, not of images: images of one patient are not independent evidence."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import numpy.typing as npt

from radlens.statistics.groups import Floats

# Weights of about this many numbers are held at once.
_CHUNK = 4_000_000


def patient_weights(patients: npt.ArrayLike, resamples: int, rng: np.random.Generator) -> Iterator[Floats]:
    """How often each image counts in each resample, in chunks of shape (some resamples, images).

    When every image is a patient of its own this is the ordinary bootstrap.

    Args:
        patients: the patient of each image, or whatever else is drawn together.
        resamples: how many times as many patients as there are are drawn with replacement.
        rng: where the draws come from; the same state gives the same weights, in whatever order the rows stand.
    """
    names, membership = np.unique(np.asarray(patients), return_inverse=True)
    count = len(names)
    chunk = max(1, _CHUNK // max(len(membership), count))
    for start in range(0, resamples, chunk):
        size = min(chunk, resamples - start)
        drawn = rng.integers(0, count, size=(size, count)) + count * np.arange(size)[:, None]
        draws = np.bincount(drawn.ravel(), minlength=size * count).reshape(size, count)
        yield draws[:, membership].astype(np.float64)


def bootstrap(
    statistic: Callable[[Floats], Mapping[str, Floats]],
    patients: npt.ArrayLike,
    resamples: int,
    rng: np.random.Generator,
) -> dict[str, Floats]:
    """The metrics of every resample, each of shape (resamples, ...), NaN where undefined.

    Args:
        statistic: from weights, shape (resamples, images), to each metric.
        patients: the patient of each image.
        resamples: how many.
        rng: where the draws come from.
    """
    parts = [statistic(weights) for weights in patient_weights(patients, resamples, rng)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
