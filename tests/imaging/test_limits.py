"""The bounds: their defaults, and that each holds to the last pixel and byte."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from radlens.base.errors import DataError
from radlens.imaging.limits import (
    DEFAULT_LIMITS,
    DecodeError,
    DecodeLimits,
    RefusedError,
    require_data,
    require_size,
)

LIMITS = DecodeLimits(max_pixels=600, max_inflated=1200)


def test_all_formats_are_opened_by_default() -> None:
    assert DEFAULT_LIMITS.formats == ("JPEG", "PNG", "TIFF", "BMP", "WEBP", "DICOM", "ARRAY")


@pytest.mark.parametrize(
    "values",
    [{"formats": ()}, {"formats": ("GIF",)}, {"max_bytes": 0}, {"max_pixels": 0}, {"max_inflated": -1}, {"x": 1}],
)
def test_bounds_that_are_none_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        DecodeLimits.model_validate(values)


def test_a_decode_error_is_an_error_of_the_data() -> None:
    assert issubclass(DecodeError, DataError)


@pytest.mark.parametrize(
    ("width", "height", "each", "message"),
    [
        (30, 20, 2, ""),
        (0, 20, 1, "0 x 20 pixels"),
        (30, -1, 1, "30 x -1 pixels"),
        (601, 1, 1, "at most 600 are opened"),
        (30, 20, 2.25, "1,350 bytes; at most 1,200 are inflated"),
        (65_536, 1, 1, "at most 65,535 on a side"),
    ],
)
def test_sizes_are_held_to_the_bounds(width: int, height: int, each: float, message: str) -> None:
    if not message:
        require_size(width, height, each, LIMITS)
        return
    with pytest.raises(RefusedError, match=message):
        require_size(width, height, each, LIMITS)


def test_too_few_bytes_mean_a_picture_cut_short() -> None:
    require_data(10, 10, 100, 100)
    with pytest.raises(RefusedError, match="10 x 10 pixels in 99 bytes: the picture is cut short"):
        require_data(10, 10, 100, 99)
