"""What the fuzzer begins with: small valid files of every form that is read, and mutations that know the containers."""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

Mutate = Callable[[bytes, int], bytes]

_PNG = b"\x89PNG\r\n\x1a\n"
_DICOM = (
    *("SC_rgb_small_odd.dcm", "SC_rgb_small_odd_big_endian.dcm", "SC_rgb_small_odd_jpeg.dcm", "SC_rgb_rle.dcm"),
    *("SC_rgb_rle_16bit.dcm", "rtdose_1frame.dcm", "rtdose_rle_1frame.dcm", "JPEGLSNearLossless_08.dcm"),
    *("JPEGLSNearLossless_16.dcm", "SC_rgb_jls_lossy_line.dcm", "JPEG2000.dcm", "SC_rgb_gdcm_KY.dcm", "image_dfl.dcm"),
    *("MR_small_jp2klossless.dcm", "MR_small_jpeg_ls_lossless.dcm", "MR_small_RLE.dcm", "MR_small_implicit.dcm"),
    *("MR_small.dcm", "MR_small_bigendian.dcm", "JPGExtended.dcm", "SC_rgb_jpeg_gdcm.dcm", "SC_rgb_dcmtk_+eb+cr.dcm"),
)


def _encoded(image: Image.Image, form: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def pictures() -> dict[str, bytes]:
    """Pictures of 16 x 12 pixels in every format, mode and compression that Pillow writes."""
    rng = np.random.default_rng(0)
    exif = Image.Exif()
    exif[0x0112] = 6
    grey = Image.fromarray(rng.integers(0, 256, (12, 16), dtype=np.uint8))
    colour = Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8))
    alpha = Image.fromarray(rng.integers(0, 256, (12, 16, 4), dtype=np.uint8))
    deep = Image.fromarray(rng.integers(0, 4096, (12, 16), dtype=np.uint16))
    floating = Image.fromarray(rng.normal(0, 1, (12, 16)).astype(np.float32))
    bits = Image.fromarray(rng.integers(0, 2, (12, 16)).astype(bool))
    palette = colour.convert("P")
    files = {
        "jpeg": _encoded(colour, "JPEG", exif=exif),
        "jpeg-grey": _encoded(grey, "JPEG"),
        "jpeg-progressive": _encoded(colour, "JPEG", progressive=True),
        "jpeg-cmyk": _encoded(colour.convert("CMYK"), "JPEG"),
        "jpeg-restart": _encoded(grey, "JPEG", restart_marker_blocks=1),
        "png-palette": _encoded(palette, "PNG", transparency=b"\0\x80\xff"),
        "png-transparent": _encoded(grey, "PNG", transparency=7),
        "webp": _encoded(colour, "WEBP", exif=exif),
        "webp-lossless": _encoded(alpha, "WEBP", lossless=True),
        "webp-alpha": _encoded(alpha, "WEBP"),
    }
    modes = {"grey": grey, "colour": colour, "alpha": alpha, "deep": deep, "bits": bits, "palette": palette}
    files |= {f"png-{name}": _encoded(image, "PNG", exif=exif) for name, image in modes.items()}
    for name, image in (*modes.items(), ("float", floating)):
        files |= {
            f"tiff-{name}-{codec}": _encoded(image, "TIFF", compression=codec)
            for codec in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits")
        }
    files |= {
        f"tiff-{codec}": _encoded(bits, "TIFF", compression=codec) for codec in ("group3", "group4", "tiff_ccitt")
    }
    files |= {f"tiff-jpeg-{image.mode}": _encoded(image, "TIFF", compression="jpeg") for image in (grey, colour)}
    files |= {f"bmp-{image.mode}": _encoded(image, "BMP") for image in (grey, colour, alpha, bits, palette)}
    return files


def dicoms() -> dict[str, bytes]:
    """The smallest files of ``pydicom-data``, in every transfer syntax."""
    from pydicom.data import get_testdata_file

    found = {name: get_testdata_file(name, download=False) for name in _DICOM}
    return {name: Path(str(path)).read_bytes() for name, path in found.items() if path}


