"""Models compared, as one page: the verdict, the differences, who was right where the other was wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from radlens.assessment.comparison import METHODS, Comparison, Comparisons
from radlens.assessment.comparison_verdict import NAMES, p_text, verdict
from radlens.assessment.framing_words import change_in_words
from radlens.assessment.predictions import PREFIX, targets_of
from radlens.base.files import write_text
from radlens.reporting.embed import Chart
from radlens.reporting.figures.comparison import differences, roc_overlay
from radlens.reporting.gallery import Group, Tile, file_name, picture_of
from radlens.reporting.sections.audit_gallery import ReadPixels
from radlens.reporting.template import render
from radlens.reporting.wording import limits, number
from radlens.statistics.mcnemar import McNemar

# Pictures of each kind on the page; the others are in the runs' predictions.csv.
MOST_TILES = 24

Cells = tuple[str, ...]


@dataclass(frozen=True)
class PairView:
    """One model against the first, ready to be shown."""

    number: int
    first: str
    second: str
    chart: Chart
    rows: tuple[Cells, ...]
    discordant: tuple[Cells, ...]
    groups: tuple[Group, ...]


def write_comparison_page(comparisons: Comparisons, read_pixels: ReadPixels | None, path: Path) -> None:
    """Write the comparison as one HTML file that works offline; see :func:`render_comparison_page`.

    Raises:
        RadlensError: the file cannot be written.
    """
    write_text(path, render_comparison_page(comparisons, read_pixels))


def render_comparison_page(comparisons: Comparisons, read_pixels: ReadPixels | None) -> str:
    """The comparison as HTML; the same comparison gives the same text.

    Args:
        comparisons: the comparison.
        read_pixels: gives the pixels of a path of the first run's manifest; None: no pictures.
    """
    matched = comparisons.matched
    binary = matched.info.task == "binary" and matched.tables[0]["label"].nunique() == 2
    return render(
        "comparison.html.j2",
        {
            "title": f"{' and '.join(matched.names)}: comparison",
            "kind": "radlens comparison",
            "info": matched.info,
            "verdict": verdict(comparisons),
            "notes": matched.notes,
            "cautions": _cautions(comparisons),
            "roc": _roc_chart(comparisons) if binary else None,
            "pairs": [
                _pair_view(number, pair, comparisons, read_pixels) for number, pair in enumerate(comparisons.pairs, 1)
            ],
            "counts": [(str(name), int(count)) for name, count in matched.tables[0]["label"].value_counts().items()],
            "images": len(matched.patients),
            "patients": int(matched.patients.nunique()),
            "framing": framing_rows(comparisons),
            "comparisons": comparisons,
            "methods": METHODS,
        },
    )


def _cautions(comparisons: Comparisons) -> list[str]:
    matched = comparisons.matched
    said = [
        "Compared are these trained models, not the ways in which they were trained: with another seed the same "
        "recipe gives another model, and the order may turn. To compare recipes, compare several runs of each.",
    ]
    if matched.split != "test":
        said.append(
            f"These are {'validation' if matched.split == 'val' else 'training'} images, which the models or their "
            "operating points were chosen on: expect another difference on new ones."
        )
    if matched.patients.nunique() == len(matched.patients):
        said.append(
            "Every image counts as a patient of its own. If that is not so, the intervals are too narrow and the "
            "p-values too small."
        )
    return said


def _pair_view(number: int, pair: Comparison, comparisons: Comparisons, read_pixels: ReadPixels | None) -> PairView:
    rows = tuple(_row(name, values, pair) for name, values in pair.metrics.items())
    texts = [f"{row[0]}: {row[1]} and {row[2]}, difference {row[3]} ({row[4]})" for row in rows]
    title = f"{pair.second} minus {pair.first}"
    chart = Chart(
        differences(pair, comparisons),
        f"differences-{number}",
        title,
        f"{title}. {'; '.join(texts)}.",
        "To the right of the line the second model's figure is higher. An interval that lies in the shaded band leaves "
        "no difference as large as the margin.",
    )
    discordant = tuple(_discordant(name, test) for name, test in pair.mcnemar.items())
    return PairView(
        number,
        pair.first,
        pair.second,
        chart,
        rows,
        discordant,
        _discordant_groups(number, pair, comparisons, read_pixels),
    )


def _row(name: str, values: Mapping[str, float | None], pair: Comparison) -> Cells:
    share = name in ("accuracy", "exact_match", "sensitivity", "specificity")

    def shown(value: float | None, sign: str = "") -> str:
        if value is None:
            return "not defined"
        text = f"{100 * value:{sign}.1f}" + ("%" if not sign else " points") if share else f"{value:{sign}.3f}"
        return text.replace("-", "−")

    low, high = values["low"], values["high"]
    limits = "–" if low is None else f"{shown(low, '+').removesuffix(' points')} to {shown(high, '+')}"
    title = NAMES[name][:1].upper() + NAMES[name][1:] + (" (lower is better)" if name == "brier" else "")
    p_value = pair.p_values.get(name)
    return (
        title,
        shown(values["first"]),
        shown(values["second"]),
        shown(values["difference"], "+"),
        limits,
        "–" if p_value is None else p_text(p_value).removeprefix("= "),
    )


def _discordant(name: str, test: McNemar) -> Cells:
    clustered = "–" if test.p_clustered is None else p_text(test.p_clustered).removeprefix("= ")
    return (
        "All images" if name == "all" else name,
        f"{test.only_first:,}",
        f"{test.only_second:,}",
        p_text(test.p_exact).removeprefix("= "),
        clustered,
    )


def _discordant_groups(
    number: int, pair: Comparison, comparisons: Comparisons, read_pixels: ReadPixels | None
) -> tuple[Group, ...]:
    """The images that one model alone answered rightly, the most dangerous first."""
    first, second = comparisons.matched.tables[0], comparisons.matched.tables[number]
    info = comparisons.matched.info
    right = [(targets_of(table, info) == targets_of(table, info, "predicted")) for table in (first, second)]
    held = [answers.all(axis=1) if answers.ndim == 2 else answers for answers in right]
    groups = []
    for mine, other, name in ((0, 1, pair.first), (1, 0, pair.second)):
        rows = np.flatnonzero(held[mine] & ~held[other])
        # Positive images first: whoever is wrong on those misses a finding.
        order = rows[np.argsort(targets_of(first, info)[rows] == 0, kind="stable")] if info.task == "binary" else rows
        tiles = tuple(
            _tile(first.iloc[row], second.iloc[row], pair, comparisons, read_pixels) for row in order[:MOST_TILES]
        )
        if len(rows):
            groups.append(Group(f"Only {name} is right: {len(rows):,}", tiles, left_out=max(0, len(rows) - MOST_TILES)))
    return tuple(groups)


def _tile(
    first: pd.Series, second: pd.Series, pair: Comparison, comparisons: Comparisons, read_pixels: ReadPixels | None
) -> Tile:
    info, path = comparisons.matched.info, str(first["path"])
    picture, missing = picture_of(path, read_pixels)
    if info.task == "binary":
        column = PREFIX + info.classes[1]
        said = [f"{name} {row[column]:.3f}" for name, row in ((pair.first, first), (pair.second, second))]
    else:
        said = [f"{name}: {row['predicted'] or 'none'}" for name, row in ((pair.first, first), (pair.second, second))]
    lines = (str(first["label"]) or "no finding", *said)
    return Tile(picture, f"{path}: true {'; '.join(lines)}", file_name(path), lines, missing)


def _roc_chart(comparisons: Comparisons) -> Chart:
    areas = [
        comparisons.pairs[0].metrics["auroc"]["first"],
        *(pair.metrics["auroc"]["second"] for pair in comparisons.pairs),
    ]
    said = "; ".join(f"{name} {area:.3f}" for name, area in zip(comparisons.matched.names, areas, strict=True))
    return Chart(
        roc_overlay(comparisons),
        "roc",
        "ROC curves",
        f"ROC curves on the same images. AUROC: {said}.",
        "Up and to the left is better; the dashed diagonal is guessing. A dot is where the model answers.",
    )


def framing_rows(comparisons: Comparisons) -> list[Cells]:
    """For each model the verdict of the framing suite, worst balanced accuracy, its interval, and the change; none
    where it was measured of no model.
    """
    rows: list[Cells] = []
    for name in comparisons.matched.names if comparisons.framing else ():
        framing = comparisons.framing.get(name)
        if framing is None:
            rows.append((name, "not measured", "–", "–", "–", "–"))
            continue
        worst = framing.worst_balanced_accuracy
        change = change_in_words(framing.worst)
        value, plain = number(worst.value, share=True), number(framing.balanced_accuracy, share=True)
        rows.append((name, framing.verdict, value, limits(worst, share=True), plain, change))
    return rows


@dataclass(frozen=True)
class Summary:
    """The figures of one pair as the cells of a table: metric, first, second, difference, interval, p."""

    first: str
    second: str
    cells: tuple[Cells, ...]


def summary(comparisons: Comparisons) -> list[Summary]:
    """The figures of each pair, for a terminal."""
    return [
        Summary(pair.first, pair.second, tuple(_row(name, values, pair) for name, values in pair.metrics.items()))
        for pair in comparisons.pairs
    ]
