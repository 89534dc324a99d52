"""What poorer equipment does to an image, each by its own amount, and what is covered of it."""

from __future__ import annotations

import io
import math

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional


def blur(images: Tensor, sigma: Tensor) -> Tensor:
    """Gaussian blur.

    Args:
        images: float32, shape (batch, channels, height, width).
        sigma: standard deviation of each image's blur in pixels, shape (batch,); 0 leaves an image as it is.

    Returns:
        A tensor of the same shape. Beyond the border the border is repeated.
    """
    batch, channels, height, width = images.shape
    radius = min(math.ceil(3 * float(sigma.max())), height - 1, width - 1)
    if radius < 1:
        return images
    offsets = torch.arange(-radius, radius + 1, device=images.device)
    # Below this width a Gaussian is a single pixel, as it must be at 0.
    weights = torch.exp(-0.5 * (offsets / sigma.clamp(min=0.05)[:, None]) ** 2)
    weights = (weights / weights.sum(dim=1, keepdim=True)).repeat_interleave(channels, dim=0)
    flat = images.reshape(1, batch * channels, height, width)
    flat = functional.pad(flat, [radius] * 4, mode="replicate")
    flat = functional.conv2d(flat, weights[:, None, :, None], groups=batch * channels)
    flat = functional.conv2d(flat, weights[:, None, None, :], groups=batch * channels)
    return flat.view(batch, channels, height, width)


def reduce_resolution(images: Tensor, shares: Tensor) -> Tensor:
    """Make images smaller by averaging over areas, and as large again by interpolating.

    Args:
        images: float32, shape (batch, channels, height, width); changed in place.
        shares: size of the smaller image as a share of the size, shape (batch,); 1 leaves an image as it is.

    Returns:
        The images.
    """
    size = images.shape[-2:]
    for number, share in enumerate(shares.tolist()):
        if share < 1:
            smaller = [max(1, round(side * share)) for side in size]
            reduced = functional.interpolate(images[number, None], smaller, mode="area")
            images[number] = functional.interpolate(reduced, size, mode="bilinear")[0]
    return images


def compress(images: Tensor, qualities: Tensor) -> Tensor:
    """Write and read images as JPEG (Pillow's quality scale).

    Args:
        images: float32, shape (batch, 1 or 3, height, width), values in [0, 1]; changed in place.
        qualities: shape (batch,), 1 to 99; 100 leaves an image as it is.

    Returns:
        The images.
    """
    for number, quality in enumerate(qualities.tolist()):
        if quality < 100:
            pixels = images[number].mul(255).round().to(torch.uint8).permute(1, 2, 0).cpu().numpy()
            buffer = io.BytesIO()
            Image.fromarray(pixels.squeeze()).save(buffer, "JPEG", quality=round(quality))
            read = np.asarray(Image.open(buffer), dtype=np.float32).reshape(pixels.shape)
            images[number] = torch.from_numpy(read).permute(2, 0, 1) / 255
    return images


def add_noise(images: Tensor, sigmas: Tensor, seeds: Tensor) -> Tensor:
    """Add Gaussian noise, independent in each pixel.

    Args:
        images: float32, shape (batch, channels, height, width), values in [0, 1]; changed in place.
        sigmas: standard deviation of each image's noise, shape (batch,); 0 leaves an image as it is.
        seeds: whole numbers, shape (batch,), that the noise of each image follows from, whatever the device.

    Returns:
        The images, within [0, 1].
    """
    generator = torch.Generator()
    for number, (sigma, seed) in enumerate(zip(sigmas.tolist(), seeds.tolist(), strict=True)):
        if sigma > 0:
            noise = torch.randn(images.shape[1:], generator=generator.manual_seed(int(seed)))
            images[number].add_(noise.to(images.device), alpha=sigma).clamp_(0, 1)
    return images


def paint_frame(images: Tensor, widths: Tensor, greys: Tensor) -> Tensor:
    """Cover the border, as collimation does.

    Args:
        images: float32, shape (batch, channels, height, width).
        widths: of each image's frame as a share of height and width, shape (batch,); 0 leaves an image as it is.
        greys: what each frame is painted in, shape (batch,).

    Returns:
        A tensor of the same shape.
    """
    return torch.where(_is_border(images, widths), greys.view(-1, 1, 1, 1), images)


def paint_middle(images: Tensor, widths: Tensor, greys: Tensor) -> Tensor:
    """Cover all but the border.

    Args:
        images: float32, shape (batch, channels, height, width).
        widths: of the border that is left as a share of height and width, shape (batch,); 0 leaves an image as it is.
        greys: what the rest is painted in, shape (batch,).

    Returns:
        A tensor of the same shape.
    """
    shown = _is_border(images, widths) | (widths == 0).view(-1, 1, 1, 1)
    return torch.where(shown, images, greys.view(-1, 1, 1, 1))


def _is_border(images: Tensor, widths: Tensor) -> Tensor:
    """The pixels whose centre is less than a width from an edge, shape (batch, 1, height, width)."""
    near = []
    for side in images.shape[-2:]:
        places = (torch.arange(side, device=images.device) + 0.5) / side
        near.append(torch.minimum(places, 1 - places))
    return torch.minimum(near[0][:, None], near[1][None, :]) < widths.view(-1, 1, 1, 1)
