"""The pictures that a page shows, read from the image files themselves."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from PIL import Image

from radlens.config import RunSettings
from radlens.dataset.manifest import Manifest
from radlens.imaging.cache.pixel_cache import PixelCache
from radlens.imaging.decode import decode
from radlens.imaging.paint import paint
from radlens.learning.trained_model import TrainedModel
from radlens.reporting.content import MapPainter

_SHOWN_SIZE = (320, 320)
_DEFAULTS = RunSettings()


def picture_reader(manifest: Manifest, settings: RunSettings = _DEFAULTS) -> Callable[[str], npt.NDArray[np.uint8]]:
    """What gives a page the picture of a manifest path; see :func:`shown`."""
    location_of = dict(zip(manifest.table["path"], manifest.locations, strict=True))

    # A page shows a picture and then the same one painted over.
    @functools.lru_cache(maxsize=1)
    def read_pixels(path: str) -> npt.NDArray[np.uint8]:
        return shown(location_of[path], settings)

    return read_pixels


def map_painter(
    model: TrainedModel, manifest: Manifest, cache: PixelCache, read_pixels: Callable[[str], npt.NDArray[np.uint8]]
) -> MapPainter | None:
    """What paints, over the picture of a manifest path, where the model sees one of its outputs.

    Args:
        model: what answered.
        manifest: the images.
        cache: their pixels, in the same order.
        read_pixels: gives the picture of a path; see :func:`picture_reader`.

    Returns:
        A function of the path and of the number of the output; None where the network has no maps.
    """
    row_of = dict(zip(manifest.table["path"], cache.rows, strict=True))
    try:
        model.maps(cache.pixels, cache.rows[:1])
    except ValueError:
        return None

    def painted(path: str, output: int) -> npt.NDArray[np.uint8]:
        values = model.maps(cache.pixels, np.array([row_of[path]]))[0, output]
        return np.asarray(paint(Image.fromarray(read_pixels(path)), values, model.preprocessing))

    return painted


def shown(location: str, settings: RunSettings) -> npt.NDArray[np.uint8]:
    """The image itself on the settings' scale, small for a page: uint8, (height, width) or (height, width, 3)."""
    limits, depth = settings.data.limits, settings.preprocessing.depth
    image = decode(location, target=_SHOWN_SIZE, limits=limits, depth=depth).image
    image.thumbnail(_SHOWN_SIZE)
    return np.asarray(image)
