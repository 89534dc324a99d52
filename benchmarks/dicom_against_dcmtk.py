"""Our rendering of DICOM images next to dcmtk's: files of pydicom-data as they are, and transcoded into every syntax.

dcmtk is an independent implementation of the same parts of the standard. Compared with are two outputs of ``dcmj2pnm``:
its 8-bit one, which cuts off the fraction of a grey level where we round, and its 16-bit one, rounded to 8 bits by us
(of colours of 8 bits that one is up to a level brighter than its own 8-bit one, so that only the latter counts).
JPEG 2000, which dcmtk's free tools do not read, is unpacked by gdcm before dcmtk renders it; HTJ2K, which neither of
them reads, is encoded by OpenJPH and compared with the original's rendering alone.

Where dcmtk differs by more than one level, it is for one of these reasons: it holds rescaled values as whole numbers
(``693_UNCI.dcm`` in 12-bit JPEG, with a window of 100 values); it lets the errors of a lossy compression that exceed
the bits stored come back at the other end of the range (``RG3_UNCR.dcm`` in JPEG-LS near), where we stop at the end; it
reads big-endian values of 32 bits as pairs of 16 (``rtdose_expb_1frame.dcm``); it rounds each step from YBR to grey.
In one thing the two differ on purpose, which no file here shows: see ``render_grey`` on IDENTITY beside MONOCHROME1.

Needs dcmtk and gdcm-tools (apt-get install dcmtk libgdcm-tools); prints one table for each half.

    python benchmarks/dicom_against_dcmtk.py [--radiographs]
"""

from __future__ import annotations

import argparse
import importlib.util
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from radlens.imaging.dicom.picture import decode_dicom
from radlens.imaging.limits import DecodeError

Grey = npt.NDArray[np.float64]

RADIOGRAPHS = ("RG1_UNCR.dcm", "RG3_UNCR.dcm", "RG1_UNCI.dcm", "RG3_UNCI.dcm")
# Beside the radiographs: signed values, 14 bits in 16, a modality LUT, a VOI LUT.
OTHERS = ("MR_small.dcm", "693_UNCI.dcm", "mlut_18.dcm", "vlut_04.dcm")


@dataclass(frozen=True)
class Transcoding:
    """One way to write an image anew.

    Attributes:
        syntax: in words.
        tools: the commands that do it; IN and OUT stand for the files. Empty: see ``write``.
        lossless: whether the values stay as they are.
        write: does it in Python.
    """

    syntax: str
    tools: tuple[tuple[str, ...], ...] = ()
    lossless: bool = True
    write: Callable[[Path, Path], None] | None = None


def _htj2k(source: Path, target: Path) -> None:
    import imagecodecs
    import pydicom
    from pydicom.encaps import encapsulate
    from pydicom.uid import HTJ2KLossless

    data_set = pydicom.dcmread(source)
    data_set.PixelData = encapsulate([bytes(imagecodecs.htj2k_encode(data_set.pixel_array, reversible=True))])
    data_set["PixelData"].VR = "OB"
    data_set["PixelData"].is_undefined_length = True
    data_set.file_meta.TransferSyntaxUID = HTJ2KLossless
    data_set.save_as(target)


