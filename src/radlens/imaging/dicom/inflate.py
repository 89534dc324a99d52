"""Deflated DICOM data sets: inflated whole after their size was counted, or their beginning piece by piece."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import BinaryIO

from radlens.imaging.limits import DecodeLimits, RefusedError, third_party

# Deflate can make 1,032 bytes of one; radiographs make 2 to 5, a blank picture hundreds.
MAX_RATIO = 200
FREE_OF_RATIO = 32 * 2**20
MAX_BEGINNING = 32 * 2**20

_STEP = 2**20
_CHUNK = 1 << 14


def inflate(packed: bytes, limits: DecodeLimits) -> bytes:
    """Inflate raw deflated data in bounded steps: once to count, keeping nothing, and if that is allowed to keep it.

    Raises:
        RefusedError: the data come to more than the limits allow or than any radiograph does, are cut short, or are
            damaged.
    """
    bound = min(limits.max_inflated, max(FREE_OF_RATIO, MAX_RATIO * len(packed)))
    size = 0
    for piece in _inflated(packed):
        size += len(piece)
        if size > limits.max_inflated:
            raise RefusedError(
                f"its {len(packed):,} deflated bytes come to more than {limits.max_inflated:,}, the most that are "
                "inflated (data.limits.max_inflated)"
            )
        if size > bound:
            raise RefusedError(
                f"its {len(packed):,} deflated bytes come to more than {MAX_RATIO} times as many, which no radiograph "
                "does: a decompression bomb"
            )
    return b"".join(_inflated(packed))


def _inflated(packed: bytes) -> Iterator[bytes]:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    for start in range(0, len(packed), _STEP):
        rest = packed[start : start + _STEP]
        while not inflater.eof:
            with third_party():
                piece = inflater.decompress(rest, _STEP)
            yield piece
            rest = inflater.unconsumed_tail
            if not rest and len(piece) < _STEP:
                break
    if not inflater.eof:
        raise RefusedError("its deflated data are cut short")


class InflatedBeginning:
    """The first ``MAX_BEGINNING`` bytes of a deflated stream; that bound, or damage, counts as its end."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        self._ready = b""
        self._left = MAX_BEGINNING

    def read(self, count: int) -> bytes:
        """The next bytes; fewer than asked for at the end."""
        wanted = self.peek(count)
        self._ready = self._ready[len(wanted) :]
        return wanted

    def peek(self, count: int) -> bytes:
        """The same, but they stay the next."""
        while len(self._ready) < count and (more := self._more()):
            self._ready += more
        return self._ready[:count]

    def skip(self, count: int) -> None:
        """Pass over the next bytes, keeping none."""
        while len(self._ready) < count:
            count -= len(self._ready)
            self._ready = self._more()
            if not self._ready:
                return
        self._ready = self._ready[count:]

    def _more(self) -> bytes:
        piece = b""
        while not piece and self._left > 0 and not self._inflater.eof:
            packed = self._inflater.unconsumed_tail or self._file.read(_CHUNK)
            if not packed:
                break
            try:
                piece = self._inflater.decompress(packed, min(_CHUNK, self._left))
            except zlib.error:
                break
        self._left -= len(piece)
        return piece
