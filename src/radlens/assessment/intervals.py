"""Confidence intervals by resampling patients, not images: images of one patient are not independent evidence."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from radlens.assessment.metrics import Floats
from radlens.assessment.weighted import Statistic, Statistics

METHOD = (
    "Percentile bootstrap over patients: patients are drawn with replacement and bring all their images along. "
    "ECE has the basic (reflected) bootstrap, because resampling by itself makes ECE larger. A proportion of exactly "
    "0 or 1, among whose resamples there is no spread, has the Clopper-Pearson limits on the number of patients. "
    "Limits are widened where they would leave the estimate out."
)

# The share of resamples in which a metric may be undefined before its interval is withheld.
MAX_UNDEFINED = 0.05

# Weights of about this many numbers are held at once.
_CHUNK = 4_000_000


def patient_weights(patients: npt.ArrayLike, resamples: int, rng: np.random.Generator) -> Iterator[Floats]:
    """How often each image counts in each resample, in chunks of shape (some resamples, images).

    When every image is a patient of its own this is the ordinary bootstrap.

    Args:
        patients: the patient of each image.
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


def bootstrap(statistic: Statistic, patients: npt.ArrayLike, resamples: int, rng: np.random.Generator) -> Statistics:
    """The metrics of every resample, each of shape (resamples,), NaN where undefined."""
    parts = [statistic(weights) for weights in patient_weights(patients, resamples, rng)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def percentile_limits(replicates: Floats, confidence: float) -> tuple[float, float]:
    """The central quantiles of the defined replicates (Efron 1979, doi:10.1214/aos/1176344552).

    >>> percentile_limits(np.arange(101.0), 0.5)
    (25.0, 75.0)
    """
    tail = (1 - confidence) / 2
    low, high = np.nanquantile(replicates, [tail, 1 - tail])
    return float(low), float(high)


def reflected_limits(replicates: Floats, value: float, confidence: float) -> tuple[float, float]:
    """The percentile limits mirrored at the estimate, for a metric that is 0 or more and grows by resampling.

    The mirror image takes off the bias that the percentile limits would carry twice (basic bootstrap, Davison and
    Hinkley 1997, section 5.2, doi:10.1017/CBO9780511802843).
    """
    low, high = percentile_limits(replicates, confidence)
    return max(0.0, 2 * value - high), max(0.0, 2 * value - low)


def exact_limits(successes: int, trials: int, confidence: float) -> tuple[float, float]:
    """Clopper-Pearson limits of a proportion that is 0 or 1 (1934, doi:10.1093/biomet/26.4.404).

    >>> low, high = exact_limits(50, 50, 0.95)
    >>> round(low, 4), high
    (0.9289, 1.0)
    """
    if trials < 1 or successes not in (0, trials):
        raise ValueError(f"expected none or all of one or more trials to succeed, got {successes} of {trials}")
    reach = ((1 - confidence) / 2) ** (1 / trials)
    return (0.0, 1 - reach) if successes == 0 else (reach, 1.0)


def count_patients(patients: npt.ArrayLike, mask: npt.NDArray[np.bool_]) -> int:
    """The number of different patients among the images that the mask is true for."""
    return len(np.unique(np.asarray(patients)[mask]))
