"""What the registry knows of a network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn


@dataclass(frozen=True)
class Network:
    """One network of the registry.

    Attributes:
        name: what settings call it.
        summary: one sentence for people who choose.
        smallest: smallest height and width it can take, in pixels.
        build: from (channels, height, width) of the images and the number of logits to a module with random weights.
        pretrained: gives such a module weights learnt elsewhere, but for its last layer; None: there are none.
        any_size: whether one module takes images of several sizes.
        bfloat16_on_cpu: whether it trains faster in bfloat16 on a CPU that has it; PyTorch's own depthwise convolutions
            do not (:mod:`radlens.learning.networks.depthwise`).
    """

    name: str
    summary: str
    smallest: int
    build: Callable[[tuple[int, int, int], int], nn.Module]
    pretrained: Callable[[nn.Module], None] | None = None
    any_size: bool = True
    bfloat16_on_cpu: bool = True
