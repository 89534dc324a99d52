"""Models compared on the same images: differences with intervals, tests, and non-inferiority with a margin."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from radlens.assessment.matched_runs import MatchedRuns
from radlens.dataset.manifest import DatasetInfo
from radlens.decision import Task
from radlens.runtime.framing_records import FramingSummary
from radlens.statistics.intervals import MAX_UNDEFINED, percentile_limits
from radlens.statistics.mcnemar import McNemar, mcnemar
from radlens.statistics.metrics import Answers, Floats, squared_errors
from radlens.statistics.multiplicity import holm
from radlens.statistics.paired_delong import paired_delong
from radlens.statistics.paired_difference import Difference, mean_difference
from radlens.statistics.resampling import bootstrap
from radlens.statistics.weighted import statistic

COMPARED = ("auroc", "accuracy", "exact_match", "sensitivity", "specificity", "brier")
# What the verdict speaks of: the metric of a task that has a test which holds for several images a patient.
PRIMARY: dict[Task, str] = {"binary": "auroc", "multiclass": "accuracy", "multilabel": "exact_match"}
METHODS = {
    "difference": "second model minus first; limits by percentile bootstrap over patients, the same resamples for both",
    "delong": "paired DeLong test of two AUROCs with placements summed over patients (Obuchowski 1997); Student's t "
    "with one less than the number of patients",
    "means": "Brier score: difference of means with its variance over patients (Obuchowski 1998), Student's t with one "
    "less than the number of patients; shares answered rightly: the exact test below",
    "mcnemar": "exact: over all ways to swap the two models' answers patient by patient (with one image a patient the "
    "exact McNemar test); clustered: chi-square of sums over patients (Obuchowski 1998)",
    "holm": "adjusted over the models that are compared with the first, by Holm's procedure",
}


@dataclass(frozen=True)
class Claims:
    """One-sided p-values of what could be claimed of a difference, adjusted over the models compared (Holm)."""

    above_zero: float
    below_zero: float
    above_minus_margin: float
    below_margin: float


@dataclass(frozen=True)
class Comparison:
    """One model against the first.

    Attributes:
        first, second: their names.
        metrics: for each metric ``first``, ``second``, ``difference``, ``low`` and ``high`` (None: not defined).
        primary: the metric that the verdict speaks of.
        test: the primary metric's difference with its standard error.
        p_holm: of the two-sided test of the primary metric, adjusted over the models compared.
        claims: what of it may be claimed.
        mcnemar: right and wrong answers, of all images and for binary of each class.
        p_values: two-sided, of every metric that has a test; not adjusted.
    """

    first: str
    second: str
    metrics: dict[str, dict[str, float | None]]
    primary: str
    test: Difference
    p_holm: float
    claims: Claims
    mcnemar: dict[str, McNemar]
    p_values: dict[str, float]


@dataclass(frozen=True)
class Comparisons:
    """Each further model against the first, and how that was done.

    Attributes:
        matched: what each answered for the same images.
        margin: the largest loss that would not matter.
        confidence: of the intervals.
        resamples: of the bootstrap.
        seed: of its draws.
        pairs: each further model against the first.
        framing: by name of a model how its answers hang on the framing of these images, where that was measured.
    """

    matched: MatchedRuns
    margin: float
    confidence: float
    resamples: int
    seed: int
    pairs: tuple[Comparison, ...]
    framing: Mapping[str, FramingSummary] = field(default_factory=dict)


def compare(
    matched: MatchedRuns, margin: float = 0.02, confidence: float = 0.95, resamples: int = 2000, seed: int = 0
) -> Comparisons:
    """Compare every further model with the first one.

    Args:
        matched: what each answered for the same images.
        margin: the largest loss in the primary metric that would not matter, in (0, 1).
        confidence: of the intervals; a claim of one side is made at half of what it leaves.
        resamples: of the bootstrap.
        seed: of its draws.

    Raises:
        ValueError: a margin or confidence outside its range.
    """
    if not 0 < margin < 1 or not 0.5 < confidence < 1:
        raise ValueError(f"margin must lie in (0, 1) and confidence in (0.5, 1), got {margin} and {confidence}")
    answers, info = matched.answers, matched.info
    patients = matched.patients.to_numpy(dtype=str)
    values, draws = _resampled(answers, info, patients, resamples, seed)
    tests = [_tests(answers[0], other, info, patients) for other in answers[1:]]
    primary = PRIMARY[info.task]
    if any(primary not in differences for differences in tests):
        # Images of one class alone have no AUROC.
        primary = "accuracy"
    main = [differences[primary] for differences in tests]
    swaps = [_mcnemar(answers[0], other, info, patients) for other in answers[1:]]
    p_values = [_p_values(differences, swap, info) for differences, swap in zip(tests, swaps, strict=True)]
    # Of few images that only one answers rightly, the exact test claims less than the approximation does.
    exact = [0.0 if primary == "auroc" else swap["all"].p_exact / 2 for swap in swaps]
    claims = [
        holm([max(test.p_above(0.0), floor) for test, floor in zip(main, exact, strict=True)]),
        holm([max(test.p_below(0.0), floor) for test, floor in zip(main, exact, strict=True)]),
        holm([test.p_above(-margin) for test in main]),
        holm([test.p_below(margin) for test in main]),
    ]
    adjusted = holm([of_model[primary] for of_model in p_values])
    pairs = [
        Comparison(
            matched.names[0],
            matched.names[number],
            _differences(values, draws, number, confidence),
            primary,
            main[number - 1],
            adjusted[number - 1],
            Claims(*(claim[number - 1] for claim in claims)),
            swaps[number - 1],
            p_values[number - 1],
        )
        for number in range(1, len(answers))
    ]
    return Comparisons(matched, margin, confidence, resamples, seed, tuple(pairs))


def _resampled(
    answers: list[Answers], info: DatasetInfo, patients: np.ndarray[Any, Any], resamples: int, seed: int
) -> tuple[list[dict[str, float]], list[dict[str, Floats]]]:
    """Each model's metrics, and those of every resample; the same patients are drawn for all models."""
    values, draws = [], []
    for model in answers:
        measure = statistic(model, info.task, COMPARED)
        values.append({name: float(value[0]) for name, value in measure(np.ones((1, len(patients)))).items()})
        draws.append(bootstrap(measure, patients, resamples, np.random.default_rng([seed, 7])))
    return values, draws


