"""The fused block against its four layers one by one."""

from __future__ import annotations

import copy
from typing import cast

import pytest
import torch
from torch import Tensor, nn

from radlens.learning.networks import conv_block
from radlens.learning.networks.conv_block import ConvBlock, convolves_in_bfloat16, fused


def block_in_use() -> ConvBlock:
    torch.manual_seed(0)
    block = ConvBlock(3, 16).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    norm = cast(nn.BatchNorm2d, block[2])
    with torch.no_grad():
        norm.weight.uniform_(0.5, 1.5)
        norm.bias.normal_(0, 0.3)
    return cast(ConvBlock, block.train())


def batch(height: int = 21, width: int = 18) -> Tensor:
    return torch.rand(4, 3, height, width).contiguous(memory_format=torch.channels_last).requires_grad_()


def gradients(block: ConvBlock, images: Tensor, answer: Tensor, back: Tensor) -> list[Tensor]:
    return list(torch.autograd.grad(answer, (images, *block.parameters()), back))


@pytest.mark.parametrize("size", [(21, 18), (8, 8), (4, 5)])
def test_in_32_bit_it_gives_what_the_layers_give(size: tuple[int, int]) -> None:
    block, images = block_in_use(), batch(*size)
    other = copy.deepcopy(block)
    wanted = other(images)
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
            monkeypatch.setattr(conv_block, "_in_bfloat16", lambda _: False)
        with torch.autocast("cpu", torch.bfloat16):
            answer = block(images)
        assert answer.dtype == torch.bfloat16
        assert ("_Fused" in type(answer.grad_fn).__name__) == (on and convolves_in_bfloat16())
        errors.append(relative(gradients(block, images, answer, back.bfloat16()), reference))
    assert errors[0] < 1.2 * errors[1] + 0.01


def test_a_scale_that_is_not_positive_runs_the_layers_one_by_one() -> None:
    block, images = block_in_use(), batch()
    with torch.no_grad():
        cast(nn.BatchNorm2d, block[2]).weight[3] = -0.5
    with torch.autocast("cpu", torch.bfloat16):
        answer = block(images)
    assert "_Fused" not in type(answer.grad_fn).__name__


def test_in_evaluation_and_in_32_bit_the_layers_run_one_by_one() -> None:
    block, images = block_in_use(), batch()
    assert "_Fused" not in type(block(images).grad_fn).__name__
    block.eval()
    with torch.autocast("cpu", torch.bfloat16):
        assert "_Fused" not in type(block(images).grad_fn).__name__


def test_a_processor_without_bfloat16_convolutions_runs_the_layers_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conv_block, "convolves_in_bfloat16", lambda: False)
    with torch.autocast("cpu", torch.bfloat16):
        answer = block_in_use()(batch())
    assert "_Fused" not in type(answer.grad_fn).__name__
    assert answer.dtype == torch.bfloat16
