"""Bone is white, whichever way the values are stored: raw values by their sign, others by what is meant for display."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

DX, DX_RAW = "1.2.840.10008.5.1.4.1.1.1.1", "1.2.840.10008.5.1.4.1.1.1.1.1"
RAW = {"SOPClassUID": DX_RAW, "PresentationIntentType": "FOR PROCESSING"}
BY_SIGN = "raw detector values: FOR PROCESSING, shown with bone white by the sign of their relation to intensity"
UNKNOWN = "raw detector values: FOR PROCESSING, and nothing tells whether bone is white"


@pytest.mark.parametrize("interpretation", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize(("sign", "inverted"), [(1, True), (-1, False)])
@pytest.mark.parametrize(
    "elements",
    [
        RAW,
        {"SOPClassUID": DX_RAW},
        {"SOPClassUID": DX, "PresentationIntentType": "FOR PROCESSING"},
        {"SOPClassUID": DX, "PresentationIntentType": "FOR_PROCESSING"},
        {**RAW, "RescaleSlope": -1, "RescaleIntercept": 4095},
        {**RAW, "PresentationLUTShape": "INVERSE"},
    ],
)
def test_raw_values_are_turned_by_the_sign_alone(
    elements: dict[str, Any], sign: int, inverted: bool, interpretation: str, dicom: Any
) -> None:
    made = dicom.dataset(**elements, PixelIntensityRelationshipSign=sign, PhotometricInterpretation=interpretation)
    shares = dicom.ramp / dicom.ramp.max()
    wanted = dicom.levels(1 - shares if inverted else shares)
    assert np.abs(dicom.shown(made) - wanted).max() <= 1
    assert dicom.remarks(made) == (BY_SIGN,)


def test_a_sign_written_as_an_unsigned_number_is_one(dicom: Any) -> None:
    made = dicom.dataset(**RAW, PhotometricInterpretation="MONOCHROME1")
    made.add_new("PixelIntensityRelationshipSign", "US", 65535)
    np.testing.assert_array_equal(dicom.shown(made), dicom.shown(dicom.dataset()))


@pytest.mark.parametrize("sign", [None, 0, 7])
def test_raw_values_without_a_sign_are_shown_by_their_interpretation_with_a_remark(
    sign: int | None, dicom: Any
) -> None:
    for interpretation in ("MONOCHROME1", "MONOCHROME2"):
        made = dicom.dataset(**RAW, PhotometricInterpretation=interpretation)
        if sign is not None:
            made.PixelIntensityRelationshipSign = sign
        plain = dicom.dataset(PhotometricInterpretation=interpretation)
        np.testing.assert_array_equal(dicom.shown(made), dicom.shown(plain))
        assert dicom.remarks(made) == (UNKNOWN,)


@pytest.mark.parametrize("sign", [1, -1])
def test_of_what_is_for_presentation_the_interpretation_counts(sign: int, dicom: Any) -> None:
    made = dicom.dataset(SOPClassUID=DX, PresentationIntentType="FOR PRESENTATION", PixelIntensityRelationshipSign=sign)
    np.testing.assert_array_equal(dicom.shown(made), dicom.shown(dicom.dataset()))
    assert not dicom.remarks(made)
