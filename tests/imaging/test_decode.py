"""The one decoder of all formats: facts, reduced decoding, limits; what each format does is tested beside it."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from made_pictures import encoded
from radlens.base.errors import DataError
from radlens.imaging.decode import Decoded, DecodeError, decode, read_bytes
from radlens.imaging.limits import DecodeLimits

HEIGHT, WIDTH = 24, 32


def grey() -> npt.NDArray[np.uint8]:
    """No two rows, columns or mirror images are alike."""
    rows, columns = np.indices((HEIGHT, WIDTH))
    return (rows * 5 + columns * 3 + (rows * columns) % 7).astype(np.uint8)


def colour() -> npt.NDArray[np.uint8]:
    return np.stack([grey(), 255 - grey(), np.flipud(grey())], axis=2)


def decoded(content: bytes, **options: Any) -> Decoded:
    return decode("x.png", content, **options)


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF", "WEBP"])
def test_lossless_formats_come_through_unchanged(form: str) -> None:
    options = {"lossless": True} if form == "WEBP" else {}
    result = decoded(encoded(colour(), form, **options))
    assert result.image.mode == "RGB"
    assert result.box == (0, 0, WIDTH, HEIGHT)
    np.testing.assert_array_equal(np.asarray(result.image), colour())
    facts = result.facts
    assert (facts.width, facts.height, facts.format) == (WIDTH, HEIGHT, form)
    assert facts.compression == {"PNG": "deflate", "BMP": "none", "TIFF": "none", "WEBP": "lossless"}[form]


def test_facts_are_those_of_the_file_and_the_grey_picture() -> None:
    content = encoded(grey(), "PNG")
    facts = decoded(content).facts
    assert (facts.width, facts.height, facts.mode, facts.format) == (WIDTH, HEIGHT, "L", "PNG")
    assert facts.bytes == len(content)
    assert (facts.mean, facts.std) == pytest.approx((grey().mean(), grey().std()))
    luma = np.asarray(Image.fromarray(colour()).convert("L"), dtype=float)
    facts = decoded(encoded(colour(), "PNG")).facts
    assert (facts.mean, facts.std) == pytest.approx((luma.mean(), luma.std()))


def test_a_location_is_read_from_disk_whatever_its_ending(tmp_path: Path) -> None:
    path = tmp_path / "scan.jpeg"
    path.write_bytes(encoded(grey(), "PNG"))
    assert decode(str(path)).facts.format == "PNG"
    assert read_bytes(str(path)) == path.read_bytes()


@pytest.mark.parametrize("form", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_a_path_and_its_content_give_the_same(tmp_path: Path, form: str) -> None:
    path = tmp_path / "x"
    path.write_bytes(encoded(colour(), form))
    for options in ({}, {"target": (8, 8)}, {"grey": True}):
        from_path, from_content = decode(str(path), **options), decode(str(path), path.read_bytes(), **options)
        assert from_path.facts == from_content.facts
        assert from_path.box == from_content.box
        np.testing.assert_array_equal(np.asarray(from_path.image), np.asarray(from_content.image))


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
@pytest.mark.parametrize("form", ["PNG", "TIFF", "WEBP", "JPEG"])
def test_the_cameras_orientation_is_undone_in_every_format_that_has_one(
    form: str, orientation: int, upright: Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.uint8]]
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    options: dict[str, Any] = {"exif": exif} | ({"lossless": True} if form == "WEBP" else {})
    plain = decoded(encoded(colour(), form, **{name: value for name, value in options.items() if name != "exif"}))
    result = decoded(encoded(colour(), form, **options))
    stored = np.asarray(plain.image)
    wanted = np.stack([upright(stored[..., channel]) for channel in range(3)], axis=2)
    np.testing.assert_array_equal(np.asarray(result.image), wanted)
    assert (result.facts.width, result.facts.height) == (WIDTH, HEIGHT), "the facts are of the stored image"
    assert result.box == (0, 0, *result.image.size)


def waves(height: int, width: int) -> npt.NDArray[np.uint8]:
    rows, columns = np.indices((height, width))
    return (120 + 60 * np.sin(rows / height * 9) * np.cos(columns / width * 7) + 40 * columns / width).astype(np.uint8)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_jpeg_is_reduced_by_its_upright_size_and_its_box_turns_with_it(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    # 8 does not divide either side, so that half a pixel is left over.
    content = encoded(waves(301, 1203), "JPEG", quality=95, exif=exif)
    target = (60, 20) if orientation < 5 else (20, 60)
    result = decoded(content, target=target)
    whole = decoded(content)
    left, upper, right, lower = result.box
    assert (right - left, lower - upper) == ((1203 / 8, 301 / 8) if orientation < 5 else (301 / 8, 1203 / 8)), (
        "the part that the picture covers"
    )
    assert result.image.size == ((151, 38) if orientation < 5 else (38, 151))
    small = result.image.resize(target, Image.Resampling.BILINEAR, box=result.box)
    wanted = whole.image.resize(target, Image.Resampling.BILINEAR)
    assert np.abs(np.asarray(small, dtype=float) - np.asarray(wanted)).mean() < 0.6


def test_a_target_makes_only_a_jpeg_smaller() -> None:
    image = Image.fromarray(waves(768, 1024))
    result = decoded(encoded(image, "JPEG"), target=(100, 60))
    assert result.image.size == (128, 96)
    assert (result.facts.width, result.facts.height) == (1024, 768)
    assert decoded(encoded(image, "JPEG"), target=(600, 600)).image.size == (1024, 768)
    assert decoded(encoded(image, "PNG"), target=(100, 60)).image.size == (1024, 768)


def test_brightness_alone_comes_of_jpeg_as_grey() -> None:
    content = encoded(colour(), "JPEG", quality=95)
    assert decoded(content, grey=True).image.mode == "L"
    assert decoded(content).image.mode == "RGB"
    assert decoded(encoded(colour(), "PNG"), grey=True).image.mode == "RGB", "which costs a PNG nothing less"


def test_depth_is_handed_on() -> None:
    content = encoded(grey().astype(np.uint16) * 4, "PNG")
    assert decoded(content).facts.mean == pytest.approx((grey() / 1023 * 4 * 255).mean(), abs=0.5)
    assert decoded(content, depth="full").facts.mean == pytest.approx((grey() / 65535 * 4 * 255).mean(), abs=0.5)


def test_the_limits_are_handed_on(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    content = encoded(grey(), "PNG")
    path.write_bytes(content)
    limits = DecodeLimits(max_bytes=len(content), max_pixels=WIDTH * HEIGHT, max_inflated=WIDTH * HEIGHT)
    decode(str(path), limits=limits)
    for name, value in (("max_bytes", len(content) - 1), ("max_pixels", 767), ("max_inflated", 767)):
        strict = limits.model_copy(update={name: value})
        for given in (None, content):
            with pytest.raises(DecodeError, match=rf"x\.png: .*data\.limits\.{name}"):
                decode(str(path), given, limits=strict)
    with pytest.raises(DecodeError, match=r"the file is PNG; only JPEG, DICOM are opened"):
        decode(str(path), limits=DecodeLimits(formats=("JPEG", "DICOM")))


@pytest.mark.parametrize("given", [b"", b"\xff\xd8\xff", b"nonsense", b"GIF89a", b"BM", b"II*\0"])
def test_errors_begin_with_the_location(given: bytes) -> None:
    with pytest.raises(DecodeError, match=r"^a folder/x\.png: \S") as caught:
        decode("a folder/x.png", given)
    assert isinstance(caught.value, DataError)


def test_images_of_an_array_come_through_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "set.npz"
    np.savez_compressed(path, grey=np.stack([grey(), grey()[::-1]]), colour=colour()[None])
    result = decode(f"{path}::grey/1")
    assert result.image.mode == "L"
    np.testing.assert_array_equal(np.asarray(result.image), grey()[::-1])
    facts = result.facts
    assert (facts.width, facts.height, facts.format, facts.compression) == (WIDTH, HEIGHT, "ARRAY", "")
    assert facts.bytes == WIDTH * HEIGHT
    result = decode(f"{path}::colour/0", target=(8, 8))
    assert result.image.mode == "RGB"
    np.testing.assert_array_equal(np.asarray(result.image), colour())


def test_array_images_of_the_same_bytes_and_another_shape_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "set.npz"
    np.savez(path, wide=np.zeros((1, 4, 16), dtype=np.uint8), tall=np.zeros((1, 16, 4), dtype=np.uint8))
    assert read_bytes(f"{path}::wide/0") != read_bytes(f"{path}::tall/0")


def test_nothing_global_is_changed_so_that_threads_do_not_disturb_each_other(tmp_path: Path) -> None:
    import warnings

    before = (Image.MAX_IMAGE_PIXELS, list(warnings.filters), warnings.showwarning)
    files = {form: encoded(colour(), form) for form in ("PNG", "JPEG", "TIFF", "WEBP", "BMP")}
    wanted = {form: np.asarray(decoded(content).image) for form, content in files.items()}
    with ThreadPoolExecutor(8) as pool:
        jobs = [(form, pool.submit(decoded, content)) for _ in range(40) for form, content in files.items()]
        for form, job in jobs:
            np.testing.assert_array_equal(np.asarray(job.result().image), wanted[form])
    assert (Image.MAX_IMAGE_PIXELS, list(warnings.filters), warnings.showwarning) == before


def test_more_pixels_than_pillows_own_warning_allows_are_opened_without_it(
    monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", WIDTH * HEIGHT - 1)
    for form in ("PNG", "JPEG", "BMP", "WEBP"):
        assert decoded(encoded(colour(), form)).image.size == (WIDTH, HEIGHT)
    assert not recwarn.list


def test_a_file_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(encoded(grey(), "PNG"))
    opened = []
    original = os.open

    def noted(path: str, *arguments: int) -> int:
        opened.append(path)
        return original(path, *arguments)

    monkeypatch.setattr("radlens.imaging.content.os.open", noted)
    decode(str(path))
    assert opened == [str(path)]
    decode(str(path), path.read_bytes())
    assert len(opened) == 1
