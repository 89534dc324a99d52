"""A file's bytes, read once and within bounds, and what kind of file they are."""

from __future__ import annotations

import os

from radlens.imaging.dicom.encoding import has_prefix, looks_like_dicom
from radlens.imaging.limits import DecodeLimits, Format, RefusedError, to_open
from radlens.imaging.regular_file import open_regular

_SIGNATURES: tuple[tuple[bytes, Format], ...] = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"BM", "BMP"),
)
# What tells a kind of file stands within its first bytes; of a DICOM file without prefix, its first elements.
HEAD_BYTES = 1024
_BITMAP_HEADERS = frozenset((12, 16, 40, 52, 56, 64, 108, 124))
_OTHER_KINDS = (
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"GIF8", "a GIF"),
    (b"\x00\x00\x00\x0cjP", "a JPEG 2000 picture outside DICOM"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 picture outside DICOM"),
    (b"\xff\x0a", "a JPEG XL picture"),
    (b"%!PS", "a PostScript document"),
    (b"version https://git-lfs", "a Git LFS pointer; fetch the file itself with 'git lfs pull'"),
)


def read_file(location: str, limits: DecodeLimits) -> bytes:
    """The whole content of a regular file.

    Raises:
        DecodeError: the file cannot be read, is empty, exceeds ``limits.max_bytes``, or changes while it is read.
    """
    with open_regular(location) as file:
        size = os.fstat(file.fileno()).st_size
        require_bytes(size, limits)
        content = file.read(size + 1)
        if len(content) != size:
            raise RefusedError(
                f"the file changed while it was read: {size:,} bytes before, {len(content):,} or more now"
            )
        return content


def require_bytes(size: int, limits: DecodeLimits) -> None:
    """Check the size of a file.

    Raises:
        RefusedError: it is empty or too large.
    """
    if size == 0:
        raise RefusedError("the file is empty")
    if size > limits.max_bytes:
        raise RefusedError(
            f"the file has {size:,} bytes; at most {limits.max_bytes:,} are read ({to_open('max_bytes', size)})"
        )


def format_of(content: bytes, limits: DecodeLimits) -> Format:
    """The format of a file, told by its content.

    Raises:
        RefusedError: it is not of a format that is opened.
    """
    form = _recognised(content)
    if form is None:
        raise RefusedError(f"{_other_kind(content)}; one of {', '.join(_pictures(limits))} was expected")
    if form not in limits.formats:
        raise RefusedError(f"the file is {form}; only {', '.join(_pictures(limits))} are opened (data.limits.formats)")
    return form


def begins_as_image(head: bytes) -> bool:
    r"""Whether a file that begins so is of a format that is opened, whatever its name.

    >>> begins_as_image(b"\xff\xd8\xff\xe0" + bytes(20)), begins_as_image(b"BMI by patient")
    (True, False)
    """
    form = _recognised(head)
    # Two letters tell a bitmap, which a text may begin with as well.
    return form is not None and (form != "BMP" or int.from_bytes(head[14:18], "little") in _BITMAP_HEADERS)


def other_kind(head: bytes) -> str:
    """What a file is that begins so and is not opened: ``a GIF``; empty where it is not known."""
    for signature, name in _OTHER_KINDS:
        if head.startswith(signature):
            return name
    return "a HEIC, AVIF or video file" if head[4:8] == b"ftyp" else ""


def _recognised(content: bytes) -> Format | None:
    if has_prefix(content):
        return "DICOM"
    for signature, form in _SIGNATURES:
        if content.startswith(signature):
            return form
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "WEBP"
    return "DICOM" if looks_like_dicom(content) else None


def _other_kind(content: bytes) -> str:
    if other_kind(content):
        return f"the file is {other_kind(content)}"
    beginning = content[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if beginning.startswith((b"<!doctype html", b"<html")):
        return "the file is a web page, perhaps what a download answered instead of the picture"
    if beginning.startswith((b"<svg", b"<?xml")):
        return "the file is XML or SVG"
    # A text could be of a patient, and is not repeated.
    begin = "text" if content[:8].isascii() and content[:8].decode().isprintable() else repr(content[:8])
    return f"no image of a known format: the file begins with {begin}"


def _pictures(limits: DecodeLimits) -> list[str]:
    return [form for form in limits.formats if form != "ARRAY"]
