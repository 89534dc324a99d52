"""From a predictions table to ``metrics.json``: every metric of every split, with its interval."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from radlens.assessment.intervals import (
    MAX_UNDEFINED,
    METHOD,
    bootstrap,
    count_patients,
    exact_limits,
    percentile_limits,
    reflected_limits,
)
from radlens.assessment.metrics import (
    DEFINITIONS,
    Answers,
    Estimate,
    binary_metrics,
    confusion,
    multiclass_metrics,
    multilabel_metrics,
    per_class_metrics,
)
from radlens.assessment.predictions import check_predictions, probabilities_of, targets_of, with_threshold
from radlens.assessment.weighted import Statistics, statistic
from radlens.config import EvaluateSettings
from radlens.dataset.manifest import SPLITS, DatasetInfo
from radlens.decision import Task
from radlens.errors import DataError
from radlens.files import write_text

Block = dict[str, Any]


def evaluate(
    predictions: pd.DataFrame, info: DatasetInfo, threshold: float, settings: EvaluateSettings, seed: int
) -> dict[str, Block]:
    """Measure how good the predictions are, split by split.

    Args:
        predictions: as :func:`radlens.assessment.predictions.predictions_table` makes it.
        info: the task and the classes.
        threshold: the operating point that the ``predicted`` column was decided with.
        settings: number of resamples and confidence of the intervals.
        seed: same seed, same intervals.

    Returns:
        The content of ``metrics.json``: for each split found, in the order train, val, test, ``n``, ``threshold``,
        ``confusion_matrix`` and the metrics, each ``{"value", "low", "high"}``. What is not defined is None and has a
        ``reason``. Multiclass adds ``per_class`` and multilabel ``per_label`` and ``exact_match``.

    Raises:
        DataError: the table is invalid, or was decided with another threshold.
    """
    predictions = check_predictions(predictions, info)
    _require_same_decision(predictions, info, threshold)
    found = set(predictions["split"])
    return {
        split: _evaluate_split(predictions[predictions["split"] == split], info, threshold, settings, seed)
        for split in SPLITS
        if split in found
    }


def write_metrics(metrics: dict[str, Block], path: Path) -> None:
    """Write ``metrics.json``."""
    write_text(path, json.dumps(metrics, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def answers_of(predictions: pd.DataFrame, info: DatasetInfo) -> Answers:
    """The table as numbers."""
    return Answers(
        truth=targets_of(predictions, info),
        probabilities=probabilities_of(predictions, info),
        predicted=targets_of(predictions, info, "predicted"),
        classes=info.classes,
    )


def _require_same_decision(predictions: pd.DataFrame, info: DatasetInfo, threshold: float) -> None:
    decided = targets_of(with_threshold(predictions, info, threshold), info, "predicted")
    stated = targets_of(predictions, info, "predicted")
    differs = np.asarray(decided != stated).reshape(len(predictions), -1).any(axis=1)
    if differs.any():
        first = predictions[differs].iloc[0]
        raise DataError(
            f"{differs.sum()} predicted label(s) do not follow from the probabilities at threshold {threshold}, first "
            f"{first['predicted']!r} for {first['path']}. Evaluate with the threshold the predictions were made with."
        )


def _evaluate_split(
    part: pd.DataFrame, info: DatasetInfo, threshold: float, settings: EvaluateSettings, seed: int
) -> Block:
    answers, patients = answers_of(part, info), part["patient"].to_numpy(dtype=str)
    split_number = SPLITS.index(str(part["split"].iloc[0]))
    rng = np.random.default_rng([seed, split_number])
    replicates = bootstrap(statistic(answers, info.task), patients, settings.resamples, rng)
    counts = _class_counts(answers)
    block: Block = {
        "task": info.task,
        "classes": list(info.classes),
        **({"positive_class": info.classes[1]} if info.task == "binary" else {}),
        "n": len(part),
        "n_patients": len(np.unique(patients)),
        "class_counts": dict(zip(info.classes, counts, strict=True)),
        "threshold": None if info.task == "multiclass" else threshold,
        "confusion_matrix": confusion(answers),
    }
    summary = _Summary(answers, info.task, patients, replicates, settings.confidence)
    block |= summary.overall()
    if info.task == "multiclass":
        block["per_class"] = summary.each(counts)
    elif info.task == "multilabel":
        block["per_label"] = summary.each(counts)
    block["definitions"] = dict(DEFINITIONS[info.task])
    block["interval"] = {
        "method": METHOD,
        "confidence": settings.confidence,
        "resamples": settings.resamples,
        "seed": seed,
    }
    return block


def _class_counts(answers: Answers) -> list[int]:
    if answers.truth.ndim == 2:
        return [int(count) for count in answers.truth.sum(axis=0)]
    return [int(count) for count in np.bincount(answers.truth, minlength=len(answers.classes))]


class _Summary:
    """Joins the estimates of one split with their intervals."""

    def __init__(
        self, answers: Answers, task: Task, patients: npt.NDArray[np.str_], replicates: Statistics, confidence: float
    ) -> None:
        self.answers = answers
        self.task = task
        self.patients = patients
        self.replicates = replicates
        self.confidence = confidence

    def overall(self) -> Block:
        """The metrics of the split as a whole."""
        estimators: dict[Task, Callable[[Answers], dict[str, Estimate]]] = {
            "binary": binary_metrics,
            "multiclass": multiclass_metrics,
            "multilabel": multilabel_metrics,
        }
        found = estimators[self.task](self.answers)
        bases = _denominators(self.answers) if self.task == "binary" else _whole(self.answers)
        return {name: self._with_interval(name, estimate, bases.get(name)) for name, estimate in found.items()}

    def each(self, counts: list[int]) -> dict[str, Block]:
        """The metrics of every class or label."""
        blocks: dict[str, Block] = {}
        one_vs_rest = per_class_metrics(self.answers)
        for index, name in enumerate(self.answers.classes):
            answers = self.answers.one_vs_rest(index)
            bases = _denominators(answers)
            found = binary_metrics(answers) if self.task == "multilabel" else one_vs_rest[name]
            block: Block = {"n": len(self.patients), "n_positive": counts[index]}
            if self.task == "multilabel":
                block["confusion_matrix"] = confusion(answers)
            for metric, estimate in found.items():
                block[metric] = self._with_interval(f"{index}/{metric}", estimate, bases.get(metric), metric)
            blocks[name] = block
        return blocks

    def _with_interval(
        self, key: str, estimate: Estimate, base: npt.NDArray[np.bool_] | None, metric: str = ""
    ) -> Block:
        """``base`` marks the images a proportion is taken of; None for what is no proportion."""
        value, replicates = estimate.value, self.replicates[key]
        if value is None:
            return {"value": None, "low": None, "high": None, "reason": estimate.reason}
        undefined = float(np.isnan(replicates).mean())
        if undefined > MAX_UNDEFINED:
            reason = (
                f"no interval: undefined in {undefined:.0%} of the resamples, because too few patients count for it"
            )
            return {"value": value, "low": None, "high": None, "reason": reason}
        if base is not None and value in (0.0, 1.0):
            trials = count_patients(self.patients, base)
            low, high = exact_limits(round(value * trials), trials, self.confidence)
            return {"value": value, "low": low, "high": high}
        if (metric or key) == "ece":
            low, high = reflected_limits(replicates, value, self.confidence)
        else:
            low, high = percentile_limits(replicates, self.confidence)
        block: Block = {"value": value, "low": min(low, value), "high": max(high, value)}
        if low == high:
            block["reason"] = "no spread among the resamples: the interval says nothing of the uncertainty"
        return block


def _denominators(answers: Answers) -> dict[str, npt.NDArray[np.bool_]]:
    """The images that each proportion of a binary task is a share of."""
    everyone = np.ones(len(answers.truth), dtype=bool)
    return {
        "accuracy": everyone,
        "sensitivity": answers.truth == 1,
        "specificity": answers.truth == 0,
        "precision": answers.predicted == 1,
    }


def _whole(answers: Answers) -> dict[str, npt.NDArray[np.bool_]]:
    """The proportions of all images that the other tasks have."""
    everyone = np.ones(len(answers.truth), dtype=bool)
    return {"accuracy": everyone, "exact_match": everyone}
