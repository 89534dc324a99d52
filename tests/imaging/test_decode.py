"""Every form of picture comes out as display-ready 8-bit grey or colour; everything else is a DecodeError."""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from radlens.errors import DataError
from radlens.imaging import decode as decode_module
from radlens.imaging.decode import Decoded, DecodeError, FileFacts, decode, is_array_location, read_array, read_bytes
from radlens.imaging.preprocess import Preprocessing, preprocess

HEIGHT, WIDTH = 24, 32


def grey() -> npt.NDArray[np.uint8]:
    """No two rows, columns or mirror images are alike."""
    rows, columns = np.indices((HEIGHT, WIDTH))
    return (rows * 5 + columns * 3 + (rows * columns) % 7).astype(np.uint8)


def colour() -> npt.NDArray[np.uint8]:
    return np.stack([grey(), 255 - grey(), np.flipud(grey())], axis=2)


def encoded(image: Image.Image, form: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def decoded(content: bytes, **options: Any) -> Decoded:
    return decode("x.png", content, **options)


def pixels_of(content: bytes) -> npt.NDArray[np.uint8]:
    return np.asarray(decoded(content).image)


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF"])
def test_eight_bit_grey_and_colour_come_through_unchanged(form: str) -> None:
    result = decoded(encoded(Image.fromarray(grey()), form))
    assert result.image.mode == "L"
    np.testing.assert_array_equal(np.asarray(result.image), grey())
    assert (result.facts.width, result.facts.height) == (WIDTH, HEIGHT)
    assert (result.facts.mode, result.facts.format) == (
        "P" if form == "BMP" and result.facts.mode == "P" else "L",
        form,
    )
    result = decoded(encoded(Image.fromarray(colour()), form))
    assert result.image.mode == "RGB"
    np.testing.assert_array_equal(np.asarray(result.image), colour())


def test_lossless_webp_comes_through_unchanged() -> None:
    np.testing.assert_array_equal(pixels_of(encoded(Image.fromarray(colour()), "WEBP", lossless=True)), colour())


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_compressed_tiff_comes_through_unchanged(compression: str) -> None:
    np.testing.assert_array_equal(pixels_of(encoded(Image.fromarray(grey()), "TIFF", compression=compression)), grey())


def test_a_palette_of_greys_is_grey_and_any_other_palette_is_colour() -> None:
    image = Image.fromarray(grey() // 16)
    image = image.convert("P")
    levels = [15 * 17 - 17 * level for level in range(16)]
    image.putpalette([value for level in levels for value in (level, level, level)])
    result = decoded(encoded(image, "PNG"))
    assert (result.image.mode, result.facts.mode) == ("L", "P")
    np.testing.assert_array_equal(np.asarray(result.image), 255 - 17 * (grey() // 16))

    image.putpalette([value for level in levels for value in (level, 0, 255 - level)])
    result = decoded(encoded(image, "PNG"))
    assert result.image.mode == "RGB"
    wanted = 255 - 17 * (grey() // 16)
    np.testing.assert_array_equal(np.asarray(result.image), np.stack([wanted, 0 * wanted, 255 - wanted], axis=2))


def test_one_bit_is_black_and_white() -> None:
    bits = grey() > 90
    result = decoded(encoded(Image.fromarray(bits), "PNG"))
    assert (result.image.mode, result.facts.mode) == ("L", "1")
    np.testing.assert_array_equal(np.asarray(result.image), np.where(bits, 255, 0))


def test_transparency_is_dropped_and_the_pixels_stay() -> None:
    alpha = Image.fromarray(np.flipud(grey()))
    image = Image.merge("LA", [Image.fromarray(grey()), alpha])
    result = decoded(encoded(image, "PNG"))
    assert (result.image.mode, result.facts.mode) == ("L", "LA")
    np.testing.assert_array_equal(np.asarray(result.image), grey())
    image = Image.fromarray(np.dstack([colour(), np.asarray(alpha)]))
    result = decoded(encoded(image, "PNG"))
    assert (result.image.mode, result.facts.mode) == ("RGB", "RGBA")
    np.testing.assert_array_equal(np.asarray(result.image), colour())


def test_cmyk_becomes_colour() -> None:
    flat = np.full((16, 16, 3), (200, 60, 120), dtype=np.uint8)
    result = decoded(encoded(Image.fromarray(flat).convert("CMYK"), "JPEG", quality=95))
    assert (result.image.mode, result.facts.mode) == ("RGB", "CMYK")
    np.testing.assert_allclose(np.asarray(result.image), flat, atol=4)


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled_from_their_whole_range(form: str) -> None:
    values = np.linspace(0, 65535, HEIGHT * WIDTH).round().astype(np.uint16).reshape(HEIGHT, WIDTH)
    result = decoded(encoded(Image.fromarray(values), form))
    assert (result.image.mode, result.facts.mode) == ("L", "I;16")
    np.testing.assert_array_equal(np.asarray(result.image), np.rint(values / 257.0))


def test_big_endian_sixteen_bit_tiff_is_the_same_picture() -> None:
    values = (grey().astype(np.uint16) * 257).astype(">u2")
    tags = [(256, 3, WIDTH), (257, 3, HEIGHT), (258, 3, 16), (259, 3, 1), (262, 3, 1), (273, 4, 8), (277, 3, 1)]
    tags += [(278, 3, HEIGHT), (279, 4, values.nbytes)]
    entries = b"".join(
        struct.pack(">HHI", tag, kind, 1) + (struct.pack(">HH", value, 0) if kind == 3 else struct.pack(">I", value))
        for tag, kind, value in tags
    )
    content = b"MM\0*" + struct.pack(">I", 8 + values.nbytes) + values.tobytes()
    content += struct.pack(">H", len(tags)) + entries + bytes(4)
    np.testing.assert_array_equal(pixels_of(content), grey())


@pytest.mark.parametrize("kind", [np.int32, np.float32])
def test_wide_and_floating_values_are_stretched_from_smallest_to_largest(kind: type[np.generic]) -> None:
    values = np.array([[-100, 0], [300, 20]], dtype=kind)
    np.testing.assert_array_equal(pixels_of(encoded(Image.fromarray(values), "TIFF")), [[0, 64], [255, 77]])
    flat = np.full((3, 3), 7, dtype=kind)
    np.testing.assert_array_equal(pixels_of(encoded(Image.fromarray(flat), "TIFF")), np.zeros((3, 3)))


def test_values_that_are_not_finite_are_refused() -> None:
    values = np.array([[0, np.nan], [1, np.inf]], dtype=np.float32)
    with pytest.raises(DecodeError, match="not finite"):
        decoded(encoded(Image.fromarray(values), "TIFF"))


@pytest.mark.parametrize(
    ("orientation", "upright"),
    [
        (1, lambda stored: stored),
        (2, np.fliplr),
        (3, lambda stored: np.rot90(stored, 2)),
        (4, np.flipud),
        (5, np.transpose),
        (6, lambda stored: np.rot90(stored, -1)),
        (7, lambda stored: np.rot90(stored, 2).T),
        (8, np.rot90),
    ],
)
def test_the_cameras_orientation_is_undone(
    orientation: int, upright: Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.uint8]]
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    result = decoded(encoded(Image.fromarray(grey()), "PNG", exif=exif))
    np.testing.assert_array_equal(np.asarray(result.image), upright(grey()))
    assert (result.facts.width, result.facts.height) == (WIDTH, HEIGHT), "the facts are of the stored image"


def test_progressive_jpeg_is_the_same_picture_as_sequential() -> None:
    image = Image.fromarray(colour())
    sequential = pixels_of(encoded(image, "JPEG", quality=90))
    np.testing.assert_array_equal(pixels_of(encoded(image, "JPEG", quality=90, progressive=True)), sequential)
    np.testing.assert_allclose(sequential.mean(axis=(0, 1)), colour().mean(axis=(0, 1)), atol=2)


def test_facts_are_those_of_the_file_and_the_grey_picture() -> None:
    content = encoded(Image.fromarray(grey()), "PNG")
    wanted = FileFacts(WIDTH, HEIGHT, "L", "PNG", len(content), float(grey().mean()), float(grey().std()))
    facts = decoded(content).facts
    assert (facts.width, facts.height, facts.mode, facts.format, facts.bytes) == (
        wanted.width,
        wanted.height,
        wanted.mode,
        wanted.format,
        wanted.bytes,
    )
    assert (facts.mean, facts.std) == pytest.approx((wanted.mean, wanted.std))
    luma = np.asarray(Image.fromarray(colour()).convert("L"), dtype=float)
    facts = decoded(encoded(Image.fromarray(colour()), "PNG")).facts
    assert (facts.mean, facts.std) == pytest.approx((luma.mean(), luma.std()))


def test_a_location_is_read_from_disk_whatever_its_ending(tmp_path: Path) -> None:
    path = tmp_path / "scan.jpeg"
    path.write_bytes(encoded(Image.fromarray(grey()), "PNG"))
    assert decode(str(path)).facts.format == "PNG"
    assert read_bytes(str(path)) == path.read_bytes()


def test_a_target_decodes_jpeg_smaller_but_at_least_twice_as_large() -> None:
    image = Image.fromarray(grey()).resize((1024, 768))
    result = decoded(encoded(image, "JPEG"), target=(100, 60))
    # One eighth would be 128 x 96, less than twice the target; one quarter is 256 x 192.
    assert result.image.size == (256, 192)
    assert (result.facts.width, result.facts.height) == (1024, 768)
    assert result.image.mode == "L"
    assert decoded(encoded(image.convert("RGB"), "JPEG"), target=(100, 60)).image.mode == "RGB"
    assert decoded(encoded(image, "JPEG"), target=(600, 600)).image.size == (1024, 768)
    assert decoded(encoded(image, "PNG"), target=(100, 60)).image.size == (1024, 768)


@pytest.mark.parametrize("fit", ["squash", "pad", "crop"])
def test_decoding_real_x_rays_smaller_changes_a_pixel_by_less_than_a_grey_level(shared_data: Path, fit: str) -> None:
    files = sorted((shared_data / "kermany_original_sample").rglob("*.jp*g"))
    contract = Preprocessing(height=150, width=150, fit=fit)
    reduced = 0
    for path in files[::12]:
        whole = decode(str(path)).image
        quick = decode(str(path), target=(contract.width, contract.height)).image
        reduced += quick.size != whole.size
        if fit == "pad":
            # The smaller picture's aspect is rounded to whole pixels, which may move the edge of the padding by one.
            whole = whole.resize(quick.size, Image.Resampling.BOX)
        change = preprocess(quick, contract).astype(float) - preprocess(whole, contract)
        assert np.abs(change).mean() <= 1.0, path.name
    assert reduced >= 5, "too few of the files were decoded smaller to say anything"


def test_an_empty_file_is_said_to_be_empty(tmp_path: Path) -> None:
    path = tmp_path / "empty.jpeg"
    path.touch()
    with pytest.raises(DecodeError, match=r"empty\.jpeg: the file is empty"):
        decode(str(path))


def test_a_file_that_is_not_there_or_cannot_be_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(DecodeError, match="cannot be read"):
        decode(str(tmp_path / "nowhere.png"))
    with pytest.raises(DecodeError, match="cannot be read"):
        decode(str(tmp_path))
    assert issubclass(DecodeError, DataError)


def test_a_web_page_named_jpeg_is_said_to_be_no_image() -> None:
    with pytest.raises(DecodeError, match=r"no image of a known format .*begins with b'<!DOCTYP"):
        decoded(b"<!DOCTYPE html><html><body>Sign in</body></html>")


def test_an_image_of_a_format_that_is_not_allowed_is_refused() -> None:
    with pytest.raises(DecodeError, match="no image of a known format"):
        decoded(encoded(Image.fromarray(grey()), "GIF"))
    with pytest.raises(DecodeError, match="no image of a known format"):
        decoded(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n" + b" " * 200)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "BMP", "TIFF", "WEBP"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_picture_cut_short_is_refused(form: str, share: float) -> None:
    rng = np.random.default_rng(0)
    content = encoded(Image.fromarray(rng.integers(0, 256, (64, 64), dtype=np.uint8)), form)
    with pytest.raises(DecodeError):
        decoded(content[: int(len(content) * share)])


def png_header(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(60_000, 60_000), (2**31 - 1, 2**31 - 1), (10_001, 10_000)])
def test_absurd_dimensions_are_refused_before_any_pixel_is_decoded(
    monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    def load(_: object) -> None:
        raise AssertionError("pixels were decoded")

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", load)
    with pytest.raises(DecodeError):
        decoded(png_header(*size))


def test_dimensions_at_the_limit_are_opened_and_one_more_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    content = encoded(Image.fromarray(grey()), "PNG")
    monkeypatch.setattr(decode_module, "MAX_PIXELS", WIDTH * HEIGHT)
    assert decoded(content).image.size == (WIDTH, HEIGHT)
    monkeypatch.setattr(decode_module, "MAX_PIXELS", WIDTH * HEIGHT - 1)
    with pytest.raises(DecodeError, match="32 x 24 pixels; at most 767 are opened"):
        decoded(content)


def test_a_file_over_the_limit_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(encoded(Image.fromarray(grey()), "PNG"))
    monkeypatch.setattr(decode_module, "MAX_BYTES", path.stat().st_size)
    decode(str(path))
    monkeypatch.setattr(decode_module, "MAX_BYTES", path.stat().st_size - 1)
    monkeypatch.setattr(Path, "read_bytes", lambda _: pytest.fail("the file was read"))
    with pytest.raises(DecodeError, match="at most"):
        decode(str(path))


@given(st.binary(min_size=1, max_size=400))
def test_of_any_bytes_nothing_but_a_decode_error_escapes(content: bytes) -> None:
    with pytest.raises(DecodeError):
        decoded(content)


@pytest.mark.filterwarnings("ignore")
@given(st.binary(max_size=300))
def test_of_any_bytes_that_claim_to_be_dicom_nothing_but_a_decode_error_escapes(content: bytes) -> None:
    with pytest.raises(DecodeError):
        decoded(bytes(128) + b"DICM" + content)


def whole_files() -> list[bytes]:
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a description"
    picture = Image.fromarray(colour())
    return [
        encoded(picture, "JPEG", exif=exif),
        encoded(Image.fromarray(grey()), "JPEG", progressive=True),
        encoded(picture, "PNG", exif=exif),
        encoded(picture.convert("P"), "PNG", transparency=3),
        encoded(Image.fromarray(grey().astype(np.uint16)), "PNG"),
        encoded(picture, "BMP"),
        encoded(picture, "TIFF", compression="tiff_lzw"),
        encoded(Image.fromarray(grey().astype(np.float32)), "TIFF"),
        encoded(picture, "WEBP", exif=exif),
    ]


FILES = whole_files()


@settings(max_examples=300)
@pytest.mark.filterwarnings("ignore")
@given(
    st.sampled_from(FILES),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=6),
    st.floats(0.02, 1),
    st.booleans(),
)
def test_of_a_damaged_picture_nothing_but_a_decode_error_escapes(
    content: bytes, changes: list[tuple[float, int]], kept: float, reduced: bool
) -> None:
    damaged = bytearray(content[: max(1, int(len(content) * kept))])
    for place, value in changes:
        damaged[int(place * len(damaged))] = value
    try:
        result = decoded(bytes(damaged), target=(8, 8) if reduced else None)
    except DecodeError:
        return
    assert result.image.mode in ("L", "RGB")
    assert 0 <= result.facts.mean <= 255
    assert 0 <= result.facts.std <= 127.5


def test_a_camera_entry_of_a_wrong_type_is_no_crash() -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "ab"
    content = encoded(Image.fromarray(grey()), "JPEG", exif=exif)
    # The description now claims to be the resolution, which Pillow cannot write back as it turns the picture.
    order = ">" if b"MM\0*" in content else "<"
    description, resolution = (struct.pack(order + "HH", tag, 2) for tag in (0x010E, 0x011A))
    assert description in content
    with pytest.raises(DecodeError, match="damaged"):
        decoded(content.replace(description, resolution))


@pytest.fixture
def archive(tmp_path: Path) -> str:
    path = tmp_path / "set.npz"
    np.savez_compressed(
        path,
        grey=np.stack([grey(), grey()[::-1]]),
        colour=colour()[None],
        wide=grey()[None].astype(np.uint16),
        flat=grey(),
        four=np.zeros((2, 4, 4, 4), dtype=np.uint8),
        objects=np.array([{"a": 1}], dtype=object),
    )
    return str(path)


def test_images_of_an_array_come_through_unchanged(archive: str) -> None:
    result = decode(f"{archive}::grey/1")
    assert result.image.mode == "L"
    np.testing.assert_array_equal(np.asarray(result.image), grey()[::-1])
    assert (result.facts.width, result.facts.height, result.facts.format) == (WIDTH, HEIGHT, "ARRAY")
    assert result.facts.bytes == WIDTH * HEIGHT
    result = decode(f"{archive}::colour/0", target=(8, 8))
    assert result.image.mode == "RGB"
    np.testing.assert_array_equal(np.asarray(result.image), colour())


@pytest.mark.parametrize(
    "member", ["grey/2", "grey/x", "grey", "nothing/0", "wide/0", "flat/0", "four/0", "objects/0", "", "/"]
)
def test_an_image_that_is_not_in_the_archive_is_said(archive: str, member: str) -> None:
    for read in (decode, read_bytes, read_array):
        with pytest.raises(DecodeError, match=r"set\.npz.*no such image in the archive"):
            read(f"{archive}::{member}")


def test_an_archive_that_is_none_is_said(tmp_path: Path) -> None:
    (tmp_path / "set.npz").write_bytes(b"PK\x03\x04 no archive at all")
    with pytest.raises(DecodeError, match="no such image in the archive"):
        decode(f"{tmp_path / 'set.npz'}::images/0")
    with pytest.raises(DecodeError, match="no such image in the archive"):
        decode(f"{tmp_path / 'nowhere.npz'}::images/0")


def test_an_archive_cut_short_is_said(archive: str) -> None:
    content = Path(archive).read_bytes()
    Path(archive).write_bytes(content[: len(content) // 2])
    with pytest.raises(DecodeError, match="no such image in the archive"):
        decode(f"{archive}::grey/0")


def test_an_archive_damaged_inside_is_said(archive: str) -> None:
    content = bytearray(Path(archive).read_bytes())
    for place in range(60, 200):
        content[place] ^= 0x5A
    Path(archive).write_bytes(bytes(content))
    with pytest.raises(DecodeError, match="no such image in the archive"):
        decode(f"{archive}::grey/0")


def test_an_archive_written_anew_is_read_anew(archive: str) -> None:
    before = read_bytes(f"{archive}::grey/0")
    np.savez(archive, grey=255 - grey()[None])
    os.utime(archive, ns=(1, 1))
    assert read_bytes(f"{archive}::grey/0") != before
    np.testing.assert_array_equal(read_array(f"{archive}::grey/0"), 255 - grey())


def test_what_is_read_of_an_array_cannot_be_changed(archive: str) -> None:
    with pytest.raises(ValueError, match="read-only"):
        read_array(f"{archive}::grey/0")[0, 0] = 1


@pytest.mark.parametrize(
    ("location", "inside"),
    [("a.npz::x/0", True), ("a.npz", False), ("a::b.png", False), ("folder::1/b.npz", False)],
)
def test_only_a_member_of_an_npz_is_an_array_location(location: str, inside: bool) -> None:
    assert is_array_location(location) is inside


def test_images_of_the_same_bytes_and_another_shape_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "set.npz"
    np.savez(path, wide=np.zeros((1, 4, 16), dtype=np.uint8), tall=np.zeros((1, 16, 4), dtype=np.uint8))
    assert read_bytes(f"{path}::wide/0") != read_bytes(f"{path}::tall/0")
