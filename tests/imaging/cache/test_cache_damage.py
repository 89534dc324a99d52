"""Damaged caches are built again; full disks and missing permissions are said and leave nothing behind."""

from __future__ import annotations

import errno
import io
import multiprocessing
import os
import shutil
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from radlens.base.errors import RadlensError
from radlens.base.files import cache_root
from radlens.imaging.cache import index as pixel_index
from radlens.imaging.cache import pixel_map
from radlens.imaging.cache import store as pixel_store
from radlens.imaging.cache.pixel_cache import PixelCache
from radlens.imaging.preprocess import Preprocessing

CONTRACT = Preprocessing(height=16, width=20)
Pixels = npt.NDArray[np.uint8]
Check = Callable[..., None]
Names = Callable[[], list[str]]
Folders = Callable[[], list[Path]]


def change(statement: str, *values: object) -> Callable[[Path], object]:
    """A damage to the index beside a map."""

    def run(path: Path) -> None:
        with closing(sqlite3.connect(path.with_name("index.sqlite"), isolation_level=None)) as index:
            assert index.execute(statement, values).rowcount

    return run


def remembered() -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(cache_root() / "pixels" / "index.sqlite")) as index:
        return index.execute("SELECT * FROM files").fetchall()


@pytest.mark.parametrize("garbage", ["", "{", "[]", 3, b"\xff", None, "0" * 64])
@pytest.mark.parametrize("column", ["stamp", "digest"])
def test_damaged_memory_of_digests_is_not_believed(
    images: list[str], opened: list[str], column: str, garbage: object, check: Check, finished: Folders
) -> None:
    PixelCache.build(images, CONTRACT)
    state = remembered()
    assert len(state) == len(images)
    change(f"UPDATE files SET {column} = ?", garbage)(finished()[0])
    opened.clear()
    check(PixelCache.build(images, CONTRACT), images)
    assert sorted(opened) == sorted(images)
    assert remembered() == state


