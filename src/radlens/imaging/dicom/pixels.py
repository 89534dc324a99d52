"""From the elements of a DICOM file to the stored values of its only frame."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from radlens.imaging.dicom.codecs import ENCAPSULATED, JPEG_2000, LOSSY, RLE, Decompressed, decompress
from radlens.imaging.dicom.encoding import BIG_ENDIAN, DEFLATED, EXPLICIT, IMPLICIT, uid_name
from radlens.imaging.dicom.file import DicomFile
from radlens.imaging.dicom.pixel_form import PixelForm
from radlens.imaging.limits import RefusedError

NATIVE = frozenset({IMPLICIT, EXPLICIT, DEFLATED, BIG_ENDIAN})
MAX_FRAGMENTS = 2**16


def read_values(file: DicomFile, form: PixelForm) -> tuple[npt.NDArray[np.integer[Any]], bool]:
    """The stored values of the only frame, and whether they are luminance and colour differences (YBR).

    Bits that do not belong to a value are left out. Pixel data that are too long are cut, as pydicom and dcmtk do,
    unless they hold another whole frame.

    Returns:
        Integers of shape ``form.shape``, between ``form.lowest`` and ``form.highest``.

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
        return _significant(_native(data, form, file.order), form), ybr
    if file.syntax not in ENCAPSULATED:
        raise RefusedError(f"for the transfer syntax {uid_name(file.syntax, '(not valid)')} there is no decoder")
    decompressed = decompress(_only_frame(pieces), file.syntax, form)
    if file.syntax in JPEG_2000 and form.interpretation in ("YBR_ICT", "YBR_RCT"):
        ybr = False
    elif decompressed.colours:
        ybr = decompressed.colours == "YBR"
    elif form.interpretation in ("YBR_ICT", "YBR_RCT"):
        raise RefusedError(f"photometric interpretation {form.interpretation} belongs to JPEG 2000 data only")
    if file.syntax == RLE:
        return _significant(decompressed.values, form), ybr
    return _decoded(decompressed, form, lossy=file.syntax in LOSSY), ybr and form.samples == 3


def _swapped(data: bytes) -> bytes:
    """Bytes that were stored as big-endian words of two."""
    even = data + bytes(len(data) % 2)
    return np.frombuffer(even, dtype="<u2").byteswap().tobytes()


def _native(data: bytes, form: PixelForm, order: str) -> npt.NDArray[np.generic]:
    """Uncompressed values with all bits allocated."""
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
    stored = np.frombuffer(data, dtype=f"{order}u{size}", count=values)
    if halved:
        # Two pixels are stored as two luminances and the colour differences that they share.
        pairs = stored.reshape(form.rows, form.columns // 2, 4)
        return pairs[:, :, [0, 2, 3, 1, 2, 3]].reshape(form.shape)
    if form.samples == 3 and form.planar:
        return stored.reshape(3, form.rows, form.columns).transpose(1, 2, 0)
    return stored.reshape(form.shape)


def _significant(stored: npt.NDArray[np.generic], form: PixelForm) -> npt.NDArray[np.integer[Any]]:
    """Of the bits allocated those that are the value, with its sign."""
    size = form.allocated // 8
    above, spare = form.allocated - 1 - form.high, form.allocated - form.stored
    values = stored.astype(f"=u{size}", copy=bool(above or spare))
    if above:
        values <<= above
    signed: npt.NDArray[np.integer[Any]] = values.view(f"=i{size}") if form.signed else values
    if spare:
        signed >>= spare
    return signed


def _decoded(frame: Decompressed, form: PixelForm, *, lossy: bool) -> npt.NDArray[np.integer[Any]]:
    """Decoded values as the header declares them, whatever the precision and the sign of the codestream."""
    values: npt.NDArray[Any] = frame.values
    coded_signed = values.dtype.kind == "i"
    if lossy and coded_signed == form.signed:
        # An error of the compression may carry a value out of its range; it must not come back at the other end.
        bounds = np.iinfo(values.dtype)
        return np.asarray(values.clip(max(form.lowest, bounds.min), min(form.highest, bounds.max)))
    bits = 8 * values.dtype.itemsize
    spare = bits - min(form.stored, frame.precision)
    unsigned: npt.NDArray[np.integer[Any]] = values.view(f"=u{values.dtype.itemsize}")
    if not spare and not form.signed:
        return unsigned
    shifted = unsigned << spare
    signed = shifted.view(f"=i{values.dtype.itemsize}") if form.signed else shifted
    return np.asarray(signed >> spare)


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
