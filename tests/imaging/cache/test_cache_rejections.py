"""Files that cannot be read or may not be: each is rejected with its reason, and the others stay."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from radlens.imaging.cache import reader
from radlens.imaging.cache.pixel_cache import PixelCache
from radlens.imaging.decode import DecodeError, FileFacts, read_bytes
from radlens.imaging.limits import DEFAULT_LIMITS, DecodeLimits
from radlens.imaging.pixels import read_pixels
from radlens.imaging.preprocess import Preprocessing

CONTRACT = Preprocessing(height=16, width=20)
Pixels = npt.NDArray[np.uint8]
Check = Callable[..., None]


def test_unreadable_files_are_listed_with_the_reason_and_the_others_stay(
    images: list[str], tmp_path: Path, check: Check
) -> None:
    (tmp_path / "empty.png").touch()
    (tmp_path / "page.jpeg").write_bytes(b"<html>Sign in</html>")
    cut = tmp_path / "cut.png"
    cut.write_bytes(Path(images[0]).read_bytes()[:-400])
    missing = tmp_path / "missing.png"
    bad = [str(tmp_path / "empty.png"), str(tmp_path / "page.jpeg"), str(cut), str(missing)]
    asked = [bad[0], *images[:3], bad[1], *images[3:], bad[2], bad[3]]
    for _ in range(2):
        # The second time the reasons of damaged files come from the cache.
        cache = PixelCache.build(asked, CONTRACT)
        good = cache.rows >= 0
        assert good.tolist() == [location in images for location in asked]
        assert [facts is None for facts in cache.facts] == (~good).tolist()
        check(cache, asked)
        assert [location for location, _ in cache.rejected] == bad
        assert [digest != "" for digest in cache.digests] == (good | np.isin(asked, bad[1:3])).tolist()
        reasons = dict(cache.rejected)
        assert reasons[bad[0]] == "the file is empty"
        assert "web page" in reasons[bad[1]]
        assert "cut short" in reasons[bad[2]] or "damaged" in reasons[bad[2]]
        assert reasons[bad[3]] == "the file cannot be read (No such file or directory)"


@pytest.mark.parametrize("name", ["broken", "circle", "locked", "folder", "a\0b", "\ud800"])
def test_what_cannot_be_opened_is_rejected_and_the_others_stay(
    images: list[str], tmp_path: Path, name: str, no_privileges: None, check: Check
) -> None:
    path = tmp_path / f"{name}.png"
    if name == "broken":
        path.symlink_to(tmp_path / "nowhere")
    elif name == "circle":
        path.symlink_to(path)
    elif name == "locked":
        path.write_bytes(Path(images[0]).read_bytes())
        path.chmod(0)
    elif name == "folder":
        path.mkdir()
    asked = [*images, str(path)]
    for _ in range(2):
        cache = PixelCache.build(asked, CONTRACT)
        assert [location for location, _ in cache.rejected] == asked[-1:]
        assert cache.digests[-1] == ""
        check(cache, asked)
    if name == "locked":
        path.chmod(0o600)
        cache = PixelCache.build(asked, CONTRACT)
        assert cache.rejected == ()
        assert cache.rows[-1] == cache.rows[0]


def test_a_file_that_vanishes_as_it_is_read_is_rejected(
    images: list[str], monkeypatch: pytest.MonkeyPatch, check: Check
) -> None:

    def vanishing(location: str, limits: DecodeLimits) -> bytes:
        if location == images[5]:
            Path(location).unlink()
        return read_bytes(location, limits)

    monkeypatch.setattr(reader, "read_bytes", vanishing)
    cache = PixelCache.build(images, CONTRACT)
    assert cache.rejected == ((images[5], "the file cannot be read (No such file or directory)"),)
    check(cache, images)


@pytest.mark.parametrize("cause", [MemoryError(), OSError(errno.EMFILE, "Too many open files")], ids=repr)
def test_a_rejection_that_says_nothing_of_the_file_is_not_kept(
    images: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cause: Exception, check: Check
) -> None:
    copy = tmp_path / "copy.png"
    shutil.copy(images[4], copy)
    asked = [*images, str(copy)]

    def starved(location: str, *rest: object) -> tuple[Pixels, FileFacts]:
        if location in (images[4], str(copy)):
            raise DecodeError(f"{location}: the image is damaged ({cause!r})") from cause
        return read_pixels(location, *rest)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(reader, "read_pixels", starved)
        cache = PixelCache.build(asked, CONTRACT)
        assert [location for location, _ in cache.rejected] == [images[4], str(copy)]
        assert cache.digests[4] == cache.digests[12] == ""
        check(cache, asked)
    cache = PixelCache.build(asked, CONTRACT)
    assert cache.rejected == ()
    check(cache, asked)


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


def test_limits_decide_what_is_rejected_whatever_was_cached_under_others(images: list[str], check: Check) -> None:
    sizes = [Path(location).stat().st_size for location in images]
    bounds = [DEFAULT_LIMITS, DecodeLimits(formats=("PNG",)), DecodeLimits(max_pixels=1250)]
    bounds += [DecodeLimits(max_bytes=sorted(sizes)[6]), DEFAULT_LIMITS]
    rejected = []
    for limits in bounds:
        cache = PixelCache.build(images, CONTRACT, limits=limits)
        check(cache, images)
        rejected.append(len(cache.rejected))
    assert rejected[0] == rejected[4] == 0
    assert rejected[1] == sum(location.endswith("jpeg") for location in images)
    assert 0 < rejected[2] < 12
    assert rejected[3] == sum(size > sorted(sizes)[6] for size in sizes)
