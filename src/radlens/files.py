"""Writing files so that nothing half-written is ever left under a final name."""

from __future__ import annotations

import errno
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import platformdirs

from radlens.errors import RadlensError, UsageError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside ``path`` to write to; on success it takes the final name, else it is removed.

    Raises:
        RadlensError: if the disk is full or the folder cannot be written to.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        temporary.replace(path)
    except OSError as error:
        raise write_error(path, error) from error
    finally:
        # Cleaning up must not hide why the file could not be written.
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextmanager
def building(folder: Path) -> Iterator[Path]:
    """Give a temporary folder beside ``folder`` to fill; on success it takes the final name, else it is removed.

    If another process finished the same folder meanwhile, its result stands and ours is dropped.
    """
    folder = Path(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        # Not mkdtemp, whose folders are closed to others: a cache may be shared.
        temporary = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}.partial")
        temporary.mkdir()
    except OSError as error:
        raise write_error(folder, error) from error
    try:
        yield temporary
        try:
            temporary.replace(folder)
        except OSError:
            if not folder.is_dir():
                raise
    except OSError as error:
        raise write_error(folder, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def cache_root() -> Path:
    """The folder for what can be made again: ``$RADLENS_CACHE``, else the user's cache folder."""
    return Path(os.environ.get("RADLENS_CACHE") or platformdirs.user_cache_dir("radlens"))


def write_text(path: Path, text: str) -> None:
    """Write a whole UTF-8 file, or nothing."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_error(path: Path, error: OSError) -> RadlensError:
    """The one message for a file that could not be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return RadlensError(
            f"No space left on the device while writing {path}. What was there before is unchanged. "
            "Free some space, or choose another folder."
        )
    return RadlensError(f"Could not write {path}: {error.strerror or error}. Check the folder and its permissions.")


# What radlens writes into every output folder; only a folder that holds all of these is ever replaced.
OUTPUT_MARKS = ("manifest.csv", "dataset.yaml")


def check_output(folder: Path, *, overwrite: bool) -> Path:
    """See whether ``folder`` may take a run's results, and change nothing.

    Raises:
        UsageError: it is a file, it holds anything and ``overwrite`` is false, or it holds what radlens did not write.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"The output {folder} is a file; a folder was expected. Choose another --out.")
    try:
        occupied = folder.is_dir() and any(folder.iterdir())
    except OSError as error:
        raise write_error(folder, error) from error
    if occupied:
        if overwrite and not all((folder / name).is_file() for name in OUTPUT_MARKS):
            raise UsageError(
                f"The output folder {folder} holds files that no radlens run wrote; --overwrite would delete them. "
                "Choose another --out, or empty the folder yourself."
            )
        if not overwrite:
            raise UsageError(
                f"The output folder {folder} exists and is not empty. "
                "Choose another --out, or pass --overwrite to replace it (or --resume to go on with a stopped run)."
            )
    return folder


def claim_output(folder: Path, *, overwrite: bool) -> Path:
    """Make ``folder`` ready for a run's results, empty.

    Raises:
        UsageError: as :func:`check_output`.
        RadlensError: the folder cannot be made.
    """
    folder = check_output(folder, overwrite=overwrite)
    try:
        if folder.is_dir():
            shutil.rmtree(folder)
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise write_error(folder, error) from error
    return folder
