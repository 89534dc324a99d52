"""The verbs, and the whole run, step by step: load, split, prepare, audit, train, keep, evaluate, report."""

from __future__ import annotations

import logging
from pathlib import Path

import pandas as pd

from radlens.arguments import check_folder, settings_of
from radlens.assessment.opening_ledger import claim_keeping_ledger
from radlens.config import RunSettings, resolve
from radlens.dataset.audit import Audit
from radlens.dataset.audit import audit as audit_manifest
from radlens.dataset.manifest import Manifest
from radlens.dataset.sources import read_source
from radlens.delivery.export import export as export_model
from radlens.delivery.hub import files_to_send
from radlens.delivery.hub import push as push_model
from radlens.delivery.model_folder import find_model, hash_weights, read_model_folder
from radlens.delivery.predictor import Predictor
from radlens.delivery.release import Kind, add_framing, add_metrics
from radlens.delivery.torch_model import trained_model
from radlens.errors import UsageError
from radlens.evidence import measure_split_framing, predict_split, write_down_opening, write_evidence
from radlens.files import claim_output
from radlens.imaging.cache import PixelCache
from radlens.learning.networks import check_network
from radlens.loading import load
from radlens.preparing import Prepared, named, part, prepare, read_images, write_audit, write_start
from radlens.result import Result
from radlens.training import train_model

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
    _, validation = train_model(chosen, prepared, folder)
    trained = trained_model(*read_model_folder(folder))
    framing = measure_split_framing(chosen, prepared, validation, trained, "val", after_training=True)
    if framing is not None:
        add_framing(folder, "val", framing)
    return load(folder)


def index(
    source: str | Path,
    out: str | Path,
    *,
    config: str | Path | None = None,
    settings: tuple[str, ...] | list[str] = (),
    overwrite: bool = False,
) -> Manifest:
    """Read a source and write ``manifest.csv`` and ``dataset.yaml``; the folder is itself a source.

    Raises:
        UsageError: a setting cannot be used, or ``out`` is not empty.
        DataError: the images or labels cannot be used.
    """
    chosen = settings_of(source, None, None, None, config, settings)
    manifest = read_source(chosen.data)
    manifest.write(claim_output(Path(out), overwrite=overwrite))
    return manifest


def audit(
    source: str | Path,
    out: str | Path | None = None,
    *,
    seed: int | None = None,
    config: str | Path | None = None,
    settings: tuple[str, ...] | list[str] = (),
    overwrite: bool = False,
) -> Audit:
    """Find what would fool a classifier or its judges: leaks, duplicates, wrong labels, shortcuts, drift.

    Args:
        source: folder, CSV, ``.npz`` or name.
        out: folder for ``audit.json``, the page ``audit.html``, the manifest and ``rejected.csv``; None: nowhere.
        seed: what the cross-validation of the shortcut models follows from.
        config: YAML file of settings.
        settings: further settings as ``section.key=value``.
        overwrite: replace what lies in ``out``.

    Raises:
        UsageError: a setting cannot be used, or ``out`` is not empty.
        DataError: the images or labels cannot be used.
    """
    chosen = settings_of(source, None, None, seed, config, settings)
    if out is not None:
        check_folder(Path(out), overwrite, chosen.data.source)
    manifest = read_source(chosen.data)
    cache = PixelCache.build(manifest.locations, chosen.preprocessing, chosen.data.workers, chosen.data.limits)
    rejected = named(manifest, cache)
    found = audit_manifest(manifest, rejected, cache, chosen.seed, chosen.data.allow)
    if out is not None:
        write_audit(claim_output(Path(out), overwrite=overwrite), manifest, found, rejected, chosen.data.limits)
    return found


def demo(out: str | Path, *, seed: int = 0, overwrite: bool = False) -> Result:
    """The whole workflow on simulated chest radiographs, offline, in about a minute on two CPU cores."""
    return run("phantom", out, preset="fast", seed=seed, settings=DEMO_SETTINGS, overwrite=overwrite)


def export(model: str | Path, out: str | Path | None = None, *, float16: bool = False, int8: bool = False) -> Path:
    """Write the model folder of a run, or an earlier model folder, anew: weights, ONNX graph and card, all checked.

    Args:
        model: a run folder, a model folder or the name of a model that comes with radlens.
        out: a new folder for it; None: where it lies.
        float16: store the weights in half precision, if that changes next to nothing on the run's validation images.
        int8: store those of the graph as 8-bit integers, likewise.

    Returns:
        The model folder.

    Raises:
        UsageError: ``out`` exists, or smaller weights are asked for where there are no images of a run.
        DataError: the model is damaged, cannot be written as ONNX, or its graph does not answer as PyTorch does.
    """
    wanted: dict[Kind, bool] = {"float16": float16, "int8": int8}
    smaller = [kind for kind, asked in wanted.items() if asked]
    return export_model(find_model(model), None if out is None else Path(out), smaller)


def push(model: str | Path, name: str, *, private: bool = False, dry_run: bool = False) -> list[Path]:
    """Send a model folder to the Hugging Face hub.

    Args:
        model: a run folder, a model folder or the name of a model that comes with radlens.
        name: ``owner/name``.
        private: of a repository that is made: whether only its owners see it.
        dry_run: send nothing.

    Returns:
        The files that were, or would be, sent.

    Raises:
        UsageError: the name is none of the hub.
        DataError: there is no model, or it is damaged.
        RadlensError: huggingface_hub or a token is missing, or the hub refuses.
    """
    folder = find_model(model)
    files = files_to_send(folder)
    if not dry_run:
        logger.info("Sent to %s", push_model(folder, name, private=private))
    return files


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
