"""Radiographs as a workstation would show them: closed forms of DICOM PS3.3, and real files in several encodings."""

from __future__ import annotations

import builtins
import importlib.util
import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    RLELossless,
    SecondaryCaptureImageStorage,
    generate_uid,
)

from radlens.errors import RadlensError
from radlens.imaging import decode as decode_module
from radlens.imaging.decode import DecodeError, decode
from radlens.imaging.dicom import window

RAMP = np.arange(0, 4096, 5, dtype=np.uint16)[:800].reshape(20, 40)


def dataset(pixels: npt.NDArray[np.generic] | None = None, bits: int = 12, **elements: Any) -> Dataset:
    """A single-frame grey object; further elements by keyword, None removes one."""
    pixels = RAMP if pixels is None else pixels
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID = SecondaryCaptureImageStorage
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID = generate_uid(entropy_srcs=["test"])
    made.Modality = "DX"
    made.Rows, made.Columns = pixels.shape[:2]
    made.SamplesPerPixel = 1
    made.PhotometricInterpretation = "MONOCHROME2"
    made.BitsAllocated = 8 * pixels.dtype.itemsize
    made.BitsStored, made.HighBit = bits, bits - 1
    made.PixelRepresentation = int(pixels.dtype.kind == "i")
    made.PixelData = pixels.tobytes()
    for name, value in elements.items():
        if value is None:
            del made[name]
        else:
            setattr(made, name, value)
    return made


def content_of(made: Dataset) -> bytes:
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, made, enforce_file_format=True)
    return buffer.getvalue()


def shown(made: Dataset) -> npt.NDArray[np.uint8]:
    result = decode("x.dcm", content_of(made))
    assert result.image.mode == "L"
    return np.asarray(result.image)


