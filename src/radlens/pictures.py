"""The pictures that a page shows, read from the image files themselves."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from radlens.dataset.manifest import Manifest
from radlens.imaging.decode import decode
from radlens.imaging.limits import DEFAULT_LIMITS, DecodeLimits

_SHOWN_SIZE = (320, 320)


def picture_reader(manifest: Manifest, limits: DecodeLimits = DEFAULT_LIMITS) -> Callable[[str], npt.NDArray[np.uint8]]:
    """What gives a page the picture of a manifest path; see :func:`shown`."""
    location_of = dict(zip(manifest.table["path"], manifest.locations, strict=True))

    def read_pixels(path: str) -> npt.NDArray[np.uint8]:
        return shown(location_of[path], limits)

    return read_pixels


def shown(location: str, limits: DecodeLimits = DEFAULT_LIMITS) -> npt.NDArray[np.uint8]:
    """The image itself, small enough for a page: uint8, shape (height, width) or (height, width, 3)."""
    image = decode(location, target=_SHOWN_SIZE, limits=limits).image
    image.thumbnail(_SHOWN_SIZE)
    return np.asarray(image)
