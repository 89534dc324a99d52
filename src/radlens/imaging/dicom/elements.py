"""Chosen elements of a DICOM header, read from the file's beginning in bounded time and memory.

pydicom reads headers too, and the tests hold this reader against it. It is not used here because it builds every item
of every sequence (85 bytes of memory for a byte of file), inflates deflated files whole, and warns with the very values
that must not be said aloud. This reader keeps the few short values that it is asked for, skips the rest, and is silent.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple, Protocol

from radlens.imaging.dicom.file import BIG_ENDIAN, DEFLATED, MAGIC, PREAMBLE, looks_like_dicom

MAX_VALUE = 4096
MAX_ELEMENTS = 100_000
MAX_DEPTH = 1000
MAX_INFLATED = 32 * 2**20

_TRANSFER_SYNTAX = 0x00020010
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_UNDEFINED = 0xFFFFFFFF
# These value representations have a length of 32 bits, the others of 16 (DICOM PS3.5 7.1.2).
_LONG = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"})
_CHUNK = 1 << 14
_RECOGNISED = 4096

# A tag at the top of the header; or a sequence and a tag in its items, of which the first that has it counts.
Place = tuple[int] | tuple[int, int]
CHARACTER_SET: Place = (0x00080005,)


@dataclass(frozen=True)
class Elements:
    """The values found, as they are stored, and the byte order of numbers (``<`` or ``>``)."""

    values: dict[Place, bytes]
    order: str

    def text(self, place: Place) -> str:
        """A value as text in the file's character set, without padding; empty where it was not found."""
        value = self.values.get(place, b"")
        # Most text is ASCII in every set; without escapes (ISO 2022) what is valid UTF-8 is nothing else.
        try:
            text = value.decode("utf-8" if b"\x1b" not in value else self._encoding())
        except UnicodeDecodeError:
            text = value.decode(self._encoding(), "replace")
        return text.replace("\0", " ").strip()

    def number(self, place: Place) -> int | None:
        """A whole number of 16 bits (US); None where it was not found."""
        value = self.values.get(place, b"")
        return int(struct.unpack(f"{self.order}H", value)[0]) if len(value) == 2 else None

    def _encoding(self) -> str:
        from pydicom.charset import python_encoding

        sets = self.values.get(CHARACTER_SET, b"").decode("ascii", "replace").split("\\")
        named = [python_encoding[part.strip()] for part in sets if part.strip() in python_encoding]
        return str(named[-1]) if named else "latin-1"


def read_elements(file: BinaryIO, wanted: Collection[Place]) -> Elements | None:
    """Read the wanted elements; None for a file that is no DICOM, with or without the preamble.

    Looked at are at most ``MAX_ELEMENTS`` elements and, of a deflated file, ``MAX_INFLATED`` bytes; a value longer than
    ``MAX_VALUE`` bytes counts as missing. What is damaged ends the reading; what came before it counts.

    Raises:
        OSError: the file cannot be read.
    """
    begin = file.read(_RECOGNISED)
    if not looks_like_dicom(begin):
        return None
    file.seek(PREAMBLE + len(MAGIC) if begin[PREAMBLE : PREAMBLE + len(MAGIC)] == MAGIC else 0)
    syntax, begin = _file_meta(file)
    stream: _Stream = _Plain(file)
    if syntax == DEFLATED:
        file.seek(-len(begin), 1)
        stream = _Inflated(file)
        begin = stream.read(8)
    # Where the syntax is not named: a group above 03FF this early is one below 0100 in the other byte order.
    misread = not syntax and int.from_bytes(begin[:2], "little") >= 0x0400
    order = ">" if syntax == BIG_ENDIAN or misread else "<"
    values: dict[Place, bytes] = {}
    for place, value in _walk(_PutBack(begin, stream), order, begin[4:6].isalpha(), frozenset(wanted)):
        values.setdefault(place, value)
    return Elements(values, order)


class _Stream(Protocol):
    """Bytes that are read or skipped in order; fewer than asked for at the end."""

    def read(self, count: int, /) -> bytes: ...

    def skip(self, count: int, /) -> None: ...


class _Plain:
    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def read(self, count: int) -> bytes:
        return self._file.read(count)

    def skip(self, count: int) -> None:
        self._file.seek(count, 1)


