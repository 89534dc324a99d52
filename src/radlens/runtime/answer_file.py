"""A file of answers that grows row by row, survives a kill, and gets its name when it is whole."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from filelock import lock_descriptor

from radlens.base.errors import RadlensError, UsageError
from radlens.base.files import replacing, write_error
from radlens.base.folder_lock import folder_lock
from radlens.imaging.scan import writable
from radlens.runtime.answer_rows import Maker, Rows
from radlens.runtime.answers import Answer

# Windows renames no file that is open.
_RENAMES_OPEN_FILES = os.name != "nt"

logger = logging.getLogger(__name__)

PARTIAL_SUFFIX = ".partial"


class AnswerFile:
    """An open file of answers.

    Attributes:
        rows_before: rows that were there when it was opened.
    """

    def __init__(self, file: BinaryIO, rows: Rows, maker: Maker) -> None:
        """Read what is there, cut a torn row off, and go to the end.

        Raises:
            DataError: the file holds something else.
            UsageError: another model or operating point gave the answers.
        """
        self._file, self._rows = file, rows
        # By digest, since there may be millions of long paths.
        self._known: Counter[bytes] = Counter()
        end = 0
        file.seek(0)
        for written in rows.read(file):
            if written.maker != maker:
                raise UsageError(
                    f"its answers are of model {written.maker.model} at threshold {written.maker.threshold}, and this "
                    f"is model {maker.model} at threshold {maker.threshold}. Choose another --out"
                )
            self._known[_digest(written.path)] += 1
            end = written.end
        self.rows_before = self._known.total()
        file.seek(end)
        file.truncate()
        if not end:
            self._put(rows.header)
        self._is_first = not end

    def takes(self, path: str) -> bool:
        """Whether an answer for this image is still to be written; asked once for each time that it is given."""
        digest = _digest(writable(path))
        if self._known[digest] > 0:
            self._known[digest] -= 1
            return False
        return True

    def write(self, answer: Answer) -> None:
        """Add an answer; from here on a kill of the program does not lose it."""
        self._put(self._rows.row(answer, is_first=self._is_first))
        self._is_first = False

    def finish(self) -> None:
        """Write the end, down to the disk."""
        self._put(self._rows.footer)
        os.fsync(self._file.fileno())

    def _put(self, text: str) -> None:
        self._file.write(text.encode("utf-8"))
        self._file.flush()


@contextmanager
def answer_file(path: Path, rows: Rows, maker: Maker, *, resume: bool, overwrite: bool) -> Iterator[AnswerFile]:
    """Give a file to write answers to: ``path`` with ``.partial`` behind it, which is renamed when all is done.

    Args:
        path: the final name.
        rows: the format.
        maker: who answers.
        resume: go on with what a stopped program left, or add to a whole file.
        overwrite: replace what is there.

    Raises:
        UsageError: there is such a file and neither ``resume`` nor ``overwrite`` was asked for; or it holds answers of
            another model.
        DataError: with ``resume``, the file holds something else.
        RadlensError: another program writes to it, the disk is full, or the folder cannot be written to.
    """
    if path.is_dir():
        raise UsageError(f"The output {path} is a folder; a file was expected. Choose another --out.")
    partial = path.with_name(path.name + PARTIAL_SUFFIX)
    _check(path, partial, resume=resume, overwrite=overwrite)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        is_copy = resume and path.exists() and not partial.exists()
        if is_copy:
            with replacing(partial) as copy:
                shutil.copyfile(path, copy)
        with folder_lock(path), _locked(partial) as file:
            if not resume:
                file.truncate(0)
            try:
                answers = AnswerFile(file, rows, maker)
            except RadlensError as error:
                if is_copy:
                    partial.unlink()
                raise type(error)(f"{path} cannot be gone on with: {error}.") from None
            try:
                yield answers
            except BaseException:
                logger.warning("The answers so far are in %s; --resume goes on with them.", partial)
                raise
            answers.finish()
            if _RENAMES_OPEN_FILES:
                partial.replace(path)
        if not _RENAMES_OPEN_FILES:
            partial.replace(path)
    except OSError as error:
        raise write_error(path, error) from error


def _check(path: Path, partial: Path, *, resume: bool, overwrite: bool) -> None:
    if resume and overwrite:
        raise UsageError("--resume and --overwrite exclude each other.")
    if not (resume or overwrite):
        if partial.exists():
            raise UsageError(
                f"A stopped run left {partial}. Pass --resume to go on with it, or --overwrite to start again."
            )
        if path.exists():
            raise UsageError(
                f"The output {path} exists. Pass --resume to add answers for images that it lacks, or --overwrite to "
                "replace it."
            )


@contextmanager
def _locked(partial: Path) -> Iterator[BinaryIO]:
    """Open for reading and writing, for this process alone."""
    with os.fdopen(os.open(partial, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666), "r+b") as file:
        if not lock_descriptor(file.fileno(), blocking=False):
            raise RadlensError(f"Another program writes answers to {partial}. Wait until it has ended.")
        # Between opening and locking the other one may have finished and renamed it.
        if not partial.exists() or not os.path.samestat(partial.stat(), os.fstat(file.fileno())):
            raise RadlensError(f"Another program has just finished {partial}. Begin again.")
        yield file


def _digest(path: str) -> bytes:
    return hashlib.blake2b(path.encode("utf-8"), digest_size=12).digest()
