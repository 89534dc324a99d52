"""Grey values of which the header does not say how many bits they have are shown on the scale of their data set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from radlens.imaging.decode import Decoded, decode
from radlens.imaging.depth import Depth, ValueRange

RAMP = np.linspace(0, 4095, 20 * 40).reshape(20, 40).astype(np.uint16)


def shown(folder: Path, dicom: Any, pixels: Any, depth: Depth = "significant", **elements: Any) -> Decoded:
    """The picture of these values in a file without Bits Stored, unless it is among the elements."""
    dataset = dicom.dataset(pixels, **{"BitsStored": 16, "HighBit": 15, **elements})
    if "BitsStored" not in elements:
        del dataset.BitsStored, dataset.HighBit
    (folder / "a.dcm").write_bytes(dicom.content(dataset))
    return decode(str(folder / "a.dcm"), depth=depth)


def test_a_stray_pixel_decides_nothing(dicom: Any, tmp_path: Path) -> None:
    stray = RAMP.copy()
    stray[0, 0] = 65_000
    plain, decoded = shown(tmp_path, dicom, RAMP), shown(tmp_path, dicom, stray)
    np.testing.assert_array_equal(np.asarray(decoded.image)[1:], np.asarray(plain.image)[1:])
    assert np.asarray(plain.image)[-1, -1] == 255
    assert decoded.facts.clipped == pytest.approx(1 / RAMP.size)
    assert any("Bits Stored is missing" in remark for remark in decoded.facts.remarks)


def test_the_scale_of_the_set_holds_and_is_found_from_the_facts(dicom: Any, tmp_path: Path) -> None:
    dark = RAMP // 4
    expected = np.floor(dark * (255 / 4095) + 0.5)
    np.testing.assert_array_equal(np.asarray(shown(tmp_path, dicom, dark, 12).image), expected)
    values = shown(tmp_path, dicom, dark).facts.values
    assert isinstance(values, ValueRange)
    assert values.bits == 10


def test_a_slope_moves_the_ends_of_the_scale_with_it(dicom: Any, tmp_path: Path) -> None:
    rescaled = shown(tmp_path, dicom, RAMP // 2, 12, RescaleSlope=2, RescaleIntercept=-100)
    np.testing.assert_array_equal(np.asarray(rescaled.image), np.asarray(shown(tmp_path, dicom, RAMP // 2, 12).image))


@pytest.mark.parametrize("elements", [{"WindowCenter": 1000, "WindowWidth": 400}, {"BitsStored": 12, "HighBit": 11}])
def test_a_window_or_declared_bits_leave_nothing_to_decide(
    elements: dict[str, int], dicom: Any, tmp_path: Path
) -> None:
    at_eight, by_itself = (shown(tmp_path, dicom, RAMP, depth, **elements) for depth in (8, "significant"))
    np.testing.assert_array_equal(np.asarray(at_eight.image), np.asarray(by_itself.image))
    assert by_itself.facts.values is None
