"""The whole run in ten numbered steps, from labelled images to a report; its first part, training; and the demo."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Unpack

import pandas as pd

from radlens.base.errors import UsageError
from radlens.base.files import BLOCKED_FILE, claim_output, is_blocked
from radlens.base.folder_lock import writes_folder
from radlens.base.signatures import spelled_out
from radlens.config import RunSettings
from radlens.dataset.manifest import Manifest
from radlens.dataset.sources import read_source
from radlens.delivery.release import add_framing, add_metrics
from radlens.delivery.torch_model import trained_model
from radlens.learning.networks import check_network
from radlens.learning.process_settings import process_settings
from radlens.runtime.model_folder import hash_weights, read_model_folder
from radlens.runtime.predictor import Predictor
from radlens.workflows.blocked import keep_blocked, read_audit
from radlens.workflows.depth import has_undeclared, read_on_one_scale
from radlens.workflows.judge import (
    log_test_access,
    measure_split_framing,
    predict_split,
    require_subgroups,
    write_evidence,
)
from radlens.workflows.judged import Judged
from radlens.workflows.load import load
from radlens.workflows.options import RunKeywords, RunOptions, check_folder, settings_of, settings_to_resume
from radlens.workflows.prepare import Prepared, part, prepare, read_images, write_start
from radlens.workflows.result import Result
from radlens.workflows.train_model import train_model

logger = logging.getLogger(__name__)


# Small enough for a minute on two cores, hard enough that the model makes mistakes to look at.
DEMO_SETTINGS = ("data.phantom.images=800", "data.phantom.size=160", "train.batch_size=16")


@spelled_out(RunOptions)
@writes_folder()
def run(source: str | Path | None = None, out: str | Path = "runs/latest", **options: Unpack[RunKeywords]) -> Result:
    """Carry out the whole workflow: load, look, split, augment, train, evaluate, report.

    Args:
        source: folder, CSV, ``.npz`` or name; None: what ``config`` names, or what the run to go on with was made of.
        out: the run folder to make.
        options: see :class:`radlens.workflows.options.RunOptions`.

    Returns:
        The run folder and what lies in it.

    Raises:
        UsageError: a setting cannot be used, or ``out`` is not empty.
        DataError: the images or labels cannot be used.
        TrainingInterruptedError: Ctrl-C ended the training; the best model so far is kept, and ``resume`` goes on.
    """
    folder, resume = Path(out), options.get("resume", False)
    # Steps 1 to 6: settings, manifest, pixels, splits, audit, run folder.
    settings, prepared = _start(source, folder, RunOptions(**options))
    with process_settings(settings.train):
        # 7. Train; choose calibration and operating point on validation images; keep the model.
        fitted, validation = train_model(settings, prepared, folder)
        # 8. Answer for the test images; that they are looked at is written down before.
        config, tensors = read_model_folder(folder)
        log_test_access("run --resume" if resume else "run", hash_weights(folder), prepared, folder)
        model = trained_model(config, tensors)
        predictions = pd.concat([validation, predict_split(model, config, prepared, "test")], ignore_index=True)
        # 9. Judge the answers: predictions, metrics, subgroups, errors, report.
        judged = Judged("run", predictions, config.threshold, model, model_at=folder, fitted=fitted)
        result = write_evidence(settings, prepared, judged, folder)
    # 10. The model folder tells how good the model is.
    add_metrics(folder, result.metrics)
    return result


@spelled_out(RunOptions)
@writes_folder()
def train(
    source: str | Path | None = None, out: str | Path = "runs/latest", **options: Unpack[RunKeywords]
) -> Predictor:
    """Carry out the workflow up to the trained model, without looking at the test images; see :func:`run`.

    The framing suite is carried out on validation images, and the model's config and card tell of it.
    """
    folder = Path(out)
    # Steps 1 to 7, as in a run.
    settings, prepared = _start(source, folder, RunOptions(**options))
    with process_settings(settings.train):
        _, validation = train_model(settings, prepared, folder)
        # 8. The model folder tells how the answers hang on the framing of validation images.
        model = trained_model(*read_model_folder(folder))
        framing = measure_split_framing(settings, prepared, validation, model, "val", after_training=True)
    if framing is not None:
        add_framing(folder, "val", framing)
    return load(folder)


def demo(out: str | Path, *, seed: int = 0, overwrite: bool = False) -> Result:
    """The whole workflow on simulated chest radiographs, offline, in about a minute on two CPU cores."""
    return run("phantom", out, preset="fast", seed=seed, settings=DEMO_SETTINGS, overwrite=overwrite)


def _start(source: str | Path | None, folder: Path, options: RunOptions) -> tuple[RunSettings, Prepared]:
    """Steps 1 to 6: the settings, and images that are ready to train on, in a run folder made to hold what follows."""
    if options.resume:
        return _start_again(source, folder, options)
    # 1. Settings, and whether they can be followed.
    settings = settings_of(source, options)
    check_network(settings.train.network, settings.preprocessing.shape)
    check_folder(folder, options.overwrite, settings.data.source)
    # 2. Which images there are, whose, labelled what.
    manifest = read_source(settings.data)
    # 3. Their pixels.
    given = settings
    settings, cache = read_on_one_scale(manifest, given, read_images)
    # 4. Training, validation and test images; what is white in undeclared depths is for the training images to say.
    manifest, cache, duplicates = part(manifest, cache, settings)
    if has_undeclared(cache):
        settings, cache = read_on_one_scale(manifest, given, read_images)
    # 5. The audit, which may stop the run.
    keep = keep_blocked(folder, settings, manifest, cache)
    prepared = prepare(manifest, cache, settings.data, settings.seed, duplicates=duplicates, keep=keep)
    require_subgroups(prepared.manifest, settings.evaluate.subgroups)
    # 6. The run folder, with all that the run starts from.
    claim_output(folder, overwrite=options.overwrite)
    write_start(folder, settings, manifest, prepared)
    return settings, prepared


def _start_again(source: str | Path | None, folder: Path, options: RunOptions) -> tuple[RunSettings, Prepared]:
    """Steps 1 to 6 of a stopped run, with settings, splits and audit as they are in its folder.

    What the audit stopped goes on where ``options.allow`` names its findings.
    """
    if not (folder / "config.yaml").is_file():
        raise UsageError(f"There is no stopped run in {folder} to go on with: it has no config.yaml.")
    if (folder / "folds").is_dir():
        raise UsageError(f"{folder} is a cross-validation. To go on with it, say so: radlens run --resume --folds N")
    settings = settings_to_resume(folder, source, options)
    logger.info("Going on with the run in %s", folder)
    was_blocked = is_blocked(folder)
    if was_blocked:
        allowed = tuple(dict.fromkeys((*settings.data.allow, *options.allow)))
        settings = settings.model_copy(update={"data": settings.data.model_copy(update={"allow": allowed})})
    manifest = Manifest.read(folder)
    cache = read_images(manifest, settings.data, settings.preprocessing)
    keep = (lambda _: folder / "audit.html") if was_blocked else keep_blocked(folder, settings, manifest, cache)
    prepared = prepare(manifest, cache, settings.data, settings.seed, keep=keep, known=read_audit(folder))
    if was_blocked:
        write_start(folder, settings, manifest, prepared)
        (folder / BLOCKED_FILE).unlink()
    return settings, prepared
