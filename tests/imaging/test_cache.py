"""Decoded once and never again; any change is noticed; nothing half-built is ever used."""

from __future__ import annotations

import errno
import hashlib
import importlib.metadata
import io
import json
import multiprocessing
import os
import re
import shutil
import signal
import threading
from collections.abc import Callable, Sequence
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from radlens.errors import RadlensError
from radlens.files import cache_root
from radlens.imaging import cache as cache_module
from radlens.imaging import digests, pixel_folder, pixel_shelf, reader
from radlens.imaging.cache import PixelCache
from radlens.imaging.decode import DecodeError, FileFacts, read_bytes
from radlens.imaging.limits import DEFAULT_LIMITS, DecodeLimits
from radlens.imaging.pixel_folder import PixelFolder, PixelWriter
from radlens.imaging.pixels import read_pixels
from radlens.imaging.preprocess import Preprocessing

CONTRACT = Preprocessing(height=16, width=20)
Pixels = npt.NDArray[np.uint8]


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RADLENS_CACHE", str(tmp_path / "cache"))
    # The files of these tests are new; a change within the same tick of the clock is a test of its own.
    monkeypatch.setattr(digests, "SETTLED_NS", 0)


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

    def counting(location: str, *rest: object) -> tuple[Pixels, FileFacts]:
        seen.append(location)
        return read_pixels(location, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(reader, "read_pixels", counting)
    return seen


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The locations whose content is read, in any order."""
    seen: list[str] = []

    def counting(location: str, limits: DecodeLimits) -> bytes:
        seen.append(location)
        return read_bytes(location, limits)

    monkeypatch.setattr(reader, "read_bytes", counting)
    return seen


def expected(location: str, contract: Preprocessing = CONTRACT) -> Pixels:
    return read_pixels(location, contract)[0]


def check(cache: PixelCache, locations: Sequence[str], contract: Preprocessing = CONTRACT) -> None:
    rejected = {location for location, _ in cache.rejected}
    for location, row in zip(locations, cache.rows, strict=True):
        assert (row < 0) == (location in rejected)
        if row >= 0:
            np.testing.assert_array_equal(cache.pixels[row], expected(location, contract))


def entries() -> list[str]:
    """The folders of all caches, temporary ones too."""
    return sorted(path.name for path in (cache_root() / "pixels").glob("*/*"))


def finished() -> list[Path]:
    return [path for path in (cache_root() / "pixels").glob("*/*") if not path.name.startswith(".")]


def test_each_row_holds_the_preprocessed_image_and_its_facts(images: list[str]) -> None:
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


def test_a_second_build_decodes_nothing_and_gives_the_same(images: list[str], decoded: list[str]) -> None:
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


def test_a_second_build_opens_no_image(images: list[str], opened: list[str]) -> None:
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
def test_a_changed_file_is_noticed(images: list[str], decoded: list[str], change: Callable[[Path], None]) -> None:
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
    images: list[str], decoded: list[str], opened: list[str]
) -> None:
    PixelCache.build(images, CONTRACT)
    decoded.clear()
    opened.clear()
    os.utime(images[3])
    check(PixelCache.build(images, CONTRACT), images)
    assert opened == [images[3]]
    assert decoded == []


def test_a_file_that_changed_just_now_is_read_again_the_next_time(
    images: list[str], opened: list[str], monkeypatch: pytest.MonkeyPatch
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


@pytest.mark.parametrize("garbage", ["", "{", "[]", "3", '{"x": 3}', "name"])
def test_damaged_memory_of_digests_is_not_believed(images: list[str], opened: list[str], garbage: str) -> None:
    PixelCache.build(images, CONTRACT)
    (record,) = (cache_root() / "digests").iterdir()
    state = json.loads(record.read_text())
    damaged = json.dumps({name: [5, *entry[1:]] for name, entry in state.items()}) if garbage == "name" else garbage
    record.write_text(damaged)
    opened.clear()
    check(PixelCache.build(images, CONTRACT), images)
    assert sorted(opened) == sorted(images)
    assert json.loads(record.read_text()) == state


def test_images_added_later_are_the_only_ones_decoded(images: list[str], decoded: list[str]) -> None:
    PixelCache.build(images[:5], CONTRACT)
    PixelCache.build(images[4:9], CONTRACT)
    decoded.clear()
    cache = PixelCache.build(images, CONTRACT)
    assert sorted(decoded) == sorted(images[9:])
    assert list(cache.rows) == list(range(12))
    check(cache, images)


def test_a_part_of_a_cached_set_is_neither_decoded_nor_stored_again(images: list[str], decoded: list[str]) -> None:
    PixelCache.build(images, CONTRACT)
    decoded.clear()
    part = [images[7], images[2]]
    check(PixelCache.build(part, CONTRACT), part)
    assert decoded == []
    assert len(entries()) == 1


def test_two_sets_are_joined_without_decoding(images: list[str], decoded: list[str], tmp_path: Path) -> None:
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
def test_a_changed_contract_is_noticed(images: list[str], change: dict[str, object]) -> None:
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


def test_limits_decide_what_is_rejected_whatever_was_cached_under_others(images: list[str]) -> None:
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


def test_another_version_of_the_code_leaves_old_pixels_alone(
    images: list[str], decoded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    PixelCache.build(images, CONTRACT)
    decoded.clear()
    monkeypatch.setattr(pixel_shelf, "CACHE_VERSION", pixel_shelf.CACHE_VERSION + 1)
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
    version = pixel_shelf._version
    with monkeypatch.context() as patch:
        patch.setattr(pixel_shelf, "_version", lambda name: "none" if name == decoder else version(name))
        PixelCache.build(images, CONTRACT)
    decoded.clear()
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
    images: list[str], tmp_path: Path, name: str, no_privileges: None
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


def test_names_with_accents_spaces_and_capitals_are_told_apart(images: list[str], tmp_path: Path) -> None:
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


def test_a_file_that_vanishes_as_it_is_read_is_rejected(images: list[str], monkeypatch: pytest.MonkeyPatch) -> None:

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
    images: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cause: Exception
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


def test_files_moved_elsewhere_are_not_decoded_again_though_nothing_could_be_read_before(
    images: list[str], decoded: list[str], tmp_path: Path
) -> None:
    PixelCache.build([str(tmp_path / "gone.png")], CONTRACT)
    PixelCache.build(images, CONTRACT)
    decoded.clear()
    (tmp_path / "images").rename(tmp_path / "elsewhere")
    moved = [path.replace("/images/", "/elsewhere/") for path in images]
    check(PixelCache.build(moved, CONTRACT), moved)
    assert decoded == []


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


def test_images_within_an_array_are_cached_alike(tmp_path: Path, decoded: list[str], opened: list[str]) -> None:
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
    images: list[str], decoded: list[str], caplog: pytest.LogCaptureFixture, damage: Callable[[Path], object]
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
    images: list[str], decoded: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    PixelCache.build(images[:4], CONTRACT)
    cut_pixels(finished()[0])
    PixelCache.build(images[4:8], CONTRACT)
    decoded.clear()
    check(PixelCache.build(images, CONTRACT), images)
    assert sorted(decoded) == sorted([*images[:4], *images[8:]])


def test_a_cache_that_others_remove_while_it_is_opened_is_made_again(
    images: list[str], monkeypatch: pytest.MonkeyPatch
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


def test_no_space_left_is_said_before_the_disk_is_full(images: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(cache_root().parent)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=2**20))
    with pytest.raises(RadlensError, match=r"No space left on the device.*RADLENS_CACHE"):
        PixelCache.build(images, CONTRACT)
    assert entries() == []
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=2**20 + 12 * 16 * 20))
    check(PixelCache.build(images, CONTRACT), images)


def test_copies_do_not_count_as_space_when_all_is_known(images: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    PixelCache.build(images, CONTRACT)
    usage = shutil.disk_usage(cache_root())
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=0))
    check(PixelCache.build(images, CONTRACT), images)
    check(PixelCache.build(images[:4] * 100, CONTRACT), images[:4] * 100)


@pytest.mark.parametrize("when", [0, 1, 6, 12])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_disk_that_fills_up_in_mid_build_leaves_nothing(
    images: list[str], monkeypatch: pytest.MonkeyPatch, when: int, code: int
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
    images: list[str], monkeypatch: pytest.MonkeyPatch, number: int
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
def test_a_write_that_the_system_cuts_short_is_an_error(images: list[str]) -> None:
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


def test_a_cache_that_may_only_be_read_is_used(images: list[str], no_privileges: None) -> None:
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


def test_a_cache_that_may_not_be_read_is_said(images: list[str], no_privileges: None) -> None:
    PixelCache.build(images, CONTRACT)
    (finished()[0] / "pixels.npy").chmod(0)
    with pytest.raises(RadlensError, match="cannot be read: Permission denied"):
        PixelCache.build(images, CONTRACT)
    assert len(finished()) == 1, "it may be somebody else's"


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_a_build_that_stops_leaves_nothing(
    images: list[str], monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
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
    """Build in this process, and die without a word as image ``number`` is decoded, or at the very end."""
    os.environ["RADLENS_CACHE"] = cache
    seen: list[str] = []

    def deadly(location: str, *rest: object) -> tuple[Pixels, FileFacts]:
        seen.append(location)
        if len(seen) == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return read_pixels(location, *rest)  # type: ignore[arg-type]

    def end(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    reader.read_pixels = deadly  # type: ignore[attr-defined, assignment]
    pixel_folder.publish = end  # type: ignore[attr-defined, assignment]
    PixelCache.build(locations, CONTRACT, workers=1)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="processes are killed otherwise on this system")
@pytest.mark.parametrize("number", [1, 12, 13])
def test_a_killed_build_is_never_taken_for_a_finished_one(images: list[str], decoded: list[str], number: int) -> None:
    process = multiprocessing.get_context("spawn").Process(
        target=_build_until, args=(images, number, str(cache_root()))
    )
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert all(name.startswith(".") and name.endswith(".partial") for name in entries())
    assert len(entries()) == (number > 1)
    check(PixelCache.build(images, CONTRACT), images)
    assert sorted(decoded) == sorted(images)
    assert [folder.name for folder in finished()] == entries(), "what the killed process left is removed"


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="processes are killed otherwise on this system")
def test_what_a_killed_build_left_is_removed_by_a_build_for_another_contract(images: list[str]) -> None:
    process = multiprocessing.get_context("spawn").Process(target=_build_until, args=(images, 13, str(cache_root())))
    process.start()
    process.join()
    assert len(entries()) == 1
    PixelCache.build(images[:2], Preprocessing(height=8, width=8))
    assert [folder.name for folder in finished()] == entries()


def _build_together(locations: list[str], meet: Barrier, cache: str) -> None:
    os.environ["RADLENS_CACHE"] = cache
    plain, times = pixel_folder._write, [0]

    def write(file: object, content: memoryview) -> None:
        times[0] += 1
        if times[0] in (1, len(locations)):
            # Both have seen that there is no cache yet, and fill theirs.
            meet.wait(timeout=120)
        plain(file, content)  # type: ignore[arg-type]

    pixel_folder._write = write
    check(PixelCache.build(locations, CONTRACT, workers=1), locations)
    meet.wait(timeout=120)
    check(PixelCache.build(locations, CONTRACT, workers=1), locations)


def test_two_processes_that_build_at_once_both_get_the_whole_cache(images: list[str]) -> None:
    context = multiprocessing.get_context("spawn")
    meet = context.Barrier(2)
    processes = [context.Process(target=_build_together, args=(images, meet, str(cache_root()))) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    assert len(entries()) == len(finished()) == 1


def test_two_threads_that_build_at_once_both_get_the_whole_cache(
    images: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    meet = threading.Barrier(2)
    plain = PixelWriter.finish

    def wait(writer: PixelWriter, *rest: object) -> None:
        meet.wait(timeout=60)
        plain(writer, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(PixelWriter, "finish", wait)
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
