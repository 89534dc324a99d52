"""Fit a classifier: Lightning's trainer with the best and the last checkpoint kept, resumable at any time."""

from __future__ import annotations

import contextlib
import logging
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from radlens.base.errors import RadlensError, TrainingInterruptedError, UsageError
from radlens.base.files import write_error
from radlens.config import RunSettings, TrainSettings
from radlens.decision import Task
from radlens.learning.callbacks import (
    History,
    LastingEarlyStopping,
    MovableCheckpoint,
    TrainingProgress,
)
from radlens.learning.classifier import Classifier, class_weights
from radlens.learning.data_module import DataModule, LabelledPixels
from radlens.learning.networks import check_network, load_pretrained
from radlens.learning.process_settings import process_settings
from radlens.learning.trainer import make_trainer, quiet

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Fitted:
    """What training left behind.

    Attributes:
        network: the best checkpoint's network weights by name, on the CPU.
        best_epoch: counted from 1.
        epochs: number of epochs trained.
        interrupted: whether Ctrl-C ended it early.
    """

    network: dict[str, Tensor]
    best_epoch: int
    epochs: int
    interrupted: bool


def fit(
    settings: RunSettings,
    task: Task,
    classes: tuple[str, ...],
    train: LabelledPixels,
    val: LabelledPixels,
    folder: Path,
) -> Fitted:
    """Train, or go on where a stopped run left off when ``folder/checkpoints/last.ckpt`` exists.

    Writes ``checkpoints/best.ckpt``, ``checkpoints/last.ckpt``, ``history.csv`` and ``augmentation/``. The process's
    threads, determinism and random states are as before when it ends.

    Raises:
        RadlensError: the network or the settings cannot be used, or the disk is full.
        TrainingInterruptedError: Ctrl-C came before there was a model.
    """
    with process_settings(settings.train):
        weights = _weights(settings, task, classes, train)
        _check_sizes(settings)
        return _fit_one(settings, _classifier(settings, task, classes, weights), train, val, folder)


def _classifier(
    settings: RunSettings,
    task: Task,
    classes: tuple[str, ...],
    weights: np.ndarray[Any, np.dtype[np.float32]] | None,
) -> Classifier:
    """With the weights that training starts from."""
    torch.manual_seed(settings.seed)
    classifier = Classifier(settings.train, task, len(classes), settings.preprocessing.shape, weights)
    if settings.train.initial_weights == "auto":
        _start_from_pretrained(settings, classifier)
    return classifier


