"""What the tests of delivery share: small models that take a moment to make."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from radlens.delivery.model_folder import ModelConfig, Tensors
from radlens.imaging.preprocess import Preprocessing
from radlens.learning.classifier import outputs_of
from radlens.learning.networks import build_network

MakeModel = Callable[..., tuple[ModelConfig, Tensors]]


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Small tensors are quicker on one thread."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def make_model() -> MakeModel:
    """Makes a config and the weights of a network that was never trained, its norms moved from where they start."""

    def make(network: str = "small_resnet", **changes: Any) -> tuple[ModelConfig, Tensors]:
        size, channels = changes.pop("size", (32, 40)), changes.pop("channels", 1)
        values = {
            "radlens_version": "0.1.0",
            "task": "binary",
            "classes": ("normal", "ill"),
            "network": network,
            "preprocessing": Preprocessing(height=size[0], width=size[1], channels=channels, low=-1.0, high=1.0),
            "threshold": 0.5,
            **changes,
        }
        config = ModelConfig.model_validate(values)
        torch.manual_seed(0)
        module = build_network(network, config.preprocessing.shape, outputs_of(config.task, len(config.classes)))
        for norm in module.modules():
            if isinstance(norm, torch.nn.BatchNorm2d):
                torch.nn.init.uniform_(norm.weight, 0.5, 1.5)
                torch.nn.init.normal_(norm.bias, std=0.2)
                norm.get_buffer("running_mean").normal_(0, 0.2)
                norm.get_buffer("running_var").uniform_(0.5, 1.5)
        return config, {name: value.numpy() for name, value in module.state_dict().items()}

    return make


@pytest.fixture(scope="session")
def some_pixels() -> Callable[..., npt.NDArray[np.uint8]]:
    """Makes noise as a contract would give it."""

    def make(config: ModelConfig, count: int = 5) -> npt.NDArray[np.uint8]:
        return np.random.default_rng(0).integers(0, 256, (count, *config.preprocessing.shape), dtype=np.uint8)

    return make
