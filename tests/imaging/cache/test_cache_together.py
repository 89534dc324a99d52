"""Builds that are killed leave nothing that is believed; several at once do not disturb one another."""

from __future__ import annotations

import io
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from multiprocessing.synchronize import Barrier
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from radlens.base.files import cache_root
from radlens.imaging.cache import batch as cache_batch
from radlens.imaging.cache import pixel_cache as cache_module
from radlens.imaging.cache import pixel_map, reader
from radlens.imaging.cache import store as pixel_store
from radlens.imaging.cache.batch import Batch
from radlens.imaging.cache.pixel_cache import PixelCache
from radlens.imaging.decode import FileFacts
from radlens.imaging.pixels import read_pixels
from radlens.imaging.preprocess import Preprocessing

CONTRACT = Preprocessing(height=16, width=20)
Pixels = npt.NDArray[np.uint8]
Check = Callable[..., None]
Names = Callable[[], list[str]]
Folders = Callable[[], list[Path]]


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_a_build_that_stops_leaves_nothing(
    images: list[str], monkeypatch: pytest.MonkeyPatch, error: type[BaseException], check: Check, entries: Names
) -> None:
    def fail(location: str, *rest: object) -> tuple[Pixels, FileFacts]:
        if location == images[7]:
            raise error("in the middle")
        return read_pixels(location, *rest)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(reader, "read_pixels", fail)
        with pytest.raises(error):
            PixelCache.build(images, CONTRACT, workers=2)
    assert entries() == []
    check(PixelCache.build(images, CONTRACT), images)


def _build_until(locations: list[str], number: int, cache: str) -> None:
    """Build in this process, and die without a word as image ``number`` is decoded, or before the index has them."""
    os.environ["RADLENS_CACHE"] = cache
    seen: list[str] = []

    def deadly(location: str, *rest: object) -> tuple[Pixels, FileFacts]:
        seen.append(location)
        if len(seen) == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return read_pixels(location, *rest)  # type: ignore[arg-type]

    def end(*rest: object) -> None:
        pixel_map.append_rows(*rest)  # type: ignore[arg-type]
        os.kill(os.getpid(), signal.SIGKILL)

    reader.read_pixels = deadly  # type: ignore[attr-defined, assignment]
    pixel_store.append_rows = end  # type: ignore[attr-defined, assignment]
    PixelCache.build(locations, CONTRACT, workers=1)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="processes are killed otherwise on this system")
@pytest.mark.parametrize("number", [1, 12, 13])
def test_a_killed_build_is_never_taken_for_a_finished_one(
    images: list[str], decoded: list[str], number: int, check: Check, entries: Names, finished: Folders
) -> None:
    process = multiprocessing.get_context("spawn").Process(
        target=_build_until, args=(images, number, str(cache_root()))
    )
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert finished() == []
    assert len(entries()) == (number == 13)
    check(PixelCache.build(images, CONTRACT), images)
    assert sorted(decoded) == sorted(images)
    assert [folder.name for folder in finished()] == entries(), "what the killed process left is removed"


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="processes are killed otherwise on this system")
def test_what_a_killed_build_left_is_removed_by_a_build_for_another_contract(
    images: list[str], entries: Names, finished: Folders
) -> None:
    process = multiprocessing.get_context("spawn").Process(target=_build_until, args=(images, 13, str(cache_root())))
    process.start()
    process.join()
    assert len(entries()) == 1
    PixelCache.build(images[:2], Preprocessing(height=8, width=8))
    assert [folder.name for folder in finished()] == entries()


