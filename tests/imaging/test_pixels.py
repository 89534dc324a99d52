"""One contract: the same record gives the same bytes from every entry point, and its polarity, range and size hold."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from made_pictures import encoded
from radlens.imaging.cache.pixel_cache import PixelCache
from radlens.imaging.decode import decode
from radlens.imaging.limits import DecodeError, DecodeLimits
from radlens.imaging.pixels import read_pixels
from radlens.imaging.preprocess import Preprocessing, preprocess

CONTRACTS = [
    Preprocessing(height=20, width=30),
    Preprocessing(height=20, width=20, fit="pad"),
    Preprocessing(height=20, width=20, fit="crop", channels=3),
    Preprocessing(height=40, width=24, resample="lanczos", depth="full"),
]


def waves(height: int = 300, width: int = 410) -> npt.NDArray[np.uint8]:
    """A picture whose left is dark and whose right is bright."""
    rows, columns = np.indices((height, width))
    return (110 + 40 * np.sin(rows / 11) * np.cos(columns / 17) + 90 * columns / width).astype(np.uint8)


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    exif = Image.Exif()
    exif[0x0112] = 6
    colour = np.dstack([waves(), 255 - waves(), np.flipud(waves())])
    contents = {
        "grey.jpeg": encoded(waves(), "JPEG"),
        "colour.jpeg": encoded(colour, "JPEG", progressive=True),
        "turned.jpeg": encoded(waves(), "JPEG", exif=exif),
        "deep.png": encoded(waves().astype(np.uint16) * 16, "PNG"),
        "alpha.png": encoded(np.dstack([colour, waves()]), "PNG"),
        "scan.tiff": encoded(waves(), "TIFF", compression="tiff_lzw"),
        "photo.webp": encoded(colour, "WEBP"),
        "old.bmp": encoded(waves(), "BMP"),
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    np.savez_compressed(tmp_path / "set.npz", images=waves()[None])
    return [*(str(tmp_path / name) for name in contents), f"{tmp_path / 'set.npz'}::images/0"]


@pytest.mark.parametrize("contract", CONTRACTS)
def test_every_entry_point_gives_the_same_bytes(files: list[str], contract: Preprocessing) -> None:
    first = [read_pixels(location, contract) for location in files]
    again = [read_pixels(location, contract) for location in files]
    given = [
        read_pixels(location, contract, content=None if "::" in location else Path(location).read_bytes())
        for location in files
    ]
    cache = PixelCache.build(files, contract, workers=2)
    opened = PixelCache.build(files, contract, workers=1)
    for number, (pixels, facts) in enumerate(first):
        for other, other_facts in (again[number], given[number]):
            np.testing.assert_array_equal(pixels, other)
            assert facts == other_facts
        for stored in (cache, opened):
            np.testing.assert_array_equal(pixels, stored.pixels[stored.rows[number]])
            assert facts == stored.facts[number]


@pytest.mark.parametrize("contract", CONTRACTS)
def test_pixels_have_the_contracts_form(files: list[str], contract: Preprocessing) -> None:
    for location in files:
        pixels, _ = read_pixels(location, contract)
        assert pixels.dtype == np.uint8
        assert pixels.shape == contract.shape
        assert pixels.flags.c_contiguous


def test_a_picture_without_reduction_is_what_decode_and_preprocess_give() -> None:
    contract = Preprocessing(height=32, width=40, channels=3)
    content = encoded(waves(32, 40), "PNG")
    pixels, facts = read_pixels("x.png", contract, content=content)
    decoded = decode("x.png", content)
    np.testing.assert_array_equal(pixels, preprocess(decoded.image, contract, decoded.box))
    assert facts == decoded.facts


def bright_right(pixels: npt.NDArray[np.uint8]) -> bool:
    return float(pixels[..., -4:].mean()) > float(pixels[..., :4].mean()) + 30


def test_bone_is_bright_whatever_polarity_the_file_has() -> None:
    contract = Preprocessing(height=16, width=24)
    ramp = np.tile(np.arange(0, 240, 10, dtype=np.uint8), (16, 1))
    for form in ("PNG", "BMP", "JPEG", "WEBP", "TIFF"):
        assert bright_right(read_pixels("x", contract, content=encoded(ramp, form))[0]), form
    black_is_zero = encoded(ramp, "TIFF")
    place = black_is_zero.index(struct.pack("<HHIH", 262, 3, 1, 1)) + 8
    white_is_zero = black_is_zero[:place] + b"\0" + black_is_zero[place + 1 :]
    found = read_pixels("x", contract, content=white_is_zero)[0]
    np.testing.assert_array_equal(found[0], 255 - ramp)


def test_the_whole_range_is_used_from_black_to_white() -> None:
    contract = Preprocessing(height=8, width=256)
    for values in (np.arange(256, dtype=np.uint8), (np.arange(256) * 257).astype(np.uint16)):
        pixels, _ = read_pixels("x", contract, content=encoded(np.tile(values, (8, 1)), "PNG"))
        np.testing.assert_array_equal(pixels[0, 0], np.arange(256))


def test_twelve_bits_in_sixteen_do_not_come_out_dark() -> None:
    ramp = np.tile(np.linspace(0, 4095, 64).astype(np.uint16), (64, 1))
    contract = Preprocessing(height=64, width=64)
    assert read_pixels("x", contract, content=encoded(ramp, "PNG"))[0].max() == 255
    assert read_pixels("x", contract.model_copy(update={"depth": "full"}), content=encoded(ramp, "PNG"))[0].max() == 16


@pytest.mark.parametrize("fit", ["squash", "pad", "crop"])
@pytest.mark.parametrize("size", [(641, 463), (463, 641)])
def test_a_jpeg_decoded_smaller_is_the_picture_decoded_whole(fit: str, size: tuple[int, int]) -> None:
    content = encoded(waves(*size), "JPEG", quality=95)
    contract = Preprocessing.model_validate({"height": 30, "width": 40, "fit": fit})
    whole = preprocess(decode("x", content).image, contract)
    assert decode("x", content, (40, 30)).image.size != (size[1], size[0])
    quick, _ = read_pixels("x", contract, content=content)
    # The padding, too, is where it was.
    np.testing.assert_array_equal(quick == 0, whole == 0)
    assert np.abs(quick.astype(float) - whole).mean() < 1.0


@pytest.mark.parametrize("fit", ["squash", "pad", "crop"])
@pytest.mark.parametrize("side", [150, 224])
def test_real_x_rays_decoded_smaller_differ_by_less_than_a_grey_level(shared_data: Path, fit: str, side: int) -> None:
    contract = Preprocessing.model_validate({"height": side, "width": side, "fit": fit})
    reduced = 0
    for path in sorted((shared_data / "kermany_original_sample").rglob("*.jp*g"))[::8]:
        whole = decode(str(path)).image
        quick, _ = read_pixels(str(path), contract)
        reduced += decode(str(path), target=(side, side)).image.size != whole.size
        change = quick.astype(float) - preprocess(whole, contract)
        assert np.abs(change).mean() <= 1.0, path.name
    assert reduced >= 10, "too few of the files were decoded smaller to say anything"


FIRST_VERSION = {
    "squash": [
        [115, 124, 140, 145, 165, 166, 189, 186],
        [116, 126, 139, 147, 163, 168, 186, 189],
        [116, 126, 138, 148, 161, 170, 184, 191],
        [116, 127, 137, 149, 159, 172, 182, 194],
    ],
    "pad": [
        [0, 0, 0, 0, 0, 0, 0, 0],
        [116, 126, 138, 148, 160, 171, 183, 193],
        [116, 126, 137, 149, 160, 171, 182, 194],
        [116, 126, 137, 149, 160, 171, 183, 193],
    ],
    "crop": [
        [121, 145, 133, 150, 168, 156, 178, 190],
        [123, 140, 137, 150, 164, 160, 177, 187],
        [124, 137, 140, 150, 161, 164, 176, 185],
        [126, 132, 143, 150, 158, 168, 175, 182],
    ],
}


@pytest.mark.parametrize("fit", FIRST_VERSION)
def test_the_bytes_are_those_of_the_first_version(fit: str) -> None:
    """If this fails, models trained before would see other pixels: raise the contract's version, or undo the change."""
    contract = Preprocessing.model_validate({"height": 8, "width": 8, "fit": fit})
    assert contract.version == 1
    found = read_pixels("x", contract, content=encoded(waves(), "PNG"))[0][0]
    assert found[::2].tolist() == FIRST_VERSION[fit]
    # Decoders of JPEG may differ in the last bit.
    of_jpeg = read_pixels("x", contract, content=encoded(waves(), "JPEG", quality=95))[0][0]
    np.testing.assert_allclose(of_jpeg.astype(int), found, atol=2)


def test_limits_decide_whether_and_never_what(files: list[str]) -> None:
    contract = CONTRACTS[0]
    with pytest.raises(DecodeError, match="max_pixels"):
        read_pixels(files[0], contract, DecodeLimits(max_pixels=100))
    loose = DecodeLimits(max_pixels=10**9, max_bytes=10**9, max_inflated=10**10)
    np.testing.assert_array_equal(read_pixels(files[0], contract, loose)[0], read_pixels(files[0], contract)[0])
