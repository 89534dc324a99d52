"""Training: repeatable, resumable after being killed at any step, and stopped by Ctrl-C without a loss."""

from __future__ import annotations

import errno
import json
import logging
import multiprocessing
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import log_loss, roc_auc_score
from torch import Tensor

from radlens.config import RunSettings, TrainSettings, resolve
from radlens.decision import Task
from radlens.errors import RadlensError
from radlens.learning import fit as fit_module
from radlens.learning.callbacks import HISTORY_COLUMNS, TrainingProgress
from radlens.learning.data_module import LabelledPixels
from radlens.learning.fit import Fitted, fit
from radlens.learning.networks.efficientnet_lite import imagenet_weights
from radlens.learning.trained_model import TrainedModel

CLASSES = ("clear", "spot")
# Enough steps for batch norm's running statistics to come near: then validation improves with every epoch.
EPOCHS, STEPS = 3, 24

# What these tests ask of the training holds for any network; this one takes milliseconds a step.
SMALL = {"network": "small_resnet", "learning_rate": 3e-3, "balance": "loss", "first_size": 1.0, "monitor": "val_loss"}

pytestmark = pytest.mark.filterwarnings("ignore")


def settings_of(**changes: Any) -> RunSettings:
    return resolve(
        "fast",
        seed=changes.pop("seed", 5),
        preprocessing={"height": 32, "width": 32},
        augment=changes.pop("augment", {"rotation": 10.0, "frame": 0.0, "hide": 0.0}),
        train={**SMALL, "epochs": EPOCHS, "batch_size": 4, "threads": 1, "accelerator": "cpu", **changes},
    )


def images(count: int, seed: int, task: Task = "binary") -> LabelledPixels:
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


def train_in(folder: Path, settings: RunSettings | None = None, train: LabelledPixels | None = None) -> Fitted:
    return fit(settings or settings_of(), "binary", CLASSES, train or images(96, 0), images(24, 1), folder)


def checkpoint(folder: Path, name: str = "last") -> dict[str, Any]:
    return dict(torch.load(folder / "checkpoints" / f"{name}.ckpt", map_location="cpu", weights_only=True))


def history(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "history.csv").drop(columns="seconds")


