"""From a report's content to one HTML file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from radlens.base.files import write_text
from radlens.reporting import wording
from radlens.reporting.charts import data_charts, performance_charts, training_chart
from radlens.reporting.content import ReportContent
from radlens.reporting.figures.data import balance
from radlens.reporting.figures.style import SPLIT_NAMES
from radlens.reporting.gallery import augmented_groups, error_groups, reason_texts, sample_groups
from radlens.reporting.sections.abstention import abstention_views, alpha_view
from radlens.reporting.sections.audit import audit_view
from radlens.reporting.sections.audit_gallery import REPORT_LIMITS
from radlens.reporting.sections.calibration import calibration_view
from radlens.reporting.sections.checklist import checklists
from radlens.reporting.sections.decision import decision_view, shortfalls
from radlens.reporting.sections.framing import framing_view
from radlens.reporting.sections.limits import limit_texts
from radlens.reporting.sections.operating import operating_view
from radlens.reporting.sections.provenance import provenance_view
from radlens.reporting.sections.subgroup import subgroup_view
from radlens.reporting.sections.summary import (
    abstention_sentence,
    doubt_sentence,
    framing_sentence,
    positive_sentence,
)
from radlens.reporting.template import render


def write_report(content: ReportContent, path: Path) -> None:
    """Write the report as one HTML file that works offline.

    Raises:
        RadlensError: the file cannot be written.
    """
    write_text(path, render_report(content))


def render_report(content: ReportContent) -> str:
    """The report as HTML; the same content gives the same text."""
    return render("report.html.j2", _context(content))


def _context(content: ReportContent) -> dict[str, Any]:
    main = content.main_split
    others = [split for split in ("test", "val", "train") if split in content.metrics and split != main]
    return {
        "title": content.title,
        "kind": "radlens report",
        "content": content,
        "info": content.info,
        "words": wording,
        "view": None
        if content.audit is None
        else audit_view(
            content.audit,
            content.manifest,
            content.rejected,
            content.read_pixels,
            REPORT_LIMITS,
            content.suspects,
        ),
        "summary": _summary(content),
        "main": _performance(content, main),
        "others": [_performance(content, split) for split in others],
        "data": {
            "charts": data_charts(content),
            "table": _split_table(content),
            "facts": _facts(content),
            "notes": [note for note in content.info.notes if note not in content.notes],
            "samples": sample_groups(content),
            "augmented": augmented_groups(content),
        },
        "training": _training(content),
        "operating": operating_view(content),
        "framing": framing_view(content),
        "abstention": abstention_views(content),
        "alpha": alpha_view(content),
        "errors": error_groups(content, main),
        "reasons": reason_texts(content, main),
        "subgroups": subgroup_view(content),
        "limits": limit_texts(content),
        "provenance": provenance_view(content),
        "checklists": checklists(content),
        "environment": _flat(content.environment),
    }


def _summary(content: ReportContent) -> dict[str, Any]:
    doubt, doubtful = doubt_sentence(content)
    framing, framing_tone = framing_sentence(content)
    return {
        "abstention": abstention_sentence(content),
        "positive": positive_sentence(content),
        "doubt": doubt,
        "doubtful": doubtful,
        "framing": framing,
        "framing_tone": framing_tone,
    }


def _performance(content: ReportContent, split: str) -> dict[str, Any]:
    block = content.metrics[split]
    measured = block.metrics
    each_measured = next((part.metrics for part in block.each.values()), {})
    return {
        "split": split,
        "name": SPLIT_NAMES[split],
        "block": block,
        "headline": wording.headline(block, split),
        "errors": wording.errors(block),
        "cards": wording.cards(block),
        "cautions": [*wording.cautions(block, split), *shortfalls(block)],
        "calibration": None if block.calibration is None else calibration_view(block.calibration),
        "decisions": decision_view(block, split),
        "metrics": [name for name in wording.METRIC_NAMES if name in measured],
        "each": block.each,
        "each_metrics": [name for name in wording.METRIC_NAMES if name in each_measured],
        "charts": performance_charts(content, split),
        "threshold": None if block.threshold is None else f"{block.threshold:.3g}",
    }


def _split_table(content: ReportContent) -> dict[str, Any]:
    """Images, patients and classes of each split."""
    table = content.manifest
    counts = balance(table, content.info)
    groups = table.assign(split=table["split"].replace("", "unsplit")).groupby("split")
    splits = list(counts.index)
    return {
        "splits": [SPLIT_NAMES.get(str(split), str(split)) for split in splits],
        "images": [int(groups.size()[split]) for split in splits],
        "patients": [int(groups["patient"].nunique()[split]) for split in splits],
        "classes": {str(name): [int(count) for count in column] for name, column in counts.items()},
    }


def _facts(content: ReportContent) -> list[str]:
    """What the files have in common, in words."""
    if content.facts is None or content.facts.empty:
        return []
    facts = content.facts
    said = []
    sizes = facts[["width", "height"]].drop_duplicates()
    if len(sizes) == 1:
        said.append(f"All images are {sizes['width'].iloc[0]} × {sizes['height'].iloc[0]} pixels.")
    forms = (facts["format"] + " " + facts["mode"]).value_counts()
    listed = ", ".join(f"{count:,} {form}" for form, count in forms.items())
    said.append(f"Files: {listed}; median {facts['bytes'].median() / 1024:,.0f} KB.")
    return said


def _training(content: ReportContent) -> dict[str, Any] | None:
    history = content.history
    if history is None or history.empty:
        return None
    seconds = history["seconds"].sum() if "seconds" in history.columns else float("nan")
    labels = {
        "epoch": "Epoch",
        "train_loss": "Training loss",
        "val_loss": "Validation loss",
        "val_auroc": "AUROC",
        "val_accuracy": "Accuracy",
        "lr": "Learning rate",
        "seconds": "Seconds",
    }
    columns = [name for name in labels if name in history.columns]
    rows = [
        {"best": row["epoch"] == content.best_epoch, "cells": [_cell(name, row[name]) for name in columns]}
        for _, row in history.iterrows()
    ]
    return {
        "chart": training_chart(history, content.best_epoch),
        "epochs": len(history),
        "time": _duration(seconds) if pd.notna(seconds) and seconds > 0 else "",
        "columns": [labels[name] for name in columns],
        "rows": rows,
    }


def _cell(name: str, value: float) -> str:
    if pd.isna(value):
        return "–"
    if name == "epoch":
        return f"{int(value)}"
    if name == "lr":
        return f"{value:.2g}"
    return f"{value:,.1f}" if name == "seconds" else f"{value:.3f}"


def _duration(seconds: float) -> str:
    """Hours, minutes and seconds, the two largest that apply.

    >>> _duration(75), _duration(7322)
    ('1 min 15 s', '2 h 2 min')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _flat(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested mappings as dotted names."""
    rows: list[tuple[str, str]] = []
    for key, value in values.items():
        if isinstance(value, Mapping):
            rows += _flat(value, f"{prefix}{key}.")
        else:
            text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
            rows.append((f"{prefix}{key}", text))
    return rows
