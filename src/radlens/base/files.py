"""Writing files so that nothing half-written is ever left under a final name."""

from __future__ import annotations

import errno
import hashlib
import os
import platform
import re
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import platformdirs
from filelock import lock_descriptor

from radlens.base.errors import RadlensError, UsageError

# The machine that writes is part of the name, since a lock says nothing of processes on other machines.
_PARTIAL = re.compile(r"\..+\.(?P<machine>[0-9a-f]{8})\.[0-9a-f]{32}\.partial")
_ABANDONED_SECONDS = 24 * 3600


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path next to ``path`` to write to; on success it takes the final name, else it is removed.

    Raises:
        RadlensError: if the disk is full or the folder cannot be written to.
    """
    path = Path(path)
    temporary = path.with_name(_partial_name(path.name))
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
    """Give a temporary folder next to ``folder`` to fill; on success it takes the final name, else it is removed.

    If another process finished the same folder meanwhile, its result stands and ours is dropped. What processes that
    were killed left there is removed first.

    Raises:
        RadlensError: the disk is full or the folder cannot be written to.
    """
    folder = Path(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        remove_abandoned(folder.parent)
        temporary, lock = _claim_scratch(folder)
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
        if lock is not None:
            os.close(lock)


def remove_abandoned(folder: Path) -> None:
    """Remove the temporary files and folders left in a folder by processes that no longer run.

    A process of this machine lives as long as it holds the lock of its temporary folder. Where locks are not to be
    had (Windows, network file systems), for other machines and for single files, a day without a change decides.
    """
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            match = _PARTIAL.fullmatch(entry.name)
            if match and match["machine"] == _machine() and entry.is_dir(follow_symlinks=False):
                _remove_if_unlocked(Path(entry.path))
            elif match and time.time() - _last_change(Path(entry.path)) > _ABANDONED_SECONDS:
                _remove(Path(entry.path))


def _claim_scratch(folder: Path) -> tuple[Path, int | None]:
    """A new temporary folder and its lock, None where there are none."""
    while True:
        # Not mkdtemp, whose folders are closed to others: a cache may be shared.
        temporary = folder.with_name(_partial_name(folder.name))
        temporary.mkdir()
        try:
            lock = _lock(temporary)
            # Between its making and its locking, another process may have taken the folder for an abandoned one.
            if lock is None or temporary.exists():
                return temporary, lock
            os.close(lock)
        except (BlockingIOError, FileNotFoundError):
            continue


def _remove_if_unlocked(folder: Path) -> None:
    try:
        lock = _lock(folder)
    except OSError:
        return
    if lock is not None:
        _remove(folder)
        os.close(lock)
    elif time.time() - _last_change(folder) > _ABANDONED_SECONDS:
        _remove(folder)


def _lock(folder: Path) -> int | None:
    """An open descriptor that holds the lock of a folder until this process ends; None where there are no locks.

    Raises:
        BlockingIOError: another process holds it.
        FileNotFoundError: the folder is gone.
    """
    if os.name == "nt":
        # Windows opens no folder.
        return None
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        is_ours = lock_descriptor(descriptor, blocking=False)
    except OSError:
        os.close(descriptor)
        return None
    if not is_ours:
        os.close(descriptor)
        raise BlockingIOError(f"{folder} is locked by another process")
    return descriptor


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


def _last_change(path: Path) -> float:
    """When a file, or anything within a folder, was last changed, in seconds; now, if it cannot be told."""
    try:
        return max(each.lstat().st_mtime for each in (path, *path.rglob("*")))
    except OSError:
        return time.time()


def _partial_name(name: str) -> str:
    return f".{name}.{_machine()}.{uuid.uuid4().hex}.partial"


def _machine() -> str:
    return hashlib.sha256(platform.node().encode()).hexdigest()[:8]


def cache_root() -> Path:
    """The folder for what can be made again: ``$RADLENS_CACHE``, else the user's cache folder."""
    return Path(os.environ.get("RADLENS_CACHE") or platformdirs.user_cache_dir("radlens"))


def is_place_here(text: str) -> bool:
    """Whether a text is a path that means something on one machine alone: absolute, or from a home folder.

    >>> is_place_here("/data/lungs"), is_place_here("D:/lungs"), is_place_here("kermany")
    (True, True, False)
    """
    return re.match(r"([A-Za-z]:)?[\\/]|~", text) is not None


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
# How often test images were looked at (radlens.dataset.access_log): replacing the folder does not take it back.
ACCESS_LOG_FILE = "test_openings.jsonl"
# What a run that the audit stopped leaves; a folder of nothing else is taken for an empty one.
BLOCKED_FILE = "blocked.txt"
_BLOCKED_FILES = {
    *(*OUTPUT_MARKS, ACCESS_LOG_FILE, BLOCKED_FILE),
    *("config.yaml", "audit.json", "audit.html", "rejected.csv"),
}


def is_blocked(folder: Path) -> bool:
    """Whether a folder holds the audit that stopped a run, and nothing besides."""
    return (folder / BLOCKED_FILE).is_file() and all(path.name in _BLOCKED_FILES for path in folder.iterdir())


def check_output(folder: Path, *, overwrite: bool) -> Path:
    """See whether ``folder`` may take a run's results, and change nothing.

    Raises:
        UsageError: it is a file, it holds anything (but the test-set access log) and ``overwrite`` is false, or
            it holds what radlens did not write.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"The output {folder} is a file; a folder was expected. Choose another --out.")
    try:
        occupied = folder.is_dir() and any(path.name != ACCESS_LOG_FILE for path in folder.iterdir())
        occupied = occupied and not is_blocked(folder)
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
                f"The output folder {folder} exists and is not empty. Choose another --out, or pass --overwrite to "
                "replace it (a stopped run goes on with: radlens run --resume)."
            )
    return folder


def claim_output(folder: Path, *, overwrite: bool) -> Path:
    """Make ``folder`` ready for a run's results: empty, but for the test-set access log, which is never removed.

    Raises:
        UsageError: as :func:`check_output`.
        RadlensError: the folder cannot be made.
    """
    folder = check_output(folder, overwrite=overwrite)
    try:
        if (folder / ACCESS_LOG_FILE).is_file() and not folder.is_symlink():
            # At no time is the record only in memory, where an interrupt would lose it.
            for path in sorted(folder.iterdir(), key=lambda path: path.name in OUTPUT_MARKS):
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                elif path.name != ACCESS_LOG_FILE:
                    path.unlink()
        elif folder.is_dir():
            shutil.rmtree(folder)
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise write_error(folder, error) from error
    return folder
