"""Whether probabilities are to be taken at their word: the reliability diagram in numbers, with intervals."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from radlens.assessment.calibration_line import calibration_line
from radlens.assessment.summary import Summary, limited, share_metric, undefined
from radlens.decision import Task
from radlens.runtime.metrics_sections import BrierParts, CalibrationEvidence, Metric, ReliabilityBin
from radlens.statistics import interval_methods as methods
from radlens.statistics.intervals import inverted_limits
from radlens.statistics.metrics import HARD, Answers, Floats, Ints, are_hard, equal_mass_bins, top_label


def calibration_evidence(summary: Summary) -> CalibrationEvidence:
    """Reliability bins, calibration errors without their bias, and for binary tasks Brier's parts, slope and intercept.

    Returns:
        ``bins``: for each bin of equally many images ``n``, the ``mean`` probability and the ``observed`` share.
        ``ece_corrected``: the calibration error with most of what chance adds to it taken off. ``mce``: the largest gap
        of a bin. Binary tasks: ``brier_parts``, ``slope`` and ``intercept``; see :func:`brier_parts` and
        :func:`radlens.assessment.calibration_line.calibration_line`. Of hard answers, 0 and 1, the bins alone.
    """
    answers, task = summary.answers, summary.task
    score, outcome = outcomes(answers, task)
    owners = np.repeat(summary.patients, len(score) // len(summary.patients))
    bins = tuple(reliability_bins(score, outcome, owners, summary.confidence))
    if are_hard(score):
        figures = ("ece_corrected", "mce", *(("slope", "intercept") if task == "binary" else ()))
        return CalibrationEvidence(bins=bins, **dict.fromkeys(figures, undefined(HARD)))
    gaps, replicates = summary.observed["gaps"][0], summary.replicates["gaps"]
    low, middle, high = inverted_limits(gaps, replicates, summary.confidence)
    parts = {"brier_parts": brier_parts(score, outcome)} if task == "binary" else {}
    line = calibration_line(score, outcome, owners, summary.confidence) if task == "binary" else {}
    return CalibrationEvidence(
        bins=bins,
        ece_corrected=Metric(value=middle, low=low, high=high, method=methods.INVERTED),
        mce=_largest_gap(summary),
        **parts,
        **line,
    )


def outcomes(answers: Answers, task: Task) -> tuple[Floats, Ints]:
    """Probabilities and whether what they were given for is so.

    Binary: of the positive class; multiclass: of the class answered; multilabel: of all labels, one after the other
    for each image.
    """
    if task == "multiclass":
        return top_label(answers)
    if task == "binary":
        return answers.probabilities[:, 1], answers.truth
    return answers.probabilities.ravel(), answers.truth.ravel()


def reliability_bins(score: Floats, outcome: Ints, patients: npt.ArrayLike, confidence: float) -> list[ReliabilityBin]:
    """Mean probability and observed share, with its interval, in bins of equally many images; empty ones left out."""
    bins, owners = equal_mass_bins(score), np.asarray(patients)
    return [
        ReliabilityBin(
            n=int((bins == number).sum()),
            mean=float(score[bins == number].mean()),
            observed=share_metric(outcome[bins == number], owners[bins == number], confidence),
        )
        for number in np.unique(bins)
    ]


def brier_parts(score: Floats, outcome: Ints) -> BrierParts:
    """What the Brier score is made of (Murphy 1973, doi:10.1175/1520-0450(1973)012<0595:ANVPOT>2.0.CO;2).

    Brier = reliability - resolution + uncertainty + within. The last, which Murphy's forecasts of few values do not
    have, is what probabilities of one bin differ among themselves (Stephenson et al. 2008,
    doi:10.1175/2007WAF2006116.1).

    Returns:
        ``reliability`` (0 best: the squared gaps), ``resolution`` (the more the better: how far the bins' shares lie
        from the overall one), ``uncertainty`` (of the data alone), ``within``; and ``reliability_corrected`` and
        ``resolution_corrected``, from which is taken what chance adds to both when images are few (Ferro and Fricker
        2012, doi:10.1002/qj.1924; for independent images). The corrected reliability is the debiased squared error of
        Kumar et al. 2019, arXiv:1909.10155.
    """
    _, bins = np.unique(equal_mass_bins(score), return_inverse=True)
    size = np.bincount(bins).astype(np.float64)
    share, base = np.bincount(bins, weights=outcome) / size, float(outcome.mean())
    gap = np.bincount(bins, weights=score) / size - share
    total = float(len(score))
    reliability, resolution = float(size @ gap**2 / total), float(size @ (share - base) ** 2 / total)
    uncertainty = base * (1 - base)
    several = size > 1
    chance = float((size * share * (1 - share))[several] @ (1 / (size[several] - 1)) / total)
    everyone = uncertainty / (total - 1) if total > 1 else 0.0
    brier = float(np.mean((score - outcome) ** 2))
    return BrierParts(
        reliability=reliability,
        resolution=resolution,
        uncertainty=uncertainty,
        within=brier - (reliability - resolution + uncertainty),
        reliability_corrected=max(0.0, reliability - chance),
        resolution_corrected=max(0.0, resolution - chance + everyone),
    )


def _largest_gap(summary: Summary) -> Metric:
    """The largest gap between mean probability and share of a bin (Naeini et al. 2015,
    doi:10.1609/aaai.v29i1.9602); of all labels' bins.
    """
    filled = summary.observed["masses"][0] > 0
    gaps = summary.observed["gaps"][0][filled] / summary.observed["masses"][0][filled]
    masses = summary.replicates["masses"][:, filled]
    # A bin that a resample has no image of tells nothing: it counts as seen.
    drawn = np.where(masses > 0, summary.replicates["gaps"][:, filled] / np.where(masses > 0, masses, 1), gaps)
    low, _, high = inverted_limits(gaps, drawn, summary.confidence, lambda values: np.abs(values).max(axis=-1))
    return limited(float(np.abs(gaps).max()), min(low, 1.0), min(high, 1.0), methods.INVERTED)
