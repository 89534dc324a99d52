"""Images inside archives come through unchanged; archives that lie about their size are refused before it is spent."""

from __future__ import annotations

import io
import os
import struct
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from radlens.imaging import arrays as arrays_module
from radlens.imaging.arrays import is_array_location, read_array
from radlens.imaging.limits import DecodeError, DecodeLimits

HEIGHT, WIDTH = 12, 16


def grey() -> npt.NDArray[np.uint8]:
    return np.arange(HEIGHT * WIDTH, dtype=np.uint8).reshape(HEIGHT, WIDTH)


def colour() -> npt.NDArray[np.uint8]:
    return np.stack([grey(), 255 - grey(), np.flipud(grey())], axis=2)


@pytest.fixture
def archive(tmp_path: Path) -> str:
    path = tmp_path / "set.npz"
    np.savez_compressed(
        path,
        grey=np.stack([grey(), grey()[::-1]]),
        colour=colour()[None],
        turned=np.asfortranarray(np.stack([grey(), grey()[::-1]])),
        wide=grey()[None].astype(">u2") * 257,
        numbers=np.asfortranarray(np.stack([grey(), grey()[::-1]]).astype(np.float32)),
        halves=grey()[None].astype(np.float16),
        flat=grey(),
        four=np.zeros((2, 4, 4, 4), dtype=np.uint8),
        none=np.zeros((0, 4, 4), dtype=np.uint8),
        thin=np.zeros((2, 0, 4), dtype=np.uint8),
        objects=np.array([{"a": 1}], dtype=object),
    )
    return str(path)


def test_images_come_through_unchanged(archive: str) -> None:
    np.testing.assert_array_equal(read_array(f"{archive}::grey/1"), grey()[::-1])
    np.testing.assert_array_equal(read_array(f"{archive}::colour/0"), colour())
    np.testing.assert_array_equal(read_array(f"{archive}::turned/1"), grey()[::-1])
    np.testing.assert_array_equal(read_array(f"{archive}::wide/0"), grey().astype(np.uint16) * 257)
    np.testing.assert_array_equal(read_array(f"{archive}::numbers/1"), grey()[::-1].astype(np.float32))


@pytest.mark.parametrize(
    "member",
    [
        *("grey/2", "grey/-1", "grey/x", "grey/1.0", "grey/+1", "grey/²", "grey", "nothing/0", "halves/0", "flat/0"),
        *("four/0", "none/0", "objects/0", "", "/"),
    ],
)
def test_an_image_that_is_not_in_the_archive_is_said(archive: str, member: str) -> None:
    with pytest.raises(DecodeError, match=r"set\.npz::.*no such image in the archive"):
        read_array(f"{archive}::{member}")


def test_the_arrays_of_an_archive_are_named(archive: str) -> None:
    with pytest.raises(DecodeError, match="which holds the arrays grey, colour, turned"):
        read_array(f"{archive}::train_images/0")


def test_images_without_pixels_are_refused(archive: str) -> None:
    with pytest.raises(DecodeError, match="4 x 0 pixels"):
        read_array(f"{archive}::thin/0")


def test_an_archive_that_is_none_is_said(tmp_path: Path) -> None:
    (tmp_path / "set.npz").write_bytes(b"PK\x03\x04 no archive at all")
    with pytest.raises(DecodeError, match=r"images/0: no such image in the archive"):
        read_array(f"{tmp_path / 'set.npz'}::images/0")
    with pytest.raises(DecodeError, match=r"nowhere\.npz::images/0: the file cannot be read"):
        read_array(f"{tmp_path / 'nowhere.npz'}::images/0")
    os.mkfifo(tmp_path / "pipe.npz")
    with pytest.raises(DecodeError, match=r"the path is a named pipe"):
        read_array(f"{tmp_path / 'pipe.npz'}::images/0")