TRANSCODINGS = (
    Transcoding("implicit VR little endian", (("dcmconv", "+ti", "IN", "OUT"),)),
    Transcoding("explicit VR little endian", (("dcmconv", "+te", "IN", "OUT"),)),
    Transcoding("explicit VR big endian", (("dcmconv", "+tb", "IN", "OUT"),)),
    Transcoding("deflated", (("dcmconv", "+td", "IN", "OUT"),)),
    Transcoding("no preamble, implicit", (("dcmconv", "-F", "+ti", "IN", "OUT"),)),
    Transcoding("RLE (dcmtk)", (("dcmcrle", "IN", "OUT"),)),
    Transcoding("RLE (gdcm)", (("gdcmconv", "--rle", "IN", "OUT"),)),
    Transcoding("JPEG lossless SV1 (dcmtk)", (("dcmcjpeg", "+e1", "IN", "OUT"),)),
    Transcoding("JPEG lossless SV1 (gdcm)", (("gdcmconv", "--jpeg", "IN", "OUT"),)),
    Transcoding("JPEG lossless process 14, SV6 (dcmtk)", (("dcmcjpeg", "+el", "IN", "OUT"),)),
    Transcoding("JPEG-LS lossless (dcmtk)", (("dcmcjpls", "+el", "IN", "OUT"),)),
    Transcoding("JPEG-LS lossless (gdcm)", (("gdcmconv", "--jpegls", "IN", "OUT"),)),
    Transcoding("JPEG 2000 lossless (gdcm)", (("gdcmconv", "--j2k", "IN", "OUT"),)),
    Transcoding("JPEG 2000 lossless, tiled (gdcm)", (("gdcmconv", "--j2k", "-t", "256,256", "IN", "OUT"),)),
    Transcoding("HTJ2K lossless (OpenJPH)", write=_htj2k),
    Transcoding("JPEG baseline, 8 bits (dcmtk)", (("dcmcjpeg", "+eb", "IN", "OUT"),), lossless=False),
    Transcoding("JPEG extended, 12 bits (dcmtk)", (("dcmcjpeg", "+ee", "IN", "OUT"),), lossless=False),
    Transcoding("JPEG-LS near (dcmtk)", (("dcmcjpls", "+en", "IN", "OUT"),), lossless=False),
    Transcoding("JPEG-LS near (gdcm)", (("gdcmconv", "--jpegls", "--lossy", "-e", "2", "IN", "OUT"),), lossless=False),
    Transcoding("JPEG 2000 lossy (gdcm)", (("gdcmconv", "--j2k", "--lossy", "-r", "10", "IN", "OUT"),), lossless=False),
)


@dataclass(frozen=True)
class Difference:
    """Largest and mean absolute difference, in grey levels of 256."""

    largest: float
    mean: float

    def __str__(self) -> str:
        return f"{self.largest:7.0f} {self.mean:9.4f}"


def difference(one: Grey, other: Grey) -> Difference:
    """Compare two pictures of one size."""
    change = np.abs(one.astype(np.float64) - other)
    return Difference(float(change.max()), float(change.mean()))


def missing_tools() -> list[str]:
    """What is not installed of what this needs."""
    return [tool for tool in ("dcmj2pnm", "dcmcjpeg", "dcmcjpls", "dcmcrle", "gdcmconv") if shutil.which(tool) is None]


def files() -> Iterator[Path]:
    """The DICOM files of pydicom-data and of pydicom itself; never downloads."""
    for package, folder in (("data_store", "data"), ("pydicom", "data/test_files")):
        found = importlib.util.find_spec(package)
        if found is not None and found.origin is not None:
            yield from sorted((Path(found.origin).parent / folder).glob("*.dcm"))


def file_named(name: str) -> Path | None:
    """One of them."""
    return next((path for path in files() if path.name == name), None)


def ours(path: Path) -> tuple[Grey, str, str]:
    """Our picture of a file, its photometric interpretation and transfer syntax."""
    image, _, _, interpretation, syntax, *_ = decode_dicom(path.name, path.read_bytes())
    return np.asarray(image, dtype=np.float64), interpretation, syntax


def options_for(path: Path) -> tuple[str, ...]:
    """What to tell dcmtk so that it shows the default view: its own default is to ignore windows."""
    import pydicom

    header = pydicom.dcmread(path, force=True, stop_before_pixels=True)
    if not str(header.get("PhotometricInterpretation", "")).startswith("MONOCHROME"):
        return ("+G",)
    if header.get("VOILUTSequence"):
        return ("+Wl", "1")
    return ("+Wi", "1") if header.get("WindowCenter") not in (None, "") else ("+Wm",)


def by_dcmtk(path: Path, folder: Path, options: tuple[str, ...], *, deep: bool = False) -> Grey | None:
    """The picture that dcmtk makes of a file; None where it makes none."""
    unpacked, picture = folder / "unpacked.dcm", folder / "picture.png"
    for file in (unpacked, picture):
        file.unlink(missing_ok=True)
    for tool in ((), ("dcmdjpls",), ("gdcmconv", "--raw")):
        source = path
        if tool:
            subprocess.run([*tool, str(path), str(unpacked)], capture_output=True, check=False)
            source = unpacked
        if not source.exists():
            continue
        # Overlays are no part of the picture that a network should see.
        command = ["dcmj2pnm", "-O", *options, "+on2" if deep else "+on", str(source), str(picture)]
        subprocess.run(command, capture_output=True, check=False)
        if picture.exists():
            break
    else:
        return None
    found = np.asarray(Image.open(picture), dtype=np.float64)
    if found.ndim == 3:
        found = found[..., 0]
    return np.floor(found / 257 + 0.5) if deep else found


