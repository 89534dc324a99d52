"""Out-of-fold predictions put together: every image once, answered by the model that had not seen its patient."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from radlens.assessment.predictions import PREFIX, check_predictions, with_threshold
from radlens.base.errors import DataError
from radlens.dataset.manifest import DatasetInfo
from radlens.runtime.metrics_sections import FoldFigures
from radlens.runtime.record_base import Figure

_EDGE = 1e-12


def pool(folds: Sequence[tuple[pd.DataFrame, float | None]], info: DatasetInfo) -> tuple[pd.DataFrame, float]:
    """One predictions table of all folds, and the operating point that they then share.

    Each fold's model has its own operating point, chosen on its own validation images. The logits of a fold are moved
    by a constant, so that its operating point comes to lie on the median of all: every answer stays what that fold's
    model gave, and the order of images within a fold stays. (Multiclass has no operating point, and nothing is moved.)

    Args:
        folds: the predictions on the test images of each fold, and its operating point (None for multiclass).
        info: the task and the classes.

    Returns:
        The table, all rows of the split test, with a column ``fold`` counted from 1; and the operating point.

    Raises:
        DataError: an image is in two folds.
    """
    thresholds = [threshold for _, threshold in folds if threshold is not None]
    common = float(np.median(thresholds)) if thresholds else 0.5
    tables = []
    for number, (table, threshold) in enumerate(folds, start=1):
        moved = table.assign(split="test", fold=number)
        if threshold is not None and threshold != common:
            moved = _moved(moved, info, threshold, common)
        tables.append(moved)
    together = pd.concat(tables, ignore_index=True)
    if together["path"].duplicated().any():
        path = together.loc[together["path"].duplicated(), "path"].iloc[0]
        raise DataError(f"The image {path} is a test image of two folds. Make the folds again in an empty folder.")
    pooled = with_threshold(check_predictions(together, info), info, common)
    return pooled.assign(fold=together["fold"].to_numpy()), common


def fold_figures(folds: Sequence[Mapping[str, Figure]], metrics: Sequence[str]) -> dict[str, FoldFigures]:
    """For each metric that every fold has: its value in each fold, their mean, and their standard deviation.

    The spread is between folds. It is not a standard error: the training images of two folds are mostly the same
    (Bengio and Grandvalet 2004, https://www.jmlr.org/papers/v5/grandvalet04a.html).

    >>> fold_figures([{"auroc": Figure(value=0.8)}, {"auroc": Figure(value=0.9)}], ["auroc"])["auroc"].mean
    0.85
    """
    figures = {}
    for name in metrics:
        known = [fold[name].value for fold in folds if name in fold]
        values = tuple(value for value in known if value is not None)
        if len(values) == len(folds):
            spread = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
            figures[name] = FoldFigures(mean=round(float(np.mean(values)), 12), sd=spread, folds=values)
    return figures


def _moved(table: pd.DataFrame, info: DatasetInfo, threshold: float, common: float) -> pd.DataFrame:
    """The probabilities with their logits moved from one operating point to another."""
    step = np.log(common / (1 - common)) - np.log(threshold / (1 - threshold))
    names = info.classes if info.task == "multilabel" else info.classes[1:]
    moved = {}
    for name in names:
        score = table[PREFIX + name].to_numpy(dtype=np.float64)
        inside = np.clip(score, _EDGE, 1 - _EDGE)
        shifted = 1 / (1 + np.exp(-(np.log(inside) - np.log1p(-inside)) - step))
        # On its own side of the operating point, whatever rounding makes of it.
        above = score >= threshold
        moved[PREFIX + name] = np.where(
            above, np.maximum(shifted, common), np.minimum(shifted, np.nextafter(common, 0))
        )
    if info.task == "binary":
        moved[PREFIX + info.classes[0]] = 1 - moved[PREFIX + info.classes[1]]
    return table.assign(**moved)
