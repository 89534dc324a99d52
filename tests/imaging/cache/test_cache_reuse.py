"""Decoded once and never again; any change is noticed."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from radlens.imaging.cache import digests, reader
from radlens.imaging.cache import store as pixel_store
from radlens.imaging.cache.pixel_cache import PixelCache
from radlens.imaging.decode import read_bytes
from radlens.imaging.limits import DecodeLimits
from radlens.imaging.preprocess import Preprocessing

CONTRACT = Preprocessing(height=16, width=20)
Check = Callable[..., None]
Names = Callable[[], list[str]]


def test_a_second_build_decodes_nothing_and_gives_the_same(
    images: list[str], decoded: list[str], entries: Names
) -> None:
    first = PixelCache.build(images, CONTRACT)
    assert sorted(decoded) == sorted(images)
    decoded.clear()
    second = PixelCache.build(images, CONTRACT)
    assert decoded == []
    np.testing.assert_array_equal(first.pixels, second.pixels)
    np.testing.assert_array_equal(first.rows, second.rows)
    assert first.facts == second.facts
    assert first.digests == second.digests
    assert len(entries()) == 1


def test_a_second_build_opens_no_image(images: list[str], opened: list[str], check: Check) -> None:
    PixelCache.build(images, CONTRACT)
    assert sorted(opened) == sorted(images), "each file is read once, for its digest and its pixels"
    opened.clear()
    check(PixelCache.build(images, CONTRACT), images)
    assert opened == []


def test_a_new_contract_reads_each_file_once(images: list[str], opened: list[str]) -> None:
    PixelCache.build(images, CONTRACT)
    opened.clear()
    PixelCache.build(images, Preprocessing(height=8, width=8))
    assert sorted(opened) == sorted(images)


def test_the_order_asked_for_does_not_matter(images: list[str], decoded: list[str], check: Check) -> None:
    PixelCache.build(images, CONTRACT)
    decoded.clear()
    turned = images[::-1]
    cache = PixelCache.build(turned, CONTRACT)
    assert decoded == []
    check(cache, turned)
    assert [facts.bytes for facts in cache.facts if facts] == [Path(path).stat().st_size for path in turned]


def test_files_moved_elsewhere_are_not_decoded_again(
    images: list[str], decoded: list[str], tmp_path: Path, check: Check
) -> None:
    PixelCache.build(images, CONTRACT)
    decoded.clear()
    (tmp_path / "images").rename(tmp_path / "elsewhere")
    moved = [path.replace("/images/", "/elsewhere/") for path in images]
    cache = PixelCache.build(moved, CONTRACT)
    assert decoded == []
    check(cache, moved)


def test_files_moved_elsewhere_are_not_decoded_again_though_nothing_could_be_read_before(
    images: list[str], decoded: list[str], tmp_path: Path, check: Check
) -> None:
    PixelCache.build([str(tmp_path / "gone.png")], CONTRACT)
    PixelCache.build(images, CONTRACT)
    decoded.clear()
    (tmp_path / "images").rename(tmp_path / "elsewhere")
    moved = [path.replace("/images/", "/elsewhere/") for path in images]
    check(PixelCache.build(moved, CONTRACT), moved)
    assert decoded == []


def paint(path: Path, grey: int) -> None:
    Image.new("L", (30, 30), grey).save(path, "BMP")


def change_content(path: Path) -> None:
    Image.new("L", (31, 30), 200).save(path, "BMP")


def change_content_but_not_size_and_date(path: Path) -> None:
    before = path.stat()
    paint(path, 200)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)


def put_another_in_its_place(path: Path) -> None:
    before = path.stat()
    paint(path.with_name("new"), 200)
    os.utime(path.with_name("new"), ns=(before.st_atime_ns, before.st_mtime_ns))
    path.with_name("new").replace(path)


@pytest.mark.parametrize("change", [change_content, change_content_but_not_size_and_date, put_another_in_its_place])
def test_a_changed_file_is_noticed(
    images: list[str], decoded: list[str], change: Callable[[Path], None], check: Check
) -> None:
    path = Path(images[0])
    paint(path, 10)
    PixelCache.build(images, CONTRACT)
    change(path)
    decoded.clear()
    cache = PixelCache.build(images, CONTRACT)
    assert decoded == images[:1], "the others are taken from the earlier cache"
    assert (cache.pixels[cache.rows[0]] == 200).all()
    check(cache, images)


def test_a_file_that_is_only_touched_is_read_and_not_decoded(
    images: list[str], decoded: list[str], opened: list[str], check: Check
) -> None:
    PixelCache.build(images, CONTRACT)
    decoded.clear()
    opened.clear()
    os.utime(images[3])
    check(PixelCache.build(images, CONTRACT), images)
    assert opened == [images[3]]
    assert decoded == []


def test_a_file_that_changed_just_now_is_read_again_the_next_time(
    images: list[str], opened: list[str], monkeypatch: pytest.MonkeyPatch, check: Check
) -> None:
    """It may change once more within one tick of the file system's clock, which its times would not show."""
    monkeypatch.setattr(digests, "SETTLED_NS", 3600 * 10**9)
    PixelCache.build(images, CONTRACT)
    opened.clear()
    check(PixelCache.build(images, CONTRACT), images)
    assert sorted(opened) == sorted(images)