def transcode(source: Path, target: Path, way: Transcoding) -> bool:
    """Write a file anew; whether that worked."""
    target.unlink(missing_ok=True)
    if way.write is not None:
        way.write(source, target)
    for tool in way.tools:
        named = [str(source) if part == "IN" else str(target) if part == "OUT" else part for part in tool]
        subprocess.run(named, capture_output=True, check=False)
    return target.exists()


def compare_as_they_are(folder: Path) -> None:
    """Print the table of the files as they are."""
    print(f"\n{'file':42} {'interpretation':14} {'dcmtk 8 bit':>17} {'dcmtk 16 bit':>17}  transfer syntax")
    print(f"{'':57} {'largest      mean':>17} {'largest      mean':>17}")
    for path in files():
        try:
            picture, interpretation, syntax = ours(path)
        except DecodeError as error:
            print(f"{path.name:42} refused: {str(error).removeprefix(path.name).lstrip(': ')}")
            continue
        options = options_for(path)
        shallow, deep = by_dcmtk(path, folder, options), by_dcmtk(path, folder, options, deep=True)
        if shallow is None or deep is None:
            print(f"{path.name:42} {interpretation:14} dcmtk renders nothing: {syntax}")
            continue
        one, other = difference(picture, shallow), difference(picture, deep)
        print(f"{path.name:42} {interpretation:14} {one} {other}  {syntax}")


def compare_transcodings(names: tuple[str, ...], folder: Path) -> None:
    """Print the table of transcodings."""
    print(f"\n{'file':14} {'made into':39} {'the original':>17} {'dcmtk 8 bit':>17} {'dcmtk 16 bit':>17}")
    print(f"{'':54} {'largest      mean':>17} {'largest      mean':>17} {'largest      mean':>17}")
    for name in names:
        source = file_named(name)
        if source is None:
            print(f"{name:14} is not there: pip install pydicom-data")
            continue
        original = ours(source)[0]
        for way in TRANSCODINGS:
            target = folder / "transcoded.dcm"
            if not transcode(source, target, way):
                print(f"{name:14} {way.syntax:39} cannot be made: the encoder refuses this file")
                continue
            picture, _, _ = ours(target)
            options = options_for(target)
            shown = [by_dcmtk(target, folder, options, deep=deep) for deep in (False, True)]
            against = " ".join(f"{'-':>17}" if one is None else str(difference(picture, one)) for one in shown)
            verdict = ""
            if way.lossless:
                verdict = "  equal" if np.array_equal(picture, original) else "  NOT EQUAL"
            print(f"{name:14} {way.syntax:39} {difference(picture, original)} {against}{verdict}")


def print_versions() -> None:
    """Print what is compared with what."""
    import imagecodecs
    import pydicom

    for tool in ("dcmj2pnm", "gdcmconv"):
        said = subprocess.run([tool, "--version"], capture_output=True, text=True, check=False).stdout
        print(said.strip().splitlines()[0])
    codecs = ", ".join(
        str(version()).split("\n")[0]
        for version in (
            imagecodecs.jpeg8_version,
            imagecodecs.jpegls_version,
            imagecodecs.jpeg2k_version,
            imagecodecs.htj2k_version,
        )
    )
    print(f"pydicom {pydicom.__version__}, imagecodecs {imagecodecs.__version__} ({codecs})")


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--radiographs", action="store_true", help="only the radiographs, in every syntax")
    arguments = parser.parse_args()
    absent = missing_tools()
    if absent:
        raise SystemExit(f"Not installed: {', '.join(absent)}. Try: apt-get install dcmtk libgdcm-tools")
    warnings.simplefilter("ignore")
    print_versions()
    with tempfile.TemporaryDirectory() as folder:
        if not arguments.radiographs:
            compare_as_they_are(Path(folder))
        names = RADIOGRAPHS[:2] if arguments.radiographs else (*RADIOGRAPHS[:2], *OTHERS)
        compare_transcodings(names, Path(folder))


if __name__ == "__main__":
    main()
