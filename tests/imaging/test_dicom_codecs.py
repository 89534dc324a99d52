"""Compressed frames: every form by an encoder of its own, lies of the codestream, and damage."""

from __future__ import annotations

import contextlib
import struct
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.encaps import encapsulate, get_frame
from pydicom.uid import RLELossless

from radlens.errors import RadlensError
from radlens.imaging.dicom import decode_dicom
from radlens.imaging.limits import DecodeError

imagecodecs = pytest.importorskip("imagecodecs", reason="imagecodecs is not installed (radlens[dicom])")

UID = "1.2.840.10008.1.2.4."
BASELINE, EXTENDED, LOSSLESS, LOSSLESS_SV1 = (UID + number for number in ("50", "51", "57", "70"))
LS, LS_NEAR, J2K_LOSSLESS, J2K = (UID + number for number in ("80", "81", "90", "91"))
HTJ2K_LOSSLESS, HTJ2K_RPCL, HTJ2K = (UID + number for number in ("201", "202", "203"))

RNG = np.random.default_rng(7)
SMOOTH = np.add.outer(np.arange(48) * 40, np.arange(64) * 25)
VALUES12 = (SMOOTH + RNG.integers(0, 60, SMOOTH.shape)).clip(0, 4095).astype(np.uint16)
VALUES8 = (VALUES12 >> 4).astype(np.uint8)
COLOURS = np.stack([VALUES8, VALUES8[::-1], VALUES8[:, ::-1]], axis=2)

Encoder = Callable[[npt.NDArray[np.generic]], bytes]


def jpeg12(values: npt.NDArray[np.generic]) -> bytes:
    return bytes(imagecodecs.jpeg8_encode(values, level=100, bitspersample=12))


def jpeg_lossless(values: npt.NDArray[np.generic]) -> bytes:
    return bytes(imagecodecs.jpeg8_encode(values, lossless=True, bitspersample=8 * values.dtype.itemsize))


def jpeg_ls(values: npt.NDArray[np.generic]) -> bytes:
    return bytes(imagecodecs.jpegls_encode(values))


def jpeg_ls_near(values: npt.NDArray[np.generic]) -> bytes:
    return bytes(imagecodecs.jpegls_encode(values, level=2))


def jpeg_2000(values: npt.NDArray[np.generic]) -> bytes:
    return bytes(imagecodecs.jpeg2k_encode(values, codecformat="j2k", level=0, mct=False))


def jpeg_2000_lossy(values: npt.NDArray[np.generic]) -> bytes:
    return bytes(imagecodecs.jpeg2k_encode(values, codecformat="j2k", level=85, reversible=False))


def htj2k(values: npt.NDArray[np.generic]) -> bytes:
    return bytes(imagecodecs.htj2k_encode(values, reversible=True))


def htj2k_lossy(values: npt.NDArray[np.generic]) -> bytes:
    return bytes(imagecodecs.htj2k_encode(values, reversible=False))


LOSSLESS_FORMS: dict[str, tuple[str, Encoder]] = {
    "JPEG lossless": (LOSSLESS_SV1, jpeg_lossless),
    "JPEG lossless process 14": (LOSSLESS, jpeg_lossless),
    "JPEG-LS": (LS, jpeg_ls),
    "JPEG-LS in the near syntax": (LS_NEAR, jpeg_ls),
    "JPEG 2000": (J2K_LOSSLESS, jpeg_2000),
    "JPEG 2000 in the lossy syntax": (J2K, jpeg_2000),
    "HTJ2K": (HTJ2K_LOSSLESS, htj2k),
    "HTJ2K RPCL": (HTJ2K_RPCL, htj2k),
    "HTJ2K in the lossy syntax": (HTJ2K, htj2k),
}
LOSSY_FORMS: dict[str, tuple[str, Encoder]] = {
    "JPEG extended": (EXTENDED, jpeg12),
    "JPEG-LS near": (LS_NEAR, jpeg_ls_near),
    "JPEG 2000": (J2K, jpeg_2000_lossy),
    "HTJ2K": (HTJ2K, htj2k_lossy),
}
VIEW = {"WindowCenter": 2048, "WindowWidth": 4096}


@pytest.mark.parametrize("form", sorted(LOSSLESS_FORMS))
@pytest.mark.parametrize("kind", ["8 bits", "12 bits", "16 bits", "signed"])
def test_lossless_forms_give_the_picture_of_the_original(form: str, kind: str, dicom: Any) -> None:
    syntax, encode = LOSSLESS_FORMS[form]
    values: npt.NDArray[np.generic]
    if kind == "8 bits":
        values, bits = VALUES8, 8
    elif kind == "signed":
        values, bits = (VALUES12.astype(np.int16) - 2000), 16
    else:
        values, bits = VALUES12 * np.uint16(1 if kind == "12 bits" else 16), int(kind[:2])
    # Only JPEG 2000 knows of signs; the others hold the bits.
    held = values if "2000" in form or values.dtype.kind == "u" else values.view(np.uint16)
    made = dicom.compressed(encode(held), syntax, values, bits)
    np.testing.assert_array_equal(dicom.shown(made), dicom.shown(dicom.dataset(values, bits)))
    compression = decode_dicom("x", dicom.content(made))[4]
    assert compression == pydicom.uid.UID(syntax).name != syntax


