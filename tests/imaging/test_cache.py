"""Decoded once and never again; any change is noticed; nothing half-built is ever used."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from radlens.errors import RadlensError
from radlens.files import cache_root
from radlens.imaging import cache as cache_module
from radlens.imaging.cache import PixelCache
from radlens.imaging.decode import Decoded, decode
from radlens.imaging.preprocess import Preprocessing, preprocess

CONTRACT = Preprocessing(height=16, width=20)


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RADLENS_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def images(tmp_path: Path) -> list[str]:
    """Twelve distinct pictures of several sizes and formats."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "images"
    folder.mkdir()
    paths = []
    for number in range(12):
        shape = (30 + number, 40) if number % 3 else (30, 40 + number, 3)
        path = folder / f"{number}.{'jpeg' if number % 2 else 'png'}"
        Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8)).save(path)
        paths.append(str(path))
    return paths


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The locations that are decoded, in any order."""
    seen: list[str] = []

    def counting(location: str, content: bytes | None = None, target: tuple[int, int] | None = None) -> Decoded:
        seen.append(location)
        return decode(location, content, target)

    monkeypatch.setattr(cache_module, "decode", counting)
    return seen


def expected(location: str, contract: Preprocessing = CONTRACT) -> npt.NDArray[np.uint8]:
    return preprocess(decode(location, target=(contract.width, contract.height)).image, contract)


def check(cache: PixelCache, locations: Sequence[str], contract: Preprocessing = CONTRACT) -> None:
    rejected = {location for location, _ in cache.rejected}
    for location, row in zip(locations, cache.rows, strict=True):
        assert (row < 0) == (location in rejected)
        if row >= 0:
            np.testing.assert_array_equal(cache.pixels[row], expected(location, contract))


def entries() -> list[str]:
    folder = cache_root() / "pixels"
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def test_each_row_holds_the_preprocessed_image_and_its_facts(images: list[str]) -> None:
    cache = PixelCache.build(images, CONTRACT)
    assert cache.pixels.shape == (12, 1, 16, 20)
    assert cache.pixels.dtype == np.uint8
    assert sorted(cache.rows) == list(range(12))
    check(cache, images)
    assert cache.rejected == ()
    wanted = [decode(location, target=(20, 16)).facts for location in images]
    assert list(cache.facts) == wanted
    assert isinstance(cache.pixels, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        cache.pixels[0] = 0


def test_a_second_build_decodes_nothing_and_gives_the_same(images: list[str], decoded: list[str]) -> None:
    first = PixelCache.build(images, CONTRACT)
    assert sorted(decoded) == sorted(images)
    decoded.clear()
    second = PixelCache.build(images, CONTRACT)
    assert decoded == []
    np.testing.assert_array_equal(first.pixels, second.pixels)
    np.testing.assert_array_equal(first.rows, second.rows)
    assert first.facts == second.facts


def test_the_order_asked_for_does_not_matter(images: list[str], decoded: list[str]) -> None:
    PixelCache.build(images, CONTRACT)
    decoded.clear()
    turned = images[::-1]
    cache = PixelCache.build(turned, CONTRACT)
    assert decoded == []
    check(cache, turned)
    assert [facts.bytes for facts in cache.facts if facts] == [Path(path).stat().st_size for path in turned]


def test_files_moved_elsewhere_are_not_decoded_again(images: list[str], decoded: list[str], tmp_path: Path) -> None:
    PixelCache.build(images, CONTRACT)
    decoded.clear()
    (tmp_path / "images").rename(tmp_path / "elsewhere")
    moved = [path.replace("/images/", "/elsewhere/") for path in images]
    cache = PixelCache.build(moved, CONTRACT)
    assert decoded == []
    check(cache, moved)


def test_a_changed_file_is_noticed_though_size_and_date_are_the_same(images: list[str], decoded: list[str]) -> None:
    path = Path(images[0])
    Image.new("L", (30, 30), 10).save(path, "BMP")
    PixelCache.build(images, CONTRACT)
    before = path.stat()
    Image.new("L", (30, 30), 200).save(path, "BMP")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    decoded.clear()
    cache = PixelCache.build(images, CONTRACT)
    assert images[0] in decoded
    assert (cache.pixels[cache.rows[0]] == 200).all()
    check(cache, images)


@pytest.mark.parametrize(
    "change", [{"height": 17}, {"width": 24}, {"fit": "pad"}, {"fit": "crop"}, {"channels": 3}], ids=str
)
def test_a_changed_contract_is_noticed(images: list[str], change: dict[str, object]) -> None:
    PixelCache.build(images, CONTRACT)
    contract = Preprocessing.model_validate({**CONTRACT.model_dump(), **change})
    cache = PixelCache.build(images, contract)
    assert cache.pixels.shape[1:] == contract.shape
    check(cache, images, contract)
    check(PixelCache.build(images, CONTRACT), images)


def test_another_version_of_the_code_leaves_old_pixels_alone(
    images: list[str], decoded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    PixelCache.build(images, CONTRACT)
    decoded.clear()
    monkeypatch.setattr(cache_module, "CACHE_VERSION", cache_module.CACHE_VERSION + 1)
    PixelCache.build(images, CONTRACT)
    assert len(decoded) == len(images)


def test_unreadable_files_are_listed_with_the_reason_and_the_others_stay(images: list[str], tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    (tmp_path / "page.jpeg").write_bytes(b"<html>Sign in</html>")
    cut = tmp_path / "cut.png"
    cut.write_bytes(Path(images[0]).read_bytes()[:-400])
    missing = tmp_path / "missing.png"
    bad = [str(tmp_path / "empty.png"), str(tmp_path / "page.jpeg"), str(cut), str(missing)]
    asked = [bad[0], *images[:3], bad[1], *images[3:], bad[2], bad[3]]
    for _ in range(2):
        # The second time the reasons come from the cache.
        cache = PixelCache.build(asked, CONTRACT)
        good = cache.rows >= 0
        assert good.tolist() == [location in images for location in asked]
        assert [facts is None for facts in cache.facts] == (~good).tolist()
        check(cache, asked)
        assert [location for location, _ in cache.rejected] == bad
        reasons = dict(cache.rejected)
        assert reasons[bad[0]] == "the file is empty"
        assert "no image of a known format" in reasons[bad[1]]
        assert "damaged" in reasons[bad[2]]
        assert "cannot be read" in reasons[bad[3]]


def test_a_damaged_file_under_two_names_is_rejected_under_both(images: list[str], tmp_path: Path) -> None:
    names = [tmp_path / "a.png", tmp_path / "b.png"]
    for name in names:
        name.write_bytes(b"no image")
    cache = PixelCache.build([str(name) for name in names] + images[:1], CONTRACT)
    assert cache.rows.tolist()[:2] == [-1, -1]
    assert [location for location, _ in cache.rejected] == [str(name) for name in names]
    assert all(str(tmp_path) not in reason for _, reason in cache.rejected), "a reason names another file"


def test_nothing_readable_at_all_is_no_crash(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.touch()
    cache = PixelCache.build([str(path)], CONTRACT)
    assert cache.pixels.shape == (0, *CONTRACT.shape)
    assert cache.rows.tolist() == [-1]
    assert len(cache.rejected) == 1


def test_copies_share_a_row_and_are_decoded_once(images: list[str], decoded: list[str], tmp_path: Path) -> None:
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


def test_images_within_an_array_are_cached_alike(tmp_path: Path, decoded: list[str]) -> None:
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
    PixelCache.build(asked, CONTRACT)
    assert decoded == []


def test_no_space_left_is_said_before_the_disk_is_full(images: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(cache_root().parent)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=2**20))
    with pytest.raises(RadlensError, match=r"No space left on the device.*RADLENS_CACHE"):
        PixelCache.build(images, CONTRACT)
    assert entries() == []
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=2**20 + 12 * 16 * 20))
    check(PixelCache.build(images, CONTRACT), images)


def test_a_cache_folder_that_cannot_be_made_is_said(
    images: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("RADLENS_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(RadlensError, match="Could not write"):
        PixelCache.build(images, CONTRACT)


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_a_build_that_stops_leaves_nothing(
    images: list[str], monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    def fail(*_: object, **__: object) -> Decoded:
        raise error("in the middle")

    with monkeypatch.context() as patch:
        patch.setattr(cache_module, "preprocess", fail)
        with pytest.raises(error):
            PixelCache.build(images, CONTRACT, workers=2)
    assert entries() == []
    check(PixelCache.build(images, CONTRACT), images)


def _build_until(locations: list[str], number: int) -> None:
    """Build in this process, and die without a word as image ``number`` is decoded."""
    lock, seen = threading.Lock(), []

    def deadly(location: str, content: bytes | None = None, target: tuple[int, int] | None = None) -> Decoded:
        with lock:
            seen.append(location)
            if len(seen) == number:
                os.kill(os.getpid(), signal.SIGKILL)
        return decode(location, content, target)

    cache_module.decode = deadly  # type: ignore[attr-defined]
    PixelCache.build(locations, CONTRACT, workers=1)


@pytest.mark.parametrize("number", [1, 6, 12])
def test_a_killed_build_is_never_taken_for_a_finished_one(images: list[str], number: int) -> None:
    process = multiprocessing.get_context("spawn").Process(target=_build_until, args=(images, number))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert all(name.startswith(".") and name.endswith(".partial") for name in entries())
    check(PixelCache.build(images, CONTRACT), images)
    assert len([name for name in entries() if not name.startswith(".")]) == 1


def test_two_builds_at_once_both_get_the_whole_cache(images: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    meet = threading.Barrier(2)
    plain = cache_module._require_space

    def wait(folder: Path, needed: int) -> None:
        # Both have seen that there is no cache yet, and have begun to fill theirs.
        meet.wait(timeout=60)
        plain(folder, needed)

    monkeypatch.setattr(cache_module, "_require_space", wait)
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
