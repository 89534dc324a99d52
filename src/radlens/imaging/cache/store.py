"""The pixels of one contract: a memory map that only grows, and what the index knows of its rows."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import logging
import shutil
import sqlite3
import uuid
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np

from radlens.base.errors import RadlensError
from radlens.imaging.cache.eviction import IN_USE_SECONDS, cache_limit, evict, forget
from radlens.imaging.cache.index import (
    DAMAGED,
    MAP_SUFFIX,
    DamagedError,
    DamagedMapError,
    pixel_folder,
    reading,
    unwritable,
    writing,
)
from radlens.imaging.cache.pixel_map import HEAD_BYTES, Pixels, append_rows, open_map
from radlens.imaging.cache.reader import Entry
from radlens.imaging.decode import FileFacts
from radlens.imaging.limits import DecodeLimits
from radlens.imaging.preprocess import Preprocessing

logger = logging.getLogger(__name__)

# Raise this when the same contract comes to give other bytes: what was cached before is left alone, and evicted.
CACHE_VERSION = 4

# Another version may give other bytes, and one that is newly installed reads what was rejected before.
_DECODERS = ("imagecodecs", "pillow", "pydicom")
_SPARE_BYTES = 2**20
_AMONG = "(SELECT value FROM json_each(?))"


@dataclass(frozen=True)
class Stored:
    """What the cache holds at one moment.

    Attributes:
        pixels: uint8, shape (rows, channels, height, width), memory-mapped and read-only: all images of the contract.
        images: row and facts, or -1 and the reason of a rejection, by the digest of the file's content, for those of
            the images asked for that are there.
    """

    pixels: Pixels
    images: Mapping[str, tuple[int, Entry]]


@dataclass(frozen=True)
class PixelStore:
    """The cache of one contract.

    Attributes:
        folder: of the index and the maps.
        key: of all that decides what the pixels are.
        contract: what was made of each image.
    """

    folder: Path
    key: str
    contract: Preprocessing

    @classmethod
    def of(cls, contract: Preprocessing, limits: DecodeLimits) -> PixelStore:
        """The store for a contract, and for all else that decides what is in a cache.

        The limits are part of it since they decide what is rejected, and the decoders since they do the work. The
        range that the network sees is none, since it is applied to what is stored.
        """
        state = "\n".join(
            [
                str(CACHE_VERSION),
                contract.model_dump_json(exclude={"low", "high"}),
                limits.model_dump_json(),
                *(field.name for field in fields(FileFacts)),
                *(f"{name} {_version(name)}" for name in _DECODERS),
            ]
        )
        return cls(pixel_folder(), hashlib.sha256(state.encode()).hexdigest()[:32], contract)

    def find(self, digests: Iterable[str]) -> Stored:
        """What is known of these contents.

        Raises:
            DamagedError: the cache is not whole.
            RadlensError: it cannot be read.
        """
        with reading(self.folder) as index:
            return self._find(index, digests)

    def known(self) -> set[str]:
        """The digests of all contents. Raises as :meth:`find`."""
        with reading(self.folder) as index:
            query = "SELECT digest FROM images JOIN maps ON map = number WHERE key = ?"
            return {digest for (digest,) in index.execute(query, (self.key,))}

    def append(self, batch: Sequence[tuple[str, Entry, Pixels | None]]) -> None:
        """Add contents, each with facts and pixels or the reason of a rejection; what is there already stays.

        The map is written to and not mapped: a full disk then answers with an error and not with a bus error. A row
        counts once the index has it, which happens after all of the pixels are on the disk.

        Raises:
            DamagedError: the index was damaged, and is removed.
            RadlensError: the disk is full, or the cache cannot be written to.
        """
        with writing(self.folder) as index:
            needed = len(batch) * self._row_bytes
            evict(self.folder, index, cache_limit() - needed, IN_USE_SECONDS)
        with writing(self.folder) as index:
            number, name, rows = self._map(index)
            among = json.dumps([digest for digest, *_ in batch])
            query = f"SELECT digest FROM images WHERE map = ? AND digest IN {_AMONG}"
            known = {digest for (digest,) in index.execute(query, (number, among))}
            fresh = [item for item in batch if item[0] not in known]
            images = [pixels for *_, pixels in fresh if pixels is not None]
            places = iter(range(rows, rows + len(images)))
            records = [
                (number, digest, -1 if pixels is None else next(places), _to_text(entry))
                for digest, entry, pixels in fresh
            ]
            index.executemany("INSERT INTO images VALUES (?, ?, ?, ?)", records)
            index.execute("UPDATE maps SET rows = ? WHERE number = ?", (rows + len(images), number))
            append_rows(self.folder / name, rows, images, self._row_bytes)

    def shrink(self, digests: Iterable[str]) -> None:
        """Where this map alone exceeds the limit and most of it is not asked for, keep only what is.

        Args:
            digests: of the contents to keep.

        Raises:
            DamagedError: the index was damaged, and is removed.
            RadlensError: the disk is full, or the cache cannot be written to.
        """
        with writing(self.folder) as index:
            record = index.execute("SELECT number, rows FROM maps WHERE key = ?", (self.key,)).fetchone()
            if record is None or record[1] * self._row_bytes <= cache_limit():
                return
            number, rows = record
            stored = self._find(index, digests)
            kept = sorted((row, digest) for digest, (row, _) in stored.images.items() if row >= 0)
            if 2 * len(kept) > rows:
                return
            name = _new_name()
            append_rows(self.folder / name, 0, (stored.pixels[row] for row, _ in kept), self._row_bytes)
            asked = (number, json.dumps(list(stored.images)))
            index.execute(f"DELETE FROM images WHERE map = ? AND digest NOT IN {_AMONG}", asked)
            places = [(row, number, digest) for row, (_, digest) in enumerate(kept)]
            index.executemany("UPDATE images SET row = ? WHERE map = ? AND digest = ?", places)
            index.execute("UPDATE maps SET name = ?, rows = ? WHERE number = ?", (name, len(kept), number))
        with writing(self.folder) as index:
            evict(self.folder, index, cache_limit(), IN_USE_SECONDS)

    def mend(self, digests: Iterable[str]) -> None:
        """Remove what is damaged, unless another process has done so.

        Raises:
            RadlensError: it cannot be removed.
        """
        # A damaged index is removed as it is opened for writing.
        with suppress(DamagedError), writing(self.folder) as index:
            try:
                self._find(index, digests)
            except DamagedMapError as error:
                logger.warning(DAMAGED, self.folder / error.name, error)
                forget(index, error.name)

    def require_room(self, images: int) -> None:
        """See that so many more images fit on the disk. Raises RadlensError where they do not."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            free = shutil.disk_usage(self.folder).free
        except OSError as error:
            raise unwritable(self.folder, error) from error
        needed = images * self._row_bytes
        if free < needed + _SPARE_BYTES:
            raise RadlensError(
                f"No space left on the device: the pixel cache in {self.folder} needs up to {needed / 2**20:,.0f} MiB "
                f"and {free / 2**20:,.0f} MiB are free. Free some space, or set RADLENS_CACHE to another folder."
            )

    @property
    def _row_bytes(self) -> int:
        return int(np.prod(self.contract.shape))

    def _find(self, index: sqlite3.Connection, digests: Iterable[str]) -> Stored:
        record = index.execute("SELECT number, name, rows FROM maps WHERE key = ?", (self.key,)).fetchone()
        if record is None:
            return Stored(np.empty((0, *self.contract.shape), np.uint8), {})
        number, name, rows = record
        query = f"SELECT digest, row, entry FROM images WHERE map = ? AND digest IN {_AMONG}"
        known = index.execute(query, (number, json.dumps(list({*digests})))).fetchall()
        try:
            entries = [_from_state(state) for state in json.loads(f"[{','.join(text for *_, text in known)}]")]
            images = {digest: (row, entry) for (digest, row, _), entry in zip(known, entries, strict=True)}
            if not all(row == -1 if isinstance(entry, str) else 0 <= row < rows for row, entry in images.values()):
                raise DamagedMapError("its index names rows that it does not have", name)
            return Stored(open_map(self.folder / name, (rows, *self.contract.shape)), images)
        except (TypeError, ValueError) as error:
            raise DamagedMapError(f"its index cannot be read: {error}", name) from error

    def _map(self, index: sqlite3.Connection) -> tuple[int, str, int]:
        """Number, file and rows of the map to append to; a new one where there is none, or it was cut short."""
        query = "SELECT number, name, rows FROM maps WHERE key = ?"
        record: tuple[int, str, int] | None = index.execute(query, (self.key,)).fetchone()
        if record is not None:
            path = self.folder / record[1]
            if path.exists() and path.stat().st_size >= HEAD_BYTES + record[2] * self._row_bytes:
                return record
            forget(index, record[1])
        name, contract = _new_name(), "{channels} x {height} x {width}, {fit}".format(**self.contract.model_dump())
        query = "INSERT INTO maps (key, contract, name, rows) VALUES (?, ?, ?, 0)"
        return index.execute(query, (self.key, contract, name)).lastrowid or 0, name, 0


def _new_name() -> str:
    return f"{uuid.uuid4().hex}{MAP_SUFFIX}"


def _to_text(entry: Entry) -> str:
    return json.dumps(entry if isinstance(entry, str) else astuple(entry))


def _from_state(state: object) -> Entry:
    """An entry as it is in the index. Raises TypeError where it is none."""
    if isinstance(state, str):
        return state
    # JSON has lists where there were tuples.
    return FileFacts(*(tuple(part) if isinstance(part, list) else part for part in state))  # type: ignore[attr-defined, arg-type]


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "none"
