"""Convolution, ReLU, batch norm and max pooling as one step, for training on a CPU."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

_ops: Any = torch.ops
_WINDOW = ([2, 2], [2, 2], [0, 0], [1, 1])


class ConvBlock(nn.Sequential):
    """Convolution 3x3 without padding, ReLU, batch norm, max pooling 2x2, with Keras's constants.

    The layers run one by one, except in training on a CPU: see :func:`fused`.

    Args:
        inputs: channels in.
        filters: channels out.
    """

    def __init__(self, inputs: int, filters: int) -> None:
        super().__init__(
            nn.Conv2d(inputs, filters, kernel_size=3),
            nn.ReLU(inplace=True),
            nn.BatchNorm2d(filters, eps=1e-3, momentum=0.01),
            nn.MaxPool2d(2),
        )

    def forward(self, images: Tensor) -> Tensor:
        """From (batch, inputs, height, width) to (batch, filters, (height - 2) // 2, (width - 2) // 2)."""
        norm = cast(nn.BatchNorm2d, self[2])
        precision = _fused_precision(images) if self.training else None
        if precision is not None and bool((norm.weight > 0).all()):
            return fused(images.to(precision), cast(nn.Conv2d, self[0]), norm)
        for layer in self:
            images = layer(images)
        return images


def fused(images: Tensor, convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> Tensor:
    """What the four layers of a :class:`ConvBlock` give in training, in the precision of the images.

    Pooling comes before the normalisation, which is the same when every scale is positive, and the gradient of the
    batch norm is summed over what was pooled: the large tensors are read and written less often.
    """
    cast(Tensor, norm.num_batches_tracked).add_(1)
    weight, bias = convolution.weight.to(images.dtype), cast(Tensor, convolution.bias).to(images.dtype)
    apply: Any = _Fused.apply
    return torch.as_tensor(apply(images, weight, bias, norm.weight, norm.bias, norm))


def _fused_precision(images: Tensor) -> torch.dtype | None:
    """The precision in which a block can run as one step here; None: in none."""
    if images.device.type != "cpu" or not torch._C._has_mkldnn:
        return None
    if not torch.is_autocast_enabled("cpu"):
        return torch.float32 if images.dtype == torch.float32 else None
    wanted = torch.get_autocast_dtype("cpu")
    return wanted if wanted == torch.bfloat16 and convolves_in_bfloat16() else None


def convolves_in_bfloat16() -> bool:
    """Whether oneDNN has bfloat16 convolutions for this processor; without them the layers run one by one."""
    return bool(_ops.mkldnn._is_mkldnn_bf16_supported())


class _Fused(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, images: Tensor, weight: Tensor, bias: Tensor, scale: Tensor, shift: Tensor, norm: nn.BatchNorm2d
    ) -> Tensor:
        active = _ops.mkldnn._convolution_pointwise(images, weight, bias, [0, 0], [1, 1], [1, 1], 1, "relu", [], "")
        mean, variance = _ops.aten.batch_norm_update_stats(active, norm.running_mean, norm.running_var, norm.momentum)
        pooled, where = _ops.aten.max_pool2d_with_indices(active, *_WINDOW)
        inverse = torch.rsqrt(variance + norm.eps)
        ctx.save_for_backward(images, weight, active, pooled, where, scale, mean, inverse)
        return _affine(pooled, scale * inverse, shift - scale * inverse * mean)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        images, weight, active, pooled, where, scale, mean, inverse = ctx.saved_tensors
        gradient = gradients[0].contiguous(memory_format=torch.channels_last)
        _, of_scale, of_shift = _ops.aten.native_batch_norm_backward(
            gradient, pooled, scale, None, None, mean, inverse, True, 0.0, [False, True, True]
        )
        # The gradient of the activations: what comes back through the pooling, less its mean and its part along them.
        gain, count = scale * inverse, active.numel() // active.shape[1]
        slope = -gain * inverse * of_scale / count
        offset = -gain * of_shift / count - slope * mean
        routed = _affine(gradient, gain, torch.zeros_like(gain))
        back = _ops.aten.max_unpool2d(routed, where, active.shape[2:])
        _add_affine(back, active, slope, offset)
        _ops.aten.threshold_backward.grad_input(back, active, 0, grad_input=back)
        needed = ctx.needs_input_grad[0]
        if back.dtype != torch.float32:
            of_images, of_weight, of_bias = _convolution_gradients(back, images, weight, [needed, True, True])
        else:
            of_images = _convolution_gradients(back, images, weight, [True, False, False])[0] if needed else None
            of_weight, of_bias = weight_gradient(images, back), back.sum(dim=(0, 2, 3))
        return of_images, of_weight, of_bias, of_scale, of_shift, None


def weight_gradient(images: Tensor, back: Tensor) -> Tensor:
    """Gradient of the weights of a 3x3 convolution without padding, as matrix products summed over the batch.

    In 32 bit these run at a processor's peak rate, of which oneDNN's own way reaches a half.

    Args:
        images: what went in, shape (batch, inputs, height, width).
        back: gradient of what came out, shape (batch, outputs, height - 2, width - 2).

    Returns:
        Shape (outputs, inputs, 3, 3).
    """
    count, outputs, height, width = back.shape
    inputs, flat, last = images.shape[1], back.flatten(2), images.permute(0, 2, 3, 1)
    if inputs == 1:
        places = [last[:, row : row + height, column : column + width] for row in range(3) for column in range(3)]
        products = torch.bmm(flat, torch.cat(places, dim=3).view(count, height * width, 9)).sum(dim=0)
    else:
        wide = torch.cat([last[:, :, column : column + width] for column in range(3)], dim=3)
        rows = [wide[:, row : row + height].reshape(count, height * width, 3 * inputs) for row in range(3)]
        products = torch.stack([torch.bmm(flat, row).sum(dim=0) for row in rows], dim=1)
    return products.view(outputs, 3, 3, inputs).permute(0, 3, 1, 2)


def _convolution_gradients(back: Tensor, images: Tensor, weight: Tensor, wanted: list[bool]) -> Any:
    """Gradients of images, weight and bias, those that are wanted."""
    sizes = [1, 1], [0, 0], [1, 1]
    return _ops.aten.convolution_backward(back, images, weight, [len(weight)], *sizes, False, [0, 0], 1, wanted)


def _affine(values: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Scale and shift each channel in one pass, in 32 bit whatever the type of the values."""
    zero, one = torch.zeros_like(scale), torch.ones_like(scale)
    return torch.as_tensor(_ops.aten.native_batch_norm(values, scale, shift, zero, one, False, 0.0, 0.0)[0])


def _add_affine(total: Tensor, values: Tensor, scale: Tensor, shift: Tensor) -> None:
    """Add to ``total`` what :func:`_affine` gives, in the one pass of a 1x1 convolution of each channel alone."""
    weight, bias = scale.to(values.dtype).view(-1, 1, 1, 1), shift.to(values.dtype)
    sizes = [0, 0], [1, 1], [1, 1], len(weight)
    _ops.mkldnn._convolution_pointwise_.binary(total, values, weight, bias, *sizes, "add", 1.0, None, [], None)
