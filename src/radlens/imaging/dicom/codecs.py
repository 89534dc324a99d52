"""Compressed DICOM frames: what their own headers say is checked first, then they are decoded.

One decoder for each form, all in imagecodecs, so that a picture does not depend on what else is installed:
libjpeg-turbo for JPEG of 8 and 12 bits and lossless, CharLS for JPEG-LS, OpenJPEG for JPEG 2000 and HTJ2K. gdcm is not
used: on damaged JPEG it ends the whole process.
"""

from __future__ import annotations

import itertools
import struct
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from radlens.base.optional import import_optional
from radlens.imaging.dicom.pixel_form import PixelForm
from radlens.imaging.limits import RefusedError, third_party

RLE = "1.2.840.10008.1.2.5"
JPEG = frozenset(f"1.2.840.10008.1.2.4.{number}" for number in (50, 51, 57, 70))
JPEG_LS = frozenset(f"1.2.840.10008.1.2.4.{number}" for number in (80, 81))
# 201 to 203: HTJ2K lossless, lossless with RPCL progression, lossy.
JPEG_2000 = frozenset(f"1.2.840.10008.1.2.4.{number}" for number in (90, 91, 201, 202, 203))
# Beside their errors, these leave values that the original did not have.
LOSSY = frozenset(f"1.2.840.10008.1.2.4.{number}" for number in (50, 51, 81, 91, 203))
ENCAPSULATED = JPEG | JPEG_LS | JPEG_2000 | {RLE}

_SEQUENTIAL, _LOSSLESS, _LS = (0xC0, 0xC1), 0xC3, 0xF7
_FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC} | {_LS}
_END = b"\xff\xd9"
_MAX_SEGMENTS = 4096
# A sequential picture of three colours has at most three scans; each can make libjpeg pass over the whole picture.
_MAX_SCANS = 8
_CODESTREAM, _JP2 = b"\xff\x4f\xff\x51", b"\x00\x00\x00\x0cjP  "


@dataclass(frozen=True)
class Decompressed:
    """A decoded frame.

    Attributes:
        values: shape (rows, columns), or (rows, columns, 3); unsigned, or signed as JPEG 2000 can be.
        precision: bits of a value, as the codestream declares them.
        colours: what the codestream says of three colours: RGB, YBR, or nothing.
    """

    values: npt.NDArray[np.generic]
    precision: int
    colours: str = ""


@dataclass(frozen=True)
class _Codestream:
    """What a codestream declares of itself."""

    columns: int
    rows: int
    samples: int
    precision: int
    process: int = 0
    colours: str = ""

    def require(self, form: PixelForm) -> None:
        """Refuse a codestream of another size than the header declares: memory was weighed by the header."""
        if (self.columns, self.rows, self.samples) != (form.columns, form.rows, form.samples):
            raise RefusedError(
                f"the header declares {form.columns} x {form.rows} pixels of {form.samples} sample(s), the compressed "
                f"data {self.columns} x {self.rows} of {self.samples}"
            )
        if not 2 <= self.precision <= 16:
            raise RefusedError(f"compressed values of {self.precision} bits are not read; 2 to 16 bits are")


def decompress(frame: bytes, syntax: str, form: PixelForm) -> Decompressed:
    """Decode one frame, after checking that it is of the size that the header declares.

    Raises:
        RefusedError: the frame contradicts the header, is cut short, or is not of the declared form.
        MissingPackageError: imagecodecs is not installed.
        DamagedError: the decoder found the frame damaged.
    """
    imagecodecs = import_optional("imagecodecs", "A compressed DICOM image")
    if syntax == RLE:
        return _rle(frame, form)
    if syntax in JPEG_2000:
        frame = _unwrapped(frame)
        stream = _read_size(frame)
        stream.require(form)
        with third_party():
            values = np.asarray(imagecodecs.jpeg2k_decode(frame, numthreads=1))
    else:
        stream, frame = _read_jpeg(frame)
        stream.require(form)
        if (syntax in JPEG_LS) != (stream.process == _LS):
            raise RefusedError("the compressed data are not of the form that the transfer syntax names")
        # One and the same colour space before and after: none is converted.
        space = "RGB" if stream.samples == 3 else "GRAYSCALE"
        with third_party():
            if syntax in JPEG_LS:
                values = np.asarray(imagecodecs.jpegls_decode(frame))
            else:
                values = np.asarray(imagecodecs.jpeg8_decode(frame, colorspace=space, outcolorspace=space))
    if values.shape != form.shape:
        raise RefusedError(f"the compressed data came out in the shape {values.shape}, not {form.shape}")
    return Decompressed(values, stream.precision, stream.colours)


