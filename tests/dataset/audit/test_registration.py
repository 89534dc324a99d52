"""Pictures laid over each other: known maps are found again, and other pictures are not taken for the same."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from radlens.config import PhantomSettings
from radlens.dataset.audit.registration import finest_side, judge, register
from radlens.dataset.audit.spectrum import PLAIN
from radlens.dataset.audit.thumbnails import warp
from radlens.dataset.phantom.source import phantom_manifest
from radlens.imaging.cache.pixel_cache import PixelCache
from radlens.imaging.preprocess import Preprocessing

Pixels = npt.NDArray[np.uint8]
GUESS = PLAIN.matrix.astype(np.float32)


@pytest.fixture(scope="module")
def pictures() -> Pixels:
    """One image of each of eight simulated patients, shape (8, 1, 160, 160)."""
    manifest = phantom_manifest(PhantomSettings(images=40, size=160, seed=11))
    first = ~manifest.table["patient"].duplicated().to_numpy()
    cache = PixelCache.build(manifest.only(first).locations[:8], Preprocessing(height=160, width=160))
    return np.asarray(cache.pixels[cache.rows])


def affine(degrees: float, zoom: float, shift: tuple[float, float]) -> npt.NDArray[np.float32]:
    angle = np.deg2rad(degrees)
    turn = zoom * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.concatenate([turn, np.array(shift)[:, None]], axis=1).astype(np.float32)


def changed(pictures: Pixels, change: npt.NDArray[np.float32]) -> Pixels:
    warped, _ = warp(pictures[:, 0].astype(np.float32), np.repeat(change[None], len(pictures), axis=0))
    return warped.round().astype(np.uint8)[:, None]


@pytest.mark.parametrize(
    "change",
    [affine(0, 1, (0, 0)), affine(3, 1, (0, 0)), affine(0, 0.96, (0, 0)), affine(-2, 1.03, (0.06, -0.04))],
    ids=["as it is", "turned", "enlarged", "turned, shrunk and shifted"],
)
def test_a_known_map_is_found_to_a_fifth_of_a_pixel(pictures: Pixels, change: npt.NDArray[np.float32]) -> None:
    found = register(pictures, changed(pictures, change), np.repeat(GUESS[None], len(pictures), axis=0))
    assert judge(found, finest_side(160, 160))[0].all()
    assert not found.inverted.any()
    corners = np.array([[-0.4, -0.4, 1], [-0.4, 0.4, 1], [0.4, -0.4, 1], [0.4, 0.4, 1]]).T
    assert np.abs(found.maps @ corners - change @ corners).max() < 0.2 / 160


def test_black_and_white_exchanged_is_said(pictures: Pixels) -> None:
    found = register(pictures, 255 - pictures, np.repeat(GUESS[None], len(pictures), axis=0))
    assert found.inverted.all()
    assert judge(found, finest_side(160, 160))[0].all()


def test_a_half_turn_is_found_from_the_same_guess(pictures: Pixels) -> None:
    turned = np.ascontiguousarray(pictures[:, :, ::-1, ::-1])
    found = register(pictures, turned, np.repeat(GUESS[None], len(pictures), axis=0))
    assert judge(found, finest_side(160, 160))[0].all()
    np.testing.assert_allclose(found.maps[:, :, :2], np.broadcast_to(-np.eye(2), (len(pictures), 2, 2)), atol=2e-3)


def test_other_patients_are_not_the_same_picture(pictures: Pixels) -> None:
    first, second = np.triu_indices(len(pictures), 1)
    found = register(pictures[first], pictures[second], np.repeat(GUESS[None], len(first), axis=0))
    same, _ = judge(found, finest_side(160, 160))
    assert not same.any()


def test_pairs_do_not_depend_on_what_is_compared_beside_them(pictures: Pixels) -> None:
    copies = changed(pictures, affine(2, 1, (0.02, 0)))
    together = register(pictures, copies, np.repeat(GUESS[None], len(pictures), axis=0))
    alone = register(pictures[3:4], copies[3:4], GUESS[None])
    np.testing.assert_allclose(together.maps[3:4], alone.maps, atol=1e-4)
    np.testing.assert_allclose(together.similarity[3:4], alone.similarity, atol=1e-3)
