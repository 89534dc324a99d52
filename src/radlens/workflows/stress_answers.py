"""What another program answered to the pictures that radlens wrote out for it, judged as a model's own answers."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

import numpy as np
import numpy.typing as npt

from radlens.assessment.framing_evidence import judge_framing
from radlens.assessment.outside_predictions import read_outside
from radlens.assessment.predictions import predictions_table
from radlens.assessment.stress_evidence import is_guessing, judge_quality
from radlens.assessment.stress_images import StressImages, match_answers, read_stress_images
from radlens.assessment.stress_records import StressRecord, worse
from radlens.base.errors import UsageError
from radlens.base.files import claim_output
from radlens.dataset.access_log import new_access, record
from radlens.imaging.decode import decode
from radlens.imaging.limits import DEFAULT_LIMITS, DecodeLimits
from radlens.reporting.stress_page import StressPictures
from radlens.workflows.evaluate_external import operating_point_of
from radlens.workflows.options import RunOptions, check_folder, settings_of
from radlens.workflows.prepare import list_only, write_start
from radlens.workflows.stress_result import StressResult, write_stress

logger = logging.getLogger(__name__)

Pixels = npt.NDArray[np.uint8]


def stress_answers(file: Path, source: str | Path | None, folder: Path, options: RunOptions) -> StressResult:
    """Judge a table of answers; see :func:`radlens.workflows.stress.stress`.

    Raises:
        UsageError: no folder of pictures was named, a setting cannot be used, or ``folder`` is not empty.
        DataError: the folder is none of pictures, or the table does not answer them.
    """
    # 1. The pictures, and an answer to each of them.
    if source is None:
        raise UsageError(
            f"{file} was answered to pictures that radlens wrote: name their folder. radlens stress {file.name} DIR "
            "--out OUT"
        )
    settings = settings_of(source, options)
    check_folder(folder, options.overwrite, source, file)
    images = read_stress_images(Path(source).expanduser())
    outside = read_outside(file, settings.data.csv.path)
    answers = match_answers(outside, images, settings.data.csv.label[0])
    # 2. The operating point: stated, never chosen on these images.
    info, plan = images.originals.info, images.plan
    manifest = images.originals
    predictions = predictions_table(manifest, answers[0])
    stated = options.state("evaluate.threshold")
    threshold, how = operating_point_of(outside, predictions, info, settings.evaluate, stated)
    logger.info("%s", how)
    predictions = predictions_table(manifest, answers[0], threshold)
    manifest = manifest.with_notes(
        f"The answers were made by another program and read from {outside.file.name} (SHA-256 "
        f"{outside.digest[:16]}…). What it was trained on is not known here.",
        how,
    )
    listed = list_only(manifest, settings.data.allow)
    # 3. Written down before anything is shown.
    claim_output(folder, overwrite=options.overwrite)
    write_start(folder, settings.model_copy(update={"seed": plan.seed}), manifest, listed)
    if plan.split in ("test", "all"):
        paths_and_labels = zip(manifest.table["path"], manifest.table["label"], strict=True)
        record(new_access("stress", outside.digest, paths_and_labels), folder)
    # 4. Evidence, table and page.
    quality_suite, confidence = plan.of_suite("quality"), settings.evaluate.confidence
    framings = 1 + len(plan.of_suite("framing"))
    framing = judge_framing(predictions, answers[1:framings], info, threshold, seed=plan.seed, confidence=confidence)
    quality = judge_quality(quality_suite, predictions, answers[framings:], info, threshold, confidence)
    guesses = is_guessing(framing.unchanged, info.task)
    evidence = StressRecord(
        answered_by="table",
        name=file.name,
        sha256=hashlib.sha256(outside.file.read_bytes()).hexdigest(),
        data=info.name,
        simulated=info.simulated,
        split=plan.split,
        task=info.task,
        classes=info.classes,
        threshold=threshold,
        seed=plan.seed,
        left_out=0,
        guesses=guesses,
        notes=manifest.info.notes,
        framing=framing,
        quality=quality,
        verdict=worse((framing.verdict, quality.verdict, "warn" if guesses else "pass")),
    )
    return write_stress(evidence, folder, _pictures(images, settings.data.limits))


def _pictures(images: StressImages, limits: DecodeLimits = DEFAULT_LIMITS) -> StressPictures:
    """What gives the pictures of an image before and after a change, as the program got them."""
    places = {path: number for number, path in enumerate(images.originals.table["path"])}
    columns = {
        change.name: column for column, change in enumerate(images.plan.changes, start=1) if change.suite == "quality"
    }

    def read(path: str, column: int) -> Pixels:
        location = images.folder / str(images.paths[places[path], column])
        return np.asarray(decode(str(location), limits=limits).image, dtype=np.uint8)

    def read_input(path: str) -> Pixels:
        pixels = read(path, 0)
        return pixels[None] if pixels.ndim == 2 else np.ascontiguousarray(pixels.transpose(2, 0, 1))

    return StressPictures(read_input, lambda path, name: (read(path, 0), read(path, columns[name])))
