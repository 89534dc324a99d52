"""DICOM headers to be read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    generate_uid,
)

from made_dicom import file_of, set_elements, set_meta
from radlens.imaging.dicom.header import DicomHeader, read_header

SYNTAXES = [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]


def dataset(**elements: Any) -> Dataset:
    """An object of one picture with all that a header is asked for; further elements by keyword."""
    made = Dataset()
    made.SOPClassUID = DigitalXRayImageStorageForPresentation
    made.SOPInstanceUID = generate_uid(entropy_srcs=["header"])
    made.PatientName, made.PatientID, made.PatientBirthDate = "DOE^JANE", "MRN-4711", "19470312"
    made.StudyDate, made.AccessionNumber, made.InstitutionName = "20200311", "A77", "St. Elsewhere"
    made.StudyInstanceUID, made.SeriesInstanceUID = "1.2.3", "1.2.3.4"
    made.Modality, made.Manufacturer, made.BodyPartExamined = "DX", "ACME  Imaging", "CHEST"
    made.PatientSex, made.ViewPosition, made.ImageLaterality = "F", "PA", "L"
    made.Rows, made.Columns = 20, 30
    set_elements(made, elements)
    return made


def content_of(made: Dataset, syntax: UID = ExplicitVRLittleEndian) -> bytes:
    """The object as a file."""
    set_meta(made, syntax)
    return file_of(made)


def header_of(content: bytes, folder: Path) -> DicomHeader | None:
    """What radlens reads of such a file."""
    file = folder / "x.dcm"
    file.write_bytes(content)
    return read_header(file)


def known(content: bytes, folder: Path) -> DicomHeader:
    """The same of a file that has a header."""
    header = header_of(content, folder)
    assert header is not None
    return header


def item(value: str, meaning: str) -> Dataset:
    """A code with its meaning, for a sequence."""
    made = Dataset()
    made.CodeValue, made.CodingSchemeDesignator, made.CodeMeaning = value, "SCT", meaning
    return made
