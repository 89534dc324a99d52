"""The numbers behind the charts, as tables that a reader can download."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from sklearn.metrics import precision_recall_curve, roc_curve

from radlens.assessment.predictions import PREFIX, targets_of
from radlens.dataset.manifest import DatasetInfo
from radlens.runtime.framing_records import FramingEvidence
from radlens.runtime.metrics_sections import DecisionCurve, ReliabilityBin, ThresholdRow


def roc_numbers(predictions: pd.DataFrame, info: DatasetInfo) -> pd.DataFrame:
    """The corners of each ROC curve: ``class, threshold, false_positive_rate, sensitivity``.

    The first threshold of a curve is infinite: no image is called positive.
    """
    parts = []
    for name, truth, score in _questions(predictions, info):
        if 0 < truth.sum() < len(truth):
            false_positive, sensitivity, threshold = roc_curve(truth, score)
            columns = {"threshold": threshold, "false_positive_rate": false_positive, "sensitivity": sensitivity}
            parts.append(pd.DataFrame({"class": name, **columns}))
    return pd.concat(parts, ignore_index=True)


def precision_recall_numbers(predictions: pd.DataFrame, info: DatasetInfo) -> pd.DataFrame:
    """The points of each curve: ``class, threshold, precision, sensitivity``; without threshold: no image is called."""
    parts = []
    for name, truth, score in _questions(predictions, info):
        if truth.any():
            precision, sensitivity, threshold = precision_recall_curve(truth, score)
            columns = {
                "threshold": np.append(threshold, np.nan),
                "precision": precision,
                "sensitivity": sensitivity,
            }
            parts.append(pd.DataFrame({"class": name, **columns}))
    return pd.concat(parts, ignore_index=True)


def reliability_numbers(bins: Sequence[ReliabilityBin]) -> pd.DataFrame:
    """The bins of the reliability diagram: ``images, mean_probability, observed, low, high``."""
    return pd.DataFrame(
        [
            {
                "images": part.n,
                "mean_probability": part.mean,
                "observed": part.observed.value,
                "low": part.observed.low,
                "high": part.observed.high,
            }
            for part in bins
        ]
    )


def threshold_numbers(thresholds: Sequence[ThresholdRow]) -> pd.DataFrame:
    """The table of thresholds, each share with ``_low`` and ``_high``; empty cells: not defined."""
    rows = []
    for row in thresholds:
        cells: dict[str, float | None] = {"threshold": row.threshold, "operating_point": row.operating_point}
        for name, metric in row.metrics.items():
            cells |= {name: metric.value, f"{name}_low": metric.low, f"{name}_high": metric.high}
        rows.append(cells)
    return pd.DataFrame(rows)


def decision_numbers(curve: DecisionCurve) -> pd.DataFrame:
    """The whole decision curve, one row a step."""
    return pd.DataFrame(curve.model_dump(exclude={"method"}))


def framing_numbers(evidence: FramingEvidence) -> pd.DataFrame:
    """The figures under each change of framing, one row a change and class; ``logit_`` columns are quartiles."""
    rows = []
    for change in (evidence.unchanged, *evidence.changes):
        about = {"kind": change.kind, "strength": change.strength, "change": change.name, "counted": change.counted}
        for name, group in change.groups.items():
            figures = {"class": name, "images": group.images, "recall": group.recall, "flipped": group.flipped}
            quartiles = dict(zip(("logit_q25", "logit_median", "logit_q75"), group.quartiles, strict=True))
            accuracy = {"balanced_accuracy": change.balanced_accuracy}
            rows.append(about | accuracy | figures | {"shift": group.shift} | quartiles)
    return pd.DataFrame(rows)


def _questions(predictions: pd.DataFrame, info: DatasetInfo) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """What is asked: the name of a class, who is of it, and the probability; of a binary task one question."""
    truth = targets_of(predictions, info)
    asked = [1] if info.task == "binary" else range(len(info.classes))
    return [
        (
            info.classes[index],
            np.asarray(truth[:, index] == 1 if info.task == "multilabel" else truth == index),
            predictions[PREFIX + info.classes[index]].to_numpy(),
        )
        for index in asked
    ]
