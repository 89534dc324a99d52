"""What a network's scores mean, chosen on validation images: temperature, default threshold, stated targets."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
import pandas as pd

from radlens.assessment.calibration import fit_temperature
from radlens.assessment.operating_point import SENSITIVITIES, choose_threshold, threshold_for_sensitivity
from radlens.assessment.predictions import predictions_table, probabilities_of, targets_of
from radlens.config import EvaluateSettings
from radlens.dataset.manifest import Manifest
from radlens.decision import temper
from radlens.learning.corruptions import corrupt_each
from radlens.learning.data_module import LabelledPixels
from radlens.learning.trained_model import TrainedModel

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Chosen:
    """What travels with the model.

    Attributes:
        temperature: that the logits are divided by.
        threshold: the default operating point.
        operating_points: thresholds by what they are for, such as ``sensitivity 0.95``; binary tasks alone.
        validation: predictions on the validation images, at this temperature and threshold.
    """

    temperature: float
    threshold: float
    operating_points: dict[str, float]
    validation: pd.DataFrame


def choose(
    model: TrainedModel, manifest: Manifest, images: LabelledPixels, settings: EvaluateSettings, seed: int
) -> Chosen:
    """Choose on the validation images, and on corrupted copies of them where the settings ask for that.

    Copies under other exposures, noise, sharpness and positions stand in for what other equipment and another time
    make of an image; a threshold between the scores of clean validation images alone is too close to them.

    Args:
        model: the trained network, at temperature 1.
        manifest: the validation images.
        images: their pixels, in the same order.
        settings: what to choose, and by how many copies of each image.
        seed: what the corruptions follow from.
    """
    info = manifest.info
    pixels = images.pixels[images.rows]
    raw = [model.probabilities(pixels)]
    for copy in range(settings.stress):
        changed = corrupt_each(pixels, np.random.default_rng((seed, 11, copy)))
        raw.append(model.probabilities(changed))
    tables = [predictions_table(manifest, scores) for scores in raw]
    temperature = 1.0
    if settings.calibration == "temperature":
        together = pd.concat(tables, ignore_index=True)
        temperature = fit_temperature(probabilities_of(together, info), targets_of(together, info), info.task)
    tempered = [temper(scores, info.task, temperature) if temperature != 1 else scores for scores in raw]
    judged = pd.concat([predictions_table(manifest, scores) for scores in tempered], ignore_index=True)
    threshold = choose_threshold(settings.threshold, judged, info)
    points = {}
    if info.task == "binary":
        points = {
            f"sensitivity {target:g}": threshold_for_sensitivity(target, judged, info) for target in SENSITIVITIES
        }
    logger.info(
        "Chosen on %d validation images%s: threshold %.3f, temperature %.2f",
        len(manifest),
        f" and {settings.stress} corrupted copies of each" if settings.stress else "",
        threshold,
        temperature,
    )
    return Chosen(temperature, threshold, points, predictions_table(manifest, tempered[0], threshold))
