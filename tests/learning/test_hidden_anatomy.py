"""A planted shortcut in the border: what hiding the anatomy in training makes of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.metrics import roc_auc_score

from radlens.config import RunSettings, resolve
from radlens.learning.data_module import LabelledPixels
from radlens.learning.fit import fit
from radlens.learning.trained_model import TrainedModel

CLASSES = ("clear", "spot")


def settings_of(hide: float) -> RunSettings:
    augment = {"rotation": 0, "crop": (1, 1), "flip_horizontal": 0, "brightness": 0, "contrast": 0, "degrade": 0}
    train = {
        "network": "small_resnet",
        "learning_rate": 3e-3,
        "progressive_resizing": 1.0,
        "batch_size": 16,
        "epochs": 8,
    }
    return resolve(
        "fast",
        seed=5,
        preprocessing={"height": 32, "width": 32},
        augment={**augment, "gamma": (1, 1), "stretch": 0, "margin": 0, "hide": hide},
        train={**train, "threads": 1, "accelerator": "cpu"},
    )


def images(count: int, seed: int) -> LabelledPixels:
    """Noise; those of the second class have a spot in the middle, and a mark at the edge."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 140, (count, 1, 32, 32), dtype=np.uint8)
    targets = np.arange(count) % 2
    pixels[targets == 1, 0, 10:20, 10:20] += np.uint8(100)
    pixels[targets == 1, 0, :1, :8] = 255
    return LabelledPixels(pixels, np.arange(count), targets)


def auroc(model: TrainedModel, pixels: npt.NDArray[np.uint8], targets: npt.NDArray[np.int64]) -> float:
    return float(roc_auc_score(targets, model.probabilities(pixels)[:, 1]))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("hide", [0.0, 0.3])
def test_a_network_that_saw_hidden_anatomy_cannot_tell_from_the_border(tmp_path: Path, hide: float) -> None:
    settings = settings_of(hide)
    fitted = fit(settings, "binary", CLASSES, images(320, 0), images(60, 1), tmp_path)
    tensors = {name: value.numpy() for name, value in fitted.network.items()}
    model = TrainedModel("binary", CLASSES, "small_resnet", settings.preprocessing, 0.5, tensors, device="cpu")
    asked = images(200, 2)
    hidden = asked.pixels.copy()
    hidden[..., 3:-3, 3:-3] = 90
    assert auroc(model, asked.pixels, asked.targets) > 0.99
    shown = model.probabilities(hidden)[:, 1]
    apart = shown[asked.targets == 1].mean() - shown[asked.targets == 0].mean()
    if hide:
        assert np.abs(shown - 0.5).max() < 0.1, "it is sure of what it cannot see"
        assert abs(apart) < 0.03
    else:
        assert auroc(model, hidden, asked.targets) > 0.95, "the planted shortcut was not learnt"
        assert apart > 0.08
