"""The report says how the operating point was chosen and what it does at least."""

from __future__ import annotations

from dataclasses import replace

from html_page import Page
from radlens.decision import OperatingPoint
from radlens.reporting import ReportContent, render_report
from radlens.reporting.content import OperatingPoints, Provenance
from radlens.reporting.sections.operating import operating_view

POINT = OperatingPoint("youden", 0.9849, 0.9725, 0.9938, 0.9723, 0.95, 199, 147)
TARGET = replace(POINT, rule="sensitivity:0.95", sensitivity=0.951, sensitivity_low=0.912)


def with_points(content: ReportContent, points: OperatingPoints | None) -> ReportContent:
    return replace(content, provenance=Provenance("model", points=points))


def test_rule_bounds_and_other_points_are_on_the_page(content: ReportContent, page_of: type[Page]) -> None:
    others = {"sensitivity 0.95": (0.8147, TARGET), "sensitivity 0.99": (0.3279, None)}
    text = page_of(render_report(with_points(content, OperatingPoints(POINT, others)))).text
    assert "How the operating point was chosen A probability of 0.5 or more counts as positive. Rule: the" in text
    assert "sensitivity is 98.5%, at least 97.2%; its specificity 99.4%, at least 97.2%" in text
    assert "sensitivity 0.95 0.8147 95.1% at least 91.2% 99.4% at least 97.2%" in text
    assert "sensitivity 0.99 0.3279 not known not known" in text


def test_what_is_not_known_leaves_nothing_behind(content: ReportContent, page_of: type[Page]) -> None:
    for points in (None, OperatingPoints()):
        assert operating_view(with_points(content, points)) is None
    assert operating_view(content) is None
    assert "How the operating point was chosen" not in page_of(render_report(content)).text
    view = operating_view(with_points(content, OperatingPoints(POINT)))
    assert view is not None
    assert view.others is None
