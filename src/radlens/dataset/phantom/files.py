"""A simulated radiograph as a real file: JPEG, PNG or DICOM."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from radlens.dataset.phantom.anatomy import Floats

EXTENSIONS = {"jpeg": "jpeg", "png": "png", "dicom": "dcm"}

# Computed Radiography Image Storage (DICOM PS3.4 B.5).
_CR_STORAGE = "1.2.840.10008.5.1.4.1.1.1"
_EXPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
_BITS = 12
_WINDOW = (2048.0, 3600.0)


@dataclass(frozen=True)
class Header:
    """What a DICOM file says besides the pixels.

    Attributes:
        patient: identifier.
        sex: F or M.
        age: in years.
        view: PA or AP.
        number: of the image within the patient, from 1.
        pixel_mm: distance of pixel centres on the detector, down and across.
        inverted: whether low values are bright (MONOCHROME1).
        unique: text that tells this image from all others; the identifiers of study and image follow from it.
    """

    patient: str
    sex: str
    age: int
    view: str
    number: int
    pixel_mm: tuple[float, float]
    inverted: bool
    unique: str


def encode(shown: Floats, form: str, header: Header) -> bytes:
    """The bytes of a file of this form: jpeg, png or dicom.

    Args:
        shown: display values, 0 (black) to 1 (white), shape (height, width).
        form: a key of ``EXTENSIONS``.
        header: used by DICOM alone.
    """
    if form == "dicom":
        return _dicom(shown, header)
    content = io.BytesIO()
    picture = Image.fromarray(to_bytes(shown))
    if form == "jpeg":
        picture.save(content, "JPEG", quality=92)
    else:
        picture.save(content, "PNG", compress_level=3)
    return content.getvalue()


def to_bytes(shown: Floats) -> npt.NDArray[np.uint8]:
    """Display values, 0 to 1, as 8-bit grey."""
    return np.asarray(shown * np.float32(255) + np.float32(0.5), np.uint8)


def _dicom(shown: Floats, header: Header) -> bytes:
    """A Computed Radiography object with 12 bits in 16 and a linear window that gives back the display values."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import UID, generate_uid

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID(_CR_STORAGE)
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[header.unique])
    meta.TransferSyntaxUID = UID(_EXPLICIT_LITTLE_ENDIAN)
    file = Dataset()
    file.file_meta = meta
    file.SOPClassUID = _CR_STORAGE
    file.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    file.StudyInstanceUID = generate_uid(entropy_srcs=[header.unique, "study"])
    file.SeriesInstanceUID = generate_uid(entropy_srcs=[header.unique, "series"])
    for name in ("StudyDate", "StudyTime", "AccessionNumber", "StudyID", "ReferringPhysicianName", "PatientBirthDate"):
        setattr(file, name, "")
    file.PatientName = "Phantom^Simulated"
    file.PatientID = header.patient
    file.PatientSex = header.sex
    file.PatientAge = f"{header.age:03d}Y"
    file.PatientIdentityRemoved = "YES"
    file.DeidentificationMethod = "simulated, never a person"
    file.Modality = "CR"
    file.Manufacturer = "radlens"
    file.ManufacturerModelName = "chest phantom"
    file.ImageType = ["ORIGINAL", "PRIMARY"]
    file.ImageComments = "Simulated chest radiograph, not of a person"
    file.BodyPartExamined = "CHEST"
    file.ViewPosition = header.view
    file.PatientOrientation = ["L", "F"]
    file.SeriesNumber, file.InstanceNumber = 1, header.number
    file.ImagerPixelSpacing = [f"{distance:.4f}" for distance in header.pixel_mm]
    _add_pixels(file, shown, inverted=header.inverted)
    content = io.BytesIO()
    file.save_as(content, enforce_file_format=True)
    return content.getvalue()


def _add_pixels(file: object, shown: Floats, *, inverted: bool) -> None:
    """Pixel module and window; the file is a pydicom Dataset."""
    centre, width = _WINDOW
    # The inverse of the linear window (DICOM PS3.3 C.11.2.1.2.1).
    values = (1 - shown if inverted else shown) - np.float32(0.5)
    stored = np.rint(values * np.float32(width - 1) + np.float32(centre - 0.5)).astype("<u2")
    attributes = {
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME1" if inverted else "MONOCHROME2",
        "Rows": shown.shape[0],
        "Columns": shown.shape[1],
        "BitsAllocated": 16,
        "BitsStored": _BITS,
        "HighBit": _BITS - 1,
        "PixelRepresentation": 0,
        "WindowCenter": str(centre),
        "WindowWidth": str(width),
        "PixelData": stored.tobytes(),
    }
    for name, value in attributes.items():
        setattr(file, name, value)
