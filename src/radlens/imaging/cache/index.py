"""The index of the pixel cache: one SQLite file, written to under one lock.

It keeps a plain rollback journal and not a write-ahead log, which would need memory that all processes share (and thus
no network drive) and a folder that readers may write to.
"""

from __future__ import annotations

import errno
import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from filelock import FileLock

from radlens.base.errors import RadlensError
from radlens.base.files import cache_root, write_error

logger = logging.getLogger(__name__)

DAMAGED = "The pixel cache %s is damaged (%s); what it held is decoded again."
INDEX, LOCK, MAP_SUFFIX = "index.sqlite", "lock", ".pixels"

# Raise this when the tables change: an index of another version is made again, and never misread.
SCHEMA_VERSION = 1
_SCHEMA = f"""
PRAGMA auto_vacuum = FULL;
BEGIN IMMEDIATE;
CREATE TABLE maps (number INTEGER PRIMARY KEY, key TEXT UNIQUE, contract TEXT, name TEXT UNIQUE, rows INTEGER);
CREATE TABLE images (map INTEGER, digest TEXT, row INTEGER, entry TEXT, PRIMARY KEY (map, digest)) WITHOUT ROWID;
CREATE TABLE files (place TEXT PRIMARY KEY, stamp TEXT, digest TEXT) WITHOUT ROWID;
PRAGMA user_version = {SCHEMA_VERSION};
COMMIT;
"""
_WAIT_SECONDS = 300
_ERRORS = {
    sqlite3.SQLITE_FULL: errno.ENOSPC,
    sqlite3.SQLITE_PERM: errno.EACCES,
    sqlite3.SQLITE_READONLY: errno.EACCES,
    sqlite3.SQLITE_CANTOPEN: errno.EACCES,
}


class DamagedError(Exception):
    """The cache is not as it was written."""


class DamagedMapError(DamagedError):
    """One map, or what the index has of it, is not as it was written."""

    def __init__(self, reason: str, name: str) -> None:
        """Tell of a map by its file's name."""
        super().__init__(reason)
        self.name = name


def pixel_folder() -> Path:
    """The folder of the index, its lock and all maps."""
    return cache_root() / "pixels"


@contextmanager
def reading(folder: Path) -> Iterator[sqlite3.Connection]:
    """Give the index as it is at one moment; an empty one where there is none.

    Raises:
        DamagedError: it is not whole.
        RadlensError: it cannot be read.
    """
    path = folder / INDEX
    try:
        with closing(_connect(path if path.is_file() else None)) as index:
            if _is_new(index, folder):
                with closing(_connect(None)) as empty:
                    empty.executescript(_SCHEMA)
                    yield empty
            else:
                index.execute("BEGIN")
                yield index
    except (OSError, sqlite3.Error) as error:
        if _is_damage(error):
            raise DamagedError(str(error)) from error
        raise unreadable(path, error) from error


@contextmanager
def writing(folder: Path) -> Iterator[sqlite3.Connection]:
    """Give the index in a transaction of which all or nothing is kept, with no other writer to it or to the maps.

    Raises:
        DamagedError: it was not whole, and is removed.
        RadlensError: the disk is full, or the folder cannot be written to.
    """
    path = folder / INDEX
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / LOCK, timeout=_WAIT_SECONDS):
            if not path.exists():
                # SQLite would close it to the group that shares a cache.
                path.touch()
            try:
                with closing(_connect(path)) as index:
                    if _is_new(index, folder):
                        index.executescript(_SCHEMA)
                    index.execute("BEGIN IMMEDIATE")
                    yield index
                    index.execute("COMMIT")
            except (DamagedError, sqlite3.Error) as error:
                if isinstance(error, DamagedMapError) or not _is_damage(error):
                    raise
                logger.warning(DAMAGED, folder, error)
                # Together with its maps, or the next index would be taken for one that lost its content.
                for file in (*folder.glob(f"{INDEX}*"), *folder.glob(f"*{MAP_SUFFIX}")):
                    file.unlink()
                raise DamagedError(str(error)) from error
    except sqlite3.Error as error:
        number = _ERRORS.get(_code(error))
        raise unwritable(folder, OSError(number, os.strerror(number) if number else str(error))) from error
    except OSError as error:
        raise unwritable(folder, error) from error


def unreadable(path: Path, error: Exception) -> RadlensError:
    """The one message for a cache that cannot be read."""
    reason = getattr(error, "strerror", None) or error
    return RadlensError(
        f"The pixel cache {path} cannot be read: {reason}. "
        "Mend its permissions, or set RADLENS_CACHE to another folder, on a local disk."
    )


def unwritable(folder: Path, error: OSError) -> RadlensError:
    """The one message for a cache that cannot be written to."""
    return RadlensError(f"{write_error(folder, error)} Or set RADLENS_CACHE to another folder, on a local disk.")


def _connect(path: Path | None) -> sqlite3.Connection:
    """Open a file that is there, to read only where nothing else is allowed; None: an index in memory."""
    address = ":memory:" if path is None else f"{path.absolute().as_uri()}?mode=rw"
    return sqlite3.connect(address, uri=True, timeout=_WAIT_SECONDS, isolation_level=None)


def _is_new(index: sqlite3.Connection, folder: Path) -> bool:
    """Whether nothing was ever written to the index."""
    (version,) = index.execute("PRAGMA user_version").fetchone()
    if version == SCHEMA_VERSION:
        return False
    if version or any(folder.glob(f"*{MAP_SUFFIX}")):
        raise DamagedError(f"its index is of version {version}; {SCHEMA_VERSION} was expected")
    return True


def _is_damage(error: Exception) -> bool:
    codes = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)
    return isinstance(error, DamagedError) or _code(error) in codes


def _code(error: Exception) -> int:
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF
