"""What the report says to those who are to act on a binary model's answers: other prevalences, other thresholds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from radlens.assessment.decision_curve import better_range
from radlens.reporting.chart_numbers import decision_numbers, threshold_numbers
from radlens.reporting.embed import Chart, to_download
from radlens.reporting.figures.decision import decision_curve_figure
from radlens.reporting.figures.style import SPLIT_NAMES
from radlens.reporting.wording import METRIC_NAMES, limits, value_of
from radlens.runtime.metrics_record import SplitRecord
from radlens.runtime.metrics_sections import (
    Claim,
    DecisionCurve,
    Metric,
    PatientsNeeded,
    PredictiveValues,
    ThresholdRow,
)

# Of the hundred steps of the decision curve, those that the table shows.
_SHOWN = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


@dataclass(frozen=True)
class Table:
    """Headings and rows of texts; a row may be marked.

    Attributes:
        title: what it shows.
        columns: one heading a column.
        rows: texts, as many as columns; a cell is a figure and what stands small under it.
        marked: the number of the row that stands out; None: none does.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[tuple[str, str]]]
    marked: int | None = None


def decision_view(block: SplitRecord, split: str) -> dict[str, Any] | None:
    """Charts, tables and sentences; None where nothing is to be said: other tasks, or a class is absent."""
    curve, values, rows = block.decision_curve, block.predictive_values, block.thresholds
    if curve is None or values is None or rows is None or not all(block.class_counts.values()):
        return None
    return {
        "chart": Chart(
            decision_curve_figure(curve),
            f"{split}-decision",
            "Decision curve",
            _curve_text(curve, SPLIT_NAMES[split]),
            "Net benefit: share of true positives less that of false positives, these times the odds of the "
            "probability. Whoever acts from 10% on holds a missed case for as bad as nine needless actions. The band "
            f"is the {block.interval.confidence:.0%} interval.",
            decision_numbers(curve),
        ),
        "said": _better_text(curve),
        "prevalence": _prevalence_table(values, block.classes[-1]),
        "thresholds": _threshold_table(rows),
        "download": to_download(threshold_numbers(rows), f"{split}-thresholds"),
        "curve": _curve_table(curve),
    }


def shortfalls(block: SplitRecord) -> list[str]:
    """What there are too few patients to claim, and how many more it would take."""
    sizes = block.sample_size
    if sizes is None:
        return []
    needs = [text for name, claims in sizes.needed.items() if (text := _shortfall(block, name, claims)) != ""]
    if not needs:
        return []
    return [
        f"Too few patients to claim figures to within ±{100 * sizes.margin:.3g} points, as far as these ones tell: "
        f"{'; '.join(needs)}. The numbers hold if the figures stay as they are."
    ]


def _shortfall(block: SplitRecord, name: str, claims: Mapping[Claim, PatientsNeeded]) -> str:
    short = {key: size for key, size in claims.items() if size.more_positive or size.more_negative}
    if not short:
        return ""
    if block.task != "binary":
        positive = max(size.more_positive for size in short.values())
        negative = max(size.more_negative for size in short.values())
        return f"{name} needs {_more(positive, negative, 'with it', 'without')}"
    with_it, without = (f"with {kind} images" for kind in reversed(block.classes))
    return "; ".join(
        f"{METRIC_NAMES[key].removesuffix(' (recall)')} reaches ±{100 * size.half_width:.1f} points and needs "
        f"{_more(size.more_positive, size.more_negative, with_it, without)}"
        for key, size in short.items()
    )


def _more(positive: int, negative: int, with_it: str, without: str) -> str:
    parts = [
        f"{count:,} more patient{'' if count == 1 else 's'} {words}"
        for count, words in ((positive, with_it), (negative, without))
        if count
    ]
    return " and ".join(parts)


def _cell(metric: Metric) -> tuple[str, str]:
    under = str(metric.reason) if metric.value is None else limits(metric, share=True)
    return value_of(metric, share=True), under


def _prevalence_table(values: Sequence[PredictiveValues], positive: str) -> Table:
    rows = [
        [
            (f"{row.prevalence:.3g}" if row.prevalence < 0.001 else f"{100 * row.prevalence:.3g}%", ""),
            _cell(row.ppv),
            _cell(row.npv),
            (f"{row.flagged:.1%}", ""),
        ]
        for row in values
    ]
    columns = (f"Prevalence of {positive}", "PPV", "NPV", "Called positive")
    return Table("Where the disease is rarer or more frequent", columns, rows)


def _threshold_table(thresholds: Sequence[ThresholdRow]) -> Table:
    rows, marked = [], None
    for index, row in enumerate(thresholds):
        cells = map(_cell, row.metrics.values())
        marked = index if row.operating_point else marked
        rows.append([(f"{row.threshold:.3g}", "operating point" if row.operating_point else ""), *cells])
    columns = ("Threshold", "Sensitivity", "Specificity", "PPV", "NPV", "Called positive")
    return Table("Other operating points", columns, rows, marked)


def _curve_table(curve: DecisionCurve) -> Table:
    rows = []
    for index, threshold in enumerate(curve.threshold):
        if threshold in _SHOWN:
            model = f"{curve.net_benefit[index]:.3f}", f"{curve.low[index]:.3f} to {curve.high[index]:.3f}"
            gain = (
                f"{curve.gain[index]:+.3f}",
                f"{curve.gain_low[index]:+.3f} to {curve.gain_high[index]:+.3f}",
            )
            rows.append([(f"{threshold:.0%}", ""), model, (f"{curve.treat_all[index]:.3f}", ""), gain])
    return Table(
        "The decision curve in numbers", ("Acting from", "The model", "Everyone", "Gain over the better of both"), rows
    )


def _better_text(curve: DecisionCurve) -> str:
    threshold_range = better_range(curve.threshold, curve.gain_low)
    if threshold_range is None:
        return "At no probability is acting on the model shown to do more good than acting on everyone or on no one."
    return (
        f"Acting on the model does more good than acting on everyone or on no one for those who would act from "
        f"{threshold_range[0]:.0%} to {threshold_range[1]:.0%} on: there the interval of the gain lies above 0, "
        "point by point."
    )


def _curve_text(curve: DecisionCurve, kind: str) -> str:
    parts = [
        f"at {threshold:.0%} {benefit:.3f} (everyone {everyone:.3f})"
        for threshold, benefit, everyone in zip(curve.threshold, curve.net_benefit, curve.treat_all, strict=True)
        if threshold in (0.05, 0.1, 0.2, 0.5)
    ]
    return f"Net benefit on {kind} images: {'; '.join(parts)}. {_better_text(curve)}"
