"""The fused block against its four layers one by one."""

from __future__ import annotations

import copy
from typing import cast

import pytest
import torch
from torch import Tensor, nn

from radlens.learning.networks import conv_block
from radlens.learning.networks.conv_block import ConvBlock, convolves_in_bfloat16, fused


def block_in_use(channels: int = 3) -> ConvBlock:
    torch.manual_seed(0)
    block = ConvBlock(channels, 16).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    norm = cast(nn.BatchNorm2d, block[2])
    with torch.no_grad():
        norm.weight.uniform_(0.5, 1.5)
        norm.bias.normal_(0, 0.3)
    return cast(ConvBlock, block.train())


def batch(height: int = 21, width: int = 18, channels: int = 3) -> Tensor:
    return torch.rand(4, channels, height, width).contiguous(memory_format=torch.channels_last).requires_grad_()


def gradients(block: ConvBlock, images: Tensor, answer: Tensor, back: Tensor) -> list[Tensor]:
    return list(torch.autograd.grad(answer, (images, *block.parameters()), back))


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(21, 18), (8, 8), (4, 5)])
def test_in_32_bit_it_gives_what_the_layers_give(size: tuple[int, int], channels: int, ties: bool) -> None:
    block, images = block_in_use(channels), batch(*size, channels=channels)
    if ties:
        # Whole numbers in, few different ones out: most windows have several largest activations.
        with torch.no_grad():
            images.copy_(torch.randint(0, 2, images.shape))
            cast(nn.Conv2d, block[0]).weight.copy_(torch.randint(-1, 2, (16, channels, 3, 3)))
            cast(Tensor, cast(nn.Conv2d, block[0]).bias).zero_()
    other = copy.deepcopy(block)
    wanted = images
    for layer in other:
        wanted = layer(wanted)
    back = torch.randn_like(wanted)
    found = fused(images, cast(nn.Conv2d, block[0]), cast(nn.BatchNorm2d, block[2]))
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)
    pairs = zip(gradients(block, images, found, back), gradients(other, images, wanted, back), strict=True)
    for mine, theirs in pairs:
        torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-4)
    for name, value in other.state_dict().items():
        torch.testing.assert_close(block.state_dict()[name], value, rtol=1e-5, atol=1e-6)


def relative(found: list[Tensor], wanted: list[Tensor]) -> float:
    return max(float((a.float() - b).norm() / b.norm()) for a, b in zip(found, wanted, strict=True))


def test_in_bfloat16_it_is_as_near_to_32_bit_as_the_layers_are(monkeypatch: pytest.MonkeyPatch) -> None:
    images = batch(64, 64)
    exact = block_in_use()
    wanted = exact(images)
    back = torch.randn_like(wanted)
    reference = gradients(exact, images, wanted, back)
    errors = []
    for on in (True, False):
        block = block_in_use()
        if not on:
            monkeypatch.setattr(conv_block, "_fused_precision", lambda _: None)
        with torch.autocast("cpu", torch.bfloat16):
            answer = block(images)
        assert answer.dtype == torch.bfloat16
        assert ("_Fused" in type(answer.grad_fn).__name__) == (on and convolves_in_bfloat16())
        errors.append(relative(gradients(block, images, answer, back.bfloat16()), reference))
    assert errors[0] < 1.2 * errors[1] + 0.01


@pytest.mark.parametrize("inputs", [1, 2, 5])
def test_the_gradient_of_the_weights_is_that_of_autograd(inputs: int) -> None:
    generator = torch.Generator().manual_seed(inputs)
    images = torch.randn(3, inputs, 11, 9, dtype=torch.float64, generator=generator)
    weight = torch.randn(4, inputs, 3, 3, dtype=torch.float64, generator=generator).requires_grad_()
    answer = torch.nn.functional.conv2d(images, weight)
    back = torch.randn(answer.shape, dtype=torch.float64, generator=generator)
    (wanted,) = torch.autograd.grad(answer, weight, back)
    torch.testing.assert_close(conv_block.weight_gradient(images, back), wanted)


@pytest.mark.parametrize("mixed", [False, True])
def test_a_scale_that_is_not_positive_runs_the_layers_one_by_one(mixed: bool) -> None:
    block, images = block_in_use(), batch()
    with torch.no_grad():
        cast(nn.BatchNorm2d, block[2]).weight[3] = -0.5
    with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
        answer = block(images)
    assert "_Fused" not in type(answer.grad_fn).__name__


def test_in_32_bit_training_is_one_step_and_evaluation_is_not() -> None:
    block, images = block_in_use(), batch()
    assert "_Fused" in type(block(images).grad_fn).__name__
    block.eval()
    assert "_Fused" not in type(block(images).grad_fn).__name__
    with torch.autocast("cpu", torch.bfloat16):
        assert "_Fused" not in type(block(images).grad_fn).__name__


def test_in_64_bit_the_layers_run_one_by_one() -> None:
    block = block_in_use().double()
    assert "_Fused" not in type(block(batch().double()).grad_fn).__name__


def test_a_processor_without_bfloat16_convolutions_runs_the_layers_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conv_block, "convolves_in_bfloat16", lambda: False)
    with torch.autocast("cpu", torch.bfloat16):
        answer = block_in_use()(batch())
    assert "_Fused" not in type(answer.grad_fn).__name__
    assert answer.dtype == torch.bfloat16
