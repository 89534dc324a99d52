"""WebP: the container read and checked by us, decoded by libwebp."""

from __future__ import annotations

import io

from PIL.WebPImagePlugin import WebPImageFile

from radlens.imaging.formats.stored import Stored, orientation_of
from radlens.imaging.limits import DecodeLimits, RefusedError, require_size, third_party

_ANIMATED = 0x02
_MAX_CHUNKS = 4096


def read_webp(content: bytes, limits: DecodeLimits) -> Stored:
    """Decode a still WebP, lossy or lossless; its colour profile is not applied.

    Raises:
        RefusedError: the picture exceeds the limits, is animated, is cut short or damaged.
    """
    chunks = _read_chunks(content)
    extended = chunks.get(b"VP8X", b"")
    if b"ANIM" in chunks or b"ANMF" in chunks or (extended and extended[0] & _ANIMATED):
        raise RefusedError("the WebP is an animation; a single picture was expected")
    sizes = [_canvas_size(extended)] if extended else []
    if b"VP8L" in chunks:
        compression = "lossless"
        sizes.append(_lossless_size(chunks[b"VP8L"]))
    elif b"VP8 " in chunks:
        compression = "lossy"
        sizes.append(_lossy_size(chunks[b"VP8 "]))
    else:
        raise RefusedError("the WebP holds no pixels")
    for width, height in sizes:
        # libwebp holds the picture twice, with alpha.
        require_size(width, height, 8, limits)
    with third_party():
        picture = WebPImageFile(io.BytesIO(content))
        picture.load()
    width, height = picture.size
    return Stored(picture, width, height, picture.mode, compression, orientation_of(chunks.get(b"EXIF", b"")))


def _read_chunks(content: bytes) -> dict[bytes, bytes]:
    """The first chunk of each name."""
    stop = 8 + int.from_bytes(content[4:8], "little")
    if stop > len(content):
        raise RefusedError("the WebP ends before its last chunk: it is cut short")
    chunks: dict[bytes, bytes] = {}
    place = 12
    for _ in range(_MAX_CHUNKS):
        if place + 8 > stop:
            return chunks
        name, length = content[place : place + 4], int.from_bytes(content[place + 4 : place + 8], "little")
        if place + 8 + length > stop:
            raise RefusedError("the WebP ends within a chunk: it is cut short")
        chunks.setdefault(name, content[place + 8 : place + 8 + length])
        # Chunks begin at even places.
        place += 8 + length + length % 2
    raise RefusedError(f"the WebP has more than {_MAX_CHUNKS:,} chunks")


def _canvas_size(chunk: bytes) -> tuple[int, int]:
    if len(chunk) < 10:
        raise RefusedError("the WebP does not say how large it is")
    return 1 + int.from_bytes(chunk[4:7], "little"), 1 + int.from_bytes(chunk[7:10], "little")


def _lossless_size(chunk: bytes) -> tuple[int, int]:
    if len(chunk) < 5 or chunk[0] != 0x2F:
        raise RefusedError("the WebP does not say how large it is")
    bits = int.from_bytes(chunk[1:5], "little")
    return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)


def _lossy_size(chunk: bytes) -> tuple[int, int]:
    if len(chunk) < 10 or chunk[3:6] != b"\x9d\x01\x2a":
        raise RefusedError("the WebP does not say how large it is")
    return int.from_bytes(chunk[6:8], "little") & 0x3FFF, int.from_bytes(chunk[8:10], "little") & 0x3FFF
