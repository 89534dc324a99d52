"""``metrics.json``, the main artifact: one record for each split, one reader and one writer."""

from __future__ import annotations

import json
import reprlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Self, TypeAlias

from pydantic import Field, TypeAdapter, ValidationError, model_validator

from radlens.base.errors import DataError
from radlens.base.files import write_text
from radlens.decision import Task
from radlens.runtime.framing_records import FramingEvidence
from radlens.runtime.metrics_sections import (
    AbstentionCounts,
    CalibrationEvidence,
    ClassMetrics,
    DecisionCurve,
    FoldFigures,
    HasMetrics,
    Intervals,
    Metric,
    PredictiveValues,
    SampleSize,
    ThresholdRow,
)
from radlens.runtime.record_base import Figure
from radlens.runtime.records import SplitMetrics

Counts: TypeAlias = tuple[tuple[int, ...], ...]

# The sections that a task has and the others have not.
_OWN_SECTIONS: Mapping[Task, tuple[str, ...]] = {
    "binary": ("positive_class",),
    "multiclass": ("per_class",),
    "multilabel": ("exact_match", "per_label"),
}


class SplitRecord(HasMetrics):
    """How good the answers to the images of one split are."""

    task: Task = Field(description="binary, multiclass or multilabel.")
    classes: tuple[str, ...] = Field(min_length=1, description="Class names in the order of the probabilities.")
    positive_class: str | None = Field(default=None, description="Binary only.")
    n: int = Field(ge=0, description="Images.")
    n_patients: int = Field(ge=0, description="Patients that they are of.")
    class_counts: dict[str, int] = Field(description="Images of each class.")
    threshold: float | None = Field(description="The operating point; null for multiclass.")
    confusion_matrix: Counts | tuple[Counts, ...] = Field(
        description="Rows true, columns predicted; binary [[tn, fp], [fn, tp]]; multilabel one such 2 x 2 a label."
    )
    accuracy: Metric
    sensitivity: Metric
    specificity: Metric
    precision: Metric
    f1: Metric
    auroc: Metric
    average_precision: Metric
    brier: Metric
    ece: Metric
    exact_match: Metric | None = Field(default=None, description="Multilabel only.")
    per_class: dict[str, ClassMetrics] | None = Field(default=None, description="Multiclass only: by class.")
    per_label: dict[str, ClassMetrics] | None = Field(default=None, description="Multilabel only: by label.")
    abstention: AbstentionCounts | None = Field(default=None, description="Where the model may abstain.")
    calibration: CalibrationEvidence | None = None
    sample_size: SampleSize | None = None
    predictive_values: tuple[PredictiveValues, ...] | None = Field(
        default=None, description="Binary only: for each prevalence of the settings."
    )
    thresholds: tuple[ThresholdRow, ...] | None = Field(default=None, description="Binary only: in rising order.")
    decision_curve: DecisionCurve | None = Field(default=None, description="Binary only.")
    definitions: dict[str, str] = Field(description="What each metric means for this task, in words.")
    interval: Intervals
    framing: FramingEvidence | None = Field(default=None, description="Where it was measured.")
    cross_validation: dict[str, FoldFigures] | None = Field(
        default=None, description="Of a cross-validation: by metric, for some of them."
    )

    @model_validator(mode="after")
    def _sections_fit_the_task(self) -> Self:
        for task, names in _OWN_SECTIONS.items():
            for name in names:
                if (getattr(self, name) is None) == (task == self.task):
                    raise ValueError(f"{name} is there for {task} tasks and for no others; the task is {self.task}")
        if (self.threshold is None) != (self.task == "multiclass"):
            raise ValueError(f"a threshold is a number, and null for multiclass; got {self.threshold} for {self.task}")
        return self

    @property
    def each(self) -> Mapping[str, ClassMetrics]:
        """The figures of each class or label, by its name; empty for binary tasks."""
        return self.per_class or self.per_label or {}

    @property
    def questions(self) -> Mapping[str, SplitRecord | ClassMetrics]:
        """The questions with two answers that the task is made of: its positive class, each class or each label."""
        return self.each if self.positive_class is None else {self.positive_class: self}

    @property
    def summary(self) -> SplitMetrics:
        """What ``config.json`` says of the split."""
        figures = {
            name: Figure(value=metric.value, low=metric.low, high=metric.high) for name, metric in self.metrics.items()
        }
        return SplitMetrics(n=self.n, metrics=figures)


Metrics: TypeAlias = dict[str, SplitRecord]
METRICS_FORM: TypeAdapter[Metrics] = TypeAdapter(dict[Annotated[str, Field(pattern="^(train|val|test)$")], SplitRecord])


def read_metrics(path: Path) -> Metrics:
    """The content of a ``metrics.json`` by split, in the order train, val, test.

    Files of earlier versions, which lack sections, are read too: what is absent is None.

    Raises:
        DataError: there is no such file, or it is not in the form that this radlens knows.
    """
    try:
        return METRICS_FORM.validate_json(path.read_bytes(), strict=True)
    except OSError as error:
        raise DataError(
            f"{path} cannot be read: {error}. A metrics.json of a run or an evaluation was expected."
        ) from error
    except ValidationError as error:
        raise DataError(
            f"{path} is not a metrics.json in the form that this radlens knows: {_explain(error)}. It is damaged or "
            "was written by another version: evaluate the model once more, radlens evaluate MODEL SOURCE --out DIR"
        ) from error


def write_metrics(metrics: Mapping[str, SplitRecord], path: Path) -> None:
    """Write ``metrics.json``; what a record was not given is left out of it.

    Raises:
        RadlensError: the file cannot be written.
    """
    content = {split: record.model_dump(mode="json", exclude_unset=True) for split, record in metrics.items()}
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def _explain(error: ValidationError) -> str:
    """The first of the mistakes: where, what was expected, and what is there."""
    first = error.errors()[0]
    place = f"{'.'.join(map(str, first['loc']))}: " if first["loc"] else ""
    given = "" if first["type"] in ("missing", "json_invalid") else f", got {reprlib.repr(first['input'])}"
    return f"{place}{first['msg']}{given}"
