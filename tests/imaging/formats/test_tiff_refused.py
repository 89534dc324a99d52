"""TIFF files that are cut short, lie in their directory or would inflate to too much."""

from __future__ import annotations

import zlib
from collections.abc import Callable

import pytest

from made_tiff import HEIGHT, ORDERS, Order, Tag, read, tiff, values
from radlens.imaging.formats.tiff import read_tiff
from radlens.imaging.limits import DamagedError, DecodeLimits, RefusedError


@pytest.mark.parametrize("kind", ["u1", "u2"])
@pytest.mark.parametrize("compress", [bytes, zlib.compress])
def test_a_picture_cut_short_is_refused(kind: str, compress: Callable[[bytes], bytes]) -> None:
    content = tiff(values(kind), compress=compress)
    for tenth in range(1, 10):
        with pytest.raises(RefusedError):
            read(content[: len(content) * tenth // 10])


@pytest.mark.parametrize("order", ORDERS)
def test_strips_outside_the_file_are_refused(order: Order) -> None:
    for compress in (bytes, zlib.compress):
        content = tiff(values("u1"), order, rows=HEIGHT, compress=compress, changed={273: (4, [1_000_000])})
        with pytest.raises(DamagedError, match=r"truncated|decoder error"):
            read(content)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({256: (4, [0])}, "0 x 19 pixels"),
        ({256: (4, [2**32 - 1]), 257: (4, [2**32 - 1])}, "on a side"),
        ({256: (4, [60000]), 257: (4, [60000])}, "100,000,000 are opened"),
        ({256: (4, [9000]), 257: (4, [9000])}, "cut short"),
        ({256: None}, "lacks tag 256"),
        ({262: None}, "lacks tag 262"),
        ({273: None}, "0 strips or tiles; 3 were expected"),
        ({273: (4, [8])}, "1 strips or tiles; 3 were expected"),
        ({278: (4, [1])}, "3 strips or tiles; 19 were expected"),
        ({273: (4, [8] * 200_001)}, "200,001 values"),
        ({258: (3, [8] * 17)}, "17 values"),
        ({258: (3, [7])}, "not read"),
        ({258: (3, [64]), 339: (3, [3])}, "not read"),
        ({339: (3, [2])}, "not read"),
        ({262: (3, [8])}, "not read"),
        ({262: (3, [6])}, "not read"),
        ({277: (3, [40])}, "not read"),
        ({259: (3, [34925])}, "compression 34925"),
        ({259: (3, [6])}, "compression 6"),
        ({262: (3, [3])}, "palette of 0 values"),
        ({262: (3, [3]), 320: (3, [1] * 9)}, "palette of 9 values"),
        ({322: (4, [2**31]), 323: (4, [16]), 324: (4, [8])}, "on a side"),
        ({317: (4, [2**16])}, "tag 317 of the TIFF holds 65,536"),
        ({322: (4, [0]), 323: (4, [16]), 324: (4, [8])}, "tiles of 0 x 16"),
    ],
)
def test_directories_that_lie_are_refused_before_memory_is_spent(
    monkeypatch: pytest.MonkeyPatch, changed: dict[int, Tag], message: str
) -> None:
    monkeypatch.setattr("radlens.imaging.formats.tiff.TiffImageFile", lambda _: pytest.fail("Pillow was asked"))
    with pytest.raises(RefusedError, match=message):
        read(tiff(values("u1"), changed=changed))


@pytest.mark.parametrize("content", [b"II*\0", b"MM\0*\0\0\0\x08", b"II*\0\xff\xff\xff\xff", b"II+\0" + b"\xff" * 20])
def test_files_without_a_directory_are_refused(content: bytes) -> None:
    with pytest.raises(RefusedError, match="cut short"):
        read(content)


def test_a_bomb_of_zeros_is_refused_by_what_it_would_inflate_to() -> None:
    # 81 million 16-bit pixels in 160 KB: within the limit on pixels, beyond one set on bytes.
    strip = zlib.compress(bytes(9000 * 9000 * 2), 9)
    changed: dict[int, Tag] = {
        256: (4, [9000]),
        257: (4, [9000]),
        278: (4, [9000]),
        273: (4, [8]),
        279: (4, [len(strip)]),
        258: (3, [16]),
        259: (3, [8]),
    }
    content = tiff(strip + bytes(-len(strip) % HEIGHT), changed=changed)
    with pytest.raises(RefusedError, match="max_inflated"):
        read_tiff(content, DecodeLimits(max_inflated=100_000_000))