def same_tensors(one: dict[str, Tensor], two: dict[str, Tensor]) -> bool:
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def check_same(found: Path, wanted: Path, fitted: Fitted, whole: Fitted) -> None:
    """Bit-identical weights, optimiser state, history and augmentation."""
    assert same_tensors(fitted.network, whole.network)
    assert (fitted.best_epoch, fitted.epochs, fitted.interrupted) == (whole.best_epoch, whole.epochs, False)
    one, two = checkpoint(found), checkpoint(wanted)
    assert same_tensors(one["state_dict"], two["state_dict"])
    assert (one["epoch"], one["global_step"]) == (two["epoch"], two["global_step"])
    states = [content["optimizer_states"][0]["state"] for content in (one, two)]
    assert all(same_tensors(states[0][number], states[1][number]) for number in states[1])
    pd.testing.assert_frame_equal(history(found), history(wanted), check_exact=True)
    for path in (wanted / "augmentation").glob("*.npy"):
        assert (found / "augmentation" / path.name).read_bytes() == path.read_bytes()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Fitted]:
    """A training that nothing disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    return folder, train_in(folder)


def test_a_training_leaves_checkpoints_history_and_augmentation(whole: tuple[Path, Fitted]) -> None:
    folder, fitted = whole
    assert (fitted.epochs, fitted.interrupted) == (EPOCHS, False)
    found = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    assert found == [
        "augmentation/columns.json",
        *(f"augmentation/epoch-{epoch:03d}.npy" for epoch in range(EPOCHS)),
        "checkpoints/best.ckpt",
        "checkpoints/last.ckpt",
        "history.csv",
    ]
    table = pd.read_csv(folder / "history.csv")
    assert tuple(table.columns) == HISTORY_COLUMNS
    assert table["epoch"].tolist() == [1, 2, 3]
    assert (table["seconds"] > 0).all()
    assert table["val_loss"].is_monotonic_decreasing, "nothing was learnt"
    assert fitted.best_epoch > 1
    assert not list(Path.cwd().glob("lightning_logs"))


def test_the_same_seed_twice_gives_the_same_weights_and_history(whole: tuple[Path, Fitted], tmp_path: Path) -> None:
    check_same(tmp_path, whole[0], train_in(tmp_path), whole[1])


def test_another_seed_gives_other_weights(whole: tuple[Path, Fitted], tmp_path: Path) -> None:
    fitted = train_in(tmp_path, settings_of(seed=6, epochs=1))
    assert not same_tensors(fitted.network, whole[1].network)
    assert (tmp_path / "augmentation" / "epoch-000.npy").read_bytes() != (
        whole[0] / "augmentation" / "epoch-000.npy"
    ).read_bytes()


@pytest.mark.parametrize("monitor", ["val_loss", "val_auroc", "last"])
def test_the_epoch_that_is_kept_is_the_best_or_the_last(tmp_path: Path, monitor: str) -> None:
    fitted = train_in(tmp_path, settings_of(monitor=monitor, epochs=4, learning_rate=0.02), images(32, 0))
    values = history(tmp_path)
    found = {"val_loss": np.argmin(values["val_loss"]), "val_auroc": np.argmax(values["val_auroc"]), "last": 3}
    best = int(found[monitor])
    assert fitted.best_epoch == best + 1
    assert checkpoint(tmp_path, "best")["epoch"] == best
    wanted = {
        name.removeprefix("network."): value
        for name, value in checkpoint(tmp_path, "best")["state_dict"].items()
        if name.startswith("network.")
    }
    assert same_tensors(fitted.network, wanted)


def test_the_history_says_what_the_kept_weights_give(tmp_path: Path) -> None:
    settings = settings_of(precision="32-true", balance="none")
    fitted = train_in(tmp_path, settings)
    tensors = {name: value.numpy() for name, value in fitted.network.items()}
    model = TrainedModel("binary", CLASSES, "small_resnet", settings.preprocessing, 0.5, tensors)
    val = images(24, 1)
    shown = model.probabilities(val.pixels, val.rows)
    row = history(tmp_path).iloc[fitted.best_epoch - 1]
    assert row["val_loss"] == pytest.approx(log_loss(val.targets, shown), rel=1e-4)
    assert row["val_auroc"] == pytest.approx(roc_auc_score(val.targets, shown[:, 1]), abs=1e-5)
    assert row["val_accuracy"] == pytest.approx(((shown[:, 1] >= 0.5) == val.targets).mean(), abs=1e-5)


@pytest.mark.parametrize("task", ["multiclass", "multilabel"])
def test_the_other_tasks_train_too(tmp_path: Path, task: Task, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="radlens")
    names = ("a", "b", "c")
    fitted = fit(settings_of(epochs=2), task, names, images(48, 0, task), images(24, 1, task), tmp_path)
    assert fitted.network["head.weight"].shape[0] == 3
    assert history(tmp_path)[["train_loss", "val_loss", "val_auroc", "val_accuracy"]].notna().all(axis=None)
    assert "Class imbalance" in caplog.text
    assert "epoch 2 of 2" in caplog.text


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


def child(folder: str, where: str, number: int, what: int) -> None:
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
    fitted = train_in(Path(folder))
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


def run_child(folder: Path, where: str, number: int, what: int) -> int:
    """A process of its own, forked from one that has imported the heavy packages once for all of these tests."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["radlens.learning.fit"])
    process = context.Process(target=child, args=(str(folder), where, number, what))
    process.start()
    process.join(300)
    assert process.exitcode is not None, "the process hangs"
    return process.exitcode


@pytest.mark.parametrize("moment", sorted(MOMENTS))
def test_a_killed_training_resumes_to_the_same_weights(
    whole: tuple[Path, Fitted], tmp_path: Path, steps: list[int], moment: str
) -> None:
    assert run_child(tmp_path, *MOMENTS[moment]) == -signal.SIGKILL
    assert not (tmp_path / "says.json").exists()
    finished = 0 if moment.startswith("before") else (EPOCHS - 1 if moment.startswith("after") else 1)
    assert (tmp_path / "checkpoints" / "last.ckpt").exists() == (finished > 0)
    assert finished == 0 or checkpoint(tmp_path)["epoch"] + 1 == finished
    check_same(tmp_path, whole[0], train_in(tmp_path), whole[1])
    assert steps == list(range(finished * STEPS + 1, EPOCHS * STEPS + 1)), "finished epochs are not trained again"


RECIPE: dict[str, Any] = {
    "augment": {"rotation": 10.0, "crop": (0.5, 1.0), "gamma": (0.8, 1.2), "blur": 1.0, "resolution": 0.6, "jpeg": 40},
    "epochs": 2,
    "balance": "sampling",
    "schedule": "constant",
}


def test_the_whole_recipe_resumes_to_the_same_weights(tmp_path: Path) -> None:
    settings = settings_of(**RECIPE)
    undisturbed = train_in(tmp_path / "whole", settings)
    shorter = settings.model_copy(update={"train": settings.train.model_copy(update={"epochs": 1})})
    train_in(tmp_path / "stopped", shorter)
    fitted = train_in(tmp_path / "stopped", settings)
    check_same(tmp_path / "stopped", tmp_path / "whole", fitted, undisturbed)


