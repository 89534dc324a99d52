"""Cross-validation: a run for each fold, and one report on what the models said of images they had not seen."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from radlens.assessment.pooling import fold_figures, pool
from radlens.base.errors import TrainingInterruptedError, UsageError
from radlens.base.files import write_text
from radlens.config import RunSettings, resolve, to_yaml
from radlens.dataset.access_log import claim_keeping_ledger
from radlens.dataset.audit.duplicates import find_duplicates
from radlens.dataset.copies import join_patients
from radlens.dataset.folds import assign_folds
from radlens.dataset.manifest import Manifest
from radlens.dataset.sources import read_source
from radlens.runtime.metrics_record import write_metrics
from radlens.runtime.metrics_sections import FoldFigures
from radlens.runtime.model_folder import hash_weights
from radlens.workflows.judge import write_down_opening, write_evidence
from radlens.workflows.options import settings_of
from radlens.workflows.prepare import Prepared, prepare, read_images, write_start
from radlens.workflows.result import Result
from radlens.workflows.run import run

logger = logging.getLogger(__name__)

_AVERAGED = ("auroc", "accuracy", "exact_match", "sensitivity", "specificity", "brier")


def cross_validate(
    source: str | Path | None = None,
    out: str | Path = "runs/folds",
    *,
    folds: int = 5,
    preset: str | None = None,
    model: str | None = None,
    seed: int | None = None,
    config: str | Path | None = None,
    settings: tuple[str, ...] | list[str] = (),
    allow: tuple[str, ...] | list[str] = (),
    overwrite: bool = False,
    resume: bool = False,
) -> Result:
    """Train a model for each fold on the other folds, and judge all images, each by the model that had not seen it.

    Official splits are not used. Each fold is a whole run of its own in ``folds/1``, ``folds/2`` and so on, whose
    operating point is chosen on validation images taken from the other folds. What all of them said is pooled
    (:func:`radlens.assessment.pooling.pool`).

    Args:
        source: folder, CSV, ``.npz`` or name; None: what ``config`` names.
        out: the folder to make.
        folds: how many, 2 or more.
        preset: as in :func:`radlens.workflows.run.run`.
        model: as there.
        seed: as there.
        config: as there.
        settings: as there.
        allow: as there.
        overwrite: as there.
        resume: go on with the stopped cross-validation in ``out``; finished folds are kept.

    Raises:
        UsageError: fewer than two folds, or as :func:`radlens.workflows.run.run`.
        DataError: as :func:`radlens.workflows.run.run`, or a class has too few patients for so many folds.
        TrainingInterruptedError: Ctrl-C ended the training of a fold; ``resume`` goes on.
    """
    folder = Path(out)
    if resume:
        if not (folder / "config.yaml").is_file() or not (folder / "folds").is_dir():
            raise UsageError(f"There is no stopped cross-validation in {folder} to go on with.")
        chosen, manifest = resolve(file=folder / "config.yaml"), Manifest.read(folder)
        folds = int(manifest.table["fold"].astype(int).max())
        cache = read_images(manifest, chosen.data, chosen.preprocessing)
        prepared = prepare(manifest, cache, chosen.data, chosen.seed)
    else:
        if folds < 2:
            raise UsageError(f"Cross-validation needs 2 folds or more, got {folds}.")
        chosen = settings_of(source, preset, model, seed, config, settings, allow)
        manifest = read_source(chosen.data)
        cache = read_images(manifest, chosen.data, chosen.preprocessing)
        manifest = _in_folds(manifest, cache, folds, chosen.seed)
        prepared = prepare(manifest, cache, chosen.data, chosen.seed)
        claim_keeping_ledger(folder, overwrite=overwrite)
        write_start(folder, chosen, manifest, prepared)
    results = [*_all_folds(folds, folder, chosen, prepared.manifest)]
    tables = [(one.predictions.query("split == 'test'"), one.metrics["test"].threshold) for one in results]
    predictions, threshold = pool(tables, manifest.info)
    figures = fold_figures([one.metrics["test"].metrics for one in results], _AVERAGED)
    note = _note(folds, figures)
    ordered = predictions.set_index("path").loc[prepared.manifest.table["path"]].reset_index()
    models = hashlib.sha256("".join(hash_weights(one.folder) for one in results).encode()).hexdigest()
    command = "run --folds --resume" if resume else "run --folds"
    # The fold of an image is no property of its patient, to make groups of.
    listed = Manifest(prepared.manifest.table.drop(columns="fold"), prepared.manifest.info).with_notes(note)
    noted = Prepared(listed, prepared.cache, prepared.audit)
    write_down_opening(command, models, noted, folder)
    result = write_evidence(chosen, noted, ordered.drop(columns="fold"), threshold, folder, fitted=None, origin="folds")
    pooled = result.metrics["test"].model_copy(update={"cross_validation": figures})
    write_metrics(result.metrics | {"test": pooled}, folder / "metrics.json")
    return Result(folder)


def _in_folds(manifest: Manifest, cache: Any, folds: int, seed: int) -> Manifest:
    """All images as test images, each in a fold; patients who share a copy of an image are in the same one."""
    if (manifest.table["split"] != "").any():
        manifest = manifest.with_notes("The official splits were not used: every image is a test image of one fold.")
    whole = manifest.with_split(["test"] * len(manifest))
    copies = find_duplicates(cache.digests, cache.pixels, cache.rows)
    number = assign_folds(join_patients(whole, copies.groups()), folds, seed)
    return Manifest(whole.table.assign(fold=number.astype(str)), whole.info)


def _all_folds(folds: int, folder: Path, chosen: RunSettings, manifest: Manifest) -> Iterator[Result]:
    for number in range(1, folds + 1):
        try:
            yield _fold(number, folder, chosen, manifest)
        except TrainingInterruptedError as error:
            raise TrainingInterruptedError(
                f"Cross-validation was interrupted in fold {number} of {folds}. What was reached is kept: radlens run "
                f"--resume --folds {folds} --out {folder} goes on."
            ) from error


def _fold(number: int, folder: Path, chosen: RunSettings, manifest: Manifest) -> Result:
    """The run of one fold: made, gone on with, or there already."""
    place, images = folder / "folds" / str(number), folder / "folds" / f"{number}-images"
    if (place / "report.html").is_file() and (place / "metrics.json").is_file():
        logger.info("Fold %d is there.", number)
        return Result(place)
    if (place / "config.yaml").is_file():
        return run(out=place, resume=True)
    fold = manifest.table["fold"].astype(int).to_numpy()
    split = ["test" if one == number else "train" for one in fold]
    part = Manifest(manifest.table.drop(columns="fold"), manifest.info).with_split(split)
    part.write(images)
    data = chosen.data.model_copy(
        update={
            "source": str(images.resolve()),
            "split": chosen.data.split.model_copy(update={"official": True}),
            "dicom": chosen.data.dicom.model_copy(update={"labels": None}),
        }
    )
    write_text(images / "config.yaml", to_yaml(chosen.model_copy(update={"data": data})))
    logger.info("Fold %d", number)
    return run(out=place, config=images / "config.yaml", overwrite=place.exists())


def _note(folds: int, figures: dict[str, FoldFigures]) -> str:
    text = (
        f"Cross-validation with {folds} folds of patients: each image was answered by a model that had seen no image "
        "of its patient. The figures are of all answers together, each fold's logits moved so that the operating "
        "points coincide, and so stand for the way of training and not for one model."
    )
    if "auroc" in figures:
        auroc = figures["auroc"]
        listed = ", ".join(f"{value:.3f}" for value in auroc.folds)
        text += f" Mean of the folds' own AUROCs: {auroc.mean:.3f} (each: {listed})."
    return text
