"""Which bits of a stored value are the value: those that the header declares, unless the values contradict it.

Writers err in Bits Stored, High Bit and Pixel Representation, above all after recompression. Cutting values down to the
bits declared then wraps them round, and the picture looks like noise; pydicom and dcmtk do so with uncompressed data.
Here the bits are read in each way that they can be, and the picture decides: neighbouring pixels are alike in a
radiograph, and are not where values were wrapped round, nor where bits count that belong to something else.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from radlens.imaging.dicom.file import DicomFile
from radlens.imaging.dicom.pixel_form import PixelForm
from radlens.imaging.limits import RefusedError

Values = npt.NDArray[np.integer[Any]]

# Where readings differ, neighbours may lie apart by half a standard deviation of the picture and look like one still;
# in noise they lie apart by 1.1, and where values were wrapped round by 1.1 to 4 (measured on 12-bit radiographs whose
# header declares 10, 8 or 6 bits; rightly read they lie apart by 0.1).
PLAUSIBLE = 0.5
# So few values beyond those declared are marks or dead pixels: they are shown as the largest, and nothing is lost.
FEW = 0.01
# A lossy compression may carry a value beyond its range, by this share of the range at most.
LOSSY_ERROR = 1 / 8
_BLOCK = 2**20
_BITS_LEFT_OUT = "bits beside the values: they belong to nothing that the header names, and are left out"


@dataclass(frozen=True)
class Cells:
    """Values with all the bits that there are.

    Attributes:
        values: unsigned, shape (rows, columns) or (rows, columns, 3).
        bits: how many of the lowest bits can hold something: the bits allocated, or the precision of a codestream.
        signed: whether a codestream says that they are two's complement; None where nothing but the header says so.
        lossy: whether errors of a compression are among them.
    """

    values: npt.NDArray[Any]
    bits: int
    signed: bool | None = None
    lossy: bool = False

    @property
    def is_measured(self) -> bool:
        """Whether ``bits`` tells of the values, as a codestream's precision does unless it is that of whole bytes."""
        return self.signed is not None or self.bits < 8 * self.values.dtype.itemsize


def settle(cells: Cells, file: DicomFile, form: PixelForm) -> tuple[Values, PixelForm]:
    """The stored values, and how they are stored in truth.

    Args:
        cells: what was found.
        file: is told a remark where the header is wrong.
        form: what the header declares.

    Returns:
        Values between the lowest and the highest of the form that comes with them, padding apart.

    Raises:
        RefusedError: the values have more bits than are declared, and no reading of them looks like a picture.
    """
    values, bits, form = _aligned(cells, file, form)
    count = min(form.stored, bits)
    declared = _read(values, count, form.signed)
    # A sign of which the codestream has no bit, or which it alone has.
    sign_is_doubtful = (form.signed and bits < form.stored) or (cells.signed is True and not form.signed)
    # Where overlays were cut out of them, the bits above a value no longer repeat its sign.
    if not sign_is_doubtful and (count == bits or (form.signed and form.overlays)):
        return declared, form
    whole = _read(values, bits, form.signed)
    doubtful = declared != whole
    if not sign_is_doubtful and not doubtful.any():
        return declared, form
    padded = form.is_padding(whole) & doubtful
    doubtful &= ~padded
    if sign_is_doubtful:
        doubtful |= values >> (bits - 1) != 0
    if not doubtful.any():
        return np.where(padded, whole, declared), form
    if cells.lossy and _excess(whole, form) <= LOSSY_ERROR * (form.highest - form.lowest):
        return whole.clip(form.lowest, form.highest), form
    readings = [declared, whole, _read(values, bits, not form.signed)]
    number = _most_plausible(readings, padded)
    if number is None and form.signed and not (values[doubtful] >> count).any():
        # Nothing above the sign declared: negative numbers may well be written so.
        number = 0
    if number is None and count < bits and _are_few(whole[doubtful], whole.size):
        return np.where(padded, whole, _clipped(whole, doubtful, form, file)), form
    if number is None and count < bits and not cells.is_measured:
        raise RefusedError(
            f"values of {_bits_of(whole, form.signed)} bits where Bits Stored declares {form.stored}, and neither all "
            "of their bits nor those declared look like a picture; correct Bits Stored and High Bit in the header, or "
            "leave the file out"
        )
    number = int(count < bits) if number is None else number
    if number == 0:
        if (values[doubtful] >> count).any():
            file.remark(_BITS_LEFT_OUT)
        return np.where(padded, whole, declared), form
    return readings[number], _corrected(readings[number], form, file, signed=form.signed is (number == 1))


