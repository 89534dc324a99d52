"""DICOM files as a whole: what comes back, what is refused and how, real files, and damage anywhere."""

from __future__ import annotations

import builtins
import logging
import sys
import threading
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    BasicTextSRStorage,
    DeflatedExplicitVRLittleEndian,
    EncapsulatedPDFStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from radlens.base.errors import RadlensError
from radlens.base.optional import explained_imports
from radlens.imaging.decode import decode
from radlens.imaging.dicom.picture import decode_dicom
from radlens.imaging.limits import DecodeError

SYNTAXES = [
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
    RLELossless,
]


def file_in(syntax: str, dicom: Any, **elements: Any) -> bytes:
    """The ramp in a syntax."""
    if syntax != RLELossless:
        return bytes(dicom.content(dicom.dataset(syntax=syntax, **elements)))
    made = dicom.dataset(**elements)
    made.compress(RLELossless)
    return bytes(dicom.content(made))


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_the_picture_and_what_is_known_of_it_come_back(syntax: UID, dicom: Any) -> None:
    content = file_in(syntax, dicom, PhotometricInterpretation="MONOCHROME1")
    image, width, height, interpretation, compression, remarks, scale = decode_dicom("x.dcm", content)
    assert (image.mode, image.size) == ("L", (40, 20))
    assert (width, height, interpretation, compression) == (40, 20, "MONOCHROME1", syntax.name)
    assert not remarks
    assert scale is None
    np.testing.assert_array_equal(np.asarray(image), dicom.levels(1 - dicom.ramp / dicom.ramp.max()))


def test_a_file_is_told_by_its_content_and_never_by_its_name(dicom: Any, tmp_path: Path) -> None:
    path = tmp_path / "picture.jpeg"
    path.write_bytes(dicom.content(dicom.dataset()))
    decoded = decode(str(path))
    image = dicom.shown(dicom.dataset())
    np.testing.assert_array_equal(np.asarray(decoded.image), image)
    facts = decoded.facts
    assert (facts.width, facts.height, facts.mode, facts.format) == (40, 20, "MONOCHROME2", "DICOM")
    assert facts.bytes == path.stat().st_size
    assert (facts.mean, facts.std) == pytest.approx((image.mean(), image.std()))


@pytest.mark.parametrize(
    ("elements", "message"),
    [
        ({"SOPClassUID": BasicTextSRStorage}, "the object (Basic Text SR Storage) holds no pixel data"),
        ({"SOPClassUID": EncapsulatedPDFStorage}, "the object (Encapsulated PDF Storage) holds no pixel data"),
        ({"SOPClassUID": None}, "the object (of no known kind) holds no pixel data"),
        ({"FloatPixelData": bytes(3200)}, "its values are floating-point numbers"),
        ({"DoubleFloatPixelData": bytes(6400)}, "its values are floating-point numbers"),
    ],
)
def test_an_object_that_is_no_picture_is_refused_with_its_kind(
    elements: dict[str, Any], message: str, dicom: Any
) -> None:
    with pytest.raises(DecodeError) as caught:
        dicom.shown(dicom.dataset(PixelData=None, **elements))
    assert str(caught.value).startswith("x.dcm: the DICOM image cannot be decoded: ")
    assert message in str(caught.value)


def test_pixel_data_within_a_sequence_are_not_those_of_the_picture(dicom: Any) -> None:
    icon = Dataset()
    icon.PixelData = dicom.ramp.tobytes()
    icon["PixelData"].VR = "OW"
    made = dicom.dataset(PixelData=None, IconImageSequence=[icon])
    with pytest.raises(DecodeError, match="holds no pixel data"):
        dicom.shown(made)


