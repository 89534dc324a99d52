"""What the report says of the probabilities themselves: errors, slope, intercept and the parts of the Brier score."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from radlens.reporting.sections.decision import Table
from radlens.reporting.wording import limits, number, value_of
from radlens.runtime.metrics_sections import BrierParts, CalibrationEvidence, Metric, ReliabilityBin

_ROWS = {
    "ece_corrected": (
        "Calibration error, corrected",
        "ECE less what chance alone adds to it; 0 is best",
    ),
    "mce": ("Largest gap (MCE)", "of mean probability and share in any one bin; of few images it is large by chance"),
    "slope": ("Calibration slope", "1 is best; below it the probabilities are too sure, above it not sure enough"),
    "intercept": ("Calibration in the large", "0 is best; above it the probabilities are too low on the whole"),
}
_PARTS = {
    "reliability": "squared gap of probability and share; 0 is best",
    "resolution": "how far the bins' shares lie from the overall one; the more the better",
    "uncertainty": "what the shares of the classes alone make; the same for every model",
    "within": "what the probabilities of one bin differ among themselves",
}


def calibration_view(evidence: CalibrationEvidence) -> dict[str, Any]:
    """Tables of figures, of the parts of the Brier score, and of the numbers behind the reliability diagram."""
    figures = [
        {
            "name": _ROWS[key][0],
            "meaning": _ROWS[key][1],
            "value": _minus(value_of(metric)),
            "interval": "–" if metric.value is None else _signed(metric),
            "method": metric.method or metric.reason or "",
        }
        for key, metric in evidence.metrics.items()
    ]
    return {"figures": figures, "parts": _parts(evidence.brier_parts), "bins": _bins(evidence.bins)}


def _signed(metric: Metric) -> str:
    """The interval; with a word between the limits where a dash would be taken for a sign."""
    if metric.low is None or metric.high is None or metric.low >= 0:
        return limits(metric)
    return _minus(f"{number(metric.low)} to {number(metric.high)}")


def _minus(text: str) -> str:
    return text.replace("-", "−")


def _parts(parts: BrierParts | None) -> list[dict[str, str]]:
    if parts is None:
        return []
    values = dict(parts)
    return [
        {
            "name": name.capitalize() if name != "within" else "Within bins",
            "meaning": meaning,
            "value": _minus(f"{values[name]:.4f}"),
            "corrected": f"{values[f'{name}_corrected']:.4f}" if f"{name}_corrected" in values else "",
        }
        for name, meaning in _PARTS.items()
    ]


def _bins(bins: Sequence[ReliabilityBin]) -> Table:
    rows = [
        [
            (f"{part.n:,}", ""),
            (f"{part.mean:.4f}", ""),
            (value_of(part.observed, share=True), limits(part.observed, share=True)),
        ]
        for part in bins
    ]
    return Table("The reliability diagram in numbers", ("Images", "Mean probability", "Observed share"), rows)
