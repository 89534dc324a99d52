"""BMP: every depth and direction against hand-made files, run-length coding, and sizes that lie."""

from __future__ import annotations

import io
import struct

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from radlens.imaging.formats.bmp import read_bmp
from radlens.imaging.formats.stored import Stored
from radlens.imaging.limits import DEFAULT_LIMITS, DamagedError, RefusedError

HEIGHT, WIDTH = 5, 7


def levels() -> npt.NDArray[np.uint8]:
    return (np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH) * 7).astype(np.uint8)


def bmp(
    bits: int, compression: int, data: bytes, palette: bytes = b"", height: int = HEIGHT, masks: bytes = b""
) -> bytes:
    offset = 14 + 40 + len(masks) + len(palette)
    header = struct.pack("<IiiHHIIiiII", 40, WIDTH, height, 1, bits, compression, len(data), 0, 0, len(palette) // 4, 0)
    return b"BM" + struct.pack("<IHHI", offset + len(data), 0, 0, offset) + header + palette + data


def padded(rows: npt.NDArray[np.uint8]) -> bytes:
    return b"".join(row.tobytes() + bytes(-len(row.tobytes()) % 4) for row in rows)


GREYS = b"".join(bytes([level, level, level, 0]) for level in range(256))


def read(content: bytes) -> Stored:
    return read_bmp(content, DEFAULT_LIMITS)


def test_rows_run_upwards_or_downwards() -> None:
    upwards = read(bmp(8, 0, padded(levels()[::-1]), GREYS))
    downwards = read(bmp(8, 0, padded(levels()), GREYS, height=-HEIGHT))
    for stored in (upwards, downwards):
        assert (stored.mode, stored.compression, stored.width, stored.height) == ("L", "none", WIDTH, HEIGHT)
        np.testing.assert_array_equal(np.asarray(stored.pixels), levels())


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
def test_what_pillow_writes_comes_through(mode: str) -> None:
    image = Image.fromarray(levels()).convert(mode)
    buffer = io.BytesIO()
    image.save(buffer, "BMP")
    found = read(buffer.getvalue()).pixels
    assert isinstance(found, Image.Image)
    np.testing.assert_array_equal(np.asarray(found.convert("RGB")), np.asarray(image.convert("RGB")))


def test_sixteen_and_thirty_two_bits_are_colours() -> None:
    five = (levels() >> 3).astype(np.uint16)
    stored = read(bmp(16, 0, padded((five | five << 5 | five << 10)[::-1].view(np.uint8)), b""))
    np.testing.assert_array_equal(np.asarray(stored.pixels)[..., 0], five * 255 // 31)
    blue = np.dstack([levels(), 0 * levels(), 255 - levels(), 99 + 0 * levels()])
    stored = read(bmp(32, 0, blue[::-1].tobytes()))
    np.testing.assert_array_equal(np.asarray(stored.pixels), blue[..., 2::-1])


def test_run_lengths_are_undone() -> None:
    rows = b"".join(bytes([WIDTH, level, 0, 0]) for level in (5, 4, 3, 2, 1))
    stored = read(bmp(8, 1, rows + b"\0\1", GREYS))
    assert stored.compression == "RLE8"
    np.testing.assert_array_equal(np.asarray(stored.pixels), np.repeat([[1], [2], [3], [4], [5]], WIDTH, axis=1))


def test_a_leap_over_rows_stays_within_the_picture() -> None:
    stored = read(bmp(8, 1, b"\0\2\xff\xff" * 1000 + b"\0\1", GREYS))
    assert not np.asarray(stored.pixels).any()


@pytest.mark.parametrize("bits", [8, 24])
def test_a_picture_cut_short_is_refused(bits: int) -> None:
    buffer = io.BytesIO()
    Image.fromarray(levels()).convert("L" if bits == 8 else "RGB").save(buffer, "BMP")
    content = buffer.getvalue()
    for tenth in range(1, 10):
        with pytest.raises(RefusedError):
            read(content[: len(content) * tenth // 10])


@pytest.mark.parametrize("size", [(0, 5), (65536, 1), (2**31 - 1, 2**31 - 1), (60000, 60000), (9000, 9000)])
def test_sizes_that_lie_are_refused_before_memory_is_spent(
    monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda _: pytest.fail("pixels were decoded"))
    content = bmp(8, 0, padded(levels()), GREYS)
    with pytest.raises(RefusedError):
        read(content[:18] + struct.pack("<ii", *size) + content[26:])


@pytest.mark.parametrize(("bits", "compression"), [(8, 4), (8, 5), (7, 0), (64, 0), (8, 77)])
def test_forms_that_are_not_read_are_refused(bits: int, compression: int) -> None:
    with pytest.raises(DamagedError, match="Unsupported BMP"):
        read(bmp(bits, compression, padded(levels()), GREYS))
