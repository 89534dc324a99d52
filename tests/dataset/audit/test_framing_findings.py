"""What is said of the frame, how severe and in which words, for given figures."""

from __future__ import annotations

import pytest

from radlens.dataset.audit.fact_findings import shortcut_findings
from radlens.dataset.audit.findings import Finding
from radlens.dataset.audit.framing_shortcuts import VIEWS
from radlens.dataset.audit.shortcuts import Extremes, FactWeight, Shortcut, View
from radlens.statistics.auroc import Auroc


def told(low: float) -> Auroc:
    return Auroc(value=min(low + 0.05, 1), low=low, high=min(low + 0.1, 1))


def fact(name: str, low: float, own: float = 0.62, others: float = 0.54) -> FactWeight:
    return FactWeight(
        fact=name,
        kind="framing",
        auroc=low + 0.05,
        label="ill",
        importance=0.01,
        interval=(low, low + 0.1),
        medians=(own, others),
    )


def findings(whole: float, vertical: float, horizontal: float, profiles: float = 0.8) -> list[Finding]:
    lows = dict(zip(VIEWS, (whole, vertical, horizontal, profiles, profiles), strict=True))
    return shortcut_findings([shortcut(view, low) for view, low in lows.items()])


def shortcut(view: View, low: float) -> Shortcut:
    whole = view == "framing"
    return Shortcut(
        view=view,
        auroc=told(low),
        classes={"ill": told(low)},
        images=500,
        patients=400,
        sampled=False,
        facts=(fact("chest_aspect", low), fact("chest_height", low), fact("chest_width", 0.45)) if whole else (),
        extremes=Extremes(fact="chest_aspect", least=("a.png",), most=("b.png", "c.png")) if whole else None,
    )


@pytest.mark.parametrize(
    ("whole", "vertical", "horizontal", "severity"),
    [
        (0.55, 0.5, 0.5, None),
        (0.65, 0.55, 0.5, "note"),
        (0.65, 0.62, 0.5, "note"),
        (0.75, 0.55, 0.5, "warn"),
        (0.5, 0.72, 0.4, "warn"),
    ],
)
def test_severity(whole: float, vertical: float, horizontal: float, severity: str | None) -> None:
    found = findings(whole, vertical, horizontal)
    assert [(each.check, each.severity) for each in found] == ([("shortcut_framing", severity)] if severity else [])


def test_profiles_alone_are_no_finding() -> None:
    assert findings(0.5, 0.5, 0.5, profiles=0.95) == []
    assert shortcut_findings([shortcut("framing_rows", 0.9), shortcut("framing_columns", 0.9)]) == []


def test_words_of_a_vertical_frame() -> None:
    (finding,) = findings(0.85, 0.8, 0.55, profiles=0.88)
    message = finding.message
    assert message.startswith("Whether an image is ill is largely told by how tightly the chest is framed: by vertical")
    assert "what is shown above and below) with AUROC 0.85 (95 % interval 0.80 to 0.90)" in message
    assert "horizontal" not in message
    assert "both ways together 0.90 (95 % interval 0.85 to 0.95)" in message
    # The width tells nothing, so that nothing is said of it.
    assert "The height of the chest is 62% of the picture's height in ill (median), 54% elsewhere." in message
    assert "The width" not in message
    for advice in ("radlens stress", "augment.stretch", "augment.sides", "one form"):
        assert advice in message
    assert finding.examples[-2] == "for comparison, the mean grey of 32 rows: AUROC 0.93 (95 % interval 0.88 to 0.98)"
    assert "32 rows" not in message
    assert finding.examples[0] == (
        "chest_aspect: AUROC 0.90 (95 % interval 0.85 to 0.95) alone; median 0.62 in ill, 0.54 in the others"
    )
    assert finding.groups == (("a.png",), ("b.png", "c.png"))
    assert finding.titles == ("Least: how tall the chest is for its width", "Most: how tall the chest is for its width")


def test_words_of_a_frame_that_only_both_ways_together_tell() -> None:
    (finding,) = findings(0.75, 0.55, 0.55)
    assert "by height and width of the frame together with AUROC 0.80" in finding.message
    assert "vertical" not in finding.message