def test_classes_are_drawn_equally_often_when_asked_for(tmp_path: Path) -> None:
    few = images(96, 0)
    kept = np.flatnonzero((few.targets == 1) | (np.arange(96) < 12))
    part = LabelledPixels(few.pixels, few.rows[kept], few.targets[kept])
    train_in(tmp_path, settings_of(epochs=1, balance="sampling"), part)
    drawn = np.load(tmp_path / "augmentation" / "epoch-000.npy")[:, 0].astype(int)
    assert abs(np.bincount(part.targets[drawn]) - len(kept) / 2).max() <= 0.5


def test_labels_that_go_together_are_weighed_where_classes_would_be_drawn(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    parts = images(24, 0, "multilabel"), images(12, 1, "multilabel")
    found = {}
    for balance in ("sampling", "loss", "none"):
        settings = settings_of(epochs=1, balance=balance)
        with caplog.at_level(logging.INFO, logger="radlens"):
            found[balance] = fit(settings, "multilabel", ("a", "b", "c"), *parts, tmp_path / balance).network
        assert ("counts the same in the loss" in caplog.text) == (balance != "none")
        caplog.clear()
    assert same_tensors(found["sampling"], found["loss"])
    assert not same_tensors(found["sampling"], found["none"])


@pytest.mark.parametrize(
    ("network", "share", "says"),
    [("baseline_cnn", 0.8, "one size only"), ("small_resnet", 0.4, "at least 17.*first_size=1")],
)
def test_a_network_that_cannot_take_smaller_images_is_said(
    tmp_path: Path, network: str, share: float, says: str
) -> None:
    settings = settings_of(first_size=share, network=network)
    side = 64 if network == "baseline_cnn" else 32
    contract = settings.preprocessing.model_copy(update={"height": side, "width": side})
    with pytest.raises(RadlensError, match=says):
        train_in(tmp_path, settings.model_copy(update={"preprocessing": contract}))


@pytest.mark.parametrize(("epochs", "first", "wanted"), [(1, 0.5, [1]), (2, 0.5, [0.5, 1]), (3, 0.5, [0.5, 0.75, 1])])
def test_image_sizes_grow_evenly_and_end_whole(epochs: int, first: float, wanted: list[float]) -> None:
    found = fit_module.image_sizes(TrainSettings(epochs=epochs, first_size=first))
    assert found == pytest.approx(wanted)
    assert set(fit_module.image_sizes(TrainSettings(epochs=epochs))) == {1.0}


def test_a_training_killed_twice_resumes_to_the_same_weights(whole: tuple[Path, Fitted], tmp_path: Path) -> None:
    for step in (STEPS + 1, 2 * STEPS + 4):
        assert run_child(tmp_path, "step", step, KILL) == -signal.SIGKILL
    check_same(tmp_path, whole[0], train_in(tmp_path), whole[1])


def contrary() -> LabelledPixels:
    """Training images that teach the opposite of what validation asks: the first epochs are the best."""
    taught = images(96, 0)
    return LabelledPixels(taught.pixels, taught.rows, 1 - taught.targets)


def test_a_stopped_run_may_be_moved_before_it_goes_on(tmp_path: Path) -> None:
    settings = settings_of(epochs=3, schedule="constant")
    undisturbed = train_in(tmp_path / "whole", settings, contrary())
    assert undisturbed.best_epoch < 3, "the case tests nothing: what was best is not asked for"
    shorter = settings.model_copy(update={"train": settings.train.model_copy(update={"epochs": 2})})
    train_in(tmp_path / "here", shorter, contrary())
    (tmp_path / "here").rename(tmp_path / "there")
    fitted = train_in(tmp_path / "there", settings, contrary())
    check_same(tmp_path / "there", tmp_path / "whole", fitted, undisturbed)


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_keeps_the_best_so_far_and_the_training_goes_on(whole: tuple[Path, Fitted], tmp_path: Path) -> None:
    assert run_child(tmp_path, "step", STEPS + 3, signal.SIGINT.value) == 0
    says = json.loads((tmp_path / "says.json").read_text())
    assert says == {"interrupted": True, "epochs": 1, "best_epoch": 1}
    tensors = {name: value.numpy() for name, value in torch.load(tmp_path / "network.pt").items()}
    model = TrainedModel("binary", CLASSES, "small_resnet", settings_of().preprocessing, 0.5, tensors)
    val = images(24, 1)
    assert model.probabilities(val.pixels, val.rows).shape == (24, 2)
    check_same(tmp_path, whole[0], train_in(tmp_path), whole[1])


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_before_the_first_epoch_is_over_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fit_module, "TrainingProgress", TrainingProgress)
    plant(fit_module, 2, signal.SIGINT.value)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(RadlensError, match="before its first epoch was over"):
        train_in(tmp_path)
    assert signal.getsignal(signal.SIGINT) is before, "Ctrl-C would do nothing from here on"