def _rle(frame: bytes, form: PixelForm) -> Decompressed:
    """Run lengths (DICOM PS3.5 annex G): a segment for each byte of each sample, the highest byte first."""
    import imagecodecs

    depth, pixels = form.allocated // 8, form.rows * form.columns
    wanted = form.samples * depth
    if len(frame) < 64:
        raise RefusedError("the run-length header is cut short")
    count, *starts = struct.unpack("<16L", frame[:64])
    if count != wanted:
        raise RefusedError(f"{count} run-length segments where {wanted} are needed")
    starts = [*starts[:count], len(frame)]
    if starts[0] < 64 or any(start > stop for start, stop in itertools.pairwise(starts)):
        raise RefusedError("the run-length segments do not lie within the frame")
    planes = np.empty((form.samples, pixels, depth), dtype=np.uint8)
    for index, (start, stop) in enumerate(itertools.pairwise(starts)):
        with third_party():
            segment = np.frombuffer(imagecodecs.packbits_decode(frame[start:stop], out=pixels), dtype=np.uint8)
        if len(segment) != pixels:
            raise RefusedError(f"a run-length segment comes to {len(segment):,} bytes where {pixels:,} are needed")
        planes[index // depth, :, index % depth] = segment
    values = planes.view(f">u{depth}").reshape(form.samples, form.rows, form.columns)
    values = values.astype(f"u{depth}")
    return Decompressed(values[0] if form.samples == 1 else values.transpose(1, 2, 0), form.allocated)


def _read_jpeg(frame: bytes) -> tuple[_Codestream, bytes]:
    """What a JPEG or JPEG-LS frame declares, and the frame without what follows its end."""
    if frame[:2] != b"\xff\xd8":
        raise RefusedError("the compressed data do not begin as a JPEG does")
    place, colours, header = 2, "", None
    for _ in range(_MAX_SEGMENTS):
        marker, length = frame[place : place + 2], int.from_bytes(frame[place + 2 : place + 4], "big")
        if marker == b"\xff\xff":
            place += 1
            continue
        segment = frame[place + 4 : place + 2 + length]
        if marker[:1] != b"\xff" or length < 2 or len(segment) != length - 2:
            raise RefusedError("the JPEG header is damaged or cut short")
        if marker[1] in _FRAME_HEADERS:
            header = (marker[1], segment)
            break
        if marker == b"\xff\xe0" and segment.startswith(b"JFIF\0"):
            colours = "YBR"
        if marker == b"\xff\xee" and segment.startswith(b"Adobe") and len(segment) >= 12:
            colours = "YBR" if segment[11] else "RGB"
        place += 2 + length
    if header is None or len(header[1]) < 6 + 3 * header[1][5]:
        raise RefusedError("the JPEG header does not say how large the picture is")
    process, segment = header
    if process not in (*_SEQUENTIAL, _LOSSLESS, _LS):
        raise RefusedError(f"a JPEG of process SOF{process - 0xC0} is not read in DICOM; sequential and lossless are")
    precision, rows, columns, samples = struct.unpack(">BHHB", segment[:6])
    end = frame.rfind(_END)
    if end < place:
        raise RefusedError("the JPEG has no end: it is cut short")
    if frame.count(b"\xff\xda", place) > _MAX_SCANS:
        raise RefusedError(f"a JPEG of more than {_MAX_SCANS} scans is not read in DICOM")
    if bytes(segment[6 : 6 + 3 * samples : 3]).upper() == b"RGB":
        colours = "RGB"
    # Only lossy JPEG has a convention for colours.
    colours = colours if process in _SEQUENTIAL else ""
    return _Codestream(columns, rows, samples, precision, process, colours), frame[: end + 2]


def _unwrapped(frame: bytes) -> bytes:
    """The codestream of a JPEG 2000 frame that was put into a JP2 file, against the standard."""
    if not frame.startswith(_JP2):
        return frame
    start = frame.find(b"jp2c")
    return frame[start + 4 :] if start > 0 else frame


def _read_size(frame: bytes) -> _Codestream:
    """What the SIZ segment of a JPEG 2000 codestream declares (ISO/IEC 15444-1, A.5.1)."""
    if frame[:4] != _CODESTREAM or len(frame) < 42:
        raise RefusedError("the compressed data do not begin as JPEG 2000 does")
    right, lower, left, upper = struct.unpack(">4L", frame[8:24])
    (samples,) = struct.unpack(">H", frame[40:42])
    parts = frame[42 : 42 + 3 * min(samples, 3)]
    if len(parts) < 3 or len(set(parts[::3])) != 1 or any(step != 1 for step in parts[1::3] + parts[2::3]):
        raise RefusedError("the samples of the JPEG 2000 data differ in precision or in size")
    return _Codestream(right - left, lower - upper, samples, (parts[0] & 0x7F) + 1)
