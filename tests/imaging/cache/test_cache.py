"""What a build holds: each image's pixels, facts and digest, copies but once, and no name of a file."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from radlens.base.files import cache_root
from radlens.imaging.cache.pixel_cache import PixelCache
from radlens.imaging.pixels import read_pixels
from radlens.imaging.preprocess import Preprocessing

CONTRACT = Preprocessing(height=16, width=20)
Check = Callable[..., None]


def test_each_row_holds_the_preprocessed_image_and_its_facts(images: list[str], check: Check) -> None:
    cache = PixelCache.build(images, CONTRACT)
    assert cache.pixels.shape == (12, 1, 16, 20)
    assert cache.pixels.dtype == np.uint8
    # In the order asked for, which is how they will be read.
    assert list(cache.rows) == list(range(12))
    check(cache, images)
    assert cache.rejected == ()
    assert list(cache.facts) == [read_pixels(location, CONTRACT)[1] for location in images]
    assert list(cache.digests) == [hashlib.sha256(Path(location).read_bytes()).hexdigest() for location in images]
    assert isinstance(cache.pixels, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        cache.pixels[0] = 0


def test_names_with_accents_spaces_and_capitals_are_told_apart(images: list[str], tmp_path: Path, check: Check) -> None:
    names = ["same.png", "SAME.png", "ü.png", "u\u0308.png", " a b .png", "肺炎\n.png", os.fsdecode(b"caf\xe9.png")]
    folder = tmp_path / "names"
    folder.mkdir()
    for image, name in zip(images, names, strict=False):
        try:
            shutil.copy(image, folder / name)
        except OSError:
            pytest.skip("this file system refuses such names")
    if len(list(folder.iterdir())) < len(names):
        pytest.skip("this file system does not tell such names apart")
    asked = [str(folder / name) for name in names]
    for _ in range(2):
        cache = PixelCache.build(asked, CONTRACT)
        assert len(set(cache.digests)) == len(names)
        check(cache, asked)


def test_copies_share_a_row_and_are_decoded_once(
    images: list[str], decoded: list[str], tmp_path: Path, check: Check
) -> None:
    copy = tmp_path / "copy.dat"
    shutil.copy(images[4], copy)
    asked = [*images, str(copy), images[4]]
    cache = PixelCache.build(asked, CONTRACT)
    assert len(decoded) == len(images)
    assert cache.pixels.shape[0] == len(images)
    assert cache.rows[12] == cache.rows[13] == cache.rows[4]
    assert cache.facts[12] == cache.facts[4]
    check(cache, asked)


@pytest.mark.parametrize("workers", [1, 2, 7])
def test_the_number_of_workers_does_not_matter(images: list[str], workers: int, tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"no image")
    asked = [*images, str(tmp_path / "bad.png")]
    one = PixelCache.build(asked, CONTRACT, workers=1)
    shutil.rmtree(cache_root())
    several = PixelCache.build(asked, CONTRACT, workers=workers)
    np.testing.assert_array_equal(one.pixels, several.pixels)
    np.testing.assert_array_equal(one.rows, several.rows)
    assert one.facts == several.facts
    assert one.rejected == several.rejected


def test_images_within_an_array_are_cached_alike(
    tmp_path: Path, decoded: list[str], opened: list[str], check: Check
) -> None:
    rng = np.random.default_rng(0)
    stack = rng.integers(0, 256, (40, 28, 28), dtype=np.uint8)
    stack[7] = stack[3]
    np.savez_compressed(tmp_path / "set.npz", train_images=stack)
    locations = [f"{tmp_path / 'set.npz'}::train_images/{number}" for number in range(40)]
    asked = [*locations, f"{tmp_path / 'set.npz'}::train_images/40"]
    cache = PixelCache.build(asked, CONTRACT)
    assert cache.pixels.shape[0] == 39
    assert cache.rows[7] == cache.rows[3]
    check(cache, asked)
    assert [location for location, _ in cache.rejected] == asked[-1:]
    decoded.clear()
    opened.clear()
    PixelCache.build(asked, CONTRACT)
    assert decoded == []
    assert opened == asked[-1:]
    stack[11] = 255 - stack[11]
    np.savez_compressed(tmp_path / "set.npz", train_images=stack)
    check(PixelCache.build(asked, CONTRACT), asked)
    assert decoded == asked[11:12]


def test_no_name_of_a_file_gets_into_the_cache(images: list[str], tmp_path: Path) -> None:
    folder = tmp_path / "DOE^JANE"
    folder.mkdir()
    shutil.copy(images[0], folder / "DOE^JANE 19640229.png")
    (folder / "DOE^JANE.png").write_bytes(b"no image")
    PixelCache.build([str(path) for path in folder.iterdir()] + [str(folder / "DOE^JANE gone.png")], CONTRACT)
    files = [path for path in cache_root().rglob("*") if path.is_file()]
    assert len(files) == 3
    for path in files:
        assert b"JANE" not in path.read_bytes()
        assert "JANE" not in str(path.relative_to(cache_root()))


def test_only_some_of_the_images(images: list[str], tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"no image")
    asked = [*images, str(tmp_path / "bad.png")]
    cache = PixelCache.build(asked, CONTRACT)
    mask = np.isin(np.arange(13), [3, 9, 12])
    part = cache.only(mask)
    assert part.rows.tolist() == [cache.rows[3], cache.rows[9], -1]
    assert part.facts == (cache.facts[3], cache.facts[9], None)
    assert part.digests == (cache.digests[3], cache.digests[9], cache.digests[12])
    assert cache.only(cache.rows >= 0).rejected == cache.rejected, "it is still to be told of"
