"""The distance is Mahalanobis's from the training images, in the features that the early layers compute."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image
from scipy.spatial.distance import mahalanobis
from sklearn.covariance import LedoitWolf

from radlens.errors import DataError
from radlens.learning.familiarity import FEATURES, SIDE, Familiarity, _resizing
from radlens.learning.networks.efficientnet_lite import SCALES, EfficientNetLite, load_imagenet

SHAPE = (1, 48, 40)
Statistics = dict[str, npt.NDArray[np.generic]]


def blobs(images: int, seed: int, channels: int = 1) -> np.ndarray:
    """Bright discs at about the same place."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:48, 0:40]
    centres = np.array([24, 20]) + rng.normal(0, 2, (images, 2))
    squares = (rows - centres[:, 0, None, None]) ** 2 + (columns - centres[:, 1, None, None]) ** 2
    grey = 200 * np.exp(-squares / rng.uniform(60, 120, (images, 1, 1))) + rng.normal(20, 4, (images, 48, 40))
    return np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[:, None], channels, axis=1)


@pytest.fixture(scope="module")
def fitted() -> Familiarity:
    return Familiarity.fit(SHAPE, blobs(300, 0), np.arange(300), 0)


@pytest.mark.parametrize("size", [28, 100, 128, 160, 333])
def test_resizing_is_what_pillow_does(size: int) -> None:
    image = np.random.default_rng(size).integers(0, 256, (size, size)).astype(np.float32)
    matrix = _resizing(size).numpy()
    expected = np.asarray(Image.fromarray(image).resize((SIDE, SIDE), Image.Resampling.BILINEAR))
    np.testing.assert_allclose(matrix @ image @ matrix.T, expected, atol=1e-3)


def test_the_features_are_mean_and_spread_of_the_fifth_stage(fitted: Familiarity) -> None:
    network = EfficientNetLite(1, 1, SCALES[0])
    load_imagenet(network, 0)
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.weight.data = module.weight.data.half().float()
    pixels = torch.from_numpy(blobs(4, 9))
    small = fitted.rows @ pixels.float() @ fitted.columns
    seen = network.eval().stem(small / 127.5 - 1)
    for block in list(network.blocks)[:11]:
        seen = block(seen)
    assert seen.shape[1] == FEATURES // 2
    expected = torch.cat([seen.mean((2, 3)), seen.std((2, 3), correction=0)], dim=1)
    torch.testing.assert_close(fitted.features(pixels), expected, rtol=1e-4, atol=1e-5)


def test_the_distance_is_that_of_an_independent_reckoning(fitted: Familiarity) -> None:
    features = fitted.features_of(blobs(300, 0), np.arange(300)).astype(np.float64)
    model = LedoitWolf().fit(features)
    new = fitted.features_of(blobs(5, 1), np.arange(5))
    expected = [mahalanobis(row, model.location_, model.precision_) for row in new]
    found = fitted(torch.from_numpy(blobs(5, 1))).numpy()
    np.testing.assert_allclose(found, expected, rtol=2e-3)


def test_unlike_images_are_farther_than_any_like_those_of_training(fitted: Familiarity) -> None:
    like = fitted(torch.from_numpy(blobs(200, 2))).numpy()
    noise = np.random.default_rng(0).integers(0, 256, (20, *SHAPE), dtype=np.uint8)
    strange = {"inverted": 255 - blobs(20, 3), "noise": noise, "blank": np.zeros((1, *SHAPE), np.uint8)}
    strange |= {"shifted": np.roll(blobs(20, 3), 20, axis=2)}
    for name, pixels in strange.items():
        assert fitted(torch.from_numpy(pixels)).min() > like.max(), name


def test_the_same_again_from_its_statistics_and_from_the_same_images(fitted: Familiarity) -> None:
    pixels = torch.from_numpy(blobs(6, 4))
    again = Familiarity.from_statistics(SHAPE, fitted.statistics())
    assert torch.equal(again(pixels), fitted(pixels))
    refitted = Familiarity.fit(SHAPE, blobs(300, 0), np.arange(300), 0)
    torch.testing.assert_close(refitted(pixels), fitted(pixels), rtol=1e-5, atol=1e-6)


def test_colour_that_is_grey_is_as_far_as_grey(fitted: Familiarity) -> None:
    colour = Familiarity.from_statistics((3, *SHAPE[1:]), fitted.statistics())
    found = colour(torch.from_numpy(blobs(5, 5, channels=3)))
    torch.testing.assert_close(found, fitted(torch.from_numpy(blobs(5, 5))), rtol=5e-3, atol=1e-3)


def test_equal_training_images_give_numbers_and_any_other_is_far() -> None:
    same = np.repeat(blobs(1, 6), 12, axis=0)
    found = Familiarity.fit(SHAPE, same, np.arange(12), 0)
    distances = found(torch.from_numpy(np.concatenate([same[:1], blobs(1, 7)]))).numpy()
    assert np.isfinite(distances).all()
    assert distances[1] > 10 * distances[0]


@pytest.mark.parametrize(
    "damage",
    [
        lambda values: values | {"centre": values["centre"][:-1]},
        lambda values: values | {"whitening": np.full_like(values["whitening"], np.nan)},
        lambda values: {"centre": values["centre"]},
        lambda values: values | {"more": values["centre"]},
    ],
)
def test_damaged_statistics_are_refused(fitted: Familiarity, damage: Callable[[Statistics], Statistics]) -> None:
    with pytest.raises(DataError, match="statistics of familiar images"):
        Familiarity.from_statistics(SHAPE, damage(fitted.statistics()))
