"""TIFF: every sample form in both byte orders against hand-made files, Pillow's own for the compressed ones."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, features

from radlens.imaging.formats.stored import Stored
from radlens.imaging.formats.tiff import read_tiff
from radlens.imaging.limits import DEFAULT_LIMITS, DecodeLimits, RefusedError

HEIGHT, WIDTH = 19, 24
Tag = tuple[int, list[int]] | None
Order = Literal["<", ">"]
ORDERS: list[Order] = ["<", ">"]


def tiff(
    pixels: npt.NDArray[Any] | bytes,
    order: Order = "<",
    rows: int = 7,
    compress: Callable[[bytes], bytes] = bytes,
    big: bool = False,
    **changed: Tag,
) -> bytes:
    """A TIFF in strips; ``changed`` adds, replaces or (None) drops tags, named as ``t273``, by type and values."""
    return tiff_with(changed, pixels, order, rows, compress, big)


def tiff_with(
    changed: dict[str, Tag],
    pixels: npt.NDArray[Any] | bytes,
    order: Order = "<",
    rows: int = 7,
    compress: Callable[[bytes], bytes] = bytes,
    big: bool = False,
) -> bytes:
    """As :func:`tiff`, of tags that are held together."""
    array = pixels if isinstance(pixels, np.ndarray) else np.frombuffer(pixels, np.uint8).reshape(HEIGHT, -1)
    samples = array.shape[2] if array.ndim == 3 else 1
    kind = {"u": 1, "i": 2, "f": 3}[array.dtype.kind]
    stored = array.astype(array.dtype.newbyteorder(order))
    strips = [compress(stored[row : row + rows].tobytes()) for row in range(0, len(stored), rows)]
    start = 16 if big else 8
    offsets = [start + sum(map(len, strips[:number])) for number in range(len(strips))]
    bits = array.dtype.itemsize * 8
    tags: dict[int, Tag] = {
        256: (4, [array.shape[1]]),
        257: (4, [array.shape[0]]),
        258: (3, [bits] * samples),
        259: (3, [1 if compress is bytes else 8]),
        262: (3, [2 if samples >= 3 else 1]),
        273: (4, offsets),
        277: (3, [samples]),
        278: (4, [rows]),
        279: (4, [len(strip) for strip in strips]),
        339: (3, [kind] * samples),
    }
    tags |= {int(name[1:]): value for name, value in changed.items()}
    present = {tag: value for tag, value in sorted(tags.items()) if value is not None}
    data = b"".join(strips)
    place = start + len(data)
    head = struct.calcsize(f"{order}Q" if big else f"{order}H") + (20 if big else 12) * len(present) + (8 if big else 4)
    entries, extra = b"", b""
    for tag, (kind, values) in present.items():
        packed = struct.pack(f"{order}{len(values)}{ {1: 'B', 3: 'H', 4: 'I', 16: 'Q'}[kind] }", *values)
        entries += struct.pack(f"{order}HH{'Q' if big else 'I'}", tag, kind, len(values))
        width = 8 if big else 4
        if len(packed) <= width:
            entries += packed.ljust(width, b"\0")
        else:
            entries += struct.pack(f"{order}{'Q' if big else 'I'}", place + head + len(extra))
            extra += packed
    mark = b"II" if order == "<" else b"MM"
    if big:
        header = mark + struct.pack(f"{order}HHHQ", 43, 8, 0, place)
        return header + data + struct.pack(f"{order}Q", len(present)) + entries + bytes(8) + extra
    header = mark + struct.pack(f"{order}HI", 42, place)
    return header + data + struct.pack(f"{order}H", len(present)) + entries + bytes(4) + extra


def values(kind: str, channels: int | None = None) -> npt.NDArray[Any]:
    """Every bit of every sample matters."""
    rng = np.random.default_rng(1)
    shape = (HEIGHT, WIDTH) if channels is None else (HEIGHT, WIDTH, channels)
    if kind == "f4":
        return rng.normal(0, 1000, shape).astype(np.float32)
    info = np.iinfo(kind)
    return rng.integers(info.min, info.max, shape, dtype=kind, endpoint=True)


def encoded(image: Image.Image, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "TIFF", **options)
    return buffer.getvalue()


def read(content: bytes) -> Stored:
    return read_tiff(content, DEFAULT_LIMITS)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("compress", [bytes, zlib.compress])
@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("kind", ["u1", "u2", "i2", "u4", "i4", "f4"])
def test_grey_keeps_every_value(kind: str, big: bool, compress: Callable[[bytes], bytes], order: Order) -> None:
    stored = read(tiff(values(kind), order, compress=compress, big=big))
    assert (stored.width, stored.height, stored.inverted) == (WIDTH, HEIGHT, False)
    assert stored.compression == ("none" if compress is bytes else "deflate")
    found = np.asarray(stored.pixels)
    assert found.dtype == np.dtype(kind)
    np.testing.assert_array_equal(found, values(kind))


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("compress", [bytes, zlib.compress])
@pytest.mark.parametrize("kind", ["u1", "u2"])
def test_colour_keeps_every_value(kind: str, compress: Callable[[bytes], bytes], order: Order) -> None:
    stored = read(tiff(values(kind, 3), order, compress=compress))
    assert stored.mode == ("RGB" if kind == "u1" else "RGB;16")
    np.testing.assert_array_equal(np.asarray(stored.pixels), values(kind, 3))


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("kind", ["u1", "u2"])
@pytest.mark.parametrize(("extra", "channels"), [(2, 4), (1, 3), (0, 3)])
def test_alpha_is_kept_and_other_extra_channels_are_passed_over(
    extra: int, channels: int, kind: str, order: Order
) -> None:
    stored = read(tiff(values(kind, 4), order, t338=(3, [extra])))
    np.testing.assert_array_equal(np.asarray(stored.pixels), values(kind, 4)[..., :channels])


@pytest.mark.parametrize(("extra", "mode"), [(2, "LA"), (1, "L"), (0, "L")])
def test_grey_with_an_extra_channel(extra: int, mode: str) -> None:
    stored = read(tiff(values("u1", 2), t338=(3, [extra]), t262=(3, [1])))
    assert stored.mode == mode
    found = np.asarray(stored.pixels).reshape(HEIGHT, WIDTH, -1)
    np.testing.assert_array_equal(found, values("u1", 2)[..., : len(mode)])


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("bits", [1, 2, 4])
def test_few_bits_are_spread_over_0_to_255(bits: int, order: Order) -> None:
    levels = values("u1") >> (8 - bits)
    spread = (levels[:, :, None] >> np.arange(bits - 1, -1, -1)) & 1
    packed = np.packbits(spread.reshape(HEIGHT, -1), axis=1).tobytes()
    stored = read(tiff(packed, order, t256=(4, [WIDTH]), t258=(3, [bits])))
    factor = 1 if bits == 1 else 255 // (2**bits - 1)
    np.testing.assert_array_equal(np.asarray(stored.pixels).astype(int), levels * factor)


@pytest.mark.parametrize("order", ORDERS)
def test_packed_twelve_bits_keep_every_value(order: Order) -> None:
    levels = values("u2") >> 4
    spread = (levels[:, :, None] >> np.arange(11, -1, -1)) & 1
    packed = np.packbits(spread.reshape(HEIGHT, -1).astype(np.uint8), axis=1).tobytes()
    stored = read(tiff(packed, order, t256=(4, [WIDTH]), t258=(3, [12])))
    assert (stored.container, stored.declared, stored.mode) == (12, 12, "I;16")
    np.testing.assert_array_equal(np.asarray(stored.pixels), levels)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("kind", ["u1", "u2", "f4"])
def test_white_is_zero_is_said_and_the_values_stay(kind: str, order: Order) -> None:
    stored = read(tiff(values(kind), order, t262=(3, [0])))
    assert stored.inverted
    np.testing.assert_array_equal(np.asarray(stored.pixels), values(kind))


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("wide", [True, False])
def test_palettes_of_16_bits_and_of_8_have_their_colours(order: Order, wide: bool) -> None:
    colours = np.random.default_rng(0).integers(0, 256, (256, 3))
    table = (colours * (257 if wide else 1)).T.reshape(-1).tolist()
    stored = read(tiff(values("u1"), order, t262=(3, [3]), t320=(3, table)))
    assert isinstance(stored.pixels, Image.Image)
    assert stored.mode == "P"
    np.testing.assert_array_equal(np.asarray(stored.pixels.convert("RGB")), colours[values("u1")])


def test_inks_are_kept() -> None:
    stored = read(tiff(values("u1", 4), t262=(3, [5])))
    assert stored.mode == "CMYK"
    np.testing.assert_array_equal(np.asarray(stored.pixels), values("u1", 4))


@pytest.mark.parametrize(
    ("compression", "name"),
    [("tiff_lzw", "LZW"), ("packbits", "PackBits"), ("tiff_adobe_deflate", "deflate"), ("tiff_deflate", "deflate")],
)
@pytest.mark.parametrize("kind", ["u1", "u2", "f4"])
def test_what_libtiff_writes_compressed_comes_through(compression: str, name: str, kind: str) -> None:
    stored = read(encoded(Image.fromarray(values(kind)), compression=compression))
    assert stored.compression == name
    np.testing.assert_array_equal(np.asarray(stored.pixels), values(kind))


@pytest.mark.parametrize(
    ("compression", "name"), [("group3", "CCITT G3"), ("group4", "CCITT G4"), ("tiff_ccitt", "CCITT RLE")]
)
def test_fax_codes_come_through(compression: str, name: str) -> None:
    bits = values("u1") > 128
    stored = read(encoded(Image.fromarray(bits), compression=compression))
    assert stored.compression == name
    np.testing.assert_array_equal(np.asarray(stored.pixels), bits != stored.inverted)


@pytest.mark.parametrize("mode", ["L", "RGB", "YCbCr"])
def test_jpeg_inside_comes_through_nearly(mode: str) -> None:
    smooth = np.asarray(Image.fromarray(values("u1")[:3, :3]).resize((64, 48)).convert("RGB"))
    stored = read(encoded(Image.fromarray(smooth).convert(mode), compression="jpeg", quality=95))
    assert (stored.compression, stored.mode) == ("JPEG", "L" if mode == "L" else "RGB")
    found = np.asarray(stored.pixels).astype(int).reshape(48, 64, -1)
    assert np.abs(found - smooth[..., : found.shape[2]]).mean() < 4


@pytest.mark.parametrize("predictor", [1, 2])
def test_differences_of_neighbours_are_summed(predictor: int) -> None:
    image = Image.fromarray(values("u2"))
    stored = read(encoded(image, compression="tiff_lzw", tiffinfo={317: predictor}))
    np.testing.assert_array_equal(np.asarray(stored.pixels), values("u2"))


def test_channels_apart_are_put_together() -> None:
    planes = values("u1", 3).transpose(2, 0, 1).tobytes()
    size = HEIGHT * WIDTH
    content = tiff(
        planes,
        t256=(4, [WIDTH]),
        t257=(4, [HEIGHT]),
        t258=(3, [8, 8, 8]),
        t262=(3, [2]),
        t273=(4, [8, 8 + size, 8 + 2 * size]),
        t277=(3, [3]),
        t278=(4, [HEIGHT]),
        t279=(4, [size] * 3),
        t284=(3, [2]),
        t339=None,
    )
    np.testing.assert_array_equal(np.asarray(read(content).pixels), values("u1", 3))


@pytest.mark.parametrize("compress", [bytes, zlib.compress])
def test_tiles_are_put_together(compress: Callable[[bytes], bytes]) -> None:
    whole = np.zeros((32, 32), dtype=np.uint16)
    whole[:HEIGHT, :WIDTH] = values("u2")
    tiles = [compress(whole[y : y + 16, x : x + 16].astype("<u2").tobytes()) for y in (0, 16) for x in (0, 16)]
    offsets = [8 + sum(map(len, tiles[:number])) for number in range(4)]
    joined = b"".join(tiles)
    padded = joined + bytes(-len(joined) % HEIGHT)
    content = tiff(
        padded,
        t256=(4, [WIDTH]),
        t258=(3, [16]),
        t259=(3, [1 if compress is bytes else 8]),
        t273=None,
        t278=None,
        t279=None,
        t322=(4, [16]),
        t323=(4, [16]),
        t324=(4, offsets),
        t325=(4, [len(tile) for tile in tiles]),
    )
    np.testing.assert_array_equal(np.asarray(read(content).pixels), values("u2"))


def test_the_first_of_several_pictures_is_read() -> None:
    first, second = Image.fromarray(values("u1")), Image.fromarray(255 - values("u1"))
    stored = read(encoded(first, save_all=True, append_images=[second]))
    np.testing.assert_array_equal(np.asarray(stored.pixels), values("u1"))


@pytest.mark.parametrize("orientation", [*range(1, 9), 0, 9])
def test_the_orientation_is_read_and_not_yet_applied(orientation: int) -> None:
    stored = read(tiff(values("u1"), t274=(3, [orientation])))
    assert stored.orientation == (orientation if 1 <= orientation <= 8 else 1)
    np.testing.assert_array_equal(np.asarray(stored.pixels), values("u1"))


@pytest.mark.parametrize(("largest", "bits"), [(4095, 12), (4000, 12), (1023, 10), (65535, 0), (0, 0)])
def test_significant_bits_are_those_of_the_largest_value_declared(largest: int, bits: int) -> None:
    assert read(tiff(values("u2"), t281=(3, [largest]))).declared == bits


def test_tags_that_only_describe_do_no_harm(recwarn: pytest.WarningsRecorder) -> None:
    strange: dict[str, Tag] = {
        "t270": (1, list(b"text without an end")),
        "t282": (4, [0]),
        "t305": (3, [1, 2, 3]),
        "t700": (1, [255] * 50),
        "t34675": (1, [1] * 200),
        "t34665": (4, [2**31]),
        "t33723": (4, [5]),
        "t65000": (16, [7]),
    }
    np.testing.assert_array_equal(np.asarray(read(tiff_with(strange, values("u2"))).pixels), values("u2"))
    assert not recwarn.list


@pytest.mark.parametrize("kind", ["u1", "u2"])
@pytest.mark.parametrize("compress", [bytes, zlib.compress])
def test_a_picture_cut_short_is_refused(kind: str, compress: Callable[[bytes], bytes]) -> None:
    content = tiff(values(kind), compress=compress)
    for tenth in range(1, 10):
        with pytest.raises((RefusedError, OSError)):
            read(content[: len(content) * tenth // 10])


@pytest.mark.parametrize("order", ORDERS)
def test_strips_outside_the_file_are_refused(order: Order) -> None:
    for compress in (bytes, zlib.compress):
        content = tiff(values("u1"), order, rows=HEIGHT, compress=compress, t273=(4, [1_000_000]))
        with pytest.raises(OSError, match=r"truncated|decoder error"):
            read(content)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"t256": (4, [0])}, "0 x 19 pixels"),
        ({"t256": (4, [2**32 - 1]), "t257": (4, [2**32 - 1])}, "on a side"),
        ({"t256": (4, [60000]), "t257": (4, [60000])}, "100,000,000 are opened"),
        ({"t256": (4, [9000]), "t257": (4, [9000])}, "cut short"),
        ({"t256": None}, "lacks tag 256"),
        ({"t262": None}, "lacks tag 262"),
        ({"t273": None}, "0 strips or tiles; 3 were expected"),
        ({"t273": (4, [8])}, "1 strips or tiles; 3 were expected"),
        ({"t278": (4, [1])}, "3 strips or tiles; 19 were expected"),
        ({"t273": (4, [8] * 200_001)}, "200,001 values"),
        ({"t258": (3, [8] * 17)}, "17 values"),
        ({"t258": (3, [7])}, "not read"),
        ({"t258": (3, [64]), "t339": (3, [3])}, "not read"),
        ({"t339": (3, [2])}, "not read"),
        ({"t262": (3, [8])}, "not read"),
        ({"t262": (3, [6])}, "not read"),
        ({"t277": (3, [40])}, "not read"),
        ({"t259": (3, [34925])}, "compression 34925"),
        ({"t259": (3, [6])}, "compression 6"),
        ({"t262": (3, [3])}, "palette of 0 values"),
        ({"t262": (3, [3]), "t320": (3, [1] * 9)}, "palette of 9 values"),
        ({"t322": (4, [2**31]), "t323": (4, [16]), "t324": (4, [8])}, "on a side"),
        ({"t322": (4, [0]), "t323": (4, [16]), "t324": (4, [8])}, "tiles of 0 x 16"),
    ],
)
def test_directories_that_lie_are_refused_before_memory_is_spent(
    monkeypatch: pytest.MonkeyPatch, changed: dict[str, Tag], message: str
) -> None:
    monkeypatch.setattr("radlens.imaging.formats.tiff.TiffImageFile", lambda _: pytest.fail("Pillow was asked"))
    with pytest.raises(RefusedError, match=message):
        read(tiff_with(changed, values("u1")))


@pytest.mark.parametrize("content", [b"II*\0", b"MM\0*\0\0\0\x08", b"II*\0\xff\xff\xff\xff", b"II+\0" + b"\xff" * 20])
def test_files_without_a_directory_are_refused(content: bytes) -> None:
    with pytest.raises(RefusedError, match="cut short"):
        read(content)


def test_a_bomb_of_zeros_is_refused_by_what_it_would_inflate_to() -> None:
    # 81 million 16-bit pixels in 160 KB: within the limit on pixels, beyond one set on bytes.
    strip = zlib.compress(bytes(9000 * 9000 * 2), 9)
    changed: dict[str, Tag] = {
        "t256": (4, [9000]),
        "t257": (4, [9000]),
        "t278": (4, [9000]),
        "t273": (4, [8]),
        "t279": (4, [len(strip)]),
        "t258": (3, [16]),
        "t259": (3, [8]),
    }
    content = tiff_with(changed, strip + bytes(-len(strip) % HEIGHT))
    with pytest.raises(RefusedError, match="max_inflated"):
        read_tiff(content, DecodeLimits(max_inflated=100_000_000))


def test_pillow_was_built_with_libtiff() -> None:
    assert features.check("libtiff"), "without it compressed TIFF files cannot be read"
