"""The whole run, step by step: load, split, prepare, audit, train, keep, evaluate, report."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from radlens.assessment.opening_ledger import claim_keeping_ledger
from radlens.config import RunSettings, resolve
from radlens.dataset.audit import CHECKS, Audit
from radlens.dataset.audit import audit as audit_manifest
from radlens.dataset.manifest import Manifest
from radlens.dataset.sources import NAMED_SOURCES, read_source
from radlens.delivery.export import export as export_model
from radlens.delivery.hub import files_to_send
from radlens.delivery.hub import push as push_model
from radlens.delivery.model_folder import ModelConfig, find_model, hash_weights, read_model_folder, run_of
from radlens.delivery.predictor import Predictor
from radlens.delivery.release import Kind, add_metrics
from radlens.delivery.torch_model import trained_model
from radlens.delivery.training_images import read_training_images
from radlens.errors import DataError, UsageError, did_you_mean
from radlens.files import check_output, claim_output
from radlens.imaging.cache import PixelCache
from radlens.learning.networks import check_network
from radlens.loading import load
from radlens.outside import evaluate_outside, is_predictions_file
from radlens.result import Result
from radlens.stages import (
    Prepared,
    named,
    part,
    predict_split,
    prepare,
    read_images,
    train_model,
    write_audit,
    write_down_opening,
    write_evidence,
    write_start,
)

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
    """Carry out the workflow up to the trained model, without looking at the test images; see :func:`run`."""
    folder = Path(out)
    if resume:
        chosen, prepared = _begin_again(folder)
    else:
        chosen, prepared = _begin(folder, settings_of(source, preset, model, seed, config, settings, allow), overwrite)
    train_model(chosen, prepared, folder)
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
        _check_folder(Path(out), overwrite, chosen.data.source)
    manifest = read_source(chosen.data)
    cache = PixelCache.build(manifest.locations, chosen.preprocessing, chosen.data.workers, chosen.data.limits)
    rejected = named(manifest, cache)
    found = audit_manifest(manifest, rejected, cache, chosen.seed, chosen.data.allow)
    if out is not None:
        write_audit(claim_output(Path(out), overwrite=overwrite), manifest, found, rejected, chosen.data.limits)
    return found


def evaluate(
    model: str | Path,
    source: str | Path | None,
    out: str | Path,
    *,
    split: str | None = None,
    config: str | Path | None = None,
    settings: tuple[str, ...] | list[str] = (),
    allow: tuple[str, ...] | list[str] = (),
    overwrite: bool = False,
) -> Result:
    """Score a trained model on labelled images it has never seen, at the operating point that it carries.

    Or judge what another program predicted: then the operating point is the one stated (``evaluate.threshold``), that
    of the file (columns ``threshold`` or ``predicted``), one chosen on its validation rows, or 0.5, which is said.

    Args:
        model: a run folder, a model folder, the name of a model that comes with radlens, or a CSV of predictions.
        source: labelled images of the same classes; None only for a CSV that holds the labels itself.
        out: the folder to make.
        split: ``train``, ``val``, ``test`` or ``all``; None: test when the source has one, else all.
        config: YAML file of settings.
        settings: further settings as ``section.key=value``.
        allow: checks of the audit whose blocking findings shall not stop the evaluation; written down.
        overwrite: replace what lies in ``out``.

    Raises:
        UsageError: a setting cannot be used, or ``out`` is not empty.
        DataError: the model or the images cannot be used, or the classes differ.
    """
    folder = Path(out)
    chosen = settings_of(source, None, None, None, config, settings, allow)
    if is_predictions_file(model):
        _check_folder(folder, overwrite, chosen.data.source, model)
        asked = any(text.partition("=")[0].strip() == "evaluate.threshold" for text in settings)
        asked |= config is not None and chosen.evaluate.threshold != "balanced"
        options = {"with_source": source is not None, "threshold_asked": asked, "overwrite": overwrite}
        return evaluate_outside(Path(model), chosen, folder, split=split, **options)
    _require_own_operating_point(settings)
    if source is None:
        raise UsageError("A model is evaluated on labelled images: give a SOURCE. Only a CSV of predictions has none.")
    model = find_model(model)
    model_config, tensors = read_model_folder(model)
    trained = trained_model(model_config, tensors)
    chosen = chosen.model_copy(update={"preprocessing": model_config.preprocessing})
    _check_folder(folder, overwrite, chosen.data.source, model)
    manifest, name = _select(_for_model(read_source(chosen.data), model_config), split)
    trained_on = read_training_images(model)
    manifest = manifest.with_notes(*filter(None, (trained_on.unknown(),)))
    cache = read_images(manifest, chosen.data, model_config.preprocessing)
    prepared = prepare(manifest, cache, chosen.data, chosen.seed, trained_on)
    claim_keeping_ledger(folder, overwrite=overwrite)
    write_start(folder, chosen, manifest, prepared)
    if name == "test":
        write_down_opening("evaluate", hash_weights(model), prepared, folder, run_of(model))
    predictions = predict_split(trained, model_config, prepared, name)
    return write_evidence(chosen, prepared, predictions, model_config.threshold, folder, None, trained, "model", model)


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
    _check_folder(folder, overwrite, chosen.data.source)
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


def _check_folder(folder: Path, overwrite: bool, *needed: str | Path | None) -> None:
    """The output may neither hold what must be kept nor what is read."""
    check_output(folder, overwrite=overwrite)
    for path in needed:
        if path is not None and Path(path).exists() and Path(path).resolve().is_relative_to(folder.resolve()):
            raise UsageError(f"The output folder {folder} holds {path}, which is read. Choose another --out.")


def settings_of(
    source: str | Path | None,
    preset: str | None,
    model: str | None,
    seed: int | None,
    config: str | Path | None,
    settings: tuple[str, ...] | list[str],
    allow: tuple[str, ...] | list[str] = (),
) -> RunSettings:
    """The settings of a command, with a source that can be found again from another folder.

    Raises:
        UsageError: a setting cannot be used, or a check to allow does not exist.
    """
    given = None if source is None else str(source)
    if given is not None and given.casefold() not in NAMED_SOURCES and Path(given).expanduser().exists():
        # The settings are written down and used again from other folders.
        given = str(Path(given).expanduser().resolve())
    chosen = resolve(
        preset,
        Path(config) if config else None,
        tuple(settings),
        seed=seed,
        data={"source": given, "allow": tuple(allow) or None},
        train={"network": model},
    )
    strange = [name for name in chosen.data.allow if name not in CHECKS]
    if strange:
        raise UsageError(f"The audit has no check named {strange[0]!r} to allow. {did_you_mean(strange[0], CHECKS)}")
    return chosen


def _select(manifest: Manifest, split: str | None) -> tuple[Manifest, str]:
    """The images to evaluate and the split they are reported as; all images together are a test of the model."""
    present = set(manifest.table["split"]) - {""}
    wanted = split or ("test" if "test" in present else "all")
    if wanted == "all":
        return manifest.with_split(["test"] * len(manifest)), "test"
    if wanted not in present:
        raise UsageError(
            f"The source has no split {wanted!r}. It has: {', '.join(sorted(present)) or 'no splits'}. "
            "Use --split all for every image."
        )
    return manifest.only((manifest.table["split"] == wanted).to_numpy()), wanted


def _require_own_operating_point(settings: Sequence[str]) -> None:
    """Nothing is chosen on the images that a model is judged on.

    Raises:
        UsageError: a setting asks for it.
    """
    chosen = ("evaluate.threshold", "evaluate.calibration", "evaluate.mirror")
    asked = [name for name in chosen if any(text.partition("=")[0].strip() == name for text in settings)]
    if asked:
        raise UsageError(
            f"{asked[0]} has no effect here: the model carries what was chosen on its validation images, and nothing "
            "is chosen on the images that it is judged on. Train with that setting; or judge the answers at another "
            "threshold: radlens evaluate OUT/predictions.csv --set evaluate.threshold=NUMBER --out DIR"
        )


def _for_model(manifest: Manifest, model: ModelConfig) -> Manifest:
    """The same images with the model's class names and order.

    Raises:
        DataError: the classes or the task differ.
    """
    same = {name.casefold(): name for name in model.classes}
    if manifest.info.task != model.task or {name.casefold() for name in manifest.info.classes} != set(same):
        raise DataError(
            f"The source has the {manifest.info.task} classes {', '.join(manifest.info.classes)}; the model answers "
            f"the {model.task} classes {', '.join(model.classes)}. Rename the class folders or labels to the model's."
        )
    label = manifest.table["label"].map(
        lambda cell: "|".join(same[part.casefold()] for part in cell.split("|") if part)
    )
    info = manifest.info.model_copy(update={"classes": model.classes})
    return Manifest(manifest.table.assign(label=label), info)
