"""What the pixel cache takes up, its limit, and what is removed when it is over."""

from __future__ import annotations

import logging
import os
import re
import shutil
import sqlite3
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from radlens.base.errors import UsageError
from radlens.imaging.cache.index import MAP_SUFFIX, DamagedError, reading, writing

logger = logging.getLogger(__name__)

# Two runs at once would else evict each other's maps before they are filled.
IN_USE_SECONDS = 900
DEFAULT_LIMIT = "20 GB"
_UNITS = {"": 10**9, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


@dataclass(frozen=True)
class CachedContract:
    """The decoded images of one preprocessing contract.

    Attributes:
        contract: channels, height, width and fit, in words.
        images: that are cached.
        rejected: images that are remembered as unreadable.
        bytes: of the map.
        last_used: when it was opened last.
    """

    contract: str
    images: int
    rejected: int
    bytes: int
    last_used: datetime


def cache_limit(text: str | None = None) -> int:
    """Bytes that decoded pixels may take up.

    Args:
        text: such as ``20 GB``, ``500MB`` or ``20`` (gigabytes); None: ``$RADLENS_CACHE_LIMIT``, else 20 GB.

    Raises:
        UsageError: it is not a size.

    >>> cache_limit("1.5 GB")
    1500000000
    """
    text = text or os.environ.get("RADLENS_CACHE_LIMIT") or DEFAULT_LIMIT
    size = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)B?\s*", text, re.IGNORECASE)
    if size is None:
        raise UsageError(f"The limit of the pixel cache is {text!r}; a size such as '20 GB' or '500 MB' was expected.")
    return int(float(size[1]) * _UNITS[size[2].upper()])


def evict(folder: Path, index: sqlite3.Connection, limit: int, in_use_seconds: float = 0) -> None:
    """Remove the maps not used for longest until the others fit, and before them what nothing refers to.

    A map that is open stays readable on POSIX; Windows refuses to remove it, and it is left for another time.

    Args:
        folder: of the maps.
        index: open for writing.
        limit: bytes that may stay.
        in_use_seconds: a map that was used so lately stays.
    """
    known = {name for (name,) in index.execute("SELECT name FROM maps")}
    parts = [(path.name in known, path.stat().st_mtime, path) for path in folder.glob(f"*{MAP_SUFFIX}")]
    # What an earlier version of radlens left, one folder a contract, is never used again.
    parts += [(False, 0, path) for path in folder.iterdir() if re.fullmatch("[0-9a-f]{16}", path.name)]
    sizes = {path: bytes_in(path) for *_, path in parts}
    total = sum(sizes.values())
    for is_known, used, path in sorted(parts):
        is_orphan = path.suffix == MAP_SUFFIX and not is_known
        if (is_orphan or (total > limit and time.time() - used >= in_use_seconds)) and _remove(path):
            total -= sizes[path]
            forget(index, path.name)


def forget(index: sqlite3.Connection, name: str) -> None:
    """Take a map and its images out of the index."""
    index.execute("DELETE FROM images WHERE map = (SELECT number FROM maps WHERE name = ?)", (name,))
    index.execute("DELETE FROM maps WHERE name = ?", (name,))


def reduce(folder: Path, limit: int) -> None:
    """Remove the maps not used for longest until the others fit.

    Raises:
        DamagedError: the index was damaged, and is removed.
        RadlensError: the folder cannot be written to.
    """
    with writing(folder) as index:
        evict(folder, index, limit)


def clear(folder: Path) -> None:
    """Remove all decoded pixels and all that is known of files.

    Raises:
        RadlensError: the folder cannot be written to.
    """
    for _ in range(2):
        # A damaged index is removed as it is opened for writing, and the rest with the next.
        with suppress(DamagedError), writing(folder) as index:
            evict(folder, index, -1)
            index.execute("DELETE FROM files")
            break
    # What earlier versions of radlens remembered of files.
    shutil.rmtree(folder.with_name("digests"), ignore_errors=True)


def contents(folder: Path) -> list[CachedContract]:
    """The contracts, the one used last first.

    Raises:
        DamagedError: the index is not whole.
        RadlensError: it cannot be read.
    """
    query = "SELECT contract, name, rows, (SELECT count(*) FROM images WHERE map = number) FROM maps"
    with reading(folder) as index:
        records = index.execute(query).fetchall()
    contracts = []
    for contract, name, rows, images in records:
        # Another process may have removed it by now.
        with suppress(FileNotFoundError):
            state = (folder / name).stat()
            used = datetime.fromtimestamp(state.st_mtime).astimezone()
            contracts.append(CachedContract(contract, rows, images - rows, state.st_size, used))
    return sorted(contracts, key=lambda each: each.last_used, reverse=True)


def bytes_in(path: Path) -> int:
    """Size of a file, or of all files in a folder; 0 where it is gone or may not be looked at."""
    try:
        return path.stat().st_size if path.is_file() else sum(map(bytes_in, path.iterdir()))
    except OSError:
        return 0


def _remove(path: Path) -> bool:
    try:
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    except OSError as error:
        logger.debug("%s stays for now: %s", path, error)
        return False
    return True
