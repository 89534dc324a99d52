"""How long the way back through the depthwise convolutions of EfficientNet-Lite0 takes, here and in PyTorch's own way.

Each layer by itself, at the image size of the preset ``fast`` and a batch of 32, in each precision that the machine
computes in. What a whole training step gains: ``step_speed.py``.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from common import describe_machine, print_table
from torch import Tensor, nn
from torch.nn import functional

from radlens.learning.allocator import keep_freed_memory
from radlens.learning.networks import build_network
from radlens.learning.networks.depthwise import depthwise
from radlens.learning.networks.efficientnet_lite import SameConv

BATCH, SIZE = 32, 128
Convolution = Callable[[Tensor, Tensor, int, int], Tensor]


def plainly(images: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
    """PyTorch's own."""
    return functional.conv2d(images, weight, None, stride, padding, 1, len(weight))


WAYS: dict[str, Convolution] = {"PyTorch": plainly, "radlens": depthwise}


def shapes() -> list[tuple[int, int, int, int, int]]:
    """Channels, side of what goes in, side of the weights, stride and padding of each different layer."""
    network = build_network("efficientnet_lite0", (1, SIZE, SIZE), 1).eval()
    found: dict[tuple[int, int, int, int, int], None] = {}

    def note(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if isinstance(layer, SameConv) and layer.groups > 1:
            stride, side = layer.stride[0], layer.kernel_size[0]
            padded = (output.shape[-1] - 1) * stride + side if stride > 1 else inputs[0].shape[-1]
            found[layer.groups, padded, side, stride, int(layer.padding[0])] = None

    hooks = [layer.register_forward_hook(note) for layer in network.modules()]
    with torch.no_grad():
        network(torch.zeros(1, 1, SIZE, SIZE))
    for hook in hooks:
        hook.remove()
    return list(found)


def milliseconds(work: Callable[[], object], repeats: int) -> float:
    """The median, after two that do not count."""
    seen = []
    for _ in range(repeats + 2):
        started = time.perf_counter()
        work()
        seen.append(1e3 * (time.perf_counter() - started))
    return statistics.median(seen[2:])


def back_through(shape: tuple[int, int, int, int, int], kind: torch.dtype, way: str, repeats: int) -> float:
    """Milliseconds of the gradients of images and weights."""
    channels, size, side, stride, padding = shape
    images = torch.randn(BATCH, channels, size, size).to(kind).contiguous(memory_format=torch.channels_last)
    images.requires_grad_()
    weight = torch.randn(channels, 1, side, side).to(kind).requires_grad_()
    found = WAYS[way](images, weight, stride, padding)
    back = torch.randn_like(found)
    return milliseconds(lambda: torch.autograd.grad(found, (images, weight), back, retain_graph=True), repeats)


def main() -> None:
    """Print a table of milliseconds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=15)
    repeats = parser.parse_args().repeats
    keep_freed_memory()
    print(describe_machine())
    kinds = [torch.float32, *([torch.bfloat16] if torch.ops.mkldnn._is_mkldnn_bf16_supported() else [])]
    columns = [(kind, way) for kind in kinds for way in WAYS]
    rows = []
    for shape in shapes():
        channels, size, side, stride, _ = shape
        name = f"{channels} channels, {size} x {size}, {side} x {side}, stride {stride}"
        rows.append([name, *(f"{back_through(shape, *column, repeats):.2f}" for column in columns)])
    print_table(["ms", *(f"{str(kind).removeprefix('torch.')}, {way}" for kind, way in columns)], rows)


if __name__ == "__main__":
    main()
