"""Shortcuts, families of file names, drift and distributions as a reader gets them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from fixture_types import AuditOf, ManifestOf
from html_page import Page, value_of
from radlens.dataset.audit import Audit, Finding
from radlens.dataset.audit.distributions import QUANTILES, Distribution
from radlens.dataset.audit.drift import Drift
from radlens.dataset.audit.name_families import FamiliesOfLabel
from radlens.dataset.audit.shortcuts import VIEWS, FactWeight, Shortcut
from radlens.reporting import render_audit_page
from radlens.reporting.sections.audit_distributions import distribution_part
from radlens.reporting.sections.audit_facts import (
    FEW_DRIFTS,
    MOST_DRIFTS,
    MOST_FACTS,
    drift_part,
    family_part,
    shortcut_part,
)
from radlens.statistics.auroc import Auroc

FullAudit = Callable[[str], Audit]

TASKS = ("binary", "multiclass", "multilabel")


def auroc(value: float) -> Auroc:
    return Auroc(value=value, low=value - 0.02, high=min(1, value + 0.02))


def shortcut(view: str, value: float, classes: tuple[str, ...], facts: int = 0) -> Shortcut:
    weights = [
        FactWeight(fact=f"fact_{i}", kind="file", auroc=0.9 - i / 100, label=classes[-1], importance=0.1 - i / 1000)
        for i in range(facts)
    ]
    return Shortcut.model_validate(
        {
            "view": view,
            "auroc": auroc(value),
            "classes": {name: auroc(value) for name in classes},
            "images": 1200,
            "patients": 700,
            "sampled": view == "file",
            "facts": weights,
        }
    )


def drift(fact: str, effect: float, p: float, level: str | None = None, split: str = "test") -> Drift:
    return Drift(
        fact=fact,
        split=split,
        patients=40,
        reference_patients=200,
        method="chi-square" if level is not None else "Kolmogorov-Smirnov",
        p=p / 2,
        p_corrected=p,
        effect=effect,
        value=0.25 if level is not None else 2048,
        reference_value=0.5 if level is not None else 1024,
        level=level,
    )


def numbers(fact: str, split: str, label: str, low: float, high: float, unknown: int = 0) -> Distribution:
    values = tuple(np.linspace(low, high, len(QUANTILES)).tolist())
    return Distribution(
        fact=fact, split=split, label=label, images=50, unknown=unknown, quantiles=values, mean=(low + high) / 2
    )


def names(fact: str, split: str, label: str, **levels: int) -> Distribution:
    return Distribution(
        fact=fact, split=split, label=label, images=50, unknown=50 - sum(levels.values()), levels=levels
    )


@pytest.fixture
def full_audit(manifest_of: ManifestOf, audit_of: AuditOf) -> FullAudit:
    def make(task: str) -> Audit:
        manifest = manifest_of(task)
        classes = manifest.info.classes
        told = classes[1:] if task == "binary" else classes
        groups = [(split, label) for split in ("val", "test") for label in classes]
        return audit_of(
            manifest,
            shortcuts=tuple(shortcut(view, 0.6 + 0.1 * i, told, 20 if i < 2 else 0) for i, view in enumerate(VIEWS)),
            name_families=(
                FamiliesOfLabel.model_validate(
                    {
                        "label": classes[0],
                        "families": [
                            {"form": form, "example": "a.png", "images": 60, "patients": 40, "elsewhere": 0}
                            for form in ("IM-#", "NORMAL#-IM-#")
                        ],
                        "views": {"thumbnail": auroc(0.91)},
                        "images": 120,
                        "patients": 80,
                        "sampled": False,
                    }
                ),
            ),
            drift=(drift("width", 0.4, 1e-6), drift("format", 0.02, 0.5, "JPEG", "val"), drift("sex", 0.3, 0.001, "")),
            distributions=(
                *(numbers("width", *group, 100 + i, 900 + 10 * i) for i, group in enumerate(groups)),
                *(numbers("height", *group, 224, 224) for group in groups),
                *(numbers("bytes", *group, 4096, 2**20) for group in groups),
                *(names("mode", *group, L=40, RGB=10) for group in groups),
                *(names("format", *group, JPEG=50) for group in groups),
                *(names("view", *group) for group in groups),
            ),
        )

    return make


@pytest.mark.parametrize("task", TASKS)
def test_every_part_is_on_the_page(
    task: str, manifest_of: ManifestOf, full_audit: FullAudit, page_of: type[Page]
) -> None:
    page = page_of(render_audit_page(full_audit(task), manifest_of(task), [], None))
    assert page.open == []
    assert [attributes["id"] for tag, attributes in page.elements if tag == "section"] == [
        "audit",
        "shortcuts",
        "drift",
        "data",
    ]
    identifiers = [attributes["id"] for _, attributes in page.elements if attributes.get("id")]
    assert len(identifiers) == len(set(identifiers))
    # AUROC, class balance, width and file size; the height is the same in all.
    assert len(page.all("svg")) == 4
    assert all(part in identifiers for chart in page.all("svg") for part in value_of(chart, "aria-labelledby").split())


def test_shortcuts_are_told_in_words_and_ranked(full_audit: FullAudit) -> None:
    part = shortcut_part(full_audit("binary"))
    assert part is not None
    assert part.title == "Shortcuts: AUROC up to 0.90 without looking at the anatomy"
    (chart,) = part.charts
    assert "AUROC of PNEUMONIA" in chart.alt
    assert "File and its header: 0.60 (0.58–0.62)" in chart.alt
    assert "Border of the picture: 0.90 (0.88–0.92)" in chart.alt
    ((_, table),) = part.tables
    assert table.rows[0] == ("fact 0", "file", "0.90", "0.100")
    assert (len(table.rows), table.left_out) == (MOST_FACTS, 20 - MOST_FACTS)
    assert part.notes[0] == "1,200 images of 700 patients, a part drawn at random by patient."
    assert not part.alarming


def test_several_classes_have_a_table_of_their_own(full_audit: FullAudit) -> None:
    audit = full_audit("multiclass")
    part = shortcut_part(audit)
    assert part is not None
    (_, table), (_, facts) = part.tables
    assert [row[0] for row in table.rows] == list(audit.classes)
    assert table.rows[0][1:] == ("0.60 (0.58–0.62)", "0.70 (0.68–0.72)", "0.80 (0.78–0.82)", "0.90 (0.88–0.92)")
    assert facts.rows[0][2] == "0.90 (viral)"


def test_the_frame_has_a_table_of_its_own_with_medians_and_intervals(full_audit: FullAudit) -> None:
    audit = full_audit("binary")
    label = audit.classes[1]
    facts = tuple(
        FactWeight(
            fact=fact,
            kind="framing",
            auroc=value,
            label=label,
            importance=0.0,
            interval=(value - 0.05, value + 0.05),
            medians=(0.61, 0.54),
        )
        for fact, value in (("chest_aspect", 0.85), ("left_of_chest", 0.52))
    )
    frame = shortcut("framing", 0.89, (label,)).model_copy(update={"facts": facts})
    part = shortcut_part(audit.model_copy(update={"shortcuts": (*audit.shortcuts, frame)}))
    assert part is not None
    tables = dict(part.tables)
    table = tables["The frame, as shares of the picture"]
    assert table.rows == (
        ("chest height / width", label, "0.61", "0.54", "0.85 (0.80–0.90)"),
        ("left of chest", label, "0.61", "0.54", "0.52 (0.47–0.57)"),
    )
    # Only what surely tells the class stands out, and the table of the other facts stays what it was.
    assert table.strong == (True, False)
    assert not any("chest" in row[0] for row in tables["The facts that tell the most"].rows)
    assert "The frame, as shares of the picture" not in dict((shortcut_part(audit) or part).tables)


def test_a_warned_shortcut_lies_open(full_audit: FullAudit) -> None:
    audit = full_audit("binary")
    for severity, alarming in (("warn", True), ("note", False)):
        found = Finding.model_validate({"check": "shortcut_border", "severity": severity, "message": "", "count": 1})
        part = shortcut_part(audit.model_copy(update={"findings": (found,)}))
        assert part is not None
        assert part.alarming == alarming


def test_families_are_listed_with_how_well_they_are_told_apart(full_audit: FullAudit) -> None:
    part = family_part(full_audit("binary"))
    assert part is not None
    assert part.tables[0][1].rows[1] == ("NORMAL", "NORMAL#-IM-#", "60", "40", "0")
    assert part.notes == ("The families of NORMAL are told apart with AUROC 0.91 (0.89–0.93) by an 8 × 8 thumbnail.",)


def test_drift_that_stands_out_comes_first_and_in_bold(full_audit: FullAudit) -> None:
    part = drift_part(full_audit("binary"))
    assert part is not None
    assert part.title == "Drift between splits: 2 of 3 comparisons stand out"
    ((_, table),) = part.tables
    assert table.rows == (
        ("width", "test", "2,048", "1,024", "0.40", "< 0.0001"),
        ("sex: unknown", "test", "25%", "50%", "0.30", "0.0010"),
        ("file format: JPEG", "validation", "25%", "50%", "0.02", "0.5000"),
    )
    assert table.strong == (True, True, False)


def test_many_comparisons_are_cut_and_counted(manifest_of: ManifestOf, audit_of: AuditOf) -> None:
    for effect, shown, said in ((0.05, FEW_DRIFTS, "no fact stands out"), (0.5, MOST_DRIFTS, "30 of 30 comparisons")):
        audit = audit_of(manifest_of("binary"), drift=tuple(drift(f"fact_{i}", effect, 1e-9) for i in range(30)))
        part = drift_part(audit)
        assert part is not None
        assert said in part.title
        assert (len(part.tables[0][1].rows), part.tables[0][1].left_out) == (shown, 30 - shown)


def test_distributions_are_drawn_where_they_vary_and_else_told_in_words(full_audit: FullAudit) -> None:
    part = distribution_part(full_audit("binary"))
    assert part is not None
    width, size = part.charts
    assert "validation · NORMAL 500 (140 to 860)" in width.alt
    assert "validation · NORMAL 514 KB (55 to 973)" in size.alt
    ((_, table),) = part.tables
    groups = ("validation · NORMAL", "validation · PNEUMONIA", "test · NORMAL", "test · PNEUMONIA")
    assert table.columns == ("Fact", *groups)
    assert [row[0] for row in table.rows] == ["Width", "File size", "Pixel form"]
    assert [row[1] for row in table.rows] == ["500 (140 to 860)", "514 KB (55 to 973)", "L 80%, RGB 20%"]
    assert part.notes == ("The same in all images: height 224, file format JPEG, view unknown.",)


def test_facts_known_of_some_images_only(manifest_of: ManifestOf, audit_of: AuditOf) -> None:
    groups = (("test", "NORMAL"), ("test", "PNEUMONIA"))
    bare = Distribution(fact="age", split="test", label="NORMAL", images=50, unknown=50)
    audit = audit_of(
        manifest_of("binary"),
        distributions=(bare, numbers("age", *groups[1], 20, 80, 10), *(names("sex", *group, F=20) for group in groups)),
    )
    part = distribution_part(audit)
    assert part is not None
    assert len(part.charts) == 1
    ((_, table),) = part.tables
    assert table.columns == ("Fact", "NORMAL", "PNEUMONIA")
    assert table.rows == (("Age", "unknown", "50 (23 to 77)"), ("Sex", "F 40%", "F 40%"))


def test_many_classes_are_drawn_for_one_split(manifest_of: ManifestOf, audit_of: AuditOf) -> None:
    classes = tuple(f"finding {i}" for i in range(14))
    manifest = manifest_of("multilabel", images=200, classes=classes)
    for count, charts in ((14, 1), (40, 0)):
        labels = [f"finding {i}" for i in range(count)]
        found = tuple(
            numbers("width", split, label, i, i + 10) for split in ("train", "test") for i, label in enumerate(labels)
        )
        part = distribution_part(audit_of(manifest, distributions=found))
        assert part is not None
        assert len(part.charts) == charts
        assert len(part.tables[0][1].rows) == 2 * count
        assert all("Only training images are drawn." in chart.caption for chart in part.charts)


def test_absent_parts_are_left_out(manifest_of: ManifestOf, audit_of: AuditOf) -> None:
    audit = audit_of(manifest_of("binary"))
    assert [part(audit) for part in (shortcut_part, family_part, drift_part, distribution_part)] == [None] * 4
