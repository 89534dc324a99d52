"""Confidence intervals by resampling patients, not images: images of one patient are not independent evidence."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
from scipy import stats

from radlens.statistics.metrics import Floats
from radlens.statistics.weighted import Statistic, Statistics

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
    """The metrics of every resample, each of shape (resamples, ...), NaN where undefined."""
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


def quantile(confidence: float, patients: float = np.inf) -> float:
    """How many standard errors a limit is away: Student's, for a variance that so many patients tell of.

    >>> round(quantile(0.95), 3), round(quantile(0.95, patients=11), 3)
    (1.96, 2.228)
    """
    tail = (1 + confidence) / 2
    return float(stats.norm.ppf(tail) if np.isinf(patients) else stats.t.ppf(tail, max(patients - 1, 1)))


def logit_limits(
    value: float, variance: float, confidence: float, patients: float = np.inf, top: float = 1.0
) -> tuple[float, float]:
    """Limits from a normal distribution of the logit, which stay within 0 and ``top`` (Pepe 2003, section 5.2).

    Args:
        value: the estimate, between 0 and ``top``; at either end there is no spread, and both limits are the estimate.
        variance: of the estimate.
        confidence: such as 0.95.
        patients: how many patients the variance tells of.
        top: the largest value that there is.

    >>> low, high = logit_limits(0.9, 0.0004, 0.95)
    >>> round(low, 4), round(high, 4)
    (0.8534, 0.9329)
    """
    share = value / top
    if share <= 0 or share >= 1 or not variance > 0:
        return value, value
    reach = quantile(confidence, patients) * np.sqrt(variance) / top / (share * (1 - share))
    centre = np.log(share) - np.log1p(-share)
    return top / (1 + float(np.exp(reach - centre))), top / (1 + float(np.exp(-reach - centre)))


def bootstrap_logit_limits(
    replicates: Floats, value: float, confidence: float, patients: int, top: float = 1.0
) -> tuple[float, float]:
    """:func:`logit_limits` with the variance of the defined replicates, enlarged for few patients.

    Near 0 and 1 these cover the truth more often than the quantiles of the replicates, which are not wide enough
    there; ``benchmarks/interval_coverage.py`` compares them.
    """
    variance = float(np.nanvar(replicates, ddof=1)) * patients / max(patients - 1, 1)
    return logit_limits(value, variance, confidence, patients, top)


def inverted_limits(
    gaps: Floats, replicates: Floats, confidence: float, norm: Callable[[Floats], Floats] | None = None
) -> tuple[float, float, float]:
    """Limits, and in the middle an estimate without most of its bias, of a sum of absolute gaps or another norm.

    An absolute gap is above 0 by chance alone (Kumar et al. 2019, arXiv:1909.10155; Roelofs et al. 2022,
    arXiv:2012.08668), and resampling adds to that. Here the gaps seen are made larger or
    smaller by a common factor, the resampled deviations are added, and the factors are kept with which a norm as
    large as the one seen is no rare draw (test inversion, Davison and Hinkley 1997, section 5.5,
    doi:10.1017/CBO9780511802843). With the middle one, half of the draws are larger and half smaller.

    Args:
        gaps: of each bin, shape (bins,).
        replicates: the same of the resamples, shape (resamples, bins).
        confidence: such as 0.95.
        norm: of the last axis; None: the sum of the absolute values.

    Returns:
        Low, middle, high.
    """
    norm = norm or (lambda values: np.abs(values).sum(axis=-1))
    seen = float(norm(gaps))
    if seen == 0:
        return 0.0, 0.0, 0.0
    deviations = replicates[np.isfinite(replicates).all(axis=1)] - gaps

    def smaller(factor: float) -> float:
        drawn = norm(factor * gaps + deviations)
        return float((drawn < seen).mean() + (drawn == seen).mean() / 2)

    tail = (1 - confidence) / 2
    low, middle, high = (seen * _factor(smaller, level) for level in (1 - tail, 0.5, tail))
    return low, middle, high


def _factor(smaller: Callable[[float], float], level: float) -> float:
    """Where a falling function of a factor reaches the level, by halving; 0 where it begins below."""
    if smaller(0.0) <= level:
        return 0.0
    upper = 1.0
    while smaller(upper) > level and upper < 1e3:
        upper *= 2
    lower = 0.0
    for _ in range(20):
        middle = (lower + upper) / 2
        lower, upper = (middle, upper) if smaller(middle) > level else (lower, middle)
    return (lower + upper) / 2


def count_patients(patients: npt.ArrayLike, mask: npt.NDArray[np.bool_]) -> int:
    """The number of different patients among the images that the mask is true for."""
    return len(np.unique(np.asarray(patients)[mask]))
