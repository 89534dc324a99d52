"""Figures of how good the answers are: confusion matrix, ROC and precision-recall curves."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from sklearn.metrics import precision_recall_curve, roc_curve

from radlens.assessment.evaluate import answers_of
from radlens.dataset.manifest import DatasetInfo
from radlens.reporting.figures.style import (
    INK,
    MOST_CURVES,
    MUTED,
    PALETTE,
    class_colour,
    new_figure,
    shown,
    square_figure,
    styled,
)
from radlens.runtime.metrics_record import SplitRecord
from radlens.runtime.metrics_sections import ClassMetrics, Metric
from radlens.statistics.metrics import Answers

# Beyond so many classes the cells of a confusion matrix are too small for both count and share, or for any text.
_MOST_SHARES, _MOST_COUNTS = 10, 20

# The share from which a cell is so dark that white text is easier to read.
_DARK = 0.75

# Letters that fit below a confusion matrix.
_ROOM = 44


@styled
def confusion_matrix(block: SplitRecord) -> Figure:
    """Counts, and shares of each true class, with true classes as rows; for multilabel the outcomes of each label.

    Args:
        block: the metrics of one split.
    """
    if block.task == "multilabel":
        return _label_outcomes(block)
    counts = np.array(block.confusion_matrix)
    totals = counts.sum(axis=1, keepdims=True)
    share = np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)
    names = [shown(name, 22) for name in block.classes]
    size = len(names)
    texts = np.array([[_cell(counts[i, j], share[i, j], size) for j in range(size)] for i in range(size)])
    figure = new_figure(height=min(7.0, 1.3 + (1.05 if size == 2 else 0.62) * size))
    axes = figure.subplots()
    sns.heatmap(
        share,
        annot=texts,
        fmt="",
        cmap=sns.light_palette(PALETTE[0], as_cmap=True),
        vmin=0,
        vmax=1,
        cbar=False,
        linewidths=2,
        annot_kws={"size": 12 if size == 2 else 9 if size <= _MOST_SHARES else 7},
        xticklabels=names,
        yticklabels=names,
        ax=axes,
    )
    for text, part in zip(axes.texts, share.ravel(), strict=True):
        text.set_color("white" if part > _DARK else INK)
    axes.set(xlabel="predicted", ylabel="true")
    axes.tick_params(axis="y", rotation=90 if size == 2 else 0)
    crowded = size * max(len(name) for name in names) > _ROOM
    axes.set_xticklabels(names, rotation=35 if crowded else 0, ha="right" if crowded else "center")
    return figure


@styled
def roc_curves(predictions: pd.DataFrame, info: DatasetInfo, block: SplitRecord) -> Figure:
    """Sensitivity against false positive rate over all thresholds; each class against the rest if there are several.

    Args:
        predictions: the rows of one split.
        info: the task and the classes.
        block: the metrics of that split; AUROC, its interval and the operating point are shown from it.
    """
    figure, axes = square_figure(_height(info))
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.8, linestyle=(0, (4, 3)))
    handles: list[Line2D] = []
    for name, colour, answers, metrics in _questions(predictions, info, block):
        if metrics.auroc.value is None:
            continue
        false_positive, sensitivity, _ = roc_curve(answers.truth, answers.probabilities[:, 1])
        (line,) = axes.plot(false_positive, sensitivity, color=colour)
        line.set_label(f"{name}AUROC {_number(metrics.auroc)}")
        handles.append(line)
    x, y = block.specificity.value, block.sensitivity.value
    if info.task == "binary" and x is not None and y is not None:
        spread = _spread(block.specificity)[::-1], _spread(block.sensitivity)
        handles.append(_operating_point(axes, 1 - x, y, spread, block))
    axes.set(xlabel="false positive rate (1 − specificity)", ylabel="sensitivity")
    _legend(figure, handles)
    return figure


@styled
def precision_recall_curves(predictions: pd.DataFrame, info: DatasetInfo, block: SplitRecord) -> Figure:
    """Precision against sensitivity over all thresholds, with the prevalence as the chance level.

    Args:
        predictions: the rows of one split.
        info: the task and the classes.
        block: the metrics of that split.
    """
    figure, axes = square_figure(_height(info))
    handles: list[Line2D] = []
    for name, colour, answers, metrics in _questions(predictions, info, block):
        if metrics.average_precision.value is None:
            continue
        precision, sensitivity, _ = precision_recall_curve(answers.truth, answers.probabilities[:, 1])
        (line,) = axes.step(sensitivity, precision, where="post", color=colour)
        line.set_label(f"{name}average precision {_number(metrics.average_precision)}")
        handles.append(line)
        if info.task == "binary":
            prevalence = float(answers.truth.mean())
            chance = axes.axhline(prevalence, color=MUTED, linewidth=0.8, linestyle=(0, (4, 3)))
            chance.set_label(f"chance level: prevalence {prevalence:.3f}")
            handles.append(chance)
    x, y = block.sensitivity.value, block.precision.value
    if info.task == "binary" and x is not None and y is not None:
        handles.append(_operating_point(axes, x, y, (_spread(block.sensitivity), _spread(block.precision)), block))
    axes.set(xlabel="sensitivity (recall)", ylabel="precision")
    _legend(figure, handles)
    return figure


def _questions(
    predictions: pd.DataFrame, info: DatasetInfo, block: SplitRecord
) -> list[tuple[str, str, Answers, SplitRecord | ClassMetrics]]:
    """The binary questions of a task, those the model is worst at first if there are too many to draw."""
    answers = answers_of(predictions, info)
    if info.task == "binary":
        return [("", class_colour(1), answers, block)]
    each = block.each
    order = list(range(len(info.classes)))
    if len(order) > MOST_CURVES:
        weakest = sorted(order, key=lambda index: each[info.classes[index]].auroc.value or 2)
        order = sorted(weakest[:MOST_CURVES])
    return [
        (
            f"{shown(info.classes[index], 20)}: ",
            class_colour(number),
            answers.one_vs_rest(index),
            each[info.classes[index]],
        )
        for number, index in enumerate(order)
    ]


def _label_outcomes(block: SplitRecord) -> Figure:
    names = block.classes
    cells = np.array(block.confusion_matrix).reshape(-1, 4)
    hits, missed, alarms = cells[:, 3], cells[:, 2], cells[:, 1]
    figure = new_figure(height=0.34 * len(names) + 1.1)
    axes = figure.subplots()
    left = np.zeros(len(names))
    parts = ((hits, "found", PALETTE[2]), (missed, "missed", PALETTE[1]), (alarms, "false alarms", PALETTE[4]))
    for values, _, colour in parts:
        bars = axes.barh(range(len(names)), values, left=left, color=colour, height=0.7)
        texts = [f"{value:,}" if value >= 0.04 * (cells[:, 1:].sum(axis=1).max()) else "" for value in values]
        axes.bar_label(bars, labels=texts, label_type="center", fontsize=8.5)
        left = left + values
    axes.set_yticks(range(len(names)), [shown(name, 22) for name in names])
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("images")
    handles = [Patch(facecolor=colour) for _, _, colour in parts]
    figure.legend(handles, [text for _, text, _ in parts], loc="outside lower center", ncols=3)
    return figure


def _cell(count: int, share: float, size: int) -> str:
    if size > _MOST_COUNTS:
        return ""
    return f"{count:,}\n{share:.1%}" if size <= _MOST_SHARES else f"{count:,}"


def _height(info: DatasetInfo) -> float:
    """Inches, so that the axes stay as large when the legend grows."""
    entries = 3 if info.task == "binary" else min(len(info.classes), MOST_CURVES)
    return 4.1 + 0.17 * entries


def _legend(figure: Figure, handles: list[Line2D]) -> None:
    if handles:
        figure.legend(handles, [str(line.get_label()) for line in handles], loc="outside lower center")


def _number(metric: Metric) -> str:
    if metric.low is None or metric.low == metric.high:
        return f"{metric.value:.3f}"
    return f"{metric.value:.3f} ({metric.low:.3f}–{metric.high:.3f})"


def _spread(metric: Metric) -> npt.NDArray[np.float64]:
    """Distances from the value down to the low and up to the high limit."""
    if metric.value is None or metric.low is None or metric.high is None:
        return np.zeros(2)
    return np.array([metric.value - metric.low, metric.high - metric.value]).clip(0)


def _operating_point(
    axes: Axes, x: float, y: float, spread: tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]], block: SplitRecord
) -> Line2D:
    axes.errorbar(x, y, xerr=spread[0][:, None], yerr=spread[1][:, None], color=INK, linewidth=1.1, zorder=4)
    (point,) = axes.plot(x, y, marker="o", markersize=7, color=INK, linestyle="", zorder=5)
    point.set_label(f"operating point {block.threshold:.3g}, with intervals")
    return point
