"""What is judged, and what was measured of it: what the report and the other evidence are made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from radlens.learning.fit import Fitted
from radlens.learning.trained_model import TrainedModel
from radlens.reporting.content import Origin
from radlens.runtime.metrics_record import Metrics
from radlens.runtime.metrics_sections import FoldFigures


@dataclass(frozen=True)
class Judged:
    """Answers to labelled images, and who gave them.

    Attributes:
        origin: who answered.
        predictions: the predictions table, one row an image.
        threshold: the operating point.
        model: the one model that answered, to be asked again under other framings and about where it looks; None: the
            answers were read from a table, or are of several models.
        model_at: where its files lie, or the run folder that holds them.
        fitted: its training, if it was trained just now.
        fold_figures: of a cross-validation, each metric in every fold; :func:`radlens.assessment.pooling.fold_figures`.
    """

    origin: Origin
    predictions: pd.DataFrame
    threshold: float
    model: TrainedModel | None = None
    model_at: Path | None = None
    fitted: Fitted | None = None
    fold_figures: Mapping[str, FoldFigures] | None = None


@dataclass(frozen=True)
class Measured:
    """What was measured of judged answers.

    Attributes:
        metrics: the content of ``metrics.json``, by split.
        subgroups: the main split in groups; see :func:`radlens.assessment.subgroups.find_subgroups`.
        suspects: labels that may be wrong; see :func:`radlens.assessment.label_suspects.find_label_suspects`.
        failures: the wrong answers of the main split; see :func:`radlens.assessment.failure_reasons.failures`.
        facts: one row an image file: ``path, width, height, bytes, mode, format, mean, std``; None: none was opened.
    """

    metrics: Metrics
    subgroups: pd.DataFrame
    suspects: pd.DataFrame
    failures: pd.DataFrame
    facts: pd.DataFrame | None
