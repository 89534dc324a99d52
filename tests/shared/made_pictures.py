"""Pictures as files, for tests of several rooms."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from radlens.imaging.decode import Decoded, DecodeError, decode

HEIGHT, WIDTH = 48, 64


def noise(channels: int = 1, seed: int = 0) -> npt.NDArray[np.uint8]:
    """Incompressible, so that a file cut short lacks pixels."""
    shape = (HEIGHT, WIDTH) if channels == 1 else (HEIGHT, WIDTH, channels)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def encoded(image: Image.Image | npt.NDArray[Any], form: str, **options: Any) -> bytes:
    """The file that Pillow makes of a picture or of its pixels."""
    buffer = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(buffer, form, **options)
    return buffer.getvalue()


def attempted(content: bytes, options: dict[str, Any]) -> Decoded | str:
    """The picture, or why it is refused."""
    try:
        return decode("x", content, **options)
    except DecodeError as error:
        return str(error)
