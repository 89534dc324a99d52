"""How the operating point of the model was chosen, what it does at least, and which others the model carries."""

from __future__ import annotations

from dataclasses import dataclass

from radlens.assessment.operating_words import bound, bounds_in_words, rule_in_words
from radlens.decision import OperatingPoint
from radlens.reporting.content import OperatingPoints, ReportContent
from radlens.reporting.sections.decision import Table


@dataclass(frozen=True)
class OperatingView:
    """Sentences, and a table of other operating points; None where there are none."""

    said: tuple[str, ...]
    others: Table | None


def operating_view(content: ReportContent) -> OperatingView | None:
    """What is known; None where there is nothing to be said, as for multiclass tasks."""
    points = content.provenance.points if content.provenance else None
    if points is None or (points.own is None and not points.others):
        return None
    said: tuple[str, ...] = ()
    if points.own is not None:
        task = content.info.task
        said = rule_in_words(points.own, task), bounds_in_words(points.own, task, content.info.classes)
    return OperatingView(said, _others(points))


def _others(points: OperatingPoints) -> Table | None:
    if not points.others:
        return None
    rows = [
        [(name, ""), (f"{threshold:.4f}", ""), *_at_least(known)] for name, (threshold, known) in points.others.items()
    ]
    columns = ("For", "Threshold", "Sensitivity", "Specificity")
    return Table("Other operating points that the model carries", columns, rows)


def _at_least(known: OperatingPoint | None) -> tuple[tuple[str, str], tuple[str, str]]:
    """On validation images, with the bound under it."""
    if known is None:
        return ("not known", ""), ("not known", "")
    return (
        (f"{known.sensitivity:.1%}", f"at least {bound(known.sensitivity_low)}"),
        (f"{known.specificity:.1%}", f"at least {bound(known.specificity_low)}"),
    )
