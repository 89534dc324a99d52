"""Where in an image a network sees what it answers: maps that add up to the logit where the network allows it."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional


class Layers(NamedTuple):
    """Where maps are made.

    Attributes:
        head: the linear layer that gives the logits; None where they come out of something else.
        features: what gives the features whose mean goes into the head; None where it is not a mean that does.
        finer: the last layer before it whose maps have more places; None where there is none.
    """

    head: nn.Linear | None = None
    features: nn.Module | None = None
    finer: nn.Module | None = None


@torch.no_grad()
def find_layers(network: nn.Module, shape: tuple[int, int, int]) -> Layers:
    """The layers of a network that maps are made at.

    They are told by their values for one batch, so that they are right for networks of any make.

    Args:
        network: in evaluation mode.
        shape: of one image.
    """
    heads: list[tuple[nn.Linear, Tensor, Tensor]] = []
    maps: list[tuple[nn.Module, Tensor]] = []

    def watch(module: nn.Module, given: tuple[Any, ...], made: Any) -> None:
        if isinstance(module, nn.Linear):
            heads.append((module, given[0], made))
        # Four sides have weights too, where a module makes them.
        elif _is_map(made) and len(made) == len(images):
            maps.append((module, made))

    images = probe(shape)
    logits = _run(network, images.to(next(network.parameters()).device), watch)
    head = next(((layer, given) for layer, given, made in reversed(heads) if made is logits and given.ndim == 2), None)
    if head is None:
        return Layers()
    layer, embedding = head
    for number, (module, made) in reversed([*enumerate(maps)]):
        mean = made.mean(dim=(2, 3))
        if mean.shape == embedding.shape and torch.allclose(mean, embedding, rtol=1e-5, atol=1e-6):
            finer = (earlier for earlier, seen in reversed(maps[:number]) if _places(seen) > _places(made))
            return Layers(layer, module, next(finer, None))
    return Layers(layer)


def probe(shape: tuple[int, int, int]) -> Tensor:
    """Two images of noise, from -1 to 1; always the same."""
    return torch.rand((2, *shape), generator=torch.Generator().manual_seed(0)) * 2 - 1


def activation_maps(network: nn.Module, images: Tensor, layers: Layers | None = None) -> Tensor:
    """For each image and logit, what each place adds to it.

    Where the last features are pooled by their mean and a linear layer follows, the map adds up: its mean over the
    places is the logit. It is made one step of resolution before those features: what a place there holds, times the
    gradient of the logit by it, summed over the channels (HiResCAM, Draelos and Carin 2020, arXiv:2011.08891). Between
    there and the logit a network of convolutions, ReLU and means is linear but for constants, and so these products
    are what the place adds; the constants are shared out evenly. At the last features themselves this is the class
    activation map (Zhou et al. 2016, doi:10.1109/CVPR.2016.319), which is used where there is no finer layer; in deep
    networks one place of these has seen the whole picture, and evidence is found far from where it came from.

    Of other networks it is Grad-CAM (Selvaraju et al. 2017, doi:10.1109/ICCV.2017.74) with both signs: the last feature
    maps weighed by the mean of their gradients.

    Args:
        network: in evaluation mode; it stays as it is.
        images: float, shape (batch, channels, height, width), in the network's range.
        layers: what :func:`find_layers` gave; None: they are looked for.

    Returns:
        Shape (batch, outputs, rows, columns): above 0 speaks for the output's class, below 0 against it.

    Raises:
        ValueError: the network has no feature maps of more than one place.
    """
    layers = layers or find_layers(network, (images.shape[1], images.shape[2], images.shape[3]))
    if layers.head is None or layers.features is None:
        return _grad_cam(network, images)
    if layers.finer is not None:
        return _finer_maps(network, layers.finer, images)
    with torch.no_grad():
        features = _output_of(network, layers.features, images)
        return functional.conv2d(features, layers.head.weight[:, :, None, None], layers.head.bias)


def shared_out(products: Tensor, logits: Tensor) -> Tensor:
    """Maps whose mean is the logit: what each place adds to it, and of the rest as much for each.

    Args:
        products: of features and gradients, summed over the channels, shape (batch, outputs, rows, columns).
        logits: shape (batch, outputs).
    """
    rest = logits - products.sum(dim=(2, 3))
    return products * _places(products) + rest[:, :, None, None]


def _finer_maps(network: nn.Module, layer: nn.Module, images: Tensor) -> Tensor:
    seen: list[Tensor] = []

    def cut(_: nn.Module, __: Any, made: Tensor) -> Tensor:
        seen.append(made.detach().requires_grad_())
        # A copy, over which later layers may write.
        return seen[-1].clone()

    hook = layer.register_forward_hook(cut)
    try:
        with torch.enable_grad():
            logits = torch.as_tensor(network(images))
            products = [
                torch.autograd.grad(logits[:, number].sum(), seen[-1], retain_graph=True)[0] * seen[-1]
                for number in range(logits.shape[1])
            ]
    finally:
        hook.remove()
    return shared_out(torch.stack([product.sum(dim=1) for product in products], dim=1), logits).detach()


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
    if layers.head is None:
        raise ValueError("the logits of the network do not come out of a linear layer")
    seen: list[Tensor] = []
    hook = layers.head.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    try:
        network(images)
    finally:
        hook.remove()
    return seen[-1]


def _is_map(made: Any) -> bool:
    return isinstance(made, Tensor) and made.ndim == 4 and _places(made) > 1


def _places(made: Tensor) -> int:
    return made.shape[2] * made.shape[3]


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
