"""Which findings, how severe and in which words, for given figures."""

from __future__ import annotations

import pytest

from radlens.dataset.audit.drift import Drift
from radlens.dataset.audit.fact_findings import drift_findings, family_findings, shortcut_findings
from radlens.dataset.audit.name_families import FamiliesOfLabel, NameFamily
from radlens.dataset.audit.shortcuts import FactWeight, Shortcut, View
from radlens.statistics.auroc import Auroc


def told(low: float) -> Auroc:
    return Auroc(value=min(low + 0.05, 1), low=low, high=min(low + 0.1, 1))


def shortcut(view: View, low: float, *facts: tuple[str, float], sampled: bool = False) -> Shortcut:
    weights = tuple(
        FactWeight(fact=name, kind="file", auroc=auroc, label="ill", importance=0.1) for name, auroc in facts
    )
    return Shortcut(
        view=view,
        auroc=told(low),
        classes={"ill": told(low)},
        images=500,
        patients=400,
        sampled=sampled,
        facts=weights,
    )


@pytest.mark.parametrize(("low", "severity"), [(0.55, None), (0.65, "note"), (0.75, "warn"), (0.95, "warn")])
@pytest.mark.parametrize("view", ["file", "facts"])
def test_facts(view: View, low: float, severity: str | None) -> None:
    found = shortcut_findings([shortcut(view, low, ("width", 0.8), ("bytes", 0.55))])
    assert [(finding.check, finding.severity) for finding in found] == (
        [("shortcut_facts", severity)] if severity else []
    )
    if found:
        assert found[0].examples == ("width: AUROC 0.80 alone (ill)",)
        assert "Bytes may also" not in found[0].message
        assert ("almost certainly" in found[0].message) == (low > 0.9)
        assert f"AUROC {low + 0.05:.2f} (95 % interval {low:.2f} to" in found[0].message


def test_the_view_without_grey_levels_speaks_first_unless_only_the_other_warns() -> None:
    (finding,) = shortcut_findings([shortcut("file", 0.72, ("age", 0.8)), shortcut("facts", 0.8, ("age", 0.8))])
    assert "without a single pixel" in finding.message
    assert "Age and sex may also go with the disease" in finding.message
    (finding,) = shortcut_findings([shortcut("file", 0.65), shortcut("facts", 0.8, ("bytes", 0.7))])
    assert (finding.severity, "without the anatomy" in finding.message) == ("warn", True)
    assert "Bytes may also tell how much detail" in finding.message


def test_a_thumbnail_is_never_more_than_a_note() -> None:
    assert shortcut_findings([shortcut("thumbnail", 0.65)]) == []
    (finding,) = shortcut_findings([shortcut("thumbnail", 0.95)])
    assert (finding.check, finding.severity) == ("shortcut_thumbnail", "note")
    assert "This can be anatomy" in finding.message


def test_the_border_is_compared_with_the_thumbnail() -> None:
    found = shortcut_findings([shortcut("thumbnail", 0.6), shortcut("border", 0.75, sampled=True)])
    (finding,) = found
    assert (finding.check, finding.severity) == ("shortcut_border", "warn")
    assert "a thumbnail of the whole picture: 0.65 (95 % interval 0.60 to 0.70)" in finding.message
    assert "500 images drawn by patient" in finding.message
    assert shortcut_findings([shortcut("border", 0.55)]) == []


def test_the_class_that_is_told_best_decides() -> None:
    several = shortcut("border", 0.5).model_copy(update={"classes": {"a": told(0.4), "b": told(0.8)}})
    (finding,) = shortcut_findings([several])
    assert finding.severity == "warn"
    assert "Whether an image is b" in finding.message
    assert finding.examples[0].startswith("b: AUROC 0.85")


def families(low: float, elsewhere: int = 0) -> FamiliesOfLabel:
    found = tuple(
        NameFamily(form=form, example=f"{form}.png", images=count, patients=count, elsewhere=elsewhere)
        for form, count in (("IM-#", 60), ("N#-IM-#", 40))
    )
    views = {"facts": told(0.5), "thumbnail": told(0.55), "border": told(low)}
    return FamiliesOfLabel(label="NORMAL", families=found, views=views, images=100, patients=100, sampled=False)


def test_families_that_differ_warn() -> None:
    (finding,) = family_findings([families(0.68)])
    assert (finding.check, finding.severity, finding.count) == ("file_name_families", "warn", 2)
    assert "60 IM-# and 40 N#-IM-#" in finding.message
    assert "by the border alone, with AUROC 0.73 (95 % interval 0.68 to 0.78)" in finding.message
    assert "No other label has such names" in finding.message
    assert finding.groups == (("IM-#.png", "N#-IM-#.png"),)


def test_families_that_do_not_differ_are_noted() -> None:
    (finding,) = family_findings([families(0.55, elsewhere=3)])
    assert finding.severity == "note"
    assert "not clearly told apart" in finding.message
    assert "No other label" not in finding.message


def drift(fact: str, p: float, effect: float, split: str = "test", level: str | None = None) -> Drift:
    return Drift(
        fact=fact,
        split=split,
        patients=100,
        reference_patients=300,
        method="Fisher" if level is not None else "Kolmogorov-Smirnov",
        p=p,
        p_corrected=p,
        effect=effect,
        value=0.5 if level is not None else 1320,
        reference_value=0.25 if level is not None else 980,
        level=level,
    )


def test_drift_warns_when_it_is_neither_chance_nor_small() -> None:
    assert drift_findings([drift("width", 0.02, 0.5), drift("bytes", 1e-9, 0.05)]) == []
    found = [drift("width", 1e-9, 0.2), drift("sex", 0.005, 0.3, "val", ""), drift("bytes", 0.5, 0.9)]
    (finding,) = drift_findings(found)
    assert (finding.check, finding.severity, finding.count) == ("drift", "warn", 2)
    assert finding.examples == (
        "sex unknown: 50% in val, 25% in train (Cramér's V 0.30, p = 0.0050)",
        "width: median 1,320 in test, 980 in train (distance 0.20, p < 0.0001)",
    )
    assert finding.message.startswith("val and test differ from train in 2 fact(s)")
    assert "mix of labels" not in finding.message
    (finding,) = drift_findings([drift("label", 1e-9, 0.2, level="ill")])
    assert finding.message.startswith("test differs from train in 1 fact(s)")
    assert "mix of labels" in finding.message
