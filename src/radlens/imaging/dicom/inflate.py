"""Deflated DICOM data sets, inflated only after their size was counted."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from radlens.imaging.limits import DecodeLimits, RefusedError

# Deflate can make 1,032 bytes of one; radiographs make 2 to 5, a blank picture hundreds.
MAX_RATIO = 200
FREE_OF_RATIO = 32 * 2**20

_STEP = 2**20


def inflate(packed: bytes, limits: DecodeLimits) -> bytes:
    """Inflate raw deflated data in bounded steps: once to count, keeping nothing, and if that is allowed to keep it.

    Raises:
        RefusedError: the data come to more than the limits allow or than any radiograph does, or are cut short.
        zlib.error: the data are damaged.
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
            piece = inflater.decompress(rest, _STEP)
            yield piece
            rest = inflater.unconsumed_tail
            if not rest and len(piece) < _STEP:
                break
    if not inflater.eof:
        raise RefusedError("its deflated data are cut short")
