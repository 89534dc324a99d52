"""Learning curves: what each epoch brought."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from radlens.reporting.figures.style import INK, MUTED, PALETTE, new_figure, styled


@styled
def training_curves(history: pd.DataFrame, best_epoch: int | None = None) -> Figure:
    """Loss, validation AUROC and accuracy, and learning rate over the epochs.

    Args:
        history: columns ``epoch, train_loss, val_loss`` and, where known, ``val_auroc, val_accuracy, lr``.
        best_epoch: the epoch whose weights were kept; it is marked.
    """
    quality = [name for name in ("val_auroc", "val_accuracy") if _has(history, name)]
    rows = 1 + bool(quality) + _has(history, "lr")
    heights = [2.2, *([2.2] if quality else []), *([1.1] if _has(history, "lr") else [])]
    figure = new_figure(height=1.15 * sum(heights) + 0.3)
    panels = list(figure.subplots(rows, 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0])
    epochs = history["epoch"]
    marker = "o" if len(history) <= 30 else None
    losses = [name for name in ("train_loss", "val_loss") if _has(history, name)]
    names = {"train_loss": "training", "val_loss": "validation", "val_auroc": "AUROC", "val_accuracy": "accuracy"}
    for axes, columns, title in zip(panels, (losses, quality), ("Loss", "On validation images"), strict=False):
        for index, column in enumerate(columns):
            colour = PALETTE[index + (2 if columns is quality else 0)]
            axes.plot(epochs, history[column], color=colour, marker=marker, markersize=4, label=names[column])
        axes.set_title(title)
        axes.legend(loc="best")
    if _has(history, "lr"):
        axes = panels[-1]
        axes.plot(epochs, history["lr"], color=MUTED, marker=marker, markersize=3)
        axes.set_title("Learning rate")
        rates = history["lr"].dropna()
        axes.set_yscale("log" if rates.min() > 0 and rates.max() / rates.min() > 20 else "linear")
    for axes in panels:
        if best_epoch is not None:
            axes.axvline(best_epoch, color=INK, linewidth=1, linestyle=(0, (4, 3)))
    if best_epoch is not None:
        panels[0].set_title(f"epoch {best_epoch} kept (dashed)", loc="right", fontweight="normal", fontsize=9)
    panels[-1].set_xlabel("epoch")
    panels[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


def _has(history: pd.DataFrame, column: str) -> bool:
    return column in history.columns and bool(history[column].notna().any())
