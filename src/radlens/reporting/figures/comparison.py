"""Figures of models compared: their differences with intervals and margin, and their ROC curves."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from sklearn.metrics import roc_curve

from radlens.assessment.comparison import Comparison, Comparisons
from radlens.assessment.comparison_verdict import NAMES
from radlens.reporting.figures.style import (
    FAINT,
    INK,
    MUTED,
    PALETTE,
    class_colour,
    new_figure,
    shown,
    square_figure,
    styled,
)


@styled
def differences(pair: Comparison, comparisons: Comparisons) -> Figure:
    """The difference in each metric with its interval; the primary one also with that of its test, and the margin."""
    known = {name: values["difference"] for name, values in pair.metrics.items()}
    names = [name for name, value in known.items() if value is not None]
    figure = new_figure(height=0.42 * len(names) + 1.5)
    axes = figure.subplots()
    axes.axvspan(-comparisons.margin, comparisons.margin, color=FAINT, alpha=0.6, linewidth=0, zorder=0)
    axes.axvline(0, color=INK, linewidth=0.9, zorder=1)
    for row, name in enumerate(names):
        values = pair.metrics[name]
        colour = PALETTE[1] if name == pair.primary else PALETTE[0]
        if values["low"] is not None:
            limits = np.array([values["low"], values["high"]], dtype=np.float64)
            axes.plot(limits, np.full(2, row), color=colour, linewidth=2.2, solid_capstyle="butt")
        axes.plot(np.array([known[name]], dtype=np.float64), [row], marker="o", markersize=6, color=colour)
    axes.set_yticks(range(len(names)), [_axis_name(name) for name in names])
    axes.set_ylim(len(names) - 0.5, -0.5)
    low, high = axes.get_xlim()
    reach = max(abs(low), abs(high), 1.5 * comparisons.margin)
    axes.set_xlim(-reach, reach)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel(f"{shown(pair.second, 24)} minus {shown(pair.first, 24)}")
    handles = [
        Line2D([], [], color=PALETTE[1], marker="o", linewidth=2.2),
        Line2D([], [], color=PALETTE[0], marker="o", linewidth=2.2),
        Line2D([], [], color=FAINT, linewidth=8),
    ]
    texts = [
        f"{NAMES[pair.primary]}, which the verdict is on",
        "others",
        f"within the margin of {comparisons.margin:g}",
    ]
    figure.legend(handles, texts, loc="outside lower center")
    return figure


@styled
def roc_overlay(comparisons: Comparisons) -> Figure:
    """The ROC curves of all models of a binary task, with their operating points."""
    figure, axes = square_figure(4.1 + 0.17 * (len(comparisons.matched.names) + 1))
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.8, linestyle=(0, (4, 3)))
    handles = []
    for number, (name, answers) in enumerate(zip(comparisons.matched.names, comparisons.matched.answers, strict=True)):
        false_positive, sensitivity, _ = roc_curve(answers.truth, answers.probabilities[:, 1])
        style = "-" if number % 2 == 0 else (0, (5, 1.5))
        (line,) = axes.plot(false_positive, sensitivity, color=class_colour(number), linestyle=style)
        positive = answers.truth == 1
        point = answers.predicted[~positive].mean(), answers.predicted[positive].mean()
        axes.plot(*point, marker="o", markersize=6, color=class_colour(number))
        line.set_label(shown(name))
        handles.append(line)
    axes.set(xlabel="false positive rate (1 − specificity)", ylabel="sensitivity")
    dot = Line2D([], [], color=MUTED, marker="o", linestyle="", markersize=6)
    figure.legend(
        [*handles, dot],
        [*(str(line.get_label()) for line in handles), "each model's own operating point"],
        loc="outside lower center",
    )
    return figure


def _axis_name(name: str) -> str:
    text = {"exact_match": "all labels right"}.get(name, NAMES[name])
    text = text[:1].upper() + text[1:]
    return f"{text}\n(lower is better)" if name == "brier" else text
