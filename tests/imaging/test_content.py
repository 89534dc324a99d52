"""Files are read whole, once and within bounds; nothing but a regular file is; what they hold is told by content."""

from __future__ import annotations

import os
import socket
import sys
import threading
from pathlib import Path

import pytest

from radlens.imaging.content import format_of, read_file
from radlens.imaging.limits import DEFAULT_LIMITS, DecodeError, DecodeLimits, RefusedError
from radlens.imaging.regular_file import open_regular


def read(path: Path | str, max_bytes: int = 1000) -> bytes:
    return read_file(str(path), DecodeLimits(max_bytes=max_bytes))


NAMES = ["a.png", "Röntgen Bild 肺.jpeg", " leading and trailing ", "two\nlines.png", "'quoted'", "-x"]


@pytest.mark.parametrize("name", NAMES)
def test_a_file_of_any_name_is_read(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / name).write_bytes(b"content")
    assert read(tmp_path / name) == b"content"
    monkeypatch.chdir(tmp_path)
    assert read(name) == b"content"


def test_names_that_differ_in_case_only_are_two_files(tmp_path: Path) -> None:
    (tmp_path / "A.png").write_bytes(b"upper")
    (tmp_path / "a.png").write_bytes(b"lower")
    if len(list(tmp_path.iterdir())) == 1:
        pytest.skip("this file system does not tell upper from lower case")
    assert (read(tmp_path / "A.png"), read(tmp_path / "a.png")) == (b"upper", b"lower")


def test_a_file_name_that_is_no_unicode_is_read(tmp_path: Path) -> None:
    if sys.platform != "linux":
        pytest.skip("only Linux keeps such names")
    name = os.fsencode(tmp_path) + b"/caf\xe9.png"
    Path(os.fsdecode(name)).write_bytes(b"content")
    assert read(os.fsdecode(name)) == b"content"


def test_links_are_followed_and_circles_and_broken_ones_are_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "link").symlink_to("file")
    assert read(tmp_path / "link") == b"content"
    (tmp_path / "broken").symlink_to("nowhere")
    (tmp_path / "circle").symlink_to("circle")
    for name in ("broken", "circle", "missing", "file/below", "x" * 300, "nul\0byte"):
        with pytest.raises(DecodeError, match="cannot be read"):
            read(f"{tmp_path}/{name}")


def test_the_limit_on_bytes_holds_to_the_byte(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(1000))
    assert len(read(path)) == 1000
    path.write_bytes(bytes(1001))
    with pytest.raises(DecodeError, match=r"1,001 bytes; at most 1,000 are read .*data\.limits\.max_bytes=1001\)"):
        read(path)
    path.write_bytes(b"")
    with pytest.raises(DecodeError, match="the file is empty"):
        read(path)


def test_folders_pipes_sockets_and_devices_are_refused_at_once(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with socket.socket(socket.AF_UNIX) as listener:
        # A socket's path is short.
        place = Path(f"/tmp/radlens-{os.getpid()}.socket")
        listener.bind(str(place))
        try:
            cases = {tmp_path: "a folder", pipe: "a named pipe", place: "a socket", Path("/dev/zero"): "a device"}
            for path, kind in cases.items():
                with pytest.raises(DecodeError, match=f"the path is {kind}; a file was expected"):
                    read(path)
        finally:
            place.unlink()


def test_a_pipe_put_in_the_files_place_after_it_was_looked_at_does_not_hang(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    regular = tmp_path / "file"
    regular.write_bytes(b"content")
    looked_at = regular.stat()
    monkeypatch.setattr(Path, "stat", lambda _: looked_at)
    with pytest.raises(DecodeError, match="a named pipe"):
        read(pipe)


@pytest.mark.parametrize("change", ["grows", "shrinks"])
def test_a_file_that_changes_while_it_is_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(500))
    looked_at = path.stat()

    def then_changed(_: int) -> os.stat_result:
        path.write_bytes(bytes(900 if change == "grows" else 100))
        return looked_at

    monkeypatch.setattr("radlens.imaging.content.os.fstat", then_changed)
    with pytest.raises(DecodeError, match="changed while it was read: 500 bytes"):
        read(path)


def test_a_file_that_never_stops_growing_is_read_no_further_than_it_was_long(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"x" * 100)
    stop = threading.Event()

    def grow() -> None:
        with path.open("ab", buffering=0) as file:
            while not stop.wait(0.0001):
                file.write(b"x" * 50)

    writer = threading.Thread(target=grow)
    writer.start()
    outcomes: set[int | str] = set()
    try:
        for _ in range(20):
            try:
                outcomes |= set(read(path, 10**9))
            except DecodeError as error:
                outcomes.add(str(error).partition(" was read")[0])
    finally:
        stop.set()
        writer.join()
    assert outcomes <= {ord("x"), f"{path}: the file changed while it"}


def test_a_file_that_vanishes_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"content")
    opened = os.open

    def vanished(name: str, flags: int) -> int:
        path.unlink()
        return opened(name, flags)

    monkeypatch.setattr("radlens.imaging.content.os.open", vanished)
    with pytest.raises(DecodeError, match=r"file: the file cannot be read \(No such file or directory\)"):
        read(path)


