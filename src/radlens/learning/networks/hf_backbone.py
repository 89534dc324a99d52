"""Image backbones of the transformers package by name or folder, such as ``hf:microsoft/rad-dino``."""

from __future__ import annotations

import inspect
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from radlens.base.errors import RadlensError
from radlens.base.optional import import_optional
from radlens.learning.networks.network import Network

PREFIX = "hf"
# What most image models were trained with: the means and standard deviations of ImageNet.
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class HfBackbone(nn.Module):
    """A backbone of transformers, its pooled output, and a linear head.

    Grey images are given to all of its channels. Images come in from -1 to 1 and are normalised as the backbone's
    own preprocessing does, where its folder says how, else by the statistics of ImageNet.

    Args:
        name: on the Hugging Face hub, or a folder; its ``config.json`` is read, and no code of it is run.
        outputs: number of logits.

    Raises:
        RadlensError: transformers is not installed, or there is no such model.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, name: str, outputs: int) -> None:
        super().__init__()
        transformers = _transformers(name)
        config = _read(transformers.AutoConfig.from_pretrained, name)
        self.backbone: nn.Module = transformers.AutoModel.from_config(config)
        self.channels = int(getattr(config, "num_channels", 3))
        sizes = getattr(config, "hidden_sizes", None)
        self.head = nn.Linear(int(sizes[-1] if sizes else config.hidden_size), outputs)
        mean, std = _normalisation(transformers, name)
        for key, values in (("mean", mean), ("std", std)):
            self.register_buffer(key, torch.tensor(values[: self.channels]).view(1, -1, 1, 1))
        self._options: dict[str, Any] = {}
        if "interpolate_pos_encoding" in inspect.signature(self.backbone.forward).parameters:
            self._options["interpolate_pos_encoding"] = True

    def forward(self, images: Tensor) -> Tensor:
        """From (batch, channels, height, width) to logits, shape (batch, outputs)."""
        pixels = ((images + 1) / 2).expand(-1, self.channels, -1, -1)
        outputs = self.backbone(pixel_values=(pixels - self.mean) / self.std, **self._options)
        pooled = getattr(outputs, "pooler_output", None)
        if pooled is None:
            hidden = outputs.last_hidden_state
            pooled = hidden.mean(dim=1) if hidden.ndim == 3 else hidden.mean(dim=(2, 3))
        return torch.as_tensor(self.head(pooled.flatten(1)))


def load_hf(network: nn.Module, name: str) -> None:
    """Give the backbone its published weights, from safetensors alone; the head stays as it is.

    Raises:
        RadlensError: transformers is not installed, or there are no such weights.
    """
    published = _read(partial(_transformers(name).AutoModel.from_pretrained, use_safetensors=True), name)
    network.get_submodule("backbone").load_state_dict(published.state_dict())


def _transformers(name: str) -> Any:
    return import_optional("transformers", f"The network hf:{name}")


def _read(reader: Any, name: str) -> Any:
    try:
        return reader(name, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise RadlensError(
            f"The network hf:{name} cannot be had: {error} Give a model of the Hugging Face hub, such as "
            "hf:microsoft/rad-dino, or a folder that holds one."
        ) from error


def _normalisation(transformers: Any, name: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    try:
        values, _ = transformers.ImageProcessingMixin.get_image_processor_dict(name)
    except (OSError, ValueError):
        return _MEAN, _STD
    return tuple(values.get("image_mean") or _MEAN), tuple(values.get("image_std") or _STD)


def hf_network(name: str) -> Network:
    """What the registry knows of a model of the hub or in a folder."""
    return Network(
        name=f"{PREFIX}:{name}",
        summary=f"{name} of the Hugging Face hub.",
        smallest=32,
        build=lambda _, outputs: HfBackbone(name, outputs),
        pretrained=partial(load_hf, name=name),
        bfloat16_on_cpu=False,
    )


FAMILIES = {PREFIX: hf_network}