def test_a_file_that_changes_while_it_is_read_is_not_taken_for_what_it_was(
    images: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path(images[0])
    paint(path, 10)

    def changing(location: str, limits: DecodeLimits) -> bytes:
        content = read_bytes(location, limits)
        if location == images[0]:
            paint(path, 200)
        return content

    with monkeypatch.context() as patch:
        patch.setattr(reader, "read_bytes", changing)
        cache = PixelCache.build(images, CONTRACT)
    # What was hashed is what was decoded, though the file is another by then.
    assert (cache.pixels[cache.rows[0]] == 10).all()
    assert cache.digests[0] != hashlib.sha256(path.read_bytes()).hexdigest()
    cache = PixelCache.build(images, CONTRACT)
    assert (cache.pixels[cache.rows[0]] == 200).all()


def test_images_added_later_are_the_only_ones_decoded(images: list[str], decoded: list[str], check: Check) -> None:
    PixelCache.build(images[:5], CONTRACT)
    PixelCache.build(images[4:9], CONTRACT)
    decoded.clear()
    cache = PixelCache.build(images, CONTRACT)
    assert sorted(decoded) == sorted(images[9:])
    assert list(cache.rows) == list(range(12))
    check(cache, images)


def test_a_part_of_a_cached_set_is_neither_decoded_nor_stored_again(
    images: list[str], decoded: list[str], check: Check, entries: Names
) -> None:
    PixelCache.build(images, CONTRACT)
    decoded.clear()
    part = [images[7], images[2]]
    check(PixelCache.build(part, CONTRACT), part)
    assert decoded == []
    assert len(entries()) == 1


def test_two_sets_are_joined_without_decoding(
    images: list[str], decoded: list[str], tmp_path: Path, check: Check
) -> None:
    (tmp_path / "bad.png").write_bytes(b"no image")
    images = [*images, str(tmp_path / "bad.png")]
    PixelCache.build(images[:6], CONTRACT)
    PixelCache.build(images[6:], CONTRACT)
    decoded.clear()
    cache = PixelCache.build(images, CONTRACT)
    assert decoded == []
    assert [location for location, _ in cache.rejected] == images[12:]
    check(cache, images)


@pytest.mark.parametrize(
    "change", [{"height": 17}, {"width": 24}, {"fit": "pad"}, {"fit": "crop"}, {"channels": 3}], ids=str
)
def test_a_changed_contract_is_noticed(images: list[str], change: dict[str, object], check: Check) -> None:
    PixelCache.build(images, CONTRACT)
    contract = Preprocessing.model_validate({**CONTRACT.model_dump(), **change})
    cache = PixelCache.build(images, contract)
    assert cache.pixels.shape[1:] == contract.shape
    check(cache, images, contract)
    check(PixelCache.build(images, CONTRACT), images)


def test_the_range_that_the_network_sees_is_not_stored_and_makes_no_other_cache(
    images: list[str], decoded: list[str]
) -> None:
    PixelCache.build(images, CONTRACT)
    decoded.clear()
    PixelCache.build(images, CONTRACT.model_copy(update={"low": -1.0}))
    assert decoded == []


def test_another_version_of_the_code_leaves_old_pixels_alone(
    images: list[str], decoded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    PixelCache.build(images, CONTRACT)
    decoded.clear()
    monkeypatch.setattr(pixel_store, "CACHE_VERSION", pixel_store.CACHE_VERSION + 1)
    PixelCache.build(images, CONTRACT)
    assert len(decoded) == len(images)


def decoders() -> list[str]:
    """What radlens declares that decodes images: Pillow, and all of the extra for DICOM."""
    needs = [need for need in importlib.metadata.requires("radlens") or [] if need.partition(";")[2]]
    dicom = [re.split(r"[<>=!~; ]", need)[0] for need in needs if re.search(r"extra == ['\"]dicom['\"]", need)]
    return ["pillow", *dicom]


@pytest.mark.parametrize("decoder", decoders())
def test_a_decoder_installed_later_reads_what_was_rejected_before(
    images: list[str], decoded: list[str], monkeypatch: pytest.MonkeyPatch, decoder: str
) -> None:
    version = pixel_store._version
    with monkeypatch.context() as patch:
        patch.setattr(pixel_store, "_version", lambda name: "none" if name == decoder else version(name))
        PixelCache.build(images, CONTRACT)
    decoded.clear()
    PixelCache.build(images, CONTRACT)
    assert len(decoded) == len(images)
