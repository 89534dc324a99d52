"""The gradient of a network's logits by ordinary forward operations, so that it can be a part of an exported graph.

Exporters write down what a network computes forwards; of automatic differentiation they know nothing. Here the
operations of a forward pass are kept, and the chain rule is carried out over them with operations of the same kinds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

# For each tensor that an operation took, the gradient that comes back to it.
Shares: TypeAlias = Iterator[tuple[Tensor, Tensor]]


class NoReverseError(Exception):
    """The network uses an operation that has no rule here."""


@dataclass(frozen=True)
class Step:
    """One operation of a forward pass."""

    function: Callable[..., Any]
    given: Sequence[Any]
    named: Mapping[str, Any]
    made: Tensor

    def argument(self, place: int, name: str, default: Any = None) -> Any:
        """By its place or its name."""
        return self.given[place] if len(self.given) > place else self.named.get(name, default)


class ReversePass(TorchFunctionMode):
    """Keeps the operations of a network while it runs; then :meth:`gradient` goes back over them.

    >>> layer = torch.nn.Conv2d(1, 2, 3)
    >>> images = torch.rand(1, 1, 5, 5)
    >>> with torch.no_grad(), ReversePass() as kept:
    ...     seen = layer(images)
    ...     logits = seen.relu().mean(dim=(2, 3))
    >>> kept.gradient(logits, 0, seen).shape
    torch.Size([1, 2, 3, 3])
    """

    def __init__(self) -> None:
        super().__init__()
        self._steps: list[Step] = []

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Run the operation and keep it."""
        named = dict(kwargs or {})
        if "inplace" in named:
            # What went in is needed on the way back, so it may not be written over.
            named["inplace"] = False
        # What += adds to is needed too; the name on its left gets the sum, wherever that is.
        made = torch.add(*args, **named) if func is Tensor.add_ else func(*args, **named)
        unchanged = func in _SAME and bool(args) and made is args[0]
        if isinstance(made, Tensor) and not unchanged:
            self._steps.append(Step(func, args, named, made))
        return made

    def gradient(self, logits: Tensor, output: int, at: Tensor) -> Tensor:
        """Of one of the logits, by what an operation had given, shape of that.

        Args:
            logits: shape (batch, outputs), what the pass ended with.
            output: which of them.
            at: what one of the operations gave.

        Raises:
            NoReverseError: an operation between the two has no rule, or the logits do not come from there.
        """
        selector = (torch.arange(logits.shape[1], device=logits.device) == output).to(logits.dtype)
        back = {id(logits): torch.ones_like(logits) * selector}
        start = next((number for number, step in enumerate(self._steps) if step.made is at), len(self._steps))
        for step in reversed(self._steps[start + 1 :]):
            if id(step.made) not in back:
                continue
            for tensor, share in _shares(step, back.pop(id(step.made))):
                back[id(tensor)] = back[id(tensor)] + share if id(tensor) in back else share
        if id(at) not in back:
            raise NoReverseError("the logits do not come from there")
        return back[id(at)]


def _shares(step: Step, gradient: Tensor) -> Shares:
    rule = _RULES.get(step.function)
    if rule is None or not step.given or step.made is step.given[0]:
        raise NoReverseError(f"the operation {getattr(step.function, '__name__', step.function)} has no rule")
    return rule(step, gradient)


def _same(step: Step, gradient: Tensor) -> Shares:
    yield step.given[0], gradient


def _convolution(step: Step, gradient: Tensor) -> Shares:
    images, weight = step.given[0], step.argument(1, "weight")
    stride, dilation = _pair(step.argument(3, "stride", 1)), _pair(step.argument(5, "dilation", 1))
    padding, groups = step.argument(4, "padding", 0), step.argument(6, "groups", 1)
    if isinstance(padding, str):
        raise NoReverseError("a convolution whose padding is a word has no rule")
    padding = _pair(padding)
    # What a stride leaves over at the end of a side was seen by no filter.
    missing = [
        images.shape[2 + side]
        - ((gradient.shape[2 + side] - 1) * stride[side] - 2 * padding[side])
        - dilation[side] * (weight.shape[2 + side] - 1)
        - 1
        for side in range(2)
    ]
    yield (
        images,
        functional.conv_transpose2d(
            gradient, weight, None, stride, padding, _pair(missing), groups=groups, dilation=dilation
        ),
    )


def _linear(step: Step, gradient: Tensor) -> Shares:
    yield step.given[0], gradient @ step.argument(1, "weight")


def _mean(step: Step, gradient: Tensor) -> Shares:
    values, over = step.given[0], step.argument(1, "dim")
    over = [over] if isinstance(over, int) else over
    if over is None or sorted(side % values.ndim for side in over) != [2, 3] or values.ndim != 4:
        raise NoReverseError("a mean over other sides than height and width has no rule")
    yield values, _to_all_places(values, gradient)


def _pooled_to_one(step: Step, gradient: Tensor) -> Shares:
    if _pair(step.argument(1, "output_size")) != (1, 1):
        raise NoReverseError("adaptive pooling to more than one place has no rule")
    values = step.given[0]
    yield values, _to_all_places(values, gradient)


