"""History, progress, and checkpoints that outlive a kill, a move and a full disk."""

from __future__ import annotations

import errno
import io
import logging
import os
import pickle
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
import torch
from rich.console import Console

from radlens.base.errors import RadlensError
from radlens.base.progress import progress_bar
from radlens.learning import callbacks
from radlens.learning.callbacks import (
    HISTORY_COLUMNS,
    AtomicCheckpoints,
    History,
    LastingEarlyStopping,
    MovableCheckpoint,
    TrainingProgress,
)

NOBODY: Any = None


def trainer(step: int = 0, zero: bool = True, metrics: dict[str, float] | None = None) -> Any:
    """What the callbacks ask of a trainer of three epochs of ten steps."""
    return SimpleNamespace(
        callback_metrics={name: torch.tensor(value) for name, value in (metrics or {}).items()},
        optimizers=[SimpleNamespace(param_groups=[{"lr": 0.25}])],
        is_global_zero=zero,
        max_epochs=3,
        current_epoch=step // 10,
        global_step=step,
        estimated_stepping_batches=30,
        should_stop=False,
    )


METRICS = {"train_loss": 0.5, "val_loss": 0.25, "val_auroc": 0.75, "val_accuracy": 0.625}


def epoch(history: History, state: Any) -> None:
    history.on_train_epoch_start(state, NOBODY)
    history.on_train_epoch_end(state, NOBODY)


def test_every_epoch_is_a_row_of_the_whole_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="radlens")
    history = History(tmp_path / "history.csv")
    for number in (1, 2):
        epoch(history, trainer(metrics=METRICS))
        table = pd.read_csv(tmp_path / "history.csv")
        assert tuple(table.columns) == HISTORY_COLUMNS
        assert table["epoch"].tolist() == list(range(1, number + 1))
    assert table.drop(columns=["epoch", "seconds"]).iloc[1].to_dict() == {**METRICS, "lr": 0.25}
    assert (table["seconds"] >= 0).all()
    assert "epoch 2 of 3: loss 0.5000, validation loss 0.2500, AUROC 0.7500, accuracy 0.6250" in caplog.text
    assert [path.name for path in tmp_path.iterdir()] == ["history.csv"]


def test_a_resumed_history_goes_on_where_the_checkpoint_was_written(tmp_path: Path) -> None:
    first = History(tmp_path / "history.csv")
    epoch(first, trainer(metrics=METRICS))
    kept = first.state_dict()
    epoch(first, trainer(metrics=METRICS))
    assert len(kept["rows"]) == 1, "what was kept must not grow"
    second = History(tmp_path / "history.csv")
    second.load_state_dict(kept)
    epoch(second, trainer(metrics={**METRICS, "val_loss": 9.0}))
    table = pd.read_csv(tmp_path / "history.csv")
    assert table["epoch"].tolist() == [1, 2]
    assert table["val_loss"].tolist() == [0.25, 9.0]


def test_only_the_first_process_writes(tmp_path: Path) -> None:
    history = History(tmp_path / "history.csv")
    epoch(history, trainer(zero=False, metrics=METRICS))
    assert list(tmp_path.iterdir()) == []
    assert len(history.rows) == 1


@pytest.fixture
def console(monkeypatch: pytest.MonkeyPatch) -> Console:
    """A terminal that the bar is drawn on."""
    made = Console(file=io.StringIO(), force_terminal=True, width=140, color_system=None)
    monkeypatch.setattr(callbacks, "progress_bar", lambda: progress_bar(made))
    return made


def test_the_bar_counts_the_steps_of_all_epochs(console: Console) -> None:
    progress = TrainingProgress()
    progress.on_train_start(trainer(), NOBODY)
    for step in range(1, 31):
        progress.on_train_batch_end(trainer(step))
    assert progress.bar is not None
    assert progress.bar.tasks[0].completed == 30
    assert progress.bar.finished
    progress.teardown(trainer(30), NOBODY, "fit")
    assert isinstance(console.file, io.StringIO)
    assert "30/30" in console.file.getvalue()
    assert "of 3 (steps)" in console.file.getvalue()


