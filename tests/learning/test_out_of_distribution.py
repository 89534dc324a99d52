"""The distance is that to the fifth nearest training image, in the features that the early layers compute."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image
from scipy.spatial.distance import cdist

from radlens.base.errors import DataError
from radlens.imaging.framing import reframe_each
from radlens.learning.corruptions import corrupt_each
from radlens.learning.networks.efficientnet_lite import SCALES, EfficientNetLite, load_imagenet
from radlens.learning.out_of_distribution import DIRECTIONS, FEATURES, SIDE, OodDetector, _resizing

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
def fitted() -> OodDetector:
    return OodDetector.fit(SHAPE, blobs(300, 0), np.arange(300), 0)


@pytest.mark.parametrize("size", [28, 100, 128, 160, 321])
def test_resizing_is_what_pillow_does(size: int) -> None:
    image = np.random.default_rng(size).integers(0, 256, (size, size)).astype(np.float32)
    matrix = _resizing(size, SIDE).numpy()
    expected = np.asarray(Image.fromarray(image).resize((SIDE, SIDE), Image.Resampling.BILINEAR))
    np.testing.assert_allclose(matrix @ image @ matrix.T, expected, atol=1e-3)


def reckoned(pixels: np.ndarray, side: int, blocks: tuple[int, ...]) -> np.ndarray:
    """Means and spreads after so many blocks, by the network itself and Pillow's resizing."""
    network = EfficientNetLite(1, 1, SCALES[0])
    load_imagenet(network, 0)
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.weight.data = module.weight.data.half().float()
    small = [
        Image.fromarray(one[0].astype(np.float32)).resize((side, side), Image.Resampling.BILINEAR) for one in pixels
    ]
    parts = []
    with torch.inference_mode():
        seen = network.eval().stem(torch.from_numpy(np.stack([np.asarray(one) for one in small]))[:, None] / 127.5 - 1)
        for number, block in enumerate(network.blocks, start=1):
            seen = block(seen)
            if number in blocks:
                parts += [seen.mean((2, 3)), seen.std((2, 3), correction=0)]
    return torch.cat(parts, dim=1).numpy()


def test_the_features_are_means_and_spreads_of_three_stages(fitted: OodDetector) -> None:
    expected = reckoned(blobs(4, 9), SIDE, (5, 8, 11))
    assert expected.shape[1] == FEATURES
    np.testing.assert_allclose(fitted.features(torch.from_numpy(blobs(4, 9))), expected, rtol=1e-3, atol=1e-4)


def test_the_distance_is_that_to_the_fifth_nearest_training_image(fitted: OodDetector) -> None:
    values = {name: value.astype(np.float64) for name, value in fitted.statistics().items()}
    known = (reckoned(blobs(300, 0), SIDE, (5, 8, 11)) - values["centre"]) @ values["whitening"]
    new = (reckoned(blobs(5, 1), SIDE, (5, 8, 11)) - values["centre"]) @ values["whitening"]
    expected = np.sort(cdist(new, known), axis=1)[:, 4]
    np.testing.assert_allclose(fitted(torch.from_numpy(blobs(5, 1))).numpy(), expected, rtol=5e-3)


def test_copies_framed_and_exposed_otherwise_are_a_unit_apart_in_the_mean(fitted: OodDetector) -> None:
    known, place = np.arange(300), fitted.get_buffer("whitening").numpy().astype(np.float64)
    own = fitted.features_of(blobs(300, 0), known)
    moved = [
        (fitted.features_of(change(blobs(300, 0), np.random.default_rng(7)), known) - own).astype(np.float64) @ place
        for change in (reframe_each, corrupt_each)
    ]
    framed, exposed = (np.square(part).mean() for part in moved)
    # Above 1, since these are other copies than those of 300 images that the unit of 464 features was taken from.
    assert 1 < 0.995 * framed + 0.005 * exposed < 1.4


def test_unlike_images_are_farther_than_any_like_those_of_training(fitted: OodDetector) -> None:
    like = fitted(torch.from_numpy(blobs(200, 2))).numpy()
    noise = np.random.default_rng(0).integers(0, 256, (20, *SHAPE), dtype=np.uint8)
    strange = {"inverted": 255 - blobs(20, 3), "noise": noise, "blank": np.zeros((1, *SHAPE), np.uint8)}
    for name, pixels in strange.items():
        assert fitted(torch.from_numpy(pixels)).min() > like.max(), name