def test_without_pydicom_the_command_that_installs_it_is_said(dicom: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    content = dicom.content(dicom.dataset())
    original = builtins.__import__

    def refuse(name: str, *arguments: Any, **options: Any) -> Any:
        if name.partition(".")[0] == "pydicom":
            raise ModuleNotFoundError(name, name="pydicom")
        return original(name, *arguments, **options)

    monkeypatch.delitem(sys.modules, "pydicom")
    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(RadlensError, match="needs pydicom") as caught, explained_imports():
        decode_dicom("x.dcm", content)
    assert not isinstance(caught.value, DecodeError), "every file would be rejected one by one"


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_a_file_cut_anywhere_is_refused(syntax: str, dicom: Any) -> None:
    content = file_in(syntax, dicom)
    ends = {len(content) * tenth // 10 for tenth in range(10)} | {*range(0, len(content) - 9, 37)}
    for end in sorted(ends):
        with pytest.raises(DecodeError):
            decode_dicom("x.dcm", content[:end])


@pytest.mark.parametrize("syntax", SYNTAXES)
@given(
    changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=6),
    kept=st.floats(0.1, 1),
)
def test_of_a_damaged_file_nothing_but_a_decode_error_escapes(
    syntax: str, dicom: Any, changes: list[tuple[float, int]], kept: float
) -> None:
    content = file_in(syntax, dicom, VOILUTSequence=dicom.lut(0, [0, 9, 99]))
    damaged = bytearray(content[: max(133, int(len(content) * kept))])
    for place, value in changes:
        damaged[132 + int(place * (len(damaged) - 132))] = value
    try:
        image, width, height, *_ = decode_dicom("x.dcm", bytes(damaged))
    except DecodeError as error:
        assert str(error).startswith("x.dcm: the DICOM image ")  # noqa: PT017
        return
    assert (image.mode, image.size) == ("L", (width, height))


@given(st.binary(max_size=2000))
def test_of_random_bytes_after_the_prefix_nothing_but_a_decode_error_escapes(content: bytes) -> None:
    with pytest.raises(DecodeError):
        decode_dicom("x.dcm", bytes(128) + b"DICM" + content)


def test_an_element_of_an_impossible_length_is_refused(dicom: Any) -> None:
    content = dicom.content(dicom.dataset())
    place = content.index(b"\x28\0\x10\0US\2\0")
    with pytest.raises(DecodeError, match="is damaged"):
        decode_dicom(
            "x.dcm", content[: place + 6] + b"\3\0" + content[place + 8 : place + 10] + b"\0" + content[place + 10 :]
        )


def test_nothing_is_said_along_the_way(
    dicom: Any, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    made = dicom.dataset(PatientName="Quartermaine^Euphemia", RescaleSlope=1, RescaleIntercept=0)
    good = dicom.content(made)
    bad = good.replace(b"MONOCHROME2 ", b"Quartermaine").replace(b"\x28\0\x10\0US", b"\x28\0\x10\0DA")
    cut = good.replace(b"\xe0\x7f\x10\0OW\0\0\x40\6\0\0", b"\xe0\x7f\x10\0OW\0\0\xff\xff\xff\xff")
    assert len({good, bad, cut}) == 3
    said = []
    with caplog.at_level(logging.DEBUG), warnings.catch_warnings():
        warnings.simplefilter("error")
        for content in (good, bad, cut, good[:-100], bytes(128) + b"DICM" + good[200:]):
            try:
                decode_dicom("x.dcm", content)
            except DecodeError as error:
                said.append(str(error).lower())
    assert len(said) == 4
    assert "quartermaine" not in " ".join(said)
    assert not caplog.records
    assert capfd.readouterr() == ("", "")


def test_threads_do_not_disturb_each_other(dicom: Any) -> None:
    contents = [file_in(syntax, dicom) for syntax in SYNTAXES]
    wanted = dicom.shown(contents[0])
    found: list[bool] = []

    def work(content: bytes) -> None:
        found.extend((dicom.shown(content) == wanted).all() for _ in range(20))

    threads = [threading.Thread(target=work, args=(content,)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 100
    assert all(found)


def test_a_real_chest_radiograph_in_monochrome1_has_white_bone_and_dark_lungs(radiographs: Path) -> None:
    image, width, height, interpretation, *_ = decode_dicom("RG1", (radiographs / "RG1_UNCR.dcm").read_bytes())
    assert (width, height, interpretation) == (1841, 1955, "MONOCHROME1")
    values = np.asarray(image, dtype=float)
    spine = values[800:1500, 850:1000].mean()
    right_lung, left_lung = values[500:800, 350:600].mean(), values[500:800, 1200:1450].mean()
    assert spine > right_lung + 30
    assert spine > left_lung + 30


def test_a_real_radiograph_is_what_its_window_says(radiographs: Path) -> None:
    path = radiographs / "RG1_UNCR.dcm"
    header = pydicom.dcmread(path)
    values = header.pixel_array.astype(float)
    share = (values - (float(header.WindowCenter) - 0.5)) / (float(header.WindowWidth) - 1) + 0.5
    wanted = np.floor(255 * (1 - np.clip(share, 0, 1)) + 0.5)
    np.testing.assert_array_equal(np.asarray(decode_dicom("x", path.read_bytes())[0]), wanted)


@pytest.mark.parametrize("name", ["RG3_UNCR.dcm", "RG3_UNCI.dcm", "RG3_J2KR.dcm", "RG3_J2KI.dcm"])
def test_every_encoding_of_a_real_radiograph_is_the_same_picture(radiographs: Path, name: str) -> None:
    reference = np.asarray(decode(str(radiographs / "RG3_UNCR.dcm")).image)
    found = np.asarray(decode(str(radiographs / name)).image)
    change = np.abs(found.astype(float) - reference)
    lossless = name in ("RG3_UNCR.dcm", "RG3_J2KR.dcm")
    assert change.max() == 0 if lossless else change.mean() < 1


@pytest.mark.parametrize("name", ["vlut_04.dcm", "mlut_18.dcm"])
def test_a_real_test_pattern_shows_its_steps(radiographs: Path, name: str) -> None:
    image = np.asarray(decode(str(radiographs / name)).image)
    # Patches of the SMPTE pattern, in per cent of the grey range.
    for (row, column), share in {(242, 120): 0.2, (165, 120): 0.3, (165, 404): 0.7, (242, 404): 0.8}.items():
        assert image[row, column] / 255 == pytest.approx(share, abs=0.03)


def test_files_of_the_field_are_shown_or_refused_and_never_crash(field_files: list[Path]) -> None:
    shown, refused = [], {}
    for path in field_files:
        if path.stat().st_size > 2_000_000:
            continue
        try:
            shown.append(decode(str(path)).image.mode)
        except DecodeError as error:
            refused[path.name] = str(error).partition("decoded: ")[2]
    assert set(shown) == {"L"}
    assert len(shown) >= 40
    assert refused["rtplan.dcm"] == "the object (RT Plan Storage) holds no pixel data, or was cut short before them"
    assert refused["rtdose.dcm"] == "15 frames; a single image was expected"
    assert refused["MR_truncated.dcm"] == "8,130 bytes of pixel data where 8,192 are needed"


def test_the_field_files_that_are_copies_of_one_picture_are_one_picture(field_files: list[Path]) -> None:
    files = {path.name: path for path in field_files}
    copies = [
        "MR_small.dcm",
        "MR_small_RLE.dcm",
        "MR_small_bigendian.dcm",
        "MR_small_expb.dcm",
        "MR_small_implicit.dcm",
        "MR_small_jp2klossless.dcm",
        "MR_small_jpeg_ls_lossless.dcm",
        "MR_small_padded.dcm",
    ]
    if not set(copies) <= files.keys():
        pytest.skip("this pydicom came without these files")
    one, *others = (np.asarray(decode(str(files[name])).image) for name in copies)
    assert all(np.array_equal(one, other) for other in others)