def levels(shares: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Shares of the grey range as grey levels."""
    return np.floor(255 * shares + 0.5)


def test_without_a_window_the_whole_range_of_values_is_shown() -> None:
    image = shown(dataset(RAMP + 100))
    np.testing.assert_array_equal(image, levels(RAMP / RAMP.max()))
    assert (image.min(), image.max()) == (0, 255)
    assert not shown(dataset(np.full((4, 4), 7, dtype=np.uint16))).any()


def test_facts_name_size_interpretation_and_format() -> None:
    content = content_of(dataset())
    facts = decode("no-ending", content).facts
    image = shown(dataset())
    named = (facts.width, facts.height, facts.mode, facts.format, facts.bytes)
    assert named == (40, 20, "MONOCHROME2", "DICOM", len(content))
    assert (facts.mean, facts.std) == pytest.approx((image.mean(), image.std()))


@pytest.mark.parametrize(
    "elements",
    [
        {},
        {"WindowCenter": 1500, "WindowWidth": 800},
        {"WindowCenter": 1500, "WindowWidth": 800, "VOILUTFunction": "SIGMOID"},
        {"RescaleSlope": 2, "RescaleIntercept": -1000, "WindowCenter": 1500, "WindowWidth": 800},
    ],
)
def test_monochrome1_is_the_negative_of_monochrome2(elements: dict[str, Any]) -> None:
    upright = shown(dataset(**elements)).astype(int)
    negative = shown(dataset(PhotometricInterpretation="MONOCHROME1", **elements)).astype(int)
    assert np.abs(upright + negative - 255).max() <= 1
    assert upright.flat[-1] == 255 or elements


def test_the_same_picture_stored_either_way_is_shown_the_same() -> None:
    inverted = (4095 - RAMP).astype(np.uint16)
    one = shown(dataset(inverted, PhotometricInterpretation="MONOCHROME1", WindowCenter=2047.5, WindowWidth=4096))
    two = shown(dataset(RAMP, WindowCenter=2047.5, WindowWidth=4096))
    assert np.abs(one.astype(int) - two).max() <= 1


def test_an_inverse_presentation_shape_inverts_once() -> None:
    upright = shown(dataset())
    inverse = shown(dataset(PresentationLUTShape="INVERSE"))
    np.testing.assert_array_equal(
        inverse, shown(dataset(PresentationLUTShape="INVERSE", PhotometricInterpretation="MONOCHROME1"))
    )
    assert np.abs(upright.astype(int) + inverse - 255).max() <= 1
    np.testing.assert_array_equal(upright, shown(dataset(PresentationLUTShape="IDENTITY")))


def linear(value: float, centre: float, width: float) -> float:
    """Literally the pseudo-code of PS3.3 C.11.2.1.2.1, for an output of 0 to 1."""
    if value <= centre - 0.5 - (width - 1) / 2:
        return 0.0
    if value > centre - 0.5 + (width - 1) / 2:
        return 1.0
    return (value - (centre - 0.5)) / (width - 1) + 0.5


def linear_exact(value: float, centre: float, width: float) -> float:
    """Literally the pseudo-code of PS3.3 C.11.2.1.3.2."""
    if value <= centre - width / 2:
        return 0.0
    if value > centre + width / 2:
        return 1.0
    return (value - centre) / width + 0.5


def sigmoid(value: float, centre: float, width: float) -> float:
    """PS3.3 C.11.2.1.3.1."""
    with np.errstate(over="ignore"):
        return float(1 / (1 + np.exp(-4 * (value - centre) / width)))


FORMS = {"LINEAR": linear, "LINEAR_EXACT": linear_exact, "SIGMOID": sigmoid}


@pytest.mark.parametrize("function", sorted(FORMS))
@given(
    values=st.lists(st.floats(-5000, 5000), min_size=1, max_size=20),
    centre=st.floats(-2000, 2000),
    width=st.floats(1.5, 5000),
)
def test_windows_follow_the_standard(function: str, values: list[float], centre: float, width: float) -> None:
    wanted = [FORMS[function](value, centre, width) for value in values]
    with np.errstate(over="ignore"):
        found = window(np.array(values), centre, width, function)
    np.testing.assert_allclose(found, wanted, atol=1e-9)
    assert ((found >= 0) & (found <= 1)).all()


@pytest.mark.parametrize("function", sorted(FORMS))
def test_the_window_of_the_file_is_applied(function: str) -> None:
    made = dataset(WindowCenter=1500, WindowWidth=800, VOILUTFunction=function)
    wanted = np.vectorize(FORMS[function])(RAMP.astype(float), 1500, 800)
    np.testing.assert_array_equal(shown(made), levels(wanted))


def test_linear_is_the_function_when_none_is_named() -> None:
    plain = shown(dataset(WindowCenter=1500, WindowWidth=800))
    np.testing.assert_array_equal(plain, shown(dataset(WindowCenter=1500, WindowWidth=800, VOILUTFunction="LINEAR")))
    assert (plain != shown(dataset(WindowCenter=1500, WindowWidth=8, VOILUTFunction="LINEAR_EXACT"))).any()


def test_of_several_windows_the_first_is_used() -> None:
    made = dataset(WindowCenter=[1500, 100], WindowWidth=[800, 20])
    np.testing.assert_array_equal(shown(made), shown(dataset(WindowCenter=1500, WindowWidth=800)))


@pytest.mark.parametrize(
    "elements",
    [{"WindowCenter": 100}, {"WindowWidth": 100}, {"WindowCenter": "", "WindowWidth": ""}, {"WindowCenter": []}],
)
def test_half_a_window_or_an_empty_one_is_none(elements: dict[str, Any]) -> None:
    np.testing.assert_array_equal(shown(dataset(**elements)), shown(dataset()))


@pytest.mark.parametrize(
    ("elements", "message"),
    [
        ({"WindowWidth": 1}, "width 1.0 cannot be used with LINEAR"),
        ({"WindowWidth": 0, "VOILUTFunction": "LINEAR_EXACT"}, "width 0.0 cannot be used with LINEAR_EXACT"),
        ({"WindowWidth": -5, "VOILUTFunction": "SIGMOID"}, "width -5.0 cannot be used with SIGMOID"),
        ({"WindowWidth": 5, "VOILUTFunction": "CUBIC"}, "VOI LUT function CUBIC is not supported"),
    ],
)
def test_a_window_that_cannot_be_used_is_refused(elements: dict[str, Any], message: str) -> None:
    with pytest.raises(DecodeError, match=message):
        shown(dataset(WindowCenter=100, **elements))


def test_rescaling_comes_before_the_window() -> None:
    made = dataset(RescaleSlope=2.5, RescaleIntercept=-1000, WindowCenter=500, WindowWidth=3000)
    wanted = np.vectorize(linear)(RAMP * 2.5 - 1000, 500, 3000)
    np.testing.assert_array_equal(shown(made), levels(wanted))
    # A negative slope turns the picture over even where no window is given.
    np.testing.assert_array_equal(shown(dataset(RescaleSlope=-1, RescaleIntercept=0)), levels(1 - RAMP / RAMP.max()))


def test_signed_values_are_signed() -> None:
    values = np.linspace(-2000, 2000, 100).round().astype(np.int16).reshape(10, 10)
    np.testing.assert_array_equal(shown(dataset(values, 16)), levels((values + 2000) / 4000))
    made = dataset(values, 16, WindowCenter=-500, WindowWidth=1000)
    np.testing.assert_array_equal(shown(made), levels(np.vectorize(linear)(values.astype(float), -500, 1000)))


def test_bits_above_those_stored_are_left_out() -> None:
    np.testing.assert_array_equal(shown(dataset(RAMP | 0xF000)), shown(dataset(RAMP)))


def lut(first: int, entries: list[int], bits: int = 16, signed: bool = False) -> Sequence:
    item = Dataset()
    item.add_new("LUTDescriptor", "SS" if signed else "US", [len(entries), first, bits])
    item.add_new("LUTData", "US", entries)
    return Sequence([item])


STEPS = [0, 1000, 4000, 9000, 16000, 25000, 36000, 49000]


def test_a_voi_lut_is_looked_up_and_shown_by_its_depth() -> None:
    values = np.arange(12, dtype=np.uint16).reshape(3, 4)
    wanted = np.array(STEPS)[np.clip(values.astype(int) - 2, 0, 7)] / 65535
    np.testing.assert_array_equal(shown(dataset(values, VOILUTSequence=lut(2, STEPS))), levels(wanted))


def test_a_voi_lut_goes_before_a_window() -> None:
    values = np.arange(12, dtype=np.uint16).reshape(3, 4)
    made = dataset(values, VOILUTSequence=lut(2, STEPS), WindowCenter=3, WindowWidth=2)
    np.testing.assert_array_equal(shown(made), shown(dataset(values, VOILUTSequence=lut(2, STEPS))))


def test_a_voi_lut_is_looked_up_with_rescaled_values() -> None:
    values = np.arange(1000, 1012, dtype=np.uint16).reshape(3, 4)
    made = dataset(values, RescaleSlope=1, RescaleIntercept=-1000, VOILUTSequence=lut(2, STEPS))
    wanted = np.array(STEPS)[np.clip(values.astype(int) - 1002, 0, 7)] / 65535
    np.testing.assert_array_equal(shown(made), levels(wanted))
    halved = dataset(values * 2, RescaleSlope=0.5, RescaleIntercept=-1000, VOILUTSequence=lut(2, STEPS))
    np.testing.assert_array_equal(shown(halved), levels(wanted))


def test_a_modality_lut_comes_before_all_else() -> None:
    values = np.arange(8, dtype=np.uint16).reshape(2, 4)
    item = lut(0, STEPS)
    item[0].ModalityLUTType = "US"
    np.testing.assert_array_equal(
        shown(dataset(values, ModalityLUTSequence=item)), levels(np.array(STEPS).reshape(2, 4) / 49000)
    )
    made = dataset(values, ModalityLUTSequence=item, WindowCenter=20000, WindowWidth=10000)
    wanted = np.vectorize(linear)(np.array(STEPS, dtype=float).reshape(2, 4), 20000, 10000)
    np.testing.assert_array_equal(shown(made), levels(wanted))


def test_colour_becomes_grey() -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    made = dataset(pixels, 8, SamplesPerPixel=3, PhotometricInterpretation="RGB", PlanarConfiguration=0)
    result = decode("x.dcm", content_of(made))
    assert result.facts.mode == "RGB"
    luma = pixels @ np.array([0.299, 0.587, 0.114])
    np.testing.assert_allclose(np.asarray(result.image), luma, atol=1)


def test_run_length_encoding_is_the_same_picture() -> None:
    made = dataset()
    made.compress(RLELossless)
    np.testing.assert_array_equal(shown(made), shown(dataset()))


@pytest.mark.parametrize(
    ("elements", "message"),
    [
        ({"PixelData": None}, r"\(DX\) holds no pixel data"),
        ({"PixelData": None, "Modality": None}, "no modality"),
        ({"NumberOfFrames": 2, "PixelData": RAMP.tobytes() * 2}, "2 frames; a single image was expected"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "cannot be decoded"),
        ({"PhotometricInterpretation": None}, "cannot be decoded"),
        ({"PixelData": RAMP.tobytes()[:-100]}, "cannot be decoded"),
        ({"Rows": None}, "cannot be decoded"),
        ({"Rows": 0}, "cannot be decoded"),
        ({"BitsAllocated": 13}, "cannot be decoded"),
        ({"RescaleSlope": float("1e308"), "RescaleIntercept": 1e308}, "not finite"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_an_object_that_is_no_single_grey_image_is_refused(elements: dict[str, Any], message: str) -> None:
    with pytest.raises(DecodeError, match=message):
        shown(dataset(**elements))


def test_one_frame_said_to_be_one_is_taken() -> None:
    np.testing.assert_array_equal(shown(dataset(NumberOfFrames=1)), shown(dataset()))


def test_absurd_dimensions_are_refused_before_any_pixel_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pydicom.pixels.utils.pixel_array", lambda _: pytest.fail("pixels were decoded"))
    with pytest.raises(DecodeError, match="65535 x 65535 pixels"):
        shown(dataset(Rows=65535, Columns=65535))


def test_a_compressed_form_without_decoder_is_refused_with_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    made = dataset()
    made.compress(RLELossless)
    made.file_meta.TransferSyntaxUID = UID("1.2.840.10008.1.2.4.100")
    with pytest.raises(DecodeError, match="MPEG2"):
        shown(made)


def test_without_pydicom_the_command_that_installs_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    content = content_of(dataset())
    original = builtins.__import__

    def refuse(name: str, *arguments: Any, **options: Any) -> Any:
        if name.partition(".")[0] == "pydicom":
            raise ImportError(name)
        return original(name, *arguments, **options)

    monkeypatch.delitem(sys.modules, "pydicom")
    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(RadlensError, match=r"pip install 'radlens\[dicom\]'") as caught:
        decode("x.dcm", content)
    assert not isinstance(caught.value, DecodeError), "every file would be rejected one by one"


WHOLE = [
    content_of(dataset(WindowCenter=1500, WindowWidth=800)),
    content_of(dataset(np.arange(12, dtype=np.uint16).reshape(3, 4), VOILUTSequence=lut(2, STEPS))),
]


@given(
    st.sampled_from(WHOLE),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=6),
    st.floats(0.1, 1),
)
@pytest.mark.filterwarnings("ignore")
def test_of_a_damaged_object_nothing_but_a_decode_error_escapes(
    content: bytes, changes: list[tuple[float, int]], kept: float
) -> None:
    damaged = bytearray(content[: max(133, int(len(content) * kept))])
    for place, value in changes:
        damaged[132 + int(place * (len(damaged) - 132))] = value
    try:
        result = decode("x.dcm", bytes(damaged))
    except DecodeError:
        return
    assert result.image.mode == "L"
    assert 0 <= result.facts.mean <= 255


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("content", WHOLE)
def test_an_object_cut_anywhere_is_refused(content: bytes) -> None:
    pixels = content.index(b"\xe0\x7f\x10\x00OW")
    step = max(1, (len(content) - pixels) // 50)
    for end in [*range(133, pixels + 14), *range(pixels + 14, len(content) - 2, step)]:
        with pytest.raises(DecodeError):
            decode("x.dcm", content[:end])


@pytest.mark.filterwarnings("ignore")
def test_a_deflated_object_is_shown_and_cut_short_refused() -> None:
    made = dataset()
    made.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    np.testing.assert_array_equal(shown(made), shown(dataset()))
    content = content_of(made)
    with pytest.raises(DecodeError, match="cannot be decoded"):
        decode("x.dcm", content[: len(content) * 2 // 3])


@pytest.mark.filterwarnings("ignore")
def test_an_element_of_an_impossible_length_is_refused() -> None:
    content = bytearray(content_of(dataset()))
    # The group length, a number of four bytes, is said to have three.
    content[138:140] = b"\x03\0"
    with pytest.raises(DecodeError, match="cannot be decoded"):
        decode("x.dcm", bytes(content))


def installed(package: str, folder: str) -> Path:
    """A folder of an installed package; never downloads."""
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        pytest.skip(f"{package} is not installed")
    return Path(found.origin).parent / folder


@pytest.fixture(scope="module")
def radiographs() -> Path:
    """Real radiographs in several encodings, of the package pydicom-data."""
    return installed("data_store", "data")


def test_a_real_chest_radiograph_in_monochrome1_has_white_bone_and_dark_lungs(radiographs: Path) -> None:
    result = decode(str(radiographs / "RG1_UNCR.dcm"))
    assert (result.facts.width, result.facts.height, result.facts.mode) == (1841, 1955, "MONOCHROME1")
    image = np.asarray(result.image, dtype=float)
    spine = image[800:1500, 850:1000].mean()
    right_lung, left_lung = image[500:800, 350:600].mean(), image[500:800, 1200:1450].mean()
    assert spine > right_lung + 30
    assert spine > left_lung + 30


def test_a_real_radiograph_is_what_its_window_says(radiographs: Path) -> None:
    path = radiographs / "RG1_UNCR.dcm"
    header = pydicom.dcmread(path)
    values = header.pixel_array[::40, ::40].astype(float)
    wanted = 1 - np.vectorize(linear)(values, float(header.WindowCenter), float(header.WindowWidth))
    found = np.asarray(decode(str(path)).image)[::40, ::40]
    np.testing.assert_array_equal(found, levels(wanted))


@pytest.mark.parametrize("name", ["RG3_UNCR.dcm", "RG3_UNCI.dcm", "RG3_J2KR.dcm", "RG3_J2KI.dcm"])
def test_every_encoding_of_a_real_radiograph_is_the_same_picture(radiographs: Path, name: str) -> None:
    reference = np.asarray(decode(str(radiographs / "RG3_UNCR.dcm")).image)
    found = np.asarray(decode(str(radiographs / name)).image)
    lossless = name in ("RG3_UNCR.dcm", "RG3_J2KR.dcm")
    change = np.abs(found.astype(float) - reference)
    assert change.max() == 0 if lossless else change.mean() < 1


@pytest.mark.parametrize("name", ["vlut_04.dcm", "mlut_18.dcm"])
def test_a_real_test_pattern_shows_its_steps(radiographs: Path, name: str) -> None:
    image = np.asarray(decode(str(radiographs / name)).image)
    # Patches of the SMPTE pattern, in per cent of the grey range.
    for (row, column), share in {(242, 120): 0.2, (165, 120): 0.3, (165, 404): 0.7, (242, 404): 0.8}.items():
        assert image[row, column] / 255 == pytest.approx(share, abs=0.03)


@pytest.mark.filterwarnings("ignore")
def test_files_of_the_field_are_shown_or_refused_and_never_crash() -> None:
    folder = installed("pydicom", "data/test_files")
    if not folder.is_dir():
        pytest.skip("this pydicom came without its test files")
    small = [path for path in sorted(folder.glob("*.dcm")) if path.stat().st_size < 300_000]
    assert len(small) > 30
    shown_modes, refusals = [], {}
    for path in small:
        try:
            shown_modes.append(decode(str(path)).image.mode)
        except DecodeError as error:
            refusals[str(path)] = str(error)
    assert set(shown_modes) == {"L"}
    assert len(shown_modes) > 15
    assert len(refusals) > 5
    assert all(reason.startswith(path) for path, reason in refusals.items())


def test_the_limit_of_pixels_is_that_of_other_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode_module, "MAX_PIXELS", 799)
    with pytest.raises(DecodeError, match="40 x 20 pixels; at most 799"):
        shown(dataset())
