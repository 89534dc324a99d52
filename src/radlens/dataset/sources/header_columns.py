"""What DICOM headers add to a table of images: whose each image is, and how it was taken, without saying who it is."""

from __future__ import annotations

import itertools
import logging
import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, TypeVar

import pandas as pd

from radlens.base.progress import track
from radlens.config import DataSettings
from radlens.dataset.manifest import REQUIRED_COLUMNS
from radlens.dataset.pseudonym import Pseudonyms, user_pseudonyms
from radlens.dataset.sources.identifying import is_identifying_name, tells_in_cell, tells_of_patient
from radlens.dataset.sources.names import one_spelling
from radlens.dataset.sources.patients import assign_patients, patients_by_scheme
from radlens.imaging.dicom.header import DicomHeader, read_header
from radlens.imaging.limits import DecodeError

logger = logging.getLogger(__name__)

T = TypeVar("T")

HEADER_COLUMNS = (
    "view",
    "laterality",
    "body_part",
    "age",
    "sex",
    "manufacturer",
    "site",
    "modality",
    "study",
    "series",
)
PATIENT_NOTE = "Patients are pseudonyms: a keyed hash of the Patient ID in the DICOM headers."

_CHUNK = 256
_MOST_THREADS = 32
# A suffix of figures is the end of a unique identifier.
_MAY_BE_DICOM = re.compile(r"(?:^|/)[^/.]*$|\.(?:dcm|dicom|dic|ima|\d+)$", re.IGNORECASE)
_PLACEHOLDERS = frozenset(
    {
        "",
        "0",
        "anon",
        "anonymised",
        "anonymized",
        "anonymous",
        "deidentified",
        "n/a",
        "na",
        "none",
        "removed",
        "unknown",
    }
)


class Described(NamedTuple):
    """What of one header may be written down; empty texts where it says nothing."""

    view: str = ""
    laterality: str = ""
    body_part: str = ""
    age: str = ""
    sex: str = ""
    manufacturer: str = ""
    site: str = ""
    modality: str = ""
    study: str = ""
    series: str = ""
    patient: str = ""
    burned_in: bool = False


def describe(header: DicomHeader, pseudonyms: Pseudonyms, *, name_site: bool = False) -> Described:
    """Turn what identifies into pseudonyms, and keep the rest.

    Args:
        header: of one image.
        pseudonyms: with the user's salt.
        name_site: write the institution's name instead of its pseudonym.
    """
    site = " ".join(header.institution.split())
    if site and not name_site:
        site = pseudonyms.of("site", site.casefold())
    known = header.patient_id.casefold() not in _PLACEHOLDERS

    def plain(text: str) -> str:
        # A misplaced name is not a view. Most values are the same in many images: one copy of each is enough.
        return "" if tells_in_cell(text, header) else sys.intern(text)

    return Described(
        view=plain(header.view),
        laterality=sys.intern(header.laterality),
        body_part=plain(header.body_part),
        age=sys.intern("" if header.age is None else f"{header.age:g}"),
        sex=sys.intern(header.sex),
        manufacturer=plain(header.manufacturer),
        site=sys.intern(site),
        modality=plain(header.modality),
        study=sys.intern(pseudonyms.of("study", header.study)) if header.study else "",
        series=sys.intern(pseudonyms.of("series", header.series)) if header.series else "",
        patient=sys.intern(pseudonyms.of("patient", header.patient_id)) if known else "",
        burned_in=header.burned_in,
    )


def read_headers(
    files: Sequence[str], use: Callable[[int, DicomHeader | DecodeError | None], T], workers: int
) -> Iterator[T]:
    """Read each file's header once, in threads, and yield what ``use`` makes of them, in the order of the files.

    Args:
        files: paths.
        use: called in a thread with the file's number and its header (None for a file that is not DICOM, the error for
            one that cannot be read), so that headers need not be kept.
        workers: threads; 0: as many as the storage keeps waiting, measured on the first files.
    """

    def read(numbers: range) -> list[T]:
        return [use(number, _read_one(files[number])) for number in numbers]

    def read_all() -> Iterator[list[T]]:
        first, *later_chunks = [range(start, min(start + _CHUNK, len(files))) for start in range(0, len(files), _CHUNK)]
        wall, cpu = time.perf_counter(), time.thread_time()
        yield read(first)
        # Python works in one thread at a time: more are of use only while others wait for the disk or the network.
        waiting = (time.perf_counter() - wall) / max(time.thread_time() - cpu, 1e-6)
        with ThreadPoolExecutor(workers or max(1, min(_MOST_THREADS, round(waiting)))) as threads:
            yield from threads.map(read, later_chunks)

    if files:
        yield from track(itertools.chain.from_iterable(read_all()), "Reading DICOM headers", len(files))


