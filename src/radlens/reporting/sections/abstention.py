"""The section of the report on what a model that may abstain answers, refers and refuses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from radlens.assessment.abstention import risk_coverage
from radlens.assessment.alpha_words import alpha_in_words
from radlens.assessment.predictions import UNFAMILIARITY
from radlens.reporting.content import ReportContent
from radlens.reporting.embed import Chart
from radlens.reporting.figures.abstention import alpha_costs, risk_coverage_curve, unfamiliarity_histogram
from radlens.reporting.figures.style import SPLIT_NAMES
from radlens.reporting.wording import images, limits, value_of
from radlens.runtime.metrics_record import SplitRecord
from radlens.runtime.metrics_sections import AbstentionCounts

_NAMES = {
    "answered": "Answered",
    "referred": "Referred",
    "refused": "Refused",
    "accuracy": "Accuracy of the answers given",
}


@dataclass(frozen=True)
class Row:
    """One share with its interval, in words."""

    name: str
    definition: str
    value: str
    interval: str


@dataclass(frozen=True)
class AbstentionView:
    """What the template shows of one split."""

    name: str
    n: int
    sentence: str
    confidence: str
    rows: tuple[Row, ...]
    charts: tuple[Chart, ...]


@dataclass(frozen=True)
class AlphaView:
    """How the stated rate of error was chosen; None: no chart, since it was not weighed."""

    sentence: str
    chart: Chart | None


def alpha_view(content: ReportContent) -> AlphaView | None:
    """The rate of error of the one model that answered; None where there is none, or it states no rate."""
    limits = content.provenance.abstention if content.provenance else None
    if limits is None or limits.least is None:
        return None
    choice = limits.alpha_choice
    if choice is None:
        return AlphaView(alpha_in_words(limits), None)
    costs = [
        f"{100 * point.alpha:g}%: {point.referred:,} referred, {point.errors_avoided:,} errors avoided"
        for point in choice.points
    ]
    chart = Chart(
        alpha_costs(choice, limits.alpha),
        "alpha-costs",
        "What a rate of error costs",
        f"On {images(choice.images, 'validation')} of {choice.patients:,} patients, {choice.errors:,} of them answered "
        f"wrongly: {'; '.join(costs)}.",
        "Up and to the left is better: more errors avoided for fewer referrals. Far below the errors of the model more "
        "than one class stays plausible, far above none does.",
    )
    return AlphaView(alpha_in_words(limits), chart)


def abstention_views(content: ReportContent) -> list[AbstentionView]:
    """One view for each split whose predictions tell what the model stands by, the headline's split first."""
    main = content.main_split
    splits = [main, *(split for split in content.metrics if split != main)]
    counted = [(split, content.metrics[split].abstention) for split in splits]
    return [_view(content, split, counts) for split, counts in counted if counts is not None]


def _view(content: ReportContent, split: str, counts: AbstentionCounts) -> AbstentionView:
    block = content.metrics[split]
    return AbstentionView(
        name=SPLIT_NAMES[split],
        n=block.n,
        sentence=_sentence(block, counts, split),
        confidence=f"{block.interval.confidence:.0%}",
        rows=tuple(_rows(counts)),
        charts=tuple(_charts(content, split, counts)),
    )


def _sentence(block: SplitRecord, counts: AbstentionCounts, split: str) -> str:
    said = (
        f"Of {images(block.n, SPLIT_NAMES[split])} the model answers {counts.n_answered:,}, refers "
        f"{counts.n_referred:,} and refuses {counts.n_refused:,}. "
    )
    if not counts.errors:
        return said + "At the operating point none of its answers would be wrong."
    return (
        said + f"Had it answered all at the operating point, {counts.errors:,} would be wrong; by abstaining it avoids "
        f"{counts.errors_avoided:,} of these."
    )


def _rows(counts: AbstentionCounts) -> list[Row]:
    overall = zip(_NAMES, (counts.answered, counts.referred, counts.refused, counts.accuracy), strict=True)
    shares = [(_NAMES[key], counts.definitions[key], share) for key, share in overall]
    shares += [
        (f"{name} answered as another class", counts.definitions["wrong"], share)
        for name, share in (counts.wrong or {}).items()
    ]
    return [
        Row(name, definition, value_of(share, share=True), limits(share, share=True))
        for name, definition, share in shares
    ]


def _charts(content: ReportContent, split: str, counts: AbstentionCounts) -> list[Chart]:
    info = content.info
    rows = content.predictions[content.predictions["split"] == split]
    charts = []
    if info.task != "multilabel":
        coverage, risk = risk_coverage(rows, info)
        places = [(share, min(int(np.searchsorted(coverage, share)), len(risk) - 1)) for share in (0.5, 0.8, 0.9, 1.0)]
        points = [f"{risk[place]:.1%} of the surest {share:.0%}" for share, place in places]
        charts.append(
            Chart(
                risk_coverage_curve(coverage, risk, counts),
                f"{split}-risk-coverage",
                "Risk and coverage",
                f"Wrong answers among those that the model is surest of: {', '.join(points)}.",
                "Low on the left: what the model is sure of is right.",
            )
        )
    if UNFAMILIARITY in rows.columns:
        far = rows[UNFAMILIARITY]
        charts.append(
            Chart(
                unfamiliarity_histogram(far),
                f"{split}-unfamiliarity",
                "Unlike the training images",
                f"Distance from the training images as a share of the limit: median {far.median():.2f}, largest "
                f"{far.max():.2f}; beyond the limit: {int((far > 1).sum()):,} of {images(len(far))}.",
                "Images to the right of the line are refused.",
            )
        )
    return charts
