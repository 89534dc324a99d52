"""No patient data in anything written or said: planted everywhere in DICOM files, and searched for in every form."""

from __future__ import annotations

import base64
import binascii
import gzip
import io
import itertools
import os
import re
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image, PngImagePlugin
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import DigitalXRayImageStorageForPresentation

import radlens
from made_dicom import file_of, set_elements, set_meta

# Long and rare, so that they are found where they are and nowhere else.
UID_ROOT = "1.2.826.0.1.3680043.9.74331"
PLANTED = {
    "family name": "Quartermaine",
    "given name": "Euphemia",
    "Patient ID": "MRN-908172635",
    "birth date": "19470312",
    "birth date in full": "1947-03-12",
    "Other Patient IDs": "OPI-5544332211",
    "physician": "Blenkinsop",
    "accession number": "ACCN-7766554",
    "institution": "Grimsditch",
    "study date": "20210923",
    "telephone": "0555-8675309",
    "unique identifiers": UID_ROOT,
    "salt": "sixteen-or-more-kilos-of-salt",
}
# NumPy keeps text as UTF-32.
ENCODINGS = ("utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")
PATIENTS = 24
SETTINGS = (
    "preprocessing.height=48",
    "preprocessing.width=48",
    "train.epochs=1",
    "train.network=small_resnet",
    "train.progressive_resizing=1",
    # Fitted and exported in a third of the time of such a run; test_run.py and test_abstaining_run.py have it.
    "evaluate.ood_rate=0",
    "evaluate.resamples=100",
    "data.workers=2",
)


def write_dicom(file: Path, patient: int, number: int, bright: bool, **elements: Any) -> None:
    """A picture of noise, brighter for one label, whose header says who the patient is in every place it can."""
    pixels = np.random.default_rng(1000 * patient + number).integers(0, 120, (64, 64)).astype(np.uint8) + 100 * bright
    made = Dataset()
    made.SOPClassUID = DigitalXRayImageStorageForPresentation
    made.SOPInstanceUID = f"{UID_ROOT}.1.{patient}.{number}"
    made.StudyInstanceUID, made.SeriesInstanceUID = f"{UID_ROOT}.2.{patient}", f"{UID_ROOT}.3.{patient}.{number}"
    made.PatientName = "Quartermaine^Euphemia"
    made.PatientID = f"MRN-908172635-{patient:02d}"
    made.OtherPatientIDs, made.PatientBirthDate = "OPI-5544332211", "19470312"
    made.PatientAddress, made.PatientTelephoneNumbers = "1 Quartermaine Road", "0555-8675309"
    made.PatientSex, made.PatientWeight = "F", "61.5"
    made.PatientComments = made.ImageComments = "Euphemia Quartermaine, born 1947-03-12"
    made.ReferringPhysicianName = made.OperatorsName = "Blenkinsop^Cornelius"
    made.AccessionNumber, made.StudyID = f"ACCN-7766554{patient:02d}", f"ACCN-7766554{patient:02d}"
    made.StudyDate = made.SeriesDate = made.ContentDate = "20210923"
    made.StudyDescription = made.SeriesDescription = "Chest of Quartermaine"
    made.InstitutionName, made.InstitutionAddress = "Grimsditch Infirmary", "Grimsditch Lane"
    made.StationName = "GRIMSDITCH1"
    request = Dataset()
    request.AccessionNumber, request.RequestedProcedureDescription = "ACCN-7766554", "Quartermaine"
    made.RequestAttributesSequence = Sequence([request])
    made.private_block(0x0009, "GRIMSDITCH", create=True).add_new(1, "LO", "Quartermaine^Euphemia")
    made.Modality, made.Manufacturer, made.ViewPosition, made.BodyPartExamined = "DX", "ACME", "PA", "CHEST"
    made.Rows, made.Columns = pixels.shape
    made.SamplesPerPixel, made.PhotometricInterpretation, made.PixelRepresentation = 1, "MONOCHROME2", 0
    made.BitsAllocated = made.BitsStored = 8
    made.HighBit = 7
    made.PixelData = pixels.tobytes()
    set_elements(made, elements)
    set_meta(made)
    made.file_meta.SourceApplicationEntityTitle = "GRIMSDITCH"
    made.preamble = b"Quartermaine^Euphemia 19470312".ljust(128, b"\0")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(file_of(made))


