"""What the format modules share: the camera's orientation, and the raw mode of Pillow's codecs."""

from __future__ import annotations

import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from radlens.imaging.formats.stored import orientation_of, with_raw_mode


@pytest.mark.parametrize("prefix", [b"", b"Exif\0\0"])
@pytest.mark.parametrize(("order", "mark"), [("<", b"II*\0"), (">", b"MM\0*")])
def test_the_tag_is_found_among_others(prefix: bytes, order: str, mark: bytes) -> None:
    entries = struct.pack(f"{order}HHII", 256, 4, 1, 99) + struct.pack(f"{order}HHIHH", 274, 3, 1, 8, 0)
    exif = prefix + mark + struct.pack(f"{order}IH", 8, 2) + entries + bytes(4)
    assert orientation_of(exif) == 8
    assert orientation_of(exif[:-17]) == 1, "cut short"


def test_what_pillow_writes_is_read() -> None:
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112], exif[0x010E] = orientation, "a description"
        assert orientation_of(exif.tobytes()) == orientation


@given(st.binary(max_size=200), st.sampled_from([b"", b"II*\0", b"MM\0*", b"Exif\0\0MM\0*"]))
def test_of_any_bytes_an_orientation_comes(content: bytes, prefix: bytes) -> None:
    assert 1 <= orientation_of(prefix + content) <= 8


def test_the_raw_mode_is_changed_and_the_codec_stays() -> None:
    buffer = io.BytesIO()
    Image.new("I;16", (4, 3), 5).save(buffer, "PNG")
    picture = PngImageFile(io.BytesIO(buffer.getvalue()))
    before = picture.tile[0]
    with_raw_mode(picture, lambda raw: raw.replace("B", "L"))
    assert picture.tile[0] == (*before[:3], "I;16L")
