"""Training: what it leaves, repeatable, its best epoch kept, and what its settings change."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import log_loss, roc_auc_score

from radlens.base.errors import RadlensError
from radlens.config import TrainSettings, resolve
from radlens.decision import Task
from radlens.learning import fit as fit_module
from radlens.learning.callbacks import HISTORY_COLUMNS
from radlens.learning.classifier import Classifier
from radlens.learning.data_module import LabelledPixels
from radlens.learning.fit import Fitted, fit
from radlens.learning.networks.efficientnet_lite import imagenet_weights
from radlens.learning.trained_model import TrainedModel

pytestmark = pytest.mark.filterwarnings("ignore")


def test_a_training_leaves_checkpoints_history_and_augmentation(whole: tuple[Path, Fitted], small: Any) -> None:
    folder, fitted = whole
    assert (fitted.epochs, fitted.interrupted) == (small.epochs, False)
    found = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    assert found == [
        "augmentation/columns.json",
        *(f"augmentation/epoch-{epoch:03d}.npy" for epoch in range(small.epochs)),
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


def test_the_same_seed_twice_gives_the_same_weights_and_history(
    whole: tuple[Path, Fitted], tmp_path: Path, small: Any
) -> None:
    small.check_same(tmp_path, whole[0], small.train_in(tmp_path), whole[1])


def test_another_seed_gives_other_weights(whole: tuple[Path, Fitted], tmp_path: Path, small: Any) -> None:
    fitted = small.train_in(tmp_path, small.settings_of(seed=6, epochs=1))
    assert not small.same_tensors(fitted.network, whole[1].network)
    assert (tmp_path / "augmentation" / "epoch-000.npy").read_bytes() != (
        whole[0] / "augmentation" / "epoch-000.npy"
    ).read_bytes()


@pytest.mark.parametrize("monitor", ["val_loss", "val_auroc", "last"])
def test_the_epoch_that_is_kept_is_the_best_or_the_last(tmp_path: Path, monitor: str, small: Any) -> None:
    fitted = small.train_in(
        tmp_path, small.settings_of(monitor=monitor, epochs=4, learning_rate=0.02), small.images(32, 0)
    )
    values = small.history(tmp_path)
    found = {
        "val_loss": int(np.argmin(values["val_loss"])),
        "val_auroc": int(np.argmax(values["val_auroc"])),
        "last": 3,
    }
    best = found[monitor]
    assert fitted.best_epoch == best + 1
    assert small.checkpoint(tmp_path, "best")["epoch"] == best
    wanted = {
        name.removeprefix("network."): value
        for name, value in small.checkpoint(tmp_path, "best")["state_dict"].items()
        if name.startswith("network.")
    }
    assert small.same_tensors(fitted.network, wanted)


def test_the_history_says_what_the_kept_weights_give(tmp_path: Path, small: Any) -> None:
    settings = small.settings_of(precision="32-true", balance="none")
    fitted = small.train_in(tmp_path, settings)
    tensors = {name: value.numpy() for name, value in fitted.network.items()}
    model = TrainedModel("binary", small.classes, "small_resnet", settings.preprocessing, 0.5, tensors)
    val = small.images(24, 1)
    shown = model.probabilities(val.pixels, val.rows)
    row = small.history(tmp_path).iloc[fitted.best_epoch - 1]
    assert row["val_loss"] == pytest.approx(log_loss(val.targets, shown), rel=1e-4)
    assert row["val_auroc"] == pytest.approx(roc_auc_score(val.targets, shown[:, 1]), abs=1e-5)
    assert row["val_accuracy"] == pytest.approx(((shown[:, 1] >= 0.5) == val.targets).mean(), abs=1e-5)


@pytest.mark.parametrize("task", ["multiclass", "multilabel"])
def test_the_other_tasks_train_too(tmp_path: Path, task: Task, caplog: pytest.LogCaptureFixture, small: Any) -> None:
    caplog.set_level(logging.INFO, logger="radlens")
    names = ("a", "b", "c")
    fitted = fit(
        small.settings_of(epochs=2), task, names, small.images(48, 0, task), small.images(24, 1, task), tmp_path
    )
    assert fitted.network["head.weight"].shape[0] == 3
    assert small.history(tmp_path)[["train_loss", "val_loss", "val_auroc", "val_accuracy"]].notna().all(axis=None)
    assert "Class imbalance" in caplog.text
    assert "epoch 2 of 2" in caplog.text


def test_classes_are_drawn_equally_often_when_asked_for(tmp_path: Path, small: Any) -> None:
    few = small.images(96, 0)
    kept = np.flatnonzero((few.targets == 1) | (np.arange(96) < 12))
    part = LabelledPixels(few.pixels, few.rows[kept], few.targets[kept])
    small.train_in(tmp_path, small.settings_of(epochs=1, balance="sampling"), part)
    drawn = np.load(tmp_path / "augmentation" / "epoch-000.npy")[:, 0].astype(int)
    assert abs(np.bincount(part.targets[drawn]) - len(kept) / 2).max() <= 0.5


def test_labels_that_go_together_are_weighed_where_classes_would_be_drawn(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, small: Any
) -> None:
    parts = small.images(24, 0, "multilabel"), small.images(12, 1, "multilabel")
    found = {}
    for balance in ("sampling", "loss", "none"):
        settings = small.settings_of(epochs=1, balance=balance)
        with caplog.at_level(logging.INFO, logger="radlens"):
            found[balance] = fit(settings, "multilabel", ("a", "b", "c"), *parts, tmp_path / balance).network
        assert ("counts the same in the loss" in caplog.text) == (balance != "none")
        caplog.clear()
    assert small.same_tensors(found["sampling"], found["loss"])
    assert not small.same_tensors(found["sampling"], found["none"])


def test_class_weights_are_used_only_when_asked_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, small: Any
) -> None:
    caplog.set_level(logging.INFO, logger="radlens")
    few = small.images(24, 0)
    uneven = LabelledPixels(few.pixels, few.rows[:18], np.repeat([0, 1], [12, 6]))
    small.train_in(tmp_path / "even", small.settings_of(epochs=1), uneven)
    assert "clear 0.75, spot 1.50" in caplog.text
    caplog.clear()
    small.train_in(tmp_path / "plain", small.settings_of(epochs=1, balance="none"), uneven)
    assert "Class imbalance" not in caplog.text
    losses = [small.history(tmp_path / name)["train_loss"][0] for name in ("even", "plain")]
    assert losses[0] != losses[1]


@pytest.mark.parametrize(
    ("network", "share", "says"),
    [("baseline_cnn", 0.8, "one size only"), ("small_resnet", 0.4, "at least 17.*progressive_resizing=1")],
)
def test_a_network_that_cannot_take_smaller_images_is_said(
    tmp_path: Path, network: str, share: float, says: str, small: Any
) -> None:
    settings = small.settings_of(progressive_resizing=share, network=network)
    side = 64 if network == "baseline_cnn" else 32
    contract = settings.preprocessing.model_copy(update={"height": side, "width": side})
    with pytest.raises(RadlensError, match=says):
        small.train_in(tmp_path, settings.model_copy(update={"preprocessing": contract}))


@pytest.mark.parametrize(("epochs", "first", "wanted"), [(1, 0.5, [1]), (2, 0.5, [0.5, 1]), (3, 0.5, [0.5, 0.75, 1])])
def test_image_sizes_grow_evenly_and_end_whole(epochs: int, first: float, wanted: list[float]) -> None:
    found = fit_module.image_sizes(TrainSettings(epochs=epochs, progressive_resizing=first))
    assert found == pytest.approx(wanted)
    assert set(fit_module.image_sizes(TrainSettings(epochs=epochs))) == {1.0}


def test_two_processes_train_together(tmp_path: Path, small: Any) -> None:
    fitted = small.train_in(tmp_path, small.settings_of(devices=2, epochs=2))
    assert (fitted.epochs, fitted.interrupted) == (2, False)
    assert len(small.history(tmp_path)) == 2
    # Each process takes half of a batch, so there are as many steps as in one process.
    assert small.checkpoint(tmp_path)["global_step"] == 2 * small.steps
    assert all(torch.isfinite(value).all() for value in fitted.network.values())


def test_a_last_batch_of_one_image_is_trained_on(tmp_path: Path, small: Any) -> None:
    assert small.train_in(tmp_path, small.settings_of(epochs=1), small.images(17, 0)).epochs == 1
    assert small.checkpoint(tmp_path)["global_step"] == 5


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_said(tmp_path: Path, small: Any) -> None:
    with pytest.raises(RadlensError, match="cannot start on accelerator gpu"):
        small.train_in(tmp_path, small.settings_of(accelerator="gpu"))


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_are_set_as_asked(tmp_path: Path, small: Any, monkeypatch: pytest.MonkeyPatch, threads: int) -> None:
    used = []
    monkeypatch.setattr(Classifier, "on_train_start", lambda _: used.append(torch.get_num_threads()))
    small.train_in(tmp_path, small.settings_of(threads=threads, epochs=1))
    assert used == [threads]


@pytest.mark.parametrize("initial", ["auto", "random"])
def test_a_network_with_weights_of_its_own_starts_from_them_unless_told_otherwise(
    tmp_path: Path, initial: str, caplog: pytest.LogCaptureFixture, small: Any
) -> None:
    settings = resolve(
        "fast",
        preprocessing={"height": 40, "width": 40, "low": 0.0},
        train={
            "network": "efficientnet_lite0",
            "initial_weights": initial,
            "progressive_resizing": 1.0,
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
        fitted = fit(settings, "binary", small.classes, split, split, tmp_path)
    published = imagenet_weights(0)["top.0.weight"]
    assert torch.allclose(fitted.network["top.0.weight"], published, atol=1e-6) == (initial == "auto")
    assert ("set preprocessing.low=-1" in caplog.text) == (initial == "auto")
