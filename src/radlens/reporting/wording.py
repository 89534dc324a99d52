"""Numbers in plain words: what the report says of a split, for readers who look at nothing else."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from radlens.dataset.class_names import means_nothing_found
from radlens.reporting.figures.style import SPLIT_NAMES
from radlens.runtime.metrics_record import SplitRecord
from radlens.runtime.metrics_sections import Metric
from radlens.runtime.record_base import Figure

METRIC_NAMES = {
    "accuracy": "Accuracy",
    "exact_match": "Exact match",
    "sensitivity": "Sensitivity (recall)",
    "specificity": "Specificity",
    "precision": "Precision",
    "f1": "F1 score",
    "auroc": "AUROC",
    "average_precision": "Average precision",
    "brier": "Brier score",
    "ece": "Calibration error (ECE)",
}
SHARES = ("accuracy", "exact_match", "sensitivity", "specificity", "precision")

FEW_PATIENTS = 100


@dataclass(frozen=True)
class Card:
    """One headline figure: what, how much, how sure, and in counts."""

    label: str
    value: str
    interval: str
    detail: str
    metric: Metric


def number(value: float, *, share: bool = False) -> str:
    """A share as a percentage with one decimal, anything else with three.

    >>> number(0.8734, share=True), number(0.9671)
    ('87.3%', '0.967')
    """
    return f"{value:.1%}" if share else f"{value:.3f}"


def value_of(figure: Figure, *, share: bool = False) -> str:
    """The value, as :func:`number` writes it.

    >>> value_of(Figure(value=0.5)), value_of(Figure(value=None))
    ('0.500', 'not defined')
    """
    return "not defined" if figure.value is None else number(figure.value, share=share)


def has_interval(figure: Figure) -> bool:
    """Whether there are limits, and they say anything."""
    return figure.low is not None and figure.low != figure.high


def limits(figure: Figure, *, share: bool = False) -> str:
    """The interval as ``84.5–89.9%``; a dash where there is none, or where the resamples do not differ.

    >>> limits(Figure(value=0.8, low=0.75, high=0.845), share=True)
    '75.0–84.5%'
    """
    if figure.low is None or figure.high is None or figure.low == figure.high:
        return "–"
    return f"{number(figure.low, share=share).removesuffix('%')}–{number(figure.high, share=share)}"


def estimate(figure: Figure, confidence: float, *, share: bool = False) -> str:
    """Value and interval in one phrase.

    >>> estimate(Figure(value=0.8, low=0.75, high=0.845), 0.95, share=True)
    '80.0% (95% CI 75.0–84.5%)'
    """
    value = value_of(figure, share=share)
    return f"{value} ({confidence:.0%} CI {limits(figure, share=share)})" if has_interval(figure) else value


def images(count: int, kind: str = "") -> str:
    """A count of images.

    >>> images(1), images(1200, "test")
    ('1 image', '1,200 test images')
    """
    return f"{count:,} {kind + ' ' if kind else ''}image{'' if count == 1 else 's'}"


def headline(block: SplitRecord, split: str) -> str:
    """The one sentence that comes first."""
    confidence = block.interval.confidence
    kind = SPLIT_NAMES[split]
    if block.exact_match is not None:
        exact = block.exact_match
        return (
            f"All {len(block.classes)} labels right for {round((exact.value or 0) * block.n):,} of "
            f"{images(block.n, kind)}: {estimate(exact, confidence, share=True)}; label by label, right in "
            f"{estimate(block.accuracy, confidence, share=True)}."
        )
    right = int(np.trace(np.array(block.confusion_matrix)))
    return f"Right for {right:,} of {images(block.n, kind)}: {estimate(block.accuracy, confidence, share=True)}."


def errors(block: SplitRecord) -> str:
    """How many wrong answers there are, and of which kind."""
    counts, classes = np.array(block.confusion_matrix), block.classes
    if block.task == "multilabel":
        missed, alarms = int(counts[:, 1, 0].sum()), int(counts[:, 0, 1].sum())
        return f"Wrong answers: {missed:,} findings missed and {alarms:,} raised falsely."
    wrong = int(counts.sum() - np.trace(counts))
    if not wrong:
        return "No wrong answer."
    noun = "error" if wrong == 1 else "errors"
    if block.task == "binary":
        (_, alarms), (missed, _) = counts.tolist()
        return (
            f"{wrong:,} {noun}: {missed:,} {classes[1]} called {classes[0]} (missed), "
            f"{alarms:,} {classes[0]} called {classes[1]} (false alarms)."
        )
    off = counts - np.diag(np.diag(counts))
    true, called = np.unravel_index(int(off.argmax()), off.shape)
    text = f"{wrong:,} {noun}; the most frequent: {classes[true]} called {classes[called]} ({off[true, called]:,})."
    if means_nothing_found(str(classes[0])):
        text += f" {int(counts[1:, 0].sum()):,} images with a finding were called {classes[0]}."
    return text


def cards(block: SplitRecord) -> list[Card]:
    """The headline figures: accuracy, sensitivity, specificity, AUROC."""
    counts = np.array(block.confusion_matrix)
    if block.task == "binary":
        negative, positive = block.classes
        (tn, fp), (fn, tp) = counts.tolist()
        details = {
            "accuracy": f"{tn + tp:,} of {block.n:,} images right",
            "sensitivity": f"{tp:,} of {tp + fn:,} {positive} found",
            "specificity": f"{tn:,} of {tn + fp:,} {negative} recognised",
            "auroc": f"chance that a {positive} image scores above a {negative} one",
        }
    else:
        noun = "classes" if block.task == "multiclass" else "labels"
        mean = f"mean over {len(block.classes)} {noun}"
        details = dict.fromkeys(("accuracy", "sensitivity", "specificity", "auroc"), mean)
        if block.task == "multiclass":
            details["accuracy"] = f"{int(np.trace(counts)):,} of {block.n:,} images right"
    return [_card(name, detail, block) for name, detail in details.items()]


def score_text(block: SplitRecord) -> str:
    """What the number under a wrong answer means."""
    if block.task == "binary":
        positive, threshold = block.positive_class, f"{block.threshold:.3g}"
        return f"The number is the probability of {positive}; {threshold} or more is called {positive}."
    if block.task == "multiclass":
        return "The number is the probability that the model gave to its wrong answer."
    return f"The numbers are the probabilities of the labels; {block.threshold:.3g} or more is called present."


def cautions(block: SplitRecord, split: str) -> list[str]:
    """What must be known before the figures are believed."""
    messages = []
    counts, classes = np.array(block.confusion_matrix), block.classes
    if block.task != "multilabel":
        called = counts.sum(axis=0)
        share = max(block.class_counts.values()) / block.n
        if (called > 0).sum() == 1:
            messages.append(
                f"The model calls every image {classes[int(called.argmax())]}: it does not tell the classes apart "
                "at this operating point."
            )
        elif block.accuracy.value is not None and block.accuracy.value <= share:
            largest = max(block.class_counts, key=block.class_counts.__getitem__)
            messages.append(
                f"The accuracy is no better than always answering {largest}, which would be right for "
                f"{number(share, share=True)}."
            )
    messages += not_estimated(block)
    if block.n_patients < FEW_PATIENTS:
        messages.append(
            f"Only {block.n_patients:,} patient{'' if block.n_patients == 1 else 's'} in this split: "
            "the intervals are wide, and themselves rough."
        )
    if split != "test":
        messages.append(
            f"These are {SPLIT_NAMES[split]} images, which the model or its operating point was chosen on: "
            "expect worse on new ones."
        )
    return messages


def not_estimated(block: SplitRecord) -> list[str]:
    """Which figures cannot be had and why, those of one reason together; and what an AUROC of few scores stands on."""
    names_by_reason: dict[str, list[str]] = {}
    for name, metric in block.metrics.items():
        if metric.value is None:
            names_by_reason.setdefault(str(metric.reason), []).append(METRIC_NAMES[name])
    messages = [f"{', '.join(names)} cannot be estimated: {reason}." for reason, names in names_by_reason.items()]
    if block.auroc.value is not None and block.auroc.reason:
        messages.append(f"AUROC {value_of(block.auroc)}: {block.auroc.reason}.")
    return messages


def _card(name: str, detail: str, block: SplitRecord) -> Card:
    label, metric, share = METRIC_NAMES[name], block.metrics[name], name in SHARES
    if metric.value is None:
        return Card(label, "not defined", "", str(metric.reason), metric)
    interval = limits(metric, share=share) if has_interval(metric) else "no interval"
    return Card(label, number(metric.value, share=share), interval, detail, metric)
