"""What goes into ``model.onnx``: the whole way from stored pixels to calibrated probabilities, as one torch module."""

from __future__ import annotations

import copy
import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrize import register_parametrization

from radlens.base.errors import RadlensError
from radlens.decision import Calibration, Task
from radlens.imaging.preprocess import Preprocessing
from radlens.learning.augment import to_network_range
from radlens.learning.out_of_distribution import OodDetector
from radlens.learning.reverse_pass import NoReverseError, ReversePass
from radlens.learning.saliency import Layers, activation_maps, find_layers, probe, shared_out

# As in radlens.decision.recalibrate: the logit of a probability within 1e-15 of 1, and the logarithm of one that low.
_LARGEST_LOGIT = math.log((1 - 1e-15) / 1e-15)
_SMALLEST_LOG = math.log(1e-15)


@dataclass(frozen=True)
class Scores:
    """How logits become probabilities; see :class:`radlens.decision.Calibration`."""

    task: Task
    calibration: Calibration

    def probabilities(self, logits: Tensor) -> Tensor:
        """Calibrated probabilities, float64, shape (batch, classes), of logits, shape (batch, outputs)."""
        logits, slope, offset = logits.double(), self.calibration.slope, self.calibration.offset
        moves = slope != 1 or offset != 0
        if self.task == "multiclass":
            logs = torch.log_softmax(logits, dim=1)
            return torch.softmax(logs.clamp(min=_SMALLEST_LOG) * slope if moves else logs, dim=1)
        if self.calibration.kind == "beta":
            first, second, constant = self.calibration.numbers
            logs, others = (functional.logsigmoid(value).clamp(min=_SMALLEST_LOG) for value in (logits, -logits))
            logits = first * logs - second * others + constant
        elif moves:
            logits = logits.clamp(-_LARGEST_LOGIT, _LARGEST_LOGIT) * slope + offset
        positive = torch.sigmoid(logits)
        if self.calibration.kind == "isotonic":
            positive = _interpolate(positive, *self.calibration.points)
        return torch.cat([1 - positive, positive], dim=1) if self.task == "binary" else positive


def _interpolate(values: Tensor, before: npt.NDArray[np.float64], after: npt.NDArray[np.float64]) -> Tensor:
    """The rising line through points, level beyond them, as ``numpy.interp``; any shape."""
    rises = torch.from_numpy(np.diff(after) / np.diff(before))
    starts, lengths = torch.from_numpy(before[:-1]), torch.from_numpy(np.diff(before))
    gone = torch.minimum((values[..., None] - starts).clamp(min=0), lengths)
    return float(after[0]) + (gone * rises).sum(dim=-1)


class OnnxGraph(nn.Module):
    """From stored pixels to what the model says of them.

    The map is that of :func:`radlens.learning.saliency.activation_maps`: its mean over height and width is the logit.
    Of an image and its mirror image, where both are looked at, every output is the mean, the map of the mirror image
    flipped back.

    Args:
        network: from float images to logits; it stays as it is.
        contract: the preprocessing that the pixels went through.
        scores: how logits become probabilities.
        ood_detector: tells how far an image is from the training images; None: the model cannot tell.
        flip_tta: average over an image and its mirror image.
        keep_weights: see :func:`lighten`.

    Raises:
        RadlensError: the logits do not come out of a linear layer.
    """

    def __init__(
        self,
        network: nn.Module,
        contract: Preprocessing,
        scores: Scores,
        *,
        ood_detector: OodDetector | None = None,
        flip_tta: bool,
        keep_weights: bool = False,
    ) -> None:
        super().__init__()
        self.ood_detector = None if ood_detector is None else copy.deepcopy(ood_detector)
        if self.ood_detector is not None:
            seen = (contract.channels, self.ood_detector.side, self.ood_detector.side)
            light = lighten(self.ood_detector.layers, seen, keep_weights=keep_weights)
            self.ood_detector.add_module("layers", light)
        self.network = lighten(network.eval(), contract.shape, keep_weights=keep_weights)
        self.contract, self.scores, self.flip_tta = contract, scores, flip_tta
        layers = find_layers(self.network, contract.shape)
        if layers.head is None:
            raise RadlensError("its logits do not come out of a linear layer, whose input would be the embedding")
        self._seen: dict[str, Tensor] = {}
        layers.head.register_forward_pre_hook(lambda _, given: self._seen.update(embedding=given[0]))
        mapped = layers.finer or layers.features
        if mapped is not None:
            mapped.register_forward_hook(lambda _, __, made: self._seen.update(features=made))
        self.has_cam = mapped is not None and self._goes_back(layers)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of what :meth:`forward` gives, in its order."""
        last = (*(("cam",) if self.has_cam else ()), *(("distance",) if self.ood_detector is not None else ()))
        return ("probabilities", "logits", "embedding", *last)

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """What the model says.

        Args:
            pixels: uint8, shape (batch, channels, height, width), as the contract gives them.

        Returns:
            Probabilities (batch, classes), logits (batch, outputs), embedding (batch, features); where the last
            features are pooled by their mean and there is a way back from the logits, the map (batch, outputs, height,
            width); and where the model can tell, the distance from the training images (batch,). All float32.
        """
        images = to_network_range(pixels, self.contract)
        if self.flip_tta:
            images = torch.cat([images, images.flip(-1)])
        with ReversePass() as kept:
            logits = self.network(images)
        outputs = [logits.float(), self._seen["embedding"].float()]
        if self.flip_tta:
            outputs = [value.view(2, -1, value.shape[1]).mean(dim=0) for value in outputs]
        if self.has_cam:
            outputs.append(self._cam(kept, logits))
        if self.ood_detector is not None:
            outputs.append(self.ood_detector(pixels))
        return (self.scores.probabilities(outputs[0]).float(), *outputs)

    def _goes_back(self, layers: Layers) -> bool:
        """Whether the way back from the logits to the features is known, and leads to PyTorch's own maps."""
        images = probe(self.contract.shape)
        wanted = activation_maps(self.network, images, layers)
        with torch.no_grad(), ReversePass() as kept:
            logits = self.network(images)
            try:
                maps = self._maps(kept, logits)
            except NoReverseError:
                return False
        return bool((maps - wanted).norm() <= 1e-2 * wanted.norm())

    def _maps(self, kept: ReversePass, logits: Tensor) -> Tensor:
        features = self._seen["features"]
        gradients = [kept.gradient(logits, output, features) for output in range(logits.shape[1])]
        products = torch.stack([(features * gradient).sum(dim=1) for gradient in gradients], dim=1)
        return shared_out(products.float(), logits.float())

    def _cam(self, kept: ReversePass, logits: Tensor) -> Tensor:
        maps = self._maps(kept, logits)
        if self.flip_tta:
            straight, turned = maps.view(2, -1, *maps.shape[1:]).unbind(dim=0)
            maps = (straight + turned.flip(-1)) / 2
        return maps


