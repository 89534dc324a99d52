"""From a predictions table to ``metrics.json``: every metric of every split, with its interval."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict

import numpy as np
import numpy.typing as npt
import pandas as pd

from radlens.assessment.abstention import abstention
from radlens.assessment.calibration_evidence import calibration_evidence
from radlens.assessment.decision_curve import decision_curve
from radlens.assessment.predictions import ANSWER, check_predictions, probabilities_of, targets_of, with_threshold
from radlens.assessment.predictive_values import predictive_values
from radlens.assessment.summary import Summary
from radlens.assessment.threshold_table import threshold_table
from radlens.base.errors import DataError
from radlens.config import EvaluateSettings
from radlens.dataset.manifest import SPLITS, DatasetInfo
from radlens.runtime.metrics_record import Metrics, SplitRecord
from radlens.runtime.metrics_sections import Intervals, PatientsNeeded, SampleSize
from radlens.runtime.record_base import Record
from radlens.statistics.interval_methods import described
from radlens.statistics.metrics import DEFINITIONS, EVERY, Answers, confusion
from radlens.statistics.sample_size import SOURCE, sample_size

METHOD = (
    "Images of one patient are taken together, whatever the method; each figure names its own. Limits are widened "
    "where they would leave the estimate out."
)


def evaluate(
    predictions: pd.DataFrame, info: DatasetInfo, threshold: float, settings: EvaluateSettings, seed: int
) -> Metrics:
    """Measure how good the predictions are, split by split.

    Args:
        predictions: as :func:`radlens.assessment.predictions.predictions_table` makes it.
        info: the task and the classes.
        threshold: the operating point that the ``predicted`` column was decided with.
        settings: number of resamples and confidence of the intervals.
        seed: same seed, same intervals.

    Returns:
        The content of ``metrics.json`` for each split that is there, in the order train, val, test. What is not defined
        is None and has a reason; ``abstention`` is there where the model may abstain.

    Raises:
        DataError: the table is invalid, or was decided with another threshold.
    """
    predictions = decided_at(predictions, info, threshold)
    splits = set(predictions["split"])
    return {
        split: _evaluate_split(predictions[predictions["split"] == split], info, threshold, settings, seed)
        for split in SPLITS
        if split in splits
    }


def answers_of(predictions: pd.DataFrame, info: DatasetInfo) -> Answers:
    """The table as numbers."""
    return Answers(
        truth=targets_of(predictions, info),
        probabilities=probabilities_of(predictions, info),
        predicted=targets_of(predictions, info, "predicted"),
        classes=info.classes,
    )


def summary_of(
    part: pd.DataFrame, info: DatasetInfo, settings: EvaluateSettings, seed: int, names: Collection[str] = EVERY
) -> Summary:
    """The named metrics of rows of one split; the same seed gives the same intervals."""
    # Numbers are sorted and compared much faster than names.
    _, patients = np.unique(part["patient"].to_numpy(dtype=str), return_inverse=True)
    rng = np.random.default_rng([seed, SPLITS.index(str(part["split"].iloc[0]))])
    return Summary.of(answers_of(part, info), info.task, patients, settings, rng, names)


def decided_at(predictions: pd.DataFrame, info: DatasetInfo, threshold: float) -> pd.DataFrame:
    """A predictions table that is valid, and whose labels follow from its probabilities at the operating point.

    Raises:
        DataError: the table is invalid, or was decided with another threshold.
    """
    predictions = check_predictions(predictions, info)
    decided = targets_of(with_threshold(predictions, info, threshold), info, "predicted")
    stated = targets_of(predictions, info, "predicted")
    differs = np.asarray(decided != stated).reshape(len(predictions), -1).any(axis=1)
    if differs.any():
        first = predictions[differs].iloc[0]
        raise DataError(
            f"{differs.sum()} predicted label(s) do not follow from the probabilities at threshold {threshold}, first "
            f"{first['predicted']!r} for {first['path']}. Evaluate with the threshold the predictions were made with."
        )
    return predictions


def _evaluate_split(
    part: pd.DataFrame, info: DatasetInfo, threshold: float, settings: EvaluateSettings, seed: int
) -> SplitRecord:
    summary = summary_of(part, info, settings, seed)
    answers, patients = summary.answers, summary.patients
    counts = _class_counts(answers)
    # A section that a record is not given is left out of the file.
    sections: dict[str, object] = dict(summary.overall())
    if info.task == "binary":
        sections["positive_class"] = info.classes[1]
    else:
        sections["per_class" if info.task == "multiclass" else "per_label"] = summary.each(counts)
    if ANSWER in part.columns:
        sections["abstention"] = abstention(part, info, settings.confidence)
    sections["calibration"] = calibration_evidence(summary)
    sections |= _for_decisions(answers, info, patients, threshold, settings)
    intervals = Intervals(
        method=METHOD,
        methods=described(_methods_in(sections)),
        confidence=settings.confidence,
        resamples=settings.resamples,
        seed=seed,
    )
    return SplitRecord(
        task=info.task,
        classes=info.classes,
        n=len(part),
        n_patients=len(np.unique(patients)),
        class_counts=dict(zip(info.classes, counts, strict=True)),
        threshold=None if info.task == "multiclass" else threshold,
        confusion_matrix=confusion(answers),
        definitions=dict(DEFINITIONS[info.task]),
        interval=intervals,
        **sections,
    )


def _for_decisions(
    answers: Answers,
    info: DatasetInfo,
    patients: npt.NDArray[np.int64],
    threshold: float,
    settings: EvaluateSettings,
) -> dict[str, object]:
    """What those need who are to act on the answers: are there enough cases, and what follows from other choices."""
    if info.task == "binary":
        questions = {answers.classes[1]: answers}
    else:
        questions = {name: answers.one_vs_rest(index) for index, name in enumerate(answers.classes)}
    needed = {}
    for name, question in questions.items():
        missing = sample_size(question, patients, settings.margin, settings.confidence)
        needed[name] = {claim: PatientsNeeded(**asdict(shortfall)) for claim, shortfall in missing.items()}
    sizes = SampleSize(margin=settings.margin, needed=needed, source=SOURCE)
    if info.task != "binary":
        return {"sample_size": sizes}
    return {
        "sample_size": sizes,
        "predictive_values": predictive_values(answers, patients, settings.prevalence, settings.confidence),
        "thresholds": threshold_table(answers, patients, threshold, settings.confidence),
        "decision_curve": decision_curve(answers, patients, settings.confidence),
    }


def _class_counts(answers: Answers) -> list[int]:
    if answers.truth.ndim == 2:
        return [int(count) for count in answers.truth.sum(axis=0)]
    return [int(count) for count in np.bincount(answers.truth, minlength=len(answers.classes))]


def _methods_in(value: object) -> set[str]:
    """The methods of all intervals within nested values."""
    if isinstance(value, Record):
        method = getattr(value, "method", None)
        return _methods_in(dict(value)) | ({method} if isinstance(method, str) else set())
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    return set().union(*(_methods_in(each) for each in inner))