@pytest.mark.parametrize("form", sorted(LOSSY_FORMS))
def test_lossy_forms_come_near(form: str, dicom: Any) -> None:
    syntax, encode = LOSSY_FORMS[form]
    made = dicom.compressed(encode(VALUES12), syntax, VALUES12, 12, **VIEW)
    change = np.abs(dicom.shown(made).astype(int) - dicom.shown(dicom.dataset(VALUES12, 12, **VIEW)))
    assert change.max() <= 4
    assert change.mean() < 1


def test_baseline_jpeg_comes_near(dicom: Any) -> None:
    made = dicom.compressed(imagecodecs.jpeg8_encode(VALUES8, level=100), BASELINE, VALUES8, 8)
    change = np.abs(dicom.shown(made).astype(int) - dicom.shown(dicom.dataset(VALUES8, 8)))
    assert change.max() <= 3


@pytest.mark.parametrize("planes", [1, 3])
@pytest.mark.parametrize("size", [1, 2])
def test_run_lengths_give_the_picture_of_the_original(planes: int, size: int, dicom: Any) -> None:
    shape = (20, 30) if planes == 1 else (20, 30, 3)
    values = np.repeat(RNG.integers(0, 2 ** (8 * size), (shape[0], 6, *shape[2:]), dtype=f"u{size}"), 5, axis=1)
    made = dicom.dataset(values, 8 * size)
    wanted = dicom.shown(made)
    made.compress(RLELossless, encoding_plugin="pydicom")
    np.testing.assert_array_equal(dicom.shown(made), wanted)


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


@pytest.mark.parametrize("fragments", [2, 7])
def test_a_frame_may_come_in_fragments(fragments: int, dicom: Any) -> None:
    frame = jpeg_2000(VALUES12)
    made = dicom.compressed(frame, J2K_LOSSLESS, VALUES12, 12)
    whole = dicom.shown(made)
    made.PixelData = encapsulate([frame], fragments_per_frame=fragments, has_bot=False)
    np.testing.assert_array_equal(dicom.shown(made), whole)


def test_two_frames_where_one_is_declared_are_refused(dicom: Any) -> None:
    frame = jpeg_2000(VALUES12)
    made = dicom.compressed(frame, J2K_LOSSLESS, VALUES12, 12)
    made.PixelData = encapsulate([frame, frame])
    with pytest.raises(DecodeError, match="hold 2 frames"):
        dicom.shown(made)