def cut_pixels(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(500)


def cut_index(path: Path) -> None:
    content = path.with_name("index.sqlite").read_bytes()
    path.with_name("index.sqlite").write_bytes(content[: len(content) // 2])


def overwrite_index(path: Path) -> None:
    content = path.with_name("index.sqlite").read_bytes()
    path.with_name("index.sqlite").write_bytes(content[:4096] + bytes(len(content) - 4096))


DAMAGES: list[Callable[[Path], object]] = [
    cut_pixels,
    lambda path: path.unlink(),
    lambda path: path.write_bytes(b""),
    lambda path: path.write_bytes(b"\x80\x04]."),
    lambda path: path.write_bytes(bytes(path.stat().st_size)),
    lambda path: np.save(path.open("wb"), np.zeros((14, 1, 16, 20), np.uint8)),
    cut_index,
    overwrite_index,
    lambda path: path.with_name("index.sqlite").unlink(),
    lambda path: path.with_name("index.sqlite").write_bytes(b""),
    lambda path: path.with_name("index.sqlite").write_text('{"digests": ['),
    lambda path: path.with_name("index.sqlite").write_bytes(b"\xff\xfe" * 5000),
    lambda path: [path.write_bytes(b""), path.with_name("index.sqlite").write_bytes(b"")],
    change("UPDATE maps SET rows = 11"),
    change("UPDATE maps SET rows = 13"),
    change("UPDATE maps SET rows = NULL"),
    change("UPDATE maps SET name = 'other.pixels'"),
    change("UPDATE images SET row = row - 1"),
    change("UPDATE images SET row = 'x' WHERE row = 3"),
    change("UPDATE images SET row = NULL WHERE row = 3"),
    change("UPDATE images SET row = -1 WHERE row = 3"),
    change("UPDATE images SET entry = 'reason' WHERE row = 3"),
    change("UPDATE images SET entry = '\"reason\"' WHERE row = 3"),
    change("UPDATE images SET entry = '[1, 2]' WHERE row = 3"),
    change("UPDATE images SET entry = '3' WHERE row = 3"),
    change("UPDATE images SET entry = NULL WHERE row = 3"),
    change("UPDATE images SET entry = x'ff' WHERE row = 3"),
    change("UPDATE images SET entry = '1,2' WHERE row = 3"),
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_cache_is_said_and_built_again(
    images: list[str],
    decoded: list[str],
    caplog: pytest.LogCaptureFixture,
    damage: Callable[[Path], object],
    check: Check,
    entries: Names,
    finished: Folders,
) -> None:
    PixelCache.build(images, CONTRACT)
    (path,) = finished()
    damage(path)
    decoded.clear()
    check(PixelCache.build(images, CONTRACT), images)
    assert sorted(decoded) == sorted(images)
    assert "is damaged" in caplog.text
    assert entries() == [path.name for path in finished()]
    assert len(entries()) == 1
    decoded.clear()
    caplog.clear()
    check(PixelCache.build(images, CONTRACT), images)
    assert (decoded, caplog.text) == ([], "")


def test_a_damaged_cache_of_other_images_is_no_hindrance(
    images: list[str], decoded: list[str], caplog: pytest.LogCaptureFixture, check: Check, finished: Folders
) -> None:
    PixelCache.build(images[:4], CONTRACT)
    cut_pixels(finished()[0])
    PixelCache.build(images[4:8], CONTRACT)
    decoded.clear()
    check(PixelCache.build(images, CONTRACT), images)
    assert sorted(decoded) == sorted([*images[:4], *images[8:]])


def test_a_cache_that_others_remove_while_it_is_opened_is_made_again(
    images: list[str], monkeypatch: pytest.MonkeyPatch, check: Check
) -> None:
    plain, times = pixel_map.open_map, [0]

    def removing(path: Path, shape: tuple[int, int, int, int]) -> Pixels:
        times[0] += 1
        if times[0] == 1:
            shutil.rmtree(path.parent)
        return plain(path, shape)

    monkeypatch.setattr(pixel_store, "open_map", removing)
    check(PixelCache.build(images, CONTRACT), images)
    assert times[0] == 2, "gone after it was made, and made again"


def test_a_cache_that_others_remove_again_and_again_is_said(images: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def removing(path: Path, shape: tuple[int, int, int, int]) -> Pixels:
        path.unlink(missing_ok=True)
        return pixel_map.open_map(path, shape)

    monkeypatch.setattr(pixel_store, "open_map", removing)
    with pytest.raises(RadlensError, match="again and again"):
        PixelCache.build(images, CONTRACT)


def test_no_space_left_is_said_before_the_disk_is_full(
    images: list[str], monkeypatch: pytest.MonkeyPatch, check: Check, entries: Names
) -> None:
    usage = shutil.disk_usage(cache_root().parent)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=2**20))
    with pytest.raises(RadlensError, match=r"No space left on the device.*RADLENS_CACHE"):
        PixelCache.build(images, CONTRACT)
    assert entries() == []
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=2**20 + 12 * 16 * 20))
    check(PixelCache.build(images, CONTRACT), images)


def test_copies_do_not_count_as_space_when_all_is_known(
    images: list[str], monkeypatch: pytest.MonkeyPatch, check: Check
) -> None:
    PixelCache.build(images, CONTRACT)
    usage = shutil.disk_usage(cache_root())
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=0))
    check(PixelCache.build(images, CONTRACT), images)
    check(PixelCache.build(images[:4] * 100, CONTRACT), images[:4] * 100)


@pytest.mark.parametrize("when", [0, 1, 6, 12])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_disk_that_fills_up_in_mid_build_leaves_nothing(
    images: list[str], monkeypatch: pytest.MonkeyPatch, when: int, code: int, check: Check, entries: Names
) -> None:
    """The head is written, and then twelve images."""
    plain, times = pixel_map._write, [0]

    def filling(file: object, content: memoryview) -> None:
        if times[0] == when:
            raise OSError(code, os.strerror(code))
        times[0] += 1
        plain(file, content)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(pixel_map, "_write", filling)
        text = "Could not write" if code == errno.EIO else "No space left on the device"
        with pytest.raises(RadlensError, match=f"{text}.*RADLENS_CACHE"):
            PixelCache.build(images, CONTRACT)
    assert entries() == []
    check(PixelCache.build(images, CONTRACT), images)


