"""One process at a time writes into a folder; the others are told which one does."""

from __future__ import annotations

import functools
import hashlib
import inspect
import json
import os
import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from filelock import lock_descriptor

from radlens.base.errors import RadlensError
from radlens.base.files import cache_root, write_error

P = ParamSpec("P")
R = TypeVar("R")

_ATTEMPTS = 20


def writes_folder(parameter: str = "out") -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let a function run only while no other process writes into the folder that this parameter of it names.

    Where the parameter is None, nothing is written and nothing is locked.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        signature = inspect.signature(function)

        @functools.wraps(function)
        def alone(*args: P.args, **kwargs: P.kwargs) -> R:
            given = signature.bind(*args, **kwargs)
            given.apply_defaults()
            folder = given.arguments[parameter]
            if folder is None:
                return function(*args, **kwargs)
            with folder_lock(Path(folder)):
                return function(*args, **kwargs)

        return alone

    return decorate


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Hold a folder, which need not exist yet, for this process alone.

    The lock is a hidden file next to the folder, gone when the lock is released. The system frees it when its process
    ends in whatever way, so that what a killed process leaves is taken over; where it knows no locks (some network
    file systems), the process number and its start decide.

    Raises:
        RadlensError: another process holds it, or one of another machine did not release it; or the file cannot be
            written.
    """
    path = _lock_file(folder)
    made = [parent for parent in path.parents if not parent.exists()]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = _acquire(path, folder)
    except OSError as error:
        raise write_error(folder, error) from error
    try:
        yield
    finally:
        # Windows removes no open file; elsewhere another process may hold the name once it is closed.
        if os.name == "nt":
            os.close(descriptor)
        with suppress(OSError):
            path.unlink()
        if os.name != "nt":
            os.close(descriptor)
        with suppress(OSError):
            for parent in made:
                parent.rmdir()


def _lock_file(folder: Path) -> Path:
    place = folder.expanduser().resolve()
    parent = next(each for each in place.parents or (place,) if each.is_dir())
    if place.name and os.access(parent, os.W_OK):
        return place.with_name(f".{place.name}.radlens-lock")
    # A mount, say, whose parent is the root folder.
    return cache_root() / "locks" / f"{hashlib.sha256(os.fsencode(place)).hexdigest()[:32]}.radlens-lock"


def _acquire(path: Path, folder: Path) -> int:
    """A descriptor that holds the lock until it is closed."""
    for _ in range(_ATTEMPTS):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
        try:
            is_ours: bool | None = lock_descriptor(descriptor, blocking=False)
        except OSError:
            is_ours = None
        try:
            # Between opening and locking, its holder may have released and removed it.
            if not os.path.samestat(path.stat(), os.fstat(descriptor)):
                os.close(descriptor)
                continue
        except FileNotFoundError:
            os.close(descriptor)
            continue
        holder = _read(descriptor)
        reason = _why_not(folder, path, holder, is_ours)
        if reason:
            os.close(descriptor)
            raise RadlensError(reason)
        os.ftruncate(descriptor, 0)
        os.lseek(descriptor, 0, os.SEEK_SET)
        os.write(descriptor, json.dumps(_own()).encode("utf-8"))
        return descriptor
    raise RadlensError(f"Other processes lock {folder} again and again. Choose another --out.")


def _why_not(folder: Path, path: Path, holder: dict[str, Any], is_ours: bool | None) -> str | None:
    """Why this process may not write; None where it may.

    Args:
        folder: where to.
        path: the lock.
        holder: what it says.
        is_ours: whether the system gave the lock to this process; None where it knows no locks.
    """
    who = "process {process} on {host}, started {started}".format_map(
        {"process": "?", "host": "an unknown machine", "started": "?"} | holder
    )
    busy = f"Another process writes to {folder}: {who}. Wait until it has ended, or choose another"
    if is_ours is False:
        return f"{busy} --out."
    if not holder:
        return None
    if holder.get("host") != platform.node():
        return (
            f"{folder} is locked by {who}. Whether that still runs cannot be seen from "
            f"{platform.node()}: if it does, wait or choose another --out; if it does not, delete {path} and go on."
        )
    if is_ours is None and _starts(int(holder.get("process", 0))) == holder.get("starts", ""):
        return f"{busy} --out."
    return None


def _own() -> dict[str, Any]:
    started = datetime.now(UTC).isoformat(sep=" ", timespec="seconds")
    return {"host": platform.node(), "process": os.getpid(), "started": started, "starts": _starts(os.getpid())}


def _read(descriptor: int) -> dict[str, Any]:
    """What the holder wrote; nothing where it cannot be read, as on Windows while it is locked."""
    with suppress(OSError, ValueError):
        os.lseek(descriptor, 0, os.SEEK_SET)
        holder = json.loads(os.read(descriptor, 10_000))
        return holder if isinstance(holder, dict) else {}
    return {}


def _starts(process: int) -> str:
    """When a process of this machine began, in a form to compare, which tells it from a later one of its number.

    ``ended`` where there is none; ``alive`` where the system tells no more than that.
    """
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        if Path("/proc/self/stat").exists():
            return "ended"
    try:
        os.kill(process, 0)
    except PermissionError:
        return "alive"
    except OSError:
        return "ended"
    return "alive"