def blocks(values: npt.NDArray[Any]) -> Iterator[slice]:
    """Slices of rows, of a million values or a little more."""
    step = max(1, _BLOCK // max(1, values[0].size))
    return (slice(start, start + step) for start in range(0, len(values), step))


def _aligned(cells: Cells, file: DicomFile, form: PixelForm) -> tuple[Values, int, PixelForm]:
    """Values whose lowest bit is the lowest of the cell, and how many bits can hold something then."""
    values, bits = cells.values, cells.bits
    if form.overlays:
        values = values & values.dtype.type(~form.overlays & (2 ** (8 * values.dtype.itemsize) - 1))
    low = form.high + 1 - form.stored if form.high < bits else 0
    if not low:
        return values, bits, form
    corrected = replace(form, high=form.stored - 1)
    if (values & (2**low - 1)).any():
        if _excess(_read(values, bits, form.signed), form) <= 0:
            file.remark(f"wrong High Bit: {form.high} declared, but the values end at bit {corrected.high}")
            return values, bits, corrected
        file.remark(_BITS_LEFT_OUT)
    return values >> low, bits - low, corrected


def _read(cells: Values, count: int, signed: bool) -> Values:
    """The lowest bits as a number, in two's complement or not."""
    size = cells.dtype.itemsize
    spare = 8 * size - count
    moved = cells << spare if spare else cells
    numbers: Values = moved.view(f"=i{size}") if signed else moved
    return np.asarray(numbers >> spare)


def _excess(values: Values, form: PixelForm) -> int:
    return max(int(values.max()) - form.highest, form.lowest - int(values.min()))


def _most_plausible(readings: Sequence[Values], padded: npt.NDArray[np.bool_]) -> int | None:
    """The number of the reading that looks most like a picture; None where none does."""
    pairs, (steps, sums, squares), pixels = 0, np.zeros((3, len(readings))), 0
    samples = readings[0].shape[2] if readings[0].ndim == 3 else 1
    for rows in blocks(readings[0]):
        kept = ~padded[rows].reshape(-1, samples).any(axis=1)
        parts = [reading[rows].reshape(-1, samples)[kept].astype(np.float64) for reading in readings]
        changes = [np.abs(np.diff(part, axis=0)) for part in parts]
        apart = np.logical_or.reduce([change != changes[0] for change in changes])
        pairs, pixels = pairs + int(apart.sum()), pixels + parts[0].size
        steps += [change[apart].sum() for change in changes]
        sums += [part.sum() for part in parts]
        squares += [(part**2).sum() for part in parts]
    if not pairs:
        # They differ by one and the same number everywhere, which makes no other picture.
        return 0
    deviations = np.sqrt(np.maximum(squares / pixels - (sums / pixels) ** 2, 1e-9))
    roughness = steps / pairs / deviations
    best = int(roughness.argmin())
    return best if roughness[best] < PLAUSIBLE else None


def _are_few(beyond: Values, size: int) -> bool:
    """Whether values beyond those declared are marks, padding or dead pixels: few, or all the same."""
    return len(beyond) <= FEW * size or bool(beyond.min() == beyond.max())


def _clipped(whole: Values, doubtful: npt.NDArray[np.bool_], form: PixelForm, file: DicomFile) -> Values:
    file.remark(
        f"wrong Bits Stored: {form.stored} declared, but {int(doubtful.sum()):,} pixel(s) of "
        f"{_bits_of(whole, form.signed)} bits, shown as the nearest value declared"
    )
    return whole.clip(form.lowest, form.highest)


def _corrected(values: Values, form: PixelForm, file: DicomFile, *, signed: bool) -> PixelForm:
    """The form that values have in truth."""
    needed = _bits_of(values, signed)
    if signed != form.signed:
        kinds = ("unsigned", "signed")
        file.remark(f"wrong Pixel Representation: {kinds[form.signed]} declared, but the values are {kinds[signed]}")
        form = replace(form, padding=_with_sign(form, signed=signed))
    if needed > form.stored:
        file.remark(f"wrong Bits Stored: {form.stored} declared, but values of {needed} bits")
    stored = next(bits for bits in (8, 10, 12, 14, 16, 32) if bits >= max(needed, form.stored))
    return replace(form, stored=stored, high=stored - 1, signed=signed)


def _with_sign(form: PixelForm, *, signed: bool) -> tuple[int, int] | None:
    """The bits of the padding, read with or without their sign."""
    if form.padding is None:
        return None
    around = 2**form.allocated
    values = [value % around for value in form.padding]
    if signed:
        values = [value - around if value >= around // 2 else value for value in values]
    return min(values), max(values)


def _bits_of(values: Values, signed: bool) -> int:
    low, high = int(values.min()), int(values.max())
    return max(high.bit_length(), (-low - 1).bit_length() if low < 0 else 0) + signed