def _append_until(locations: list[str], moment: int, cache: str) -> None:
    """Build in this process, and die without a word in the middle of writing an image, or before the index is told."""
    os.environ["RADLENS_CACHE"] = cache
    plain, times = pixel_map._write, [0]

    def deadly(file: io.FileIO, content: memoryview) -> None:
        times[0] += 1
        if times[0] == moment:
            file.write(content[: len(content) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        plain(file, content)

    def end(_: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    pixel_map._write = deadly
    if not moment:
        os.fsync = end  # type: ignore[assignment]
    PixelCache.build(locations, CONTRACT, workers=1)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="processes are killed otherwise on this system")
@pytest.mark.parametrize("moment", [0, 1, 4, 7])
def test_to_be_killed_in_the_middle_of_an_append_takes_nothing_from_what_was_there(
    images: list[str], decoded: list[str], caplog: pytest.LogCaptureFixture, moment: int, check: Check, entries: Names
) -> None:
    before = PixelCache.build(images[:5], CONTRACT)
    process = multiprocessing.get_context("spawn").Process(
        target=_append_until, args=(images, moment, str(cache_root()))
    )
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    check(before, images[:5])
    decoded.clear()
    check(PixelCache.build(images[:5], CONTRACT), images[:5])
    assert decoded == []
    check(PixelCache.build(images, CONTRACT), images)
    assert sorted(decoded) == sorted(images[5:])
    assert len(entries()) == 1
    check(before, images[:5])
    assert caplog.text == ""


def test_a_stopped_build_keeps_the_batches_that_it_has_stored(
    images: list[str], decoded: list[str], monkeypatch: pytest.MonkeyPatch, check: Check
) -> None:
    def fail(location: str, *rest: object) -> tuple[Pixels, FileFacts]:
        if location == images[7]:
            raise KeyboardInterrupt
        return read_pixels(location, *rest)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(reader, "read_pixels", fail)
        patch.setattr(cache_batch, "BATCH_BYTES", 3 * 16 * 20)
        with pytest.raises(KeyboardInterrupt):
            PixelCache.build(images, CONTRACT, workers=1)
    decoded.clear()
    check(PixelCache.build(images, CONTRACT), images)
    assert sorted(decoded) == sorted(images[6:])


def _build_together(locations: list[str], meet: Barrier, cache: str, check: Check) -> None:
    os.environ["RADLENS_CACHE"] = cache
    times = [0]

    def read(location: str, *rest: object) -> tuple[Pixels, FileFacts]:
        times[0] += 1
        if times[0] in (1, len(locations)):
            # Both have seen that there is no cache yet, and fill it.
            meet.wait(timeout=120)
        return read_pixels(location, *rest)  # type: ignore[arg-type]

    reader.read_pixels = read  # type: ignore[attr-defined, assignment]
    check(PixelCache.build(locations, CONTRACT, workers=1), locations)
    meet.wait(timeout=120)
    check(PixelCache.build(locations, CONTRACT, workers=1), locations)


def test_two_processes_that_build_at_once_both_get_the_whole_cache(
    images: list[str], check: Check, entries: Names, finished: Folders
) -> None:
    context = multiprocessing.get_context("spawn")
    meet = context.Barrier(2)
    arguments = (images, meet, str(cache_root()), check)
    processes = [context.Process(target=_build_together, args=arguments) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    assert len(entries()) == len(finished()) == 1


def test_two_threads_that_build_at_once_both_get_the_whole_cache(
    images: list[str], monkeypatch: pytest.MonkeyPatch, check: Check, entries: Names
) -> None:
    meet = threading.Barrier(2)
    plain = Batch.finish

    def wait(batch: Batch) -> bool:
        meet.wait(timeout=60)
        return plain(batch)

    monkeypatch.setattr(Batch, "finish", wait)
    results: list[PixelCache] = []
    threads = [
        threading.Thread(target=lambda: results.append(PixelCache.build(images, CONTRACT, workers=1))) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 2
    for cache in results:
        check(cache, images)
    assert len(entries()) == 1


def test_memory_stays_flat_with_many_images(images: list[str]) -> None:
    waiting, most = 0, 0
    lock = threading.Lock()

    def job(number: int) -> int:
        nonlocal waiting, most
        with lock:
            waiting += 1
            most = max(most, waiting)
        return number

    taken = []
    for result in cache_module._parallel(job, range(500), "x", workers=2):
        taken.append(result)
        with lock:
            waiting -= 1
    assert taken == list(range(500))
    assert most <= 8 * 2 + 1
