"""Answer for all images that a command line names, and write the answers down as they come."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import TextIO

import numpy as np
import numpy.typing as npt

from radlens.base.errors import DataError, UsageError, did_you_mean
from radlens.base.files import replacing
from radlens.imaging.limits import DecodeError
from radlens.imaging.own_output import picture_mark
from radlens.imaging.scan import LeftOut
from radlens.runtime.answer_file import AnswerFile, answer_file
from radlens.runtime.answer_rows import FORMATS, Maker, TableRows, Writer, rows_in
from radlens.runtime.answers import Answer
from radlens.runtime.inputs import STANDARD_INPUT, describe, find_images
from radlens.runtime.predictor import BATCH_SIZE, Onlooker, Predictor
from radlens.runtime.sources import Source

logger = logging.getLogger(__name__)


@dataclass
class Tally:
    """What came of it.

    Attributes:
        answers: how many images got each answer.
        failed: images that could not be answered.
        skipped: images that had an answer already.
    """

    answers: Counter[str] = field(default_factory=Counter)
    failed: int = 0
    skipped: int = 0

    def count(self, answer: Answer) -> None:
        """Count one."""
        if answer.error:
            self.failed += 1
        else:
            self.answers[answer.answer or "none"] += 1


def predict_files(
    predictor: Predictor,
    arguments: Sequence[str],
    standard_output: TextIO,
    *,
    form: str | None = None,
    out: Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    explain: Path | None = None,
    fail_fast: bool = False,
    batch_size: int = BATCH_SIZE,
    workers: int = 0,
) -> Tally:
    """Answer for images in their order and write a row for each, those that cannot be read among them.

    Args:
        predictor: the model.
        arguments: files, folders, patterns, ``-``; see :func:`radlens.runtime.inputs.find_images`.
        standard_output: where the rows go without ``out``.
        form: ``table``, ``csv``, ``json`` or ``jsonl``; None: as the name of ``out`` says, else csv for a file and a
            table for standard output.
        out: file for the rows; see :func:`radlens.runtime.answer_file.answer_file`.
        resume: write rows only for images that have none in ``out``.
        overwrite: replace ``out``.
        explain: folder for pictures with class activation maps, named as the images are and marked as written by
            radlens, so that a later call does not answer for them.
        fail_fast: raise for the first image that cannot be read.
        batch_size: most images that the network takes at once.
        workers: threads; 0: one a core.

    Raises:
        UsageError: options that do not go together.
        DataError: with ``fail_fast``, an image cannot be read; or the model makes no maps; or files were left out and
            none is an image.
        RadlensError: a file cannot be written.
    """
    form = _form(form, out, resume=resume or overwrite)
    if explain is not None:
        predictor.require_maps()
    maker = Maker(predictor.identity, None if predictor.task == "multiclass" else predictor.threshold)
    left_out, tally, started = LeftOut(), Tally(), time.monotonic()
    images = find_images(arguments, left_out)
    with ExitStack() as stack:
        write: Callable[[Answer], None]
        before = 0
        if out is not None:
            file = stack.enter_context(
                answer_file(out, rows_in(form, predictor.config, maker), maker, resume=resume, overwrite=overwrite)
            )
            images, write, before = _missing(images, file, tally), file.write, file.rows_before
        else:
            rows = TableRows(predictor.config) if form == "table" else rows_in(form, predictor.config, maker)
            write = stack.enter_context(_Printed(standard_output, rows)).write
        answers = predictor.stream(
            images,
            batch_size=batch_size,
            workers=workers,
            fail_fast=fail_fast,
            onlooker=_overlays(predictor, explain) if explain else None,
        )
        step = stack.enter_context(_progress(arguments, before, is_hidden=out is None and standard_output.isatty()))
        for answer in stack.enter_context(closing(answers)):
            write(answer)
            tally.count(answer)
            step()
    _tell(tally, left_out, time.monotonic() - started)
    return tally


def overlay_path(folder: Path, path: str) -> Path:
    """Where the overlay of an image goes: its own path below the folder, with ``.png`` behind it.

    >>> overlay_path(Path("maps"), "/data/in/../a.dcm").as_posix()
    'maps/data/a.dcm.png'
    """
    whole = PurePath(os.path.normpath(path))
    parts = [part for part in whole.relative_to(whole.anchor).parts if part != ".."]
    return folder.joinpath(*parts[:-1], parts[-1] + ".png")


class _Printed:
    """Rows on standard output."""

    def __init__(self, stream: TextIO, rows: Writer) -> None:
        self._stream, self._rows, self._is_first = stream, rows, True

    def __enter__(self) -> _Printed:
        self._put(self._rows.header)
        return self

    def write(self, answer: Answer) -> None:
        self._put(self._rows.row(answer, is_first=self._is_first))
        self._is_first = False

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._put(self._rows.footer)

    def _put(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


def _form(form: str | None, out: Path | None, *, resume: bool) -> str:
    if out is None and resume:
        raise UsageError("--resume and --overwrite are for a file of answers: name it with --out.")
    if form is None:
        suffix = out.suffix.lower().removeprefix(".") if out is not None else "table"
        return suffix if suffix in FORMATS or out is None else "csv"
    if form not in (*FORMATS, "table"):
        raise UsageError(f"Unknown format {form!r}. {did_you_mean(form, (*FORMATS, 'table'))}")
    if form == "table" and out is not None:
        raise UsageError(f"A table is for people to see; a file takes the formats {', '.join(FORMATS)}.")
    return form


def _missing(images: Iterator[str], file: AnswerFile, tally: Tally) -> Iterator[str]:
    for image in images:
        if file.takes(image):
            yield image
        else:
            tally.skipped += 1


def _overlays(predictor: Predictor, folder: Path) -> Onlooker:
    def write(source: Source, answer: Answer, cam: npt.NDArray[np.float32]) -> None:
        try:
            picture = predictor.overlay(source, answer, cam)
        except DecodeError as error:
            # At its own size a picture takes memory that it did not take at the network's.
            logger.warning("There is no overlay of %s", error)
            return
        with replacing(overlay_path(folder, answer.path)) as temporary:
            picture.save(temporary, "PNG", pnginfo=picture_mark())

    return write


@contextmanager
def _progress(arguments: Sequence[str], before: int, *, is_hidden: bool) -> Iterator[Callable[[], None]]:
    """A bar on standard error, if that is a terminal, from the rows that are there; gives what to call for each."""
    if is_hidden or not sys.stderr.isatty():
        yield lambda: None
        return
    # Found twice: once to be counted, so that none of their paths need be held.
    total = None if STANDARD_INPUT in arguments else sum(1 for _ in find_images(arguments, LeftOut()))
    from radlens.base.progress import progress_bar

    with progress_bar() as bar:
        task = bar.add_task("Answering", total=total, completed=before)
        yield lambda: bar.advance(task)


def _tell(tally: Tally, left_out: LeftOut, seconds: float) -> None:
    """The end of it in words, on standard error."""
    answered = tally.answers.total()
    passed_over = describe(left_out)
    if passed_over and not (answered or tally.failed or tally.skipped):
        raise DataError(f"There was no image to answer for. {' '.join(passed_over)}")
    for sentence in passed_over:
        logger.warning("%s", sentence)
    if tally.skipped:
        logger.info("%d image(s) had an answer already.", tally.skipped)
    counts = ", ".join(f"{count:,} {name}" for name, count in tally.answers.most_common())
    rate = (answered + tally.failed) / max(seconds, 1e-9)
    if answered:
        logger.info("Answered for %s image(s) in %.1f s, %.0f/s: %s.", f"{answered:,}", seconds, rate, counts)
    if tally.failed:
        logger.warning("%s image(s) could not be answered; their rows say why.", f"{tally.failed:,}")
    if not (answered or tally.failed or tally.skipped):
        logger.warning("There was no image to answer for.")
