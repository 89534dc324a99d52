"""Our pictures beside those of dcmtk, an independent implementation: real files, transcodings, and made objects."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian

from radlens.imaging.limits import DecodeError

SCRIPT = Path(__file__).parents[3] / "benchmarks" / "dicom_against_dcmtk.py"
RG3 = "RG3_UNCR.dcm"
# Why dcmtk differs is told in the script.
OUT_OF_STEP = {"rtdose_expb_1frame.dcm", "SC_ybr_full_422_uncompressed.dcm"}


@pytest.fixture(scope="module")
def table() -> ModuleType:
    """The script that prints the table of differences: what is tested here is what it measures."""
    found = importlib.util.spec_from_file_location("dicom_against_dcmtk", SCRIPT)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    sys.modules[found.name] = module
    found.loader.exec_module(module)
    absent = module.missing_tools()
    if absent:
        pytest.skip(f"not installed: {', '.join(absent)} (apt-get install dcmtk libgdcm-tools)")
    return module


def small(table: ModuleType, name: str, folder: Path) -> Path:
    """A part of a real file, since encoders are slow; the file itself if it is small."""
    import pydicom

    source = table.file_named(name)
    if source is None:
        pytest.skip("pydicom-data is not installed")
    header = pydicom.dcmread(source)
    if header.Rows * header.Columns > 300_000:
        pixels = header.pixel_array[400:720, 500:740]
        header.Rows, header.Columns = pixels.shape
        header.PixelData = pixels.tobytes()
    made = folder / name
    header.save_as(made)
    return made


@pytest.mark.filterwarnings("ignore:Expected explicit VR")
def test_files_of_the_field_look_as_in_dcmtk(table: ModuleType, tmp_path: Path) -> None:
    grey, colours, apart = 0, 0, {}
    for path in table.files():
        # Of the largest, each radiograph in one form is enough here.
        if path.stat().st_size > 2_500_000 and path.name not in ("RG1_UNCR.dcm", RG3):
            continue
        try:
            picture, interpretation, _ = table.ours(path)
        except DecodeError:
            continue
        options = table.options_for(path)
        shown = table.by_dcmtk(path, tmp_path, options)
        if shown is None:
            continue
        # dcmtk cuts off the fraction of a level where we round.
        change = table.difference(picture, shown)
        if change.largest > 1:
            apart[path.name] = change.largest
        elif interpretation.startswith("MONOCHROME"):
            fine = table.difference(picture, table.by_dcmtk(path, tmp_path, options, deep=True))
            assert fine.largest <= 1, path.name
            assert fine.mean <= 0.05, path.name
            grey += 1
        else:
            colours += 1
    assert apart.keys() == OUT_OF_STEP
    assert grey >= 35
    assert colours >= 35


@pytest.mark.parametrize("name", [RG3, "RG1_UNCR.dcm", "MR_small.dcm", "693_UNCI.dcm", "mlut_18.dcm", "vlut_04.dcm"])
def test_lossless_transcodings_are_equal_to_the_original(name: str, table: ModuleType, tmp_path: Path) -> None:
    source, target = small(table, name, tmp_path), tmp_path / "transcoded.dcm"
    original = table.ours(source)[0]
    made = 0
    for way in table.TRANSCODINGS:
        if way.lossless and table.transcode(source, target, way):
            np.testing.assert_array_equal(table.ours(target)[0], original, err_msg=way.syntax)
            made += 1
    assert made == sum(way.lossless for way in table.TRANSCODINGS) == 15


@pytest.mark.parametrize("name", [RG3, "RG1_UNCR.dcm", "vlut_04.dcm"])
def test_lossy_transcodings_look_as_in_dcmtk(name: str, table: ModuleType, tmp_path: Path) -> None:
    source, target = small(table, name, tmp_path), tmp_path / "transcoded.dcm"
    made = set()
    for way in table.TRANSCODINGS:
        if way.lossless or not table.transcode(source, target, way):
            continue
        if (name, way.syntax) == (RG3, "JPEG-LS near (gdcm)"):
            # There the errors that exceed 10 bits come back at the other end in dcmtk.
            continue
        shown = table.by_dcmtk(target, tmp_path, table.options_for(target))
        assert table.difference(table.ours(target)[0], shown).largest <= 1, way.syntax
        made.add(way.syntax)
    assert len(made) >= 4


VIEW = {"WindowCenter": 1500, "WindowWidth": 800}
MADE: dict[str, dict[str, Any]] = {
    "no window": {},
    "a window": VIEW,
    "a window of width 1": {"WindowCenter": 1500, "WindowWidth": 1},
    "a sigmoid": {**VIEW, "VOILUTFunction": "SIGMOID"},
    "the first of several windows": {"WindowCenter": [1500, 30], "WindowWidth": [800, 9]},
    "MONOCHROME1": {**VIEW, "PhotometricInterpretation": "MONOCHROME1"},
    "MONOCHROME1, no window": {"PhotometricInterpretation": "MONOCHROME1"},
    "rescaled": {"RescaleSlope": 2, "RescaleIntercept": -1000, "WindowCenter": 500, "WindowWidth": 3000},
    "rescaled down": {"RescaleSlope": -3, "RescaleIntercept": 9000, "WindowCenter": 2000, "WindowWidth": 6000},
    "rescaled, no window": {"RescaleSlope": -3, "RescaleIntercept": 9000},
    "rescaled, of an angiogram": {
        "RescaleSlope": -3,
        "RescaleIntercept": 9000,
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.12.1",
        **VIEW,
    },
}


def compare(made: Any, table: ModuleType, dicom: Any, folder: Path) -> Any:
    path = folder / "made.dcm"
    path.write_bytes(dicom.content(made))
    shown = table.by_dcmtk(path, folder, table.options_for(path), deep=True)
    assert shown is not None
    return table.difference(table.ours(path)[0], shown)


@pytest.mark.parametrize("name", sorted(MADE))
@pytest.mark.parametrize("kind", ["12 bits", "signed", "high bits", "rubbish", "implicit", "big endian"])
def test_a_made_object_looks_as_in_dcmtk(name: str, kind: str, table: ModuleType, dicom: Any, tmp_path: Path) -> None:
    pixels, bits, elements = dicom.ramp, 12, dict(MADE[name])
    syntax = {"implicit": ImplicitVRLittleEndian, "big endian": ExplicitVRBigEndian}.get(kind, "1.2.840.10008.1.2.1")
    if kind == "signed":
        pixels, bits = dicom.ramp.astype(np.int16) - np.int16(1000), 16
    if kind == "high bits":
        pixels, elements = dicom.ramp << 4, {**elements, "HighBit": 15}
    if kind == "rubbish":
        pixels = dicom.ramp | np.uint16(0xA000)
    assert compare(dicom.dataset(pixels, bits, syntax, **elements), table, dicom, tmp_path).largest <= 1


@pytest.mark.parametrize("place", ["VOILUTSequence", "ModalityLUTSequence"])
@pytest.mark.parametrize("bits", [8, 10, 12, 16])
@pytest.mark.parametrize("first", [0, 7, -9])
def test_a_lookup_table_is_that_of_dcmtk(
    place: str, bits: int, first: int, table: ModuleType, dicom: Any, tmp_path: Path
) -> None:
    entries = np.linspace(0, 2**bits - 1, 40).round().astype(int) ** 2 // (2**bits - 1)
    values = (
        np.arange(-20, 60, dtype=np.int16).reshape(8, 10)
        if first < 0
        else np.arange(80, dtype=np.uint16).reshape(8, 10)
    )
    lut = dicom.lut(first, entries.tolist(), bits, signed=first < 0)
    lut[0].ModalityLUTType = "US"
    made = dicom.dataset(values, 16, **{place: Sequence(lut)})
    assert compare(made, table, dicom, tmp_path).largest <= 1


def test_both_signs_of_inversion_invert_once_as_in_dcmtk(table: ModuleType, dicom: Any, tmp_path: Path) -> None:
    shapes = (("MONOCHROME1", "INVERSE"), ("MONOCHROME2", "IDENTITY"), ("MONOCHROME2", "INVERSE"))
    for interpretation, shape in shapes:
        made = dicom.dataset(PhotometricInterpretation=interpretation, PresentationLUTShape=shape, **VIEW)
        assert compare(made, table, dicom, tmp_path).largest <= 1, (interpretation, shape)
