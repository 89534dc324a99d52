"""PNG: every colour type and depth against hand-made files, checksums, and chunks that would inflate to gigabytes."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from radlens.imaging.formats.png import read_png
from radlens.imaging.formats.stored import Stored
from radlens.imaging.limits import DEFAULT_LIMITS, DamagedError, DecodeLimits, RefusedError

SIGNATURE = b"\x89PNG\r\n\x1a\n"
HEIGHT, WIDTH = 13, 18


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def values(bits: int, channels: int = 1) -> npt.NDArray[np.uint16]:
    """Every bit of every sample matters: shape (height, width, channels)."""
    rng = np.random.default_rng(bits + channels)
    return rng.integers(0, 2**bits, (HEIGHT, WIDTH, channels)).astype(np.uint16)


def packed(samples: npt.NDArray[np.uint16], bits: int) -> bytes:
    """Unfiltered rows."""
    rows = samples.reshape(len(samples), -1)
    if bits == 16:
        return b"".join(b"\0" + row.astype(">u2").tobytes() for row in rows)
    if bits == 8:
        return b"".join(b"\0" + row.astype(np.uint8).tobytes() for row in rows)
    spread = (rows[:, :, None] >> np.arange(bits - 1, -1, -1)) & 1
    return b"".join(b"\0" + np.packbits(row.reshape(-1).astype(np.uint8)).tobytes() for row in spread)


def png(
    samples: npt.NDArray[np.uint16], bits: int, kind: int, *before: bytes, after: bytes = b"", interlaced: int = 0
) -> bytes:
    """A PNG of one colour type, its pixel data in two pieces."""
    header = struct.pack(">IIBBBBB", samples.shape[1], samples.shape[0], bits, kind, 0, 0, interlaced)
    data = zlib.compress(packed(samples, bits))
    pieces = chunk(b"IDAT", data[:20]) + chunk(b"IDAT", data[20:])
    return SIGNATURE + chunk(b"IHDR", header) + b"".join(before) + pieces + after + chunk(b"IEND", b"")


def read(content: bytes) -> Stored:
    return read_png(content, DEFAULT_LIMITS)


def pixels_of(stored: Stored) -> npt.NDArray[np.generic]:
    return np.asarray(stored.pixels)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_grey_of_few_bits_is_spread_over_0_to_255(bits: int) -> None:
    stored = read(png(values(bits), bits, 0))
    assert (stored.compression, stored.width, stored.height) == ("deflate", WIDTH, HEIGHT)
    assert stored.mode == ("1" if bits == 1 else "L")
    factor = 1 if bits == 1 else 255 // (2**bits - 1)
    np.testing.assert_array_equal(pixels_of(stored).astype(int), values(bits)[..., 0] * factor)


@pytest.mark.parametrize(("kind", "channels", "mode"), [(2, 3, "RGB"), (4, 2, "LA"), (6, 4, "RGBA")])
def test_eight_bit_colour_and_alpha_come_through(kind: int, channels: int, mode: str) -> None:
    stored = read(png(values(8, channels), 8, kind))
    assert stored.mode == mode
    np.testing.assert_array_equal(pixels_of(stored), values(8, channels))


@pytest.mark.parametrize(
    ("kind", "channels", "mode"), [(0, 1, "I;16"), (2, 3, "RGB;16"), (4, 2, "LA;16"), (6, 4, "RGBA;16")]
)
def test_sixteen_bits_keep_every_bit_in_every_colour_type(kind: int, channels: int, mode: str) -> None:
    stored = read(png(values(16, channels), 16, kind))
    assert (stored.mode, stored.container) == (mode, 16)
    np.testing.assert_array_equal(pixels_of(stored).reshape(HEIGHT, WIDTH, channels), values(16, channels))


@pytest.mark.parametrize("mode", ["L", "I;16", "RGB"])
def test_what_pillow_writes_filtered_and_compressed_comes_through(mode: str) -> None:
    rows, columns = np.indices((64, 80))
    wave = 2000 + rows * 30 + columns * 7
    pixels_in: dict[str, npt.NDArray[np.generic]] = {
        "L": (wave % 251).astype(np.uint8),
        "I;16": wave.astype(np.uint16),
        "RGB": np.stack([wave % 251, wave % 127, wave % 63], axis=2).astype(np.uint8),
    }
    pixels = pixels_in[mode]
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", optimize=True)
    np.testing.assert_array_equal(pixels_of(read(buffer.getvalue())), pixels)


def filtered(samples: npt.NDArray[np.uint16], bytes_per_pixel: int) -> bytes:
    """16-bit rows, each with another of the five filters."""
    rows = [np.frombuffer(row.astype(">u2").tobytes(), np.uint8).astype(int) for row in samples.reshape(HEIGHT, -1)]
    result, above = b"", np.zeros_like(rows[0])
    for number, row in enumerate(rows):
        left = np.concatenate([np.zeros(bytes_per_pixel, int), row[:-bytes_per_pixel]])
        corner = np.concatenate([np.zeros(bytes_per_pixel, int), above[:-bytes_per_pixel]])
        guess = left + above - corner
        distances = np.stack([abs(guess - left), abs(guess - above), abs(guess - corner)])
        paeth = np.choose(distances.argmin(axis=0), [left, above, corner])
        predicted = [np.zeros_like(row), left, above, (left + above) // 2, paeth][number % 5]
        result += bytes([number % 5]) + ((row - predicted) % 256).astype(np.uint8).tobytes()
        above = row
    return result


@pytest.mark.parametrize(("kind", "channels"), [(0, 1), (2, 3), (4, 2), (6, 4)])
def test_sixteen_bits_are_unfiltered_rightly(kind: int, channels: int) -> None:
    samples = values(16, channels)
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 16, kind, 0, 0, 0)
    data = chunk(b"IDAT", zlib.compress(filtered(samples, 2 * channels)))
    stored = read(SIGNATURE + chunk(b"IHDR", header) + data + chunk(b"IEND", b""))
    np.testing.assert_array_equal(pixels_of(stored).reshape(HEIGHT, WIDTH, channels), samples)


def interlaced(samples: npt.NDArray[np.uint16], bits: int, kind: int) -> bytes:
    """Adam7: seven pictures, one after the other."""
    passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    data = b"".join(packed(part, bits) for y, x, dy, dx in passes if (part := samples[y::dy, x::dx]).size)
    header = struct.pack(">IIBBBBB", samples.shape[1], samples.shape[0], bits, kind, 0, 0, 1)
    return SIGNATURE + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


@pytest.mark.parametrize(("bits", "kind", "channels"), [(8, 0, 1), (16, 0, 1), (16, 2, 3), (16, 4, 2), (16, 6, 4)])
def test_interlaced_pictures_are_put_together(bits: int, kind: int, channels: int) -> None:
    samples = values(bits, channels)
    stored = read(interlaced(samples, bits, kind))
    np.testing.assert_array_equal(pixels_of(stored).reshape(HEIGHT, WIDTH, channels), samples)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_palettes_keep_their_colours(bits: int) -> None:
    colours = np.random.default_rng(0).integers(0, 256, (2**bits, 3), dtype=np.uint8)
    stored = read(png(values(bits), bits, 3, chunk(b"PLTE", colours.tobytes())))
    assert stored.mode == "P"
    assert isinstance(stored.pixels, Image.Image)
    np.testing.assert_array_equal(np.asarray(stored.pixels.convert("RGB")), colours[values(bits)[..., 0]])


@pytest.mark.parametrize(
    ("bits", "kind", "data", "wanted"),
    [
        (1, 0, b"\0\1", (255,)),
        (2, 0, b"\0\3", (255,)),
        (4, 0, b"\0\2", (34,)),
        (8, 0, b"\0\x80", (128,)),
        (16, 0, b"\x12\x34", (0x1234,)),
        (8, 2, b"\0\1\0\2\0\3", (1, 2, 3)),
        (16, 2, b"\1\2\3\4\5\6", (0x102, 0x304, 0x506)),
        (8, 2, b"\0\1", None),
        (8, 4, b"\0\1", None),
    ],
)
def test_the_transparent_colour_is_given_as_decoded(
    bits: int, kind: int, data: bytes, wanted: tuple[int, ...] | None
) -> None:
    channels = {0: 1, 2: 3, 4: 2}[kind]
    assert read(png(values(bits, channels), bits, kind, chunk(b"tRNS", data))).transparent == wanted


@pytest.mark.parametrize(
    ("kind", "channels", "data", "bits"),
    [
        (0, 1, b"\x0c", 12),
        (0, 1, b"\x10", 16),
        (2, 3, b"\x0a\x0c\x0b", 12),
        (4, 2, b"\x0c\x10", 12),
        (0, 1, b"\x00", 0),
        (0, 1, b"\x63", 0),
        (0, 1, b"", 0),
    ],
)
def test_declared_bits_are_those_of_the_colours(kind: int, channels: int, data: bytes, bits: int) -> None:
    assert read(png(values(16, channels), 16, kind, chunk(b"sBIT", data))).declared == bits


def test_the_orientation_is_read_before_and_after_the_pixels() -> None:
    exif = chunk(b"eXIf", b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 274, 3, 1, 6, 0, 0))
    assert read(png(values(8), 8, 0, exif)).orientation == 6
    assert read(png(values(8), 8, 0, after=exif)).orientation == 6
    assert read(png(values(8), 8, 0, exif[:-1] + b"?")).orientation == 1


def test_text_profiles_and_gamma_are_passed_over_unopened(monkeypatch: pytest.MonkeyPatch) -> None:
    # Each would come to 64 MiB.
    bomb = zlib.compress(bytes(2**26), 9)
    chunks = [
        chunk(b"iCCP", b"name\0\0" + bomb),
        chunk(b"zTXt", b"key\0\0" + bomb),
        chunk(b"iTXt", b"key\0\1\0\0\0" + bomb),
        chunk(b"gAMA", struct.pack(">I", 1)),
        chunk(b"iCCP", b"broken"),
        chunk(b"teSt", b"unknown"),
    ]
    monkeypatch.setattr("PIL.PngImagePlugin._safe_zlib_decompress", lambda _: pytest.fail("text was inflated"))
    np.testing.assert_array_equal(pixels_of(read(png(values(8), 8, 0, *chunks, after=chunks[1]))), values(8)[..., 0])


def test_a_wrong_checksum_is_refused_where_it_matters() -> None:
    content = png(values(8), 8, 0, chunk(b"tEXt", b"key\0text"))
    text = content.index(b"text")
    read(content[:text] + b"next" + content[text + 4 :])
    for name in (b"IHDR", b"IDAT"):
        place = content.index(name) + 10
        damaged = content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
        with pytest.raises(RefusedError, match=f"checksum of its {name.decode()}"):
            read(damaged)


def test_animations_are_refused_and_a_single_frame_is_none() -> None:
    control = struct.pack(">IIIIIHHBB", 0, WIDTH, HEIGHT, 0, 0, 1, 10, 0, 0)
    single = png(values(8), 8, 0, chunk(b"acTL", struct.pack(">II", 1, 0)), chunk(b"fcTL", control))
    np.testing.assert_array_equal(pixels_of(read(single)), values(8)[..., 0])
    with pytest.raises(RefusedError, match="animation of 2 frames"):
        read(png(values(8), 8, 0, chunk(b"acTL", struct.pack(">II", 2, 0))))
    frames = [Image.new("L", (8, 8), level) for level in (0, 255)]
    buffer = io.BytesIO()
    frames[0].save(buffer, "PNG", save_all=True, append_images=frames[1:])
    with pytest.raises(RefusedError, match="animation of 2 frames"):
        read(buffer.getvalue())


def test_more_pixels_than_the_data_can_hold_are_refused_before_memory_is_spent() -> None:
    header = struct.pack(">IIBBBBB", 9000, 9000, 16, 6, 0, 0, 0)
    data = zlib.compress(bytes(1000))
    content = SIGNATURE + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    with pytest.raises(RefusedError, match="cut short"):
        read(content)


def test_what_the_pixels_inflate_to_is_bounded() -> None:
    content = png(values(16, 4), 16, 6)
    assert read_png(content, DecodeLimits(max_inflated=HEIGHT * WIDTH * 8)).mode == "RGBA;16"
    with pytest.raises(RefusedError, match="max_inflated"):
        read_png(content, DecodeLimits(max_inflated=HEIGHT * WIDTH * 8 - 1))


@pytest.mark.parametrize("end", range(8, 300, 13))
def test_a_picture_cut_short_is_refused(end: int) -> None:
    content = png(values(8), 8, 0)
    with pytest.raises(RefusedError, match="cut short"):
        read(content[: min(end, len(content) - 1)])


def test_pixel_data_that_ends_early_is_refused() -> None:
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 0, 0, 0, 0)
    data = zlib.compress(packed(values(8), 8)[: WIDTH * 5])
    with pytest.raises(DamagedError, match="truncated"):
        read(SIGNATURE + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b""))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (chunk(b"IEND", b""), "how large"),
        (chunk(b"IHDR", b"short") + chunk(b"IEND", b""), "how large"),
        (chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 3, 0, 0, 0, 0)) + chunk(b"IEND", b""), "unknown form"),
        (chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 5, 0, 0, 0)) + chunk(b"IEND", b""), "unknown form"),
        (chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 2)) + chunk(b"IEND", b""), "unknown form"),
        (chunk(b"IHDR", struct.pack(">IIBBBBB", 0, 8, 8, 0, 0, 0, 0)) + chunk(b"IEND", b""), "0 x 8 pixels"),
        (chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 0)) + chunk(b"IEND", b""), "cut short"),
        (chunk(b"ABCD", b"") + chunk(b"IEND", b""), "not known"),
        (
            chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 3, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(bytes(80)))
            + chunk(b"IEND", b""),
            "no palette",
        ),
    ],
)
def test_headers_that_are_none_are_refused(content: bytes, message: str) -> None:
    with pytest.raises(RefusedError, match=message):
        read(SIGNATURE + content)
