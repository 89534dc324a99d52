"""Remarks are made on pictures of which the flaw is known, and on no ordinary ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from radlens.imaging.decode import FileFacts
from radlens.imaging.depth import Depth
from radlens.imaging.pixels import read_pixels
from radlens.imaging.preprocess import Preprocessing
from radlens.runtime.remarks import is_colourful, remarks_of

CONTRACT = Preprocessing(height=100, width=100)
RAMP = np.linspace(0, 255, 100 * 100).reshape(1, 100, 100)


def shown(values: npt.NDArray[np.float64]) -> tuple[str, ...]:
    return remarks_of(values.astype(np.uint8), CONTRACT)


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        (RAMP, ()),
        (100 + RAMP / 20, ("nearly blank",)),
        (100 + RAMP / 6, ("low contrast",)),
        (RAMP / 4, ("low contrast", "very dark")),
        (np.where(RAMP < 250, RAMP / 4, 250), ("low contrast", "very dark")),
        (255 - RAMP / 3.5, ("very bright",)),
        (np.where(RAMP < 140, 0, RAMP), ("clipped, 55% black",)),
        (np.where(RAMP > 191.25, 255, RAMP), ("clipped, 25% white",)),
    ],
)
def test_a_flaw_is_remarked_on(values: npt.NDArray[np.float64], wanted: tuple[str, ...]) -> None:
    assert shown(values) == wanted


def test_a_picture_much_smaller_than_what_the_network_sees_is_remarked_on() -> None:
    for width, height, wanted in (
        (50, 50, ()),
        (49, 500, ("tiny, 49 x 500 pixels",)),
        (28, 28, ("tiny, 28 x 28 pixels",)),
    ):
        facts = FileFacts(width, height, "L", "PNG", 1)
        assert remarks_of(RAMP.astype(np.uint8), CONTRACT, facts) == wanted


def test_black_bars_of_the_contract_do_not_count() -> None:
    bars = np.zeros((1, 100, 100), np.uint8)
    bars[:, 40:60] = RAMP[:, ::5]
    assert remarks_of(bars, CONTRACT.model_copy(update={"fit": "pad"})) == ()
    assert remarks_of(bars, CONTRACT) == ("very dark", "clipped, 80% black")
    assert remarks_of(np.zeros_like(bars), CONTRACT.model_copy(update={"fit": "pad"})) == ("nearly blank",)


def test_ordinary_radiographs_get_next_to_no_remarks(shared_data: Path) -> None:
    contract = Preprocessing(height=160, width=160)
    paths = sorted((shared_data / "kermany224" / "train").glob("*/*"))[::25]
    remarked = 0
    for path in paths:
        pixels, facts = read_pixels(str(path), contract)
        remarked += bool(remarks_of(pixels, contract, facts))
    assert remarked <= len(paths) // 100


@pytest.mark.parametrize(
    ("mode", "form", "wanted"),
    [
        ("MONOCHROME1", "DICOM", False),
        ("PALETTE COLOR", "DICOM", False),
        ("YBR_FULL_422", "DICOM", True),
        ("I;16", "PNG", False),
        ("RGB;16", "TIFF", True),
        ("RGB", "JPEG", True),
    ],
)
def test_colours_are_told_by_the_form_and_then_by_the_picture(
    mode: str, form: str, wanted: bool, tmp_path: Path
) -> None:
    path = tmp_path / "red.png"
    Image.new("RGB", (20, 20), (200, 20, 20)).save(path)
    assert is_colourful(str(path), None, FileFacts(20, 20, mode, form, 1)) == wanted
    Image.new("RGB", (20, 20), (90, 90, 90)).save(path)
    assert is_colourful(str(path), None, FileFacts(20, 20, mode, form, 1)) == (wanted and form == "DICOM")


@pytest.mark.parametrize(
    ("depth", "given", "said"),
    [
        ("significant", {"undeclared": "uint16", "high": 3000.0}, "picture itself (12 bits), since training recorded"),
        ("auto", {"undeclared": "float32", "high": 3000.0}, "values of type float32 scaled by their own range"),
        (12, {"undeclared": "uint16", "high": 9000.0, "clipped": 0.4}, "brighter than in training, 40% clipped"),
        (12, {"undeclared": "float32"}, "scaled by their own range, since training recorded one for 16 bits alone"),
        (12, {"undeclared": "uint16", "high": 3000.0, "clipped": 0.001}, ""),
        ("full", {"undeclared": "uint16"}, ""),
        (12, {}, ""),
    ],
)
def test_values_that_do_not_fit_the_scale_of_training_are_remarked(
    depth: Depth, given: dict[str, Any], said: str
) -> None:
    contract = Preprocessing(height=20, width=20, depth=depth)
    facts = FileFacts(20, 20, "I;16", "PNG", 1, **given)
    pixels = np.linspace(20, 220, 400).astype(np.uint8).reshape(1, 20, 20)
    remarks = remarks_of(pixels, contract, facts)
    assert said in "".join(remarks)
    assert bool(remarks) == bool(said)
