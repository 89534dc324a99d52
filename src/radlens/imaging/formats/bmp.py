"""BMP: decoded by Pillow after its declared size was checked."""

from __future__ import annotations

import io

from PIL.BmpImagePlugin import BmpImageFile

from radlens.imaging.formats.stored import Stored
from radlens.imaging.limits import DecodeLimits, require_data, require_size, third_party

_COMPRESSION = {0: "none", 1: "RLE8", 2: "RLE4", 3: "bitfields"}


def read_bmp(content: bytes, limits: DecodeLimits) -> Stored:
    """Decode a BMP of 1, 4, 8, 16, 24 or 32 bits a pixel.

    Raises:
        RefusedError: the picture exceeds the limits, is cut short or damaged.
    """
    with third_party():
        picture = BmpImageFile(io.BytesIO(content))
    width, height = picture.size
    mode = picture.mode
    require_size(width, height, len(picture.getbands()), limits)
    codec, _, offset, options = picture.tile[0]
    # Of an uncompressed picture the options are the raw mode, the bytes of a row, and the direction of the rows.
    if codec == "raw" and isinstance(options, tuple):
        require_data(width, height, offset + options[1] * height, len(content))
    compression = _COMPRESSION.get(int(picture.info.get("compression", 0)), "")
    with third_party():
        picture.load()
    return Stored(picture, width, height, mode, compression)
