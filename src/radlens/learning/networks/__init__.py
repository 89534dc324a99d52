"""The registry of networks: each module of this package adds its ``NETWORKS`` and ``FAMILIES``, and no more changes."""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from types import ModuleType

from torch import nn

from radlens.base.errors import UsageError, did_you_mean
from radlens.learning.networks.network import Network


@functools.cache
def registry() -> Mapping[str, Network]:
    """All networks by name."""
    return {network.name: network for module in _modules() for network in getattr(module, "NETWORKS", ())}


@functools.cache
def families() -> Mapping[str, Callable[[str], Network]]:
    """Makers of networks by the prefix of their names, such as ``monai`` of ``monai:densenet121``."""
    makers: dict[str, Callable[[str], Network]] = {}
    for module in _modules():
        makers |= getattr(module, "FAMILIES", {})
    return makers


def _modules() -> Iterator[ModuleType]:
    for module in pkgutil.iter_modules(__path__):
        yield importlib.import_module(f"{__name__}.{module.name}")


def find_network(name: str) -> Network:
    """Look a network up by its name.

    Raises:
        UsageError: the name is unknown.
    """
    prefix, colon, rest = name.partition(":")
    if colon and rest and prefix in families():
        return families()[prefix](rest)
    if name not in registry():
        others = ", ".join(f"{prefix}:NAME" for prefix in families())
        raise UsageError(f"Unknown network {name!r}. {did_you_mean(name, registry())} Also: {others}.")
    return registry()[name]


def check_network(name: str, input_shape: tuple[int, int, int]) -> Network:
    """Look a network up, and see that it can take the images.

    Raises:
        UsageError: the name is unknown, or the images are too small for the network.
    """
    network = find_network(name)
    if min(input_shape[1:]) < network.smallest:
        raise UsageError(
            f"The network {name} needs images of at least {network.smallest} x {network.smallest} pixels, got "
            f"{input_shape[1]} x {input_shape[2]}. Raise preprocessing.height and preprocessing.width, or choose "
            "another network."
        )
    return network


def build_network(name: str, input_shape: tuple[int, int, int], outputs: int) -> nn.Module:
    """Build a network by name, with fresh weights drawn from torch's random state.

    Args:
        name: a name of the registry.
        input_shape: channels, height and width of one image.
        outputs: number of logits.

    Returns:
        A module from float images, shape (batch, channels, height, width), to logits, shape (batch, outputs).

    Raises:
        UsageError: the name is unknown, or the images are too small for the network.
    """
    return check_network(name, input_shape).build(input_shape, outputs)


def load_pretrained(name: str, module: nn.Module) -> bool:
    """Give a network that was built by name the weights learnt elsewhere; False if there are none for it.

    Raises:
        MissingPackageError: the weights are not installed.
    """
    pretrained = find_network(name).pretrained
    if pretrained is None:
        return False
    pretrained(module)
    return True


def count_parameters(module: nn.Module) -> int:
    """Number of weights as Keras counts them: batch-norm's running mean and variance included."""
    weights = sum(parameter.numel() for parameter in module.parameters())
    return weights + sum(buffer.numel() for buffer in module.buffers() if buffer.is_floating_point())
