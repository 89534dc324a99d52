"""What the tests of learning share."""

from __future__ import annotations

import pytest
import torch

from radlens.config import AugmentSettings


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Small tensors are quicker on one thread, above all where other work keeps the cores busy."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def moves() -> AugmentSettings:
    """Every move, and brightness and contrast; nothing more."""
    return AugmentSettings(
        rotation=20, zoom=(0.5, 2), shift=0.1, flip_horizontal=0.5, flip_vertical=0.3, brightness=0.2, contrast=0.4
    )


@pytest.fixture(scope="session")
def degraded(moves: AugmentSettings) -> AugmentSettings:
    """The same with crops, all that degrades an image and all that covers it."""
    return moves.model_copy(
        update={
            "gamma": (0.5, 2.0),
            "degrade": 0.5,
            "blur": 1.5,
            "resolution": 0.4,
            "jpeg": 30,
            "noise": 0.1,
            "frame": 0.2,
            "hide": 0.1,
            "hide_border": (0.05, 0.25),
            "crop": (0.4, 1.2),
        }
    )
