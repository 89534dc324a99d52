"""JPEG: segments read by us, decoded by libjpeg at the smallest scale that serves."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass

from PIL.JpegImagePlugin import JpegImageFile

from radlens.imaging.formats.stored import Reduction, Stored, orientation_of
from radlens.imaging.limits import DecodeLimits, RefusedError, require_data, require_size, third_party

# Reduced in decoding by 2, 4 or 8 as long as this many times what it will be resized to remains along either side.
# Measured on 100 radiographs at 150 and 224 px (benchmarks/decode_speed.py): the mean difference to the whole way is
# a third of a grey level.
SPARE = 1.125

_COMPRESSION = {
    0xC0: "baseline",
    0xC1: "extended",
    0xC2: "progressive",
    0xC3: "lossless",
    0xC9: "extended arithmetic",
    0xCA: "progressive arithmetic",
}
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_MODES = {1: "L", 3: "RGB", 4: "CMYK"}
_MARKER = re.compile(rb"\xff([^\x00\xff])")
_MAX_SEGMENTS = 4096
_MAX_SCANS = 100


@dataclass(frozen=True)
class _Header:
    width: int
    height: int
    layers: int
    frame: int
    orientation: int
    needed: bytes


def read_jpeg(content: bytes, limits: DecodeLimits, reduction: Reduction | None = None, grey: bool = False) -> Stored:
    """Decode a JPEG of 8 bits a sample.

    Colour profiles are not applied. CMYK and YCCK are taken as Adobe stores them, inverted, as all viewers do.

    Args:
        content: the file.
        limits: bounds on it.
        reduction: tells what the picture will be reduced to; it is then decoded at a scale of 1/2, 1/4 or 1/8 if
            ``SPARE`` times that still remains.
        grey: decode only the brightness of a colour picture.

    Raises:
        RefusedError: the picture exceeds the limits, is of a kind that is not read, is cut short or damaged.
    """
    header = _read_header(content)
    mode, compression = _MODES.get(header.layers), _COMPRESSION.get(header.frame)
    if mode is None:
        raise RefusedError(f"a JPEG of {header.layers} components is not read")
    if compression is None:
        raise RefusedError(f"a JPEG of the hierarchical or differential kind (SOF{header.frame - 0xC0}) is not read")
    # A progressive picture is held whole as 16-bit coefficients, next to its pixels.
    held = 3 if compression.startswith("progressive") else 1
    require_size(header.width, header.height, held * header.layers, limits)
    if "arithmetic" not in compression:
        # Each block of 64 pixels takes a bit or more.
        require_data(header.width, header.height, header.width * header.height / 512, len(content))
    if held > 1 and content.count(b"\xff\xda") > _MAX_SCANS:
        raise RefusedError(f"a progressive JPEG of more than {_MAX_SCANS} scans is not read")
    # A lossless picture has no frequencies to leave out.
    scale = _scale(header, reduction) if reduction is not None and compression != "lossless" else 1
    with third_party():
        picture = JpegImageFile(io.BytesIO(header.needed))
        # Handed to libjpeg in one piece, not copied together from many.
        picture.decodermaxblock = len(header.needed)
        if scale > 1 or (grey and compression != "lossless"):
            picture.draft("L" if grey else None, (max(1, header.width // scale), max(1, header.height // scale)))
        picture.load()
    return Stored(picture, header.width, header.height, mode, compression, header.orientation, scale)


def _scale(header: _Header, reduction: Reduction) -> int:
    """The reduction in decoding: 1, 2, 4 or 8."""
    turned = header.orientation >= 5
    size = (header.height, header.width) if turned else (header.width, header.height)
    wanted = reduction(size)
    ratio = min(have / (SPARE * want) for have, want in zip(size, wanted, strict=True))
    return next(scale for scale in (8, 4, 2, 1) if scale <= ratio or scale == 1)


def _read_header(content: bytes) -> _Header:
    """Walk the segments before the pixels and keep what libjpeg needs, so that nothing else can do harm."""
    place, orientation, frame = 2, 1, b""
    kind = 0
    needed = [content[:2]]
    for _ in range(_MAX_SEGMENTS):
        match = _MARKER.search(content, place)
        if match is None:
            raise RefusedError("the JPEG ends before its pixels begin: it is cut short")
        marker, start = match.group(1)[0], match.end()
        if marker == 0xF7:
            raise RefusedError("the file is JPEG-LS, which is read inside DICOM alone")
        if marker == 0xD9:
            raise RefusedError("the JPEG holds no pixels")
        if marker == 0x01 or 0xD0 <= marker <= 0xD8:
            place = start
            continue
        length = int.from_bytes(content[start : start + 2], "big")
        place = start + length
        if length < 2 or place > len(content):
            raise RefusedError("the JPEG ends within its header: it is cut short")
        segment = content[start + 2 : place]
        if marker in _FRAMES:
            if frame:
                raise RefusedError("the JPEG declares two pictures in one")
            kind, frame = marker, segment
        if marker == 0xDA:
            break
        if marker == 0xE1 and segment.startswith(b"Exif\0\0"):
            orientation = orientation_of(segment)
        # JFIF (E0) and Adobe (EE) tell how colours are coded; other application data and comments do not matter.
        if not (0xE1 <= marker <= 0xED or marker in (0xEF, 0xFE)):
            needed.append(content[start - 2 : place])
    else:
        raise RefusedError(f"the JPEG has more than {_MAX_SEGMENTS} segments before its pixels")
    if len(frame) < 6:
        raise RefusedError("the JPEG does not say how large it is")
    if frame[0] != 8:
        raise RefusedError(f"a JPEG of {frame[0]} bits a sample is not read outside DICOM; 8 bits are")
    needed.append(content[start - 2 :])
    height, width = int.from_bytes(frame[1:3], "big"), int.from_bytes(frame[3:5], "big")
    return _Header(width, height, frame[5], kind, orientation, b"".join(needed))