def test_what_an_earlier_run_did_is_taken_as_done(console: Console) -> None:
    progress = TrainingProgress()
    progress.on_train_start(trainer(20), NOBODY)
    assert progress.bar is not None
    assert (progress.bar.tasks[0].completed, progress.bar.tasks[0].total) == (20, 30)
    progress.teardown(trainer(20), NOBODY, "fit")
    assert not progress.bar.live.is_started, "the bar would stay on the terminal"


def test_other_processes_show_no_bar(console: Console) -> None:
    progress = TrainingProgress()
    progress.on_train_start(trainer(zero=False), NOBODY)
    progress.on_train_batch_end(trainer(1, zero=False))
    progress.teardown(trainer(zero=False), NOBODY, "fit")
    assert progress.bar is None


def test_callbacks_can_be_handed_to_other_processes(tmp_path: Path) -> None:
    for callback in (
        History(tmp_path / "history.csv"),
        TrainingProgress(),
        MovableCheckpoint(dirpath=tmp_path, filename="best", monitor="val_loss"),
        LastingEarlyStopping("val_loss"),
        AtomicCheckpoints(),
    ):
        assert type(pickle.loads(pickle.dumps(callback))) is type(callback)  # noqa: S301


def test_a_moved_checkpoint_folder_keeps_the_best_score(tmp_path: Path) -> None:
    before = MovableCheckpoint(dirpath=tmp_path / "before", filename="best", monitor="val_loss")
    best = str(tmp_path / "before" / "best.ckpt")
    before.best_model_path = before.kth_best_model_path = best
    before.best_model_score = before.kth_value = torch.tensor(0.25)
    before.best_k_models = {best: torch.tensor(0.25)}
    after = MovableCheckpoint(dirpath=tmp_path / "after", filename="best", monitor="val_loss")
    after.load_state_dict(before.state_dict())
    here = str(tmp_path / "after" / "best.ckpt")
    assert after.best_model_path == after.kth_best_model_path == here
    assert after.best_k_models == {here: torch.tensor(0.25)}
    assert after.best_model_score == 0.25
    assert after.last_model_path == ""


@pytest.mark.parametrize(("stopped_epoch", "stays"), [(0, False), (4, True)])
def test_a_run_that_had_stopped_stays_stopped(stopped_epoch: int, stays: bool) -> None:
    stopping = LastingEarlyStopping("val_loss", patience=2)
    stopping.load_state_dict({**stopping.state_dict(), "stopped_epoch": stopped_epoch})
    state = trainer()
    stopping.on_train_start(state, NOBODY)
    assert state.should_stop is stays


def test_a_checkpoint_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "checkpoints" / "last.ckpt"
    AtomicCheckpoints().save_checkpoint({"epoch": 1}, path)
    plain = Path.write_bytes

    def full(self: Path, data: Any) -> int:
        plain(self, bytes(data)[:50])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(RadlensError, match="No space left"):
            AtomicCheckpoints().save_checkpoint({"epoch": 2}, path)
    assert torch.load(path, weights_only=True) == {"epoch": 1}
    assert [file.name for file in path.parent.iterdir()] == ["last.ckpt"]


def test_a_checkpoint_is_written_beside_its_final_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A temporary file elsewhere may lie on another disk, and moving it over is then no single step.
    written = []
    plain = Path.write_bytes

    def note(self: Path, data: Any) -> int:
        written.append(self)
        return plain(self, data)

    monkeypatch.setattr(Path, "write_bytes", note)
    AtomicCheckpoints().save_checkpoint({"epoch": 1}, str(tmp_path / "last.ckpt"))
    assert [path.parent for path in written] == [tmp_path]
    assert written[0].name != "last.ckpt"
