"""Files that are no picture, not the one they are said to be, or damaged: refused with a reason, or read rightly."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile

from made_pictures import HEIGHT, WIDTH, attempted, encoded, noise
from radlens.imaging.decode import Decoded, DecodeError, decode
from radlens.imaging.pixels import read_pixels
from radlens.imaging.preprocess import Preprocessing

CONTRACT = Preprocessing(height=16, width=16)


def dicom(syntax: str = "1.2.840.10008.1.2.1") -> bytes:
    pydicom = pytest.importorskip("pydicom")
    made = pydicom.Dataset()
    made.file_meta = pydicom.dataset.FileMetaDataset()
    made.file_meta.TransferSyntaxUID = syntax
    made.SOPClassUID, made.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.1.1", "1.2.3"
    made.Rows, made.Columns, made.SamplesPerPixel = HEIGHT, WIDTH, 1
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 16, 12, 11, 0
    made.PhotometricInterpretation = "MONOCHROME2"
    made.PixelData = (noise().astype("<u2") << 4).tobytes()
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, made, enforce_file_format=True)
    return buffer.getvalue()


def whole_files() -> dict[str, bytes]:
    """One small valid file of each form that is read."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a description"
    colour, deep = noise(3), noise().astype(np.uint16) * 257
    return {
        "jpeg": encoded(colour, "JPEG", exif=exif, icc_profile=b"profile" * 30),
        "progressive": encoded(noise(), "JPEG", progressive=True),
        "cmyk": encoded(Image.fromarray(noise(4), "CMYK"), "JPEG"),
        "png": encoded(colour, "PNG", exif=exif),
        "palette": encoded(Image.fromarray(colour).convert("P"), "PNG", transparency=3),
        "alpha": encoded(noise(4), "PNG"),
        "deep": encoded(deep, "PNG"),
        "bits": encoded(noise() > 128, "PNG"),
        "bmp": encoded(colour, "BMP"),
        "tiff": encoded(colour, "TIFF", compression="tiff_lzw"),
        "deflated": encoded(deep, "TIFF", compression="tiff_adobe_deflate"),
        "float": encoded(noise().astype(np.float32), "TIFF"),
        "fax": encoded(noise() > 128, "TIFF", compression="group4"),
        "webp": encoded(colour, "WEBP", exif=exif),
        "lossless": encoded(noise(4), "WEBP", lossless=True),
        "dicom": dicom(),
        "dicom deflated": dicom("1.2.840.10008.1.2.1.99"),
        "dicom implicit": dicom("1.2.840.10008.1.2"),
    }


FILES = whole_files()


def read(content: bytes) -> Decoded:
    return decode("x.jpeg", content)


@pytest.mark.parametrize("name", FILES)
def test_the_whole_file_is_read(name: str) -> None:
    assert read(FILES[name]).image.size in ((WIDTH, HEIGHT), (HEIGHT, WIDTH))


@pytest.mark.parametrize("tenth", range(10))
@pytest.mark.parametrize("name", FILES)
def test_a_file_cut_at_any_tenth_is_refused(name: str, tenth: int) -> None:
    assert not ImageFile.LOAD_TRUNCATED_IMAGES, "half a picture is none"
    for target, grey in ((None, False), ((8, 8), True)):
        with pytest.raises(DecodeError, match=r"^x\.jpeg: "):
            decode("x.jpeg", FILES[name][: len(FILES[name]) * tenth // 10], target, grey=grey)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (bytes(1000), "no image of a known format"),
        (np.random.default_rng(0).bytes(5000), "no image of a known format"),
        (b"<!DOCTYPE html><html><body>Sign in</body></html>", "web page"),
        (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "XML or SVG"),
        (b"%PDF-1.7\n" + bytes(100), "PDF"),
        (b"PK\x03\x04" + bytes(100), "ZIP"),
        (b"#!/bin/sh\nrm -rf /\n", "no image of a known format"),
        (b"\xff\xd8\xff" + b"<script>alert(1)</script>", "cut short"),
        (b"\x89PNG\r\n\x1a\n" + b"<html>" * 10, "PNG"),
        (b"RIFF\xff\xff\xff\xffWEBPVP8 ", "cut short"),
        (b"BM" + b"\xff" * 100, "damaged"),
        (b"II*\0\x08\0\0\0" + b"\xff" * 100, "TIFF"),
        (bytes(128) + b"DICM" + b"\xff" * 100, "DICOM"),
    ],
)
def test_what_is_no_picture_is_refused_by_name(content: bytes, reason: str) -> None:
    with pytest.raises(DecodeError, match=reason):
        read(content)


def test_a_zip_of_pictures_is_no_picture() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.jpeg", FILES["jpeg"])
    with pytest.raises(DecodeError, match="ZIP"):
        read(buffer.getvalue())


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG"])
def test_animations_are_refused(form: str) -> None:
    frames = [Image.fromarray(noise(3, seed)) for seed in range(3)]
    with pytest.raises(DecodeError, match="animation|a GIF"):
        read(encoded(frames[0], form, save_all=True, append_images=frames[1:], duration=50))


@pytest.mark.parametrize(
    "form", ["GIF", "PPM", "ICO", "TGA", "PCX", "EPS", "PDF", "JPEG2000", "AVIF", "ICNS", "DDS", "SGI"]
)
def test_formats_that_are_not_asked_for_are_not_opened(form: str) -> None:
    try:
        content = encoded(noise(3), form)
    except (KeyError, OSError, ImportError) as error:
        pytest.skip(f"Pillow cannot write {form} here ({error})")
    with pytest.raises(DecodeError, match="expected"):
        read(content)


