"""Estimates joined with their intervals: which method for which metric, as the simulation of coverage decided."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from radlens.config import EvaluateSettings
from radlens.decision import Task
from radlens.runtime.metrics_sections import ClassMetrics, Metric
from radlens.statistics import interval_methods as methods
from radlens.statistics.delong import area_limits, clustered_auroc
from radlens.statistics.groups import count_patients
from radlens.statistics.intervals import MAX_UNDEFINED, bootstrap_logit_limits, inverted_limits
from radlens.statistics.metrics import (
    EVERY,
    Answers,
    Estimate,
    binary_metrics,
    confusion,
    multiclass_metrics,
    multilabel_metrics,
    per_class_metrics,
)
from radlens.statistics.proportions import clustered_proportion, proportion_limits
from radlens.statistics.resampling import bootstrap
from radlens.statistics.weighted import Statistic, Statistics, statistic

Shares = dict[str, tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]]


@dataclass(frozen=True)
class Summary:
    """The metrics of one split with their intervals.

    Attributes:
        answers: what the images were answered.
        task: binary, multiclass or multilabel.
        patients: the patient of each image.
        confidence: of the intervals.
        resamples: number of them.
        rng: where the resamples come from; they are drawn once, and only if a metric's interval needs them.
        names: of the metrics wanted.
    """

    answers: Answers
    task: Task
    patients: npt.NDArray[Any]
    confidence: float
    resamples: int
    rng: np.random.Generator
    names: Collection[str]

    @classmethod
    def of(
        cls,
        answers: Answers,
        task: Task,
        patients: npt.NDArray[Any],
        settings: EvaluateSettings,
        rng: np.random.Generator,
        names: Collection[str] = EVERY,
    ) -> Summary:
        """The summary with the confidence and the number of resamples of the settings."""
        return cls(answers, task, patients, settings.confidence, settings.resamples, rng, names)

    @cached_property
    def _measure(self) -> Statistic:
        return statistic(self.answers, self.task, self.names)

    @cached_property
    def observed(self) -> Statistics:
        """What :func:`radlens.statistics.weighted.statistic` says of the images as they are."""
        return self._measure(np.ones((1, len(self.patients))))

    @cached_property
    def replicates(self) -> Statistics:
        """What it says of each resample."""
        return bootstrap(self._measure, self.patients, self.resamples, self.rng)

    def overall(self) -> dict[str, Metric]:
        """The metrics of the split as a whole."""
        estimators: dict[Task, Callable[[Answers], dict[str, Estimate]]] = {
            "binary": binary_metrics,
            "multiclass": multiclass_metrics,
            "multilabel": multilabel_metrics,
        }
        every = estimators[self.task](self.answers)
        estimates = {name: estimate for name, estimate in every.items() if name in self.names}
        if self.task == "binary":
            return self._question(self.answers, estimates, "")
        shares = _whole(self.answers)
        return {name: self._interval(name, estimate, "", shares.get(name)) for name, estimate in estimates.items()}

    def each(self, counts: list[int]) -> dict[str, ClassMetrics]:
        """The metrics of every class or label."""
        records: dict[str, ClassMetrics] = {}
        one_vs_rest = per_class_metrics(self.answers)
        for index, name in enumerate(self.answers.classes):
            answers = self.answers.one_vs_rest(index)
            of_label = {"confusion_matrix": confusion(answers)} if self.task == "multilabel" else {}
            estimates = binary_metrics(answers) if self.task == "multilabel" else one_vs_rest[name]
            metrics = self._question(answers, estimates, f"{index}/")
            records[name] = ClassMetrics(n=len(self.patients), n_positive=counts[index], **of_label, **metrics)
        return records

    def _question(self, answers: Answers, estimates: dict[str, Estimate], prefix: str) -> dict[str, Metric]:
        """The metrics of one question with two answers."""
        shares = _shares(answers)
        return {
            name: self._auroc(answers, estimate)
            if name == "auroc"
            else self._interval(name, estimate, prefix, shares.get(name))
            for name, estimate in estimates.items()
        }

    def _auroc(self, answers: Answers, estimate: Estimate) -> Metric:
        if estimate.value is None:
            return undefined(estimate.reason)
        try:
            area = clustered_auroc(answers.truth, answers.probabilities[:, 1], self.patients)
        except ValueError as error:
            return unlimited(estimate.value, "; ".join(filter(None, (estimate.reason, f"no interval: {error}"))))
        low, high = area_limits(area, self.confidence)
        alone = len(self.patients) == len(np.unique(self.patients))
        method = methods.DELONG if alone else methods.CLUSTERED_DELONG
        method = methods.PAIRS if area.value in (0.0, 1.0) else method
        return limited(estimate.value, low, high, method, estimate.reason)

    def _interval(
        self,
        name: str,
        estimate: Estimate,
        prefix: str,
        share: tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]] | None,
    ) -> Metric:
        """``share`` marks the successes and the images they are a share of; None for what is not a proportion."""
        value = estimate.value
        if value is None:
            return undefined(estimate.reason)
        if share is not None:
            success, base = share
            return share_metric(success[base], self.patients[base], self.confidence)
        missing = float(np.isnan(self.replicates[prefix + name]).mean())
        if missing > MAX_UNDEFINED:
            return unlimited(
                value,
                f"no interval: undefined in {missing:.0%} of the resamples, because too few patients count for it",
            )
        if name == "ece":
            gaps = self.observed[prefix + "gaps"][0]
            low, _, high = inverted_limits(gaps, self.replicates[prefix + "gaps"], self.confidence)
            return limited(value, low, high, methods.INVERTED)
        top = 2.0 if name == "brier" and self.task == "multiclass" else 1.0
        patients = self._scarcest(prefix)
        low, high = bootstrap_logit_limits(self.replicates[prefix + name], value, self.confidence, patients, top)
        return limited(value, low, high, methods.LOGIT, estimate.reason)

    def _scarcest(self, prefix: str) -> int:
        """Patients with the class that the fewest have, which the spread is told by."""
        answers = self.answers.one_vs_rest(int(prefix[:-1])) if prefix else self.answers
        truth = answers.truth
        flags = truth.T if truth.ndim == 2 else [truth == value for value in range(len(answers.classes))]
        owners = [count_patients(self.patients, np.asarray(flag, dtype=bool)) for flag in flags]
        return max(2, min((count for count in owners if count), default=2))


def share_metric(success: npt.ArrayLike, patients: npt.ArrayLike, confidence: float) -> Metric:
    """A proportion with its interval.

    Args:
        success: 0 or 1 for each image that counts; at least one.
        patients: the patient of each.
        confidence: of the interval.
    """
    share = clustered_proportion(success, patients)
    low, high = proportion_limits(share, confidence)
    method = methods.WILSON if share.images == share.patients else methods.CLUSTERED_WILSON
    return limited(share.value, low, high, method)


def limited(value: float, low: float, high: float, method: str, remark: str = "") -> Metric:
    """A figure with its limits, widened where they would leave it out; a remark says why it tells little."""
    if low == high and not remark:
        remark = "no spread among the patients: the interval says nothing of the uncertainty"
    reason = {"reason": remark} if remark else {}
    return Metric(value=value, low=min(low, value), high=max(high, value), method=method, **reason)


def unlimited(value: float | None, reason: str) -> Metric:
    """A figure without an interval."""
    return Metric(value=value, low=None, high=None, method=None, reason=reason)


def undefined(reason: str) -> Metric:
    """No figure."""
    return unlimited(None, reason)


def _shares(answers: Answers) -> Shares:
    """Successes, and the images that they are a share of, for each proportion of a question with two answers."""
    truth, called = answers.truth == 1, answers.predicted == 1
    return {
        "accuracy": (truth == called, np.ones(len(truth), dtype=bool)),
        "sensitivity": (called, truth),
        "specificity": (~called, ~truth),
        "precision": (truth, called),
    }


def _whole(answers: Answers) -> Shares:
    """The proportions of all images that the other tasks have."""
    right = answers.predicted == answers.truth
    everyone = np.ones(len(right), dtype=bool)
    # The accuracy of a multilabel task is a mean over its labels, and no proportion.
    return {"exact_match": (right.all(axis=1), everyone)} if right.ndim == 2 else {"accuracy": (right, everyone)}
