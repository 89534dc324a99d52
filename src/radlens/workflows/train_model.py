"""From prepared images to a model folder: trained, calibrated, its operating point chosen on validation."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from radlens.base.errors import TrainingInterruptedError
from radlens.base.version import __version__
from radlens.config import RunSettings
from radlens.dataset.audit.picture_hash import picture_hashes
from radlens.delivery.export import parity_images
from radlens.delivery.release import describe_data, release_if_possible
from radlens.learning.data_module import LabelledPixels
from radlens.learning.familiarity import Familiarity
from radlens.learning.fit import Fitted, fit
from radlens.learning.trained_model import TrainedModel
from radlens.runtime.model_folder import ModelConfig, join_tensors
from radlens.runtime.training_images import write_training_images
from radlens.workflows.calibrate import choose
from radlens.workflows.prepare import Prepared


def train_model(settings: RunSettings, prepared: Prepared, folder: Path) -> tuple[Fitted, pd.DataFrame]:
    """Train, choose the operating point on validation and keep the model; with what it says of validation."""
    info = prepared.manifest.info
    # First, so that what it lacks is said before the hours of training.
    familiarity = _familiarity(settings, prepared.split("train"))
    fitted = fit(settings, info.task, info.classes, prepared.split("train"), prepared.split("val"), folder)
    tensors = {name: value.numpy() for name, value in fitted.network.items()}
    network, mirror = settings.train.network, settings.evaluate.mirror
    trained = TrainedModel(
        info.task,
        info.classes,
        network,
        settings.preprocessing,
        0.5,
        tensors,
        familiarity=familiarity,
        mirror=mirror,
    )
    validation = prepared.manifest.only((prepared.manifest.table["split"] == "val").to_numpy())
    chosen = choose(trained, validation, prepared.split("val"), settings.evaluate, settings.seed)
    data = describe_data(prepared.manifest, prepared.cache.digests)
    model_config = ModelConfig(
        radlens_version=__version__,
        task=info.task,
        classes=info.classes,
        network=network,
        preprocessing=settings.preprocessing,
        threshold=chosen.threshold,
        calibration_slope=chosen.calibration.slope,
        calibration_offset=chosen.calibration.offset,
        calibration_map=chosen.calibration if chosen.calibration.kind in ("beta", "isotonic") else None,
        calibration_losses=chosen.losses,
        mirror=mirror,
        operating_point=chosen.operating_point,
        operating_points=chosen.operating_points,
        operating_point_bounds=chosen.operating_point_bounds,
        abstention=chosen.abstention,
        trained_on=" ".join(part for part in (data.name, data.source, data.licence, data.citation) if part),
        simulated=info.simulated,
        seed=settings.seed,
        best_epoch=fitted.best_epoch,
        training_data=data,
    )
    used = prepared.cache.only(prepared.manifest.table["split"].isin(("train", "val")).to_numpy())
    write_training_images(folder / "model", used.digests, picture_hashes(used.pixels, used.rows))
    if familiarity is not None:
        tensors = dict(join_tensors(tensors, familiarity.statistics()))
    split = prepared.manifest.table["split"].to_numpy(dtype=str)
    pixels, source = parity_images(settings.preprocessing, prepared.cache, split)
    release_if_possible(folder / "model", model_config, tensors, pixels, source)
    if fitted.interrupted:
        raise TrainingInterruptedError(
            f"Training was interrupted after epoch {fitted.epochs} of {settings.train.epochs}. The best model so far "
            f"(epoch {fitted.best_epoch}) is kept: radlens evaluate {folder} SOURCE --out DIR uses it, and "
            f"radlens run --resume --out {folder} goes on."
        )
    return fitted, chosen.validation


def _familiarity(settings: RunSettings, train: LabelledPixels) -> Familiarity | None:
    """What tells unfamiliar images from those of training, where the settings ask for it."""
    if not settings.evaluate.refuse:
        return None
    return Familiarity.fit(settings.preprocessing.shape, train.pixels, train.rows, settings.seed)
