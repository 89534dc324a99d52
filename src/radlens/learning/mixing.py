"""Training images made of two: mixup and CutMix."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Mix:
    """How each image of a batch is put together with the one before it.

    Attributes:
        share: of the image itself, in [0, 1]; its partner has the rest.
        box: top, bottom, left and right of the pixels that are the partner's; None: all pixels are mixed.
    """

    share: float
    box: tuple[int, int, int, int] | None = None

    def apply(self, images: Tensor) -> Tensor:
        """From images, shape (batch, channels, height, width), to mixed ones."""
        partners = images.roll(1, dims=0)
        if self.box is None:
            return torch.lerp(partners, images, self.share)
        top, bottom, left, right = self.box
        mixed = images.clone()
        mixed[..., top:bottom, left:right] = partners[..., top:bottom, left:right]
        return mixed


def draw_mix(height: int, width: int, mixup: float, cutmix: float) -> Mix | None:
    """Draw how a batch is mixed, from torch's random state.

    Mixup adds two images (Zhang et al. 2018, arXiv:1710.09412); CutMix pastes a rectangle of one into the other (Yun
    et al. 2019, doi:10.1109/ICCV.2019.00612). Where both are on, each takes half of the batches.

    Args:
        height: of the images.
        width: of the images.
        mixup: shares are drawn from Beta(mixup, mixup); 0: never.
        cutmix: shares are drawn from Beta(cutmix, cutmix); 0: never.

    Returns:
        None where neither is on.
    """
    if not mixup and not cutmix:
        return None
    cut = cutmix > 0 and (mixup == 0 or bool(torch.rand(()) < 0.5))
    strength = cutmix if cut else mixup
    share = float(torch.distributions.Beta(strength, strength).sample())
    if not cut:
        return Mix(share)
    side = (1 - share) ** 0.5
    # The rectangle's centre lies anywhere in the image, so that it may be cut off by the border.
    (top, bottom), (left, right) = (_span(length, side) for length in (height, width))
    pasted = (bottom - top) * (right - left) / (height * width)
    return Mix(1 - pasted, (top, bottom, left, right))


def _span(length: int, side: float) -> tuple[int, int]:
    centre, half = float(torch.rand(())) * length, side * length / 2
    return max(0, round(centre - half)), min(length, round(centre + half))
