"""The charts of the report, each with a text that says in numbers what it shows."""

from __future__ import annotations

import numpy as np
import pandas as pd

from radlens.assessment.predictions import PREFIX, targets_of
from radlens.dataset.manifest import DatasetInfo
from radlens.reporting.chart_numbers import precision_recall_numbers, reliability_numbers, roc_numbers
from radlens.reporting.content import ReportContent
from radlens.reporting.embed import Chart
from radlens.reporting.figures.data import (
    balance,
    class_balance,
    image_sizes,
    intensities,
    labels_long,
)
from radlens.reporting.figures.performance import confusion_matrix, precision_recall_curves, roc_curves
from radlens.reporting.figures.scores import reliability, score_histogram
from radlens.reporting.figures.style import MOST_CURVES, SPLIT_NAMES
from radlens.reporting.figures.training import training_curves
from radlens.reporting.wording import errors, estimate, number
from radlens.runtime.metrics_record import SplitRecord


def balance_chart(table: pd.DataFrame, info: DatasetInfo) -> Chart:
    """Images per class in each split."""
    sentences = [
        f"{split}: " + ", ".join(f"{count:,} {name}" for name, count in row.items())
        for split, row in balance(table, info).iterrows()
    ]
    return Chart(
        class_balance(table, info),
        "balance",
        "Class balance",
        "Images per class. " + "; ".join(sentences) + ".",
        "An image with several labels counts for each." if info.task == "multilabel" else "",
    )


def data_charts(content: ReportContent) -> list[Chart]:
    """Class balance, and where the files' facts are known, sizes and intensities."""
    table, info = content.manifest, content.info
    charts = [balance_chart(table, info)]
    if content.facts is None or content.facts.empty:
        return charts
    facts = content.facts[content.facts["path"].isin(table["path"])]
    if len(facts[["width", "height"]].drop_duplicates()) > 1:
        charts.append(
            Chart(
                image_sizes(facts, table, info),
                "sizes",
                "Image sizes",
                _sizes_text(facts),
                "Each dot is a size that occurs; larger dots stand for more images. Classes that differ in size "
                "can be told apart without looking at the anatomy.",
            )
        )
    if facts["mean"].notna().any():
        charts.append(
            Chart(
                intensities(facts, table, info),
                "intensity",
                "Grey values",
                _intensity_text(facts, table, info),
                "Brightness and contrast of the files. Classes that differ here may be told apart by "
                "how the image was taken.",
            )
        )
    return charts


def training_chart(history: pd.DataFrame, best_epoch: int | None) -> Chart:
    """The learning curves."""
    last = history.iloc[-1]
    text = f"{len(history)} epochs. Training loss from {history['train_loss'].iloc[0]:.3f} to {last['train_loss']:.3f}"
    text += f", validation loss from {history['val_loss'].iloc[0]:.3f} to {last['val_loss']:.3f}."
    best = history[history["epoch"] == best_epoch]
    if not best.empty:
        kept = [
            f"{label} {best[column].iloc[0]:.3f}"
            for column, label in (("val_loss", "loss"), ("val_auroc", "AUROC"), ("val_accuracy", "accuracy"))
            if column in best.columns and pd.notna(best[column].iloc[0])
        ]
        text += f" Epoch {best_epoch} was kept: validation {', '.join(kept)}."
    return Chart(training_curves(history, best_epoch), "training", "Learning curves", text)


