"""Teachers: networks trained before the one that answers, which learns their mean answer in place of the labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from radlens.config import RunSettings
from radlens.decision import Task


class Teachers:
    """What several networks say together of an image, for another one to learn.

    One training differs from the next in what it says of images unlike its own; their mean differs less and is right
    more often, and one network can learn it (Hinton, Vinyals and Dean 2015, arXiv:1503.02531). The network that learns
    sees each image as augmentation made it, and so do the teachers.

    Args:
        networks: trained networks of the same outputs; they are set to answer, not to learn.
        task: binary, multiclass or multilabel.

    Raises:
        ValueError: there are none.
    """

    def __init__(self, networks: Sequence[nn.Module], task: Task) -> None:
        if not networks:
            raise ValueError("expected at least one network to learn from")
        self.task = task
        self.networks = tuple(
            network.eval().requires_grad_(False).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            for network in networks
        )

    def to(self, device: torch.device) -> None:
        """Move the networks to where the images are."""
        for network in self.networks:
            network.to(device)

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        """From float images in the network's range to probabilities by the mean logits, shape (batch, outputs)."""
        logits = torch.stack([network(images).float() for network in self.networks]).mean(dim=0)
        return torch.softmax(logits, dim=1) if self.task == "multiclass" else torch.sigmoid(logits)


def teacher_folder(run: Path, number: int) -> Path:
    """Where a run keeps the training of its teacher of that number, counted from 1."""
    return run / "teachers" / str(number)


def teacher_settings(settings: RunSettings, number: int) -> RunSettings:
    """Those of a run for its teacher of that number: no teachers of its own, and a seed that follows from the run's."""
    seed = int(np.random.SeedSequence((settings.seed, 13, number)).generate_state(1)[0]) >> 1
    train = settings.train.model_copy(update={"teachers": 0})
    return settings.model_copy(update={"train": train, "seed": seed})
