"""Where in an image a network sees what it answers: class activation maps, exact where the network allows it."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

# The linear layer that gives the logits, and what gives the features whose mean goes into it.
Layers: TypeAlias = tuple[nn.Linear | None, nn.Module | None]


@torch.no_grad()
def find_layers(network: nn.Module, shape: tuple[int, int, int]) -> Layers:
    """The linear layer that gives the logits, and what gives the features whose mean goes into it.

    Both are told by their values for one batch, so that they are right for networks of any make.

    Args:
        network: in evaluation mode.
        shape: of one image.

    Returns:
        The linear layer, or None where the logits come out of something else; and the layer of the features, or None
        where it is not their mean that goes into the linear layer.
    """
    heads: list[tuple[nn.Linear, Tensor, Tensor]] = []
    maps: list[tuple[nn.Module, Tensor]] = []

    def watch(module: nn.Module, given: tuple[Any, ...], made: Any) -> None:
        if isinstance(module, nn.Linear):
            heads.append((module, given[0], made))
        elif _is_map(made):
            maps.append((module, made))

    logits = _run(network, probe(shape).to(next(network.parameters()).device), watch)
    head = next(((layer, given) for layer, given, made in reversed(heads) if made is logits and given.ndim == 2), None)
    if head is None:
        return None, None
    layer, embedding = head
    for module, made in reversed(maps):
        mean = made.mean(dim=(2, 3))
        if mean.shape == embedding.shape and torch.allclose(mean, embedding, rtol=1e-5, atol=1e-6):
            return layer, module
    return layer, None


def probe(shape: tuple[int, int, int]) -> Tensor:
    """Two images of noise, from -1 to 1; always the same."""
    return torch.rand((2, *shape), generator=torch.Generator().manual_seed(0)) * 2 - 1


def activation_maps(network: nn.Module, images: Tensor, layers: Layers | None = None) -> Tensor:
    """For each image and logit, what each place adds to it.

    Where the last features are pooled by their mean and a linear layer follows, the map is exact: it is the features
    weighed by that layer, its bias included, and its mean over the places is the logit (class activation map, Zhou et
    al. 2016, doi:10.1109/CVPR.2016.319). Of other networks it is Grad-CAM (Selvaraju et al. 2017,
    doi:10.1109/ICCV.2017.74) with both signs: the last feature maps weighed by the mean of their gradients.

    Args:
        network: in evaluation mode; it stays as it is.
        images: float, shape (batch, channels, height, width), in the network's range.
        layers: what :func:`find_layers` gave; None: they are looked for.

    Returns:
        Shape (batch, outputs, rows, columns): above 0 speaks for the output's class, below 0 against it.

    Raises:
        ValueError: the network has no feature maps of more than one place.
    """
    head, layer = layers or find_layers(network, (images.shape[1], images.shape[2], images.shape[3]))
    if head is not None and layer is not None:
        with torch.no_grad():
            features = _output_of(network, layer, images)
            return functional.conv2d(features, head.weight[:, :, None, None], head.bias)
    return _grad_cam(network, images)


def _grad_cam(network: nn.Module, images: Tensor) -> Tensor:
    kept: list[Tensor] = []

    def watch(module: nn.Module, given: tuple[Any, ...], made: Any) -> None:  # noqa: ARG001
        if _is_map(made):
            kept.append(made)

    with torch.enable_grad():
        logits = _run(network, images.detach().requires_grad_(), watch)
        if not kept:
            raise ValueError("the network has no feature maps of more than one place")
        features = kept[-1]
        maps = []
        for number in range(logits.shape[1]):
            (gradient,) = torch.autograd.grad(logits[:, number].sum(), features, retain_graph=True)
            maps.append((features * gradient.mean(dim=(2, 3), keepdim=True)).sum(dim=1).detach())
    return torch.stack(maps, dim=1)


@torch.no_grad()
def embeddings(network: nn.Module, images: Tensor, layers: Layers) -> Tensor:
    """What goes into the last linear layer, shape (batch, features): what the network sees before it decides.

    Raises:
        ValueError: the logits do not come out of a linear layer.
    """
    head, _ = layers
    if head is None:
        raise ValueError("the logits of the network do not come out of a linear layer")
    seen: list[Tensor] = []
    hook = head.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    try:
        network(images)
    finally:
        hook.remove()
    return seen[-1]


def upsample(maps: npt.NDArray[np.floating], height: int, width: int) -> npt.NDArray[np.float32]:
    """Maps of shape (any, rows, columns) at another size, straight between the centres of the places."""
    enlarged = functional.interpolate(
        torch.from_numpy(np.asarray(maps, np.float32))[None], (height, width), mode="bilinear", align_corners=False
    )
    return np.asarray(enlarged[0].numpy())


def _is_map(made: Any) -> bool:
    return isinstance(made, Tensor) and made.ndim == 4 and made.shape[2] * made.shape[3] > 1


def _output_of(network: nn.Module, layer: nn.Module, images: Tensor) -> Tensor:
    seen: list[Tensor] = []
    hook = layer.register_forward_hook(lambda _, __, made: seen.append(made))
    try:
        network(images)
    finally:
        hook.remove()
    return seen[-1]


def _run(network: nn.Module, images: Tensor, watch: Any) -> Tensor:
    hooks = [module.register_forward_hook(watch) for module in network.modules()]
    try:
        return torch.as_tensor(network(images))
    finally:
        for hook in hooks:
            hook.remove()
