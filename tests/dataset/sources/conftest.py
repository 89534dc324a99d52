"""DICOM files and tables to make sources of."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import DigitalXRayImageStorageForPresentation

from made_dicom import file_of, set_elements, set_meta
from radlens.dataset.manifest import Manifest

STORAGE = DigitalXRayImageStorageForPresentation


def dicom_file(file: Path, number: int = 0, **elements: Any) -> Path:
    """A small picture; further elements by keyword, None removes one."""
    made = Dataset()
    made.SOPClassUID = elements.pop("SOPClassUID", STORAGE)
    made.SOPInstanceUID = f"1.2.826.1.{number + 1}"
    made.StudyInstanceUID, made.SeriesInstanceUID = f"1.2.826.2.{number + 1}", f"1.2.826.3.{number + 1}"
    made.PatientID, made.PatientName = f"MRN{number:03d}", "DOE^JANE"
    made.AccessionNumber = f"ACC{number:03d}"
    made.Modality = "DX"
    made.Rows, made.Columns = 4, 4
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.BitsAllocated = made.BitsStored = 8
    made.HighBit, made.PixelRepresentation = 7, 0
    made.PixelData = bytes(range(16))
    set_elements(made, elements)
    set_meta(made)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(file_of(made))
    return file


def csv_file(folder: Path, rows: dict[str, Any]) -> Path:
    """A CSV of these columns, ``labels.csv`` in the folder."""
    file = folder / "labels.csv"
    pd.DataFrame(rows).to_csv(file, index=False)
    return file


def column_of(manifest: Manifest, column: str = "label") -> dict[str, str]:
    """A column of a manifest, by the paths of its images."""
    return dict(zip(manifest.table["path"], manifest.table[column], strict=True))


@pytest.fixture(scope="session")
def write_dicom() -> Callable[..., Path]:
    """See :func:`dicom_file`."""
    return dicom_file


@pytest.fixture(scope="session")
def write_csv() -> Callable[..., Path]:
    """See :func:`csv_file`."""
    return csv_file


@pytest.fixture(scope="session")
def as_dict() -> Callable[..., dict[str, str]]:
    """See :func:`column_of`."""
    return column_of
