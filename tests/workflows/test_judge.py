"""The framing suite as a stage: how many images are asked about, which, and where the evidence goes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from radlens.assessment.framing_evidence import affordable_images
from radlens.assessment.predictions import predictions_table
from radlens.config import RunSettings
from radlens.dataset.manifest import DatasetInfo, Manifest
from radlens.imaging.framing import SUITE
from radlens.workflows.judge import measure_split_framing

INFO = DatasetInfo(name="made up", task="binary", classes=("NORMAL", "PNEUMONIA"), root=".")


class Asked:
    """A model that answers by the mean grey of an image, and remembers how many it was asked about at once."""

    def __init__(self, *, flip_tta: bool = False) -> None:
        self.flip_tta, self.threshold, self.asked = flip_tta, 0.5, list[int]()

    def probabilities(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
        """Shape (images, 2)."""
        self.asked.append(len(pixels))
        grey = pixels.mean(axis=(1, 2, 3)) / 255
        return np.stack([1 - grey, grey], axis=1)


def made(training: int, test: int) -> tuple[Any, pd.DataFrame, npt.NDArray[np.uint8]]:
    """Images, the answers to those of test, and pixels that lie in another order than the images."""
    count = training + test
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "path": [f"{number}.png" for number in range(count)],
            "label": np.where(np.arange(count) % 2, "PNEUMONIA", "NORMAL"),
            "patient": [f"p{number}" for number in range(count)],
            "split": ["train"] * training + ["test"] * test,
        }
    )
    manifest = Manifest(table, INFO)
    rows = rng.permutation(count)
    pixels = np.empty((count, 1, 8, 8), np.uint8)
    pixels[rows] = rng.integers(0, 256, (count, 1, 1, 1)) + np.zeros((8, 8))
    prepared = SimpleNamespace(manifest=manifest, cache=SimpleNamespace(pixels=pixels, rows=rows))
    of_test = manifest.only((table["split"] == "test").to_numpy())
    predictions = predictions_table(of_test, Asked().probabilities(pixels[rows[training:]]))
    return prepared, predictions, pixels


def settings(images: int = 400, epochs: int = 1) -> RunSettings:
    return RunSettings.model_validate({"evaluate": {"framing_images": images}, "train": {"epochs": epochs}})


def asked(training: int, test: int, chosen: RunSettings, *, flip_tta: bool = False, after_training: bool = True) -> int:
    prepared, predictions, _ = made(training, test)
    model: Any = Asked(flip_tta=flip_tta)
    found = measure_split_framing(chosen, prepared, predictions, model, "test", after_training=after_training)
    assert model.asked == [found.images if found else 0] * len(SUITE)
    return int(model.asked[0])


def test_after_training_the_suite_costs_a_tenth_and_the_setting_still_bounds_it() -> None:
    epochs = 40
    afforded = affordable_images(1000, epochs, 1)
    assert 64 < afforded < 400
    assert asked(1000, 500, settings(epochs=epochs)) == afforded
    assert asked(1000, 500, settings(epochs=epochs), flip_tta=True) == affordable_images(1000, epochs, 2) < afforded
    assert asked(1000, 500, settings(images=30, epochs=epochs)) == 30
    # However short the training was; and not more than there are.
    assert asked(50, 100, settings()) == 64
    assert asked(50, 40, settings()) == 40


def test_without_training_the_setting_alone_bounds_it() -> None:
    assert asked(50, 150, settings(images=120), after_training=False) == 120
    assert asked(50, 150, settings(images=400), after_training=False) == 150


def test_pixels_are_those_of_the_images_drawn() -> None:
    """Unchanged in grey by any cut, a plain picture gets the same answer: pixels of others would not."""
    prepared, predictions, _ = made(50, 150)
    model: Any = Asked()
    found = measure_split_framing(settings(images=100), prepared, predictions, model, "test", after_training=False)
    assert found is not None
    cuts = [change for change in found.changes if change.kind in ("top", "left", "all sides")]
    assert all(group.flipped == 0.0 for change in cuts for group in change.groups.values())
    assert all(group.shift == pytest.approx(0.0, abs=1e-9) for change in cuts for group in change.groups.values())
    darkened = next(change for change in found.changes if change.name == "zoomed out 1.5")
    assert all(group.shift < -0.3 for group in darkened.groups.values())


def test_zero_images_or_an_empty_split_are_not_measured() -> None:
    prepared, predictions, _ = made(10, 30)
    model: Any = Asked()
    assert measure_split_framing(settings(0), prepared, predictions, model, "test", after_training=False) is None
    assert measure_split_framing(settings(), prepared, predictions, model, "val", after_training=False) is None
    assert model.asked == []


def test_the_same_settings_give_the_same_evidence() -> None:
    prepared, predictions, _ = made(10, 150)
    model: Any = Asked()

    def measured(seed: int) -> Any:
        chosen = settings(images=80).model_copy(update={"seed": seed})
        return measure_split_framing(chosen, prepared, predictions, model, "test", after_training=False)

    assert measured(0) == measured(0)
    assert measured(0) != measured(1)
