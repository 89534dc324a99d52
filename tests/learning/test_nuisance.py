"""Directions that changes move images along count little, in the proportions that the covariances give."""

from __future__ import annotations

import numpy as np
import pytest

from radlens.learning.nuisance import whitening_of


def draws(seed: int, scales: list[float], rows: int = 6000) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, len(scales))) * scales


def test_framing_moves_images_equally_far_in_every_direction_that_is_kept() -> None:
    mixed = np.linalg.qr(np.random.default_rng(9).normal(size=(4, 4)))[0]
    framed, images = draws(0, [3, 1, 0.5, 2]) @ mixed, draws(1, [1, 1, 4, 6]) @ mixed
    moved = framed @ whitening_of(framed, np.zeros_like(framed), images, 4)
    np.testing.assert_allclose(np.cov(moved.T), np.eye(4) / 0.995, atol=0.08)


def test_the_first_directions_are_those_in_which_images_differ_more_than_changes_move_them() -> None:
    framed, images = draws(0, [2, 1, 1, 0.5]), draws(1, [2, 1, 3, 2])
    whitening = whitening_of(framed, np.zeros_like(framed), images, 2)
    assert whitening.shape == (4, 2)
    spread = (images @ whitening).std(axis=0)
    # 2 / 0.5 and 3 / 1, less the bit of the images' own variance that counts as changes.
    expected = [np.sqrt(4 / (0.995 * 0.25 + 0.001 * 4)), np.sqrt(9 / (0.995 + 0.001 * 9))]
    np.testing.assert_allclose(spread, expected, rtol=0.05)
    weights = np.abs(whitening) * np.array([2, 1, 3, 2])[:, None]
    assert weights.argmax(axis=0).tolist() == [3, 2]


def test_framing_counts_far_more_than_exposure() -> None:
    framed, exposed, images = draws(0, [1, 0.5]), draws(1, [0.5, 2]), draws(2, [1, 1])
    whitening = whitening_of(framed, exposed, images, 2)
    expected = 1 / (0.995 * np.array([1, 0.25]) + 0.005 * np.array([0.25, 4]) + 0.001)
    np.testing.assert_allclose(np.diag(whitening @ whitening.T), expected, rtol=0.06)


@pytest.mark.parametrize("images", [np.zeros((3, 5)), np.ones((1, 5))])
def test_images_without_any_difference_give_numbers(images: np.ndarray) -> None:
    assert np.isfinite(whitening_of(np.zeros((3, 5)), np.zeros((3, 5)), images, 4)).all()
