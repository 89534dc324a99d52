"""TIFF: every sample form in both byte orders against hand-made files, Pillow's own for the compressed ones."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image, features

from made_tiff import HEIGHT, ORDERS, WIDTH, Order, Tag, read, tiff, values


def encoded(image: Image.Image, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "TIFF", **options)
    return buffer.getvalue()


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
    stored = read(tiff(values(kind, 4), order, changed={338: (3, [extra])}))
    np.testing.assert_array_equal(np.asarray(stored.pixels), values(kind, 4)[..., :channels])


@pytest.mark.parametrize(("extra", "mode"), [(2, "LA"), (1, "L"), (0, "L")])
def test_grey_with_an_extra_channel(extra: int, mode: str) -> None:
    stored = read(tiff(values("u1", 2), changed={338: (3, [extra]), 262: (3, [1])}))
    assert stored.mode == mode
    found = np.asarray(stored.pixels).reshape(HEIGHT, WIDTH, -1)
    np.testing.assert_array_equal(found, values("u1", 2)[..., : len(mode)])


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("bits", [1, 2, 4])
def test_few_bits_are_spread_over_0_to_255(bits: int, order: Order) -> None:
    levels = values("u1") >> (8 - bits)
    spread = (levels[:, :, None] >> np.arange(bits - 1, -1, -1)) & 1
    packed = np.packbits(spread.reshape(HEIGHT, -1), axis=1).tobytes()
    stored = read(tiff(packed, order, changed={256: (4, [WIDTH]), 258: (3, [bits])}))
    factor = 1 if bits == 1 else 255 // (2**bits - 1)
    np.testing.assert_array_equal(np.asarray(stored.pixels).astype(int), levels * factor)


@pytest.mark.parametrize("order", ORDERS)
def test_packed_twelve_bits_keep_every_value(order: Order) -> None:
    levels = values("u2") >> 4
    spread = (levels[:, :, None] >> np.arange(11, -1, -1)) & 1
    packed = np.packbits(spread.reshape(HEIGHT, -1).astype(np.uint8), axis=1).tobytes()
    stored = read(tiff(packed, order, changed={256: (4, [WIDTH]), 258: (3, [12])}))
    assert (stored.container, stored.declared, stored.mode) == (12, 12, "I;16")
    np.testing.assert_array_equal(np.asarray(stored.pixels), levels)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("kind", ["u1", "u2", "f4"])
def test_white_is_zero_is_said_and_the_values_stay(kind: str, order: Order) -> None:
    stored = read(tiff(values(kind), order, changed={262: (3, [0])}))
    assert stored.inverted
    np.testing.assert_array_equal(np.asarray(stored.pixels), values(kind))


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("wide", [True, False])
def test_palettes_of_16_bits_and_of_8_have_their_colours(order: Order, wide: bool) -> None:
    colours = np.random.default_rng(0).integers(0, 256, (256, 3))
    table = (colours * (257 if wide else 1)).T.reshape(-1).tolist()
    stored = read(tiff(values("u1"), order, changed={262: (3, [3]), 320: (3, table)}))
    assert isinstance(stored.pixels, Image.Image)
    assert stored.mode == "P"
    np.testing.assert_array_equal(np.asarray(stored.pixels.convert("RGB")), colours[values("u1")])


def test_inks_are_kept() -> None:
    stored = read(tiff(values("u1", 4), changed={262: (3, [5])}))
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
        changed={
            256: (4, [WIDTH]),
            257: (4, [HEIGHT]),
            258: (3, [8, 8, 8]),
            262: (3, [2]),
            273: (4, [8, 8 + size, 8 + 2 * size]),
            277: (3, [3]),
            278: (4, [HEIGHT]),
            279: (4, [size] * 3),
            284: (3, [2]),
            339: None,
        },
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
        changed={
            256: (4, [WIDTH]),
            258: (3, [16]),
            259: (3, [1 if compress is bytes else 8]),
            273: None,
            278: None,
            279: None,
            322: (4, [16]),
            323: (4, [16]),
            324: (4, offsets),
            325: (4, [len(tile) for tile in tiles]),
        },
    )
    np.testing.assert_array_equal(np.asarray(read(content).pixels), values("u2"))


def test_the_first_of_several_pictures_is_read() -> None:
    first, second = Image.fromarray(values("u1")), Image.fromarray(255 - values("u1"))
    stored = read(encoded(first, save_all=True, append_images=[second]))
    np.testing.assert_array_equal(np.asarray(stored.pixels), values("u1"))


@pytest.mark.parametrize("orientation", [*range(1, 9), 0, 9])
def test_the_orientation_is_read_and_not_yet_applied(orientation: int) -> None:
    stored = read(tiff(values("u1"), changed={274: (3, [orientation])}))
    assert stored.orientation == (orientation if 1 <= orientation <= 8 else 1)
    np.testing.assert_array_equal(np.asarray(stored.pixels), values("u1"))


@pytest.mark.parametrize(("largest", "bits"), [(4095, 12), (1023, 10), (65535, 0), (0, 0), (4000, 0), (1, 0)])
@pytest.mark.parametrize("tag", [281, 341])
def test_a_largest_value_that_fills_its_bits_declares_them_and_a_measured_one_none(
    tag: int, largest: int, bits: int
) -> None:
    assert read(tiff(values("u2"), changed={tag: (3, [largest])})).declared == bits


def test_tags_that_only_describe_do_no_harm(recwarn: pytest.WarningsRecorder) -> None:
    strange: dict[int, Tag] = {
        270: (1, list(b"text without an end")),
        282: (4, [0]),
        305: (3, [1, 2, 3]),
        700: (1, [255] * 50),
        34675: (1, [1] * 200),
        34665: (4, [2**31]),
        33723: (4, [5]),
        65000: (16, [7]),
    }
    np.testing.assert_array_equal(np.asarray(read(tiff(values("u2"), changed=strange)).pixels), values("u2"))
    assert not recwarn.list


def test_pillow_was_built_with_libtiff() -> None:
    assert features.check("libtiff"), "without it compressed TIFF files cannot be read"
