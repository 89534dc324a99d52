"""The whole run, step by step: load, split, prepare, audit, train, keep, evaluate, report; and its first half."""

from __future__ import annotations

import logging
from pathlib import Path

import pandas as pd

from radlens.base.errors import UsageError
from radlens.config import RunSettings, resolve
from radlens.dataset.access_log import claim_keeping_ledger
from radlens.dataset.manifest import Manifest
from radlens.dataset.sources import read_source
from radlens.delivery.release import add_framing, add_metrics
from radlens.delivery.torch_model import trained_model
from radlens.learning.networks import check_network
from radlens.learning.process_settings import process_settings
from radlens.runtime.model_folder import hash_weights, read_model_folder
from radlens.runtime.predictor import Predictor
from radlens.workflows.judge import measure_split_framing, predict_split, write_down_opening, write_evidence
from radlens.workflows.load import load
from radlens.workflows.options import check_folder, settings_of
from radlens.workflows.prepare import Prepared, part, prepare, read_images, write_start
from radlens.workflows.result import Result
from radlens.workflows.train_model import train_model

logger = logging.getLogger(__name__)


# Small enough for a minute on two cores, hard enough that the model makes mistakes to look at.
DEMO_SETTINGS = ("data.phantom.images=800", "data.phantom.size=160", "train.batch_size=16")


def run(
    source: str | Path | None = None,
    out: str | Path = "runs/latest",
    *,
    preset: str | None = None,
    model: str | None = None,
    seed: int | None = None,
    config: str | Path | None = None,
    settings: tuple[str, ...] | list[str] = (),
    allow: tuple[str, ...] | list[str] = (),
    overwrite: bool = False,
    resume: bool = False,
) -> Result:
    """Carry out the whole workflow: load, look, split, augment, train, evaluate, report.

    Args:
        source: folder, CSV, ``.npz`` or name; None: what ``config`` names.
        out: the run folder to make.
        preset: ``fast``, ``best`` or ``baseline``.
        model: network to train, by name.
        seed: every random choice follows from it.
        config: YAML file of settings, such as an earlier run's ``config.yaml``.
        settings: further settings as ``section.key=value``.
        allow: checks of the audit whose blocking findings shall not stop the run, such as ``leak``; written down.
        overwrite: replace what lies in ``out``.
        resume: go on with the stopped run in ``out``; the other arguments are then not needed.

    Returns:
        The run folder and what lies in it.

    Raises:
        UsageError: a setting cannot be used, or ``out`` is not empty.
        DataError: the images or labels cannot be used.
        TrainingInterruptedError: Ctrl-C ended the training; the best model so far is kept, and ``resume`` goes on.
    """
    folder = Path(out)
    if resume:
        chosen, prepared = _begin_again(folder)
    else:
        chosen, prepared = _begin(folder, settings_of(source, preset, model, seed, config, settings, allow), overwrite)
    with process_settings(chosen.train):
        fitted, validation = train_model(chosen, prepared, folder)
        model_config, tensors = read_model_folder(folder)
        write_down_opening("run --resume" if resume else "run", hash_weights(folder), prepared, folder)
        trained = trained_model(model_config, tensors)
        test = predict_split(trained, model_config, prepared, "test")
        predictions = pd.concat([validation, test], ignore_index=True)
        threshold = model_config.threshold
        result = write_evidence(chosen, prepared, predictions, threshold, folder, fitted, trained, "run", folder)
        add_metrics(folder, result.metrics)
        return result


def train(
    source: str | Path | None = None,
    out: str | Path = "runs/latest",
    *,
    preset: str | None = None,
    model: str | None = None,
    seed: int | None = None,
    config: str | Path | None = None,
    settings: tuple[str, ...] | list[str] = (),
    allow: tuple[str, ...] | list[str] = (),
    overwrite: bool = False,
    resume: bool = False,
) -> Predictor:
    """Carry out the workflow up to the trained model, without looking at the test images; see :func:`run`.

    The framing suite is carried out on validation images, and the model's config and card tell of it.
    """
    folder = Path(out)
    if resume:
        chosen, prepared = _begin_again(folder)
    else:
        chosen, prepared = _begin(folder, settings_of(source, preset, model, seed, config, settings, allow), overwrite)
    with process_settings(chosen.train):
        _, validation = train_model(chosen, prepared, folder)
        trained = trained_model(*read_model_folder(folder))
        framing = measure_split_framing(chosen, prepared, validation, trained, "val", after_training=True)
    if framing is not None:
        add_framing(folder, "val", framing)
    return load(folder)


def demo(out: str | Path, *, seed: int = 0, overwrite: bool = False) -> Result:
    """The whole workflow on simulated chest radiographs, offline, in about a minute on two CPU cores."""
    return run("phantom", out, preset="fast", seed=seed, settings=DEMO_SETTINGS, overwrite=overwrite)


def _begin(folder: Path, chosen: RunSettings, overwrite: bool) -> tuple[RunSettings, Prepared]:
    """Steps 1 to 4: images and labels, splits, pixels, audit; then the run folder is made to hold them."""
    check_network(chosen.train.network, chosen.preprocessing.shape)
    check_folder(folder, overwrite, chosen.data.source)
    manifest = read_source(chosen.data)
    cache = read_images(manifest, chosen.data, chosen.preprocessing)
    manifest, cache, duplicates = part(manifest, cache, chosen)
    prepared = prepare(manifest, cache, chosen.data, chosen.seed, duplicates=duplicates)
    claim_keeping_ledger(folder, overwrite=overwrite)
    write_start(folder, chosen, manifest, prepared)
    return chosen, prepared


def _begin_again(folder: Path) -> tuple[RunSettings, Prepared]:
    if not (folder / "config.yaml").is_file():
        raise UsageError(f"There is no stopped run in {folder} to go on with: it has no config.yaml.")
    if (folder / "folds").is_dir():
        raise UsageError(f"{folder} is a cross-validation. To go on with it, say so: radlens run --resume --folds N")
    chosen = resolve(file=folder / "config.yaml")
    logger.info("Going on with the run in %s", folder)
    manifest = Manifest.read(folder)
    cache = read_images(manifest, chosen.data, chosen.preprocessing)
    return chosen, prepare(manifest, cache, chosen.data, chosen.seed)
