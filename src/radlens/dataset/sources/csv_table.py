"""A CSV file that lists images with their labels, and, where it knows them, patients and splits."""

from __future__ import annotations

import logging
from pathlib import Path

import pandas as pd

from radlens.base.errors import DataError, UsageError
from radlens.config import CsvColumns, DataSettings
from radlens.dataset.manifest import REQUIRED_COLUMNS, UNKNOWN_LABELS, DatasetInfo, Manifest
from radlens.dataset.sources.header_columns import enrich_from_headers
from radlens.dataset.sources.label_cells import labels_of
from radlens.dataset.sources.table_cells import filled, name_rows, require_columns, splits_of
from radlens.dataset.sources.table_images import find_images
from radlens.dataset.sources.table_rows import TableRows, forms_that_fit, read_rows

logger = logging.getLogger(__name__)


def read_csv_table(file: Path, settings: DataSettings) -> Manifest:
    """Read a CSV file by the columns that ``settings.csv`` names.

    Labels are read as :func:`radlens.dataset.sources.label_cells.labels_of` tells, and images found as
    :func:`radlens.dataset.sources.table_images.find_images` does, below ``image_root`` or the file's folder. Several
    rows of one image that agree count once. Further columns are carried along, but not those that tell who a patient
    is; one whose name the manifest needs for something else gets the prefix ``source_``. Where images are DICOM files,
    their headers add to the table.

    Raises:
        UsageError: a named column, file or folder does not exist.
        DataError: the file is not a table, too few rows have an image and a label, or a row lacks its patient; rows
            are counted as a spreadsheet shows them, the header being row 1.
    """
    file = Path(file).resolve()
    columns = settings.csv
    rows = read_rows(file, columns)
    _require_columns(rows.cells, file, columns)
    root = columns.image_root.expanduser().resolve() if columns.image_root else file.parent
    if not root.is_dir():
        raise UsageError(f"data.csv.image_root: the folder {root} does not exist.")
    images = find_images(rows.cells[columns.path], root, file, columns)
    labels = labels_of(rows.cells.loc[images.paths.index], settings, file)
    raw = rows.cells.loc[labels.cells.index]
    known = pd.DataFrame({"path": images.paths.loc[raw.index], "label": labels.cells})
    if labels.unknown is not None:
        known[UNKNOWN_LABELS] = labels.unknown
    if columns.patient:
        known["patient"] = filled(raw[columns.patient], "patient", file)
    else:
        _mention_unused(raw, "patient", columns)
    known["split"] = _splits(rows, raw, columns, file)
    known, repeated = _once_each(known, file)

    table, notes = enrich_from_headers(
        pd.concat([known, _further(raw, columns).loc[known.index]], axis=1), root, settings
    )
    info = DatasetInfo(
        name=file.name.partition(".")[0],
        task=labels.task,
        classes=labels.classes,
        root=str(root),
        source=str(file),
        notes=(*rows.notes, *images.notes, *labels.notes, *repeated, *notes),
    )
    return Manifest(table, info)


def _require_columns(raw: pd.DataFrame, file: Path, columns: CsvColumns) -> None:
    try:
        require_columns(raw, file, ("data.csv.path", columns.path), columns)
    except UsageError as error:
        fitting = [form for form in forms_that_fit(list(map(str, raw.columns))) if form != columns.form]
        hint = " or ".join(f"--set data.csv.form={form}" for form in fitting)
        raise UsageError(
            f"{error}\nThe table has the columns of a known form: {hint}" if hint else str(error)
        ) from None


def _mention_unused(raw: pd.DataFrame, name: str, columns: CsvColumns) -> None:
    if name in raw.columns and name not in {columns.path, *columns.label, columns.patient, columns.split}:
        logger.warning("The CSV's column %r is not used. To use it: --set data.csv.%s=%s", name, name, name)


def _splits(rows: TableRows, raw: pd.DataFrame, columns: CsvColumns, file: Path) -> pd.Series | str:
    if rows.splits is not None:
        return rows.splits.loc[raw.index]
    if columns.split:
        return splits_of(raw[columns.split], file)
    _mention_unused(raw, "split", columns)
    return ""


def _once_each(known: pd.DataFrame, file: Path) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The first row of each image.

    Raises:
        DataError: rows of one image differ in label, patient or split.
    """
    repeated = known["path"].duplicated(keep=False)
    if not repeated.any():
        return known, ()
    differing = known.drop_duplicates()
    differing = differing[differing["path"].duplicated(keep=False)]
    if not differing.empty:
        first = differing["path"].iloc[0]
        raise DataError(
            f"{file}: {differing['path'].nunique()} image(s) are listed more than once, first {first!r} in "
            f"{name_rows(known['path'] == first, known.index)}, and what the rows say differs. List each image once; "
            "several labels of one image go into one cell joined by |, or into several label columns."
        )
    once = known.drop_duplicates("path")
    note = (
        f"{file.name} lists {int(known['path'][repeated].nunique())} image(s) in several rows that say the same: each "
        f"counts once ({len(known)} rows, {len(once)} images)."
    )
    logger.warning("%s", note)
    return once, (note,)


def _further(raw: pd.DataFrame, columns: CsvColumns) -> pd.DataFrame:
    """The columns that are carried along, under the names that radlens knows where the settings give them."""
    used = {columns.path, *columns.label, columns.patient, columns.split}
    extra = raw[[name for name in raw.columns if name not in used]]
    known_as = {name: f"source_{name}" for name in (*REQUIRED_COLUMNS, UNKNOWN_LABELS)}
    for name, candidates in columns.rename.items():
        given = next((candidate for candidate in candidates if candidate in extra.columns), None)
        if given is not None and (given == name or name not in extra.columns):
            known_as[given] = name
    return extra.rename(columns=known_as)
