"""What there is to compute on."""

from __future__ import annotations

import torch


def visible_gpus() -> list[str]:
    """The names of the GPUs that PyTorch may use, in its order."""
    return [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
