"""From the elements of a DICOM file to the stored values of its only frame."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from radlens.imaging.dicom.codecs import ENCAPSULATED, JPEG_2000, LOSSY, RLE, Decompressed, decompress
from radlens.imaging.dicom.encoding import BIG_ENDIAN, DEFLATED, EXPLICIT, IMPLICIT, uid_name
from radlens.imaging.dicom.file import DicomFile
from radlens.imaging.dicom.pixel_form import PixelForm
from radlens.imaging.dicom.stored_bits import Cells, Values, settle
from radlens.imaging.limits import RefusedError

NATIVE = frozenset({IMPLICIT, EXPLICIT, DEFLATED, BIG_ENDIAN})
MAX_FRAGMENTS = 2**16


class StoredValues(NamedTuple):
    """The stored values of a frame.

    Attributes:
        values: integers of shape ``form.shape``, between ``form.lowest`` and ``form.highest``, padding apart.
        form: how they are stored in truth.
        ybr: whether they are luminance and colour differences (YBR).
    """

    values: Values
    form: PixelForm
    ybr: bool


def read_values(file: DicomFile, form: PixelForm) -> StoredValues:
    """The stored values of the only frame.

    Bits that do not belong to a value are left out, see :mod:`radlens.imaging.dicom.stored_bits`. Pixel data that are
    too long are cut, as pydicom and dcmtk do, unless they hold another whole frame.

    Raises:
        RefusedError: the pixel data are missing, too short, or contradict the header, or no decoder is known.
        DamagedError: a decoder found them damaged.
    """
    element = file.element("PixelData")
    data, kind = file.raw("PixelData")
    pieces = None if element is None else element.pieces
    if not data and not pieces:
        raise RefusedError("the pixel data are empty")
    ybr = form.interpretation in ("YBR_FULL", "YBR_FULL_422")
    if file.syntax in NATIVE:
        if pieces is not None:
            name = uid_name(file.syntax, "not valid")
            raise RefusedError(f"the pixel data are compressed, but the transfer syntax ({name}) is not")
        if form.interpretation in ("YBR_ICT", "YBR_RCT"):
            raise RefusedError(f"photometric interpretation {form.interpretation} belongs to JPEG 2000 data only")
        if form.allocated == 8 and file.order == ">" and kind == "OW":
            data = _swapped(data)
        native = Cells(_native(data, form, file.order), form.allocated)
        return StoredValues(*settle(native, file, form), ybr)
    if file.syntax not in ENCAPSULATED:
        raise RefusedError(f"for the transfer syntax {uid_name(file.syntax, '(not valid)')} there is no decoder")
    decompressed = decompress(_only_frame(pieces), file.syntax, form)
    if file.syntax in JPEG_2000 and form.interpretation in ("YBR_ICT", "YBR_RCT"):
        ybr = False
    elif decompressed.colours:
        ybr = decompressed.colours == "YBR"
    elif form.interpretation in ("YBR_ICT", "YBR_RCT"):
        raise RefusedError(f"photometric interpretation {form.interpretation} belongs to JPEG 2000 data only")
    cells = _cells(decompressed, signed_is_known=file.syntax in JPEG_2000, lossy=file.syntax in LOSSY)
    return StoredValues(*settle(cells, file, form), ybr and (file.syntax == RLE or form.samples == 3))


def _swapped(data: bytes) -> bytes:
    """Bytes that were stored as big-endian words of two."""
    even = data + bytes(len(data) % 2)
    return np.frombuffer(even, dtype="<u2").byteswap().tobytes()


def _native(data: bytes, form: PixelForm, order: str) -> npt.NDArray[Any]:
    """Uncompressed values with all bits allocated, in the machine's byte order."""
    size, pixels = form.allocated // 8, form.rows * form.columns
    halved = form.interpretation == "YBR_FULL_422"
    if halved and form.columns % 2:
        raise RefusedError(f"{form.columns} columns cannot share their colours in pairs (YBR_FULL_422)")
    values = 2 * pixels if halved else form.samples * pixels
    wanted, whole_frame = values * size, form.samples * pixels * size
    if len(data) < wanted:
        raise RefusedError(f"{len(data):,} bytes of pixel data where {wanted:,} are needed")
    if len(data) > wanted + 1 and len(data) >= (whole_frame if halved else 2 * wanted):
        raise RefusedError(
            f"{len(data):,} bytes of pixel data where {wanted:,} are a frame; a single image was expected"
        )
    stored = np.frombuffer(data, dtype=f"{order}u{size}", count=values).astype(f"=u{size}", copy=False)
    if halved:
        # Two pixels are stored as two luminances and the colour differences that they share.
        pairs = stored.reshape(form.rows, form.columns // 2, 4)
        return pairs[:, :, [0, 2, 3, 1, 2, 3]].reshape(form.shape)
    if form.samples == 3 and form.planar:
        return stored.reshape(3, form.rows, form.columns).transpose(1, 2, 0)
    return stored.reshape(form.shape)


def _cells(frame: Decompressed, *, signed_is_known: bool, lossy: bool) -> Cells:
    """Decoded values as bits, of which the codestream says how many there are."""
    values: npt.NDArray[Any] = frame.values
    size, signed = values.dtype.itemsize, values.dtype.kind == "i"
    unsigned = values.view(f"=u{size}")
    if signed:
        unsigned = unsigned & unsigned.dtype.type(2**frame.precision - 1)
    return Cells(unsigned, frame.precision, signed if signed_is_known else None, lossy)


def _only_frame(pieces: tuple[bytes, ...] | None) -> bytes:
    """The frame of encapsulated pixel data, its fragments joined (DICOM PS3.5 annex A.4)."""
    if pieces is None:
        raise RefusedError("the transfer syntax is that of compressed pixel data, but they are not encapsulated")
    frames, fragments = len(pieces[0]) // 4, pieces[1:]
    if frames > 1:
        raise RefusedError(f"the compressed data hold {frames} frames; a single image was expected")
    if len(fragments) > MAX_FRAGMENTS:
        raise RefusedError(f"the compressed data are in more than {MAX_FRAGMENTS:,} pieces")
    frame = b"".join(fragments)
    if not frame:
        raise RefusedError("the compressed pixel data hold no frame")
    return frame
