"""Corruptions: each kind does what its name says, and more of it at a higher strength."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from radlens.learning.corruptions import KINDS, STRENGTHS, corrupt, corrupt_each

Pixels = npt.NDArray[np.uint8]


@pytest.fixture(scope="module")
def pixels() -> Pixels:
    rows, columns = np.indices((48, 64))
    rng = np.random.default_rng(0)
    waves = 110 + 50 * np.sin(rows / 6) * np.cos(columns / 9) + 20 * columns / 64
    return np.stack([np.clip(waves + rng.normal(0, 6, waves.shape), 1, 254) for _ in range(6)])[:, None].astype(
        np.uint8
    )


def changed(pixels: Pixels, kind: str, strength: int) -> npt.NDArray[np.float64]:
    before = pixels.copy()
    found = corrupt(pixels, kind, strength, np.random.default_rng(1))
    assert found.shape == pixels.shape
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(pixels, before, "the images given are not changed")
    return found.astype(float)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "inversion"])
def test_a_higher_strength_changes_more(kind: str, pixels: Pixels) -> None:
    differences = [np.abs(changed(pixels, kind, strength) - pixels).mean() for strength in STRENGTHS]
    assert 0 < differences[0] < differences[1] < differences[2]


@pytest.mark.parametrize(
    ("kind", "figure", "sign"),
    [
        ("brighter", np.mean, 1),
        ("darker", np.mean, -1),
        ("gamma", np.mean, -1),
        ("border", np.mean, -1),
        ("more contrast", np.std, 1),
        ("less contrast", np.std, -1),
        ("noise", lambda images: np.abs(np.diff(images)).mean(), 1),
        ("blur", lambda images: np.abs(np.diff(images)).mean(), -1),
        ("lower resolution", lambda images: np.abs(np.diff(images)).mean(), -1),
        ("crop", lambda images: np.abs(np.diff(images)).mean(), -1),
    ],
)
def test_each_kind_does_what_its_name_says(kind: str, figure: object, sign: int, pixels: Pixels) -> None:
    assert callable(figure)
    for strength in STRENGTHS:
        assert sign * (figure(changed(pixels, kind, strength)) - figure(pixels.astype(float))) > 0


def test_inversion_is_exact_and_a_border_leaves_the_inside(pixels: Pixels) -> None:
    np.testing.assert_array_equal(changed(pixels, "inversion", 1), 255.0 - pixels)
    framed = changed(pixels, "border", 2)
    np.testing.assert_array_equal(framed[..., 4:-4, 5:-5], pixels[..., 4:-4, 5:-5])
    assert framed[..., :4, :].max() == framed[..., -5:].max() == 0


def test_images_are_turned_and_moved_to_either_side(pixels: Pixels) -> None:
    for kind in ("rotation", "shift"):
        found = corrupt(np.repeat(pixels[:1], 30, axis=0), kind, 2, np.random.default_rng(0))
        assert 2 <= len(np.unique(found.reshape(30, -1), axis=0)) <= 8


def test_each_image_gets_one_kind_and_strength_of_its_own(pixels: Pixels) -> None:
    many = np.repeat(pixels[:1], 200, axis=0)
    found = corrupt_each(many, np.random.default_rng(3))
    np.testing.assert_array_equal(found, corrupt_each(many, np.random.default_rng(3)))
    assert (found != many).any(axis=(1, 2, 3)).mean() > 0.95
    assert len(np.unique(found.reshape(200, -1), axis=0)) > 30
    assert not (found == 255 - many).all(axis=(1, 2, 3)).any(), "inversion is left out"


@pytest.mark.parametrize(("kind", "strength"), [("fog", 1), ("blur", 0), ("blur", 4)])
def test_what_is_unknown_is_refused(kind: str, strength: int, pixels: Pixels) -> None:
    with pytest.raises(ValueError, match="expected a kind"):
        corrupt(pixels, kind, strength, np.random.default_rng(0))