def mutated(content: bytes, limit: int, seed: int, mutate: Mutate) -> bytes:
    """A mutation that keeps checksums, lengths or compression in order, so that it gets past the container."""
    draw = random.Random(seed)
    if draw.random() < 0.3:
        return mutate(content, limit)
    try:
        if content.startswith(_PNG):
            return _mutated_png(content, draw, mutate)[:limit]
        if content[:4] == b"RIFF":
            return _mutated_riff(content, draw, mutate)[:limit]
        if content[:2] in (b"II", b"MM"):
            return _mutated_tiff(content, draw)[:limit]
        if content[:2] == b"\xff\xd8":
            return _mutated_jpeg(content, draw, mutate)[:limit]
    except (struct.error, IndexError, ValueError, zlib.error):
        pass
    return mutate(content, limit)


def _altered(parts: list[tuple[bytes, bytes]], draw: random.Random, mutate: Mutate) -> list[tuple[bytes, bytes]]:
    """Chunks of which one is mutated, dropped, doubled, moved or renamed."""
    number = draw.randrange(len(parts))
    name, data = parts[number]
    action = draw.random()
    if action < 0.6:
        changed = mutate(data, len(data) + 16)
        if name == b"IDAT" and draw.random() < 0.7:
            changed = zlib.compress(mutate(zlib.decompress(data), 4096))
        parts[number] = (name, changed)
    elif action < 0.7:
        del parts[number]
    elif action < 0.8:
        parts.insert(draw.randrange(len(parts) + 1), parts[number])
    elif action < 0.9:
        parts.insert(draw.randrange(len(parts)), parts.pop(number))
    else:
        names = [b"tRNS", b"sBIT", b"eXIf", b"acTL", b"PLTE", b"IDAT", b"VP8X", b"ALPH", b"ANIM", b"EXIF", b"VP8L"]
        parts.insert(draw.randrange(len(parts)), (draw.choice(names), draw.randbytes(draw.randrange(12))))
    return parts


def _mutated_png(content: bytes, draw: random.Random, mutate: Mutate) -> bytes:
    place, parts = len(_PNG), []
    while place + 8 <= len(content):
        length = int.from_bytes(content[place : place + 4], "big")
        parts.append((content[place + 4 : place + 8], content[place + 8 : place + 8 + length]))
        place += 12 + length
    whole = b""
    for name, data in _altered(parts, draw, mutate):
        whole += struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    return _PNG + whole


def _mutated_riff(content: bytes, draw: random.Random, mutate: Mutate) -> bytes:
    place, parts = 12, []
    while place + 8 <= len(content):
        length = int.from_bytes(content[place + 4 : place + 8], "little")
        parts.append((content[place : place + 4], content[place + 8 : place + 8 + length]))
        place += 8 + length + length % 2
    body = b"WEBP"
    for name, data in _altered(parts, draw, mutate):
        body += name + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _mutated_tiff(content: bytes, draw: random.Random) -> bytes:
    """A tag's number, type, count or value set to something that matters somewhere."""
    order = "<" if content[:2] == b"II" else ">"
    (start,) = struct.unpack_from(f"{order}I", content, 4)
    (count,) = struct.unpack_from(f"{order}H", content, start)
    changed = bytearray(content)
    for _ in range(draw.randint(1, 3)):
        entry = start + 2 + 12 * draw.randrange(count)
        telling = [0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 17, 32, 64, 255, 256, 274, 277, 322, 65535, 2**31, 2**32 - 1]
        value = draw.choice([*telling, draw.randrange(len(content))])
        field = draw.choice(["tag", "kind", "count", "short", "long"])
        offset, form = {"tag": (0, "H"), "kind": (2, "H"), "count": (4, "I"), "short": (8, "H"), "long": (8, "I")}[
            field
        ]
        struct.pack_into(f"{order}{form}", changed, entry + offset, value & (0xFFFF if form == "H" else 0xFFFFFFFF))
    return bytes(changed)


def _mutated_jpeg(content: bytes, draw: random.Random, mutate: Mutate) -> bytes:
    place, parts = 2, []
    while content[place] == 0xFF and content[place + 1] != 0xDA:
        length = int.from_bytes(content[place + 2 : place + 4], "big")
        parts.append((content[place : place + 2], content[place + 4 : place + 2 + length]))
        place += 2 + length
    scan = content[place:]
    if draw.random() < 0.3:
        return content[:place] + mutate(scan, len(scan) + 64)
    head = b"".join(
        (name if name[:1] == b"\xff" else b"\xff\xfe") + struct.pack(">H", len(data) + 2) + data
        for name, data in _altered(parts, draw, mutate)
    )
    return content[:2] + head + scan
