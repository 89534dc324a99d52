"""The preprocessing contract: everything that is decided between a decoded image and the array a network sees."""

from __future__ import annotations

from typing import Literal, Self

import numpy as np
import numpy.typing as npt
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, model_validator


class Preprocessing(BaseModel):
    """How a decoded image becomes pixels of one size; travels with the model, so deployment repeats training.

    The stored pixels are uint8, shape (channels, height, width), 0 black to 255 white. The network sees
    ``low + pixel / 255 * (high - low)``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    height: int = Field(default=150, ge=8, le=4096, description="Height of what the network sees, in pixels.")
    width: int = Field(default=150, ge=8, le=4096, description="Width of what the network sees, in pixels.")
    fit: Literal["squash", "pad", "crop"] = Field(
        default="squash",
        description="squash: stretch to the size; pad: keep the aspect and fill with black; "
        "crop: keep the aspect and cut what overhangs, centred.",
    )
    channels: Literal[1, 3] = Field(default=1, description="1: grey; 3: red, green, blue.")
    low: float = Field(default=0.0, description="What the network sees for black.")
    high: float = Field(default=1.0, description="What the network sees for white.")

    @model_validator(mode="after")
    def _range_is_one(self) -> Self:
        if not self.low < self.high:
            raise ValueError(f"low must be below high, got low={self.low}, high={self.high}")
        return self

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height, width."""
        return self.channels, self.height, self.width


def preprocess(image: Image.Image, contract: Preprocessing) -> npt.NDArray[np.uint8]:
    """Apply the contract to a decoded image.

    Args:
        image: 8-bit grey (mode ``L``) or colour (``RGB``), as :func:`radlens.imaging.decode.decode` returns it.
        contract: what to make of it.

    Returns:
        uint8, shape (channels, height, width), 0 black to 255 white.

    >>> preprocess(Image.new("L", (40, 20), 255), Preprocessing(height=8, width=8, fit="pad"))[0, :, 0].tolist()
    [0, 0, 255, 255, 255, 255, 0, 0]
    """
    if contract.channels == 3:
        image = image.convert("RGB")
    elif image.mode != "L":
        image = image.convert("L")
    size = (contract.width, contract.height)
    if contract.fit == "squash":
        image = _resize(image, size)
    elif contract.fit == "crop":
        image = _resize(image, size, box=_centred_box(image.size, size))
    else:
        image = _pad(image, size)
    pixels = np.asarray(image, dtype=np.uint8)
    pixels = pixels[np.newaxis] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
    return np.ascontiguousarray(pixels)


def to_network_range(pixels: npt.NDArray[np.uint8], contract: Preprocessing) -> npt.NDArray[np.float32]:
    """Map stored pixels, 0 to 255, to what the network sees, ``low`` to ``high``; any shape."""
    scale = np.float32((contract.high - contract.low) / 255)
    return pixels.astype(np.float32) * scale + np.float32(contract.low)


def _resize(
    image: Image.Image, size: tuple[int, int], box: tuple[float, float, float, float] | None = None
) -> Image.Image:
    if box is None and image.size == size:
        return image
    # Pillow's bilinear filter widens with the reduction, so shrinking is anti-aliased.
    return image.resize(size, Image.Resampling.BILINEAR, box=box, reducing_gap=3.0)


def _centred_box(size: tuple[int, int], target: tuple[int, int]) -> tuple[float, float, float, float]:
    """The largest centred box of the target's aspect ratio: left, upper, right, lower."""
    scale = min(size[0] / target[0], size[1] / target[1])
    width, height = target[0] * scale, target[1] * scale
    left, upper = max(0.0, (size[0] - width) / 2), max(0.0, (size[1] - height) / 2)
    # Rounding may carry a box over the edge by the last bit, which Pillow refuses.
    return left, upper, min(left + width, size[0]), min(upper + height, size[1])


def _pad(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    scale = min(size[0] / image.width, size[1] / image.height)
    inner = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    canvas = Image.new(image.mode, size)
    canvas.paste(_resize(image, inner), ((size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2))
    return canvas
