"""The size limit: what is evicted, in which order, and that nothing is taken from under a reader."""

from __future__ import annotations

import errno
import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from radlens.base.errors import RadlensError, UsageError
from radlens.base.files import cache_root
from radlens.imaging.cache import eviction, pixel_map
from radlens.imaging.cache import store as pixel_store
from radlens.imaging.cache.index import pixel_folder, writing
from radlens.imaging.cache.pixel_cache import PixelCache
from radlens.imaging.preprocess import Preprocessing

CONTRACT = Preprocessing(height=16, width=20)
ROW = 16 * 20
Check = Callable[..., None]
Names = Callable[[], list[str]]
Folders = Callable[[], list[Path]]


@pytest.mark.parametrize(
    ("text", "size"),
    [("20 GB", 20 * 10**9), ("20", 20 * 10**9), ("1.5g", 15 * 10**8), ("500 MB", 5 * 10**8), (" 2TB ", 2 * 10**12)],
)
def test_a_limit_is_a_size(monkeypatch: pytest.MonkeyPatch, text: str, size: int) -> None:
    assert eviction.cache_limit(text) == size
    monkeypatch.setenv("RADLENS_CACHE_LIMIT", text)
    assert eviction.cache_limit() == size
    monkeypatch.setenv("RADLENS_CACHE_LIMIT", "")
    assert eviction.cache_limit() == 20 * 10**9


