"""The shift tests: what a network says of images unlike those it was trained on, by the training images alone.

Two *shift* trainings stand in for a test on other patients of another time: one series of normals and one kind of
pneumonia are left out of training altogether (``NORMAL2-IM-`` with bacteria, or ``IM-`` with virus), and the model is
asked about them. A fifth of the patients of the series that it did see is its validation; the corruption suite is run
on these.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from common import KERMANY
from sklearn.metrics import roc_auc_score
from torch import Tensor

from radlens.assessment.calibration import fit_calibration, log_loss
from radlens.assessment.conformal import ALPHAS, least_probabilities
from radlens.assessment.operating_point import balanced_accuracy, balanced_threshold
from radlens.assessment.predictions import probability_columns
from radlens.config import DataSettings, RunSettings
from radlens.dataset.manifest import DatasetInfo
from radlens.dataset.sources import read_source
from radlens.decision import prediction_sets, recalibrate
from radlens.imaging.cache.pixel_cache import PixelCache
from radlens.imaging.preprocess import Preprocessing
from radlens.learning.corruptions import corrupt, corrupt_each
from radlens.learning.data_module import LabelledPixels
from radlens.learning.trained_model import TrainedModel
from radlens.statistics.metrics import expected_calibration_error

CLASSES = ("normal", "pneumonia")
INFO = DatasetInfo(name="shift tests", root="", task="binary", classes=CLASSES)
# What training sees in each shift, by the names of the files.
SHIFTS = {"NORMAL2-IM-, bacteria": r"^NORMAL2-IM-|_bacteria_", "IM-, virus": r"^IM-|_virus_"}
PARTS = ("train", "val", "shifted")
Scores = dict[str, npt.NDArray[Any]]


class Radiographs:
    """The training images of the Kaggle set with what their names tell of them."""

    def __init__(self, contract: Preprocessing) -> None:
        data = DataSettings(source=str(KERMANY))
        manifest = read_source(data)
        self.cache = PixelCache.build(manifest.locations, contract, 0, data.limits)
        self.names = np.array([Path(path).name for path in manifest.table["path"]])
        self.patients = manifest.table["patient"].to_numpy(dtype=str)
        self.targets = manifest.targets()

    def parts(self, shift: str, seed: int) -> dict[str, LabelledPixels]:
        """Training, validation and left-out images of a shift; no patient is in two of them."""
        known = np.array([bool(re.search(SHIFTS[shift], name)) for name in self.names])
        patients = np.unique(self.patients[known])
        chosen = np.random.default_rng((seed, 17)).permutation(patients)[: len(patients) // 5]
        held = np.isin(self.patients, chosen)
        masks = known & ~held, known & held, ~known & ~np.isin(self.patients, patients)
        return {name: self._split(np.flatnonzero(mask)) for name, mask in zip(PARTS, masks, strict=True)}

    def _split(self, rows: npt.NDArray[np.int64]) -> LabelledPixels:
        return LabelledPixels(self.cache.pixels, self.cache.rows[rows], self.targets[rows])


@lru_cache(maxsize=4)
def radiographs(contract: Preprocessing) -> Radiographs:
    """The images under a contract, read once a process."""
    return Radiographs(contract)


def answering(settings: RunSettings, network: Mapping[str, Tensor]) -> TrainedModel:
    """The network with these weights."""
    tensors = {name: value.float().numpy() for name, value in network.items()}
    return TrainedModel("binary", CLASSES, settings.train.network, settings.preprocessing, 0.5, tensors)


def ask(models: Sequence[TrainedModel], parts: Mapping[str, LabelledPixels]) -> Scores:
    """Probability of pneumonia by the mean logit of some models: of validation, left-out and corrupted images."""
    val, shifted = (parts[name].pixels[parts[name].rows] for name in ("val", "shifted"))
    rng = np.random.default_rng(5)
    scores: Scores = {
        "val": mean_answer(models, val),
        "shifted": mean_answer(models, shifted),
        "shifted_mirrored": mean_answer(models, shifted[..., ::-1].copy()),
        "corrupted": np.stack([mean_answer(models, corrupt_each(val, rng)) for _ in range(4)]),
        "framed": mean_answer(models, corrupt(val, "border", 3, rng)),
        "border": mean_answer(models, border_alone(val)),
    }
    return scores | {f"truth_{name}": parts[name].targets for name in ("val", "shifted")}


def border_alone(pixels: npt.NDArray[np.uint8], width: float = 0.1, grey: int = 110) -> npt.NDArray[np.uint8]:
    """The images with all but a border of that share of height and width in one grey."""
    hidden = pixels.copy()
    rows, columns = (round(width * side) for side in pixels.shape[-2:])
    hidden[..., rows:-rows, columns:-columns] = grey
    return hidden


def mean_answer(models: Sequence[TrainedModel], pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """Probability of pneumonia by the mean of the models' logits, shape (images,)."""
    logits = [logit(model.probabilities(pixels, batch_size=128)[:, 1]) for model in models]
    return np.asarray(1 / (1 + np.exp(-np.mean(logits, axis=0))))


