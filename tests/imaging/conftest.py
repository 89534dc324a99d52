"""DICOM objects made for the tests of this room."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import UID, ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

from made_dicom import file_of, set_elements
from radlens.imaging.dicom.picture import decode_dicom
from radlens.imaging.limits import DEFAULT_LIMITS, DecodeLimits


class DicomMaker:
    """Makes single-frame objects whose picture is known in closed form, and shows them."""

    ramp = np.arange(0, 4096, 5, dtype=np.uint16)[:800].reshape(20, 40)

    def dataset(
        self,
        pixels: npt.NDArray[np.generic] | None = None,
        bits: int = 12,
        syntax: str = ExplicitVRLittleEndian,
        **elements: Any,
    ) -> Dataset:
        """A grey object, or a colour one for pixels of three dimensions; further elements by keyword, None removes one.

        Pixels may also be given for an object whose pixel data are given apart, as those of a compressed one.
        """
        pixels = self.ramp if pixels is None else pixels
        made = Dataset()
        made.file_meta = FileMetaDataset()
        made.file_meta.TransferSyntaxUID = UID(syntax)
        made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID = SecondaryCaptureImageStorage
        made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID = generate_uid(entropy_srcs=["test"])
        made.Modality = "DX"
        made.Rows, made.Columns = pixels.shape[:2]
        made.SamplesPerPixel = 1 if pixels.ndim == 2 else 3
        made.PhotometricInterpretation = "MONOCHROME2" if pixels.ndim == 2 else "RGB"
        if pixels.ndim == 3:
            made.PlanarConfiguration = 0
        made.BitsAllocated = 8 * pixels.dtype.itemsize
        made.BitsStored, made.HighBit = bits, bits - 1
        made.PixelRepresentation = int(pixels.dtype.kind == "i")
        order: Literal["<", ">"] = "<" if UID(syntax).is_little_endian else ">"
        made.PixelData = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
        made["PixelData"].VR = "OW" if pixels.dtype.itemsize > 1 else "OB"
        set_elements(made, elements)
        return made

    def compressed(
        self, frame: bytes, syntax: str, pixels: npt.NDArray[np.generic], bits: int, **elements: Any
    ) -> Dataset:
        """An object of such pixels, its pixel data being one compressed frame."""
        made = self.dataset(pixels, bits, syntax, **elements)
        # pydicom makes no piece without bytes.
        made.PixelData = encapsulate([bytes(frame)]) if frame else bytes.fromhex("feff00e000000000") * 2
        made["PixelData"].VR = "OB"
        made["PixelData"].is_undefined_length = True
        return made

    def content(self, made: Dataset) -> bytes:
        """The file."""
        return file_of(made)

    def shown(self, made: Dataset | bytes, limits: DecodeLimits = DEFAULT_LIMITS) -> npt.NDArray[np.uint8]:
        """Our picture of it."""
        content = made if isinstance(made, bytes) else self.content(made)
        image = decode_dicom("x.dcm", content, limits)[0]
        assert image.mode == "L"
        return np.asarray(image)

    def remarks(self, made: Dataset | bytes) -> tuple[str, ...]:
        """What is said of its header."""
        return decode_dicom("x.dcm", made if isinstance(made, bytes) else self.content(made)).remarks

    def lut(self, first: int, entries: list[int], bits: int = 16, signed: bool = False) -> Sequence:
        """A sequence with one lookup table."""
        item = Dataset()
        item.add_new("LUTDescriptor", "SS" if signed else "US", [len(entries) % 65536, first, bits])
        item.add_new("LUTData", "US" if len(entries) < 32768 else "OW", entries)
        if len(entries) >= 32768:
            item.LUTData = np.array(entries, dtype="<u2").tobytes()
        return Sequence([item])

    def levels(self, shares: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Shares of the grey range as grey levels."""
        return np.floor(255 * np.asarray(shares) + 0.5)


@pytest.fixture(scope="session")
def dicom() -> DicomMaker:
    """Makes DICOM objects and shows them."""
    return DicomMaker()


def _installed(package: str, folder: str) -> Path:
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        pytest.skip(f"{package} is not installed")
    path = Path(found.origin).parent / folder
    if not path.is_dir():
        pytest.skip(f"this {package} came without {folder}")
    return path


@pytest.fixture(scope="session")
def radiographs() -> Path:
    """Real radiographs in several encodings, of the package pydicom-data; never downloads."""
    return _installed("data_store", "data")


@pytest.fixture(scope="session")
def field_files() -> list[Path]:
    """DICOM files of all kinds from the field, of pydicom and pydicom-data."""
    folders = [_installed("pydicom", "data/test_files"), _installed("data_store", "data")]
    return [path for folder in folders for path in sorted(folder.glob("*.dcm"))]
