"""From a model's answers to the files that judge it: predictions, metrics, subgroups, suspects, errors, the report."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import pandas as pd

from radlens.assessment.evaluate import evaluate as evaluate_predictions
from radlens.assessment.failure_reasons import FAILURE_COLUMNS
from radlens.assessment.framing_evidence import affordable_images, measure_framing, sample_images
from radlens.assessment.framing_words import verdict_in_words
from radlens.assessment.label_suspects import find_label_suspects
from radlens.assessment.predictions import predictions_table, with_answers, write_predictions
from radlens.assessment.subgroups import find_subgroups
from radlens.base.files import write_text
from radlens.config import RunSettings
from radlens.dataset.access_log import new_opening, read_openings, record
from radlens.dataset.manifest import Manifest
from radlens.learning.fit import Fitted
from radlens.learning.trained_model import TrainedModel
from radlens.reporting.content import Origin, main_split
from radlens.reporting.gallery import MOST_ERRORS, content_failures
from radlens.reporting.render import write_report
from radlens.runtime.framing_records import FramingEvidence
from radlens.runtime.metrics_record import Metrics, write_metrics
from radlens.runtime.model_folder import ModelConfig
from radlens.workflows.neighbours import training_neighbours
from radlens.workflows.prepare import Listed, Prepared
from radlens.workflows.report_inputs import collect, trace
from radlens.workflows.result import Result

logger = logging.getLogger(__name__)


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
    settings: RunSettings, manifest: Manifest, predictions: pd.DataFrame, metrics: Metrics, folder: Path
) -> pd.DataFrame:
    """Measure the model in groups of the images of the main split; ``subgroups.csv`` where there are any."""
    split = main_split(metrics)
    chosen = settings.evaluate
    threshold = metrics[split].threshold or 0.5
    found = find_subgroups(
        predictions, manifest.table, manifest.info, threshold, chosen, settings.seed, split, chosen.subgroups
    )
    if not found.empty:
        write_text(folder / "subgroups.csv", found.to_csv(index=False))
    return found


def measure_split_framing(
    settings: RunSettings,
    prepared: Prepared,
    predictions: pd.DataFrame,
    model: TrainedModel,
    split: str,
    *,
    after_training: bool,
) -> FramingEvidence | None:
    """How a model's answers to the images of a split hang on their framing; None where that is not asked for.

    Args:
        settings: how many images are changed, and what draws them.
        prepared: the images.
        predictions: what the model answered.
        model: what is asked.
        split: whose images are changed.
        after_training: whether the model was trained just now; then the suite is to cost little beside that.
    """
    most, info = settings.evaluate.framing_images, prepared.manifest.info
    table = prepared.manifest.table
    if after_training:
        training = int((table["split"] == "train").sum())
        most = min(most, affordable_images(training, settings.train.epochs, 2 if model.mirror else 1))
    answered = predictions[predictions["split"] == split]
    if not most or answered.empty:
        return None
    sample = answered.iloc[sample_images(answered, info, most, settings.seed)]
    row_of = dict(zip(table["path"], prepared.cache.rows, strict=True))
    pixels = prepared.cache.pixels[[row_of[path] for path in sample["path"]]]
    seed, confidence = settings.seed, settings.evaluate.confidence
    found = measure_framing(
        model.probabilities, pixels, sample, info, model.threshold, seed=seed, confidence=confidence
    )
    level = logging.INFO if found.verdict == "pass" else logging.WARNING
    logger.log(level, "%s", verdict_in_words(found.summary))
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
        model: what answered, to change the framing of its images and to paint where it looks.
        origin: who answered.
        model_at: where the files of one model lie, or the run folder that holds them; None: there is no one model.
    """
    write_predictions(predictions, folder / "predictions.csv")
    metrics = evaluate_predictions(predictions, prepared.manifest.info, threshold, settings.evaluate, settings.seed)
    # Answers read from a table, and those of the folds of a cross-validation, have no one model that could be asked.
    if model is not None and prepared.cache is not None:
        split, trained = main_split(metrics), fitted is not None
        framing = measure_split_framing(settings, prepared, predictions, model, split, after_training=trained)
        if framing is not None:
            metrics[split] = metrics[split].model_copy(update={"framing": framing})
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
