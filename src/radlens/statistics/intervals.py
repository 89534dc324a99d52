"""Limits of confidence intervals, from a variance or from the resamples of :mod:`radlens.statistics.resampling`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import stats

from radlens.statistics.groups import Floats
from radlens.statistics.multiplicity import tail

# The share of resamples in which a metric may be undefined before its interval is withheld.
MAX_UNDEFINED = 0.05


def percentile_limits(replicates: Floats, confidence: float, intervals: int = 1) -> tuple[float, float]:
    """The central quantiles of the defined replicates (Efron 1979, doi:10.1214/aos/1176344552).

    Args:
        replicates: shape (resamples,).
        confidence: such as 0.95.
        intervals: how many intervals hold together with that confidence.

    >>> percentile_limits(np.arange(101.0), 0.5)
    (25.0, 75.0)
    """
    beyond = tail(confidence, intervals)
    low, high = np.nanquantile(replicates, [beyond, 1 - beyond])
    return float(low), float(high)


def quantile(confidence: float, patients: float = np.inf) -> float:
    """How many standard errors a limit is away: Student's, for a variance that so many patients tell of.

    >>> round(quantile(0.95), 3), round(quantile(0.95, patients=11), 3)
    (1.96, 2.228)
    """
    below = (1 + confidence) / 2
    return float(stats.norm.ppf(below) if np.isinf(patients) else stats.t.ppf(below, max(patients - 1, 1)))


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
    large as the one seen is not a rare draw (test inversion, Davison and Hinkley 1997, section 5.5,
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

    beyond = tail(confidence)
    low, middle, high = (seen * _factor(smaller, level) for level in (1 - beyond, 0.5, beyond))
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
