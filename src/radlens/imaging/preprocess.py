"""The preprocessing contract: everything that is decided between a decoded image and the array a network sees."""

from __future__ import annotations

from typing import Literal, Self

import numpy as np
import numpy.typing as npt
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, model_validator

from radlens.imaging.depth import Depth
from radlens.imaging.display import Box

_FILTERS = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
    "box": Image.Resampling.BOX,
}


class Preprocessing(BaseModel):
    """How a file becomes pixels of one size; travels with the model, so deployment repeats training.

    The stored pixels are uint8, shape (channels, height, width), 0 black to 255 white, bone bright where the file
    tells its polarity. The network sees ``low + pixel / 255 * (high - low)``. The same record gives the same bytes
    of the same file, on every run and from every entry point.
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
    resample: Literal["bilinear", "bicubic", "lanczos", "box"] = Field(
        default="bilinear",
        description="Filter that resizes; each widens with the reduction, so that shrinking does not alias.",
    )
    depth: Depth = Field(
        default="auto",
        description="What becomes white in files of more than 8 bits that do not declare how many are in use. auto: "
        "one scale for the whole data set, decided from the training images and written down here, so that the model "
        "keeps it; 8 to 16: so many bits; [black, white]: these values; significant: each image by the fewest of 8, "
        "10, 12, 14 and 16 bits that hold its own values but for outliers; full: the largest value of the container; "
        "range: each image from its smallest value to its largest. full and range hold for files that declare a depth, "
        "too. DICOM has rules of its own.",
    )
    low: float = Field(default=0.0, description="What the network sees for black.")
    high: float = Field(default=1.0, description="What the network sees for white.")
    version: Literal[1] = Field(
        default=1,
        description="Of the rules that are not settings: the first window of a DICOM image, polarity, transparency on "
        "black, weights of colours in grey, and the scale that a JPEG is decoded at.",
    )

    @model_validator(mode="after")
    def _range_is_one(self) -> Self:
        if not self.low < self.high:
            raise ValueError(f"low must be below high, got low={self.low}, high={self.high}")
        if isinstance(self.depth, tuple) and not self.depth[0] < self.depth[1]:
            raise ValueError(f"depth: the value of black must be below that of white, got {list(self.depth)}")
        return self

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height, width."""
        return self.channels, self.height, self.width


def preprocess(image: Image.Image, contract: Preprocessing, box: Box | None = None) -> npt.NDArray[np.uint8]:
    """Apply the contract to a decoded image.

    Args:
        image: 8-bit grey (mode ``L``) or colour (``RGB``), as :func:`radlens.imaging.decode.decode` returns it.
        contract: what to make of it.
        box: the part of the image that counts (left, upper, right, lower), as ``decode`` returns it; None: all of it.

    Returns:
        uint8, shape (channels, height, width), 0 black to 255 white.

    >>> preprocess(Image.new("L", (40, 20), 255), Preprocessing(height=8, width=8, fit="pad"))[0, :, 0].tolist()
    [0, 0, 255, 255, 255, 255, 0, 0]
    """
    if contract.channels == 1 and image.mode != "L":
        image = image.convert("L")
    box = box or (0.0, 0.0, *image.size)
    size = (contract.width, contract.height)
    if contract.fit == "squash":
        image = _resize(image, contract, size, box)
    elif contract.fit == "crop":
        image = _resize(image, contract, size, _centred_box(box, size))
    else:
        image = _pad(image, contract, box)
    pixels = np.asarray(image, dtype=np.uint8)
    if pixels.ndim == 3:
        return np.ascontiguousarray(pixels.transpose(2, 0, 1))
    # Grey is resized once and repeated, which gives the same as colours that are alike.
    return np.repeat(pixels[np.newaxis], contract.channels, axis=0)


def reduced_size(contract: Preprocessing, size: tuple[float, float]) -> tuple[int, int]:
    """Width and height that an image of this size is resized to, before it is padded or after it is cropped.

    >>> reduced_size(Preprocessing(height=100, width=100, fit="pad"), (400, 200))
    (100, 50)
    """
    if contract.fit != "pad":
        return contract.width, contract.height
    scale = min(contract.width / size[0], contract.height / size[1])
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def preprocess_box(contract: Preprocessing, size: tuple[int, int]) -> tuple[Box, Box]:
    """Which part of a picture the network sees, and where in what it sees that part lies.

    Args:
        contract: what is made of the picture.
        size: width and height of the picture.

    Returns:
        Two boxes of left, upper, right, lower: in pixels of the picture, and in pixels of what the network sees.

    >>> preprocess_box(Preprocessing(height=100, width=100, fit="pad"), (400, 200))
    ((0.0, 0.0, 400.0, 200.0), (0, 25, 100, 75))
    """
    whole, target = (0.0, 0.0, float(size[0]), float(size[1])), (contract.width, contract.height)
    if contract.fit == "crop":
        return _centred_box(whole, target), (0, 0, *target)
    if contract.fit == "squash":
        return whole, (0, 0, *target)
    width, height = reduced_size(contract, size)
    left, upper = _place(contract, (width, height))
    return whole, (left, upper, left + width, upper + height)


def to_network_range(pixels: npt.NDArray[np.uint8], contract: Preprocessing) -> npt.NDArray[np.float32]:
    """Map stored pixels, 0 to 255, to what the network sees, ``low`` to ``high``; any shape."""
    scale = np.float32((contract.high - contract.low) / 255)
    return pixels.astype(np.float32) * scale + np.float32(contract.low)


def _resize(image: Image.Image, contract: Preprocessing, size: tuple[int, int], box: Box) -> Image.Image:
    if image.size == size and box == (0, 0, *size):
        return image
    # Pillow's filters widen with the reduction; whole blocks are averaged first while three times the size is left.
    return image.resize(size, _FILTERS[contract.resample], box=box, reducing_gap=3.0)


def _centred_box(box: Box, target: tuple[int, int]) -> Box:
    """The largest box of the target's aspect ratio, centred within a box: left, upper, right, lower."""
    left, upper, right, lower = box
    scale = min((right - left) / target[0], (lower - upper) / target[1])
    width, height = target[0] * scale, target[1] * scale
    inner_left = left + max(0.0, (right - left - width) / 2)
    inner_upper = upper + max(0.0, (lower - upper - height) / 2)
    # Rounding may carry a box over the edge by the last bit, which Pillow refuses.
    return inner_left, inner_upper, min(inner_left + width, right), min(inner_upper + height, lower)


def _pad(image: Image.Image, contract: Preprocessing, box: Box) -> Image.Image:
    inner = reduced_size(contract, (box[2] - box[0], box[3] - box[1]))
    canvas = Image.new(image.mode, (contract.width, contract.height))
    canvas.paste(_resize(image, contract, inner, box), _place(contract, inner))
    return canvas


def _place(contract: Preprocessing, inner: tuple[int, int]) -> tuple[int, int]:
    """Where a picture lies within the padding: left, upper."""
    return (contract.width - inner[0]) // 2, (contract.height - inner[1]) // 2
