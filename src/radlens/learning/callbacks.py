"""What happens alongside training: the history, the progress on the terminal, and checkpoints."""

from __future__ import annotations

import io
import logging
import time
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pandas as pd
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO
from rich.progress import Progress, TaskID

from radlens.base.files import replacing
from radlens.base.progress import progress_bar

logger = logging.getLogger(__name__)

HISTORY_COLUMNS = ("epoch", "train_loss", "val_loss", "val_auroc", "val_accuracy", "lr", "seconds")


class History(Callback):
    """One row an epoch in ``history.csv``; the rows travel in the checkpoint, so a resumed run goes on with them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[dict[str, float]] = []
        self._started = 0.0

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """Start the clock."""
        self._started = time.perf_counter()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """Add the epoch and write the whole file."""
        row: dict[str, float] = {"epoch": len(self.rows) + 1}
        for name in ("train_loss", "val_loss", "val_auroc", "val_accuracy"):
            row[name] = float(trainer.callback_metrics[name])
        row["lr"] = float(trainer.optimizers[0].param_groups[0]["lr"])
        row["seconds"] = round(time.perf_counter() - self._started, 3)
        self.rows.append(row)
        if trainer.is_global_zero:
            with replacing(self.path) as temporary:
                pd.DataFrame(self.rows, columns=list(HISTORY_COLUMNS)).to_csv(temporary, index=False)
            logger.info(
                "epoch %d of %d: loss %.4f, validation loss %.4f, AUROC %.4f, accuracy %.4f (%.1f s)",
                row["epoch"],
                trainer.max_epochs,
                *(row[name] for name in ("train_loss", "val_loss", "val_auroc", "val_accuracy", "seconds")),
            )

    def state_dict(self) -> dict[str, Any]:
        """The rows so far."""
        return {"rows": list(self.rows)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on after these rows."""
        self.rows = list(state_dict["rows"])


class TrainingProgress(Callback):
    """A bar over all steps of all epochs, with steps per second and an estimate of what is left."""

    def __init__(self) -> None:
        # Made only when training starts: a bar holds locks, which cannot be handed to spawned processes.
        self.bar: Progress | None = None
        self.task: TaskID | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """Show the bar, with what an earlier run did already taken as done."""
        if not trainer.is_global_zero:
            return
        steps = int(trainer.estimated_stepping_batches)
        self.bar = progress_bar()
        self.bar.start()
        self.task = self.bar.add_task("Training (steps)", total=steps, completed=trainer.global_step)

    def on_train_batch_end(self, trainer: pl.Trainer, *_: object) -> None:
        """Move on by one step."""
        if self.bar is not None and self.task is not None:
            label = f"Training, epoch {trainer.current_epoch + 1} of {trainer.max_epochs} (steps)"
            self.bar.update(self.task, completed=trainer.global_step, description=label)

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:  # noqa: ARG002
        """Remove the bar, however training ended."""
        if self.bar is not None:
            self.bar.stop()


class MovableCheckpoint(ModelCheckpoint):
    """Remembers the best epoch also when the run folder was moved between two starts."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on with the checkpoints, looked for where this run's folder is now."""
        folder = Path(str(self.dirpath))

        def here(path: str) -> str:
            return str(folder / Path(path).name) if path else path

        moved = {name: here(state_dict[name]) for name in ("best_model_path", "kth_best_model_path", "last_model_path")}
        scores = {here(path): score for path, score in state_dict["best_k_models"].items()}
        super().load_state_dict({**state_dict, **moved, "best_k_models": scores, "dirpath": self.dirpath})


class LastingEarlyStopping(EarlyStopping):
    """Stays stopped when a run that it had ended is resumed."""

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """Stop at once if the resumed run had stopped."""
        trainer.should_stop = self.stopped_epoch > 0


class AtomicCheckpoints(TorchCheckpointIO):
    """Writes a checkpoint next to its final name and renames it, so that a killed run leaves the one before."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:  # noqa: ARG002
        """Write a whole checkpoint, or nothing."""
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        with replacing(Path(path)) as temporary:
            temporary.write_bytes(buffer.getbuffer())
