"""Figures of the images themselves: class balance, sizes, grey values."""

from __future__ import annotations

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import PercentFormatter

from radlens.dataset.manifest import SPLITS, DatasetInfo, split_labels
from radlens.reporting.figures.style import (
    INK,
    MOST_CURVES,
    MUTED,
    PALETTE,
    SPLIT_NAMES,
    class_colour,
    new_figure,
    shown,
    styled,
)

NO_FINDING = "no finding"

# Up to so many classes are drawn in full; above that in a form that takes less room.
_FEW_CLASSES = 5


def labels_long(table: pd.DataFrame, info: DatasetInfo) -> pd.DataFrame:
    """The table with one row for each image and each of its labels, in a column ``class``.

    An image of a multilabel set without a label stands under ``no finding``.
    """
    if info.task != "multilabel":
        return table.assign(**{"class": table["label"]})
    lists = table["label"].map(lambda cell: split_labels(str(cell)) or [NO_FINDING])
    return table.assign(**{"class": lists}).explode("class", ignore_index=True)


def class_names(info: DatasetInfo) -> list[str]:
    """The classes in order; for multilabel also the images without any."""
    return [*info.classes, NO_FINDING] if info.task == "multilabel" else list(info.classes)


def balance(table: pd.DataFrame, info: DatasetInfo) -> pd.DataFrame:
    """Number of images of each class (columns) in each split (rows, those that exist, in order)."""
    rows = labels_long(table, info)
    names = class_names(info)
    counts = pd.crosstab(rows["split"].replace("", "unsplit"), rows["class"]).reindex(columns=names, fill_value=0)
    return counts.reindex([split for split in (*SPLITS, "unsplit") if split in counts.index])


@styled
def class_balance(table: pd.DataFrame, info: DatasetInfo) -> Figure:
    """Images per class in each split, as counts and as shares of the split; only shares if there are many classes.

    Args:
        table: the manifest's table, with ``label`` and ``split``.
        info: the task and the classes.
    """
    counts = balance(table, info)
    sizes = table["split"].replace("", "unsplit").value_counts()
    shares = counts.div(sizes.reindex(counts.index), axis=0)
    if len(counts.columns) > _FEW_CLASSES:
        return _share_dots(shares)
    names = list(counts.columns)
    figure = new_figure(height=len(counts) * (0.62 + 0.27 * len(names)) + 0.3)
    panels = figure.subplots(len(counts), 1, sharex=True, squeeze=False)[:, 0]
    for axes, split in zip(panels, counts.index, strict=True):
        row, share = counts.loc[split], shares.loc[split]
        bars = axes.barh(
            range(len(names)), share, color=[class_colour(index) for index in range(len(names))], height=0.72
        )
        texts = [f"{count:,} ({part:.0%})" for count, part in zip(row, share, strict=True)]
        axes.bar_label(bars, labels=texts, color=INK, fontsize=9, padding=3)
        _name_rows(axes, names)
        axes.set_title(f"{SPLIT_NAMES.get(str(split), split)} · {int(sizes[split]):,} images")
        axes.set_xlim(0, 1.22)
        axes.set_xticks([0, 0.25, 0.5, 0.75, 1])
        axes.xaxis.set_major_formatter(PercentFormatter(1))
        axes.spines["left"].set_visible(False)
    panels[-1].set_xlabel("share of the split's images")
    return figure


