"""Evidence for a model that radlens never saw: what any other program predicted, judged like a model's own answers."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from radlens.assessment.operating_point import choose_operating_point
from radlens.assessment.outside_classes import with_answered_classes
from radlens.assessment.outside_manifest import agree_on_labels, own_manifest, stated_threshold
from radlens.assessment.outside_predictions import OutsidePredictions, match_images, read_outside
from radlens.assessment.predictions import predictions_table, with_threshold
from radlens.base.errors import DataError, UsageError
from radlens.base.files import claim_output
from radlens.config import DataSettings, EvaluateSettings, RunSettings
from radlens.dataset.class_names import tell_positive
from radlens.dataset.manifest import DatasetInfo, Manifest, order_classes
from radlens.dataset.positive_class import settle_positive
from radlens.dataset.sources import read_source
from radlens.dataset.sources.table_cells import splits_of
from radlens.runtime.model_folder import run_of
from radlens.workflows.depth import read_on_one_scale
from radlens.workflows.judge import log_test_access, require_subgroups, write_evidence
from radlens.workflows.judged import Judged
from radlens.workflows.prepare import Listed, Prepared, list_only, prepare, read_images, write_start
from radlens.workflows.result import Result

logger = logging.getLogger(__name__)

_NAMED = 5


def is_predictions_file(model: str | Path) -> bool:
    """Whether what was named as a model is a table of predictions."""
    return Path(model).suffix.casefold() in (".csv", ".tsv") and Path(model).is_file()


def evaluate_outside(
    file: Path,
    settings: RunSettings,
    folder: Path,
    *,
    with_source: bool,
    threshold_stated: bool,
    split: str | None = None,
    overwrite: bool = False,
) -> Result:
    """Judge a table of predictions; see :func:`radlens.workflows.evaluate.evaluate`.

    Args:
        file: the table.
        settings: what to go by.
        folder: where the evidence goes.
        with_source: whether ``settings.data.source`` holds the labelled images; else the table says all.
        threshold_stated: whether the user stated ``evaluate.threshold``, and not merely a preset.
        split: ``train``, ``val``, ``test`` or ``all``; None: test when there is one, else all.
        overwrite: replace what lies in ``folder``.

    Raises:
        UsageError: a split that is not there, or a threshold that cannot be chosen without validation rows.
        DataError: the table does not fit the images, or is not a table of predictions.
    """
    # 1. The table, the images, and which row is of which image.
    outside = read_outside(file, settings.data.csv.path)
    manifest = _labelled(outside, settings.data, with_source=with_source)
    rows = _rows_of(outside, manifest, settings.data.csv.label[0], with_source=with_source)
    if with_source and not (manifest.table["split"] != "").any():
        manifest = _with_splits_of_the_file(outside, manifest, rows)
    manifest, kept, judged = _select(outside, manifest, rows, split)
    # 2. The answers at their operating point.
    predictions = predictions_table(manifest, outside.probabilities(manifest.info).loc[kept].to_numpy())
    threshold, how = operating_point_of(outside, predictions, manifest.info, settings.evaluate, threshold_stated)
    logger.info("%s", how)
    manifest = manifest.with_notes(
        f"The probabilities were made by another program and read from {outside.file.name} (SHA-256 "
        f"{outside.digest[:16]}…). What it was trained on is not known here: patients it has seen would flatter it.",
        *_positive_note(outside, manifest.info),
        *(_other_rows_note(outside, rows) if with_source else ()),
        how,
    )
    # 3. The audit.
    prepared: Prepared | Listed
    if with_source:
        settings, cache = read_on_one_scale(manifest, settings, read_images)
        prepared = prepare(manifest, cache, settings.data, settings.seed)
    else:
        prepared = list_only(manifest, settings.data.allow)
    predictions = with_threshold(predictions, manifest.info, threshold)
    predictions = predictions[predictions["path"].isin(prepared.manifest.table["path"])].reset_index(drop=True)
    require_subgroups(prepared.manifest, settings.evaluate.subgroups)
    # 4. What the evaluation starts from, and that test images are looked at, is written down.
    claim_output(folder, overwrite=overwrite)
    write_start(folder, settings, manifest, prepared)
    log_test_access("evaluate", outside.digest, prepared, folder, _run_that_answered(outside.file))
    # 5. What the answers are worth.
    logger.info("Judged on %s: %d images.", judged, len(predictions))
    return write_evidence(settings, prepared, Judged("outside", predictions, threshold), folder)


def _labelled(outside: OutsidePredictions, data: DataSettings, *, with_source: bool) -> Manifest:
    """The labelled images; which class is positive may also be told by the table, if it holds one class's probability.

    Raises:
        UsageError: classes are to be renamed that no source has.
        DataError: nothing tells which of two classes is positive.
    """
    if data.class_map and not with_source:
        raise UsageError(
            f"data.class_map renames the classes of a source, not the labels in {outside.file.name}. Give the labelled "
            "images as SOURCE, or write the labels as the answers name the classes."
        )
    if with_source:
        manifest = read_source(data, ask_positive=False, lacking=True).fully_labelled()
    else:
        manifest = own_manifest(outside, data)
    manifest = with_answered_classes(manifest, outside, data.positive_class)
    alone = next(iter(outside.columns)) if len(outside.columns) == 1 else ""
    classes = [name for name in manifest.info.classes if name.casefold() == alone.casefold()]
    if manifest.info.task != "binary" or data.positive_class is not None or not classes:
        return settle_positive(manifest, data)
    if with_source and tell_positive(manifest.info.classes):
        return settle_positive(manifest, data)
    changed = {
        "classes": order_classes(manifest.info.classes, classes[0]),
        "positive_reason": f"{outside.file.name} holds the probability of {classes[0]} alone",
    }
    return replace(manifest, info=manifest.info.model_copy(update=changed))


def _run_that_answered(file: Path) -> Path | None:
    """The run whose own ``predictions.csv`` this is: another threshold for its answers is another look at them."""
    own = file.name == "predictions.csv" and run_of(file.parent) == file.parent
    return file.parent if own else None


def _rows_of(outside: OutsidePredictions, manifest: Manifest, label: str, *, with_source: bool) -> pd.Series:
    """The row number of each image of the manifest that has one, by its position."""
    if not with_source:
        row_of = pd.Series(outside.paths.index, index=outside.paths.to_numpy())
        return row_of.loc[manifest.table["path"].to_numpy()].reset_index(drop=True)
    position = match_images(outside, manifest)
    agree_on_labels(outside, manifest.table["label"].to_numpy()[position].tolist(), label, position.index)
    return pd.Series(position.index, index=position.to_numpy())


def _with_splits_of_the_file(outside: OutsidePredictions, manifest: Manifest, rows: pd.Series) -> Manifest:
    """The splits that the table gives, where the source has none."""
    column = outside.column("split")
    if column is None:
        return manifest
    splits = np.full(len(manifest), "", dtype=object)
    splits[rows.index.to_numpy()] = splits_of(column, outside.file).loc[rows].to_numpy()
    return manifest.with_split(splits.tolist())


def _select(
    outside: OutsidePredictions, manifest: Manifest, rows: pd.Series, split: str | None
) -> tuple[Manifest, list[int], str]:
    """The images judged, and those of validation that the operating point may be chosen on; with their rows.

    Raises:
        UsageError: there is no such split.
        DataError: images to be judged have no row.
    """
    present = set(manifest.table["split"]) - {""}
    wanted = split or ("test" if "test" in present else "all")
    if wanted != "all" and wanted not in present:
        raise UsageError(
            f"There is no split {wanted!r}. There are: {', '.join(sorted(present)) or 'no splits'}. "
            "Use --split all for every image."
        )
    predicted = manifest.table.index.isin(rows.index)
    needed = (manifest.table["split"] == wanted).to_numpy() | (wanted == "all")
    missing = manifest.table["path"][needed & ~predicted]
    if len(missing):
        listed = "\n".join(f"  - {path}" for path in missing[:_NAMED])
        raise DataError(
            f"{outside.file} has no row for {len(missing)} of {int(needed.sum())} images"
            f"{'' if wanted == 'all' else f' of the split {wanted}'}, first:\n{listed}\n"
            "Left out, they would be left out by choice: predict them too, or judge another split (--split)."
        )
    if wanted == "all":
        manifest = manifest.with_split(["test"] * len(manifest))
    selected = needed | (predicted & (manifest.table["split"] == "val").to_numpy())
    kept = [int(row) for row in rows.reindex(range(len(manifest)))[selected]]
    if wanted == "all":
        name = "all images, as a test"
    else:
        name = " and ".join(dict.fromkeys((wanted, *(["val"] if (selected & ~needed).any() else []))))
    return manifest.only(selected), kept, name


def _positive_note(outside: OutsidePredictions, info: DatasetInfo) -> tuple[str, ...]:
    if not outside.score:
        return ()
    return (f"The column {outside.score} was read as the probability of {info.classes[1]}.",)


def _other_rows_note(outside: OutsidePredictions, rows: pd.Series) -> tuple[str, ...]:
    others = len(outside.paths) - len(rows)
    return (f"{others:,} row(s) of {outside.file.name} are of other images and were left out.",) if others else ()


def operating_point_of(
    outside: OutsidePredictions,
    predictions: pd.DataFrame,
    info: DatasetInfo,
    settings: EvaluateSettings,
    stated: bool,
) -> tuple[float, str]:
    """The threshold, and a sentence on where it is from; it is never chosen on the images that it is judged on.

    Args:
        outside: the table of answers.
        predictions: the same, of the images that are judged and those of validation.
        info: the task and the classes.
        settings: with the threshold, or the rule that chooses it on validation rows.
        stated: whether the user stated it (:func:`radlens.config.is_stated`): then it goes before that of the table,
            and else after it.

    Raises:
        UsageError: a rule was stated, and there are no validation rows.
        DataError: the table states several thresholds, or answers that follow from no one threshold.
    """
    setting, validation = settings.threshold, predictions[predictions["split"] == "val"]
    if info.task == "multiclass":
        return 0.5, "The most probable class is the answer; there is no operating point."
    if stated and isinstance(setting, float):
        return float(setting), f"Operating point {setting:.3g}: as stated in the settings."
    if not stated:
        given = stated_threshold(outside, outside.probabilities(info), info)
        if given is not None:
            column = "threshold" if outside.column("threshold") is not None else "predicted"
            return given, f"Operating point {given:.3g}: as the column {column} of the file has it."
    unusable = "there are no validation rows to choose it on"
    if not validation.empty:
        own = settings if stated else settings.model_copy(update={"threshold": "balanced"})
        try:
            threshold, _ = choose_operating_point(own, validation, info)
        except DataError as error:
            if stated:
                raise
            unusable = f"the {len(validation):,} validation rows do not allow to choose it: {error}"
        else:
            return threshold, (
                f"Operating point {threshold:.3g}: chosen ({setting if stated else 'balanced'}) on the "
                f"{len(validation):,} validation rows of the file."
            )
    if stated:
        raise UsageError(
            f"evaluate.threshold={setting}: an operating point is not chosen on the images that it is judged on, and "
            f"{outside.file.name} has no rows of the split val. State a number (--set evaluate.threshold=0.5), or add "
            "validation rows with val in a split column."
        )
    logger.warning(
        "Neither the file nor a setting states an operating point, and %s. 0.5 is taken; state it with "
        "--set evaluate.threshold=NUMBER.",
        unusable.rstrip("."),
    )
    return 0.5, (
        "Operating point 0.5, for want of another: neither the file nor a setting states one, and "
        f"{unusable.rstrip('.')}. Sensitivity and specificity are those at 0.5, whatever the model was meant "
        "to be used at; AUROC does not depend on it."
    )
