"""The stages of a run, between the verbs of the workflow and the rooms that do the work."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from radlens.assessment.evaluate import evaluate as evaluate_predictions
from radlens.assessment.evaluate import write_metrics
from radlens.assessment.failure_reasons import FAILURE_COLUMNS
from radlens.assessment.label_suspects import find_label_suspects
from radlens.assessment.opening_ledger import new_opening, read_openings, record
from radlens.assessment.predictions import predictions_table, with_answers, write_predictions
from radlens.assessment.report.audit_page import write_audit_page
from radlens.assessment.report.content import Origin, main_split
from radlens.assessment.report.gallery import MOST_ERRORS, content_failures
from radlens.assessment.report.render import write_report
from radlens.assessment.subgroups import find_subgroups
from radlens.calibrate import choose
from radlens.config import DataSettings, RunSettings, to_yaml
from radlens.dataset.audit import Audit
from radlens.dataset.audit import audit as audit_manifest
from radlens.dataset.audit.duplicates import Duplicates, find_duplicates
from radlens.dataset.audit.picture_hash import picture_hashes
from radlens.dataset.copies import join_patients, restore_patients
from radlens.dataset.known_images import NO_IMAGES_KNOWN, KnownImages
from radlens.dataset.manifest import Manifest
from radlens.dataset.split import assign_splits
from radlens.delivery.export import parity_images
from radlens.delivery.model_folder import ModelConfig, join_tensors
from radlens.delivery.release import describe_data, release_if_possible
from radlens.delivery.training_images import write_training_images
from radlens.environment import describe_environment
from radlens.errors import DataError, TrainingInterruptedError
from radlens.files import write_text
from radlens.imaging.cache import PixelCache
from radlens.imaging.limits import DecodeLimits
from radlens.imaging.preprocess import Preprocessing
from radlens.learning.data_module import LabelledPixels
from radlens.learning.familiarity import Familiarity
from radlens.learning.fit import Fitted, fit
from radlens.learning.trained_model import TrainedModel
from radlens.neighbours import training_neighbours
from radlens.pictures import picture_reader
from radlens.report_content import collect, trace
from radlens.result import Result
from radlens.version import __version__

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Prepared:
    """Images ready to train on or to be scored: readable, split, preprocessed."""

    manifest: Manifest
    cache: PixelCache
    audit: Audit

    def split(self, name: str) -> LabelledPixels:
        """Pixels and targets of one split."""
        chosen = (self.manifest.table["split"] == name).to_numpy()
        return LabelledPixels(self.cache.pixels, self.cache.rows[chosen], self.manifest.targets()[chosen])


@dataclass(frozen=True)
class Listed:
    """Images of which no more is known than a table says: none was opened."""

    manifest: Manifest
    audit: Audit
    cache: None = None


def list_only(manifest: Manifest, allow: Sequence[str]) -> Listed:
    """Audit a table of images, without the images.

    Raises:
        DataError: the audit found what makes results wrong and it was not allowed.
    """
    found = audit_manifest(manifest, allowed=allow)
    _heed(found)
    return Listed(manifest, found)


def read_images(manifest: Manifest, data: DataSettings, contract: Preprocessing) -> PixelCache:
    """Decode and preprocess every image.

    Raises:
        DataError: more of them cannot be read than ``data.max_rejected`` allows.
    """
    cache = PixelCache.build(manifest.locations, contract, data.workers, data.limits)
    share = len(cache.rejected) / len(manifest)
    if share > data.max_rejected:
        listed = "\n".join(f"  {path}: {reason}" for path, reason in named(manifest, cache)[:10])
        raise DataError(
            f"{len(cache.rejected)} of {len(manifest)} images cannot be read; at most "
            f"{data.max_rejected:.0%} may be (data.max_rejected). Mend or remove them:\n{listed}"
        )
    return cache


def part(manifest: Manifest, cache: PixelCache, settings: RunSettings) -> tuple[Manifest, PixelCache, Duplicates]:
    """Assign the splits, all images of a patient and all copies of an image going into the same one.

    Returns:
        The images that have a split, their pixels, and the copies among them; a set may ask for some to be dropped.
    """
    chosen = settings.data.split
    if chosen.overlap is None and "leak" in settings.data.allow:
        chosen = chosen.model_copy(update={"overlap": "keep"})
    copies = find_duplicates(cache.digests, cache.pixels, cache.rows)
    joined = join_patients(manifest, copies.groups())
    parted = restore_patients(assign_splits(joined, chosen, settings.seed), manifest)
    kept = manifest.table["path"].isin(parted.table["path"]).to_numpy()
    return parted, cache.only(kept), copies.only(kept)


def prepare(
    manifest: Manifest,
    cache: PixelCache,
    data: DataSettings,
    seed: int,
    trained_on: KnownImages = NO_IMAGES_KNOWN,
    duplicates: Duplicates | None = None,
) -> Prepared:
    """Audit the images; leave out, and say aloud, those that cannot be read.

    Args:
        manifest: the images, each with its split.
        cache: their pixels, in the same order.
        data: what of the audit's findings is allowed.
        seed: what the cross-validation of the audit follows from.
        trained_on: the images that a model to be judged was made with.
        duplicates: the copies among the images, where they are known already.

    Raises:
        DataError: the audit found what makes results wrong and it was not allowed.
    """
    found = audit_manifest(manifest, named(manifest, cache), cache, seed, data.allow, trained_on, duplicates)
    _heed(found)
    readable = cache.rows >= 0
    return Prepared(manifest.only(readable), cache.only(readable), found)


def _heed(found: Audit) -> None:
    """Say what an audit found, and stop where it blocks."""
    for finding in found.findings:
        logger.log(logging.INFO if finding.severity == "note" else logging.WARNING, "Audit: %s", finding.message)
    if found.blocks:
        names = " ".join(f"--allow {name}" for name in dict.fromkeys(finding.check for finding in found.blocks))
        messages = "\n".join(f"{finding.check}: {finding.message}" for finding in found.blocks)
        raise DataError(
            f"The audit stops this run.\n{messages}\nTo go on in spite of it, which is written down: {names}"
        )


def named(manifest: Manifest, cache: PixelCache) -> list[tuple[str, str]]:
    """The rejected images by their manifest path."""
    path_of = dict(zip(manifest.locations, manifest.table["path"], strict=True))
    return [(path_of[location], reason) for location, reason in cache.rejected if location in path_of]


def write_start(folder: Path, settings: RunSettings, manifest: Manifest, prepared: Prepared | Listed) -> None:
    """Write what a run starts from: settings, manifest, audit, rejected files, environment."""
    write_text(folder / "config.yaml", to_yaml(settings))
    manifest.write(folder)
    prepared.audit.write(folder)
    _write_rejected(folder, named(manifest, prepared.cache) if prepared.cache else [])
    write_text(folder / "environment.json", json.dumps(describe_environment(settings.seed), indent=2) + "\n")


def write_audit(
    folder: Path, manifest: Manifest, found: Audit, rejected: list[tuple[str, str]], limits: DecodeLimits
) -> None:
    """Write an audit alone: ``audit.json``, ``audit.html``, the manifest and the rejected files."""
    manifest.write(folder)
    found.write(folder)
    _write_rejected(folder, rejected)
    write_audit_page(found, manifest, rejected, picture_reader(manifest, limits), folder / "audit.html")


def _write_rejected(folder: Path, rejected: list[tuple[str, str]]) -> None:
    if rejected:
        write_text(folder / "rejected.csv", pd.DataFrame(rejected, columns=["path", "reason"]).to_csv(index=False))


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


def predict_split(model: TrainedModel, config: ModelConfig, prepared: Prepared, split: str) -> pd.DataFrame:
    """Score the images of one split; a predictions table, with the answers that the model stands by."""
    chosen = (prepared.manifest.table["split"] == split).to_numpy()
    pixels, rows = prepared.cache.pixels, prepared.cache.rows[chosen]
    table = predictions_table(prepared.manifest.only(chosen), model.probabilities(pixels, rows), config.threshold)
    if config.abstention is None:
        return table
    farthest = config.abstention.distance
    unfamiliarity = None if farthest is None else model.distances(pixels, rows) / farthest
    return with_answers(table, prepared.manifest.info, config.abstention.least, unfamiliarity)


def write_down_opening(
    command: str, model: str, prepared: Prepared | Listed, folder: Path, run: Path | None = None
) -> None:
    """Write down that test images are scored, before anything of it is shown.

    Args:
        command: why.
        model: hash of what scores.
        prepared: the images.
        folder: where the evidence goes.
        run: the run folder that the model is of, if it is of one.
    """
    table = prepared.manifest.table
    digests = prepared.cache.digests if prepared.cache else table["path"].tolist()
    images = [
        (digest, label)
        for digest, label, split in zip(digests, table["label"], table["split"], strict=True)
        if split == "test"
    ]
    if images:
        record(new_opening(command, model, images), folder, run)


def write_subgroups(
    settings: RunSettings, manifest: Manifest, predictions: pd.DataFrame, metrics: dict[str, Any], folder: Path
) -> pd.DataFrame:
    """Measure the model in groups of the images of the main split; ``subgroups.csv`` where there are any."""
    split = main_split(metrics)
    chosen = settings.evaluate
    threshold = metrics[split]["threshold"] or 0.5
    found = find_subgroups(
        predictions, manifest.table, manifest.info, threshold, chosen, settings.seed, split, chosen.subgroups
    )
    if not found.empty:
        write_text(folder / "subgroups.csv", found.to_csv(index=False))
    return found


def write_evidence(
    settings: RunSettings,
    prepared: Prepared | Listed,
    predictions: pd.DataFrame,
    threshold: float,
    folder: Path,
    fitted: Fitted | None,
    model: TrainedModel | None = None,
    origin: Origin = "outside",
    model_at: Path | None = None,
) -> Result:
    """Write ``predictions.csv``, ``metrics.json`` and ``report.html``.

    Args:
        settings: of the run.
        prepared: the images.
        predictions: what was answered.
        threshold: the operating point.
        folder: where to.
        fitted: the training, if this run trained.
        model: what answered, to paint where it looks.
        origin: who answered.
        model_at: where the files of one model lie, or the run folder that holds them; None: there is no one model.
    """
    write_predictions(predictions, folder / "predictions.csv")
    metrics = evaluate_predictions(predictions, prepared.manifest.info, threshold, settings.evaluate, settings.seed)
    write_metrics(metrics, folder / "metrics.json")
    subgroups = write_subgroups(settings, prepared.manifest, predictions, metrics, folder)
    suspects = find_label_suspects(predictions, prepared.manifest.info)
    if not suspects.empty:
        write_text(folder / "label_suspects.csv", suspects.to_csv(index=False))
    manifest, cache, audit = prepared.manifest, prepared.cache, prepared.audit
    content = collect(settings, manifest, cache, audit, predictions, metrics, folder, fitted, suspects, model, origin)
    openings = read_openings(folder) if "test" in metrics else []
    made = trace(origin, prepared.manifest, cache, metrics, model_at, openings)
    content = replace(content, subgroups=subgroups, provenance=made)
    wrong = content_failures(content, content.main_split)
    if model is not None and cache is not None:
        shown = list(wrong["path"].head(MOST_ERRORS))
        content = replace(content, neighbours=training_neighbours(model, manifest, cache, shown, settings.seed))
    if not wrong.empty:
        write_text(folder / "misclassified.csv", wrong[list(FAILURE_COLUMNS)].to_csv(index=False))
    write_report(content, folder / "report.html")
    return Result(folder)