class _Inflated:
    """The beginning of a deflated stream, inflated piece by piece; the bound counts as its end."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        self._ready = b""
        self._left = MAX_INFLATED

    def read(self, count: int) -> bytes:
        while len(self._ready) < count and (more := self._more()):
            self._ready += more
        wanted, self._ready = self._ready[:count], self._ready[count:]
        return wanted

    def skip(self, count: int) -> None:
        while len(self._ready) < count:
            count -= len(self._ready)
            self._ready = self._more()
            if not self._ready:
                return
        self._ready = self._ready[count:]

    def _more(self) -> bytes:
        piece = b""
        while not piece and self._left > 0 and not self._inflater.eof:
            packed = self._inflater.unconsumed_tail or self._file.read(_CHUNK)
            if not packed:
                break
            try:
                piece = self._inflater.decompress(packed, min(_CHUNK, self._left))
            except zlib.error:
                break
        self._left -= len(piece)
        return piece


class _PutBack:
    """A stream with some bytes put back before it."""

    def __init__(self, begin: bytes, stream: _Stream) -> None:
        self._begin = begin
        self._stream = stream

    def read(self, count: int) -> bytes:
        if not self._begin:
            return self._stream.read(count)
        begin, self._begin = self._begin[:count], self._begin[count:]
        return begin + self._stream.read(count - len(begin)) if len(begin) < count else begin

    def skip(self, count: int) -> None:
        kept = len(self._begin)
        self._begin = self._begin[count:]
        if count > kept:
            self._stream.skip(count - kept)


class _Head(NamedTuple):
    """What stands before a value."""

    tag: int
    kind: bytes
    length: int
    size: int


def _file_meta(file: BinaryIO) -> tuple[str, bytes]:
    """The transfer syntax, and the first eight bytes after the file meta information, which is always explicit."""
    syntax, stream = "", _Plain(file)
    for _ in range(MAX_ELEMENTS):
        begin = file.read(8)
        if begin[:2] != b"\2\0":
            return syntax, begin
        head = _next(_PutBack(begin, stream), "<", explicit=True)
        if head is None or head.length == _UNDEFINED:
            break
        if head.tag == _TRANSFER_SYNTAX and head.length <= MAX_VALUE:
            syntax = file.read(head.length).decode("ascii", "replace").strip(" \0")
        else:
            stream.skip(head.length)
    return syntax, b""


def _next(stream: _Stream, order: str, *, explicit: bool) -> _Head | None:
    """Read what stands before the next value; None at the end."""
    begin = stream.read(8)
    if len(begin) < 8:
        return None
    group, element, length = struct.unpack(f"{order}HHL", begin)
    tag, kind = group << 16 | element, begin[4:6]
    # Items have no value representation; and some writers put implicit elements among explicit ones.
    if not explicit or group == 0xFFFE or not (kind.isalpha() and kind.isupper()):
        return _Head(tag, b"", length, 8)
    if kind not in _LONG:
        return _Head(tag, kind, struct.unpack(f"{order}H", begin[6:])[0], 8)
    more = stream.read(4)
    return _Head(tag, kind, struct.unpack(f"{order}L", more)[0], 12) if len(more) == 4 else None


def _walk(stream: _Stream, order: str, explicit: bool, wanted: frozenset[Place]) -> Iterator[tuple[Place, bytes]]:
    """Yield the wanted elements in the order of the file.

    Sequences are walked through as they come, with the open ones on a stack: nesting needs no recursion, and what lies
    inside them no memory.
    """
    last = max(place[0] for place in wanted)
    entered = {place[0] for place in wanted if len(place) == 2}
    # What is open: its tag, where it ends (None: at its delimiter), and whether its elements are explicit.
    opened: list[tuple[int, int | None, bool]] = []
    at = 0
    for _ in range(MAX_ELEMENTS):
        while opened and (end := opened[-1][1]) is not None and at >= end:
            opened.pop()
        explicit_here = opened[-1][2] if opened else explicit
        head = _next(stream, order, explicit=explicit_here)
        if head is None or (not opened and head.tag > last) or len(opened) > MAX_DEPTH:
            return
        tag, kind, length, size = head
        at += size
        if tag in (_ITEM_END, _SEQUENCE_END):
            if opened:
                opened.pop()
            continue
        entering = tag in entered if not opened else tag == _ITEM and len(opened) == 1 and opened[0][0] in entered
        if entering or length == _UNDEFINED:
            # A sequence of unknown representation and undefined length holds implicit elements (PS3.5 6.2.2).
            end = None if length == _UNDEFINED else at + length
            opened.append((tag, end, explicit_here and kind != b"UN"))
            continue
        place: Place | None = None
        if not opened:
            place = (tag,)
        elif len(opened) == 2 and opened[1][0] == _ITEM:
            place = (opened[0][0], tag)
        if place in wanted and length <= MAX_VALUE:
            yield place, stream.read(length)
        else:
            stream.skip(length)
        at += length
