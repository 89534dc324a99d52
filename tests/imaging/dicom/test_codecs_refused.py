"""Compressed frames that lie, are damaged or have no decoder: refused, and nothing else comes of them."""

from __future__ import annotations

import contextlib
import struct
import sys
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.encaps import encapsulate
from pydicom.uid import RLELossless

from made_codestreams import (
    ALL_FORMS,
    BASELINE,
    COLOURS,
    HTJ2K,
    J2K,
    J2K_LOSSLESS,
    LOSSLESS,
    LOSSLESS_FORMS,
    LS,
    LS_NEAR,
    RNG,
    VALUES8,
    VALUES12,
    imagecodecs,
    jpeg_2000,
    jpeg_lossless,
    jpeg_ls,
)
from radlens.base.errors import RadlensError
from radlens.imaging.dicom.picture import decode_dicom
from radlens.imaging.limits import DecodeError


@pytest.mark.parametrize(
    "frame", [bytes(10), struct.pack("<16L", 3, *[0] * 15), struct.pack("<16L", 2, 64, 9, *[0] * 13)]
)
def test_a_damaged_run_length_header_is_refused(frame: bytes, dicom: Any) -> None:
    with pytest.raises(DecodeError, match="run-length"):
        dicom.shown(dicom.compressed(frame + bytes(2), RLELossless, VALUES12, 12))


@pytest.mark.parametrize("runs", [1, 22, 26, 4000])
def test_run_lengths_that_come_to_another_size_are_refused(runs: int, dicom: Any) -> None:
    # 24 runs of 128 make the 3,072 pixels; the last would be a bomb.
    frame = struct.pack("<16L", 1, 64, *[0] * 14) + b"\x81\x07" * runs
    with pytest.raises(DecodeError, match=r"run-length segment comes to|OUTPUT_TOO_SMALL"):
        dicom.shown(dicom.compressed(frame, RLELossless, VALUES8, 8))


def test_two_frames_where_one_is_declared_are_refused(dicom: Any) -> None:
    frame = jpeg_2000(VALUES12)
    made = dicom.compressed(frame, J2K_LOSSLESS, VALUES12, 12)
    made.PixelData = encapsulate([frame, frame])
    with pytest.raises(DecodeError, match="hold 2 frames"):
        dicom.shown(made)


