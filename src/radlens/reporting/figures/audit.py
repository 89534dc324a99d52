"""Figures of the audit: how well the label is told without the anatomy, and how the files' facts are spread."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from radlens.reporting.figures.style import INK, MUTED, PALETTE, class_colour, new_figure, shown, styled

_ROW = 0.3
_GUESSING = 0.5


@styled
def auroc_dots(rows: pd.DataFrame) -> Figure:
    """An AUROC with its interval in each row, and a line where guessing lies.

    Args:
        rows: columns ``name, auroc, low, high``; the first row is drawn on top; no interval where ``low`` is missing.
    """
    figure = new_figure(height=_ROW * 1.25 * len(rows) + 0.85)
    axes = figure.subplots()
    places = np.arange(len(rows))
    known = rows["low"].notna().to_numpy()
    axes.hlines(places[known], rows["low"][known], rows["high"][known], color=PALETTE[0], linewidth=3, alpha=0.45)
    axes.plot(rows["auroc"], places, marker="o", markersize=7, linestyle="", color=PALETTE[0])
    axes.axvline(_GUESSING, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
    for place, value, high in zip(places, rows["auroc"], rows["high"], strict=True):
        # Next to the interval while there is room, else above the dot.
        right = value if pd.isna(high) else high
        if right < 0.9:
            axes.annotate(f"{value:.2f}", (right, place), (7, 0), textcoords="offset points", va="center", color=INK)
        else:
            axes.annotate(f"{value:.2f}", (value, place), (0, 6), textcoords="offset points", ha="center", color=INK)
    lowest = float(np.nanmin(rows[["auroc", "low"]].to_numpy(dtype=float)))
    axes.set_xlim(min(0.4, lowest - 0.03), 1.01)
    _name_rows(axes, [str(name) for name in rows["name"]])
    axes.set_xlabel("AUROC (0.5 is guessing)")
    return figure


@styled
def spreads(rows: pd.DataFrame, unit: str) -> Figure:
    """Median, middle half and middle nine tenths of a fact, one row for each split and class.

    Args:
        rows: columns ``name, group, p5, p25, p50, p75, p95``; ``group`` is a number that gives the row its colour.
        unit: the label of the axis.
    """
    figure = new_figure(height=_ROW * len(rows) + 0.75)
    axes = figure.subplots()
    colours = [class_colour(int(group)) for group in rows["group"]]
    places = np.arange(len(rows))
    axes.hlines(places, rows["p5"], rows["p95"], color=colours, linewidth=1.4)
    axes.hlines(places, rows["p25"], rows["p75"], color=colours, linewidth=7, alpha=0.4)
    axes.scatter(rows["p50"], places, color=colours, s=26, zorder=3)
    _name_rows(axes, [str(name) for name in rows["name"]])
    axes.set_xlabel(unit)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axes.xaxis.set_major_locator(MaxNLocator(6))
    return figure


def _name_rows(axes: Axes, names: list[str]) -> None:
    axes.set_yticks(range(len(names)), [shown(name, 30) for name in names])
    axes.set_ylim(len(names) - 0.4, -0.75)
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
