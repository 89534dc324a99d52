"""What training sets for the whole process, put back afterwards: a caller's own computations are to stay as they were.

The allocator is not among it, since it cannot be put back: see :mod:`radlens.learning.allocator`.
"""

from __future__ import annotations

import contextlib
import os
import random
from collections.abc import Iterator

import numpy as np
import torch

from radlens.base.cpu import available_cores
from radlens.config import TrainSettings

# Lightning sets them: the first for deterministic matrix products on a GPU, the second when several processes train.
_VARIABLES = ("CUBLAS_WORKSPACE_CONFIG", "MASTER_PORT")


@contextlib.contextmanager
def process_settings(train: TrainSettings) -> Iterator[None]:
    """Threads as the settings have them; afterwards, however training ends, all that it changes is as before.

    That is the number of threads, determinism and cuDNN's choice of algorithms, the random states of Python, NumPy
    and PyTorch, and the environment variables that Lightning sets. May be nested.

    Args:
        train: gives the number of threads.
    """
    variables = {name: os.environ.get(name) for name in _VARIABLES}
    threads, mode = torch.get_num_threads(), torch.get_deterministic_debug_mode()
    filled, benchmark = torch.utils.deterministic.fill_uninitialized_memory, torch.backends.cudnn.benchmark  # type: ignore[attr-defined]
    try:
        with kept_random_state():
            torch.set_num_threads(train.threads or available_cores())
            # Deterministic algorithms would fill each new tensor with NaN first: a sixth of a step's time on a CPU.
            torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
            yield
    finally:
        torch.set_num_threads(threads)
        torch.set_deterministic_debug_mode(mode)
        torch.utils.deterministic.fill_uninitialized_memory = filled  # type: ignore[attr-defined]
        torch.backends.cudnn.benchmark = benchmark
        for name, value in variables.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextlib.contextmanager
def kept_random_state() -> Iterator[None]:
    """Put back the random states of Python, NumPy and PyTorch, on every device, however what is inside ends."""
    python, numpy, cpu = random.getstate(), np.random.get_state(), torch.get_rng_state()
    # To ask a device that nobody used yet would start it, which takes seconds and memory.
    gpus = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None
    apple = torch.mps.get_rng_state() if torch.backends.mps.is_available() else None
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        torch.set_rng_state(cpu)
        if apple is not None:
            torch.mps.set_rng_state(apple)
        if gpus is not None:
            torch.cuda.set_rng_state_all(gpus)
        else:
            # What a device that is first used after this would have begun with.
            torch.cuda.manual_seed_all(torch.initial_seed())
