"""What is shown of stored values: closed forms of DICOM PS3.3."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from radlens.imaging.dicom.value_of_interest import window
from radlens.imaging.limits import DecodeError

XA, XRF, XA_BIPLANE = (f"1.2.840.10008.5.1.4.1.1.12.{number}" for number in (1, 2, 3))


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
    width=st.floats(1, 5000),
)
def test_windows_follow_the_standard(function: str, values: list[float], centre: float, width: float) -> None:
    # Where a step is as narrow as the numbers are exact, either side is right.
    apart = [value for value in values if abs(value - (centre - 0.5)) > 1e-6 or width > 1.001]
    wanted = [FORMS[function](value, centre, width) for value in apart]
    found = window(np.array(apart), centre, width, function)
    np.testing.assert_allclose(found, wanted, atol=1e-9)
    assert ((found >= 0) & (found <= 1)).all()


def test_a_linear_window_of_width_1_is_a_step() -> None:
    values = np.array([9.0, 9.4, 9.5, 9.6, 10.0, 11.0])
    assert window(values, 10.0, 1.0).tolist() == [linear(value, 10.0, 1.0) for value in values] == [0, 0, 0, 1, 1, 1]


@pytest.mark.parametrize("function", sorted(FORMS))
def test_the_window_of_the_file_is_applied(function: str, dicom: Any) -> None:
    made = dicom.dataset(WindowCenter=1500, WindowWidth=800, VOILUTFunction=function)
    wanted = np.vectorize(FORMS[function])(dicom.ramp.astype(float), 1500, 800)
    np.testing.assert_array_equal(dicom.shown(made), dicom.levels(wanted))


def test_linear_is_the_function_when_none_is_named(dicom: Any) -> None:
    plain = dicom.shown(dicom.dataset(WindowCenter=1500, WindowWidth=8))
    named = dicom.dataset(WindowCenter=1500, WindowWidth=8, VOILUTFunction="LINEAR")
    np.testing.assert_array_equal(plain, dicom.shown(named))
    exact = dicom.dataset(WindowCenter=1500, WindowWidth=8, VOILUTFunction="LINEAR_EXACT")
    assert (plain != dicom.shown(exact)).any()


def test_of_several_windows_the_first_is_the_default_view(dicom: Any) -> None:
    made = dicom.dataset(WindowCenter=[1500, 100], WindowWidth=[800, 20])
    one = dicom.dataset(WindowCenter=1500, WindowWidth=800)
    np.testing.assert_array_equal(dicom.shown(made), dicom.shown(one))


@pytest.mark.parametrize(
    "elements",
    [{"WindowCenter": 100}, {"WindowWidth": 100}, {"WindowCenter": "", "WindowWidth": ""}, {"WindowCenter": []}],
)
def test_half_a_window_or_an_empty_one_is_none(elements: dict[str, Any], dicom: Any) -> None:
    np.testing.assert_array_equal(dicom.shown(dicom.dataset(**elements)), dicom.shown(dicom.dataset()))


def test_without_a_window_the_whole_range_of_values_is_shown(dicom: Any) -> None:
    image = dicom.shown(dicom.dataset(dicom.ramp + np.uint16(100)))
    np.testing.assert_array_equal(image, dicom.levels(dicom.ramp / dicom.ramp.max()))
    assert (image.min(), image.max()) == (0, 255)
    assert not dicom.shown(dicom.dataset(np.full((4, 4), 7, dtype=np.uint16))).any()


def test_rescaling_comes_before_the_window(dicom: Any) -> None:
    made = dicom.dataset(RescaleSlope=2.5, RescaleIntercept=-1000, WindowCenter=500, WindowWidth=3000)
    wanted = np.vectorize(linear)(dicom.ramp * 2.5 - 1000, 500, 3000)
    np.testing.assert_array_equal(dicom.shown(made), dicom.levels(wanted))
    # A negative slope turns the picture over even where no window is given.
    turned = dicom.shown(dicom.dataset(RescaleSlope=-1, RescaleIntercept=0))
    np.testing.assert_array_equal(turned, dicom.levels(1 - dicom.ramp / dicom.ramp.max()))


@pytest.mark.parametrize("half", [{"RescaleSlope": 2}, {"RescaleIntercept": -500}])
def test_half_a_rescaling_is_none(half: dict[str, Any], dicom: Any) -> None:
    view = {"WindowCenter": 1500, "WindowWidth": 800}
    np.testing.assert_array_equal(dicom.shown(dicom.dataset(**half, **view)), dicom.shown(dicom.dataset(**view)))


@pytest.mark.parametrize("sop_class", [XA, XRF, XA_BIPLANE])
def test_of_angiograms_the_modality_transform_is_not_for_display(sop_class: str, dicom: Any) -> None:
    view = {"WindowCenter": 1500, "WindowWidth": 800, "SOPClassUID": sop_class}
    made = dicom.dataset(RescaleSlope=2, RescaleIntercept=-1000, **view)
    np.testing.assert_array_equal(dicom.shown(made), dicom.shown(dicom.dataset(**view)))


@pytest.mark.parametrize(("slope", "intercept"), [("1e308", "1e308"), ("1e305", "-1.7e308"), ("8e304", "-1.7e308")])
def test_values_that_are_not_finite_after_rescaling_are_refused(slope: str, intercept: str, dicom: Any) -> None:
    with pytest.raises(DecodeError, match="not finite after rescaling"):
        dicom.shown(dicom.dataset(RescaleSlope=slope, RescaleIntercept=intercept))


@pytest.mark.parametrize(
    "elements",
    [
        {},
        {"WindowCenter": 1500, "WindowWidth": 800},
        {"WindowCenter": 1500, "WindowWidth": 800, "VOILUTFunction": "SIGMOID"},
        {"RescaleSlope": 2, "RescaleIntercept": -1000, "WindowCenter": 1500, "WindowWidth": 800},
    ],
)
def test_monochrome1_is_the_negative_of_monochrome2(elements: dict[str, Any], dicom: Any) -> None:
    upright = dicom.shown(dicom.dataset(**elements)).astype(int)
    negative = dicom.shown(dicom.dataset(PhotometricInterpretation="MONOCHROME1", **elements)).astype(int)
    assert np.abs(upright + negative - 255).max() <= 1
    assert upright.flat[-1] == 255 or elements


def test_the_same_picture_stored_either_way_is_shown_the_same(dicom: Any) -> None:
    inverted = (4095 - dicom.ramp).astype(np.uint16)
    view = {"WindowCenter": 2047.5, "WindowWidth": 4096}
    one = dicom.shown(dicom.dataset(inverted, PhotometricInterpretation="MONOCHROME1", **view))
    two = dicom.shown(dicom.dataset(dicom.ramp, **view))
    assert np.abs(one.astype(int) - two).max() <= 1


def test_an_inverse_presentation_shape_inverts_once(dicom: Any) -> None:
    upright = dicom.shown(dicom.dataset())
    inverse = dicom.shown(dicom.dataset(PresentationLUTShape="INVERSE"))
    both = dicom.dataset(PresentationLUTShape="INVERSE", PhotometricInterpretation="MONOCHROME1")
    np.testing.assert_array_equal(inverse, dicom.shown(both))
    assert np.abs(upright.astype(int) + inverse - 255).max() <= 1
    np.testing.assert_array_equal(upright, dicom.shown(dicom.dataset(PresentationLUTShape="IDENTITY")))
    contrary = dicom.dataset(PresentationLUTShape="IDENTITY", PhotometricInterpretation="MONOCHROME1")
    np.testing.assert_array_equal(inverse, dicom.shown(contrary))


@pytest.mark.parametrize("interpretation", ["MONOCHROME1", "MONOCHROME2"])
def test_padding_is_black_and_left_out_of_the_range(interpretation: str, dicom: Any) -> None:
    values = np.array([[60000, 60000, 60000], [100, 150, 200]], dtype=np.uint16)
    made = dicom.dataset(values, 16, PixelPaddingValue=60000, PhotometricInterpretation=interpretation)
    picture = [0, 128, 255] if interpretation == "MONOCHROME2" else [255, 128, 0]
    assert dicom.shown(made).tolist() == [[0, 0, 0], picture]


@pytest.mark.parametrize("bounds", [(-2000, -1998), (-1998, -2000)])
def test_a_range_of_padding_is_padding_at_either_end(bounds: tuple[int, int], dicom: Any) -> None:
    values = np.array([[-2000, -1999, -1998, -1997, 0, 1000]], dtype=np.int16)
    made = dicom.dataset(values, 16, WindowCenter=-1000, WindowWidth=4001, PhotometricInterpretation="MONOCHROME1")
    made.add_new("PixelPaddingValue", "SS", bounds[0])
    made.add_new("PixelPaddingRangeLimit", "SS", bounds[1])
    wanted = dicom.levels(1 - np.vectorize(linear)(values.astype(float), -1000, 4001))
    wanted[0, :3] = 0
    np.testing.assert_array_equal(dicom.shown(made), wanted)


def test_padding_written_without_its_sign_is_understood(dicom: Any) -> None:
    values = np.array([[-2000, 0, 100]], dtype=np.int16)
    made = dicom.dataset(values, 16)
    made.add_new("PixelPaddingValue", "US", 65536 - 2000)
    assert dicom.shown(made).tolist() == [[0, 0, 255]]


def test_nothing_but_padding_is_black(dicom: Any) -> None:
    made = dicom.dataset(np.full((3, 3), 9, np.uint16), PixelPaddingValue=9, PhotometricInterpretation="MONOCHROME1")
    assert not dicom.shown(made).any()


def test_values_of_32_bits_are_shown_without_a_table_of_all_values(dicom: Any) -> None:
    values = np.array([[0, 1_000_000, 2_000_000_000, 4_000_000_000]], dtype=np.uint32)
    np.testing.assert_array_equal(dicom.shown(dicom.dataset(values, 32)), dicom.levels(values / 4e9))
    signed = np.array([[-2_000_000_000, 0, 2_000_000_000]], dtype=np.int32)
    assert dicom.shown(dicom.dataset(signed, 32)).tolist() == [[0, 128, 255]]


def test_an_enhanced_object_keeps_its_window_elsewhere(dicom: Any) -> None:
    view, rescale, shared, own = Dataset(), Dataset(), Dataset(), Dataset()
    view.WindowCenter, view.WindowWidth, view.VOILUTFunction = 500, 3000, "SIGMOID"
    rescale.RescaleSlope, rescale.RescaleIntercept = 2.5, -1000
    own.FrameVOILUTSequence = Sequence([view])
    shared.PixelValueTransformationSequence = Sequence([rescale])
    made = dicom.dataset(
        SharedFunctionalGroupsSequence=Sequence([shared]), PerFrameFunctionalGroupsSequence=Sequence([own])
    )
    wanted = np.vectorize(sigmoid)(dicom.ramp * 2.5 - 1000, 500, 3000)
    np.testing.assert_array_equal(dicom.shown(made), dicom.levels(wanted))


@given(
    low=st.integers(-3000, 3000),
    slope=st.sampled_from([-2.5, -1, 0.3, 1, 7]),
    intercept=st.integers(-2000, 2000),
    view=st.none() | st.tuples(st.floats(-500, 500), st.floats(1, 4000), st.sampled_from(sorted(FORMS))),
    inverted=st.booleans(),
)
def test_every_combination_is_its_closed_form(
    dicom: Any,
    low: int,
    slope: float,
    intercept: int,
    view: tuple[float, float, str] | None,
    inverted: bool,
) -> None:
    values = (low + np.arange(0, 3000, 125)).astype(np.int16).reshape(4, 6)
    made = dicom.dataset(values, 16, RescaleSlope=slope, RescaleIntercept=intercept)
    made.PhotometricInterpretation = "MONOCHROME1" if inverted else "MONOCHROME2"
    modality = values.astype(float) * slope + intercept
    if view is None:
        share = (modality - modality.min()) / (modality.max() - modality.min())
    else:
        centre, width, function = round(view[0], 2), round(view[1], 2), view[2]
        made.WindowCenter, made.WindowWidth, made.VOILUTFunction = str(centre), str(width), function
        share = np.vectorize(FORMS[function])(modality, centre, width)
    wanted = (1 - share if inverted else share) * 255
    assert np.abs(dicom.shown(made) - wanted).max() <= 0.5 + 1e-6