def test_a_finished_training_is_not_trained_again(whole: tuple[Path, Fitted], tmp_path: Path, steps: list[int]) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(whole[0], folder)
    again = train_in(folder)
    check_same(folder, whole[0], again, whole[1])
    assert steps == []


def test_early_stopping_stops_and_stays_stopped(tmp_path: Path) -> None:
    settings = settings_of(epochs=12, patience=2, schedule="constant", learning_rate=2e-3)
    fitted = train_in(tmp_path, settings, contrary())
    values = history(tmp_path)["val_loss"]
    assert fitted.epochs == len(values) < 12, "the case tests nothing"
    assert fitted.best_epoch == int(np.argmin(values)) + 1 == fitted.epochs - 2
    again = train_in(tmp_path, settings, contrary())
    assert again.epochs == fitted.epochs, "a training that had stopped went on"
    assert same_tensors(again.network, fitted.network)
    assert len(history(tmp_path)) == fitted.epochs


def test_without_patience_nothing_stops_early(tmp_path: Path) -> None:
    assert train_in(tmp_path, settings_of(epochs=5, patience=0), contrary()).epochs == 5


def test_two_processes_train_together(tmp_path: Path) -> None:
    fitted = train_in(tmp_path, settings_of(devices=2, epochs=2))
    assert (fitted.epochs, fitted.interrupted) == (2, False)
    assert len(history(tmp_path)) == 2
    # Each process takes half of a batch, so there are as many steps as in one process.
    assert checkpoint(tmp_path)["global_step"] == 2 * STEPS
    assert all(torch.isfinite(value).all() for value in fitted.network.values())


def test_a_last_batch_of_one_image_is_trained_on(tmp_path: Path) -> None:
    assert train_in(tmp_path, settings_of(epochs=1), images(17, 0)).epochs == 1
    assert checkpoint(tmp_path)["global_step"] == 5


def test_class_weights_are_used_only_when_asked_for(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="radlens")
    few = images(24, 0)
    uneven = LabelledPixels(few.pixels, few.rows[:18], np.repeat([0, 1], [12, 6]))
    train_in(tmp_path / "even", settings_of(epochs=1), uneven)
    assert "clear 0.75, spot 1.50" in caplog.text
    caplog.clear()
    train_in(tmp_path / "plain", settings_of(epochs=1, balance="none"), uneven)
    assert "Class imbalance" not in caplog.text
    losses = [history(tmp_path / name)["train_loss"][0] for name in ("even", "plain")]
    assert losses[0] != losses[1]


def test_a_full_disk_is_said_and_what_was_reached_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
            train_in(tmp_path)
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["best.ckpt", "last.ckpt"]
    assert checkpoint(tmp_path)["epoch"] == 0


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(RadlensError, match="cannot start on accelerator gpu"):
        train_in(tmp_path, settings_of(accelerator="gpu"))


def test_threads_are_set_as_asked(tmp_path: Path) -> None:
    before = torch.get_num_threads()
    try:
        train_in(tmp_path, settings_of(threads=1, epochs=1))
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("initial", ["auto", "random"])
def test_a_network_with_weights_of_its_own_starts_from_them_unless_told_otherwise(
    tmp_path: Path, initial: str, caplog: pytest.LogCaptureFixture
) -> None:
    settings = resolve(
        "fast",
        preprocessing={"height": 40, "width": 40, "low": 0.0},
        train={
            "network": "efficientnet_lite0",
            "initial_weights": initial,
            "first_size": 1.0,
            "epochs": 1,
            "learning_rate": 1e-12,
            "weight_decay": 0.0,
            "threads": 1,
            "accelerator": "cpu",
        },
    )
    pixels = np.zeros((6, 1, 40, 40), np.uint8)
    split = LabelledPixels(pixels, np.arange(6), np.arange(6) % 2)
    with caplog.at_level(logging.INFO, logger="radlens"):
        fitted = fit(settings, "binary", CLASSES, split, split, tmp_path)
    published = imagenet_weights(0)["top.0.weight"]
    assert torch.allclose(fitted.network["top.0.weight"], published, atol=1e-6) == (initial == "auto")
    assert ("set preprocessing.low=-1" in caplog.text) == (initial == "auto")
