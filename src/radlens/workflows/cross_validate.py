"""Cross-validation: a run for each fold, and one report on what the models said of images they had not seen."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Unpack

import numpy as np
import numpy.typing as npt

from radlens.assessment.pooling import fold_figures, pool
from radlens.base.errors import TrainingInterruptedError, UsageError
from radlens.base.files import claim_output, write_text
from radlens.base.folder_lock import writes_folder
from radlens.base.signatures import spelled_out
from radlens.config import RunSettings, to_yaml
from radlens.dataset.audit.duplicates import Duplicates
from radlens.dataset.folds import assign_folds
from radlens.dataset.manifest import Manifest
from radlens.dataset.sources import read_source
from radlens.runtime.metrics_sections import FoldFigures
from radlens.runtime.model_folder import hash_weights
from radlens.workflows.blocked import keep_blocked, read_audit
from radlens.workflows.depth import read_on_one_scale
from radlens.workflows.judge import log_test_access, write_evidence
from radlens.workflows.judged import Judged
from radlens.workflows.options import RunKeywords, RunOptions, check_folder, settings_of, settings_to_resume
from radlens.workflows.prepare import Prepared, find_copies, prepare, read_images, write_start
from radlens.workflows.result import Result
from radlens.workflows.run import run

logger = logging.getLogger(__name__)

_AVERAGED = ("auroc", "accuracy", "exact_match", "sensitivity", "specificity", "brier")
# The column of the manifest with the fold of each image; the second where the source has a column of the first name.
_FOLD_COLUMNS = ("fold", "cross_validation_fold")


@spelled_out(RunOptions)
@writes_folder()
def cross_validate(
    source: str | Path | None = None,
    out: str | Path = "runs/folds",
    *,
    folds: int | None = None,
    **options: Unpack[RunKeywords],
) -> Result:
    """Train a model for each fold on the other folds, and judge all images, each by the model that had not seen it.

    Official splits are not used. Each fold is a whole run of its own in ``folds/1``, ``folds/2`` and so on, whose
    operating point is chosen on validation images taken from the other folds. What all of them said is pooled
    (:func:`radlens.assessment.pooling.pool`).

    Args:
        source: folder, CSV, ``.npz`` or name; None: what ``config`` names, or what is to be gone on with was made of.
        out: the folder to make.
        folds: how many, 2 or more; None: 5, or as many as there are in what is to be gone on with.
        options: see :class:`radlens.workflows.options.RunOptions`; ``resume`` keeps the folds that are finished.

    Raises:
        UsageError: fewer than two folds, another number of them than in what is to be gone on with, a source with
            columns of both names that the fold's could have, or as :func:`radlens.workflows.run.run`.
        DataError: as :func:`radlens.workflows.run.run`, or a class has too few patients for so many folds.
        TrainingInterruptedError: Ctrl-C ended the training of a fold; ``resume`` goes on.
    """
    folder, resume = Path(out), options.get("resume", False)
    # 1. The images, each in a fold.
    if resume:
        settings, prepared = _go_on(source, folder, folds, RunOptions(**options))
    else:
        settings, prepared = _start(source, folder, 5 if folds is None else folds, RunOptions(**options))
    listed, numbers = _without_fold(prepared.manifest)
    # 2. A run for each fold, which answers for the images of that fold.
    folds = int(numbers.max())
    results = list(_all_folds(folds, folder, settings, listed, numbers))
    # 3. The answers of all folds in one table, with one operating point.
    tables = [(result.predictions.query("split == 'test'"), result.metrics["test"].threshold) for result in results]
    pooled, threshold = pool(tables, listed.info)
    predictions = pooled.drop(columns="fold").set_index("path").loc[listed.table["path"]].reset_index()
    figures = fold_figures([result.metrics["test"].metrics for result in results], _AVERAGED)
    # 4. That all images were test images is written down.
    noted = replace(prepared, manifest=listed.with_notes(_note(folds, figures)))
    models = hashlib.sha256("".join(hash_weights(result.folder) for result in results).encode()).hexdigest()
    log_test_access("run --folds --resume" if resume else "run --folds", models, noted, folder)
    # 5. What the answers are worth.
    judged = Judged("folds", predictions, threshold, fold_figures=figures)
    return write_evidence(settings, noted, judged, folder)


def _start(source: str | Path | None, folder: Path, folds: int, options: RunOptions) -> tuple[RunSettings, Prepared]:
    """All images as test images, each in a fold, in a folder made to hold what follows."""
    if folds < 2:
        raise UsageError(f"Cross-validation needs 2 folds or more, got {folds}.")
    settings = settings_of(source, options)
    check_folder(folder, options.overwrite, settings.data.source)
    manifest = read_source(settings.data).fully_labelled()
    settings, cache = read_on_one_scale(manifest, settings, read_images)
    rules = settings.data.split.model_copy(update={"official": False})
    manifest, cache, copies = find_copies(manifest, cache, rules)
    manifest = _in_folds(manifest, copies, folds, settings.seed)
    keep = keep_blocked(folder, settings, manifest, cache)
    prepared = prepare(manifest, cache, settings.data, settings.seed, duplicates=copies, keep=keep)
    claim_output(folder, overwrite=options.overwrite)
    write_start(folder, settings, manifest, prepared)
    return settings, prepared


def _go_on(
    source: str | Path | None, folder: Path, folds: int | None, options: RunOptions
) -> tuple[RunSettings, Prepared]:
    """Settings, images and folds of what was stopped, as they lie in its folder."""
    if not (folder / "config.yaml").is_file() or not (folder / "folds").is_dir():
        raise UsageError(f"There is no stopped cross-validation in {folder} to go on with.")
    settings, manifest = settings_to_resume(folder, source, options), Manifest.read(folder)
    there = int(_without_fold(manifest)[1].max())
    if folds not in (None, there):
        raise UsageError(
            f"The cross-validation in {folder} has {there} folds; asked for were {folds}. Go on with --folds {there}, "
            "or begin one of its own in another folder (--out)."
        )
    cache = read_images(manifest, settings.data, settings.preprocessing)
    return settings, prepare(manifest, cache, settings.data, settings.seed, known=read_audit(folder))


def _in_folds(manifest: Manifest, copies: Duplicates, folds: int, seed: int) -> Manifest:
    """All images as test images, each in a fold; patients who share a copy of an image are in the same one."""
    taken = [name for name in _FOLD_COLUMNS if name in manifest.table]
    if len(taken) == len(_FOLD_COLUMNS):
        raise UsageError(
            f"The source has the columns {' and '.join(taken)}, and cross-validation keeps the fold of each image in "
            "one of these names. Rename one of them in the source."
        )
    if (manifest.table["split"] != "").any():
        manifest = manifest.with_notes("The official splits were not used: every image is a test image of one fold.")
    whole = manifest.with_split(["test"] * len(manifest))
    numbers = assign_folds(whole, folds, seed, copies.groups())
    return Manifest(whole.table.assign(**{_FOLD_COLUMNS[len(taken)]: numbers.astype(str)}), whole.info)


def _without_fold(manifest: Manifest) -> tuple[Manifest, npt.NDArray[np.int64]]:
    """The images without their folds, which are not a property of theirs to make groups of; and the folds, from 1."""
    column = next(name for name in reversed(_FOLD_COLUMNS) if name in manifest.table)
    numbers = manifest.table[column].to_numpy(dtype=np.int64)
    return Manifest(manifest.table.drop(columns=column), manifest.info), numbers


def _all_folds(
    folds: int, folder: Path, settings: RunSettings, manifest: Manifest, numbers: npt.NDArray[np.int64]
) -> Iterator[Result]:
    for number in range(1, folds + 1):
        split = np.where(numbers == number, "test", "train").tolist()
        try:
            yield _fold(number, folder, settings, manifest.with_split(split))
        except TrainingInterruptedError as error:
            raise TrainingInterruptedError(
                f"Cross-validation was interrupted in fold {number} of {folds}. What was reached is kept: radlens run "
                f"--resume --folds {folds} --out {folder} goes on."
            ) from error


def _fold(number: int, folder: Path, settings: RunSettings, manifest: Manifest) -> Result:
    """The run of one fold, whose images are those of the split test: made, gone on with, or there already."""
    place, images = folder / "folds" / str(number), folder / "folds" / f"{number}-images"
    if (place / "report.html").is_file() and (place / "metrics.json").is_file():
        logger.info("Fold %d is there.", number)
        return Result(place)
    if (place / "config.yaml").is_file():
        return run(out=place, resume=True)
    manifest.write(images)
    data = settings.data.model_copy(
        update={
            "source": str(images.resolve()),
            # The classes have their new names already.
            "class_map": {},
            # Searched alone, a fold's images may show a copy more, which does not stop it.
            "split": settings.data.split.model_copy(update={"official": True, "overlap": "drop_train"}),
            "dicom": settings.data.dicom.model_copy(update={"labels": None}),
        }
    )
    write_text(images / "config.yaml", to_yaml(settings.model_copy(update={"data": data})))
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