def logit(probabilities: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Of probabilities that may be 0 or 1."""
    clipped = np.clip(probabilities, 1e-7, 1 - 1e-7)
    return np.asarray(np.log(clipped / (1 - clipped)))


def judged(scores: Mapping[str, Any]) -> dict[str, float]:
    """All that a row says of a model's answers, with four decimals."""
    return {name: round(float(value), 4) for name, value in (figures(scores) | choices(scores)).items()}


def figures(scores: Mapping[str, Any]) -> dict[str, float]:
    """AUROC on each kind of image, and the answers at the threshold that validation images choose."""
    validation, shifted = scores["val"], scores["shifted"]
    truth, truth_shifted = scores["truth_val"], scores["truth_shifted"]
    threshold = threshold_of(validation, truth)
    answers = shifted >= threshold
    sensitivity = answers[truth_shifted == 1].mean()
    specificity = 1 - answers[truth_shifted == 0].mean()
    mean = (shifted + scores["shifted_mirrored"]) / 2
    found = {
        "auroc": roc_auc_score(truth, validation),
        "auroc_shifted": roc_auc_score(truth_shifted, shifted),
        "auroc_shifted_mirrored": roc_auc_score(truth_shifted, mean),
        "auroc_corrupted": np.mean([roc_auc_score(truth, row) for row in scores["corrupted"]]),
        "threshold": threshold,
        "sensitivity_shifted": sensitivity,
        "specificity_shifted": specificity,
        "balanced_shifted": (sensitivity + specificity) / 2,
    }
    if "border" in scores:
        framed, border = scores["framed"], scores["border"]
        found["auroc_border"] = roc_auc_score(truth, border)
        found["log_loss_border"] = log_loss(both(border), truth, "binary")
        found["auroc_framed"] = roc_auc_score(truth, framed)
        found["balanced_framed"] = balanced_accuracy(np.array([threshold]), truth, framed)[0]
    if "shifted_last" in scores:
        found["auroc_shifted_last"] = roc_auc_score(truth_shifted, scores["shifted_last"])
    return found


def choices(scores: Mapping[str, Any]) -> dict[str, float]:
    """Ways to calibrate and to choose a threshold on validation, judged on the images left out."""
    shifted, validation = both(scores["shifted"]), both(scores["val"])
    truth, truth_shifted = scores["truth_val"], scores["truth_shifted"]
    stressed = both(np.concatenate([scores["val"], scores["corrupted"].ravel()]))
    stressed_truth = np.tile(truth, 1 + len(scores["corrupted"]))
    ways = {"none": (1.0, 0.0)}
    for name, probabilities, targets in (("", validation, truth), (" stressed", stressed, stressed_truth)):
        ways[f"line{name}"] = fit_calibration(probabilities, targets, "binary")
        # As for a multiclass task: the slope alone.
        ways[f"temperature{name}"] = fit_calibration(probabilities, targets, "multiclass")
    found: dict[str, float] = {}
    for name, line in ways.items():
        moved = recalibrate(shifted, "binary", *line)
        found[f"ece {name}"] = expected_calibration_error(moved[:, 1], truth_shifted)
        found[f"log loss {name}"] = log_loss(moved, truth_shifted, "binary")
    thresholds = {
        "half": 0.5,
        "validation": threshold_of(validation[:, 1], truth),
        "stressed": threshold_of(stressed[:, 1], stressed_truth),
    }
    for name, threshold in thresholds.items():
        found[f"balanced {name}"] = balanced_accuracy(np.array([threshold]), truth_shifted, shifted[:, 1])[0]
    return found | abstentions(scores, thresholds["stressed"])


def abstentions(scores: Mapping[str, Any], threshold: float) -> dict[str, float]:
    """What conformal limits of validation refer among the images left out, and what they let be answered wrongly."""
    names = np.array(CLASSES)
    truth, truth_shifted, shifted = scores["truth_val"], scores["truth_shifted"], scores["shifted"]
    validation = pd.DataFrame(both(scores["val"]), columns=probability_columns(INFO)).assign(
        split="val", label=names[truth]
    )
    predicted = (shifted >= threshold).astype(int)
    found: dict[str, float] = {}
    for rate in ALPHAS:
        least = least_probabilities(validation, INFO, rate)
        alone = prediction_sets(both(shifted), least)
        answered = (alone.sum(axis=1) == 1) & alone[np.arange(len(alone)), predicted]
        found[f"referred {rate}"] = 1 - answered.mean()
        found[f"answered wrongly {rate}"] = (answered & (predicted != truth_shifted)).mean()
    return found


def both(positive: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Probabilities of both classes."""
    return np.stack([1 - positive, positive], axis=1)


def threshold_of(positive: npt.NDArray[np.float64], truth: npt.NDArray[np.int64]) -> float:
    """The one that training would choose."""
    return balanced_threshold(truth[:, None], positive[:, None])
