"""What a run or an evaluation left in its folder."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from radlens.assessment.predictions import read_predictions
from radlens.dataset.manifest import Manifest
from radlens.runtime.metrics_record import Metrics, read_metrics


@dataclass(frozen=True)
class Result:
    """What a run or an evaluation left in its folder."""

    folder: Path

    @property
    def report(self) -> Path:
        """The self-contained page."""
        return self.folder / "report.html"

    @cached_property
    def metrics(self) -> Metrics:
        """The content of ``metrics.json``, by split: ``metrics["test"].auroc.value``."""
        return read_metrics(self.folder / "metrics.json")

    @cached_property
    def manifest(self) -> Manifest:
        """The images, their labels, patients and splits."""
        return Manifest.read(self.folder)

    @cached_property
    def predictions(self) -> pd.DataFrame:
        """One row an image: path, patient, split, label, predicted, a probability for each class."""
        return read_predictions(self.folder / "predictions.csv", self.manifest.info)

    @cached_property
    def history(self) -> pd.DataFrame:
        """One row an epoch of training."""
        return pd.read_csv(self.folder / "history.csv")
