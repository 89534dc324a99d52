"""The section of the report on what a model that may abstain answers, refers and refuses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from radlens.assessment.abstention import risk_coverage
from radlens.assessment.predictions import UNFAMILIARITY
from radlens.reporting.content import ReportContent
from radlens.reporting.embed import Chart
from radlens.reporting.figures.abstention import risk_coverage_curve, unfamiliarity_histogram
from radlens.reporting.figures.style import SPLIT_NAMES
from radlens.reporting.wording import images, limits, number

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


def abstention_views(content: ReportContent) -> list[AbstentionView]:
    """One view for each split whose predictions tell what the model stands by, the headline's split first."""
    main = content.main_split
    splits = [main, *(split for split in content.metrics if split != main)]
    return [_view(content, split) for split in splits if "abstention" in content.metrics[split]]


def _view(content: ReportContent, split: str) -> AbstentionView:
    block = content.metrics[split]
    return AbstentionView(
        name=SPLIT_NAMES[split],
        n=block["n"],
        sentence=_sentence(block, split),
        confidence=f"{block['interval']['confidence']:.0%}",
        rows=tuple(_rows(block["abstention"])),
        charts=tuple(_charts(content, split)),
    )


def _sentence(block: Mapping[str, Any], split: str) -> str:
    part = block["abstention"]
    said = (
        f"Of {images(block['n'], SPLIT_NAMES[split])} the model answers {part['n_answered']:,}, refers "
        f"{part['n_referred']:,} and refuses {part['n_refused']:,}. "
    )
    if not part["errors"]:
        return said + "At the operating point none of its answers would be wrong."
    return (
        said
        + f"Had it answered all at the operating point, {part['errors']:,} would be wrong; by abstaining it avoids "
        f"{part['errors_avoided']:,} of these."
    )


def _rows(part: Mapping[str, Any]) -> list[Row]:
    shares = [(_NAMES[key], part["definitions"][key], part[key]) for key in _NAMES]
    shares += [
        (f"{name} answered as another class", part["definitions"]["wrong"], share)
        for name, share in part.get("wrong", {}).items()
    ]
    return [
        Row(
            name,
            definition,
            "not defined" if share["value"] is None else number(share["value"], share=True),
            limits(share, share=True),
        )
        for name, definition, share in shares
    ]


def _charts(content: ReportContent, split: str) -> list[Chart]:
    info, block = content.info, content.metrics[split]
    rows = content.predictions[content.predictions["split"] == split]
    charts = []
    if info.task != "multilabel":
        coverage, risk = risk_coverage(rows, info)
        places = [(share, min(int(np.searchsorted(coverage, share)), len(risk) - 1)) for share in (0.5, 0.8, 0.9, 1.0)]
        points = [f"{risk[place]:.1%} of the surest {share:.0%}" for share, place in places]
        charts.append(
            Chart(
                risk_coverage_curve(coverage, risk, block["abstention"]),
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
