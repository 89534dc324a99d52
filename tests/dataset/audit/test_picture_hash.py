"""The hash of a picture stays when it is resized or re-encoded, and tells it from all others."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageEnhance

from radlens.config import PhantomSettings
from radlens.dataset.audit.picture_hash import PICTURE_RADIUS, picture_hashes, same_pictures
from radlens.dataset.phantom.source import phantom_manifest
from radlens.imaging.cache.pixel_cache import PixelCache
from radlens.imaging.preprocess import Preprocessing

Bits = npt.NDArray[np.uint64]


def as_jpeg(image: Image.Image, quality: int) -> Image.Image:
    written = io.BytesIO()
    image.save(written, "JPEG", quality=quality)
    return Image.open(written)


# What the picture of a test below had when the hash was made.
KEPT = "d5559514c2808b025bf7658ee0c1925fc3cb9f6ebbd7b61238db904906e5bce6"

CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "smaller": lambda image: image.resize((80, 80)),
    "larger and of another aspect": lambda image: image.resize((500, 400)),
    "re-encoded": lambda image: as_jpeg(image, 50),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.1),
    "of less contrast": lambda image: ImageEnhance.Contrast(image).enhance(0.7),
}


@pytest.fixture(scope="module")
def pictures() -> list[Image.Image]:
    """One image of each of many simulated patients."""
    manifest = phantom_manifest(PhantomSettings(images=400, size=160, seed=5))
    first = ~manifest.table["patient"].duplicated()
    return [Image.open(location).convert("L") for location in manifest.only(first).locations]


def hashes_of(images: list[Image.Image], side: int = 128) -> list[str]:
    stacked = np.stack([np.asarray(image.resize((side, side), Image.Resampling.BILINEAR))[None] for image in images])
    return picture_hashes(stacked, np.arange(len(images)))


def bits_of(hashes: list[str]) -> Bits:
    return np.array([np.frombuffer(bytes.fromhex(one), np.uint64) for one in hashes])


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_copy_is_the_same_picture(change: str, pictures: list[Image.Image]) -> None:
    known = hashes_of(pictures[:100])
    assert same_pictures(hashes_of([CHANGES[change](image) for image in pictures[:100]]), known).mean() >= 0.98


def test_pictures_of_others_are_not(pictures: list[Image.Image]) -> None:
    half = len(pictures) // 2
    assert not same_pictures(hashes_of(pictures[:half]), hashes_of(pictures[half:])).any()


def test_the_search_finds_what_comparing_all_pairs_finds() -> None:
    rng = np.random.default_rng(0)
    known = rng.integers(0, 256, (500, 32), dtype=np.uint8)
    flipped = np.unpackbits(known, axis=1)
    for number, row in enumerate(flipped):
        row[rng.choice(256, number % 48, replace=False)] ^= 1
    asked = np.packbits(flipped, axis=1)
    found = same_pictures([one.tobytes().hex() for one in asked], [one.tobytes().hex() for one in known])
    apart = np.bitwise_count(asked[:, None] ^ known[None]).sum(axis=2, dtype=np.int64).min(axis=1)
    assert not found[apart > PICTURE_RADIUS].any()
    assert found[apart <= PICTURE_RADIUS].mean() >= 0.98


def test_what_shows_nothing_or_cannot_be_read_has_no_hash() -> None:
    pixels = np.full((2, 1, 64, 64), 7, np.uint8)
    pixels[1] = np.arange(64)
    first, second, third = picture_hashes(pixels, np.array([0, -1, 1]))
    assert (first, second, len(third)) == ("", "", 64)
    assert not same_pictures(["", ""], {third}).any()
    assert not same_pictures([third], set()).any()


def test_a_hash_is_the_same_for_ever() -> None:
    """A model folder of today is compared with images of tomorrow."""
    rows, columns = np.mgrid[:64, :64]
    picture = (128 + 60 * np.sin(rows / 7) + 60 * np.cos(columns / 11 + rows / 23)).astype(np.uint8)
    (found,) = picture_hashes(picture[None, None], np.array([0]))
    assert np.bitwise_count(bits_of([found]) ^ bits_of([KEPT])).sum() <= 4


def test_resized_copies_of_real_radiographs_are_found_and_others_not(shared_data: Path) -> None:
    small = {path.stem: path for path in (shared_data / "kermany224" / "train").glob("*/*")}
    originals = sorted((shared_data / "kermany_original_sample").glob("*/*"))
    contract = Preprocessing(height=160, width=160)
    own = PixelCache.build([str(small[path.stem]) for path in originals], contract)
    known = picture_hashes(own.pixels, own.rows)
    cache = PixelCache.build([str(path) for path in originals], contract)
    assert same_pictures(picture_hashes(cache.pixels, cache.rows), known).all()
    others = sorted(path for stem, path in small.items() if stem not in {one.stem for one in originals})[::10]
    cache = PixelCache.build([str(path) for path in others], contract)
    assert not same_pictures(picture_hashes(cache.pixels, cache.rows), known).any()
