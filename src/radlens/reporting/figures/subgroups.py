"""A forest plot of a model's figures in groups of images."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from radlens.reporting.figures.style import MUTED, PALETTE, new_figure, shown, styled


@styled
def forest(table: pd.DataFrame, metric: str, name: str, overall: float | None, confidence: float) -> Figure:
    """One metric with its interval in every group, column by column; the dashed line is all images.

    Args:
        table: rows of :func:`radlens.assessment.subgroups.find_subgroups`.
        metric: which of its metrics.
        name: what the axis is called.
        overall: the metric on all images.
        confidence: of the intervals.
    """
    rows = table[(table["metric"] == metric) & table["value"].notna()]
    columns = list(dict.fromkeys(rows["column"]))
    figure = new_figure(height=0.3 * len(rows) + 0.34 * len(columns) + 0.9)
    axes = figure.subplots()
    places, labels = [], []
    place = 0.0
    for column in columns:
        if len(columns) > 1:
            place += 0.25
            places.append(place)
            labels.append(shown(column, 24) + ":")
            place += 1
        for _, row in rows[rows["column"] == column].iterrows():
            differs = bool(row["p_holm"] < 0.05)
            colour = PALETTE[1] if differs else PALETTE[0]
            if pd.notna(row["low"]):
                limits = np.array([row["low"], row["high"]], dtype=np.float64)
                axes.plot(limits, [place, place], color=colour, linewidth=2, solid_capstyle="butt")
            axes.plot([row["value"]], [place], marker="s" if differs else "o", markersize=6, color=colour)
            places.append(place)
            labels.append(shown(row["group"], 26))
            place += 1
    if overall is not None:
        axes.axvline(overall, color=MUTED, linewidth=0.9, linestyle=(0, (4, 3)), zorder=0)
    axes.set_yticks(places, labels)
    axes.set_ylim(place - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel(f"{name}, with {confidence:.0%} interval")
    if metric != "auroc":
        axes.xaxis.set_major_formatter(PercentFormatter(1))
    return figure
