"""What the tests of learning share."""

from __future__ import annotations

import pytest
import torch


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Small tensors are quicker on one thread, above all where other work keeps the cores busy."""
    torch.set_num_threads(1)
