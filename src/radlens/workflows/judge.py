"""From a model's answers to the files that judge it: predictions, metrics, subgroups, suspects, errors, the report."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from radlens.assessment.evaluate import evaluate as evaluate_predictions
from radlens.assessment.failure_reasons import FAILURE_COLUMNS, failures
from radlens.assessment.framing_evidence import affordable_images, measure_framing, sample_images
from radlens.assessment.framing_words import verdict_in_words
from radlens.assessment.label_suspects import find_label_suspects
from radlens.assessment.predictions import predictions_table, with_answers, write_predictions
from radlens.assessment.subgroup_columns import subgroup_columns
from radlens.assessment.subgroups import find_subgroups
from radlens.base.files import write_text
from radlens.config import RunSettings
from radlens.dataset.access_log import new_access, record
from radlens.dataset.manifest import Manifest
from radlens.learning.trained_model import TrainedModel
from radlens.reporting.content import main_split
from radlens.reporting.render import write_report
from radlens.runtime.framing_records import FramingEvidence
from radlens.runtime.metrics_record import Metrics, write_metrics
from radlens.runtime.model_config import ModelConfig
from radlens.runtime.model_folder import open_model_folder
from radlens.workflows.judged import Judged, Measured
from radlens.workflows.prepare import Listed, Prepared
from radlens.workflows.report_inputs import image_facts, report_content
from radlens.workflows.result import Result

logger = logging.getLogger(__name__)


def predict_split(model: TrainedModel, config: ModelConfig, prepared: Prepared, split: str) -> pd.DataFrame:
    """Score the images of one split; a predictions table, with the answers that the model stands by."""
    in_split = (prepared.manifest.table["split"] == split).to_numpy()
    pixels, rows = prepared.cache.pixels, prepared.cache.rows[in_split]
    predictions = predictions_table(
        prepared.manifest.only(in_split), model.probabilities(pixels, rows), config.threshold
    )
    if config.abstention is None:
        return predictions
    farthest = config.abstention.distance
    unfamiliarity = None if farthest is None else model.distances(pixels, rows) / farthest
    return with_answers(predictions, prepared.manifest.info, config.abstention.least, unfamiliarity)


def require_subgroups(manifest: Manifest, wanted: Sequence[str]) -> None:
    """See that the groups asked for can be made, before a model is trained or test images are looked at.

    Raises:
        UsageError: a column does not exist or has too many values.
    """
    split = manifest.table["split"]
    subgroup_columns(manifest.table[split == main_split(set(split))], wanted)


def log_test_access(
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
        record(new_access(command, model, images), folder, run)


def write_subgroups(
    settings: RunSettings, manifest: Manifest, predictions: pd.DataFrame, metrics: Metrics, folder: Path
) -> pd.DataFrame:
    """Measure the model in groups of the images of the main split; ``subgroups.csv`` where there are any."""
    split, evaluate = main_split(metrics), settings.evaluate
    threshold = metrics[split].threshold or 0.5
    subgroups = find_subgroups(
        predictions, manifest.table, manifest.info, threshold, evaluate, settings.seed, split, evaluate.subgroups
    )
    if not subgroups.empty:
        write_text(folder / "subgroups.csv", subgroups.to_csv(index=False))
    return subgroups


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
        after_training: whether the model was trained just now; then the suite is to cost little compared with that.
    """
    most, info = settings.evaluate.framing_images, prepared.manifest.info
    table = prepared.manifest.table
    if after_training:
        training = int((table["split"] == "train").sum())
        most = min(most, affordable_images(training, settings.train.epochs, 2 if model.flip_tta else 1))
    answered = predictions[predictions["split"] == split]
    if not most or answered.empty:
        return None
    sample = answered.iloc[sample_images(answered, info, most, settings.seed)]
    row_of = dict(zip(table["path"], prepared.cache.rows, strict=True))
    pixels = prepared.cache.pixels[[row_of[path] for path in sample["path"]]]
    seed, confidence = settings.seed, settings.evaluate.confidence
    evidence = measure_framing(
        model.probabilities, pixels, sample, info, model.threshold, seed=seed, confidence=confidence
    )
    level = logging.INFO if evidence.verdict == "pass" else logging.WARNING
    logger.log(level, "%s", verdict_in_words(evidence.summary))
    return evidence


def write_evidence(settings: RunSettings, prepared: Prepared | Listed, judged: Judged, folder: Path) -> Result:
    """Write ``predictions.csv``, ``metrics.json``, the tables of groups, suspects and errors, and ``report.html``.

    Args:
        settings: of the run.
        prepared: the images.
        judged: what was answered, by whom, at which operating point.
        folder: where to.

    Raises:
        UsageError: a column whose groups are to be measured does not exist or has too many values.
        RadlensError: a file cannot be written.
    """
    predictions, info = judged.predictions, prepared.manifest.info
    # 1. The answers.
    write_predictions(predictions, folder / "predictions.csv")
    # 2. The figures, complete before anything else is made from them.
    metrics = _measure(settings, prepared, judged)
    write_metrics(metrics, folder / "metrics.json")
    # 3. Groups, labels that may be wrong, wrong answers.
    split = main_split(metrics)
    subgroups = write_subgroups(settings, prepared.manifest, predictions, metrics, folder)
    suspects = find_label_suspects(predictions, info)
    if not suspects.empty:
        write_text(folder / "label_suspects.csv", suspects.to_csv(index=False))
    facts = image_facts(prepared)
    wrong = failures(predictions, info, split, metrics[split].threshold, suspects, facts)
    if not wrong.empty:
        write_text(folder / "misclassified.csv", wrong[list(FAILURE_COLUMNS)].to_csv(index=False))
    # 4. The page.
    measured = Measured(metrics, subgroups, suspects, wrong, facts)
    write_report(report_content(settings, prepared, judged, measured, folder), folder / "report.html")
    return Result(folder)


def _measure(settings: RunSettings, prepared: Prepared | Listed, judged: Judged) -> Metrics:
    """The content of ``metrics.json``."""
    metrics = evaluate_predictions(
        judged.predictions, prepared.manifest.info, judged.threshold, settings.evaluate, settings.seed
    )
    split, model = main_split(metrics), judged.model
    # Answers read from a table, and those of the folds of a cross-validation, have no one model that could be asked.
    if model is not None and isinstance(prepared, Prepared):
        framing = measure_split_framing(
            settings, prepared, judged.predictions, model, split, after_training=judged.fitted is not None
        )
        if framing is not None:
            metrics[split] = metrics[split].model_copy(update={"framing": framing})
    if judged.model_at is not None:
        metrics = _with_alpha(metrics, open_model_folder(judged.model_at).config)
    if judged.fold_figures is not None:
        metrics[split] = metrics[split].model_copy(update={"cross_validation": judged.fold_figures})
    return metrics


def _with_alpha(metrics: Metrics, config: ModelConfig) -> Metrics:
    """With the stated rate of error that the model abstains at."""
    limits = config.abstention
    if limits is None or limits.least is None:
        return metrics
    stated = {"alpha": limits.alpha, "alpha_rule": limits.alpha_rule}
    return {
        split: record
        if record.abstention is None
        else record.model_copy(update={"abstention": record.abstention.model_copy(update=stated)})
        for split, record in metrics.items()
    }