def _to_all_places(values: Tensor, gradient: Tensor) -> Tensor:
    """What comes back to a mean over all places, shared among them."""
    return (gradient.flatten(1) / math.prod(values.shape[2:]))[:, :, None, None] * torch.ones_like(values)


def _flattened(step: Step, gradient: Tensor) -> Shares:
    values = step.given[0]
    yield values, gradient.reshape(-1, *values.shape[1:])


def _norm(step: Step, gradient: Tensor) -> Shares:
    variance, weight = step.argument(2, "running_var"), step.argument(3, "weight")
    if step.argument(5, "training", False) or variance is None:
        raise NoReverseError("batch norm by the batch's own statistics has no rule")
    scale = torch.rsqrt(variance + step.argument(7, "eps", 1e-5)) * (1 if weight is None else weight)
    yield step.given[0], gradient * scale[:, None, None]


def _bounded(step: Step, gradient: Tensor) -> Shares:
    """The slope is 1 between the bounds; told by what came out alone, so that a runtime may fuse the operation."""
    low, high = _bounds(step)
    inside = [step.made > low] if low is not None else []
    inside += [step.made < high] if high is not None else []
    for mask in inside:
        gradient = gradient * mask.to(gradient.dtype)
    yield step.given[0], gradient


def _bounds(step: Step) -> tuple[float | None, float | None]:
    if step.function in (functional.relu, torch.relu, Tensor.relu):
        return 0.0, None
    if step.function is functional.relu6:
        return 0.0, 6.0
    if step.function is functional.hardtanh:
        return step.argument(1, "min_val", -1.0), step.argument(2, "max_val", 1.0)
    return step.argument(1, "min"), step.argument(2, "max")


def _sum(step: Step, gradient: Tensor) -> Shares:
    if step.argument(2, "alpha", 1) != 1:
        raise NoReverseError("a weighted sum has no rule")
    for value in step.given[:2]:
        if isinstance(value, Tensor):
            if value.shape != step.made.shape:
                raise NoReverseError("a sum of tensors of several shapes has no rule")
            yield value, gradient


def _joined(step: Step, gradient: Tensor) -> Shares:
    side, parts = step.argument(1, "dim", 0), step.given[0]
    yield from zip(parts, torch.split(gradient, [part.shape[side] for part in parts], dim=side), strict=True)


def _padded(step: Step, gradient: Tensor) -> Shares:
    values, sizes = step.given[0], step.argument(1, "pad")
    if step.argument(2, "mode", "constant") != "constant" or len(sizes) > 4 or min(sizes) < 0:
        raise NoReverseError("padding other than by zeros around the picture has no rule")
    left, _, top, _ = (*sizes, 0, 0)[:4]
    height, width = values.shape[-2:]
    yield values, gradient[..., top : top + height, left : left + width]


def _averaged(step: Step, gradient: Tensor) -> Shares:
    """Each place takes a share of what comes back to its window; windows at the edge may hold fewer places."""
    values, kernel = step.given[0], _pair(step.argument(1, "kernel_size"))
    stride, padding = step.argument(2, "stride"), _pair(step.argument(3, "padding", 0))
    apart = not stride or _pair(stride) == kernel
    if not apart or padding != (0, 0) or step.argument(6, "divisor_override") is not None:
        raise NoReverseError("pooling by the mean with padding, or of windows that overlap, has no rule")
    height, width = values.shape[2:]
    over = [
        side * size - length for side, size, length in zip(gradient.shape[2:], kernel, (height, width), strict=True)
    ]
    inside = functional.pad(torch.ones((1, 1, height, width)), [0, max(over[1], 0), 0, max(over[0], 0)])
    places = functional.avg_pool2d(inside, kernel) * math.prod(kernel)
    spread = functional.interpolate(gradient / places.to(gradient), scale_factor=[float(size) for size in kernel])
    # What is left over at the end of a side, less than a window, adds nothing.
    spread = functional.pad(spread, [0, max(-over[1], 0), 0, max(-over[0], 0)])
    yield values, spread[..., :height, :width]


def _pair(value: Any) -> tuple[int, int]:
    return (int(value[0]), int(value[-1])) if isinstance(value, Sequence) else (int(value), int(value))


# They may give back the very tensor that went in.
_SAME = (functional.dropout, functional.dropout2d, Tensor.contiguous, Tensor.float, torch.as_tensor)
_RULES: dict[Callable[..., Any], Callable[[Step, Tensor], Shares]] = {
    **dict.fromkeys(_SAME, _same),
    **dict.fromkeys(
        (functional.relu, torch.relu, Tensor.relu, functional.relu6, functional.hardtanh, torch.clamp, Tensor.clamp),
        _bounded,
    ),
    **dict.fromkeys((torch.add, Tensor.add, Tensor.add_), _sum),
    **dict.fromkeys((torch.flatten, Tensor.flatten, Tensor.view, Tensor.reshape), _flattened),
    **dict.fromkeys((torch.mean, Tensor.mean), _mean),
    functional.conv2d: _convolution,
    functional.linear: _linear,
    functional.batch_norm: _norm,
    functional.adaptive_avg_pool2d: _pooled_to_one,
    functional.avg_pool2d: _averaged,
    functional.pad: _padded,
    torch.cat: _joined,
}