def test_a_disk_that_fills_up_as_it_is_flushed_leaves_nothing(
    images: list[str], monkeypatch: pytest.MonkeyPatch, check: Check, entries: Names
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(RadlensError, match="No space left"):
            PixelCache.build(images, CONTRACT)
    assert entries() == []
    check(PixelCache.build(images, CONTRACT), images)


@pytest.mark.parametrize("before", [0, 5])
def test_a_disk_that_has_no_room_for_the_index_leaves_what_was_there(
    images: list[str], decoded: list[str], monkeypatch: pytest.MonkeyPatch, before: int, check: Check, finished: Folders
) -> None:
    PixelCache.build(images[:before], CONTRACT)
    stored = [(path, path.stat().st_size) for path in finished()]
    plain = pixel_index._connect

    def full(path: Path | None) -> sqlite3.Connection:
        index = plain(path)
        if path is not None:
            index.execute("PRAGMA max_page_count = 1")
        return index

    many = [*images, *more_images(Path(images[0]).parent, 200)]
    with monkeypatch.context() as patch:
        patch.setattr(pixel_index, "_connect", full)
        with pytest.raises(RadlensError, match="No space left on the device.*RADLENS_CACHE"):
            PixelCache.build(many, CONTRACT)
    assert [(path, path.stat().st_size) for path in finished()] == stored
    decoded.clear()
    check(PixelCache.build(images[:before], CONTRACT), images[:before])
    assert decoded == []
    check(PixelCache.build(many, CONTRACT), many)


def more_images(folder: Path, number: int) -> list[str]:
    """Small pictures of one grey each, of which two are never alike."""
    paths = [folder / f"more-{each}.png" for each in range(number)]
    for each, path in enumerate(paths):
        Image.new("L", (16 + each // 200, 20), each % 200).save(path)
    return [str(path) for path in paths]


def _build_with_little_room(locations: list[str], cache: str) -> None:
    import resource

    os.environ["RADLENS_CACHE"] = cache
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    # Enough for the index, and for nine of the twelve images.
    resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))
    try:
        PixelCache.build(locations, Preprocessing(height=64, width=64))
    except RadlensError as error:
        os._exit(42 if "Could not write" in str(error) else 43)
    os._exit(44)


@pytest.mark.skipif(os.name != "posix", reason="file size limits exist on POSIX systems only")
def test_a_write_that_the_system_cuts_short_is_an_error(images: list[str], entries: Names) -> None:
    """The tenth image fits in part, so that the system takes that part and says so."""
    process = multiprocessing.get_context("spawn").Process(
        target=_build_with_little_room, args=(images, str(cache_root()))
    )
    process.start()
    process.join()
    assert process.exitcode == 42
    assert entries() == []


def test_a_disk_that_takes_a_part_only_is_asked_to_take_the_rest(tmp_path: Path) -> None:
    class Reluctant(io.FileIO):
        def write(self, content: Any, /) -> int:
            return super().write(memoryview(content)[:7])

    with Reluctant(tmp_path / "x", "wb") as file:
        pixel_map._write(file, memoryview(bytes(range(100))))
    assert (tmp_path / "x").read_bytes() == bytes(range(100))


def test_a_cache_folder_that_cannot_be_made_is_said(
    images: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("RADLENS_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(RadlensError, match="Could not write"):
        PixelCache.build(images, CONTRACT)


def test_a_cache_that_may_only_be_read_is_used(images: list[str], no_privileges: None, check: Check) -> None:
    PixelCache.build(images, CONTRACT)
    folders = [cache_root(), *(path for path in cache_root().rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(0o500)
    try:
        os.utime(images[2])
        check(PixelCache.build(images, CONTRACT), images)
        with pytest.raises(RadlensError, match="Could not write.*Permission denied"):
            PixelCache.build(images, Preprocessing(height=8, width=8))
    finally:
        for folder in folders:
            folder.chmod(0o700)


@pytest.mark.parametrize("part", [lambda path: path, lambda path: path.with_name("index.sqlite")])
def test_a_cache_that_may_not_be_read_is_said(
    images: list[str], no_privileges: None, part: Callable[[Path], Path], entries: Names, finished: Folders
) -> None:
    PixelCache.build(images, CONTRACT)
    part(finished()[0]).chmod(0)
    with pytest.raises(RadlensError, match="cannot be read: (Permission denied|unable to open database file)"):
        PixelCache.build(images, CONTRACT)
    assert len(entries()) == 1, "it may be somebody else's"