def test_more_pieces_than_any_frame_has_are_refused(dicom: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("radlens.imaging.dicom.pixels.MAX_FRAGMENTS", 10)
    made = dicom.compressed(b"", J2K_LOSSLESS, VALUES12, 12)
    made.PixelData = struct.pack("<HHL", 0xFFFE, 0xE000, 0) * 20
    with pytest.raises(DecodeError, match="in more than 10 pieces"):
        dicom.shown(made)
    made.PixelData = struct.pack("<HHL", 0xFFFE, 0xE000, 0)
    with pytest.raises(DecodeError, match="hold no frame"):
        dicom.shown(made)


@pytest.mark.parametrize("form", sorted(ALL_FORMS))
@pytest.mark.parametrize("declared", [(47, 64), (49, 64), (48, 63), (64, 48), (9000, 9000)])
def test_a_codestream_of_another_size_than_declared_is_refused_before_it_is_decoded(
    form: str, declared: tuple[int, int], dicom: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    syntax, encode = ALL_FORMS[form]
    made = dicom.compressed(encode(VALUES12), syntax, VALUES12, 12, Rows=declared[0], Columns=declared[1])
    for name in ("jpeg8_decode", "jpegls_decode", "jpeg2k_decode"):
        monkeypatch.setattr(imagecodecs, name, lambda *_, **__: pytest.fail("the frame was decoded"))
    with pytest.raises(DecodeError, match="the compressed data 64 x 48 of 1"):
        dicom.shown(made)


@pytest.mark.parametrize("form", sorted(LOSSLESS_FORMS))
def test_a_codestream_of_colours_is_no_grey_one(form: str, dicom: Any) -> None:
    syntax, encode = LOSSLESS_FORMS[form]
    with pytest.raises(DecodeError, match="of 3"):
        dicom.shown(dicom.compressed(encode(COLOURS), syntax, VALUES8, 8))


@pytest.mark.parametrize("form", sorted(ALL_FORMS))
@pytest.mark.parametrize("tenth", range(10))
def test_a_frame_cut_short_is_refused(form: str, tenth: int, dicom: Any) -> None:
    syntax, encode = ALL_FORMS[form]
    frame = encode(VALUES12)
    frame = frame[: len(frame) * tenth // 10 // 2 * 2]
    with pytest.raises(DecodeError):
        dicom.shown(dicom.compressed(frame, syntax, VALUES12, 12))


@pytest.mark.parametrize("syntax", [BASELINE, LS, J2K_LOSSLESS, HTJ2K, RLELossless])
def test_rubbish_is_refused(syntax: str, dicom: Any) -> None:
    with pytest.raises(DecodeError):
        dicom.shown(dicom.compressed(RNG.bytes(4000), syntax, VALUES12, 12))


@pytest.mark.parametrize("syntax", [LS, LS_NEAR])
def test_a_jpeg_is_no_jpeg_ls_and_the_other_way_round(syntax: str, dicom: Any) -> None:
    with pytest.raises(DecodeError, match="not of the form that the transfer syntax names"):
        dicom.shown(dicom.compressed(jpeg_lossless(VALUES12), syntax, VALUES12, 12))
    with pytest.raises(DecodeError, match="not of the form that the transfer syntax names"):
        dicom.shown(dicom.compressed(jpeg_ls(VALUES12), LOSSLESS, VALUES12, 12))


def test_a_progressive_jpeg_is_not_a_form_of_dicom(dicom: Any) -> None:
    from io import BytesIO

    from PIL import Image

    buffer = BytesIO()
    Image.fromarray(VALUES8).save(buffer, "JPEG", progressive=True)
    with pytest.raises(DecodeError, match="process SOF2 is not read"):
        dicom.shown(dicom.compressed(buffer.getvalue(), BASELINE, VALUES8, 8))


def test_a_jpeg_of_many_scans_is_refused(dicom: Any) -> None:
    frame = imagecodecs.jpeg8_encode(VALUES8, level=90)
    made = dicom.compressed(
        frame[:-2] + b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00" * 20 + frame[-2:], BASELINE, VALUES8, 8
    )
    with pytest.raises(DecodeError, match="more than 8 scans"):
        dicom.shown(made)


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (b"\xff\xd8" + b"\xff\xe0\0\2" * 5000, "does not say how large"),
        (b"\xff\xd8\xff\xe0\0\1" + bytes(20), "header is damaged or cut short"),
        (b"\xff\xd8\xff\xc0\0\x08\x08\0\x30\0\x40\1", "does not say how large"),
        (b"\xff\xd8\xff\xc0\0\x0b\x08\0\x30\0\x40\1\1\x11\0", "has no end"),
        (b"\xff\xd8\xff\xc3\0\x0b\x11\0\x30\0\x40\1\1\x11\0\xff\xd9", "17 bits are not read"),
    ],
)
def test_a_jpeg_header_that_says_too_little_is_refused(frame: bytes, message: str, dicom: Any) -> None:
    with pytest.raises(DecodeError, match=message):
        dicom.shown(dicom.compressed(frame, BASELINE, VALUES12, 12))


@pytest.mark.parametrize(("place", "value"), [(42, 0x92), (43, 2), (44, 2)])
def test_samples_of_jpeg_2000_of_another_form_are_refused(place: int, value: int, dicom: Any) -> None:
    frame = bytearray(jpeg_2000(VALUES12))
    frame[place] = value
    with pytest.raises(DecodeError, match=r"19 bits are not read|differ in precision or in size"):
        dicom.shown(dicom.compressed(bytes(frame), J2K, VALUES12, 12))


def test_an_interpretation_of_jpeg_2000_does_not_go_with_another_form(dicom: Any) -> None:
    for syntax, encode in ((LS, jpeg_ls), (LOSSLESS, jpeg_lossless)):
        made = dicom.compressed(encode(COLOURS), syntax, COLOURS, 8, PhotometricInterpretation="YBR_RCT")
        with pytest.raises(DecodeError, match="belongs to JPEG 2000"):
            dicom.shown(made)


@pytest.mark.parametrize("uid", ["1.2.840.10008.1.2.4.100", "1.2.840.10008.1.2.4.94", "1.2.840.113619.5.2"])
def test_a_form_without_decoder_is_refused(uid: str, dicom: Any) -> None:
    made = dicom.compressed(jpeg_2000(VALUES12), J2K_LOSSLESS, VALUES12, 12)
    content = dicom.content(made).replace(
        J2K_LOSSLESS.encode().ljust(24, b"\0")[:22], uid.encode().ljust(22, b"\0")[:22]
    )
    with pytest.raises(DecodeError, match=r"transfer syntax .*no decoder"):
        dicom.shown(content)


def test_compressed_pixels_in_an_uncompressed_syntax_are_refused(dicom: Any) -> None:
    made = dicom.compressed(jpeg_2000(VALUES12), J2K_LOSSLESS, VALUES12, 12)
    content = dicom.content(made).replace(J2K_LOSSLESS.encode(), b"1.2.840.10008.1.2.1\0\0\0")
    with pytest.raises(DecodeError, match="the pixel data are compressed, but the transfer syntax"):
        dicom.shown(content)


def test_without_imagecodecs_the_command_that_installs_it_is_said(dicom: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    content = dicom.content(dicom.compressed(jpeg_2000(VALUES12), J2K_LOSSLESS, VALUES12, 12))
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    with pytest.raises(RadlensError, match=r'pip install "radlens\[dicom\]"') as caught:
        decode_dicom("x.dcm", content)
    assert not isinstance(caught.value, DecodeError), "every file would be rejected one by one"
    dicom.shown(dicom.dataset())


FRAMES = {name: encode(VALUES12[:16, :16]) for name, (_, encode) in ALL_FORMS.items()}


@pytest.mark.parametrize("form", sorted(ALL_FORMS))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=6))
def test_of_a_damaged_frame_nothing_but_a_decode_error_escapes(
    form: str, dicom: Any, changes: list[tuple[float, int]]
) -> None:
    damaged = bytearray(FRAMES[form])
    for place, value in changes:
        damaged[int(place * len(damaged))] = value
    content = dicom.content(dicom.compressed(bytes(damaged), ALL_FORMS[form][0], VALUES12[:16, :16], 12))
    with contextlib.suppress(DecodeError):
        assert decode_dicom("x", content)[0].size == (16, 16)