def test_an_archive_cut_short_or_damaged_inside_is_said(archive: str) -> None:
    content = Path(archive).read_bytes()
    Path(archive).write_bytes(content[: len(content) // 2])
    with pytest.raises(DecodeError, match="no such image in the archive"):
        read_array(f"{archive}::grey/0")
    damaged = bytearray(content)
    for place in range(60, 200):
        damaged[place] ^= 0x5A
    Path(archive).write_bytes(bytes(damaged))
    with pytest.raises(DecodeError, match="no such image in the archive"):
        read_array(f"{archive}::grey/0")


def test_an_archive_written_anew_is_read_anew(archive: str) -> None:
    before = read_array(f"{archive}::grey/0")
    np.savez(archive, grey=255 - grey()[None])
    os.utime(archive, ns=(1, 1))
    np.testing.assert_array_equal(read_array(f"{archive}::grey/0"), 255 - before)


def test_what_is_read_cannot_be_changed(archive: str) -> None:
    with pytest.raises(ValueError, match="read-only"):
        read_array(f"{archive}::grey/0")[0, 0] = 1


def header(shape: str, version: tuple[int, int] = (1, 0), length: int | None = None) -> bytes:
    text = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}".encode().ljust(117) + b"\n"
    size = struct.pack("<H" if version == (1, 0) else "<I", len(text) if length is None else length)
    return b"\x93NUMPY" + bytes(version) + size + text


def zipped(path: Path, member: bytes, method: int = zipfile.ZIP_DEFLATED) -> str:
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("images.npy", member)
    return f"{path}::images/0"


@pytest.mark.parametrize(
    ("member", "message"),
    [
        (header("(1000000, 100000, 100000)") + bytes(100), "in 228 bytes"),
        (header("(2**62, 8, 8)") + bytes(100), "no such image"),
        (header("(-1, 8, 8)") + bytes(100), "in 228 bytes"),
        (header("(True, 8, 8)") + bytes(100), "in 228 bytes|no such image"),
        (header("('a', 8, 8)") + bytes(100), "no such image"),
        (header("(1, 8, 8)") + bytes(10), "in 138 bytes|cut short"),
        (header("(1, 8, 8)", (3, 0)) + bytes(64), r"array format \(3, 0\)"),
        (header("(1, 8, 8)", (2, 0), 2**32 - 1) + bytes(64), "no such image"),
        (header("(1, 8, 8)", (9, 9)) + bytes(64), "no such image"),
        (b"no array", "no such image"),
        (b"", "no such image"),
        (b"\x93NUMPY\x01\x00\x10\x00__import__('os')", "no such image"),
    ],
)
def test_array_headers_that_lie_are_refused(tmp_path: Path, member: bytes, message: str) -> None:
    with pytest.raises(DecodeError, match=message):
        read_array(zipped(tmp_path / "set.npz", member))


def test_what_an_array_inflates_to_is_bounded_before_it_is_inflated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    location = zipped(tmp_path / "bomb.npz", header("(1, 5000, 5000)") + bytes(25_000_000))
    assert (tmp_path / "bomb.npz").stat().st_size < 30_000
    assert read_array(location, DecodeLimits(max_inflated=25_000_200)).shape == (5000, 5000)
    monkeypatch.setattr(zipfile.ZipFile, "open", lambda *_: pytest.fail("the member was opened"))
    with pytest.raises(DecodeError, match=r"25,000,128 bytes; at most 1,000,000 are inflated .*data\.limits"):
        read_array(location, DecodeLimits(max_inflated=1_000_000))


def test_a_member_that_inflates_to_more_than_it_says_is_read_no_further(tmp_path: Path) -> None:
    path = tmp_path / "set.npz"
    location = zipped(path, header("(1, 1000, 1000)") + bytes(1_000_000))
    content = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        place = content.rindex(signature) + offset
        struct.pack_into("<I", content, place, 500)
    path.write_bytes(bytes(content))
    with pytest.raises(DecodeError, match="CRC|in 500 bytes"):
        read_array(location)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_compressions_that_numpy_does_not_write_are_refused(tmp_path: Path, method: int) -> None:
    with pytest.raises(DecodeError, match=r"compression \d+ is not read"):
        read_array(zipped(tmp_path / "set.npz", header("(1, 8, 8)") + bytes(64), method))


def test_pixels_and_formats_are_limited(archive: str) -> None:
    location = f"{archive}::grey/0"
    read_array(location, DecodeLimits(max_pixels=HEIGHT * WIDTH))
    with pytest.raises(DecodeError, match="16 x 12 pixels; at most 191"):
        read_array(location, DecodeLimits(max_pixels=HEIGHT * WIDTH - 1))
    with pytest.raises(DecodeError, match="not opened"):
        read_array(location, DecodeLimits(formats=("PNG",)))


def test_threads_that_want_the_same_array_inflate_it_once(archive: str, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []
    original = zipfile.ZipFile.open

    def slow(self: zipfile.ZipFile, *arguments: Any, **options: Any) -> Any:
        opened.append(1)
        time.sleep(0.05)
        return original(self, *arguments, **options)

    monkeypatch.setattr(zipfile.ZipFile, "open", slow)
    arrays_module._load.cache_clear()
    found: list[npt.NDArray[np.uint8]] = []
    threads = [threading.Thread(target=lambda: found.append(read_array(f"{archive}::grey/1"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(opened) == 1


@pytest.mark.parametrize(
    ("location", "inside"),
    [("a.npz::x/0", True), ("a.npz", False), ("a::b.png", False), ("folder::1/b.npz", False)],
)
def test_only_a_member_of_an_npz_is_an_array_location(location: str, inside: bool) -> None:
    assert is_array_location(location) is inside


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    yield
    arrays_module._load.cache_clear()


def test_an_array_is_read_from_a_file_that_numpy_wrote_without_compression(tmp_path: Path) -> None:
    np.savez(tmp_path / "set.npz", images=grey()[None])
    np.testing.assert_array_equal(read_array(f"{tmp_path / 'set.npz'}::images/0"), grey())
    assert np.load(io.BytesIO((tmp_path / "set.npz").read_bytes()))["images"].shape == (1, HEIGHT, WIDTH)
