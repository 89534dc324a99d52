"""Damaged caches are built again; full disks and missing permissions are said and leave nothing behind."""

from __future__ import annotations

import errno
import io
import json
import multiprocessing
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from radlens.base.errors import RadlensError
from radlens.base.files import cache_root
from radlens.imaging.cache import folder as pixel_folder
from radlens.imaging.cache.folder import PixelFolder
from radlens.imaging.cache.pixel_cache import PixelCache
from radlens.imaging.preprocess import Preprocessing

CONTRACT = Preprocessing(height=16, width=20)
Check = Callable[..., None]
Names = Callable[[], list[str]]
Folders = Callable[[], list[Path]]


@pytest.mark.parametrize("garbage", ["", "{", "[]", "3", '{"x": 3}', "name"])
def test_damaged_memory_of_digests_is_not_believed(
    images: list[str], opened: list[str], garbage: str, check: Check
) -> None:
    PixelCache.build(images, CONTRACT)
    (record,) = (cache_root() / "digests").iterdir()
    state = json.loads(record.read_text())
    damaged = json.dumps({name: [5, *entry[1:]] for name, entry in state.items()}) if garbage == "name" else garbage
    record.write_text(damaged)
    opened.clear()
    check(PixelCache.build(images, CONTRACT), images)
    assert sorted(opened) == sorted(images)
    assert json.loads(record.read_text()) == state


def cut_pixels(folder: Path) -> None:
    with (folder / "pixels.npy").open("r+b") as file:
        file.truncate(500)


def other_shape(folder: Path) -> None:
    np.save(folder / "pixels.npy", np.zeros((12, 1, 20, 16), np.uint8))


def other_count(folder: Path) -> None:
    np.save(folder / "pixels.npy", np.zeros((13, 1, 16, 20), np.uint8))


def other_type(folder: Path) -> None:
    np.save(folder / "pixels.npy", np.zeros((12, 1, 16, 20), np.int8))


def short_column(folder: Path) -> None:
    state = json.loads((folder / "images.json").read_text())
    state["facts"]["width"].pop()
    (folder / "images.json").write_text(json.dumps(state))


def short_digests(folder: Path) -> None:
    state = json.loads((folder / "images.json").read_text())
    state["digests"].pop()
    (folder / "images.json").write_text(json.dumps(state))


def missing_column(folder: Path) -> None:
    state = json.loads((folder / "images.json").read_text())
    del state["facts"]["compression"]
    (folder / "images.json").write_text(json.dumps(state))


DAMAGES: list[Callable[[Path], object]] = [
    cut_pixels,
    other_shape,
    other_count,
    other_type,
    short_column,
    short_digests,
    missing_column,
    lambda folder: (folder / "pixels.npy").unlink(),
    lambda folder: (folder / "pixels.npy").write_bytes(b""),
    lambda folder: (folder / "pixels.npy").write_bytes(b"\x80\x04]."),
    lambda folder: (folder / "images.json").unlink(),
    lambda folder: (folder / "images.json").write_text('{"digests": ['),
    lambda folder: (folder / "images.json").write_text("[]"),
    lambda folder: (folder / "images.json").write_bytes(b"\xff\xfe"),
    lambda folder: [path.write_bytes(b"") for path in folder.iterdir()],
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
    (folder,) = finished()
    damage(folder)
    decoded.clear()
    check(PixelCache.build(images, CONTRACT), images)
    assert sorted(decoded) == sorted(images)
    assert "is damaged" in caplog.text
    assert entries() == [folder.name]
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
    plain, times = PixelFolder.open, [0]

    def removing(folder: Path, shape: tuple[int, int, int]) -> PixelFolder | None:
        times[0] += 1
        if times[0] == 1:
            shutil.rmtree(folder)
        return plain(folder, shape)

    monkeypatch.setattr(PixelFolder, "open", removing)
    check(PixelCache.build(images, CONTRACT), images)
    assert times[0] == 3, "gone after it was made, not yet there again, made again"


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
    """Twelve images are written, and then the header."""
    plain, times = pixel_folder._write, [0]

    def filling(file: object, content: memoryview) -> None:
        if times[0] == when:
            raise OSError(code, os.strerror(code))
        times[0] += 1
        plain(file, content)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(pixel_folder, "_write", filling)
        text = "Could not write" if code == errno.EIO else "No space left on the device"
        with pytest.raises(RadlensError, match=f"{text}.*RADLENS_CACHE"):
            PixelCache.build(images, CONTRACT)
    assert entries() == []
    check(PixelCache.build(images, CONTRACT), images)


@pytest.mark.parametrize("number", [1, 2])
def test_a_disk_that_fills_up_as_it_is_flushed_leaves_nothing(
    images: list[str], monkeypatch: pytest.MonkeyPatch, number: int, entries: Names
) -> None:
    times = [0]

    def full(descriptor: int) -> None:
        times[0] += 1
        if times[0] == number:
            raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(RadlensError, match="No space left"):
            PixelCache.build(images, CONTRACT)
    assert entries() == []


def _build_with_little_room(locations: list[str], cache: str) -> None:
    import resource

    os.environ["RADLENS_CACHE"] = cache
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
    try:
        PixelCache.build(locations, CONTRACT)
    except RadlensError as error:
        os._exit(42 if "Could not write" in str(error) else 43)
    os._exit(44)


@pytest.mark.skipif(os.name != "posix", reason="file size limits exist on POSIX systems only")
def test_a_write_that_the_system_cuts_short_is_an_error(images: list[str], entries: Names) -> None:
    """The seventh image fits in part, so that the system takes that part and says so."""
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
        pixel_folder._write(file, memoryview(bytes(range(100))))
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


def test_a_cache_that_may_not_be_read_is_said(images: list[str], no_privileges: None, finished: Folders) -> None:
    PixelCache.build(images, CONTRACT)
    (finished()[0] / "pixels.npy").chmod(0)
    with pytest.raises(RadlensError, match="cannot be read: Permission denied"):
        PixelCache.build(images, CONTRACT)
    assert len(finished()) == 1, "it may be somebody else's"
