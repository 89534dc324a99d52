"""From prepared images to a model folder: trained, calibrated, its operating point chosen on validation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from radlens.base.errors import TrainingInterruptedError
from radlens.base.version import __version__
from radlens.config import RunSettings
from radlens.dataset.audit.picture_hash import picture_hashes
from radlens.delivery.export import parity_images
from radlens.delivery.release import describe_data, release_if_possible
from radlens.learning.data_module import LabelledPixels
from radlens.learning.fit import Fitted, fit
from radlens.learning.out_of_distribution import OodDetector
from radlens.learning.trained_model import TrainedModel
from radlens.runtime.model_config import ModelConfig
from radlens.runtime.model_folder import join_tensors
from radlens.runtime.training_images import write_training_images
from radlens.workflows.calibrate import choose
from radlens.workflows.prepare import Prepared


def train_model(settings: RunSettings, prepared: Prepared, folder: Path) -> tuple[Fitted, pd.DataFrame]:
    """Train, choose the operating point on validation and keep the model; with what it says of validation."""
    info = prepared.manifest.info
    split = prepared.manifest.table["split"].to_numpy(dtype=str)
    # 1. What tells unfamiliar images: first, so that what it lacks is said before the hours of training.
    ood_detector = _ood_detector(settings, prepared.split("train"))
    # 2. Train.
    fitted = fit(settings, info.task, info.classes, prepared.split("train"), prepared.split("val"), folder)
    tensors = {name: value.numpy() for name, value in fitted.network.items()}
    trained = TrainedModel(
        info.task,
        info.classes,
        settings.train.network,
        settings.preprocessing,
        0.5,
        tensors,
        ood_detector=ood_detector,
        flip_tta=settings.evaluate.flip_tta,
    )
    # 3. Calibrate and choose the operating point on validation images.
    calibrated = choose(
        trained, prepared.manifest.only(split == "val"), prepared.split("val"), settings.evaluate, settings.seed
    )
    # 4. Keep the model: what was trained, what was chosen on validation, what the data were.
    data = describe_data(prepared.manifest, prepared.cache.digests)
    config = ModelConfig(
        radlens_version=__version__,
        network=settings.train.network,
        preprocessing=settings.preprocessing,
        limits=settings.data.limits,
        flip_tta=settings.evaluate.flip_tta,
        seed=settings.seed,
        best_epoch=fitted.best_epoch,
        **calibrated.part,
        task=info.task,
        classes=info.classes,
        simulated=info.simulated,
        trained_on=" ".join(text for text in (data.name, data.source, data.licence, data.citation) if text),
        training_data=data,
    )
    used = prepared.cache.only(np.isin(split, ("train", "val")))
    write_training_images(folder / "model", used.digests, picture_hashes(used.pixels, used.rows))
    if ood_detector is not None:
        tensors = dict(join_tensors(tensors, ood_detector.statistics()))
    pixels, source = parity_images(settings.preprocessing, prepared.cache, split)
    release_if_possible(folder / "model", config, tensors, pixels, source)
    if fitted.interrupted:
        raise TrainingInterruptedError(
            f"Training was interrupted after epoch {fitted.epochs} of {settings.train.epochs}. The best model so far "
            f"(epoch {fitted.best_epoch}) is kept: radlens evaluate {folder} SOURCE --out DIR uses it, and "
            f"radlens run --resume --out {folder} goes on."
        )
    return fitted, calibrated.validation


def _ood_detector(settings: RunSettings, train: LabelledPixels) -> OodDetector | None:
    """What tells unfamiliar images from those of training, where the settings ask for it."""
    if not settings.evaluate.ood_rate:
        return None
    return OodDetector.fit(settings.preprocessing.shape, train.pixels, train.rows, settings.seed)
