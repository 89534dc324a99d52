"""PNG: chunks read by us, decoded by Pillow without its text, profile and animation chunks.

imagecodecs reads 16-bit values in one go, but is too large for a base install, where PNG must be read as well.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from radlens.imaging.formats.stored import Stored, orientation_of, with_raw_mode
from radlens.imaging.limits import DecodeLimits, RefusedError, require_data, require_size, third_party

# Deflate makes at most 1,032 bytes of one.
DEFLATE_RATIO = 1032

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_WIDE_MODES = {0: "I;16", 2: "RGB;16", 4: "LA;16", 6: "RGBA;16"}
_MAX_CHUNKS = 1_000_000


class _Form(NamedTuple):
    """The header chunk."""

    width: int
    height: int
    bits: int
    kind: int
    method: int
    filtering: int
    interlaced: int


def read_png(content: bytes, limits: DecodeLimits) -> Stored:
    """Decode a PNG of any form; neither colour profile nor gamma is applied.

    Values of 16 bits come as arrays, with what the ``sBIT`` chunk declares.

    Raises:
        RefusedError: the picture exceeds the limits, is animated, is cut short or damaged, or a checksum is wrong.
    """
    chunks = _read_chunks(content)
    form = _read_form(chunks)
    channels = _CHANNELS[form.kind]
    require_size(form.width, form.height, channels * max(form.bits, 8) / 8, limits)
    data = chunks[b"IDAT"]
    inflated = form.width * form.height * channels * form.bits / 8
    require_data(form.width, form.height, inflated / DEFLATE_RATIO, len(data))
    palette = _palette(chunks) if form.kind == 3 else b""
    transparent = _transparent(chunks, form)
    orientation = orientation_of(chunks.get(b"eXIf", b""))
    if form.bits < 16:
        picture = _decoded(form, palette, data)
        return Stored(picture, form.width, form.height, picture.mode, "deflate", orientation, transparent=transparent)
    declared = chunks.get(b"sBIT", b"")[: 1 if form.kind in (0, 4) else 3]
    return Stored(
        _wide(form, data),
        form.width,
        form.height,
        _WIDE_MODES[form.kind],
        "deflate",
        orientation,
        declared=max(declared, default=0) if all(1 <= bits <= 16 for bits in declared) else 0,
        transparent=transparent,
    )


def _read_chunks(content: bytes) -> dict[bytes, bytes]:
    """What matters to the pixels, by chunk name; the pieces of the pixel data joined."""
    pieces: list[bytes] = []
    chunks: dict[bytes, bytes] = {}
    place, name = len(_SIGNATURE), b""
    for _ in range(_MAX_CHUNKS):
        length, name = int.from_bytes(content[place : place + 4], "big"), content[place + 4 : place + 8]
        end = place + 12 + length
        if end > len(content):
            raise RefusedError("the PNG ends before its last chunk: it is cut short")
        if name == b"IEND":
            break
        if name in (b"IHDR", b"PLTE", b"IDAT", b"tRNS", b"sBIT", b"eXIf", b"acTL"):
            data = content[place + 8 : end - 4]
            sound = zlib.crc32(content[place + 4 : end - 4]) == int.from_bytes(content[end - 4 : end], "big")
            if not sound and name in (b"IHDR", b"PLTE", b"IDAT", b"tRNS"):
                raise RefusedError(f"the PNG is damaged: the checksum of its {name.decode()} chunk is wrong")
            if name == b"IDAT":
                pieces.append(data)
            elif sound:
                chunks.setdefault(name, data)
        elif name[:1].isupper():
            raise RefusedError(f"the PNG needs a chunk {name!r} that is not known")
        place = end
    else:
        raise RefusedError(f"the PNG has more than {_MAX_CHUNKS:,} chunks")
    frames = int.from_bytes(chunks.get(b"acTL", b"")[:4], "big")
    if frames > 1:
        raise RefusedError(f"the PNG is an animation of {frames:,} frames; a single picture was expected")
    chunks[b"IDAT"] = b"".join(pieces)
    return chunks


def _read_form(chunks: dict[bytes, bytes]) -> _Form:
    header = chunks.get(b"IHDR", b"")
    if len(header) != 13:
        raise RefusedError("the PNG does not say how large it is")
    form = _Form(*struct.unpack(">IIBBBBB", header))
    if form.bits not in _DEPTHS.get(form.kind, ()) or form.method or form.filtering or form.interlaced > 1:
        raise RefusedError(f"the PNG is of an unknown form (header {header[8:].hex()})")
    return form


def _palette(chunks: dict[bytes, bytes]) -> bytes:
    """The palette chunk and its transparency, as they stood."""
    colours, alphas = chunks.get(b"PLTE", b""), chunks.get(b"tRNS", b"")
    if len(colours) not in range(3, 769, 3):
        raise RefusedError("the PNG has no palette, or one of a wrong length")
    return _chunk(b"PLTE", colours) + (_chunk(b"tRNS", alphas[: len(colours) // 3]) if alphas else b"")


def _transparent(chunks: dict[bytes, bytes], form: _Form) -> tuple[int, ...] | None:
    """The transparent grey or colour, as a decoded picture has it."""
    data, channels = chunks.get(b"tRNS", b""), _CHANNELS[form.kind]
    if form.kind not in (0, 2) or len(data) != 2 * channels:
        return None
    # Grey of 1, 2 and 4 bits is decoded to 0 to 255.
    factor = 255 // (2**form.bits - 1) if form.bits < 8 else 1
    return tuple((value & (2**form.bits - 1)) * factor for value in struct.unpack(f">{channels}H", data))


def _decoded(form: _Form, between: bytes, data: bytes, change: Callable[[str], str] | None = None) -> Image.Image:
    """The picture of a plain file; ``change`` is applied to the raw mode that Pillow reads it in."""
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", *form))
    whole = _SIGNATURE + header + between + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")
    with third_party():
        picture = PngImageFile(io.BytesIO(whole))
        if change is not None:
            with_raw_mode(picture, change)
        picture.load()
    return picture


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _wide(form: _Form, data: bytes) -> npt.NDArray[np.uint16]:
    """The 16-bit values, of which Pillow keeps the lower half for grey alone."""
    if form.kind == 0:
        return np.array(_decoded(form, b"", data), dtype=np.uint16)
    if form.kind == 4:
        # Grey and alpha of 2 bytes each are laid out and filtered as four channels of one.
        pairs = np.asarray(_decoded(form._replace(bits=8, kind=6), b"", data))
        return np.ascontiguousarray(pairs).view(">u2").astype(np.uint16)
    upper = _decoded(form, b"", data)
    # The second byte of each value is what Pillow takes for the upper half of a value of the other byte order.
    lower = _decoded(form, b"", data, lambda raw: raw.replace(";16B", ";16L"))
    return np.asarray(np.asarray(upper).astype(np.uint16) << 8 | np.asarray(lower))
