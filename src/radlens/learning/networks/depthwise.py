"""A convolution of each channel alone, with a way back on a CPU that oneDNN has fast code for.

oneDNN falls back to code that is many times slower for two parts of it: the gradient of weights more than three wide,
and in bfloat16 the gradient of images at a stride above 1. ``benchmarks/depthwise_speed.py`` measures both.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

_ops: Any = torch.ops
# The widest weights that the fast code takes.
_WIDEST = 3


def depthwise(images: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
    """Convolve each channel alone, as ``conv2d`` with as many groups as channels does.

    Args:
        images: shape (batch, channels, height, width).
        weight: shape (channels, 1, side, side).
        stride: both ways.
        padding: zeros at each side.
    """
    if images.device.type != "cpu" or not (images.requires_grad or weight.requires_grad):
        return functional.conv2d(images, weight, None, stride, padding, 1, len(weight))
    precision = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else images.dtype
    apply: Any = _Depthwise.apply
    return torch.as_tensor(apply(images.to(precision), weight.to(precision), stride, padding))


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, images: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
        ctx.save_for_backward(images, weight)
        ctx.stride, ctx.padding = stride, padding
        return torch.conv2d(images, weight, None, stride, padding, 1, len(weight))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        back = gradients[0].contiguous(memory_format=torch.channels_last)
        given = back, *ctx.saved_tensors, ctx.stride, ctx.padding
        ways = image_gradient, weight_gradient
        computed = [way(*given) if needed else None for way, needed in zip(ways, ctx.needs_input_grad[:2], strict=True)]
        return *computed, None, None


def image_gradient(back: Tensor, images: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
    """Gradient of the images, in their precision; at a stride above 1 it is computed in 32 bit."""
    wider = stride > 1 and images.dtype == torch.bfloat16
    if wider:
        # Of the images nothing but their shape is looked at.
        back, images, weight = back.float(), torch.empty_like(images, dtype=torch.float32), weight.float()
    gradient = _gradients(back, images, weight, stride, padding, [True, False, False])[0]
    return torch.as_tensor(gradient.bfloat16() if wider else gradient)


def weight_gradient(back: Tensor, images: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
    """Gradient of the weights, put together from that of columns of at most three."""
    side, columns = weight.shape[-1], back.shape[-1]
    if side <= _WIDEST:
        return torch.as_tensor(_gradients(back, images, weight, stride, padding, [False, True, False])[1])
    padded = functional.pad(images, [padding] * 4)
    parts = []
    for first in range(0, side, _WIDEST):
        last = min(first + _WIDEST, side)
        seen = padded[..., first : (columns - 1) * stride + last].contiguous(memory_format=torch.channels_last)
        # Of the weights nothing but their shape is looked at.
        shape = weight.new_empty(len(weight), 1, side, last - first)
        parts.append(_gradients(back, seen, shape, stride, 0, [False, True, False])[1])
    return torch.cat(parts, dim=3)


def _gradients(back: Tensor, images: Tensor, weight: Tensor, stride: int, padding: int, wanted: list[bool]) -> Any:
    sizes = [stride] * 2, [padding] * 2, [1, 1]
    return _ops.aten.convolution_backward(back, images, weight, None, *sizes, False, [0, 0], len(weight), wanted)