def test_an_input_error_while_reading_is_said(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"content")
    with pytest.raises(DecodeError, match=r"cannot be read \(Input/output error\)"), open_regular(str(path)):
        raise OSError(5, "Input/output error")


def test_a_file_without_permission_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"content")
    path.chmod(0)
    if os.access(path, os.R_OK):
        # The administrator may read everything, so the refusal is played.
        def forbidden(*_: object) -> int:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr("radlens.imaging.content.os.open", forbidden)
    with pytest.raises(DecodeError, match=r"cannot be read \(Permission denied\)"):
        read(path)


@pytest.mark.parametrize(
    ("content", "form"),
    [
        (b"\xff\xd8\xff\xe0", "JPEG"),
        (b"\x89PNG\r\n\x1a\n", "PNG"),
        (b"II*\0", "TIFF"),
        (b"MM\0*", "TIFF"),
        (b"II+\0", "TIFF"),
        (b"MM\0+", "TIFF"),
        (b"BM", "BMP"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "WEBP"),
        (bytes(128) + b"DICM", "DICOM"),
        (b"II*\0" + bytes(124) + b"DICM", "DICOM"),
    ],
)
def test_formats_are_told_by_their_content(content: bytes, form: str) -> None:
    assert format_of(content, DEFAULT_LIMITS) == form
    others = tuple(one for one in DEFAULT_LIMITS.formats if one != form)
    with pytest.raises(RefusedError, match=f"the file is {form}; only .* are opened \\(data.limits.formats\\)"):
        format_of(content, DecodeLimits(formats=others))


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"<!DOCTYPE html><html>", "a web page"),
        (b"\xef\xbb\xbf\n  <HTML>", "a web page"),
        (b"<svg xmlns=''>", "XML or SVG"),
        (b"<?xml version='1.0'?>", "XML or SVG"),
        (b"%PDF-1.7", "a PDF document"),
        (b"PK\x03\x04", "a ZIP archive"),
        (b"\x1f\x8b\x08", "a gzip archive"),
        (b"GIF89a", "a GIF"),
        (b"%!PS-Adobe", "PostScript"),
        (b"\x00\x00\x00\x0cjP  \r\n", "JPEG 2000"),
        (b"\x00\x00\x00\x20ftypheic", "HEIC"),
        (b"version https://git-lfs.github.com/spec/v1", "git lfs pull"),
        (b"DOE^JANE, born 1947", "the file begins with text;"),
        (b"\x01\x02\x03", "begins with b'\\\\x01\\\\x02\\\\x03'"),
    ],
)
def test_strangers_are_named(content: bytes, name: str) -> None:
    with pytest.raises(RefusedError, match=rf"{name}.*JPEG, PNG.*expected"):
        format_of(content, DEFAULT_LIMITS)
