"""What the audit measured of the files, as tables and charts: shortcuts, file names, drift."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from radlens.dataset.audit import Audit
from radlens.dataset.audit.drift import Drift
from radlens.dataset.audit.fact_findings import DRIFT_EFFECT, DRIFT_P
from radlens.dataset.audit.shortcut_words import TOLD
from radlens.dataset.audit.shortcuts import Shortcut
from radlens.reporting.embed import Chart
from radlens.reporting.figures.audit import auroc_dots
from radlens.reporting.figures.style import SPLIT_NAMES
from radlens.reporting.sections.audit_part import Part, Table, fact_name, number_text
from radlens.statistics.auroc import Auroc

MOST_FACTS = 15
MOST_DRIFTS = 20
# When nothing stands out.
FEW_DRIFTS = 5

_VIEWS = {
    "file": "File and its header",
    "facts": "File, grey levels, edges",
    "thumbnail": "8 × 8 thumbnail",
    "border": "Border of the picture",
    "framing": "Frame: place of the chest",
    "framing_vertical": "Frame, in height",
    "framing_horizontal": "Frame, in width",
    "framing_rows": "Mean grey of 32 rows",
    "framing_columns": "Mean grey of 32 columns",
}
_SEEN = {"facts": "facts of file and grey levels", "thumbnail": "an 8 × 8 thumbnail", "border": "the border"}


def shortcut_part(audit: Audit) -> Part | None:
    """How well the label is told without the anatomy, by what, and which facts carry it."""
    if not audit.shortcuts:
        return None
    best = max(audit.shortcuts, key=lambda shortcut: shortcut.auroc.value)
    tables = [*_class_table(audit), *_weights(audit), *_frame(audit)]
    warned = any(finding.check.startswith("shortcut") and finding.severity != "note" for finding in audit.findings)
    return Part(
        title=f"Shortcuts: AUROC up to {best.auroc.value:.2f} without looking at the anatomy",
        lead="A small model tried to tell the label from what is not the disease, on patients that it was not fitted "
        "to. What it can do, a network can do as well, and it will, if that is easier than the anatomy.",
        charts=(_shortcut_chart(audit),),
        tables=tuple(tables),
        notes=_shortcut_notes(audit.shortcuts),
        alarming=warned,
    )


def family_part(audit: Audit) -> Part | None:
    """The families of file names of each label, and whether they differ."""
    if not audit.name_families:
        return None
    rows, notes = [], []
    for label_families in audit.name_families:
        label = label_families.label or "no label"
        rows += [
            (label, family.form, *(f"{count:,}" for count in (family.images, family.patients, family.elsewhere)))
            for family in label_families.families
        ]
        told = ", ".join(f"{_auroc(auroc)} by {_SEEN[view]}" for view, auroc in label_families.views.items())
        if told:
            notes.append(f"The families of {label} are told apart with AUROC {told}.")
    columns = ("Label", "Form of the names", "Images", "Patients", "Under other labels")
    return Part(
        title="Families of file names",
        lead="Names of another form often tell that images come from another place. Numbers are written as #.",
        charts=(),
        tables=(("", Table(columns, tuple(rows), (False,) * len(rows), text=(1,))),),
        notes=tuple(notes),
    )


def drift_part(audit: Audit) -> Part | None:
    """The facts in which a split differs from train, those that stand out in bold."""
    if not audit.drift:
        return None
    ranked = sorted(audit.drift, key=lambda drift: (not _stands_out(drift), drift.p_corrected, -drift.effect))
    count = sum(map(_stands_out, ranked))
    shown = ranked[: MOST_DRIFTS if count else FEW_DRIFTS]
    rows = tuple(
        (
            fact_name(drift.fact) + ("" if drift.level is None else f": {drift.level or 'unknown'}"),
            SPLIT_NAMES.get(drift.split, drift.split),
            _drift_value(drift, drift.value),
            _drift_value(drift, drift.reference_value),
            f"{drift.effect:.2f}",
            "< 0.0001" if drift.p_corrected < 1e-4 else f"{drift.p_corrected:.4f}",
        )
        for drift in shown
    )
    columns = ("Fact", "Split", "There", f"In {SPLIT_NAMES['train']}", "Difference", "p, corrected")
    strong = tuple(map(_stands_out, shown))
    table = Table(columns, rows, strong, text=(1,), left_out=len(ranked) - len(shown))
    said = f"{count} of {len(ranked)} comparisons stand out" if count else "no fact stands out"
    return Part(
        title=f"Drift between splits: {said}",
        lead="Each split compared with training, fact by fact, with one image of each patient. Numbers: medians, and "
        "the Kolmogorov-Smirnov distance; names: the share of the one that differs most, and Cramér's V. Both "
        f"distances go from 0 to 1. Bold: p below {DRIFT_P} after correction for all comparisons (Holm), and a "
        f"distance of {DRIFT_EFFECT} or more.",
        charts=(),
        tables=(("", table),),
        alarming=bool(count),
    )


def _shortcut_chart(audit: Audit) -> Chart:
    rows = pd.DataFrame(
        [
            (_VIEWS[shortcut.view], shortcut.auroc.value, shortcut.auroc.low, shortcut.auroc.high)
            for shortcut in audit.shortcuts
        ],
        columns=["name", "auroc", "low", "high"],
    )
    said = "; ".join(f"{_VIEWS[shortcut.view]}: {_auroc(shortcut.auroc)}" for shortcut in audit.shortcuts)
    of = f"of {audit.classes[1]}" if audit.task == "binary" else "mean over the classes, each against the rest"
    return Chart(
        auroc_dots(rows),
        "audit-shortcuts",
        "Told without the anatomy",
        f"AUROC {of}, with 95% intervals: {said}. 0.5 is guessing.",
        f"AUROC {of}, with 95% intervals by resampling patients; the dashed line is guessing. A thumbnail shows some "
        "anatomy, so do rows and columns; the border and the place of the chest hardly any, the file none.",
    )


def _class_table(audit: Audit) -> list[tuple[str, Table]]:
    if audit.task == "binary":
        return []
    names = list(dict.fromkeys(name for shortcut in audit.shortcuts for name in shortcut.classes))
    rows = tuple(
        (name, *(_auroc(shortcut.classes[name]) if name in shortcut.classes else "–" for shortcut in audit.shortcuts))
        for name in names
    )
    columns = ("Class", *(_VIEWS[shortcut.view] for shortcut in audit.shortcuts))
    return [("AUROC of each class against the rest", Table(columns, rows, (False,) * len(rows)))]


def _weights(audit: Audit) -> list[tuple[str, Table]]:
    """The facts that carry the label, of the view that sees the most of them."""
    weighed = [shortcut.facts for shortcut in audit.shortcuts if shortcut.facts and shortcut.view != "framing"]
    if not weighed:
        return []
    facts = max(weighed, key=len)
    several = audit.task != "binary"
    rows = tuple(
        (
            fact_name(weight.fact),
            weight.kind,
            f"{weight.auroc:.2f}" + (f" ({weight.label})" if several else ""),
            f"{weight.importance:.3f}",
        )
        for weight in facts[:MOST_FACTS]
    )
    columns = ("Fact", "Source", "AUROC alone", "Lost without it")
    strong = (False,) * len(rows)
    table = Table(columns, rows, strong, text=(1,), left_out=len(facts) - len(rows))
    return [("The facts that tell the most", table)]


def _frame(audit: Audit) -> list[tuple[str, Table]]:
    """How the chest lies in the pictures of a class and of the others, and how well each fact of it tells the class."""
    facts = next((shortcut.facts for shortcut in audit.shortcuts if shortcut.view == "framing"), ())
    rows, strong = [], []
    for fact in facts:
        low, high = fact.interval or (float("nan"), float("nan"))
        own, others = (number_text(value, fact.fact) for value in fact.medians or (float("nan"), float("nan")))
        rows.append((fact_name(fact.fact), fact.label, own, others, f"{fact.auroc:.2f} ({low:.2f}–{high:.2f})"))
        strong.append(low > TOLD)
    if not rows:
        return []
    columns = ("How the chest is framed", "Class", "Median", "In the others", "AUROC alone")
    return [("The frame, as shares of the picture", Table(columns, tuple(rows), tuple(strong), text=(1,)))]


def _shortcut_notes(shortcuts: Sequence[Shortcut]) -> tuple[str, ...]:
    first = shortcuts[0]
    drawn = ", a part drawn at random by patient" if first.sampled else ""
    notes = [f"{first.images:,} images of {first.patients:,} patients{drawn}."]
    if any(shortcut.facts for shortcut in shortcuts):
        notes.append("Lost without it: how much lower the AUROC of all facts together is when this one is shuffled.")
    if first.left_out:
        notes.append(f"Classes of too few patients to be judged: {', '.join(first.left_out)}.")
    return tuple(notes)


def _auroc(auroc: Auroc) -> str:
    return f"{auroc.value:.2f} ({auroc.low:.2f}–{auroc.high:.2f})"


def _stands_out(drift: Drift) -> bool:
    return drift.p_corrected < DRIFT_P and drift.effect >= DRIFT_EFFECT


def _drift_value(drift: Drift, value: float) -> str:
    return f"{value:.0%}" if drift.level is not None else number_text(value, drift.fact)
