"""The directory of a TIFF: the few tags that decide how its first picture is decoded, read within bounds."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from radlens.imaging.limits import RefusedError

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER = 256, 257, 258, 259, 262, 266
STRIP_OFFSETS, ORIENTATION, SAMPLES, ROWS_PER_STRIP, STRIP_BYTES, MAX_SAMPLE = 273, 274, 277, 278, 279, 281
PLANAR, T4_OPTIONS, T6_OPTIONS, PREDICTOR, COLOUR_MAP = 284, 292, 293, 317, 320
TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_BYTES = 322, 323, 324, 325
EXTRA_SAMPLES, SAMPLE_FORMAT, S_MAX_SAMPLE, JPEG_TABLES, YCBCR_SUBSAMPLING = 338, 339, 341, 347, 530

_READ = {
    *(WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER, STRIP_OFFSETS, ORIENTATION, SAMPLES),
    *(ROWS_PER_STRIP, STRIP_BYTES, MAX_SAMPLE, PLANAR, T4_OPTIONS, T6_OPTIONS, PREDICTOR, COLOUR_MAP, TILE_WIDTH),
    *(TILE_HEIGHT, TILE_OFFSETS, TILE_BYTES, EXTRA_SAMPLES, SAMPLE_FORMAT, S_MAX_SAMPLE, JPEG_TABLES),
    YCBCR_SUBSAMPLING,
}
_LONG = {
    *(WIDTH, HEIGHT, STRIP_OFFSETS, ROWS_PER_STRIP, STRIP_BYTES, T4_OPTIONS, T6_OPTIONS),
    *(TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_BYTES),
}
# The unsigned whole numbers by their TIFF type; 7 is a run of bytes.
_TYPES = {1: "B", 3: "H", 4: "I", 7: "B", 16: "Q"}
# Most strips or tiles: a strip for each row of each channel, and more.
_MAX_PIECES = 200_000
_MAX_VALUES = {
    **dict.fromkeys((STRIP_OFFSETS, STRIP_BYTES, TILE_OFFSETS, TILE_BYTES), _MAX_PIECES),
    COLOUR_MAP: 3 * 256,
    JPEG_TABLES: 65_535,
}
_MAX_VALUES_ELSE = 16


@dataclass(frozen=True)
class Directory:
    """The tags of the first picture of a file.

    Attributes:
        order: ``<`` or ``>``, the byte order.
        tags: the values by tag.
    """

    order: str
    tags: dict[int, tuple[int, ...]]

    def first(self, tag: int, default: int | None = None) -> int:
        """The first value of a tag.

        Raises:
            RefusedError: the tag is absent and there is no default.
        """
        values = self.tags.get(tag)
        if values:
            return values[0]
        if default is None:
            raise RefusedError(f"the TIFF lacks tag {tag}, without which it cannot be decoded")
        return default


def read_directory(content: bytes) -> Directory:
    """Read the tags that matter of the first picture.

    Raises:
        RefusedError: the directory lies outside the file, or a tag has absurdly many values.
    """
    order = "<" if content[:2] == b"II" else ">"
    big = 43 in content[2:4]
    offset, counter = ("Q", "Q") if big else ("I", "H")
    tags: dict[int, tuple[int, ...]] = {}
    try:
        (start,) = struct.unpack_from(f"{order}{offset}", content, 8 if big else 4)
        (count,) = struct.unpack_from(f"{order}{counter}", content, start)
        begin, size = start + struct.calcsize(counter), 20 if big else 12
        for place in range(begin, begin + size * min(count, 0x10000), size):
            tag, kind = struct.unpack_from(f"{order}HH", content, place)
            if tag in _READ and tag not in tags and kind in _TYPES:
                tags[tag] = _values(content, tag, f"{order}{{}}{_TYPES[kind]}", f"{order}{offset}", place + 4)
    except (struct.error, OverflowError):
        raise RefusedError("the TIFF ends before its directory, or a tag lies outside it: it is cut short") from None
    return Directory(order, tags)


def _values(content: bytes, tag: int, form: str, offset: str, place: int) -> tuple[int, ...]:
    """The values of a tag whose count stands at a place; they follow it, or an offset to them does."""
    width = struct.calcsize(offset)
    (count,) = struct.unpack_from(offset, content, place)
    if count > _MAX_VALUES.get(tag, _MAX_VALUES_ELSE):
        raise RefusedError(f"tag {tag} of the TIFF has {count:,} values")
    place += width
    if struct.calcsize(form.format(count)) > width:
        (place,) = struct.unpack_from(offset, content, place)
    return struct.unpack_from(form.format(count), content, place)


def with_directory(content: bytes, directory: Directory) -> bytes:
    """The same pixel data as a plain TIFF with another directory and its byte order, and no further picture.

    Raises:
        RefusedError: a value is too large for its tag.
    """
    order = directory.order
    start = len(content) + len(content) % 2
    values_start = start + 2 + 12 * len(directory.tags) + 4
    entries, values = [], b""
    for tag in sorted(directory.tags):
        numbers = directory.tags[tag]
        kind = 7 if tag == JPEG_TABLES else 4 if tag in _LONG else 3
        largest = (1 << 8 * struct.calcsize(f"={_TYPES[kind]}")) - 1
        if max(numbers) > largest:
            raise RefusedError(f"tag {tag} of the TIFF holds {max(numbers):,}; at most {largest:,} was expected")
        packed = struct.pack(f"{order}{len(numbers)}{_TYPES[kind]}", *numbers)
        if len(packed) > 4:
            place = struct.pack(f"{order}I", values_start + len(values))
            values += packed + bytes(len(packed) % 2)
        else:
            place = packed.ljust(4, b"\0")
        entries.append(struct.pack(f"{order}HHI", tag, kind, len(numbers)) + place)
    header = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, start)
    head = struct.pack(f"{order}H", len(entries)) + b"".join(entries) + bytes(4)
    # The header of a BigTIFF is longer; what it had more is left in place, since offsets count from the beginning.
    return b"".join([header, content[len(header) :], bytes(len(content) % 2), head, values])
