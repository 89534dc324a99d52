"""Figure of a stress test: how rightly the images of each class are answered under every change."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from radlens.reporting.figures.style import FAINT, INK, MOST_CURVES, MUTED, class_colour, new_figure, shown, styled
from radlens.runtime.framing_records import TOLERATED_LOSS, ChangeEvidence

# Inches that the line of one change is high.
_LINE = 0.2


@styled
def accuracy_under_changes(unchanged: ChangeEvidence, changes: Sequence[ChangeEvidence], worst: str) -> Figure:
    """Balanced accuracy and the recall of each class under every change, one line each; the worst in bold.

    Args:
        unchanged: the images as they are.
        changes: of one suite.
        worst: name of the worst change.
    """
    figure = new_figure(height=_LINE * len(changes) + 1.3)
    axes = figure.subplots()
    tolerated = unchanged.balanced_accuracy - TOLERATED_LOSS
    axes.axvspan(max(0.0, tolerated), 1.02, color=FAINT, alpha=0.55, linewidth=0, zorder=0)
    axes.axvline(unchanged.balanced_accuracy, color=MUTED, linewidth=0.9, linestyle=(0, (4, 3)), zorder=1)
    names = list(unchanged.groups)
    for row, change in enumerate(changes):
        recalls = [group.recall for group in change.groups.values()]
        axes.plot([min(recalls), max(recalls)], [row, row], color="#c3ccd4", linewidth=1.2, zorder=1)
        for number, name in enumerate(names[:MOST_CURVES]):
            axes.plot(change.groups[name].recall, row, "|", color=class_colour(number), markersize=7, markeredgewidth=2)
        face = INK if change.counted else "white"
        axes.plot(change.balanced_accuracy, row, "o", color=INK, markerfacecolor=face, markersize=4.5, zorder=3)
        if row and change.kind != changes[row - 1].kind:
            axes.axhline(row - 0.5, color=FAINT, linewidth=0.7, zorder=0)
    axes.set_yticks(np.arange(len(changes)), [shown(change.name) for change in changes])
    for label, change in zip(axes.get_yticklabels(), changes, strict=True):
        label.set_fontsize(8)
        if change.name == worst:
            label.set_fontweight("bold")
            label.set_color(INK)
    axes.set_ylim(len(changes) - 0.5, -0.5)
    axes.set_xlim(-0.02, 1.02)
    axes.grid(visible=False, axis="y")
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.set_xlabel("answered rightly")
    dots = [
        Line2D([], [], color=INK, marker="o", linestyle="", markersize=4.5),
        Line2D([], [], color=INK, marker="o", linestyle="", markersize=4.5, markerfacecolor="white"),
        *(
            Line2D([], [], color=class_colour(number), marker="|", linestyle="", markersize=7, markeredgewidth=2)
            for number in range(len(names[:MOST_CURVES]))
        ),
    ]
    texts = ["balanced accuracy", "the same, not counted", *(f"{shown(name)}" for name in names[:MOST_CURVES])]
    figure.legend(dots, texts, loc="outside lower center", ncols=2)
    return figure
