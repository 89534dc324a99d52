"""What each file's content hashes to, remembered for as long as the file is unchanged."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from radlens.base.errors import RadlensError
from radlens.base.files import cache_root, remove_abandoned, write_text
from radlens.imaging.arrays import is_array_location

log = logging.getLogger("radlens")

# A file may change twice within one tick of its file system's clock (2 s on FAT), the second time without a trace in
# its times. One that was changed so lately is hashed anew the next time.
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
    """The digest of each location's content if its file is unchanged since it was remembered, else an empty text."""
    found = [""] * len(locations)
    for record, numbers in _by_record(locations):
        known = _read(record)
        for number in numbers if known else ():
            digest, *stamp = known.get(_hashed(_place(locations[number])[1]), ("",))
            if digest and Stamp.of(locations[number]) == tuple(stamp):
                found[number] = digest
    return found


def remember(locations: Sequence[str], stamps: Sequence[Stamp | None], digests: Sequence[str]) -> None:
    """Keep the digests of files whose stamp is known, for :func:`recall`; failing to do so is no error.

    Args:
        locations: where the content was read from.
        stamps: of the files as they were read; None where they may change unnoticed.
        digests: of their contents.
    """
    for record, numbers in _by_record(locations):
        new = {
            _hashed(_place(locations[number])[1]): [digests[number], *stamp]
            for number in numbers
            if (stamp := stamps[number]) is not None and digests[number]
        }
        if new:
            try:
                write_text(record, json.dumps(_read(record) | new))
            except RadlensError as error:
                log.debug("Contents will be read again the next time: %s", error)
                return
    remove_abandoned(_folder())


def _folder() -> Path:
    return cache_root() / "digests"


def _by_record(locations: Sequence[str]) -> Iterator[tuple[Path, list[int]]]:
    """The numbers of the locations by the file that remembers them: one for each folder or archive.

    Names are hashed, so that no patient's name gets into the cache from a path.
    """
    groups: dict[str, list[int]] = {}
    for number, location in enumerate(locations):
        groups.setdefault(_place(location)[0], []).append(number)
    folder = _folder()
    for group, numbers in groups.items():
        yield folder / f"{_hashed(os.path.abspath(group))}.json", numbers  # noqa: PTH100 - links stay


def _place(location: str) -> tuple[str, str]:
    """The folder or archive that a location is in, and its name there."""
    if is_array_location(location):
        archive, _, member = location.partition("::")
        return archive, member
    return os.path.split(location)


def _hashed(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _read(record: Path) -> dict[str, list[Any]]:
    try:
        known = json.loads(record.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    # What is damaged is not believed, and written anew.
    return {name: entry for name, entry in known.items() if _is_entry(entry)} if isinstance(known, dict) else {}


def _is_entry(entry: object) -> bool:
    return isinstance(entry, list) and len(entry) == 1 + len(Stamp._fields) and _is_digest(entry[0])


def _is_digest(text: object) -> bool:
    return isinstance(text, str) and len(text) == 64
