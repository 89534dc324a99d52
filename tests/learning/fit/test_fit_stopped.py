"""Training that is stopped: killed at any step, by Ctrl-C, a full disk or early by itself; nothing reached is lost."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import pytest
import torch

from radlens.base.errors import RadlensError
from radlens.learning import fit as fit_module
from radlens.learning.callbacks import TrainingProgress
from radlens.learning.data_module import LabelledPixels
from radlens.learning.fit import Fitted
from radlens.learning.trained_model import TrainedModel

# Those of the trainings in conftest.py.
EPOCHS, STEPS = 3, 24

pytestmark = pytest.mark.filterwarnings("ignore")

# What a child process does at a given moment; each ends it, or interrupts it, in the middle of its work.
KILL = signal.SIGKILL.value
MOMENTS = {
    "before the first checkpoint": ("step", 2, KILL),
    "within the second epoch": ("step", STEPS + 3, KILL),
    "after the last step of the last epoch": ("step", EPOCHS * STEPS, KILL),
    "while the best checkpoint is written": ("best.ckpt", 2, KILL),
    "between the best checkpoint and the last": ("last.ckpt", 2, KILL),
}


class Stopper(TrainingProgress):
    """Sends a signal to its own process after a given step."""

    step, signal = 0, KILL

    def on_train_batch_end(self, trainer: pl.Trainer, *rest: object) -> None:
        """Count by the optimiser's steps, so that a moment is the same in every run."""
        super().on_train_batch_end(trainer, *rest)
        if trainer.global_step == self.step:
            os.kill(os.getpid(), self.signal)


def plant(module: Any, step: int, what: int) -> None:
    """From now on, training in this process meets the signal after the step."""
    module.TrainingProgress = type("Planted", (Stopper,), {"step": step, "signal": what})