@pytest.mark.parametrize("profile", [b"", b"broken", b"\0" * 3000, bytes(range(256)) * 200])
@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_colour_profiles_change_nothing(form: str, profile: bytes) -> None:
    options: dict[str, Any] = {"lossless": True} if form == "WEBP" else {}
    plain = read(encoded(noise(3), form, **options))
    profiled = read(encoded(noise(3), form, icc_profile=profile, **options))
    np.testing.assert_array_equal(np.asarray(profiled.image), np.asarray(plain.image))


def test_a_valid_colour_profile_changes_nothing_either() -> None:
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes()
    for form in ("JPEG", "PNG", "TIFF"):
        np.testing.assert_array_equal(
            np.asarray(read(encoded(noise(3), form, icc_profile=profile)).image),
            np.asarray(read(encoded(noise(3), form)).image),
        )


def test_the_wrong_ending_is_no_harm(tmp_path: Path) -> None:
    for name in ("png", "tiff", "webp", "bmp", "dicom"):
        path = tmp_path / f"{name}.jpeg"
        path.write_bytes(FILES[name])
        assert decode(str(path)).facts.format == name.upper()
    (tmp_path / "none").write_bytes(FILES["jpeg"])
    assert decode(str(tmp_path / "none")).facts.format == "JPEG"


@pytest.mark.parametrize(
    "name", ["肺炎 1.jpeg", "zwei\nZeilen.jpeg", " .jpeg", "a::b.jpeg", "%s{0}\\x00.jpeg", "..jpeg"]
)
def test_strange_names_are_read_and_named_in_errors(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(FILES["jpeg"])
    assert read_pixels(str(path), CONTRACT)[0].shape == CONTRACT.shape
    path.write_bytes(b"nonsense")
    with pytest.raises(DecodeError) as caught:
        read_pixels(str(path), CONTRACT)
    assert str(caught.value).startswith(f"{path}: no image")


def test_pipes_folders_and_devices_given_as_files_do_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpeg")
    (tmp_path / "folder.jpeg").mkdir()
    (tmp_path / "link.jpeg").symlink_to("/dev/zero")
    for name in ("pipe.jpeg", "folder.jpeg", "link.jpeg"):
        with pytest.raises(DecodeError, match=f"{name}: the path is a"):
            read_pixels(str(tmp_path / name), CONTRACT)


def checked(content: bytes, options: dict[str, Any]) -> None:
    """Nothing but a DecodeError escapes, and what comes out is in order."""
    result = attempted(content, options)
    if isinstance(result, str):
        assert result.startswith("x: ")
        return
    assert result.image.mode in ("L", "RGB")
    assert 0 <= result.facts.mean <= 255
    assert 0 <= result.facts.std <= 127.5
    left, upper, right, lower = result.box
    assert 0 <= left < right <= result.image.width
    assert 0 <= upper < lower <= result.image.height


OPTIONS = st.fixed_dictionaries(
    {
        "target": st.sampled_from([None, (8, 8), (1, 40)]),
        "grey": st.booleans(),
        "depth": st.sampled_from(["significant", "full", "range"]),
    }
)


@given(st.binary(min_size=1, max_size=400), st.sampled_from(list(FILES)), st.integers(0, 60), OPTIONS)
def test_of_any_bytes_after_any_beginning_nothing_but_a_decode_error_escapes(
    content: bytes, name: str, kept: int, options: dict[str, Any]
) -> None:
    checked(FILES[name][:kept] + content, options)
    checked(content, options)


@settings(max_examples=400)
@given(
    st.sampled_from(list(FILES)),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=6),
    st.floats(0.02, 1),
    st.booleans(),
    OPTIONS,
)
def test_of_a_damaged_picture_nothing_but_a_decode_error_escapes(
    name: str, changes: list[tuple[float, int]], kept: float, in_header: bool, options: dict[str, Any]
) -> None:
    content = FILES[name]
    damaged = bytearray(content[: max(1, int(len(content) * kept))])
    # Most of a file is pixel data; half of the time the damage is done where decisions are made.
    reach = min(len(damaged), 400) if in_header else len(damaged)
    for place, value in changes:
        damaged[int(place * reach)] = value
    checked(bytes(damaged), options)


@settings(max_examples=60)
@given(
    st.sampled_from(["PNG", "TIFF", "BMP", "WEBP"]),
    st.integers(1, 40),
    st.integers(1, 40),
    st.sampled_from([1, 3]),
    st.integers(0, 2**32 - 1),
)
def test_what_a_lossless_format_keeps_comes_back(form: str, height: int, width: int, channels: int, seed: int) -> None:
    shape = (height, width) if channels == 1 else (height, width, 3)
    pixels = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    options = {"lossless": True} if form == "WEBP" else {}
    found = np.asarray(read(encoded(pixels, form, **options)).image)
    np.testing.assert_array_equal(found, pixels if found.ndim == pixels.ndim else np.dstack([pixels] * 3))


@settings(max_examples=40)
@given(st.sampled_from(["PNG", "TIFF"]), st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_sixteen_bits_come_back_scaled(form: str, height: int, width: int, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 65536, (height, width), dtype=np.uint16)
    found = np.asarray(decode("x", encoded(pixels, form), depth="full").image)
    np.testing.assert_array_equal(found, (pixels / 257 + 0.5).astype(np.uint8))
