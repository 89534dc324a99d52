"""Compressed frames: every form by an encoder of its own, and what their headers say of colours and signs."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
import pytest
from pydicom.encaps import encapsulate, get_frame
from pydicom.uid import RLELossless

from made_codestreams import (
    BASELINE,
    COLOURS,
    J2K,
    J2K_LOSSLESS,
    LOSSLESS,
    LOSSLESS_FORMS,
    LOSSLESS_SV1,
    LOSSY_FORMS,
    LS,
    RNG,
    VALUES8,
    VALUES12,
    imagecodecs,
    jpeg_2000,
    jpeg_lossless,
    jpeg_ls,
)
from radlens.imaging.dicom.picture import decode_dicom

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


@pytest.mark.parametrize("fragments", [2, 7])
def test_a_frame_may_come_in_fragments(fragments: int, dicom: Any) -> None:
    frame = jpeg_2000(VALUES12)
    made = dicom.compressed(frame, J2K_LOSSLESS, VALUES12, 12)
    whole = dicom.shown(made)
    made.PixelData = encapsulate([frame], fragments_per_frame=fragments, has_bot=False)
    np.testing.assert_array_equal(dicom.shown(made), whole)


@pytest.mark.parametrize("tail", [b"", b"\0", b"\0\0", b"\xff\xd9\0", b"\0" * 501])
def test_what_follows_the_end_of_a_jpeg_does_not_matter(tail: bytes, dicom: Any) -> None:
    for syntax, encode in ((LOSSLESS_SV1, jpeg_lossless), (LS, jpeg_ls)):
        made = dicom.compressed(encode(VALUES12) + tail, syntax, VALUES12, 12)
        np.testing.assert_array_equal(dicom.shown(made), dicom.shown(dicom.dataset(VALUES12, 12)))


def test_markers_of_a_jpeg_may_be_filled_up_before(dicom: Any) -> None:
    frame = jpeg_lossless(VALUES12)
    made = dicom.compressed(frame[:2] + b"\xff\xff\xff" + frame[2:], LOSSLESS, VALUES12, 12)
    np.testing.assert_array_equal(dicom.shown(made), dicom.shown(dicom.dataset(VALUES12, 12)))


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


def test_the_frame_of_a_real_file_is_found(radiographs: Any) -> None:
    path = radiographs / "JPEG-LL.dcm"
    header = pydicom.dcmread(path)
    assert get_frame(header.PixelData, 0, number_of_frames=1)[:2] == b"\xff\xd8"
    original = np.asarray(decode_dicom("x", path.read_bytes())[0])
    assert original.shape == (1024, 256)
    assert original.std() > 5
