"""Figures of the scores themselves: where those of each class lie, and whether they are to be taken at their word."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from radlens.assessment.evaluate import answers_of
from radlens.dataset.manifest import DatasetInfo
from radlens.reporting.figures.style import INK, MUTED, PALETTE, class_colour, new_figure, shown, square_figure, styled
from radlens.runtime.metrics_record import SplitRecord
from radlens.runtime.metrics_sections import ReliabilityBin
from radlens.statistics.metrics import Answers

# As many letters as one line of a legend takes.
_LEGEND_LETTERS = 44


@styled
def score_histogram(predictions: pd.DataFrame, info: DatasetInfo, block: SplitRecord) -> Figure:
    """How the scores of the classes lie: apart for a good model, on top of each other for a useless one.

    Binary: probability of the positive class, by true class, with the operating point. Multiclass: probability of the
    predicted class, for right and wrong answers. Multilabel: probability of each label, for images with and without.
    """
    answers = answers_of(predictions, info)
    if info.task == "multilabel":
        return _label_scores(answers, block)
    if info.task == "binary":
        score, group, names = answers.probabilities[:, 1], answers.truth, list(info.classes)
        label, colours = f"probability of {shown(info.classes[1])}", [class_colour(0), class_colour(1)]
    else:
        score = np.take_along_axis(answers.probabilities, answers.predicted[:, None], axis=1)[:, 0]
        group, names = (answers.predicted != answers.truth).astype(np.int64), ["right answers", "wrong answers"]
        label, colours = "probability of the predicted class", [PALETTE[2], PALETTE[1]]
    figure = new_figure(height=3.3)
    axes = figure.subplots()
    sns.histplot(
        data=pd.DataFrame({"score": score, "group": group}),
        x="score",
        hue="group",
        hue_order=[0, 1],
        palette=dict(enumerate(colours)),
        bins=np.linspace(0, 1, 31).tolist(),
        stat="percent",
        common_norm=False,
        element="step",
        alpha=0.3,
        legend=False,
        ax=axes,
    )
    counts = np.bincount(group, minlength=2)
    handles: list[Any] = [Patch(facecolor=colour, alpha=0.6) for colour in colours]
    texts = [f"{shown(name)} ({count:,})" for name, count in zip(names, counts, strict=True)]
    if info.task == "binary":
        handles.append(axes.axvline(block.threshold or 0.5, color=INK, linewidth=1.2, linestyle=(0, (4, 3))))
        texts.append(f"operating point {block.threshold:.3g}")
    axes.set(xlabel=label, ylabel="% of the class" if info.task == "binary" else "% of the answers", xlim=(0, 1))
    columns = len(handles) if sum(map(len, texts)) <= _LEGEND_LETTERS else 2
    figure.legend(handles, texts, loc="outside lower center", ncols=columns)
    return figure


@styled
def reliability(bins: Sequence[ReliabilityBin], info: DatasetInfo) -> Figure:
    """How often the model is right when it says so: observed share against mean probability, in bins of equal size.

    Binary: of the positive class; multiclass: of the predicted class; multilabel: of all labels together. The bars are
    the intervals of the observed shares.
    """
    label = {
        "binary": f"share that is {shown(info.classes[-1])}",
        "multiclass": "share of right answers",
        "multilabel": "share that has the label",
    }[info.task]
    mean = np.array([part.mean for part in bins])
    shares = [part.observed for part in bins]
    value, low, high = np.array([(share.value, share.low, share.high) for share in shares], dtype=np.float64).T
    figure, axes = square_figure(height=4.2)
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.8, linestyle=(0, (4, 3)))
    axes.vlines(mean, low, high, color=PALETTE[0], linewidth=1.4, alpha=0.45)
    axes.plot(mean, value, color=PALETTE[0], marker="o", markersize=5, linewidth=1.2)
    axes.set(xlabel="mean probability the model gave", ylabel=label)
    return figure


def _label_scores(answers: Answers, block: SplitRecord) -> Figure:
    names = [shown(name, 22) for name in answers.classes]
    rows = pd.DataFrame(
        {
            "label": np.tile(range(len(names)), len(answers.truth)),
            "score": answers.probabilities.ravel(),
            "has": np.where(answers.truth.ravel() == 1, "with", "without"),
        }
    )
    figure = new_figure(height=0.46 * len(names) + 1.2)
    axes = figure.subplots()
    palette = {"with": PALETTE[1], "without": PALETTE[0]}
    sns.boxplot(
        data=rows, y="label", x="score", hue="has", hue_order=["with", "without"], palette=palette, orient="h",
        fliersize=1.5, linewidth=0.9, width=0.75, legend=False, ax=axes,
    )  # fmt: skip
    for item in axes.lines:
        item.set_rasterized(item.get_linestyle() == "None")
    line = axes.axvline(block.threshold or 0.5, color=INK, linewidth=1.2, linestyle=(0, (4, 3)))
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel="probability of the label", ylabel="", xlim=(0, 1))
    handles = [Patch(facecolor=palette["with"]), Patch(facecolor=palette["without"]), line]
    texts = ["images with the label", "without", f"operating point {block.threshold:.3g}"]
    figure.legend(handles, texts, loc="outside lower center", ncols=3)
    return figure