def _differences(
    values: list[dict[str, float]], draws: list[dict[str, Floats]], number: int, confidence: float
) -> dict[str, dict[str, float | None]]:
    differences: dict[str, dict[str, float | None]] = {}
    for name in COMPARED:
        if name not in values[0]:
            continue
        first, second = values[0][name], values[number][name]
        gaps = draws[number][name] - draws[0][name]
        low, high = None, None
        if not np.isnan(second - first) and np.isnan(gaps).mean() <= MAX_UNDEFINED:
            low, high = percentile_limits(gaps, confidence)
        differences[name] = {
            "first": _number(first),
            "second": _number(second),
            "difference": _number(second - first),
            "low": low,
            "high": high,
        }
    return differences


def _tests(first: Answers, second: Answers, info: DatasetInfo, patients: np.ndarray[Any, Any]) -> dict[str, Difference]:
    """The metrics that are means over images or, for binary, the AUROC: their differences with standard errors."""
    right = [_right(model, info.task).astype(np.float64) for model in (first, second)]
    share = "exact_match" if info.task == "multilabel" else "accuracy"
    differences = {share: mean_difference(right[0], right[1], patients)}
    if info.task == "multiclass":
        differences["brier"] = mean_difference(squared_errors(first), squared_errors(second), patients)
    if info.task != "binary":
        return differences
    truth = first.truth
    for name, label in (("sensitivity", 1), ("specificity", 0)):
        members = truth == label
        if members.any():
            differences[name] = mean_difference(right[0][members], right[1][members], patients[members])
    scores = [model.probabilities[:, 1] for model in (first, second)]
    differences["brier"] = mean_difference((scores[0] - truth) ** 2, (scores[1] - truth) ** 2, patients)
    if len(np.unique(truth)) == 2:
        differences["auroc"] = paired_delong(truth, scores[0], scores[1], patients).difference
    return differences


def _p_values(tests: dict[str, Difference], swaps: dict[str, McNemar], info: DatasetInfo) -> dict[str, float]:
    """Two-sided; of shares answered rightly by the exact test."""
    p_values = {name: test.p_value for name, test in tests.items()}
    of = {"accuracy": "all", "exact_match": "all"}
    if info.task == "binary":
        of |= {"specificity": info.classes[0], "sensitivity": info.classes[1]}
    return p_values | {name: swaps[key].p_exact for name, key in of.items() if name in p_values and key in swaps}


def _mcnemar(first: Answers, second: Answers, info: DatasetInfo, patients: np.ndarray[Any, Any]) -> dict[str, McNemar]:
    right = [_right(model, info.task) for model in (first, second)]
    swaps = {"all": mcnemar(right[0], right[1], patients)}
    if info.task == "binary":
        for label, name in enumerate(info.classes):
            members = first.truth == label
            if members.any():
                swaps[name] = mcnemar(right[0][members], right[1][members], patients[members])
    return swaps


def _right(answers: Answers, task: Task) -> np.ndarray[Any, Any]:
    same = answers.predicted == answers.truth
    return np.asarray(same.all(axis=1) if task == "multilabel" else same)


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
