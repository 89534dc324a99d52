"""Reading images for the pixel cache: each file once, each content decoded once."""

from __future__ import annotations

import threading
from collections.abc import Container
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from radlens.imaging.cache.digests import Stamp, hash_content
from radlens.imaging.decode import DecodeError, FileFacts, read_bytes
from radlens.imaging.limits import DecodeLimits
from radlens.imaging.pixels import read_pixels
from radlens.imaging.preprocess import Preprocessing

# What is known of an image: the facts of its file, or why it is rejected.
Entry = FileFacts | str


class Read(NamedTuple):
    """What came of reading one location.

    Attributes:
        digest: of the file's content; empty where it could not be read.
        stamp: of the file, None where a later change might not show in it.
        entry: facts, or the reason of a rejection; None where another location with the same content has them.
        pixels: as the contract has them; None with everything but facts.
        is_passing: whether the rejection says something of this machine at this moment, such as too little memory,
            and nothing of the file.
    """

    digest: str
    stamp: Stamp | None
    entry: Entry | None = None
    pixels: npt.NDArray[np.uint8] | None = None
    is_passing: bool = False


class Reader:
    """Reads locations, from several threads, and decodes every content that is not known yet once."""

    def __init__(self, contract: Preprocessing, limits: DecodeLimits, known: Container[str]) -> None:
        """Begin with the digests of contents that need not be decoded."""
        self._contract, self._limits, self._known = contract, limits, known
        self._claimed: set[str] = set()
        self._lock = threading.Lock()

    def __call__(self, location: str) -> Read:
        """Read one location; what goes wrong with it is told in the result."""
        # Taken before the content is read: a change in between makes it another the next time.
        before = Stamp.of(location)
        try:
            content = read_bytes(location, self._limits)
        except DecodeError as error:
            return Read("", None, _reason(location, error))
        digest = hash_content(content)
        stamp = before if before is not None and before.is_settled else None
        if not self._claim(digest):
            return Read(digest, stamp)
        try:
            # From the bytes that were hashed: the file may be another by now.
            pixels, facts = read_pixels(location, self._contract, self._limits, content)
        except DecodeError as error:
            return Read(digest, stamp, _reason(location, error), is_passing=_is_passing(error))
        return Read(digest, stamp, facts, pixels)

    def _claim(self, digest: str) -> bool:
        with self._lock:
            if digest in self._known or digest in self._claimed:
                return False
            self._claimed.add(digest)
            return True


def _reason(location: str, error: DecodeError) -> str:
    return str(error).removeprefix(f"{location}: ")


def _is_passing(error: DecodeError) -> bool:
    cause = error.__cause__
    # Decoders raise an OSError without a number for damage; one with a number is the system's.
    return isinstance(cause, MemoryError) or (isinstance(cause, OSError) and cause.errno is not None)
