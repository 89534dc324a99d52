"""Values of more than 8 bits are shown as training recorded it, in an array as in a file."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from radlens.imaging.depth import Depth
from radlens.imaging.limits import DEFAULT_LIMITS, DecodeError
from radlens.imaging.preprocess import Preprocessing
from radlens.runtime.sources import picture_of, read_image

VALUES = (np.linspace(0.05, 0.9, 24 * 20).reshape(24, 20) * 4095).astype(np.uint16)


def contract(depth: Depth) -> Preprocessing:
    return Preprocessing(height=24, width=20, depth=depth)


@pytest.mark.parametrize("depth", [12, 14, (100.0, 3000.0)])
def test_an_array_is_read_as_the_file_of_the_same_values(depth: Depth) -> None:
    buffer = io.BytesIO()
    Image.fromarray(VALUES).save(buffer, "PNG")
    from_file = read_image(buffer.getvalue(), contract(depth), DEFAULT_LIMITS)
    for values in (VALUES, VALUES.astype(">u2")):
        np.testing.assert_array_equal(read_image(values, contract(depth), DEFAULT_LIMITS).pixels, from_file.pixels)
    shown = np.asarray(picture_of(buffer.getvalue(), contract(depth), DEFAULT_LIMITS))
    np.testing.assert_array_equal(shown, from_file.pixels[0])
    np.testing.assert_array_equal(np.asarray(picture_of(VALUES, contract(depth), DEFAULT_LIMITS)), shown)


def test_a_brighter_array_is_clipped_with_a_remark_and_not_scaled_by_itself() -> None:
    read = read_image(VALUES * 2, contract(12), DEFAULT_LIMITS)
    np.testing.assert_allclose(read.pixels[0], np.clip(VALUES / 4095.0 * 2, 0, 1) * 255, atol=0.5001)
    assert any("brighter than in training" in remark for remark in read.remarks)


@pytest.mark.parametrize(("kind", "depth"), [("uint16", "significant"), ("float32", 12), ("float64", "auto")])
def test_an_array_of_which_training_recorded_no_white_is_refused(kind: str, depth: Depth) -> None:
    with pytest.raises(DecodeError, match=f"array: what is white in values of type {kind} was not recorded"):
        read_image(VALUES.astype(kind), contract(depth), DEFAULT_LIMITS)
