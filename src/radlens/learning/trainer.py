"""Lightning's trainer as training here uses it: device, precision, what it keeps, and its silence."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import Callback

from radlens.base.errors import RadlensError
from radlens.config import TrainSettings
from radlens.learning.callbacks import AtomicCheckpoints
from radlens.learning.networks import find_network


def make_trainer(train: TrainSettings, callbacks: list[Callback]) -> pl.Trainer:
    """A trainer for the device and precision of the settings.

    Raises:
        RadlensError: there is no such device here, or it cannot compute in this precision.
    """
    on_gpu = train.accelerator == "gpu" or (train.accelerator == "auto" and torch.cuda.is_available())
    accelerator = train.accelerator if train.accelerator != "auto" else ("gpu" if on_gpu else "cpu")
    devices: int | str = train.devices or ("auto" if on_gpu else 1)
    several = (torch.cuda.device_count() if devices == "auto" else int(devices)) > 1
    precision = train.precision if train.precision != "auto" else training_precision(on_gpu, train.network)
    try:
        return pl.Trainer(
            accelerator=accelerator,
            devices=devices,
            # Spawned processes need no second start of the command line, unlike Lightning's default launcher.
            strategy="ddp_spawn" if several else "auto",
            precision=precision,  # type: ignore[arg-type]
            max_epochs=train.epochs,
            callbacks=callbacks,
            plugins=[AtomicCheckpoints()],
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            deterministic="warn",
        )
    except (ValueError, RuntimeError, MisconfigurationException) as error:
        raise RadlensError(
            f"Training cannot start on accelerator {accelerator} with {devices} device(s) and precision {precision}: "
            f"{error}"
        ) from error


def training_precision(on_gpu: bool, network: str) -> str:
    """Mixed precision where the arithmetic is built in and gains by it; elsewhere it would be slower than 32 bit."""
    if not on_gpu:
        if not find_network(network).bfloat16_on_cpu:
            return "32-true"
        capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
        native = capabilities.get("avx512_bf16") or capabilities.get("amx_bf16")
        return "bf16-mixed" if native else "32-true"
    return "bf16-mixed" if torch.cuda.is_bf16_supported() else "16-mixed"


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep Lightning's advice to its own users off the terminal of ours."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [item.level for item in loggers]
    with warnings.catch_warnings():
        # One process reads a memory map faster than workers could hand batches over.
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        warnings.filterwarnings("ignore", message=".*Checkpoint directory.*exists and is not empty.*")
        warnings.filterwarnings("ignore", message=".*LeafSpec.*is deprecated.*")
        for item in loggers:
            item.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for item, level in zip(loggers, levels, strict=True):
                item.setLevel(level)