@styled
def image_sizes(facts: pd.DataFrame, table: pd.DataFrame, info: DatasetInfo) -> Figure:
    """Width against height of the image files, by class; a larger dot stands for more images.

    Args:
        facts: columns ``path, width, height``, as the decoder tells them.
        table: the manifest's table.
        info: the task and the classes.
    """
    rows = labels_long(table.merge(facts, on="path", validate="one_to_one"), info)
    names = class_names(info)
    if len(names) > MOST_CURVES:
        rows, names = rows.drop_duplicates("path").assign(**{"class": ""}), [""]
    dots = rows.groupby(["class", "width", "height"], observed=True).size().rename("images").reset_index()
    figure = new_figure(height=4.1)
    axes = figure.subplots()
    for index, name in enumerate(names):
        part = dots[dots["class"] == name]
        axes.scatter(
            part["width"],
            part["height"],
            s=np.clip(9 * np.sqrt(part["images"]), 9, 260),
            color=class_colour(index),
            alpha=0.45,
            linewidth=0,
            # Thousands of vector dots would make the page heavy.
            rasterized=True,
        )
    limit = 1.06 * max(dots["width"].max(), dots["height"].max())
    axes.plot([0, limit], [0, limit], color=MUTED, linewidth=0.8, linestyle=(0, (4, 3)))
    axes.annotate("square images", (0.9 * limit, 0.92 * limit), color=MUTED, fontsize=8.5, ha="right", va="center")
    axes.set(xlim=(0, limit), ylim=(0, limit), xlabel="width (pixels)", ylabel="height (pixels)")
    if len(names) > 1:
        handles = [_dot(class_colour(index)) for index in range(len(names))]
        figure.legend(handles, [shown(name) for name in names], loc="outside lower center", ncols=min(3, len(names)))
    return figure


@styled
def intensities(facts: pd.DataFrame, table: pd.DataFrame, info: DatasetInfo) -> Figure:
    """Mean grey value of the images and its standard deviation within the image, by class.

    Args:
        facts: columns ``path, mean, std``; grey values 0 (black) to 255 (white).
        table: the manifest's table.
        info: the task and the classes.
    """
    rows = labels_long(table.merge(facts, on="path", validate="one_to_one"), info)
    names = class_names(info)
    columns = {"mean": "mean grey value", "std": "standard deviation"}
    colours = {name: class_colour(index) for index, name in enumerate(names)}
    if len(names) > _FEW_CLASSES:
        figure = new_figure(height=0.27 * len(names) + 0.9)
        for axes, (column, label) in zip(figure.subplots(1, 2, sharey=True), columns.items(), strict=True):
            sns.boxplot(data=rows, x=column, y="class", order=names, color="#7fb3d5", fliersize=0, ax=axes)
            _name_rows(axes, names)
            axes.set(xlabel=label, ylabel="")
        return figure
    figure = new_figure(height=4.4)
    for axes, (column, label) in zip(figure.subplots(2, 1), columns.items(), strict=True):
        sns.histplot(
            data=rows,
            x=column,
            hue="class",
            hue_order=names,
            palette=colours,
            stat="percent",
            common_norm=False,
            bins=40,
            element="step",
            fill=len(names) <= 3,
            alpha=0.25,
            legend=False,
            ax=axes,
        )
        axes.set(xlabel=f"{label} of an image, 0 to 255", ylabel="% of the class")
    handles = [Patch(facecolor=colour) for colour in colours.values()]
    figure.legend(handles, [shown(name) for name in names], loc="outside lower center", ncols=min(3, len(names)))
    return figure


def _share_dots(shares: pd.DataFrame) -> Figure:
    """One row a class, one dot a split."""
    figure = new_figure(height=0.25 * len(shares.columns) + 1.1)
    axes = figure.subplots()
    handles = []
    for number, (split, row) in enumerate(shares.iterrows()):
        (line,) = axes.plot(
            row, range(len(row)), color=PALETTE[number], marker="oDs^"[number % 4], linestyle="", alpha=0.8
        )
        line.set_label(SPLIT_NAMES.get(str(split), str(split)))
        handles.append(line)
    _name_rows(axes, list(shares.columns))
    axes.grid(visible=True, axis="y")
    axes.set_xlim(left=0)
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.set_xlabel("share of the split's images")
    figure.legend(handles, [str(line.get_label()) for line in handles], loc="outside lower center", ncols=len(handles))
    return figure


def _name_rows(axes: Axes, names: list[str]) -> None:
    axes.set_yticks(range(len(names)), [shown(name, 22) for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")


def _dot(colour: str) -> Line2D:
    return Line2D([], [], color=colour, marker="o", linestyle="", markersize=6)
