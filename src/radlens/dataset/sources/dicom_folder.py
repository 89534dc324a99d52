"""A folder of DICOM files whose labels are in a CSV, matched by the file's path or an identifier of the header."""

from __future__ import annotations

import logging
import mimetypes
from collections import Counter
from pathlib import Path

import pandas as pd

from radlens.base.errors import DataError, UsageError
from radlens.config import DataSettings
from radlens.dataset.manifest import UNKNOWN_LABELS, DatasetInfo, Manifest
from radlens.dataset.pseudonym import Pseudonyms, user_pseudonyms
from radlens.dataset.sources.files_below import files_below
from radlens.dataset.sources.folder import writable_paths
from radlens.dataset.sources.header_columns import (
    HEADER_COLUMNS,
    add_columns,
    describe,
    mention_risks,
    read_headers,
    settle_patients,
)
from radlens.dataset.sources.identifying import tells_of_patient
from radlens.dataset.sources.label_cells import labels_of
from radlens.dataset.sources.label_rows import FolderImage, match_rows
from radlens.dataset.sources.labels import Labels
from radlens.dataset.sources.table_cells import filled, read_cells, require_columns, splits_of
from radlens.imaging.dicom.header import MEDIA_DIRECTORY, DicomHeader
from radlens.imaging.limits import DecodeError

logger = logging.getLogger(__name__)

_DICOM_SUFFIXES = (".dcm", ".dicom", ".dic", ".ima")
# A CSV may fill these columns of the manifest; others could tell who a patient is.
_CARRIED = tuple(name for name in HEADER_COLUMNS if name not in ("study", "series"))


def read_dicom_folder(folder: Path, settings: DataSettings) -> Manifest:
    """Read a folder of DICOM files and the CSV ``settings.dicom.labels``.

    Each row labels the image that its key names, or all images of the series, study or patient that it names.
    Identifiers are compared as pseudonyms, and none is kept. Rows without an image, images without a row, files that
    are not DICOM and DICOM objects that are not pictures are left out, counted and said aloud. A file that cannot be
    read goes on, if a row names its path, to be rejected with its reason.

    Raises:
        UsageError: the CSV or a column does not exist.
        DataError: no DICOM file, no row that names one, or a key that is ambiguous.
    """
    root = Path(folder).resolve()
    file = Path(settings.dicom.labels or "").expanduser().resolve()
    if not file.is_file():
        raise UsageError(f"data.dicom.labels: the CSV {file} does not exist.")
    raw = read_cells(file)
    require_columns(raw, file, ("data.dicom.key_column", settings.dicom.key_column), settings.csv)
    labels = labels_of(raw, settings, file)
    raw = raw.loc[labels.cells.index]
    keys = filled(raw[settings.dicom.key_column], "key", file)
    pseudonyms = user_pseudonyms()
    images = _images_in(root, file, settings, pseudonyms)

    columns = _columns_of(raw, labels, settings, pseudonyms, file)
    match = match_rows(keys, images, settings.dicom.key, pseudonyms, file)
    row_of, note = match.assign(columns, file)
    has_row = row_of.notna().to_numpy()
    kept = [image for image, has in zip(images, has_row, strict=True) if has]
    described = pd.DataFrame([image.described for image in kept])
    table = columns.loc[row_of[has_row].astype(int)].reset_index(drop=True)
    table.insert(0, "path", [image.path for image in kept])
    table = add_columns(table, described)
    mention_risks(sum(image.telling for image in kept), int(described["burned_in"].sum()))
    notes: tuple[str, ...] = ()
    if "patient" not in table.columns:
        table["patient"], notes = settle_patients(table["path"], described, settings.patient_from)
    info = DatasetInfo(
        name=root.name or "images",
        task=labels.task,
        classes=labels.classes,
        root=str(root),
        source=str(root),
        notes=(*labels.notes, note, *notes),
    )
    first = ["path", "label", "patient", "split"]
    return Manifest(table[[*first, *(name for name in table.columns if name not in first)]], info)


def _images_in(root: Path, labels: Path, settings: DataSettings, pseudonyms: Pseudonyms) -> list[FolderImage]:
    """Every file below the folder that is an image, or cannot be told not to be one."""
    paths = files_below(root, labels)
    texts = writable_paths(root, pd.Series(paths, dtype=object)).tolist()

    def use(number: int, header: DicomHeader | DecodeError | None) -> FolderImage | str:
        path = texts[number]
        if isinstance(header, DecodeError) or (header is None and path.lower().endswith(_DICOM_SUFFIXES)):
            return FolderImage(path)
        if header is None:
            return _kind_of_file(path)
        if header.sop_class == MEDIA_DIRECTORY:
            return "DICOMDIR"
        if header.is_no_picture:
            return f"DICOM object(s) without picture ({header.modality or 'no modality'})"
        return FolderImage(
            path,
            describe(header, pseudonyms, name_site=settings.dicom.site == "name"),
            pseudonyms.of("sop_instance", header.sop_instance) if header.sop_instance else "",
            pseudonyms.of("accession", header.accession) if header.accession else "",
            telling=not header.identity_removed and tells_of_patient(path, header),
        )

    entries = list(read_headers([str(root / path) for path in paths], use, settings.workers))
    images = [entry for entry in entries if isinstance(entry, FolderImage)]
    skipped = Counter(entry for entry in entries if isinstance(entry, str))
    listed = ", ".join(f"{count} {what}" for what, count in skipped.most_common())
    if not images:
        raise DataError(f"{root} holds no DICOM image{f'; it holds {listed}' if listed else ''}.")
    if skipped:
        logger.warning("Skipped %d file(s) in %s that are not DICOM images: %s.", skipped.total(), root, listed)
    return images


def _kind_of_file(path: str) -> str:
    """The suffix of a file if it is a known one: others may be parts of names."""
    suffix = Path(path).suffix.lower()
    return suffix if suffix in mimetypes.types_map else "of another kind"


def _columns_of(
    raw: pd.DataFrame, labels: Labels, settings: DataSettings, pseudonyms: Pseudonyms, file: Path
) -> pd.DataFrame:
    """What the manifest takes from the CSV, by row."""
    columns = settings.csv
    table = pd.DataFrame({"label": labels.cells})
    if labels.unknown is not None:
        table[UNKNOWN_LABELS] = labels.unknown
    table["split"] = splits_of(raw[columns.split], file) if columns.split else ""
    if columns.patient:
        table["patient"] = [pseudonyms.of("patient", cell) for cell in filled(raw[columns.patient], "patient", file)]
    used = {settings.dicom.key_column, *columns.label, columns.patient, columns.split}
    for name in raw.columns:
        if name not in used and name.casefold() in _CARRIED and name.casefold() not in table.columns:
            table[name.casefold()] = raw[name]
            used.add(name)
    left = [name for name in raw.columns if name not in used]
    if left:
        logger.info("Columns of %s that are not used, since they could tell who a patient is: %s.", file.name, left)
    return table
