"""Made-up predictions of the three tasks."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from fixture_types import ManifestOf, PredictionsOf, ProbabilitiesFor
from radlens.assessment.predictions import predictions_table
from radlens.dataset.manifest import DatasetInfo, Manifest

CLASSES = {
    "binary": ("NORMAL", "PNEUMONIA"),
    "multiclass": ("normal", "bacterial", "viral"),
    "multilabel": ("effusion", "mass", "nodule"),
}


def make_manifest(task: str, images: int = 120, seed: int = 0, classes: tuple[str, ...] | None = None) -> Manifest:
    rng = np.random.default_rng(seed)
    classes = classes or CLASSES[task]
    if task == "multilabel":
        truth = rng.random((images, len(classes))) < 0.35
        truth[: len(classes)] = np.eye(len(classes), dtype=bool)
        labels = ["|".join(name for name, flag in zip(classes, row, strict=True) if flag) for row in truth]
    else:
        index = rng.integers(0, len(classes), images)
        index[: len(classes)] = range(len(classes))
        labels = [classes[i] for i in index]
    table = pd.DataFrame(
        {
            "path": [f"scans/image_{i:04d}.png" for i in range(images)],
            "label": labels,
            "patient": [f"p{i // 2}" for i in range(images)],
            "split": np.repeat(["val", "test"], [images // 3, images - images // 3]),
        }
    )
    return Manifest(table, DatasetInfo(name="made up", task=task, classes=classes, root="."))


def make_probabilities(manifest: Manifest, strength: float = 1.5, seed: int = 1) -> npt.NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    truth = manifest.targets()
    if manifest.info.task == "multilabel":
        return 1 / (1 + np.exp(-(rng.normal(size=truth.shape) + strength * (2 * truth - 1))))
    logits = (
        rng.normal(size=(len(truth), len(manifest.info.classes))) + strength * np.eye(len(manifest.info.classes))[truth]
    )
    exp = np.exp(logits)
    return np.asarray(exp / exp.sum(axis=1, keepdims=True), dtype=np.float64)


@pytest.fixture(scope="session")
def manifest_of() -> ManifestOf:
    return make_manifest


@pytest.fixture(scope="session")
def probabilities_for() -> ProbabilitiesFor:
    return make_probabilities


@pytest.fixture(scope="session")
def predictions_of() -> PredictionsOf:
    def make(
        task: str,
        images: int = 120,
        threshold: float = 0.5,
        seed: int = 0,
        classes: tuple[str, ...] | None = None,
    ) -> tuple[pd.DataFrame, DatasetInfo]:
        manifest = make_manifest(task, images, seed, classes)
        return predictions_table(manifest, make_probabilities(manifest), threshold), manifest.info

    return make