def replace(file: Path, old: bytes, new: bytes) -> None:
    """Put other bytes of the same length into a file: what no writer would write."""
    content = file.read_bytes()
    assert len(old) == len(new)
    assert content.count(old) >= 1
    file.write_bytes(content.replace(old, new))


def write_damaged(folder: Path) -> list[str]:
    """Files whose damage makes decoders speak of the very values that must not be repeated."""
    # What is written, and what is put in its place: values that no writer would write.
    hostile: dict[str, tuple[dict[str, Any], bytes, bytes]] = {
        "weight": ({"PatientWeight": "987.654321"}, b"987.654321", b"Quartermai"),
        "window": ({"WindowCenter": "987.65432100", "WindowWidth": "50"}, b"987.65432100", b"Quartermaine"),
        "width": ({"WindowCenter": "100", "WindowWidth": "987.6543"}, b"987.6543", b"Euphemia"),
        "slope": ({"RescaleSlope": "987.65432100", "RescaleIntercept": "0"}, b"987.65432100", b"Quartermaine"),
        "frames": ({"NumberOfFrames": "98765432"}, b"98765432", b"Euphemia"),
        "polarity": ({"PhotometricInterpretation": "MONOCHROME26"}, b"MONOCHROME26", b"QUARTERMAINE"),
        "function": (
            {"VOILUTFunction": "LINEAR_EXACT", "WindowCenter": "100", "WindowWidth": "50"},
            b"LINEAR_EXACT",
            b"QUARTERMAINE",
        ),
        "shape": ({"PresentationLUTShape": "INVERSEINVER"}, b"INVERSEINVER", b"QUARTERMAINE"),
        "charset": ({"SpecificCharacterSet": "ISO_IR 100"}, b"ISO_IR 100", b"Euphemia\\Q"),
        "no-pixels": ({"PixelData": None, "Modality": "DXDXDXDXDXDX"}, b"DXDXDXDXDXDX", b"QUARTERMAINE"),
        "born": ({"PatientBirthDate": "19991231", "PatientAge": "098Y"}, b"19991231", b"Euphemia"),
        "syntax": ({}, b"1.2.840.10008.1.2.1\0", b"Quartermaine^Euphemi"),
        "kind": ({}, b"US\2\0\x40\0", b"DS\2\0Eu"),
        "item": ({}, b"\xfe\xff\x00\xe0", b"\xfe\xffEu"),
    }
    for number, (name, (elements, old, new)) in enumerate(hostile.items()):
        write_dicom(folder / f"{name}.dcm", 80 + number, 0, bright=True, **elements)
        replace(folder / f"{name}.dcm", old, new)
    whole = (folder / "charset.dcm").read_bytes()
    (folder / "cut.dcm").write_bytes(whole[:-1000])
    (folder / "cut-early.dcm").write_bytes(whole[: whole.index(b"Quartermaine Road") + 9])
    (folder / "text.dcm").write_text("Quartermaine^Euphemia, born 19470312 (1947-03-12)")
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of DICOM files with labels by Patient ID, the same as class folders and as a CSV."""
    root = tmp_path_factory.mktemp("sources")
    rows = []
    for patient, number in itertools.product(range(PATIENTS), range(2)):
        sick = patient % 2 == 1
        name = f"{patient:02d}-{number}.dcm"
        write_dicom(root / "dicom" / name, patient, number, bright=sick)
        target = root / "classes" / ("sick" if sick else "well") / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((root / "dicom" / name).read_bytes())
        rows.append((f"MRN-908172635-{patient:02d}", "sick" if sick else "well"))
    damaged = write_damaged(root / "classes" / "sick")
    text = PngImagePlugin.PngInfo()
    text.add_text("Patient", "Quartermaine^Euphemia 19470312")
    text.add_text("Comment", "Quartermaine^Euphemia 19470312", zip=True)
    for number in range(2):
        picture = Image.fromarray(np.random.default_rng(number).integers(0, 255, (64, 64)).astype(np.uint8))
        picture.save(root / "classes" / "well" / f"a{number}.png", pnginfo=text)
        picture.save(root / "classes" / "well" / f"a{number}.jpeg", comment="Quartermaine^Euphemia 19470312")
    labels = pd.DataFrame(rows, columns=["mrn", "label"]).drop_duplicates()
    labels = labels.assign(name="Euphemia Quartermaine", born="1947-03-12", seen="20210923", by="Dr Blenkinsop")
    labels.to_csv(root / "labels.csv", index=False)
    assert len(damaged) > PATIENTS / 2
    return root


def forms_of(content: bytes, depth: int = 3) -> Iterator[bytes]:
    """The bytes, and what is packed in them: archives, compressed streams, embedded base64, compressed PNG text."""
    yield content
    if depth == 0:
        return
    if content[:2] == b"\x1f\x8b":
        yield from forms_of(gzip.decompress(content), depth - 1)
    if content[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for member in archive.namelist():
                yield from forms_of(archive.read(member), depth - 1)
    if content[:8] == b"\x89PNG\r\n\x1a\n":
        for chunk in re.finditer(rb"(?:zTXt|iTXt|iCCP)[^\0]{1,79}\0", content):
            for start in range(chunk.end(), chunk.end() + 20):
                try:
                    yield zlib.decompressobj().decompress(content[start:], 2**16)
                except zlib.error:
                    continue
    for found in re.finditer(rb"(?:[A-Za-z0-9+/]{4}){8,}={0,2}", content):
        try:
            yield from forms_of(base64.b64decode(found[0] + b"=" * (-len(found[0]) % 4)), depth - 1)
        except binascii.Error:
            continue


def spellings_of(text: str) -> set[bytes]:
    """A text in the ways in which it could be written, in small letters, as searched for."""
    small = text.casefold()
    ways = {small, re.sub(r"[-.]", "", small)}
    return {way.encode(encoding) for way in ways for encoding in ENCODINGS}


SPELLINGS = {what: spellings_of(text) for what, text in PLANTED.items()}


def told_by(content: bytes) -> set[str]:
    """What of the planted is found in bytes."""
    small = [form.lower() for form in forms_of(content)]
    return {what for what, ways in SPELLINGS.items() if any(way in form for way in ways for form in small)}


def found_in(folder: Path) -> dict[str, set[str]]:
    """What of the planted is found in the files below a folder and in their names."""
    found = {}
    for path in folder.rglob("*"):
        name = str(path.relative_to(folder))
        told = told_by(os.fsencode(name)) | (told_by(path.read_bytes()) if path.is_file() else set())
        if told:
            found[name] = told
    return found


def carry_out(home: Path, *arguments: str) -> tuple[int, bytes]:
    """Run the command line in a home of its own with every log and warning shown; exit code and all that was said."""
    places = {
        "HOME": "home",
        "XDG_DATA_HOME": "data",
        "XDG_CACHE_HOME": "xdg",
        "RADLENS_CACHE": "cache",
        "TMPDIR": "tmp",
    }
    for place in {*places.values(), "work"}:
        (home / place).mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, **{name: str(home / place) for name, place in places.items()}}
    environment |= {"PYTHONWARNINGS": "always", "RADLENS_SALT": PLANTED["salt"]}
    code = (
        "import logging; logging.basicConfig(level=logging.DEBUG); "
        "from radlens.cli import commands as cli; cli._show_log = lambda level: None; cli.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=home / "work",
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=600,
        check=False,
    )
    return done.returncode, done.stdout


def lines_with(said: bytes) -> list[str]:
    """The lines in which something planted is said, for the message of a failing test."""
    return [line.decode("utf-8", "replace") for line in said.splitlines() if told_by(line)]


def options(*settings: str) -> list[str]:
    return [part for setting in (*SETTINGS, *settings) for part in ("--set", setting)]


def test_the_search_finds_what_was_planted_in_every_form(sources: Path, tmp_path: Path) -> None:
    everything = set(PLANTED) - {"salt"}
    assert set().union(*found_in(sources / "dicom").values()) >= everything
    assert all(told >= {"family name", "birth date"} for told in found_in(sources / "classes" / "well").values())
    plain = "QUARTERMAINE^euphemia"
    picture = io.BytesIO()
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", plain, zip=True)
    Image.new("L", (4, 4)).save(picture, "PNG", pnginfo=text)
    html = b"<img src='data:image/png;base64," + base64.b64encode(picture.getvalue()) + b"'>"
    for name, content in {
        "a.txt": plain.encode(),
        "b.txt": plain.encode("utf-16"),
        "c.gz": gzip.compress(plain.encode()),
        "d.html": html,
        "e.gz": gzip.compress(html),
    }.items():
        (tmp_path / name).write_bytes(content)
    np.savez_compressed(tmp_path / "f.npz", note=np.array([plain] * 9))
    np.save(tmp_path / "g.npy", np.frombuffer(plain.encode(), np.uint8))
    (tmp_path / "quartermaine^EUPHEMIA").mkdir()
    (tmp_path / "clean.txt").write_text("nothing to see")
    found = found_in(tmp_path)
    assert all(told == {"family name", "given name"} for told in found.values())
    assert len(found) == 8
    assert [bool(told_by(text)) for text in (b"1947-03-12", b"born19470312", b"1947")] == [True, True, False]


def test_a_run_on_dicom_files_writes_and_says_nothing_of_the_patients(sources: Path, tmp_path: Path) -> None:
    dicom = ("data.dicom.labels=" + str(sources / "labels.csv"), "data.dicom.key_column=mrn")
    code, said = carry_out(tmp_path, "run", str(sources / "dicom"), "--out", "run", *options(*dicom))
    assert code == 0, said.decode("utf-8", "replace")[-3000:]
    assert lines_with(said) == []
    assert found_in(tmp_path) == {}
    run = tmp_path / "work" / "run"
    manifest = pd.read_csv(run / "manifest.csv", dtype=str)
    assert manifest["patient"].nunique() == PATIENTS
    assert manifest["age"].unique().tolist() == ["74"]
    assert manifest[["view", "sex", "manufacturer"]].drop_duplicates().to_numpy().tolist() == [["PA", "F", "ACME"]]
    assert {"report.html", "predictions.csv", "model", "audit.json"} <= {path.name for path in run.iterdir()}
    assert any((tmp_path / "cache").rglob("*.pixels"))


def test_damaged_files_are_rejected_without_repeating_what_is_in_them(sources: Path, tmp_path: Path) -> None:
    classes = str(sources / "classes")
    code, said = carry_out(tmp_path, "run", classes, "--out", "run", *options("data.max_rejected=0.5"))
    assert code == 0, said.decode("utf-8", "replace")[-3000:]
    run = tmp_path / "work" / "run"
    rejected, shown = (set(pd.read_csv(run / f"{name}.csv")["path"]) for name in ("rejected", "manifest"))
    assert {f"sick/{name}.dcm" for name in ("cut", "text", "syntax", "slope")} <= rejected
    # Display hints that cannot be used cost no picture, and remarks on them repeat nothing either.
    assert {f"sick/{name}.dcm" for name in ("window", "width", "polarity", "function")} <= shown
    assert (lines_with(said), found_in(tmp_path)) == ([], {})
    code, said = carry_out(tmp_path, "run", classes, "--out", "stopped", *options("data.max_rejected=0"))
    assert code == 1
    assert b"images cannot be read" in said
    assert lines_with(said) == []
    assert found_in(tmp_path) == {}


def test_a_csv_of_dicom_files_carries_no_patient_data_along(sources: Path, tmp_path: Path) -> None:
    table = radlens.index(sources / "classes", tmp_path / "first").table[["path", "label"]]
    table = table.assign(mrn="MRN-908172635-00", name="Euphemia Quartermaine", DOB="1947-03-12", rating="3")
    table.loc[1:, "mrn"] = "unknown"
    table.to_csv(tmp_path / "in.csv", index=False)
    code, said = carry_out(
        tmp_path / "home",
        "index",
        str(tmp_path / "in.csv"),
        "--out",
        "out",
        *options(f"data.csv.image_root={sources / 'classes'}"),
    )
    assert code == 0, said.decode("utf-8", "replace")[-3000:]
    assert lines_with(said) == []
    assert found_in(tmp_path / "home") == {}
    written = pd.read_csv(tmp_path / "home" / "work" / "out" / "manifest.csv", dtype=str)
    assert "rating" in written.columns


def test_the_salt_kept_for_the_user_is_in_its_file_alone(sources: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path / "data")}
    del environment["RADLENS_SALT"]
    command = [sys.executable, "-c", "from radlens.cli.commands import main; main()", "index", str(sources / "classes")]
    command += ["--out", str(tmp_path / "out")]
    said = subprocess.run(command, env=environment, capture_output=True, check=True, timeout=600)
    salt = (tmp_path / "data" / "radlens" / "salt").read_text().strip()
    assert len(salt) == 64
    holders = [path.name for path in tmp_path.rglob("*") if path.is_file() and salt.encode() in path.read_bytes()]
    assert holders == ["salt"]
    assert salt.encode() not in said.stdout + said.stderr
