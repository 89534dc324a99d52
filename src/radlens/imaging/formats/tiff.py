"""TIFF: the directory read, checked and written again by us, the pixels decoded by Pillow and libtiff.

tifffile with imagecodecs decodes the same values, deflated ones in half the time and LZW in one and a half times
(2,000 x 2,000 pixels). It is not used here: without imagecodecs it reads neither LZW nor JPEG nor fax codes, with it a
base install grows from 240 to 325 MB, of which less than 300 are promised; and of damaged files it shows many that are
refused here, with zeros where strips are missing and whatever the photometric interpretation says.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from radlens.imaging.formats import tiff_directory as tags
from radlens.imaging.formats.png import DEFLATE_RATIO
from radlens.imaging.formats.stored import Stored, with_raw_mode
from radlens.imaging.formats.tiff_directory import Directory, read_directory, with_directory
from radlens.imaging.limits import DecodeLimits, RefusedError, require_data, require_size, third_party

_COMPRESSION = {
    1: "none",
    2: "CCITT RLE",
    3: "CCITT G3",
    4: "CCITT G4",
    5: "LZW",
    7: "JPEG",
    8: "deflate",
    32773: "PackBits",
    32946: "deflate",
}
# The most bytes that one byte can come to; the CCITT codes have no bound.
_RATIO = {"none": 1, "LZW": 2731, "JPEG": 4096, "deflate": DEFLATE_RATIO, "PackBits": 64}
_UNSIGNED, _SIGNED, _FLOAT, _UNDEFINED = 1, 2, 3, 4
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _CMYK, _YCBCR = 0, 1, 2, 3, 5, 6
_KEPT = (
    *(tags.COMPRESSION, tags.FILL_ORDER, tags.PLANAR, tags.T4_OPTIONS, tags.T6_OPTIONS, tags.PREDICTOR),
    *(tags.JPEG_TABLES, tags.YCBCR_SUBSAMPLING),
)
_SAMPLES = {_WHITE_IS_ZERO: 1, _BLACK_IS_ZERO: 1, _RGB: 3, _PALETTE: 1, _CMYK: 4, _YCBCR: 3}
_GREY_BITS = {_UNSIGNED: (1, 2, 4, 8, 12, 16, 32), _SIGNED: (16, 32), _FLOAT: (32,)}
_OTHER_BITS = {_RGB: (8, 16), _PALETTE: (1, 2, 4, 8), _CMYK: (8,), _YCBCR: (8,)}


@dataclass(frozen=True)
class _Form:
    """What the pixels are."""

    width: int
    height: int
    compression: str
    photometric: int
    bits: int
    number: int
    samples: int
    extra: tuple[int, ...]
    planar: bool

    @property
    def grey(self) -> bool:
        return self.photometric in (_WHITE_IS_ZERO, _BLACK_IS_ZERO)


def read_tiff(content: bytes, limits: DecodeLimits) -> Stored:
    """Decode the first picture of a TIFF or BigTIFF; its colour profile is not applied.

    Grey of 1, 2, 4, 8, 12, 16 and 32 bits, signed or not, and of 32-bit floating point; colour of 8 and 16 bits;
    palettes; CMYK. Uncompressed or by deflate, LZW, PackBits, CCITT or JPEG; in strips or tiles.

    Raises:
        RefusedError: the picture exceeds the limits, is of a kind that is not read, is cut short or damaged.
    """
    directory = read_directory(content)
    form = _read_form(directory)
    require_size(form.width, form.height, form.samples * max(form.bits, 8) / 8, limits)
    if form.compression in _RATIO:
        inflated = form.width * form.height * form.samples * form.bits / 8
        require_data(form.width, form.height, inflated / _RATIO[form.compression], len(content))
    orientation = directory.first(tags.ORIENTATION, 1)
    stored = Stored(
        Image.new("L", (1, 1)),
        form.width,
        form.height,
        "",
        form.compression,
        orientation if 1 <= orientation <= 8 else 1,
        container=form.bits,
        declared=_declared(directory, form),
        inverted=form.photometric == _WHITE_IS_ZERO,
    )
    rewritten = with_directory(content, _rewritten(directory, form, limits))
    if form.bits <= 8:
        picture = _decoded(rewritten, str)
        return replace(stored, pixels=picture, mode=picture.mode)
    if not form.grey:
        upper, lower = _decoded(rewritten, str), _decoded(rewritten, _other_half)
        values = np.asarray(upper).astype(np.uint16) << 8 | np.asarray(lower)
        return replace(stored, pixels=values, mode=f"{upper.mode};16")
    picture = _decoded(rewritten, _native if form.compression != "none" else str)
    return replace(stored, pixels=_grey_values(picture, form), mode="I;16" if form.bits == 12 else picture.mode)


def _read_form(directory: Directory) -> _Form:
    code = directory.first(tags.COMPRESSION, 1)
    if code not in _COMPRESSION:
        raise RefusedError(f"a TIFF of compression {code} is not read; {', '.join(_COMPRESSION.values())} are")
    photometric = directory.first(tags.PHOTOMETRIC)
    samples = directory.first(tags.SAMPLES, 1)
    wanted = _SAMPLES.get(photometric)
    bits = directory.tags.get(tags.BITS) or (1,)
    numbers = directory.tags.get(tags.SAMPLE_FORMAT) or (_UNSIGNED,)
    number = _UNSIGNED if numbers[0] == _UNDEFINED else numbers[0]
    form = _Form(
        directory.first(tags.WIDTH),
        directory.first(tags.HEIGHT),
        _COMPRESSION[code],
        photometric,
        bits[0],
        number,
        samples,
        directory.tags.get(tags.EXTRA_SAMPLES, ()),
        directory.first(tags.PLANAR, 1) == 2 and samples > 1,
    )
    known = wanted is not None and (
        form.bits in _GREY_BITS.get(number, ())
        if form.grey
        else number == _UNSIGNED and form.bits in _OTHER_BITS[photometric]
    )
    if wanted is None or not known or len({*bits}) > 1 or len({*numbers}) > 1 or not wanted <= samples <= wanted + 1:
        raise RefusedError(
            f"a TIFF of this kind is not read (photometric interpretation {photometric}, {samples} samples of "
            f"{bits[0]} bits, sample format {number})"
        )
    if form.planar and (photometric, form.bits, samples) != (_RGB, 8, 3):
        raise RefusedError("a TIFF with its channels apart is read for colour of 8 bits alone")
    if samples > wanted and form.bits not in ((8, 16) if photometric == _RGB else (8,)):
        raise RefusedError(f"a TIFF of {form.bits}-bit values with an extra channel is not read")
    if photometric == _YCBCR and form.compression != "JPEG":
        raise RefusedError("a TIFF of YCbCr is read only if it is compressed by JPEG")
    return form


def _declared(directory: Directory, form: _Form) -> int:
    """Significant bits of the largest value that is said to be in use, whose default is all that fits.

    A largest value that does not fill its bits was measured in this picture, and declares no depth.
    """
    if form.bits == 12:
        return 12
    largest = directory.first(tags.MAX_SAMPLE, 0) or directory.first(tags.S_MAX_SAMPLE, 0)
    bits = largest.bit_length()
    return bits if form.bits == 16 and 8 <= bits < 16 and largest == 2**bits - 1 else 0


def _rewritten(directory: Directory, form: _Form, limits: DecodeLimits) -> Directory:
    """The tags in the one way that Pillow decodes them; what only describes the picture is left out."""
    new = {tag: directory.tags[tag] for tag in _KEPT if directory.tags.get(tag)}
    new |= {tags.WIDTH: (form.width,), tags.HEIGHT: (form.height,), tags.SAMPLES: (form.samples,)}
    new[tags.BITS] = (form.bits,) * form.samples
    # Polarity and sign are seen to afterwards, since Pillow knows not every combination.
    new[tags.PHOTOMETRIC] = (_BLACK_IS_ZERO if form.grey else form.photometric,)
    wide_sign = _SIGNED if form.bits == 32 else _UNSIGNED
    new[tags.SAMPLE_FORMAT] = (_FLOAT if form.number == _FLOAT else wide_sign,) * form.samples
    if form.samples > _SAMPLES[form.photometric]:
        # Alpha is 2; a channel that is unspecified, or that the colours were multiplied with, is passed over.
        alpha = form.photometric in (_BLACK_IS_ZERO, _RGB, _PALETTE) and form.extra[:1] in ((), (2,))
        new[tags.EXTRA_SAMPLES] = (2 if alpha else 0,)
    if form.photometric == _PALETTE:
        new[tags.COLOUR_MAP] = _colour_map(directory, form)
    new |= _pieces(directory, form, limits)
    # Packed 12-bit values have no byte order, and Pillow knows them in one only.
    return Directory("<" if form.bits == 12 else directory.order, new)


def _colour_map(directory: Directory, form: _Form) -> tuple[int, ...]:
    values = directory.tags.get(tags.COLOUR_MAP, ())
    if len(values) != 3 * 2**form.bits:
        raise RefusedError(f"the TIFF has a palette of {len(values)} values")
    # Some writers keep 8 bits where the standard has 16.
    return values if max(values) > 255 else tuple(value * 257 for value in values)


def _pieces(directory: Directory, form: _Form, limits: DecodeLimits) -> dict[int, tuple[int, ...]]:
    """Where the strips or tiles lie; as many as the picture needs."""
    planes = form.samples if form.planar else 1
    if tags.TILE_OFFSETS in directory.tags:
        width, height = directory.first(tags.TILE_WIDTH), directory.first(tags.TILE_HEIGHT)
        if width < 1 or height < 1:
            raise RefusedError(f"the TIFF has tiles of {width} x {height} pixels")
        require_size(width, height, form.samples * max(form.bits, 8) / 8, limits)
        count = -(-form.width // width) * -(-form.height // height) * planes
        new: dict[int, tuple[int, ...]] = {tags.TILE_WIDTH: (width,), tags.TILE_HEIGHT: (height,)}
        offsets_tag, bytes_tag = tags.TILE_OFFSETS, tags.TILE_BYTES
    else:
        rows = max(1, min(directory.first(tags.ROWS_PER_STRIP, form.height), form.height))
        count = -(-form.height // rows) * planes
        new = {tags.ROWS_PER_STRIP: (rows,)}
        offsets_tag, bytes_tag = tags.STRIP_OFFSETS, tags.STRIP_BYTES
    offsets, sizes = directory.tags.get(offsets_tag, ()), directory.tags.get(bytes_tag, ())
    if len(offsets) < count:
        raise RefusedError(f"the TIFF has {len(offsets):,} strips or tiles; {count:,} were expected")
    new[offsets_tag] = offsets[:count]
    if len(sizes) >= count:
        new[bytes_tag] = sizes[:count]
    return new


def _decoded(content: bytes, change: Callable[[str], str]) -> Image.Image:
    with third_party():
        picture = TiffImageFile(io.BytesIO(content))
        with_raw_mode(picture, change)
        picture.load()
    return picture


def _other_half(raw: str) -> str:
    """The raw mode under which Pillow keeps the lower half of each 16-bit value in place of the upper."""
    other = {"L": "B", "B": "L", "N": "B" if sys.byteorder == "little" else "L"}
    return raw[:-1] + other[raw[-1]]


def _native(raw: str) -> str:
    """The machine's own byte order, in which libtiff hands out values whatever the file's is."""
    return {"F;32F": "F;32NF", "F;32BF": "F;32NF", "I;32S": "I;32NS", "I;32BS": "I;32NS"}.get(raw, raw)


def _grey_values(picture: Image.Image, form: _Form) -> npt.NDArray[np.generic]:
    """The values as the file means them."""
    values = np.asarray(picture)
    if form.number == _FLOAT:
        return values
    unsigned, signed = (np.uint16, np.int16) if form.bits <= 16 else (np.uint32, np.int32)
    native = values.astype(signed if form.bits == 32 else unsigned)
    return native.view(signed if form.number == _SIGNED else unsigned)
