"""What changes a model's mind and must not: framing, exposure and quality, tried on images that it has never seen."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from radlens.assessment.framing_evidence import measure_framing
from radlens.assessment.predictions import predictions_table
from radlens.assessment.stress_evidence import is_guessing, judge_quality
from radlens.assessment.stress_records import StressRecord, worse
from radlens.base.errors import UsageError
from radlens.base.files import claim_output
from radlens.base.folder_lock import writes_folder
from radlens.config import RunSettings
from radlens.dataset.manifest import Manifest
from radlens.dataset.sources import read_source
from radlens.delivery.torch_model import trained_model
from radlens.imaging.framing import SUITE
from radlens.learning.quality import QUALITY_SUITE, change_quality
from radlens.learning.trained_model import TrainedModel
from radlens.reporting.stress_page import StressPictures
from radlens.runtime.known_images import NO_IMAGES_KNOWN
from radlens.runtime.model_config import ModelConfig
from radlens.runtime.model_folder import find_model, hash_weights, read_model_folder, run_of
from radlens.runtime.training_images import read_training_images
from radlens.workflows.evaluate import for_model, require_own_operating_point, select_images, with_contract_of
from radlens.workflows.evaluate_external import is_predictions_file
from radlens.workflows.judge import log_test_access
from radlens.workflows.options import RunOptions, check_folder, settings_of
from radlens.workflows.prepare import Prepared, prepare, write_start
from radlens.workflows.stress_answers import stress_answers
from radlens.workflows.stress_result import StressResult, write_stress
from radlens.workflows.stress_sample import Sample, draw_sample

logger = logging.getLogger(__name__)

Pixels = npt.NDArray[np.uint8]


@writes_folder()
def stress(
    model: str | Path,
    source: str | Path | None,
    out: str | Path,
    *,
    split: str | None = None,
    images: int = 400,
    seed: int | None = None,
    config: str | Path | None = None,
    settings: tuple[str, ...] | list[str] = (),
    allow: tuple[str, ...] | list[str] = (),
    overwrite: bool = False,
) -> StressResult:
    """Ask a model about the same images under changes of framing, exposure and quality that keep their labels.

    Or judge what another program answered to the pictures that :func:`write_stress_images` wrote.

    Images that the model was trained or chosen on are left out, as far as it tells which they were.

    Args:
        model: a run folder, a model folder, the name of a model that comes with radlens, ``owner/name`` of the hub, or
            a CSV of another program's answers.
        source: labelled images of the same classes; None only for a run folder: its own test images, or its validation
            images where it has no others. For a CSV the folder of the pictures that were answered.
        out: the folder to make.
        split: ``train``, ``val``, ``test`` or ``all``; None: test when the source has one, else all.
        images: how many are drawn at most, of each class as many.
        seed: what the sample and all random changes follow from.
        config: YAML file of settings.
        settings: further settings as ``section.key=value``.
        allow: checks of the audit whose blocking findings shall not stop it; ``leak``: ask about training images too.
        overwrite: replace what lies in ``out``.

    Raises:
        UsageError: a setting cannot be used, or ``out`` is not empty.
        DataError: the model or the images cannot be used, no image is left, or answers do not fit the pictures.
    """
    folder = Path(out)
    options = RunOptions(seed=seed, config=config, settings=settings, allow=allow, overwrite=overwrite)
    if is_predictions_file(model):
        return stress_answers(Path(model), source, folder, options)
    # 1. The model, and the images that it is asked about.
    require_own_operating_point(settings)
    given, model = model, find_model(model)
    model_config, tensors = read_model_folder(model)
    run = run_of(model)
    if source is None and run is None:
        raise UsageError("Labelled images are needed: give a SOURCE. Only the folder of a run has images of its own.")
    resolved = settings_of(source or run, options)
    resolved = with_contract_of(model_config, resolved, options)
    check_folder(folder, overwrite, None if resolved.data.source == str(run) else resolved.data.source, model)
    manifest = for_model(read_source(resolved.data, ask_positive=False).fully_labelled(), model_config)
    own = run is not None and resolved.data.source is not None and Path(resolved.data.source) == run.resolve()
    sample, judged = _sample(manifest, split, own, resolved, model, images)
    prepared = _prepare(sample, resolved, model)
    # 2. What is asked about is written down before anything is answered.
    claim_output(folder, overwrite=overwrite)
    write_start(folder, resolved, prepared.manifest, prepared)
    log_test_access("stress", hash_weights(model), prepared, folder, run)
    # 3. The answers under every change.
    trained = trained_model(model_config, tensors)
    sample = replace(sample, manifest=prepared.manifest, cache=prepared.cache)
    record = _ask(trained, model_config, sample, resolved, model, _name_of(given, model), judged)
    # 4. Evidence, table and page.
    return write_stress(record, folder, _pictures(sample, resolved.seed))


def _sample(
    manifest: Manifest, split: str | None, own: bool, settings: RunSettings, model: Path, images: int
) -> tuple[Sample, str]:
    """The images to ask about, with what is to be said of them, and the name of their split."""
    has_test = (manifest.table["split"] == "test").any()
    selected, name = select_images(manifest, "val" if own and split is None and not has_test else split)
    said = "all" if split == "all" or not (manifest.table["split"] == name).any() else name
    known = read_training_images(model)
    notes = [known.unknown()]
    if own and name == "val":
        notes.append("These are validation images: the model and its operating point were chosen on them.")
    if (own and name == "val") or "leak" in settings.data.allow:
        known = NO_IMAGES_KNOWN
    sample = draw_sample(selected, settings.data, settings.preprocessing, images, settings.seed, known)
    if sample.left_out:
        notes.append(
            f"{sample.left_out:,} of {len(selected):,} images were left out: the model was trained or chosen on them."
        )
    notes = [note for note in notes if note]
    for note in notes:
        logger.warning("%s", note)
    return replace(sample, manifest=sample.manifest.with_notes(*notes)), said


def _prepare(sample: Sample, settings: RunSettings, model: Path) -> Prepared:
    """Audit the images; those of training are found only where they are allowed."""
    known = read_training_images(model) if "leak" in settings.data.allow else NO_IMAGES_KNOWN
    return prepare(sample.manifest, sample.cache, settings.data, settings.seed, known)


def _ask(
    trained: TrainedModel,
    config: ModelConfig,
    sample: Sample,
    settings: RunSettings,
    model: Path,
    name: str,
    split: str,
) -> StressRecord:
    pixels, info = sample.pixels, sample.manifest.info
    changes = len(SUITE) + len(QUALITY_SUITE)
    logger.info(
        "Asking about %d images, as they are and under %d changes: %s answers.",
        len(pixels),
        changes,
        f"{len(pixels) * (1 + changes):,}",
    )
    predictions = predictions_table(sample.manifest, trained.probabilities(pixels), config.threshold)
    confidence = settings.evaluate.confidence
    framing = measure_framing(
        trained.probabilities, pixels, predictions, info, config.threshold, seed=settings.seed, confidence=confidence
    )
    answers = [trained.probabilities(change_quality(pixels, change, settings.seed)) for change in QUALITY_SUITE]
    quality = judge_quality(QUALITY_SUITE, predictions, answers, info, config.threshold, confidence)
    guesses = is_guessing(framing.unchanged, info.task)
    return StressRecord(
        answered_by="model",
        name=name,
        sha256=hash_weights(model),
        data=info.name,
        simulated=info.simulated,
        split=split,
        task=info.task,
        classes=info.classes,
        threshold=config.threshold,
        seed=settings.seed,
        left_out=sample.left_out,
        guesses=guesses,
        notes=info.notes,
        framing=framing,
        quality=quality,
        verdict=worse((framing.verdict, quality.verdict, "warn" if guesses else "pass")),
    )


def _name_of(given: str | Path, model: Path) -> str:
    """What a model is called: its run, its folder, or the name that it was found by."""
    return (run_of(model) or model).resolve().name if Path(given).exists() else str(given)


def _pictures(sample: Sample, seed: int) -> StressPictures:
    """What gives the picture of an image, as the model sees it, before and after a change."""
    pixels = sample.pixels
    places = {path: number for number, path in enumerate(sample.manifest.table["path"])}

    def show_quality(path: str, name: str) -> tuple[Pixels, Pixels]:
        number = places[path]
        before = pixels[number : number + 1]
        change = next(change for change in QUALITY_SUITE if change.name == name)
        return _as_picture(before[0]), _as_picture(change_quality(before, change, seed, first=number)[0])

    return StressPictures(lambda path: pixels[places[path]], show_quality)


def _as_picture(pixels: Pixels) -> Pixels:
    return pixels[0] if len(pixels) == 1 else np.ascontiguousarray(pixels.transpose(1, 2, 0))