class _Clamp(nn.Module):
    def forward(self, values: Tensor) -> Tensor:
        return values.clamp(0, 6)


class _Scaled(nn.Module):
    """Scales each filter of a convolution whenever its weight is used, so that the weight is kept as it is."""

    def __init__(self, scale: Tensor) -> None:
        super().__init__()
        self.register_buffer("scale", scale)

    def forward(self, weight: Tensor) -> Tensor:
        return weight * self.get_buffer("scale").view(-1, 1, 1, 1)


@torch.no_grad()
def lighten(network: nn.Module, shape: tuple[int, int, int], *, keep_weights: bool = False) -> nn.Module:
    """A copy with batch norms folded into the convolutions before them, and ReLU6 spelt as clamping.

    Both halve the time that the export takes; the graph comes out the same.

    Args:
        network: in evaluation mode.
        shape: of one image.
        keep_weights: scale the folded convolutions' weights when they are used, not once and for all, so that weights
            that half precision holds exactly stay such.
    """
    light = copy.deepcopy(network).eval().requires_grad_(False)
    images = probe(shape)
    for convolution, name, norm in _convolutions_before_norms(light, images):
        parent, _, leaf = name.rpartition(".")
        setattr(light.get_submodule(parent), leaf, nn.Identity())
        _fold(convolution, norm, keep_weights=keep_weights)
    for module in light.modules():
        layers: dict[str, Any] = module._modules
        layers.update({name: _Clamp() for name, layer in layers.items() if isinstance(layer, nn.ReLU6)})
    same = torch.allclose(light(images), network(images), rtol=1e-3, atol=1e-4)
    return light if same else copy.deepcopy(network).eval().requires_grad_(False)


def _fold(convolution: nn.Conv2d, norm: nn.BatchNorm2d, *, keep_weights: bool) -> None:
    mean, variance = norm.get_buffer("running_mean"), norm.get_buffer("running_var")
    scale = torch.rsqrt(variance + norm.eps) * (1 if norm.weight is None else norm.weight)
    bias = 0 if convolution.bias is None else convolution.bias
    shift = 0 if norm.bias is None else norm.bias
    convolution.bias = nn.Parameter((bias - mean) * scale + shift, requires_grad=False)
    scaled = _Scaled(scale)
    if keep_weights:
        register_parametrization(convolution, "weight", scaled)
    else:
        convolution.weight = nn.Parameter(scaled(convolution.weight), requires_grad=False)


def _convolutions_before_norms(network: nn.Module, images: Tensor) -> list[tuple[nn.Conv2d, str, nn.BatchNorm2d]]:
    """Pairs that run once each, the second on what the first gives, with the second's name."""
    made: list[tuple[nn.Conv2d, Tensor]] = []
    given: list[tuple[str, nn.BatchNorm2d, Tensor]] = []
    hooks = []
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d):
            hooks.append(module.register_forward_hook(lambda layer, _, out: made.append((layer, out))))
        elif isinstance(module, nn.BatchNorm2d) and module.track_running_stats:
            hooks.append(
                module.register_forward_pre_hook(lambda layer, args, name=name: given.append((name, layer, args[0])))
            )
    try:
        network(images)
    finally:
        for hook in hooks:
            hook.remove()
    pairs = [(conv, name, norm) for conv, out in made for name, norm, values in given if values is out]
    runs = Counter([*(id(conv) for conv, _ in made), *(id(norm) for _, norm, _ in given)])
    return [(conv, name, norm) for conv, name, norm in pairs if runs[id(conv)] == runs[id(norm)] == 1]