def performance_charts(content: ReportContent, split: str) -> list[Chart]:
    """Confusion matrix, ROC, precision-recall, scores and calibration of one split; those that are defined."""
    info, block = content.info, content.metrics[split]
    rows = content.predictions[content.predictions["split"] == split]
    kind = SPLIT_NAMES[split]
    charts = [
        Chart(
            confusion_matrix(block),
            f"{split}-confusion",
            "Found, missed and false alarms" if info.task == "multilabel" else "Confusion matrix",
            _confusion_text(block, kind),
            "" if info.task == "multilabel" else "Rows are the true classes and add up to 100%.",
        )
    ]
    charts.append(
        Chart(
            score_histogram(rows, info, block),
            f"{split}-scores",
            "Scores",
            _scores_text(rows, info, kind),
            "The less the colours overlap, the better the model tells them apart.",
        )
    )
    defined = [name for name, part in block.questions.items() if part.auroc.value is not None]
    ranked = [name for name, part in block.questions.items() if part.average_precision.value is not None]
    each = "each label" if info.task == "multilabel" else "each class against the rest"
    several = " The classes that the model is worst at are drawn." if len(info.classes) > MOST_CURVES else ""
    if defined:
        charts.append(
            Chart(
                roc_curves(rows, info, block),
                f"{split}-roc",
                "ROC curve" if info.task == "binary" else f"ROC curves, {each}",
                f"ROC on {kind} images. AUROC: {_listed(block, 'auroc')}.{_point_text(block)}",
                "Up and to the left is better; the dashed diagonal is guessing." + several,
                roc_numbers(rows, info),
            )
        )
    if ranked:
        charts.append(
            Chart(
                precision_recall_curves(rows, info, block),
                f"{split}-pr",
                "Precision and recall" if info.task == "binary" else f"Precision and recall, {each}",
                f"Precision-recall on {kind} images. Average precision: {_listed(block, 'average_precision')}.",
                "How many of the alarms are right (up) for the share of cases found (right)." + several,
                precision_recall_numbers(rows, info),
            )
        )
    if block.calibration is not None:
        charts.append(
            Chart(
                reliability(block.calibration.bins, info),
                f"{split}-calibration",
                "Calibration",
                f"Observed share against mean probability in bins of equal size on {kind} images. Calibration error "
                f"(ECE): {estimate(block.ece, block.interval.confidence)}.",
                "Points on the dashed diagonal: a probability of 80% is right four times in five. Below it the model "
                "is too sure. The bars are the intervals of the shares.",
                reliability_numbers(block.calibration.bins),
            )
        )
    return charts


def _listed(block: SplitRecord, metric: str) -> str:
    confidence = block.interval.confidence
    return "; ".join(f"{name} {estimate(part.metrics[metric], confidence)}" for name, part in block.questions.items())


def _point_text(block: SplitRecord) -> str:
    sensitivity, specificity = block.sensitivity.value, block.specificity.value
    if block.task != "binary" or sensitivity is None or specificity is None:
        return ""
    return (
        f" At the operating point {block.threshold:.3g}: sensitivity {number(sensitivity, share=True)}, specificity "
        f"{number(specificity, share=True)}."
    )


def _confusion_text(block: SplitRecord, kind: str) -> str:
    counts = np.array(block.confusion_matrix)
    if block.task == "multilabel":
        parts = [
            f"{name}: {hits} found, {missed} missed, {alarms} false alarms"
            for name, ((_, alarms), (missed, hits)) in zip(block.classes, counts.tolist(), strict=True)
        ]
        return f"On {block.n:,} {kind} images. {'; '.join(parts)}."
    classes = block.classes
    rows = []
    for name, row in zip(classes, counts.tolist(), strict=True):
        called = ", ".join(f"{count:,} called {other}" for other, count in zip(classes, row, strict=True) if count)
        rows.append(f"true {name}: {called or 'none'}")
    return f"On {block.n:,} {kind} images. {'; '.join(rows)}. {errors(block)}"


def _scores_text(rows: pd.DataFrame, info: DatasetInfo, kind: str) -> str:
    truth = targets_of(rows, info)
    parts = []
    for index, name in enumerate(info.classes):
        has = truth[:, index] == 1 if info.task == "multilabel" else truth == index
        score = rows[PREFIX + name]
        parts.append(f"{name}: median {_median(score[has])} where true, {_median(score[~has])} elsewhere")
    return f"Probabilities given to {kind} images. {'; '.join(parts)}."


def _median(values: pd.Series) -> str:
    return f"{values.median():.2f}" if len(values) else "undefined"


def _sizes_text(facts: pd.DataFrame) -> str:
    width, height = facts["width"], facts["height"]
    return (
        f"Widths from {width.min():,} to {width.max():,} pixels (median {width.median():,.0f}), heights from "
        f"{height.min():,} to {height.max():,} (median {height.median():,.0f})."
    )


def _intensity_text(facts: pd.DataFrame, table: pd.DataFrame, info: DatasetInfo) -> str:
    rows = labels_long(table.merge(facts, on="path"), info)
    averages = rows.groupby("class")[["mean", "std"]].mean().dropna()
    parts = [f"{name} {row['mean']:.0f} (spread {row['std']:.0f})" for name, row in averages.iterrows()]
    return f"Mean grey value on a scale from 0 to 255, and spread within an image: {', '.join(parts)}."
