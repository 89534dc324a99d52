"""Display hints that cannot be used cost no picture; what gives values their meaning refuses, unless told not to."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from radlens.imaging.dicom.picture import decode_dicom
from radlens.imaging.limits import DecodeError, DecodeLimits

GOOD = {"WindowCenter": "1500", "WindowWidth": "800"}
PASS_OVER = DecodeLimits(unusable_elements="pass_over")
NOT_FINITE = "window passed over: its centre or width is not a finite number"


def made(dicom: Any, **texts: str) -> bytes:
    """The ramp with elements of any text, which pydicom alone would not write."""
    data_set, places = dicom.dataset(), {}
    for number, (name, text) in enumerate(texts.items()):
        stand_in = f"{90 + number}" * 20
        data_set.add_new(name, "LO", stand_in)
        places[stand_in.encode()] = text.encode().ljust(40)
    content = bytes(dicom.content(data_set))
    for mark, value in places.items():
        content = content.replace(b"LO\x28\0" + mark, b"DS\x28\0" + value)
    return content


@pytest.mark.parametrize(
    ("texts", "remarks"),
    [
        ({"WindowCenter": "2047,5", "WindowWidth": "4095,0"}, (NOT_FINITE,)),
        ({"WindowCenter": "NaN", "WindowWidth": "NaN"}, (NOT_FINITE,)),
        ({"WindowCenter": "1500", "WindowWidth": "inf"}, (NOT_FINITE,)),
        ({"WindowCenter": "1_500", "WindowWidth": "800"}, (NOT_FINITE,)),
        ({"WindowCenter": "centre", "WindowWidth": "800"}, (NOT_FINITE,)),
        ({"WindowCenter": "1", "WindowWidth": "0"}, ("window passed over: width 0 cannot be used with LINEAR",)),
        ({"WindowCenter": "1", "WindowWidth": "0.5"}, ("window passed over: width 0.5 cannot be used with LINEAR",)),
        ({"WindowCenter": "1", "WindowWidth": "-800"}, ("window passed over: width -800 cannot be used with LINEAR",)),
        (
            {"WindowCenter": "1500"},
            ("window passed over: 1 value(s) of Window Center, 0 of Window Width",),
        ),
        ({"WindowCenter": "", "WindowWidth": ""}, ()),
        (
            {"WindowCenter": "1", "WindowWidth": "0", "VOILUTFunction": "SIGMOID"},
            ("window passed over: width 0 cannot be used with SIGMOID",),
        ),
    ],
)
def test_without_a_window_that_can_be_used_the_range_of_values_is_shown(
    texts: dict[str, str], remarks: tuple[str, ...], dicom: Any
) -> None:
    content = made(dicom, **texts)
    np.testing.assert_array_equal(dicom.shown(content), dicom.shown(dicom.dataset()))
    assert dicom.remarks(content) == remarks


@pytest.mark.parametrize(
    ("texts", "remark"),
    [
        ({"WindowCenter": "1\\1500", "WindowWidth": "0\\800"}, "width 0 cannot be used with LINEAR"),
        ({"WindowCenter": "2047,5\\1500", "WindowWidth": "4095,0\\800"}, "its centre or width is not a finite number"),
        ({"WindowCenter": "\\1500", "WindowWidth": "\\800"}, "its centre or width is not a finite number"),
        ({"WindowCenter": "1500\\40", "WindowWidth": "800"}, "2 value(s) of Window Center, 1 of Window Width"),
    ],
)
def test_the_first_window_that_can_be_used_is_taken(texts: dict[str, str], remark: str, dicom: Any) -> None:
    content = made(dicom, **texts)
    np.testing.assert_array_equal(dicom.shown(content), dicom.shown(dicom.dataset(**GOOD)))
    assert dicom.remarks(content) == (f"window passed over: {remark}",)


def test_an_unknown_function_is_taken_for_linear(dicom: Any) -> None:
    odd = dicom.dataset(**GOOD, VOILUTFunction="CUBIC")
    np.testing.assert_array_equal(dicom.shown(odd), dicom.shown(dicom.dataset(**GOOD)))
    assert dicom.remarks(odd)[0].startswith("unknown VOI LUT Function:")


def test_windows_of_a_form_that_none_has_are_passed_over(dicom: Any) -> None:
    long, short = dicom.dataset(), dicom.dataset()
    long.add_new("WindowCenter", "UT", "7" * 5000)
    long.add_new("WindowWidth", "DS", "800")
    short.add_new("WindowCenter", "US", 1500)
    content = dicom.content(short).replace(b"\x28\0\x50\x10US\2\0", b"\x28\0\x50\x10FD\2\0")
    for file in (long, content):
        np.testing.assert_array_equal(dicom.shown(file), dicom.shown(dicom.dataset()))
        assert dicom.remarks(file)[-1].startswith("window passed over:")


def broken_lut(dicom: Any, how: str) -> Sequence:
    table: Sequence = dicom.lut(0, list(range(0, 4096, 2)), 12)
    if how == "cut short":
        table[0].LUTData = table[0].LUTData[:100]
    elif how == "entries too high":
        table[0].LUTDescriptor = [2048, 0, 8]
    else:
        del table[0][how]
    return table


@pytest.mark.parametrize("how", ["cut short", "entries too high", "LUTDescriptor", "LUTData"])
def test_a_broken_table_of_values_of_interest_gives_way_to_the_window(how: str, dicom: Any) -> None:
    broken = dicom.dataset(VOILUTSequence=broken_lut(dicom, how), **GOOD)
    np.testing.assert_array_equal(dicom.shown(broken), dicom.shown(dicom.dataset(**GOOD)))
    assert dicom.remarks(broken)[0].startswith("VOI LUT passed over: ")


MEANINGS: list[tuple[dict[str, str], str]] = [
    ({"RescaleSlope": "0", "RescaleIntercept": "5"}, "RescaleSlope is 0: it makes one grey of all values"),
    ({"RescaleSlope": "1,5", "RescaleIntercept": "0"}, "RescaleSlope is not a finite number"),
    ({"RescaleSlope": "1", "RescaleIntercept": "NaN"}, "RescaleIntercept is not a finite number"),
    ({"RescaleSlope": "1e308", "RescaleIntercept": "1e308"}, "the values are not finite after rescaling"),
]


@pytest.mark.parametrize(("texts", "message"), MEANINGS)
def test_what_gives_values_their_meaning_refuses_and_names_the_setting(
    texts: dict[str, str], message: str, dicom: Any
) -> None:
    with pytest.raises(DecodeError) as caught:
        dicom.shown(made(dicom, **texts))
    assert message in str(caught.value)
    assert "data.limits.unusable_elements=pass_over" in str(caught.value)


@pytest.mark.parametrize(("texts", "message"), MEANINGS)
def test_with_the_setting_the_values_are_shown_as_they_are_stored(
    texts: dict[str, str], message: str, dicom: Any
) -> None:
    shown = decode_dicom("x", made(dicom, **texts, WindowCenter="1", WindowWidth="5"), PASS_OVER)
    np.testing.assert_array_equal(np.asarray(shown.image), dicom.shown(dicom.dataset()))
    assert shown.remarks[0] == f"rescaling passed over: {message}"
    assert shown.remarks[1] == "window passed over: it is meant for rescaled values"


@pytest.mark.parametrize("how", ["cut short", "LUTDescriptor"])
def test_a_broken_modality_table_refuses_unless_told_not_to(how: str, dicom: Any) -> None:
    broken = dicom.dataset(ModalityLUTSequence=broken_lut(dicom, how))
    with pytest.raises(DecodeError, match="unusable_elements=pass_over"):
        dicom.shown(broken)
    np.testing.assert_array_equal(dicom.shown(broken, PASS_OVER), dicom.shown(dicom.dataset()))


@pytest.mark.parametrize("value", [None, 2])
def test_a_sign_that_is_not_told_refuses_unless_told_not_to(value: int | None, dicom: Any) -> None:
    unsigned = dicom.dataset(PixelRepresentation=value)
    with pytest.raises(DecodeError, match="unusable_elements=pass_over"):
        dicom.shown(unsigned)
    np.testing.assert_array_equal(dicom.shown(unsigned, PASS_OVER), dicom.shown(dicom.dataset()))


@pytest.mark.parametrize(
    ("elements", "remark"),
    [
        ({"SamplesPerPixel": None}, "Samples per Pixel missing or unusable: 1, as MONOCHROME2 has"),
        ({"SamplesPerPixel": [1, 1]}, "Samples per Pixel missing or unusable: 1, as MONOCHROME2 has"),
        ({"PhotometricInterpretation": None}, "Photometric Interpretation missing: read as MONOCHROME2"),
        ({"PhotometricInterpretation": "MONOCHROME 2"}, "Photometric Interpretation misspelt: read as MONOCHROME2"),
        ({"PhotometricInterpretation": "MONOCROME2"}, "Photometric Interpretation misspelt: read as MONOCHROME2"),
        ({"PhotometricInterpretation": "GRAYSCALE"}, "Photometric Interpretation misspelt: read as MONOCHROME2"),
        ({"PresentationLUTShape": "ODD"}, "unknown Presentation LUT Shape: neither IDENTITY nor INVERSE, passed over"),
        ({"PlanarConfiguration": 7}, ""),
        (
            {"NumberOfFrames": 0},
            "wrong Number of Frames: it is not a whole number from 1 on, and the data are of one frame",
        ),
    ],
)
def test_a_hint_that_is_missing_or_wrong_is_told_from_others(elements: dict[str, Any], remark: str, dicom: Any) -> None:
    odd = dicom.dataset(**elements)
    np.testing.assert_array_equal(dicom.shown(odd), dicom.shown(dicom.dataset()))
    assert dicom.remarks(odd) == ((remark,) if remark else ())


@pytest.mark.parametrize("text", ["MONOCHROME 1", "monochrome1", "MONOCHROM1", "Monochrome_1"])
def test_a_misspelt_monochrome1_stays_one(text: str, dicom: Any) -> None:
    content = dicom.content(dicom.dataset(PhotometricInterpretation="MONOCHROME11"))
    content = content.replace(b"MONOCHROME11", text.encode().ljust(12))
    np.testing.assert_array_equal(
        dicom.shown(content), dicom.shown(dicom.dataset(PhotometricInterpretation="MONOCHROME1"))
    )


@pytest.mark.parametrize("missing", ["SamplesPerPixel", "PhotometricInterpretation"])
def test_colours_are_told_by_either_element(missing: str, dicom: Any) -> None:
    colours = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    odd = dicom.dataset(colours, 8, **{missing: None})
    np.testing.assert_array_equal(dicom.shown(odd), dicom.shown(dicom.dataset(colours, 8)))
    assert len(dicom.remarks(odd)) == 1


def test_a_padding_value_of_another_length_is_passed_over(dicom: Any) -> None:
    odd: Dataset = dicom.dataset()
    odd.add_new("PixelPaddingValue", "LO", "none")
    odd.add_new("PixelAspectRatio", "IS", ["0", "0"])
    content = dicom.content(odd).replace(b"LO\4\0none", b"US\4\0nan ").replace(b"US\4\0nan ", b"LO\4\0none")
    np.testing.assert_array_equal(dicom.shown(content), dicom.shown(dicom.dataset()))
