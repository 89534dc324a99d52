"""TIFF files made by hand, tag by tag."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from radlens.imaging.formats.stored import Stored
from radlens.imaging.formats.tiff import read_tiff
from radlens.imaging.limits import DEFAULT_LIMITS

HEIGHT, WIDTH = 19, 24
Tag = tuple[int, list[int]] | None
Order = Literal["<", ">"]
ORDERS: list[Order] = ["<", ">"]


def tiff(
    pixels: npt.NDArray[Any] | bytes,
    order: Order = "<",
    rows: int = 7,
    compress: Callable[[bytes], bytes] = bytes,
    big: bool = False,
    changed: Mapping[int, Tag] | None = None,
) -> bytes:
    """A TIFF in strips; ``changed`` adds, replaces or (None) drops tags by their numbers, with type and values."""
    array = pixels if isinstance(pixels, np.ndarray) else np.frombuffer(pixels, np.uint8).reshape(HEIGHT, -1)
    samples = array.shape[2] if array.ndim == 3 else 1
    kind = {"u": 1, "i": 2, "f": 3}[array.dtype.kind]
    stored = array.astype(array.dtype.newbyteorder(order))
    strips = [compress(stored[row : row + rows].tobytes()) for row in range(0, len(stored), rows)]
    start = 16 if big else 8
    offsets = [start + sum(map(len, strips[:number])) for number in range(len(strips))]
    bits = array.dtype.itemsize * 8
    tags: dict[int, Tag] = {
        256: (4, [array.shape[1]]),
        257: (4, [array.shape[0]]),
        258: (3, [bits] * samples),
        259: (3, [1 if compress is bytes else 8]),
        262: (3, [2 if samples >= 3 else 1]),
        273: (4, offsets),
        277: (3, [samples]),
        278: (4, [rows]),
        279: (4, [len(strip) for strip in strips]),
        339: (3, [kind] * samples),
    }
    tags |= changed or {}
    present = {tag: value for tag, value in sorted(tags.items()) if value is not None}
    data = b"".join(strips)
    place = start + len(data)
    head = struct.calcsize(f"{order}Q" if big else f"{order}H") + (20 if big else 12) * len(present) + (8 if big else 4)
    entries, extra = b"", b""
    for tag, (kind, values) in present.items():
        packed = struct.pack(f"{order}{len(values)}{ {1: 'B', 3: 'H', 4: 'I', 16: 'Q'}[kind] }", *values)
        entries += struct.pack(f"{order}HH{'Q' if big else 'I'}", tag, kind, len(values))
        width = 8 if big else 4
        if len(packed) <= width:
            entries += packed.ljust(width, b"\0")
        else:
            entries += struct.pack(f"{order}{'Q' if big else 'I'}", place + head + len(extra))
            extra += packed
    mark = b"II" if order == "<" else b"MM"
    if big:
        header = mark + struct.pack(f"{order}HHHQ", 43, 8, 0, place)
        return header + data + struct.pack(f"{order}Q", len(present)) + entries + bytes(8) + extra
    header = mark + struct.pack(f"{order}HI", 42, place)
    return header + data + struct.pack(f"{order}H", len(present)) + entries + bytes(4) + extra


def values(kind: str, channels: int | None = None) -> npt.NDArray[Any]:
    """Every bit of every sample matters."""
    rng = np.random.default_rng(1)
    shape = (HEIGHT, WIDTH) if channels is None else (HEIGHT, WIDTH, channels)
    if kind == "f4":
        return rng.normal(0, 1000, shape).astype(np.float32)
    info = np.iinfo(kind)
    return rng.integers(info.min, info.max, shape, dtype=kind, endpoint=True)


def read(content: bytes) -> Stored:
    """By radlens, within the limits that hold by default."""
    return read_tiff(content, DEFAULT_LIMITS)