def _fit_one(
    settings: RunSettings, classifier: Classifier, train: LabelledPixels, val: LabelledPixels, folder: Path
) -> Fitted:
    """Train one network, or go on with it."""
    checkpoints = folder / "checkpoints"
    callbacks = [
        History(folder / "history.csv"),
        TrainingProgress(),
        *_early_stopping(settings),
        *_checkpointing(settings, checkpoints),
    ]
    with quiet():
        trainer = make_trainer(settings.train, callbacks)
    data = DataModule(
        train,
        val,
        settings.preprocessing,
        settings.augment,
        max(1, settings.train.batch_size // trainer.world_size),
        settings.seed,
        folder / "augmentation",
        balanced=_balances_draws(settings, classifier.task),
        sizes=image_sizes(settings.train),
    )
    last = checkpoints / "last.ckpt"
    interrupted = _run(trainer, classifier, data, last if last.is_file() else None)
    if not (checkpoints / "best.ckpt").is_file():
        raise TrainingInterruptedError(
            "Training was stopped before its first epoch was over; there is no model yet. radlens run --resume with "
            "the same --out begins it again."
        )
    return _collect(checkpoints, interrupted)


def _check_sizes(settings: RunSettings) -> None:
    """Raises RadlensError: the network cannot take the smaller images of the first epochs."""
    if settings.train.progressive_resizing == 1:
        return
    channels, height, width = settings.preprocessing.shape
    share = settings.train.progressive_resizing
    smallest = (channels, round(height * share), round(width * share))
    try:
        network = check_network(settings.train.network, smallest)
    except UsageError as error:
        raise RadlensError(
            f"{error} Or set train.progressive_resizing=1: the first epochs would see the smaller images."
        ) from error
    if not network.any_size:
        raise RadlensError(
            f"The network {settings.train.network} takes images of one size only. Set "
            "train.progressive_resizing=1, or choose another network."
        )


def _start_from_pretrained(settings: RunSettings, classifier: Classifier) -> None:
    if not load_pretrained(settings.train.network, classifier.network):
        return
    logger.info("%s starts from weights learnt on ImageNet", settings.train.network)
    contract = settings.preprocessing
    if (contract.low, contract.high) != (-1, 1):
        logger.warning(
            "%s learnt its weights on images from -1 to 1, and gets them from %g to %g; "
            "set preprocessing.low=-1 and preprocessing.high=1",
            settings.train.network,
            contract.low,
            contract.high,
        )


def _balances_draws(settings: RunSettings, task: Task) -> bool:
    """Whether classes are drawn equally often; labels that go together cannot be, and are weighed in the loss."""
    return settings.train.balance == "sampling" and task != "multilabel"


def _weights(
    settings: RunSettings, task: Task, classes: tuple[str, ...], train: LabelledPixels
) -> np.ndarray[Any, np.dtype[np.float32]] | None:
    if settings.train.balance == "none" or _balances_draws(settings, task):
        return None
    weights = class_weights(train.targets, task, len(classes))
    shown = weights[1] if task == "multilabel" else weights
    described = ", ".join(f"{name} {weight:.2f}" for name, weight in zip(classes, shown, strict=True))
    logger.info("Class imbalance: each class counts the same in the loss (weight of an image: %s)", described)
    return weights


def image_sizes(settings: TrainSettings) -> tuple[float, ...]:
    """Image size of each epoch as a share of the whole: grows evenly to 1, which the last third of the epochs has.

    >>> [round(size, 2) for size in image_sizes(TrainSettings(epochs=6, progressive_resizing=0.6))]
    [0.6, 0.7, 0.8, 0.9, 1.0, 1.0]
    """
    growing = settings.epochs - -(-settings.epochs // 3)
    grown = [min(1.0, epoch / growing) if growing else 1.0 for epoch in range(settings.epochs)]
    return tuple(settings.progressive_resizing + (1 - settings.progressive_resizing) * share for share in grown)


def _checkpointing(settings: RunSettings, folder: Path) -> list[Callback]:
    """The epoch to keep so far and the last; the last is written last, since a resumed run goes by it."""
    common: dict[str, Any] = {"dirpath": folder, "save_on_train_epoch_end": True, "enable_version_counter": False}
    # Lightning wants its checkpoint callbacks told apart by what they monitor, and knows the epoch by this name.
    last = {"monitor": "epoch", "mode": "max"}
    monitored = last if settings.train.monitor == "last" else _monitored(settings.train)
    return [
        MovableCheckpoint(filename="best", **monitored, **common),
        MovableCheckpoint(filename="last", **common),
    ]


def _early_stopping(settings: RunSettings) -> list[Callback]:
    if settings.train.patience == 0:
        return []
    return [
        LastingEarlyStopping(
            **_monitored(settings.train), patience=settings.train.patience, check_on_train_epoch_end=True
        )
    ]


def _monitored(train: TrainSettings) -> dict[str, Any]:
    return {"monitor": "val_auroc", "mode": "max"} if train.monitor == "val_auroc" else {"monitor": "val_loss"}


def _run(trainer: pl.Trainer, classifier: Classifier, data: DataModule, checkpoint: Path | None) -> bool:
    """Fit; whether Ctrl-C ended it."""
    with quiet(), _own_interrupt():
        try:
            trainer.fit(classifier, datamodule=data, ckpt_path=checkpoint, weights_only=True)
        except SystemExit:
            # Lightning ends the process on Ctrl-C; what to do then is ours to say.
            if not trainer.interrupted:
                raise
            return True
        except OSError as error:
            raise write_error(data.record or Path(), error) from error
    return False


@contextlib.contextmanager
def _own_interrupt() -> Iterator[None]:
    """Lightning leaves Ctrl-C ignored behind; put back what was there."""
    try:
        before = signal.getsignal(signal.SIGINT)
        yield
    finally:
        with contextlib.suppress(ValueError):
            signal.signal(signal.SIGINT, before)


def _collect(checkpoints: Path, interrupted: bool) -> Fitted:
    best = torch.load(checkpoints / "best.ckpt", map_location="cpu", weights_only=True)
    last = torch.load(checkpoints / "last.ckpt", map_location="cpu", weights_only=True)
    prefix = "network."
    network = {
        name.removeprefix(prefix): value.contiguous()
        for name, value in best["state_dict"].items()
        if name.startswith(prefix)
    }
    return Fitted(network, int(best["epoch"]) + 1, int(last["epoch"]) + 1, interrupted)
