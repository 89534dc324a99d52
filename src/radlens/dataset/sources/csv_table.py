"""A CSV file that lists images with their labels, and, where it knows them, patients and splits."""

from __future__ import annotations

import logging
import os
import unicodedata
from pathlib import Path

import pandas as pd

from radlens.base.errors import DataError, UsageError
from radlens.config import CsvColumns, DataSettings
from radlens.dataset.manifest import REQUIRED_COLUMNS, UNKNOWN_LABELS, DatasetInfo, Manifest
from radlens.dataset.sources.header_columns import enrich_from_headers
from radlens.dataset.sources.label_cells import labels_of
from radlens.dataset.sources.table_cells import filled, name_rows, read_cells, require_columns, splits_of

logger = logging.getLogger(__name__)

_SHOWN = 5


def read_csv_table(file: Path, settings: DataSettings) -> Manifest:
    """Read a CSV file by the columns that ``settings.csv`` names.

    Labels are read as :func:`radlens.dataset.sources.label_cells.labels_of` tells. Paths are relative to
    ``image_root``, else to the file's folder; backslashes count as slashes. Further columns are carried along, but not
    those that tell who a patient is; one whose name the manifest needs for something else gets the prefix ``source_``.
    Where images are DICOM files, their headers add to the table.

    Raises:
        UsageError: a named column or the image root does not exist.
        DataError: the file is not a table, too few rows have a label, or a row lacks its patient or image; rows are
            counted as a spreadsheet shows them, the header being row 1.
    """
    file = Path(file).resolve()
    columns = settings.csv
    raw = read_cells(file)
    require_columns(raw, file, ("data.csv.path", columns.path), columns)
    root = columns.image_root.expanduser().resolve() if columns.image_root else file.parent
    if not root.is_dir():
        raise UsageError(f"data.csv.image_root: the folder {root} does not exist.")

    labels = labels_of(raw, settings, file)
    raw = raw.loc[labels.cells.index]
    paths = _on_disk(_paths(raw[columns.path], file), root, file, settings.max_rejected)
    known = pd.DataFrame({"path": paths, "label": labels.cells})
    if labels.unknown is not None:
        known[UNKNOWN_LABELS] = labels.unknown
    if columns.patient:
        known["patient"] = filled(raw[columns.patient], "patient", file)
    else:
        _mention_unused(raw, "patient", columns)
    known["split"] = splits_of(raw[columns.split], file) if columns.split else ""
    if not columns.split:
        _mention_unused(raw, "split", columns)

    used = {columns.path, *columns.label, columns.patient, columns.split}
    extra = raw[[name for name in raw.columns if name not in used]]
    extra = extra.rename(columns={name: f"source_{name}" for name in REQUIRED_COLUMNS})
    table, notes = enrich_from_headers(pd.concat([known, extra], axis=1), root, settings)
    info = DatasetInfo(
        name=file.name.partition(".")[0],
        task=labels.task,
        classes=labels.classes,
        root=str(root),
        source=str(file),
        notes=(*labels.notes, *notes),
    )
    return Manifest(table, info)


def _mention_unused(raw: pd.DataFrame, name: str, columns: CsvColumns) -> None:
    if name in raw.columns and name not in {columns.path, *columns.label, columns.patient, columns.split}:
        logger.warning("The CSV's column %r is not used. To use it: --set data.csv.%s=%s", name, name, name)


def _paths(cells: pd.Series, file: Path) -> pd.Series:
    paths = filled(cells, "image path", file).str.replace("\\", "/", regex=False)
    untidy = paths.str.contains(r"(?:^|/)\.{0,2}/", regex=True)
    if untidy.any():
        tidied = paths[untidy].map(os.path.normpath)
        paths = paths.mask(untidy, tidied.str.replace(os.sep, "/", regex=False))
    repeated = paths.duplicated(keep=False)
    if repeated.any():
        first = paths[repeated].iloc[0]
        raise DataError(
            f"{file}: {paths[repeated].nunique()} image(s) are listed more than once, first {first!r} in "
            f"{name_rows(paths == first, paths.index)}. List each image once; several labels of one image go into one "
            "cell joined by |, or into several label columns."
        )
    return paths


def _on_disk(paths: pd.Series, root: Path, file: Path, allowed: float) -> pd.Series:
    """The paths, accented letters encoded as the disk has them; a few missing files stay, to be rejected when read.

    Raises:
        DataError: more than the share ``allowed`` of the images do not exist.
    """
    texts = paths.to_numpy(dtype=object, copy=True)
    missing = []
    for number in _unlisted(texts.tolist(), root):
        # One name may be encoded in two ways (Unicode NFC and NFD), and macOS changes the one into the other.
        forms = (texts[number], *(unicodedata.normalize(form, texts[number]) for form in ("NFC", "NFD")))
        existing = next((form for form in forms if (root / _file_of(form)).is_file()), None)
        if existing is None:
            missing.append(number)
        else:
            texts[number] = existing
    if missing:
        shown = "\n".join(f"  - row {paths.index[number]}: {texts[number]}" for number in missing[:_SHOWN])
        count = f"{file}: {len(missing)} of {len(paths)} image(s) do not exist in {root}"
        if len(missing) > allowed * len(paths):
            raise DataError(
                f"{count}:\n{shown}\n"
                "Mend the paths, or name the folder they start from: --set data.csv.image_root=FOLDER"
            )
        logger.warning("%s; they count as unreadable:\n%s", count, shown)
    return pd.Series(texts, index=paths.index, name=paths.name, dtype=str)


def _unlisted(paths: list[str], root: Path) -> list[int]:
    """Which paths no folder lists; each folder is listed once instead of asking for each file."""
    files = [_file_of(path) for path in paths]
    folders: dict[str, list[int]] = {}
    for number, name in enumerate(files):
        folders.setdefault(name[: name.rfind("/") + 1], []).append(number)
    unlisted = []
    for folder, numbers in folders.items():
        names = _names_in(root / folder)
        unlisted += [number for number in numbers if files[number][len(folder) :] not in names]
    return sorted(unlisted)


def _file_of(path: str) -> str:
    return path.partition("::")[0] if ".npz::" in path else path


def _names_in(folder: Path) -> set[str]:
    try:
        with os.scandir(folder) as entries:
            return {entry.name for entry in entries}
    except OSError:
        return set()
