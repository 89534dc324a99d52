"""Changes of exposure and quality: each image by itself, the label kept, nothing left unchanged."""

from __future__ import annotations

import numpy as np
import pytest

from radlens.imaging.framing import SUITE as FRAMING
from radlens.learning.corruptions import corrupt
from radlens.learning.quality import QUALITY_KINDS, QUALITY_SUITE, QualityChange, change_quality


@pytest.fixture
def pixels() -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.integers(40, 200, (4, 1, 32, 40)).astype(np.uint8)


@pytest.mark.parametrize("change", QUALITY_SUITE, ids=lambda change: change.name)
def test_what_becomes_of_an_image_does_not_depend_on_the_others(change: QualityChange, pixels: np.ndarray) -> None:
    whole = change_quality(pixels, change, seed=3)
    alone = [change_quality(pixels[number : number + 1], change, seed=3, first=number)[0] for number in range(4)]
    np.testing.assert_array_equal(whole, np.stack(alone))
    assert whole.dtype == np.uint8
    assert whole.shape == pixels.shape
    assert (whole != pixels).any(axis=(1, 2, 3)).all()


def test_noise_is_another_for_each_image_and_seed_and_the_same_when_asked_again(pixels: np.ndarray) -> None:
    noise = QualityChange("noise", 2)
    same = np.repeat(pixels[:1], 2, axis=0)
    changed = change_quality(same, noise, seed=1)
    assert (changed[0] != changed[1]).any()
    assert (changed != change_quality(same, noise, seed=2)).any()
    np.testing.assert_array_equal(changed, change_quality(same, noise, seed=1))


def test_a_change_without_chance_is_the_corruption_of_its_name(pixels: np.ndarray) -> None:
    changed = change_quality(pixels, QualityChange("darker", 2), seed=5)
    np.testing.assert_array_equal(changed, corrupt(pixels, "darker", 2, np.random.default_rng(0)))


def test_names_differ_from_each_other_and_from_those_of_framing() -> None:
    names = [*(change.name for change in FRAMING), *(change.name for change in QUALITY_SUITE)]
    assert len(set(names)) == len(names)
    assert not {"shift", "crop"} & set(QUALITY_KINDS)


def test_the_strongest_changes_and_negatives_do_not_count() -> None:
    assert {change.strength for change in QUALITY_SUITE if change.counted} == {1, 2}
    assert not any(change.counted for change in QUALITY_SUITE if change.kind == "inversion")
