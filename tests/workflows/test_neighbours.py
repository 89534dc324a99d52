"""The nearest training images are those that the network sees alike, and none but training images."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from radlens.dataset.manifest import DatasetInfo, Manifest
from radlens.imaging.cache.pixel_cache import PixelCache
from radlens.imaging.preprocess import Preprocessing
from radlens.learning.networks import build_network
from radlens.learning.trained_model import TrainedModel
from radlens.workflows.neighbours import MOST_IMAGES, NEIGHBOURS, training_neighbours

CONTRACT = Preprocessing(height=32, width=32, low=-1.0, high=1.0)


def model(network: str = "small_resnet") -> TrainedModel:
    torch.manual_seed(0)
    tensors = {name: value.numpy() for name, value in build_network(network, CONTRACT.shape, 1).state_dict().items()}
    return TrainedModel("binary", ("a", "b"), network, CONTRACT, 0.5, tensors)


def images(train: int, test: int) -> tuple[Manifest, PixelCache]:
    """The test images are training images with a grey level changed here and there; validation images are the same."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (train, 1, 32, 32), dtype=np.uint8)
    copies = pixels[:test].copy()
    copies[:, :, 3, 3] ^= 1
    splits = ["train"] * train + ["test"] * test + ["val"] * test
    table = pd.DataFrame(
        {
            "path": [f"{split}/{number}.png" for number, split in enumerate(splits)],
            "label": ["ab"[number % 2] for number in range(len(splits))],
            "patient": [f"p{number}" for number in range(len(splits))],
            "split": splits,
        }
    )
    manifest = Manifest(table, DatasetInfo(name="made up", root="", task="binary", classes=("a", "b")))
    every = np.concatenate([pixels, copies, copies])
    rows = np.arange(len(every))
    return manifest, PixelCache(every, rows, (None,) * len(every), (), ("",) * len(every))


def test_the_image_that_it_was_copied_from_comes_first_with_its_label() -> None:
    manifest, cache = images(40, 5)
    paths = list(manifest.table["path"][40:45])
    found = training_neighbours(model(), manifest, cache, paths, 0)
    assert list(found) == paths
    for number, path in enumerate(paths):
        assert found[path][0] == (f"train/{number}.png", "ab"[number % 2])
        assert len(found[path]) == NEIGHBOURS
        assert all(name.startswith("train/") for name, _ in found[path])


def test_of_many_training_images_some_are_looked_through_the_same_ones_again() -> None:
    manifest, cache = images(MOST_IMAGES + 60, 2)
    paths = list(manifest.table["path"][manifest.table["split"] == "test"])
    one, same = (training_neighbours(model(), manifest, cache, paths, 3) for _ in range(2))
    assert one == same
    assert all(len(near) == NEIGHBOURS for near in one.values())


@pytest.mark.parametrize("paths", [[], ["test/40.png"]])
def test_without_wrong_answers_or_training_images_there_are_none(paths: list[str]) -> None:
    manifest, cache = images(40, 5)
    if paths:
        held = (manifest.table["split"] == "test").to_numpy()
        manifest, cache = manifest.only(held), cache.only(held)
    assert training_neighbours(model(), manifest, cache, paths, 0) == {}


def test_what_the_network_sees_is_what_goes_into_its_last_layer() -> None:
    _, cache = images(6, 1)
    trained = model()
    vectors = trained.embeddings(cache.pixels, cache.rows[:6], batch_size=4)
    head = trained._network.get_submodule("head")
    logits = vectors @ head.weight.detach().numpy().T + head.bias.detach().numpy()
    positive = trained.probabilities(cache.pixels, cache.rows[:6])[:, 1]
    np.testing.assert_allclose(1 / (1 + np.exp(-logits[:, 0])), positive, atol=1e-5)
