"""A map is painted where its values are, in the colour of their sign, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from radlens.imaging.paint import AGAINST, FOR, OPACITY, paint
from radlens.imaging.preprocess import Preprocessing

GREY = 100


def picture(width: int, height: int) -> Image.Image:
    return Image.new("L", (width, height), GREY)


@pytest.mark.parametrize(("sign", "colour"), [(1, FOR), (-1, AGAINST)])
def test_the_strongest_place_has_the_full_colour_of_its_sign(sign: int, colour: tuple[int, int, int]) -> None:
    values = np.zeros((4, 4))
    values[1, 2] = 3.0 * sign
    found = np.asarray(paint(picture(80, 40), values, Preprocessing(height=16, width=16)))
    expected = [(1 - OPACITY) * GREY + OPACITY * part for part in colour]
    # The middle of the third of four columns and the second of four rows.
    np.testing.assert_allclose(found[15, 50], expected, atol=8)
    np.testing.assert_array_equal(found[35, 5], GREY)


def test_a_map_of_nothing_leaves_the_picture() -> None:
    found = np.asarray(paint(picture(30, 20), np.zeros((3, 3)), Preprocessing(height=16, width=16)))
    assert found.shape == (20, 30, 3)
    np.testing.assert_array_equal(found, GREY)


def test_what_the_contract_cut_off_is_not_painted() -> None:
    contract = Preprocessing(height=16, width=16, fit="crop")
    found = np.asarray(paint(picture(60, 20), np.ones((2, 2)), contract)).astype(int)
    changed = np.abs(found - GREY).sum(axis=2) > 10
    assert changed[:, 21:39].all()
    assert not changed[:, :19].any()
    assert not changed[:, 41:].any()


def test_padding_is_not_painted_and_the_picture_is() -> None:
    contract = Preprocessing(height=16, width=16, fit="pad")
    values = np.zeros((4, 4))
    values[0] = 1.0  # of the padding above a wide picture
    found = np.asarray(paint(picture(40, 20), values, contract)).astype(int)
    assert np.abs(found[10:] - GREY).max() < 10
