"""DICOM objects as files, for tests of several rooms."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian


def set_elements(made: Dataset, elements: Mapping[str, Any]) -> None:
    """Further elements by keyword; None removes one."""
    for name, value in elements.items():
        if value is None:
            del made[name]
        else:
            setattr(made, name, value)


def set_meta(made: Dataset, syntax: str = ExplicitVRLittleEndian) -> None:
    """The file's own header, in step with the object."""
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = UID(syntax)
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID


def file_of(made: Dataset) -> bytes:
    """The file."""
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, made, enforce_file_format=True)
    return buffer.getvalue()
