"""Teachers: their mean answer, how they are trained, and that a stopped training of them goes on."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from radlens.config import RunSettings, resolve
from radlens.decision import Task
from radlens.errors import RadlensError
from radlens.learning import fit as fit_module
from radlens.learning.callbacks import TrainingProgress
from radlens.learning.data_module import LabelledPixels
from radlens.learning.fit import Fitted, fit
from radlens.learning.teachers import Teachers, teacher_settings
from radlens.learning.trained_model import load_network

pytestmark = pytest.mark.filterwarnings("ignore")


def settings_of(**train: Any) -> RunSettings:
    fixed = {"network": "small_resnet", "learning_rate": 3e-3, "first_size": 1.0, "batch_size": 8}
    values = {**fixed, "epochs": 2, "threads": 1, "accelerator": "cpu", **train}
    return resolve("fast", seed=5, preprocessing={"height": 32, "width": 32}, train=values)


def images(count: int, seed: int) -> LabelledPixels:
    """Noise, with a bright spot in the images of the second class."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 140, (count, 1, 32, 32), dtype=np.uint8)
    targets = np.arange(count) % 2
    pixels[targets == 1, 0, 4:12, 4:12] += np.uint8(100)
    return LabelledPixels(pixels, np.arange(count), targets)


def train_in(folder: Path, settings: RunSettings) -> Fitted:
    return fit(settings, "binary", ("clear", "spot"), images(48, 0), images(24, 1), folder)


def same(one: dict[str, Tensor], two: dict[str, Tensor]) -> bool:
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


class Fixed(nn.Module):
    """Says the same logits of every image."""

    def __init__(self, logits: list[float]) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.tensor(logits))

    def forward(self, pixels: Tensor) -> Tensor:
        """Shape (batch, outputs)."""
        return self.logits.expand(len(pixels), -1)


@pytest.mark.parametrize("task", ["binary", "multilabel", "multiclass"])
def test_the_answer_is_that_of_the_mean_logits(task: Task) -> None:
    logits = ([2.0], [-1.0]) if task == "binary" else ([2.0, 0.0, 1.0], [-1.0, 1.0, 2.0])
    found = Teachers([Fixed(one) for one in logits], task)(torch.zeros(4, 1, 8, 8)).numpy()
    mean = np.mean(logits, axis=0)
    wanted = np.exp(mean) / np.exp(mean).sum() if task == "multiclass" else 1 / (1 + np.exp(-mean))
    np.testing.assert_allclose(found, np.tile(wanted, (4, 1)), rtol=1e-6)


def test_teachers_answer_and_learn_nothing() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Dropout(0.9), nn.Linear(64, 1))
    teachers = Teachers([network.train()], "binary")
    pixels = torch.rand(3, 1, 8, 8)
    assert torch.equal(teachers(pixels), teachers(pixels)), "dropout is on"
    assert not teachers(pixels).requires_grad
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_there_is_at_least_one_teacher() -> None:
    with pytest.raises(ValueError, match="at least one network"):
        Teachers([], "binary")


def test_teachers_have_seeds_of_their_own_and_no_teachers() -> None:
    settings = settings_of(teachers=3)
    own = [teacher_settings(settings, number) for number in (1, 2, 3)]
    assert len({settings.seed, *(one.seed for one in own)}) == 4
    assert own == [teacher_settings(settings, number) for number in (1, 2, 3)]
    assert {one.train.teachers for one in own} == {0}
    # Written and read like any settings of a run.
    assert [RunSettings.model_validate(one.model_dump()) for one in own] == own


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Fitted]:
    """A training with two teachers that nothing disturbed."""
    folder = tmp_path_factory.mktemp("taught")
    return folder, train_in(folder, settings_of(teachers=2))


def test_each_teacher_is_a_training_by_itself(taught: tuple[Path, Fitted], tmp_path: Path) -> None:
    folder, fitted = taught
    alone = train_in(tmp_path, teacher_settings(settings_of(teachers=2), 2))
    state = torch.load(folder / "teachers" / "2" / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
    kept = {name.removeprefix("network."): value for name, value in state.items() if name.startswith("network.")}
    assert same(kept, alone.network)
    assert not same(kept, fitted.network)
    assert len(pd.read_csv(folder / "teachers" / "1" / "history.csv")) == 2
    assert len(pd.read_csv(folder / "history.csv")) == 2


def test_the_checkpoints_hold_one_network(taught: tuple[Path, Fitted]) -> None:
    state = torch.load(taught[0] / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    assert {name.removeprefix("network.") for name in state} == set(taught[1].network)


def test_the_network_learns_the_mean_answer_and_not_the_labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Teachers that say the contrary of every label: what is learnt is what they say."""

    def contrary(_: Teachers, pixels: Tensor) -> Tensor:
        bright = pixels[:, 0, 4:12, 4:12].mean(dim=(1, 2)) > pixels.mean(dim=(1, 2, 3)) + 0.2
        return (~bright).float()[:, None]

    settings = settings_of(teachers=1, epochs=4).model_copy(
        update={"augment": settings_of().augment.model_copy(update={"enabled": False})}
    )
    monkeypatch.setattr(Teachers, "__call__", contrary)
    fitted = train_in(tmp_path, settings)
    last = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    tensors = {name.removeprefix("network."): value.numpy() for name, value in last.items()}
    network = load_network("small_resnet", "binary", 2, settings.preprocessing, tensors).eval()
    val = images(24, 1)
    with torch.no_grad():
        logits = network(torch.from_numpy(val.pixels).float() / 127.5 - 1).numpy()[:, 0]
    assert logits[val.targets == 1].max() < logits[val.targets == 0].min()
    assert fitted.epochs == 4


class Stopping(TrainingProgress):
    """Ctrl-C in the first epoch's third step of the training that is the ``which``-th in this process."""

    started, which = 0, 2

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Count the trainings."""
        super().on_train_start(trainer, pl_module)
        type(self).started += 1

    def on_train_batch_end(self, trainer: pl.Trainer, *rest: object) -> None:
        """Stop the one that is meant, after its first epoch."""
        super().on_train_batch_end(trainer, *rest)
        if self.started == self.which and trainer.global_step == 8:
            os.kill(os.getpid(), signal.SIGINT)


def test_ctrl_c_while_a_teacher_is_trained_says_so_and_nothing_is_lost(
    taught: tuple[Path, Fitted], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(fit_module, "TrainingProgress", type("Planted", (Stopping,), {}))
            with pytest.raises(RadlensError, match="teacher 2 of 2 was trained; there is no model yet"):
                train_in(tmp_path, settings_of(teachers=2))
    finally:
        signal.signal(signal.SIGINT, before)
    assert not (tmp_path / "checkpoints").exists()
    started: list[int] = []

    class Counting(TrainingProgress):
        def on_train_batch_end(self, trainer: pl.Trainer, *_: object) -> None:
            """Count the steps."""
            started.append(trainer.global_step)

    monkeypatch.setattr(fit_module, "TrainingProgress", Counting)
    fitted = train_in(tmp_path, settings_of(teachers=2))
    assert same(fitted.network, taught[1].network)
    # The second epoch of the second teacher, and the two of the network itself.
    assert started == [*range(7, 13), *range(1, 13)]