@pytest.mark.parametrize("text", ["much", "-1 GB", "20 GiB x", "nan", "1e3"])
def test_a_limit_that_is_not_a_size_is_refused(images: list[str], monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("RADLENS_CACHE_LIMIT", text)
    with pytest.raises(UsageError, match=f"limit of the pixel cache is '{text}'.*20 GB"):
        PixelCache.build(images, CONTRACT)


def used(path: Path, minutes_ago: float) -> None:
    os.utime(path, (0, time.time() - 60 * minutes_ago))


def contract(number: int) -> Preprocessing:
    return Preprocessing(height=16 + number, width=20)


def three_maps(images: list[str], finished: Folders) -> list[Path]:
    """Of three contracts, used 30, 20 and 10 minutes ago."""
    maps: list[Path] = []
    for number in range(3):
        PixelCache.build(images, contract(number))
        maps += [path for path in finished() if path not in maps]
    for path, minutes in zip(maps, (30, 20, 10), strict=True):
        used(path, minutes)
    return maps


def limit_to(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(eviction, "DEFAULT_LIMIT", f"{size / 1000:.3f} KB")
    assert eviction.cache_limit() == size


def test_what_was_not_used_for_longest_is_evicted_when_room_is_needed(
    images: list[str], decoded: list[str], monkeypatch: pytest.MonkeyPatch, check: Check, finished: Folders
) -> None:
    maps = three_maps(images, finished)
    used(maps[1], 40)
    sizes = [path.stat().st_size for path in maps]
    limit_to(monkeypatch, sizes[0] + sizes[2] + 12 * 30 * 20)
    PixelCache.build(images, Preprocessing(height=30, width=20))
    assert [path.exists() for path in maps] == [True, False, True]
    assert set(maps) - set(finished()) == {maps[1]}
    decoded.clear()
    for number in (0, 2):
        check(PixelCache.build(images, contract(number)), images, contract(number))
    assert decoded == []
    check(PixelCache.build(images, contract(1)), images, contract(1))
    assert sorted(decoded) == sorted(images)


def test_to_be_used_is_enough_not_to_be_evicted(
    images: list[str], monkeypatch: pytest.MonkeyPatch, finished: Folders
) -> None:
    maps = three_maps(images, finished)
    PixelCache.build(images, contract(0))
    limit_to(monkeypatch, 10)
    PixelCache.build(images[:1], Preprocessing(height=30, width=20))
    assert [path.exists() for path in maps] == [True, False, True], "used just now, 20 and 10 minutes ago"


@pytest.mark.parametrize("limit", [0, 1, 2, 3])
def test_the_cache_can_be_reduced_at_any_time(images: list[str], limit: int, check: Check, finished: Folders) -> None:
    maps = three_maps(images, finished)
    eviction.reduce(pixel_folder(), sum(path.stat().st_size for path in maps[3 - limit :]))
    assert [path.exists() for path in maps] == [number >= 3 - limit for number in range(3)]
    assert set(finished()) == set(maps[3 - limit :])
    check(PixelCache.build(images, CONTRACT), images)


@pytest.mark.skipif(os.name != "posix", reason="other systems remove no file that is mapped")
@pytest.mark.parametrize("remove", [eviction.clear, lambda folder: eviction.reduce(folder, 0)])
def test_pixels_stay_readable_though_their_map_is_removed(
    images: list[str], remove: Callable[[Path], None], check: Check, entries: Names
) -> None:
    cache = PixelCache.build(images, CONTRACT)
    remove(pixel_folder())
    assert entries() == []
    check(cache, images)
    again = PixelCache.build(images[:5], CONTRACT)
    check(again, images[:5])
    check(cache, images)


def test_a_map_that_the_system_does_not_remove_is_left_for_another_time(
    images: list[str], decoded: list[str], monkeypatch: pytest.MonkeyPatch, check: Check, finished: Folders
) -> None:
    """As on Windows while a process has it open."""
    maps = three_maps(images, finished)
    plain = Path.unlink

    def refuse(path: Path, missing_ok: bool = False) -> None:
        if path == maps[0]:
            raise PermissionError(errno.EACCES, "in use")
        plain(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", refuse)
    eviction.reduce(pixel_folder(), 0)
    assert [path.exists() for path in maps] == [True, False, False]
    decoded.clear()
    check(PixelCache.build(images, CONTRACT), images)
    assert decoded == [], "it is still used"


def test_a_map_of_mostly_other_images_is_rewritten_when_it_alone_exceeds_the_limit(
    images: list[str], decoded: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, check: Check, entries: Names
) -> None:
    (tmp_path / "bad.png").write_bytes(b"no image")
    before = PixelCache.build(images[:9], CONTRACT)
    limit_to(monkeypatch, 8 * ROW)
    asked = [*images[10:], images[4], str(tmp_path / "bad.png")]
    decoded.clear()
    cache = PixelCache.build(asked, CONTRACT)
    assert sorted(decoded) == sorted([*images[10:], asked[-1]])
    assert cache.pixels.shape[0] == 3
    check(cache, asked)
    check(before, images[:9])
    assert len(entries()) == 1
    decoded.clear()
    check(PixelCache.build(asked, CONTRACT), asked)
    assert decoded == []
    check(PixelCache.build(images, CONTRACT), images)
    assert PixelCache.build(images, CONTRACT).pixels.shape[0] == 12, "it holds no more than is asked for"


def test_a_disk_without_room_to_rewrite_a_map_is_no_error(
    images: list[str], monkeypatch: pytest.MonkeyPatch, check: Check
) -> None:
    PixelCache.build(images[:9], CONTRACT)
    limit_to(monkeypatch, 8 * ROW)

    def full(path: Path, rows: int, *rest: object) -> None:
        if not rows:
            raise OSError(errno.ENOSPC, "full")
        pixel_map.append_rows(path, rows, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(pixel_store, "append_rows", full)
    check(PixelCache.build(images[10:], CONTRACT), images[10:])


def test_what_an_earlier_version_left_is_not_misread_and_goes_first(
    images: list[str], monkeypatch: pytest.MonkeyPatch, check: Check, finished: Folders
) -> None:
    older = pixel_folder() / "0123456789abcdef" / ("0" * 32)
    older.mkdir(parents=True)
    np.save(older / "pixels.npy", np.zeros((12, 1, 16, 20), np.uint8))
    (older / "images.json").write_text("{}")
    (pixel_folder() / "thesis").mkdir()
    check(PixelCache.build(images, CONTRACT), images)
    assert older.exists(), "there is room for it"
    used(finished()[0], 30)
    eviction.reduce(pixel_folder(), finished()[0].stat().st_size)
    assert not older.parent.exists()
    assert len(finished()) == 1
    eviction.clear(pixel_folder())
    assert (pixel_folder() / "thesis").exists(), "somebody else's"


def test_to_clear_leaves_nothing_of_any_image(images: list[str], opened: list[str], check: Check) -> None:
    cache = PixelCache.build(images, CONTRACT)
    eviction.clear(pixel_folder())
    content = b"".join(path.read_bytes() for path in cache_root().rglob("*") if path.is_file())
    assert not any(digest.encode() in content for digest in cache.digests)
    with closing(sqlite3.connect(pixel_folder() / "index.sqlite")) as index:
        assert [index.execute(f"SELECT count(*) FROM {table}").fetchone() for table in ("maps", "images", "files")] == [
            (0,)
        ] * 3
    opened.clear()
    check(PixelCache.build(images, CONTRACT), images)
    assert sorted(opened) == sorted(images)


def test_a_damaged_cache_can_be_cleared(images: list[str], check: Check, entries: Names) -> None:
    PixelCache.build(images, CONTRACT)
    (pixel_folder() / "index.sqlite").write_bytes(b"garbage" * 2000)
    for older in (pixel_folder() / "0123456789abcdef", cache_root() / "digests"):
        older.mkdir()
        (older / "x.json").write_text("{}")
    eviction.clear(pixel_folder())
    assert entries() == []
    assert [path.name for path in cache_root().iterdir()] == ["pixels"]
    assert sorted(path.name for path in pixel_folder().iterdir()) == ["index.sqlite", "lock"]
    check(PixelCache.build(images, CONTRACT), images)


def forget_and_fail() -> None:
    with writing(pixel_folder()) as index:
        index.execute("DELETE FROM maps")
        raise OSError(errno.EIO, "Input/output error")


def test_a_transaction_that_fails_changes_nothing(images: list[str], finished: Folders) -> None:
    PixelCache.build(images, CONTRACT)
    with pytest.raises(RadlensError, match="Could not write.*Input/output error"):
        forget_and_fail()
    assert len(finished()) == 1


def test_to_clear_gives_back_the_room_of_the_index() -> None:
    with writing(pixel_folder()) as index:
        index.executemany("INSERT INTO files VALUES (?, '', '')", [(f"{number:032}",) for number in range(5000)])
    path = pixel_folder() / "index.sqlite"
    before = path.stat().st_size
    eviction.clear(pixel_folder())
    assert path.stat().st_size < before / 4