def test_other_framing_makes_images_less_unfamiliar_than_to_the_distance_from_the_centre(fitted: OodDetector) -> None:
    own = fitted.features_of(blobs(300, 0), np.arange(300)).astype(np.float64)[:, -224:]
    centre = own.mean(axis=0)
    whitening = np.linalg.cholesky(np.linalg.inv(np.cov(own.T) + 1e-3 * np.eye(224)))
    old = OodDetector(SHAPE, centre, whitening)
    same, other = blobs(100, 2), reframe_each(blobs(100, 2), np.random.default_rng(1))
    ratios = [
        float(np.median(each(torch.from_numpy(other))) / np.median(each(torch.from_numpy(same))))
        for each in (fitted, old)
    ]
    assert ratios[0] < ratios[1]


def test_an_older_folder_without_references_has_the_mahalanobis_distance_of_the_fifth_stage() -> None:
    rng = np.random.default_rng(0)
    centre, whitening = rng.normal(size=224), rng.normal(size=(224, 224))
    old = OodDetector.from_statistics(SHAPE, {"centre": centre, "whitening": whitening})
    assert set(old.statistics()) == {"centre", "whitening"}
    expected = np.linalg.norm((reckoned(blobs(5, 1), 128, (11,)) - centre) @ whitening, axis=1)
    np.testing.assert_allclose(old(torch.from_numpy(blobs(5, 1))), expected, rtol=1e-3)


def test_one_odd_training_image_makes_nothing_familiar() -> None:
    odd = 255 - blobs(1, 3)
    found = OodDetector.fit(SHAPE, np.concatenate([blobs(40, 0), odd]), np.arange(41), 0)
    assert found(torch.from_numpy(odd)).item() > found(torch.from_numpy(blobs(20, 2))).max()


def test_fewer_training_images_than_neighbours_do(fitted: OodDetector) -> None:
    few = OodDetector.fit(SHAPE, blobs(3, 0), np.arange(3), 0)
    assert few.get_buffer("references").shape == (3, DIRECTIONS)
    assert np.isfinite(few(torch.from_numpy(blobs(4, 1))).numpy()).all()


def test_the_same_again_from_its_statistics_and_from_the_same_images(fitted: OodDetector) -> None:
    pixels = torch.from_numpy(blobs(6, 4))
    again = OodDetector.from_statistics(SHAPE, fitted.statistics())
    assert torch.equal(again(pixels), fitted(pixels))
    refitted = OodDetector.fit(SHAPE, blobs(300, 0), np.arange(300), 0)
    torch.testing.assert_close(refitted(pixels), fitted(pixels), rtol=1e-5, atol=1e-6)


def test_colour_that_is_grey_is_as_far_as_grey(fitted: OodDetector) -> None:
    colour = OodDetector.from_statistics((3, *SHAPE[1:]), fitted.statistics())
    found = colour(torch.from_numpy(blobs(5, 5, channels=3)))
    torch.testing.assert_close(found, fitted(torch.from_numpy(blobs(5, 5))), rtol=5e-3, atol=1e-3)


def test_equal_training_images_give_numbers_and_any_other_is_far() -> None:
    same = np.repeat(blobs(1, 6), 12, axis=0)
    found = OodDetector.fit(SHAPE, same, np.arange(12), 0)
    distances = found(torch.from_numpy(np.concatenate([same[:1], blobs(1, 7)]))).numpy()
    assert np.isfinite(distances).all()
    assert distances[1] > 10 * distances[0]


@pytest.mark.parametrize(
    "damage",
    [
        lambda values: values | {"centre": values["centre"][:-1]},
        lambda values: values | {"whitening": np.full_like(values["whitening"], np.nan)},
        lambda values: {"centre": values["centre"]},
        lambda values: {name: values[name] for name in ("centre", "whitening")},
        lambda values: values | {"references": values["references"][:, 1:]},
        lambda values: values | {"references": values["references"][:0]},
        lambda values: values | {"references": np.full_like(values["references"], np.inf)},
        lambda values: values | {"more": values["centre"]},
    ],
)
def test_damaged_statistics_are_refused(fitted: OodDetector, damage: Callable[[Statistics], Statistics]) -> None:
    with pytest.raises(DataError, match="statistics of familiar images"):
        OodDetector.from_statistics(SHAPE, damage(fitted.statistics()))
