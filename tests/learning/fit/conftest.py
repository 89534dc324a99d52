"""A training that takes moments, and what it leaves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from radlens.config import RunSettings, resolve
from radlens.decision import Task
from radlens.learning.data_module import LabelledPixels
from radlens.learning.fit import Fitted, fit

# What these tests ask of the training holds for any network; this one takes milliseconds a step.
SMALL = {
    "network": "small_resnet",
    "learning_rate": 3e-3,
    "balance": "loss",
    "progressive_resizing": 1.0,
    "monitor": "val_loss",
}


class SmallTraining:
    """Trains a small network on made-up images for moments, and reads what a training left in its folder."""

    classes = ("clear", "spot")
    # Enough steps for batch norm's running statistics to come near: then validation improves with every epoch.
    epochs, steps = 3, 24

    def settings_of(self, **changes: Any) -> RunSettings:
        """Those of every training here; changes of ``seed``, ``augment`` and what belongs to ``train`` by keyword."""
        return resolve(
            "fast",
            seed=changes.pop("seed", 5),
            preprocessing={"height": 32, "width": 32},
            augment=changes.pop("augment", {"rotation": 10.0, "frame": 0.0, "hide": 0.0}),
            train={**SMALL, "epochs": self.epochs, "batch_size": 4, "threads": 1, "accelerator": "cpu", **changes},
        )

    def images(self, count: int, seed: int, task: Task = "binary") -> LabelledPixels:
        """Noise, with a bright spot where the class is not the first: in another corner for each class or label."""
        rng = np.random.default_rng(seed)
        pixels = rng.integers(0, 140, (count, 1, 32, 32), dtype=np.uint8)
        if task == "multilabel":
            targets = present = rng.integers(0, 2, (count, 3))
        else:
            targets = np.arange(count) % (2 if task == "binary" else 3)
            present = np.eye(3, dtype=np.int64)[targets] * np.array([0, 1, 1])
        for image, spots in zip(pixels[:, 0], present, strict=True):
            for spot, (row, column) in zip(spots, ((4, 4), (4, 20), (20, 4)), strict=True):
                image[row : row + 8, column : column + 8] += np.uint8(100 * spot)
        order = rng.permutation(count)
        return LabelledPixels(pixels, order, targets[order])

    def train_in(
        self, folder: Path, settings: RunSettings | None = None, train: LabelledPixels | None = None
    ) -> Fitted:
        """Train in a folder, or go on there."""
        images = train or self.images(96, 0)
        return fit(settings or self.settings_of(), "binary", self.classes, images, self.images(24, 1), folder)

    def checkpoint(self, folder: Path, name: str = "last") -> dict[str, Any]:
        """What a checkpoint holds."""
        return dict(torch.load(folder / "checkpoints" / f"{name}.ckpt", map_location="cpu", weights_only=True))

    def history(self, folder: Path) -> pd.DataFrame:
        """The history, without what is different every time."""
        return pd.read_csv(folder / "history.csv").drop(columns="seconds")

    def same_tensors(self, one: dict[str, Tensor], two: dict[str, Tensor]) -> bool:
        """Bit-identical, under the same names."""
        return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)

    def check_same(self, found: Path, wanted: Path, fitted: Fitted, whole: Fitted) -> None:
        """Bit-identical weights, optimiser state, history and augmentation."""
        assert self.same_tensors(fitted.network, whole.network)
        assert (fitted.best_epoch, fitted.epochs, fitted.interrupted) == (whole.best_epoch, whole.epochs, False)
        one, two = self.checkpoint(found), self.checkpoint(wanted)
        assert self.same_tensors(one["state_dict"], two["state_dict"])
        assert (one["epoch"], one["global_step"]) == (two["epoch"], two["global_step"])
        states = [content["optimizer_states"][0]["state"] for content in (one, two)]
        assert all(self.same_tensors(states[0][number], states[1][number]) for number in states[1])
        pd.testing.assert_frame_equal(self.history(found), self.history(wanted), check_exact=True)
        for path in (wanted / "augmentation").glob("*.npy"):
            assert (found / "augmentation" / path.name).read_bytes() == path.read_bytes()


@pytest.fixture(scope="session")
def small() -> SmallTraining:
    """Trains, and reads what a training left."""
    return SmallTraining()


@pytest.fixture(scope="session")
def whole(small: SmallTraining, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Fitted]:
    """A training that nothing disturbed; not to be changed."""
    folder = tmp_path_factory.mktemp("whole")
    return folder, small.train_in(folder)
