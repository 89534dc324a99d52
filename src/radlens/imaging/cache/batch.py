"""Contents on their way into the pixel cache."""

from __future__ import annotations

import time

from radlens.imaging.cache.pixel_map import Pixels
from radlens.imaging.cache.reader import Entry
from radlens.imaging.cache.store import PixelStore

# What one transaction takes, and what waits in memory for it.
BATCH_BYTES, BATCH_SECONDS = 2**24, 60


class Batch:
    """Contents on their way into a store, which takes many at a time: a kill loses no more than those."""

    def __init__(self, store: PixelStore, images: int) -> None:
        """Begin; nothing is made before the first content.

        Args:
            store: where they go.
            images: how many there will be at most.
        """
        self._store, self._images = store, images
        self._waiting: list[tuple[str, Entry, Pixels | None]] = []
        self._bytes, self._begun, self._has_room, self._is_larger = 0, time.monotonic(), False, False

    def add(self, digest: str, entry: Entry, pixels: Pixels | None) -> None:
        """Take one content; ``pixels`` is None where it is rejected.

        Raises:
            DamagedError: the index was damaged, and is removed.
            RadlensError: the disk is full, has no room for all images to come, or failed.
        """
        if pixels is not None and not self._has_room:
            self._store.require_room(self._images)
            self._has_room = True
        self._waiting.append((digest, entry, pixels))
        self._bytes += 0 if pixels is None else pixels.nbytes
        if self._bytes >= BATCH_BYTES or time.monotonic() - self._begun >= BATCH_SECONDS:
            self.finish()

    def finish(self) -> bool:
        """Store what waits; whether anything was stored at all. Raises as :meth:`add`."""
        if self._waiting:
            self._store.append(self._waiting)
            self._waiting, self._bytes, self._begun, self._is_larger = [], 0, time.monotonic(), True
        return self._is_larger