def test_more_pieces_than_any_frame_has_are_refused(dicom: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("radlens.imaging.dicom_pixels.MAX_FRAGMENTS", 10)
    made = dicom.compressed(b"", J2K_LOSSLESS, VALUES12, 12)
    made.PixelData = struct.pack("<HHL", 0xFFFE, 0xE000, 0) * 20
    with pytest.raises(DecodeError, match="in more than 10 pieces"):
        dicom.shown(made)
    made.PixelData = struct.pack("<HHL", 0xFFFE, 0xE000, 0)
    with pytest.raises(DecodeError, match="hold no frame"):
        dicom.shown(made)


ALL_FORMS = {**LOSSLESS_FORMS, **{f"{name}, lossy": form for name, form in LOSSY_FORMS.items()}}


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


@pytest.mark.parametrize("tail", [b"", b"\0", b"\0\0", b"\xff\xd9\0", b"\0" * 501])
def test_what_follows_the_end_of_a_jpeg_does_not_matter(tail: bytes, dicom: Any) -> None:
    for syntax, encode in ((LOSSLESS_SV1, jpeg_lossless), (LS, jpeg_ls)):
        made = dicom.compressed(encode(VALUES12) + tail, syntax, VALUES12, 12)
        np.testing.assert_array_equal(dicom.shown(made), dicom.shown(dicom.dataset(VALUES12, 12)))


def test_markers_of_a_jpeg_may_be_filled_up_before(dicom: Any) -> None:
    frame = jpeg_lossless(VALUES12)
    made = dicom.compressed(frame[:2] + b"\xff\xff\xff" + frame[2:], LOSSLESS, VALUES12, 12)
    np.testing.assert_array_equal(dicom.shown(made), dicom.shown(dicom.dataset(VALUES12, 12)))


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


def test_jpeg_2000_may_be_wrapped_in_a_file(dicom: Any) -> None:
    wrapped = imagecodecs.jpeg2k_encode(VALUES12, codecformat="jp2", level=0)
    made = dicom.compressed(bytes(wrapped), J2K_LOSSLESS, VALUES12, 12)
    np.testing.assert_array_equal(dicom.shown(made), dicom.shown(dicom.dataset(VALUES12, 12)))


def test_errors_of_compression_do_not_come_back_at_the_other_end(dicom: Any) -> None:
    # 10 bits are declared, 16 coded, and the coded values go beyond: 1,030 must not become 6.
    beyond = np.full((16, 16), 1030, dtype=np.uint16)
    beyond[:8] = 500
    made = dicom.compressed(jpeg_2000(beyond), J2K, beyond, 10, WindowCenter=512, WindowWidth=1024)
    found = dicom.shown(made)
    assert (found[0, 0], found[-1, -1]) == (125, 255)


def test_a_sign_that_the_codestream_does_not_know_of_is_the_headers(dicom: Any) -> None:
    signed = (VALUES12.astype(np.int16) - 2000).clip(-2048, 2047)
    coded = (signed.view(np.uint16) & 0x0FFF).astype(np.uint16)
    frame = imagecodecs.jpeg2k_encode(coded, codecformat="j2k", level=0, bitspersample=12)
    made = dicom.compressed(bytes(frame), J2K_LOSSLESS, signed, 12)
    np.testing.assert_array_equal(dicom.shown(made), dicom.shown(dicom.dataset(signed, 12)))


@pytest.mark.parametrize(
    ("interpretation", "ybr"), [("RGB", False), ("YBR_FULL", True), ("YBR_RCT", False), ("YBR_ICT", False)]
)
def test_colours_of_jpeg_2000_are_those_of_the_interpretation(interpretation: str, ybr: bool, dicom: Any) -> None:
    made = dicom.compressed(jpeg_2000(COLOURS), J2K_LOSSLESS, COLOURS, 8, PhotometricInterpretation=interpretation)
    plain = dicom.dataset(COLOURS, 8, PhotometricInterpretation="YBR_FULL" if ybr else "RGB")
    np.testing.assert_array_equal(dicom.shown(made), dicom.shown(plain))


@pytest.mark.parametrize("interpretation", ["RGB", "YBR_FULL", "YBR_FULL_422"])
@pytest.mark.parametrize("marker", ["none", "JFIF", "Adobe 0", "Adobe 1", "RGB"])
def test_colours_of_a_jpeg_are_those_of_its_markers_else_of_the_interpretation(
    interpretation: str, marker: str, dicom: Any
) -> None:
    frame = bare_jpeg(COLOURS, "RGB" if marker == "RGB" else "123")
    begin = {
        "JFIF": b"\xff\xe0\x00\x10JFIF\0\1\1\0\0\1\0\1\0\0",
        "Adobe 0": b"\xff\xee\x00\x0eAdobe\0\x64\0\0\0\0\0",
        "Adobe 1": b"\xff\xee\x00\x0eAdobe\0\x64\0\0\0\0\1",
    }.get(marker, b"")
    ybr = {"none": interpretation != "RGB", "JFIF": True, "Adobe 0": False, "Adobe 1": True, "RGB": False}[marker]
    made = dicom.compressed(
        frame[:2] + begin + frame[2:], BASELINE, COLOURS, 8, PhotometricInterpretation=interpretation
    )
    plain = dicom.dataset(COLOURS, 8, PhotometricInterpretation="YBR_FULL" if ybr else "RGB")
    assert np.abs(dicom.shown(made).astype(int) - dicom.shown(plain)).max() <= 6


def bare_jpeg(values: npt.NDArray[np.uint8], names: str) -> bytes:
    """The three planes as they are, with no marker that tells what they mean; the components named."""
    frame = bytes(imagecodecs.jpeg8_encode(values, level=100, colorspace="RGB", outcolorspace="RGB", subsampling="444"))
    marker = frame.index(b"\xff\xee")
    frame = frame[:marker] + frame[marker + 16 :]
    ids = [ord(name) if name.isalpha() else int(name) for name in names]
    data = bytearray(frame)
    header, scan = frame.index(b"\xff\xc0"), frame.index(b"\xff\xda")
    for index, identifier in enumerate(ids):
        data[header + 10 + 3 * index] = identifier
        data[scan + 5 + 2 * index] = identifier
    return bytes(data)


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
    with pytest.raises(RadlensError, match=r"pip install 'radlens\[dicom\]'") as caught:
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


def test_the_frame_of_a_real_file_is_found(radiographs: Any) -> None:
    path = radiographs / "JPEG-LL.dcm"
    header = pydicom.dcmread(path)
    assert get_frame(header.PixelData, 0, number_of_frames=1)[:2] == b"\xff\xd8"
    original = np.asarray(decode_dicom("x", path.read_bytes())[0])
    assert original.shape == (1024, 256)
    assert original.std() > 5
