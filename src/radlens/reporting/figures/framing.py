"""Figures of the framing suite: where the logits go as images are cut, stretched and moved, and what that costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from radlens.reporting.figures.style import (
    FAINT,
    INK,
    MUTED,
    PALETTE,
    class_colour,
    new_figure,
    shown,
    styled,
)
from radlens.runtime.framing_records import TOLERATED_LOSS, ChangeEvidence, FramingEvidence

# Panels in a row, as many as a phone can show.
_COLUMNS = 3
# The strength at which these kinds change nothing; for cuts and shifts it is 0. Combinations have no strength.
_NEUTRAL = {"stretched": 1.0, "zoomed out": 1.0}
_RATIOS = (*_NEUTRAL, "combined")


@styled
def logits_by_strength(evidence: FramingEvidence, groups: Sequence[str], threshold: float | None) -> Figure:
    """The logits of each group against the strength of a change, a panel for each kind: medians within quartiles.

    Args:
        evidence: what was found.
        groups: which groups to draw, at most as many as there are colours.
        threshold: the logit of the operating point; None: there is none.
    """
    kinds = kinds_of(evidence)
    rows = -(-(len(kinds) + 1) // _COLUMNS)
    figure = new_figure(height=1.35 * rows + 0.4)
    grid = figure.subplots(rows, _COLUMNS, sharey=True).ravel()
    for axes, (kind, changes) in zip(grid, kinds.items(), strict=False):
        axes.set_title(kind, fontsize=8.5)
        for number, group in enumerate(groups):
            _panel(axes, kind, changes, evidence.unchanged, group, class_colour(number))
        if threshold is not None:
            axes.axhline(threshold, color=INK, linewidth=0.9, linestyle=(0, (4, 3)))
        axes.tick_params(labelsize=8)
        axes.grid(visible=False, axis="x")
    for axes in grid[len(kinds) :]:
        axes.set_axis_off()
    figure.supylabel("logit", fontsize=10)
    handles = [Line2D([], [], color=class_colour(number), label=shown(name)) for number, name in enumerate(groups)]
    handles.append(Line2D([], [], color=MUTED, marker="o", mfc="white", linestyle=":", label="not counted"))
    if threshold is not None:
        handles.append(Line2D([], [], color=INK, linewidth=0.9, linestyle=(0, (4, 3)), label="operating point"))
    figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return figure


def kinds_of(evidence: FramingEvidence) -> dict[str, list[ChangeEvidence]]:
    """The changes of each kind, in the order of the suite."""
    kinds: dict[str, list[ChangeEvidence]] = {}
    for change in evidence.changes:
        kinds.setdefault(change.kind, []).append(change)
    return kinds


def _panel(
    axes: Axes, kind: str, changes: Sequence[ChangeEvidence], unchanged: ChangeEvidence, group: str, colour: str
) -> None:
    """One group in one panel, the unchanged images at the strength that changes nothing."""
    neutral = _NEUTRAL.get(kind, 0.0)
    points = sorted(
        [(neutral, unchanged), *((change.strength, change) for change in changes)], key=lambda point: point[0]
    )
    places = np.array([place for place, _ in points])
    low, middle, high = np.array([change.groups[group].quartiles for _, change in points]).T
    counted = np.array([change.counted for _, change in points])
    if kind == "combined":
        # Draws of the same kind: they have no order that a line could follow.
        axes.errorbar(places, middle, yerr=(middle - low, high - middle), color=colour, fmt="o", markersize=4)
        axes.set_xticks(places, ["none", *(f"{place:g}" for place in places[1:])])
        return
    axes.fill_between(places, low, high, color=colour, alpha=0.16, linewidth=0)
    # Counted strengths are the mildest ones: the line goes on dotted beyond them.
    beyond = ~counted | np.append(~counted[1:], False)
    axes.plot(places, np.where(counted, middle, np.nan), color=colour, marker="o", markersize=3)
    axes.plot(places, np.where(beyond, middle, np.nan), color=colour, linestyle=":", linewidth=1.2)
    axes.plot(places[~counted], middle[~counted], color=colour, marker="o", mfc="white", markersize=4, linestyle="")
    if kind not in _RATIOS:
        axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.set_xlim(-0.02, 0.27)
        axes.set_xticks([0, 0.1, 0.2])


@styled
def balanced_accuracies(evidence: FramingEvidence) -> Figure:
    """Balanced accuracy under every change, a row for each kind; in the shaded band no more is lost than may be."""
    kinds: Mapping[str, Sequence[ChangeEvidence]] = kinds_of(evidence)
    figure = new_figure(height=0.3 * len(kinds) + 1.5)
    axes = figure.subplots()
    before = evidence.unchanged.balanced_accuracy
    axes.axvspan(before - TOLERATED_LOSS, 1.0, color=FAINT, alpha=0.6, linewidth=0)
    axes.axvline(before, color=INK, linewidth=1.2, linestyle=(0, (4, 3)), label="unchanged")
    for row, changes in enumerate(kinds.values()):
        values = [change.balanced_accuracy for change in changes]
        axes.plot([min(*values, before), max(*values, before)], [row, row], color="#9aa5b1", linewidth=0.8)
        for change in changes:
            face = PALETTE[0] if change.counted else "white"
            axes.plot(change.balanced_accuracy, row, "o", color=PALETTE[0], mfc=face, markersize=5)
    worst = evidence.worst_change
    place = list(kinds).index(worst.kind)
    axes.plot(worst.balanced_accuracy, place, "D", color=PALETTE[1], markersize=7, label="worst", linestyle="")
    lowest = min(change.balanced_accuracy for change in evidence.changes)
    axes.set(xlim=(min(lowest, before) - 0.04, 1.01), ylim=(len(kinds) - 0.5, -0.5), xlabel="balanced accuracy")
    axes.set_yticks(range(len(kinds)), list(kinds))
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.grid(visible=False, axis="y")
    handles, _ = axes.get_legend_handles_labels()
    hollow = Line2D([], [], color=PALETTE[0], marker="o", mfc="white", linestyle="", label="not counted")
    figure.legend(handles=[*handles, hollow], loc="outside lower center", ncols=3)
    return figure