def enrich_from_headers(
    table: pd.DataFrame, root: Path, settings: DataSettings
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Add to a table of images what their DICOM headers say, and settle whose each image is.

    Added are those of :data:`HEADER_COLUMNS` that a header fills and the table does not have. The patient is, in this
    order: what the table says (as pseudonyms, where it says what the headers say); what ``settings.patient_from`` says,
    unless it is ``auto``; the pseudonym of the Patient ID; what the file names say; the pseudonym of the study; the
    image's own path. Columns of the table that hold a name, a birth date or an identifier are left out, said aloud.

    Args:
        table: with ``path`` (relative to ``root``, forward slashes), perhaps ``patient``, and others.
        root: where the paths start.
        settings: of the data.

    Returns:
        The table, the manifest's required columns first, and notes for the manifest.
    """
    table = _without_identifying(table, [name for name in _further(table) if is_identifying_name(name)])
    maybe = table["path"].str.contains(_MAY_BE_DICOM) & ~table["path"].str.contains("::", regex=False)
    readings: list[tuple[Described, _Telling] | None] = []
    if maybe.any():
        readings = _read(table[maybe], root, settings)
    if not any(readings):
        return _settle(table, None, settings)
    telling = [tells for entry in readings if entry is not None for tells in [entry[1]]]
    table = _without_identifying(table, _identifying(telling))
    rows = [Described() if entry is None else entry[0] for entry in readings]
    described = pd.DataFrame(rows, index=table.index[maybe]).reindex(table.index)
    described = described.fillna({"burned_in": False}).fillna("")
    if "patient" in table.columns and any(tells.patient for tells in telling):
        # The table holds the very identifiers of the headers.
        pseudonyms = user_pseudonyms()
        table = table.assign(patient=[pseudonyms.of("patient", cell) for cell in table["patient"]])
    mention_risks(sum(tells.path for tells in telling), int(described["burned_in"].sum()))
    return _settle(add_columns(table, described), described, settings)


def add_columns(table: pd.DataFrame, described: pd.DataFrame) -> pd.DataFrame:
    """The table with those of :data:`HEADER_COLUMNS` that have any content and that it does not have yet."""
    new = [name for name in HEADER_COLUMNS if name not in table.columns and (described[name] != "").any()]
    added = described[new]
    if "manufacturer" in new:
        added = added.assign(manufacturer=one_spelling(added["manufacturer"]))
    return pd.concat([table, added], axis=1)


def settle_patients(paths: pd.Series, described: pd.DataFrame | None, rule: str) -> tuple[pd.Series, tuple[str, ...]]:
    """Whose each image is, in the order that :func:`enrich_from_headers` tells, and notes for the manifest."""
    if described is None or rule != "auto":
        return assign_patients(paths, rule)
    patients, studies = described["patient"], described["study"]
    if patients.nunique() == 1 and studies.nunique() > 1 and (patients != "").all():
        logger.warning("All DICOM headers have the same Patient ID: it is taken for a placeholder and not used.")
        patients = patients.mask(patients != "", "")
    notes: tuple[str, ...] = (PATIENT_NOTE,) if (patients != "").any() else ()
    unknown = patients == ""
    if not unknown.any():
        return patients, notes
    by_name, named = patients_by_scheme(paths[unknown])
    patients = patients.mask(unknown, by_name.fillna("").reindex(paths.index))
    notes, unknown = (*notes, *named), patients == ""
    if not unknown.any():
        return patients, notes
    by_study = unknown & (studies != "")
    if by_study.any():
        note = (
            f"{int(by_study.sum())} DICOM header(s) have no Patient ID: their images count as one patient for each "
            "study, so a patient with several studies may be in several splits."
        )
        logger.warning("%s If the file names tell the patient: --set data.patient_from='REGULAR EXPRESSION'.", note)
        patients, notes = patients.mask(by_study, studies), (*notes, note)
    rest = unknown & ~by_study
    if rest.any():
        by_path, more = assign_patients(paths[rest], rule)
        patients, notes = patients.mask(rest, by_path.reindex(paths.index)), (*notes, *more)
    return patients, notes


def mention_risks(telling_paths: int, burned_in: int) -> None:
    """Say aloud, without an example, what pseudonyms cannot mend."""
    if telling_paths:
        logger.warning(
            "The file or folder names of %d DICOM image(s) hold the patient's name, ID or birth date that stands in "
            "the header, and file names are written into manifest, predictions and report. If these images are not "
            "published or de-identified, rename them first.",
            telling_paths,
        )
    if burned_in:
        logger.warning(
            "The headers of %d image(s) say that text on the patient is burned into the picture (Burned In "
            "Annotation). Reports show pictures: cover that text first, or leave these images out.",
            burned_in,
        )


class _Telling(NamedTuple):
    """Where one image's row says who the patient is.

    Attributes:
        columns: further columns that tell it.
        same: further columns that hold the Patient ID, which may be as short as the numbers that other columns hold;
            None without Patient ID.
        path: whether the path tells it.
        patient: whether the patient column holds the Patient ID.
    """

    columns: frozenset[str]
    same: frozenset[str] | None
    path: bool
    patient: bool


def _read(table: pd.DataFrame, root: Path, settings: DataSettings) -> list[tuple[Described, _Telling] | None]:
    pseudonyms = user_pseudonyms()
    name_site = settings.dicom.site == "name"
    paths = table["path"].tolist()
    cells = {name: table[name].tolist() for name in _further(table)}
    patients = table["patient"].tolist() if "patient" in table.columns else None

    def use(number: int, header: DicomHeader | DecodeError | None) -> tuple[Described, _Telling] | None:
        # What cannot be read is rejected, with the reason, where its pixels are wanted.
        if not isinstance(header, DicomHeader):
            return None
        row = {name: column[number] for name, column in cells.items()}
        telling = _Telling(
            columns=frozenset(name for name, cell in row.items() if tells_in_cell(cell, header)),
            same=frozenset(name for name, cell in row.items() if cell == header.patient_id)
            if header.patient_id
            else None,
            path=not header.identity_removed and tells_of_patient(paths[number], header),
            patient=patients is not None and header.patient_id != "" and patients[number] == header.patient_id,
        )
        return describe(header, pseudonyms, name_site=name_site), telling

    files = [os.path.join(root, path) for path in paths]  # noqa: PTH118
    return list(read_headers(files, use, settings.workers))


def _identifying(telling: Sequence[_Telling]) -> list[str]:
    """The columns that tell of a patient in any row, or hold the Patient ID in all."""
    same = [tells.same for tells in telling if tells.same is not None]
    always = frozenset.intersection(*same) if same else frozenset()
    return sorted(always.union(*(tells.columns for tells in telling)))


def _settle(
    table: pd.DataFrame, described: pd.DataFrame | None, settings: DataSettings
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    notes: tuple[str, ...] = ()
    if "patient" not in table.columns:
        patients, notes = settle_patients(table["path"], described, settings.patient_from)
        table = table.assign(patient=patients)
    first = list(REQUIRED_COLUMNS)
    return table[[*first, *(name for name in table.columns if name not in first)]], notes


def _further(table: pd.DataFrame) -> list[str]:
    return [str(name) for name in table.columns if name not in REQUIRED_COLUMNS]


def _without_identifying(table: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    if names:
        logger.warning(
            "Left out the column(s) %s, which tell who a patient is; nothing of them is written down.",
            ", ".join(map(repr, names)),
        )
    return table.drop(columns=names)


def _read_one(file: str) -> DicomHeader | DecodeError | None:
    try:
        return read_header(file)
    except DecodeError as error:
        return error
