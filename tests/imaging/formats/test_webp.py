"""WebP: lossless to the last bit, lossy nearly, and containers that lie."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from radlens.imaging.formats.stored import Stored
from radlens.imaging.formats.webp import read_webp
from radlens.imaging.limits import DEFAULT_LIMITS, DecodeLimits, RefusedError

HEIGHT, WIDTH = 30, 44


def colour() -> npt.NDArray[np.uint8]:
    rows, columns = np.indices((HEIGHT, WIDTH))
    return np.stack([rows * 8, columns * 5, 255 - rows * 3 - columns * 2], axis=2).astype(np.uint8)


def encoded(image: Image.Image, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", **options)
    return buffer.getvalue()


def read(content: bytes) -> Stored:
    return read_webp(content, DEFAULT_LIMITS)


def riff(*chunks: tuple[bytes, bytes]) -> bytes:
    body = b"WEBP" + b"".join(
        name + struct.pack("<I", len(data)) + data + bytes(len(data) % 2) for name, data in chunks
    )
    return b"RIFF" + struct.pack("<I", len(body)) + body


def test_lossless_comes_through_to_the_last_bit() -> None:
    stored = read(encoded(Image.fromarray(colour()), lossless=True))
    assert (stored.compression, stored.width, stored.height) == ("lossless", WIDTH, HEIGHT)
    np.testing.assert_array_equal(np.asarray(stored.pixels)[..., :3], colour())


def test_lossy_comes_through_nearly() -> None:
    stored = read(encoded(Image.fromarray(colour()), quality=95))
    assert (stored.mode, stored.compression) == ("RGB", "lossy")
    assert np.abs(np.asarray(stored.pixels).astype(int) - colour()).mean() < 3


@pytest.mark.parametrize("lossless", [True, False])
def test_alpha_is_kept_for_the_display_to_see_to(lossless: bool) -> None:
    pixels = np.dstack([colour(), np.flipud(colour()[..., 0]) | 1])
    stored = read(encoded(Image.fromarray(pixels), lossless=lossless, exact=True))
    assert stored.mode == "RGBA"
    np.testing.assert_array_equal(np.asarray(stored.pixels)[..., 3], pixels[..., 3])


def test_the_orientation_is_read_and_a_profile_passed_over() -> None:
    exif = Image.Exif()
    exif[0x0112] = 5
    content = encoded(Image.fromarray(colour()), lossless=True, exif=exif, icc_profile=b"broken")
    stored = read(content)
    assert stored.orientation == 5
    np.testing.assert_array_equal(np.asarray(stored.pixels)[..., :3], colour())


def test_animations_are_refused() -> None:
    frames = [Image.fromarray(colour()), Image.fromarray(255 - colour())]
    with pytest.raises(RefusedError, match="animation"):
        read(encoded(frames[0], save_all=True, append_images=frames[1:], duration=10))


@pytest.mark.parametrize("lossless", [True, False])
def test_a_picture_cut_short_is_refused(lossless: bool) -> None:
    content = encoded(Image.fromarray(colour()), lossless=lossless)
    for tenth in range(1, 10):
        with pytest.raises(RefusedError, match="cut short"):
            read(content[: len(content) * tenth // 10])


def test_absurd_dimensions_are_refused_before_the_decoder_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("radlens.imaging.formats.webp.WebPImageFile", lambda _: pytest.fail("a decoder was made"))
    whole = (b"VP8L", b"\x2f" + struct.pack("<I", 7 | 7 << 14) + bytes(20))
    canvas = (b"VP8X", bytes(4) + b"\xff\xff\xff" + b"\xff\xff\xff")
    with pytest.raises(RefusedError, match="16,777,216 x 16,777,216"):
        read(riff(canvas, whole))
    huge = (b"VP8L", b"\x2f" + struct.pack("<I", 0x3FFF | 0x3FFF << 14) + bytes(20))
    with pytest.raises(RefusedError, match="16,384 x 16,384"):
        read(riff(huge))
    lossy = (b"VP8 ", b"\0\0\0\x9d\x01\x2a" + struct.pack("<HH", 0x3FFF, 0x3FFF) + bytes(20))
    with pytest.raises(RefusedError, match="16,383 x 16,383"):
        read(riff(lossy))


def test_what_the_decoder_will_hold_is_bounded() -> None:
    content = encoded(Image.fromarray(colour()), lossless=True)
    read_webp(content, DecodeLimits(max_inflated=8 * HEIGHT * WIDTH))
    with pytest.raises(RefusedError, match="max_inflated"):
        read_webp(content, DecodeLimits(max_inflated=8 * HEIGHT * WIDTH - 1))


@pytest.mark.parametrize(
    ("chunks", "message"),
    [
        ([], "no pixels"),
        ([(b"VP8X", b"\0hort")], "how large"),
        ([(b"VP8L", b"\x2f")], "how large"),
        ([(b"VP8L", b"\x2e1234")], "how large"),
        ([(b"VP8 ", b"\0" * 10)], "how large"),
        ([(b"XXXX", b"")] * 5000, "more than 4,096 chunks"),
        ([(b"VP8X", bytes([2]) + bytes(9)), (b"VP8 ", b"")], "animation"),
    ],
)
def test_containers_that_are_none_are_refused(chunks: list[tuple[bytes, bytes]], message: str) -> None:
    with pytest.raises(RefusedError, match=message):
        read(riff(*chunks))
