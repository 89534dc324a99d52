"""What training and building a model change of the process is put back, however they end."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from radlens.config import TrainSettings
from radlens.imaging.preprocess import Preprocessing
from radlens.learning import fit as fit_module
from radlens.learning.networks import build_network
from radlens.learning.out_of_distribution import FEATURES, OodDetector
from radlens.learning.process_settings import kept_random_state, process_settings
from radlens.learning.trained_model import TrainedModel

CONTRACT = Preprocessing(height=32, width=32)


def state() -> dict[str, Any]:
    """All that a notebook's own computations hang on."""
    return {
        "threads": torch.get_num_threads(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "warn only": torch.is_deterministic_algorithms_warn_only_enabled(),
        "filled": torch.utils.deterministic.fill_uninitialized_memory,  # type: ignore[attr-defined]
        "cudnn": (torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic),
        "precision": (torch.get_float32_matmul_precision(), torch.get_default_dtype(), torch.is_grad_enabled()),
        "environment": {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"},
        "python": random.getstate(),
        "numpy": np.random.get_state()[1].tolist(),  # type: ignore[index]
        "torch": torch.get_rng_state().tolist(),
        "seed": torch.initial_seed(),
    }


@pytest.fixture
def of_a_notebook() -> Iterator[dict[str, Any]]:
    """The state of a process whose owner has settings of their own."""
    torch.set_num_threads(2)
    torch.manual_seed(31)
    torch.backends.cudnn.benchmark = True
    torch.utils.deterministic.fill_uninitialized_memory = True  # type: ignore[attr-defined]
    yield state()
    torch.backends.cudnn.benchmark = False


def test_training_leaves_the_process_as_it_was(tmp_path: Path, small: Any, of_a_notebook: dict[str, Any]) -> None:
    small.train_in(tmp_path, small.settings_of(epochs=1))
    assert state() == of_a_notebook


def test_so_does_training_in_several_processes(tmp_path: Path, small: Any, of_a_notebook: dict[str, Any]) -> None:
    small.train_in(tmp_path, small.settings_of(epochs=1, devices=2))
    assert state() == of_a_notebook


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_so_does_training_that_breaks_off(
    error: type[BaseException],
    tmp_path: Path,
    small: Any,
    of_a_notebook: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: object) -> None:
        torch.rand(1)
        random.random()
        np.random.random()
        raise error

    monkeypatch.setattr(fit_module, "_run", broken)
    with pytest.raises(error):
        small.train_in(tmp_path, small.settings_of(epochs=1))
    assert state() == of_a_notebook


def build_trained() -> object:
    tensors = {
        name: value.numpy() for name, value in build_network("small_resnet", (1, 32, 32), 1).state_dict().items()
    }
    torch.manual_seed(31)
    return TrainedModel("binary", ("a", "b"), "small_resnet", CONTRACT, 0.5, tensors)


def build_familiarity() -> object:
    return OodDetector((1, 32, 32), np.zeros(FEATURES), np.zeros((FEATURES, 288)), np.zeros((1, 288)))


@pytest.mark.parametrize("build", [build_trained, build_familiarity])
@pytest.mark.usefixtures("of_a_notebook")
def test_building_a_model_draws_nothing_from_the_callers_random_state(build: Callable[[], object]) -> None:
    wanted = torch.rand(3)
    torch.manual_seed(31)
    build()
    assert torch.equal(torch.rand(3), wanted)


def test_the_settings_hold_inside_and_nest(of_a_notebook: dict[str, Any]) -> None:
    with process_settings(TrainSettings(threads=1)):
        assert torch.get_num_threads() == 1
        outer = state()
        with process_settings(TrainSettings(threads=3)):
            torch.use_deterministic_algorithms(True)
            assert torch.get_num_threads() == 3
            assert not torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
        assert state() == outer
    assert state() == of_a_notebook


def test_all_random_states_are_put_back() -> None:
    before = state()
    with kept_random_state():
        inside = state()
        torch.manual_seed(1)
        random.seed(1)
        np.random.seed(1)
        assert all(state()[name] != inside[name] for name in ("python", "numpy", "torch", "seed"))
    assert state() == before
