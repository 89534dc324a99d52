"""What each file's content hashes to, remembered for as long as the file is unchanged."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from radlens.base.errors import RadlensError
from radlens.imaging.arrays import is_array_location
from radlens.imaging.cache.index import DamagedError, pixel_folder, reading, writing

logger = logging.getLogger(__name__)

# A file may change twice within one tick of its file system's clock (2 s on FAT), the second time without a trace in
# its times. One that was changed so lately is hashed again the next time.
SETTLED_NS = 2_000_000_000


class Stamp(NamedTuple):
    """What tells a file unchanged without reading it.

    No program can set the change time, so that even a change that keeps size and modification time is noticed.
    (On Windows it is the time of creation, and such a change goes unnoticed.)
    """

    size: int
    modified_ns: int
    changed_ns: int
    inode: int

    @classmethod
    def of(cls, location: str) -> Stamp | None:
        """The stamp of the file that a location is in; None if it cannot be looked at."""
        try:
            # No Path: this is asked for each of perhaps a million images.
            state = os.stat(location.partition("::")[0] if is_array_location(location) else location)  # noqa: PTH116
        except (OSError, ValueError):
            return None
        return cls(state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino)

    @property
    def is_settled(self) -> bool:
        """Whether a later change would show in the stamp."""
        return time.time_ns() - max(self.modified_ns, self.changed_ns) > SETTLED_NS


def hash_content(content: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def recall(locations: Sequence[str]) -> list[str]:
    """The digest of each location's content if its file is unchanged since it was remembered, else an empty text.

    Raises:
        DamagedError: the cache is not whole.
        RadlensError: it cannot be read.
    """
    places = _places(locations)
    query = "SELECT place, stamp, digest FROM files WHERE place IN (SELECT value FROM json_each(?))"
    with reading(pixel_folder()) as index:
        known = {place: (stamp, digest) for place, stamp, digest in index.execute(query, (json.dumps(places),))}
    digests = [""] * len(locations)
    for number, place in enumerate(places):
        stamp, digest = known.get(place, (None, None))
        # What is damaged is not believed, and read again.
        if stamp and isinstance(digest, str) and stamp == _text(Stamp.of(locations[number])):
            digests[number] = digest
    return digests


def remember(locations: Sequence[str], stamps: Sequence[Stamp | None], digests: Sequence[str]) -> None:
    """Keep the digests of files whose stamp is known, for :func:`recall`; failing to do so is no error.

    Args:
        locations: where the content was read from.
        stamps: of the files as they were read; None where they may change unnoticed.
        digests: of their contents.
    """
    known = zip(_places(locations), stamps, digests, strict=True)
    records = [(place, _text(stamp), digest) for place, stamp, digest in known if stamp is not None and digest]
    if records:
        try:
            with writing(pixel_folder()) as index:
                index.executemany("INSERT OR REPLACE INTO files VALUES (?, ?, ?)", records)
        except (DamagedError, RadlensError) as error:
            logger.debug("Contents will be read again the next time: %s", error)


def _places(locations: Sequence[str]) -> list[str]:
    """Locations by their hashes, so that no patient's name gets into the cache from a path."""
    here = str(Path.cwd())
    texts = (os.path.join(here, location) for location in locations)  # noqa: PTH118 - perhaps a million, and links stay
    return [hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest() for text in texts]


def _text(stamp: Stamp | None) -> str:
    return "" if stamp is None else "%d %d %d %d" % stamp  # noqa: UP031 - the fastest
