"""Networks of MONAI by name, such as ``monai:densenet121``, with random weights."""

from __future__ import annotations

import re
from functools import partial

from torch import nn

from radlens.base.errors import UsageError, did_you_mean
from radlens.base.optional import import_optional
from radlens.learning.networks.network import Network

PREFIX = "monai"
NAMES = (
    *(f"densenet{layers}" for layers in (121, 169, 201, 264)),
    *(f"resnet{layers}" for layers in (10, 18, 34, 50, 101, 152, 200)),
    *(f"seresnet{layers}" for layers in (50, 101, 152)),
    *(f"efficientnet-b{number}" for number in range(8)),
)


def build_monai(input_shape: tuple[int, int, int], outputs: int, name: str) -> nn.Module:
    """Build one of ``NAMES`` (Cardoso et al. 2022, arXiv:2211.02701).

    Raises:
        MissingPackageError: MONAI is not installed.
    """
    nets = import_optional("monai.networks.nets", f"The network monai:{name}")
    channels = input_shape[0]
    built: nn.Module
    if name.startswith("efficientnet"):
        built = nets.EfficientNetBN(name, pretrained=False, spatial_dims=2, in_channels=channels, num_classes=outputs)
    elif name.startswith("resnet"):
        built = getattr(nets, name)(spatial_dims=2, n_input_channels=channels, num_classes=outputs)
    elif name.startswith("seresnet"):
        kind = getattr(nets, re.sub("^seresnet", "SEResNet", name))
        built = kind(spatial_dims=2, in_channels=channels, num_classes=outputs)
    else:
        kind = getattr(nets, re.sub("^densenet", "DenseNet", name))
        built = kind(spatial_dims=2, in_channels=channels, out_channels=outputs)
    return built


def monai_network(name: str) -> Network:
    """What the registry knows of one of ``NAMES``.

    Raises:
        UsageError: MONAI's networks have no such name.
    """
    if name not in NAMES:
        raise UsageError(f"Unknown network 'monai:{name}'. {did_you_mean(name, NAMES)}")
    return Network(
        name=f"{PREFIX}:{name}",
        summary=f"{name} of MONAI.",
        smallest=64,
        build=partial(build_monai, name=name),
        bfloat16_on_cpu=False,
    )


FAMILIES = {PREFIX: monai_network}