def child(small: Any, folder: str, where: str, number: int, what: int) -> None:
    """Train in this process until the moment; write what came of it, if there is anyone left to."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if where == "step":
        plant(fit_module, number, what)
    plain, seen = Path.replace, []

    def replace(self: Path, target: Path) -> Path:
        seen.extend([target] if target.name == where else [])
        if len(seen) == number:
            os.kill(os.getpid(), what)
        return plain(self, target)

    Path.replace = replace  # type: ignore[method-assign, assignment]
    fitted = small.train_in(Path(folder))
    says = {"interrupted": fitted.interrupted, "epochs": fitted.epochs, "best_epoch": fitted.best_epoch}
    Path(folder, "says.json").write_text(json.dumps(says))
    torch.save(fitted.network, Path(folder, "network.pt"))


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The optimiser's steps that are taken in this process."""
    taken: list[int] = []

    class Counting(TrainingProgress):
        def on_train_batch_end(self, trainer: pl.Trainer, *_: object) -> None:
            """Count, and nothing else."""
            taken.append(trainer.global_step)

    monkeypatch.setattr(fit_module, "TrainingProgress", Counting)
    return taken


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Ctrl-C interrupts, also where the tests were started in the background, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def run_child(small: Any, folder: Path, where: str, number: int, what: int) -> int:
    """A process of its own, forked from one that has imported the heavy packages once for all of these tests."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["radlens.learning.fit"])
    process = context.Process(target=child, args=(small, str(folder), where, number, what))
    process.start()
    process.join(300)
    assert process.exitcode is not None, "the process hangs"
    return process.exitcode


@pytest.mark.parametrize("moment", sorted(MOMENTS))
def test_a_killed_training_resumes_to_the_same_weights(
    whole: tuple[Path, Fitted], tmp_path: Path, steps: list[int], moment: str, small: Any
) -> None:
    assert run_child(small, tmp_path, *MOMENTS[moment]) == -signal.SIGKILL
    assert not (tmp_path / "says.json").exists()
    finished = 0 if moment.startswith("before") else (EPOCHS - 1 if moment.startswith("after") else 1)
    assert (tmp_path / "checkpoints" / "last.ckpt").exists() == (finished > 0)
    assert finished == 0 or small.checkpoint(tmp_path)["epoch"] + 1 == finished
    small.check_same(tmp_path, whole[0], small.train_in(tmp_path), whole[1])
    assert steps == list(range(finished * STEPS + 1, EPOCHS * STEPS + 1)), "finished epochs are not trained again"


def test_a_training_killed_twice_resumes_to_the_same_weights(
    whole: tuple[Path, Fitted], tmp_path: Path, small: Any
) -> None:
    for step in (STEPS + 1, 2 * STEPS + 4):
        assert run_child(small, tmp_path, "step", step, KILL) == -signal.SIGKILL
    small.check_same(tmp_path, whole[0], small.train_in(tmp_path), whole[1])


RECIPE: dict[str, Any] = {
    "augment": {"rotation": 10.0, "crop": (0.5, 1.0), "gamma": (0.8, 1.2), "blur": 1.0, "resolution": 0.6, "jpeg": 40},
    "epochs": 2,
    "balance": "sampling",
    "schedule": "constant",
}


def test_the_whole_recipe_resumes_to_the_same_weights(tmp_path: Path, small: Any) -> None:
    settings = small.settings_of(**RECIPE)
    undisturbed = small.train_in(tmp_path / "whole", settings)
    shorter = settings.model_copy(update={"train": settings.train.model_copy(update={"epochs": 1})})
    small.train_in(tmp_path / "stopped", shorter)
    fitted = small.train_in(tmp_path / "stopped", settings)
    small.check_same(tmp_path / "stopped", tmp_path / "whole", fitted, undisturbed)


def contrary(small: Any) -> LabelledPixels:
    """Training images that teach the opposite of what validation asks: the first epochs are the best."""
    taught = small.images(96, 0)
    return LabelledPixels(taught.pixels, taught.rows, 1 - taught.targets)


def test_a_stopped_run_may_be_moved_before_it_goes_on(tmp_path: Path, small: Any) -> None:
    settings = small.settings_of(epochs=3, schedule="constant")
    undisturbed = small.train_in(tmp_path / "whole", settings, contrary(small))
    assert undisturbed.best_epoch < 3, "the case tests nothing: what was best is not asked for"
    shorter = settings.model_copy(update={"train": settings.train.model_copy(update={"epochs": 2})})
    small.train_in(tmp_path / "here", shorter, contrary(small))
    (tmp_path / "here").rename(tmp_path / "there")
    fitted = small.train_in(tmp_path / "there", settings, contrary(small))
    small.check_same(tmp_path / "there", tmp_path / "whole", fitted, undisturbed)


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_keeps_the_best_so_far_and_the_training_goes_on(
    whole: tuple[Path, Fitted], tmp_path: Path, small: Any
) -> None:
    assert run_child(small, tmp_path, "step", STEPS + 3, signal.SIGINT.value) == 0
    says = json.loads((tmp_path / "says.json").read_text())
    assert says == {"interrupted": True, "epochs": 1, "best_epoch": 1}
    tensors = {name: value.numpy() for name, value in torch.load(tmp_path / "network.pt").items()}
    model = TrainedModel("binary", small.classes, "small_resnet", small.settings_of().preprocessing, 0.5, tensors)
    val = small.images(24, 1)
    assert model.probabilities(val.pixels, val.rows).shape == (24, 2)
    small.check_same(tmp_path, whole[0], small.train_in(tmp_path), whole[1])


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_before_the_first_epoch_is_over_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small: Any
) -> None:
    monkeypatch.setattr(fit_module, "TrainingProgress", TrainingProgress)
    plant(fit_module, 2, signal.SIGINT.value)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(RadlensError, match="before its first epoch was over"):
        small.train_in(tmp_path)
    assert signal.getsignal(signal.SIGINT) is before, "Ctrl-C would do nothing from here on"


def test_a_finished_training_is_not_trained_again(
    whole: tuple[Path, Fitted], tmp_path: Path, steps: list[int], small: Any
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(whole[0], folder)
    again = small.train_in(folder)
    small.check_same(folder, whole[0], again, whole[1])
    assert steps == []


def test_early_stopping_stops_and_stays_stopped(tmp_path: Path, small: Any) -> None:
    settings = small.settings_of(epochs=12, patience=2, schedule="constant", learning_rate=2e-3)
    fitted = small.train_in(tmp_path, settings, contrary(small))
    values = small.history(tmp_path)["val_loss"]
    assert fitted.epochs == len(values) < 12, "the case tests nothing"
    assert fitted.best_epoch == int(np.argmin(values)) + 1 == fitted.epochs - 2
    again = small.train_in(tmp_path, settings, contrary(small))
    assert again.epochs == fitted.epochs, "a training that had stopped went on"
    assert small.same_tensors(again.network, fitted.network)
    assert len(small.history(tmp_path)) == fitted.epochs


def test_without_patience_nothing_stops_early(tmp_path: Path, small: Any) -> None:
    assert small.train_in(tmp_path, small.settings_of(epochs=5, patience=0), contrary(small)).epochs == 5


def test_a_full_disk_is_said_and_what_was_reached_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small: Any
) -> None:
    writes = []
    plain = Path.write_bytes

    def full(self: Path, data: Any) -> int:
        if self.name.startswith(".last.ckpt"):
            writes.append(self)
            if len(writes) == 2:
                plain(self, bytes(data)[:100])
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return plain(self, data)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(RadlensError, match="No space left on the device"):
            small.train_in(tmp_path)
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["best.ckpt", "last.ckpt"]
    assert small.checkpoint(tmp_path)["epoch"] == 0
