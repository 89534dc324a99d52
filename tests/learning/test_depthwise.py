"""Convolutions of each channel alone against PyTorch's own, forth and back."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from radlens.learning.networks import build_network
from radlens.learning.networks.depthwise import depthwise
from radlens.learning.networks.efficientnet_lite import SameConv


def drawn(channels: int, height: int, width: int, side: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(3, channels, height, width, generator=generator).contiguous(memory_format=torch.channels_last)
    weight = torch.randn(channels, 1, side, side, generator=generator) / side
    return images.requires_grad_(), weight.requires_grad_()


def answers(convolve: object, images: Tensor, weight: Tensor, stride: int, padding: int) -> list[Tensor]:
    """The result and the gradients of images and weight."""
    assert callable(convolve)
    found = convolve(images, weight, stride, padding)
    back = torch.randn(found.shape, generator=torch.Generator().manual_seed(1)).to(found.dtype)
    return [found.detach(), *torch.autograd.grad(found, (images, weight), back)]


def plainly(images: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
    return functional.conv2d(images, weight, None, stride, padding, 1, len(weight))


@given(
    channels=st.integers(1, 40),
    height=st.integers(1, 12),
    width=st.integers(1, 12),
    side=st.sampled_from([1, 3, 5, 7]),
    stride=st.integers(1, 3),
    padding=st.integers(0, 3),
)
@settings(max_examples=60, deadline=None)
def test_in_32_bit_it_gives_what_pytorch_gives(
    channels: int, height: int, width: int, side: int, stride: int, padding: int
) -> None:
    images, weight = drawn(channels, max(height, side), max(width, side), side)
    exact = [tensor.detach().double().requires_grad_() for tensor in (images, weight)]
    wanted = answers(plainly, exact[0], exact[1], stride, padding)
    found = answers(depthwise, images, weight, stride, padding)
    for mine, theirs in zip(found, wanted, strict=True):
        assert mine.dtype == torch.float32
        torch.testing.assert_close(mine.double(), theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("side", "stride", "padding"), [(3, 1, 1), (3, 2, 0), (5, 1, 2), (5, 2, 0)])
def test_in_bfloat16_it_is_as_near_to_32_bit_as_pytorch_is(side: int, stride: int, padding: int) -> None:
    images, weight = drawn(48, 17, 17, side)
    wanted = answers(plainly, images, weight, stride, padding)
    errors = []
    for convolve in (depthwise, plainly):
        with torch.autocast("cpu", torch.bfloat16):
            found = answers(convolve, images, weight, stride, padding)
        assert found[0].dtype == torch.bfloat16
        assert [tensor.dtype for tensor in found[1:]] == [torch.float32] * 2
        errors.append([float((a.float() - b).norm() / b.norm()) for a, b in zip(found, wanted, strict=True)])
    assert all(mine < 1.2 * theirs + 0.001 for mine, theirs in zip(*errors, strict=True))


def test_without_gradients_it_is_pytorchs_own() -> None:
    images, weight = drawn(8, 9, 9, 5)
    with torch.no_grad():
        assert torch.equal(depthwise(images, weight, 1, 2), plainly(images, weight, 1, 2))
        assert depthwise(images, weight, 1, 2).grad_fn is None
    assert depthwise(images.detach(), weight.detach(), 1, 2).grad_fn is None


def test_the_network_goes_back_through_it_in_training_alone() -> None:
    layer = SameConv(8, 8, 5, groups=8)
    images, _ = drawn(8, 9, 9, 5)
    assert "Depthwise" in type(layer(images).grad_fn).__name__
    assert "Depthwise" not in type(layer.eval()(images).grad_fn).__name__
    assert "Depthwise" not in type(SameConv(8, 8, 5)(images).grad_fn).__name__


def test_a_training_step_of_efficientnet_gives_the_gradients_of_pytorchs_own_layers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    torch.manual_seed(0)
    network = build_network("efficientnet_lite0", (1, 64, 64), outputs=1).train().double()
    images = torch.randn(4, 1, 64, 64, dtype=torch.float64)
    each = []
    for other in (False, True):
        if other:
            monkeypatch.setattr("radlens.learning.networks.efficientnet_lite.depthwise", plainly)
        torch.manual_seed(1)
        network.zero_grad()
        network(images).sum().backward()
        each.append([parameter.grad.clone() for parameter in network.parameters() if parameter.grad is not None])
    for mine, theirs in zip(*each, strict=True):
        torch.testing.assert_close(mine, theirs)
