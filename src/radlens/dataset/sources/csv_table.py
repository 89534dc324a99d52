"""A CSV file that lists images with their labels, and, where it knows them, patients and splits."""

from __future__ import annotations

import csv
import logging
import os
import unicodedata
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from radlens.base.errors import DataError, UsageError, did_you_mean
from radlens.config import CsvColumns, DataSettings
from radlens.dataset.manifest import REQUIRED_COLUMNS, DatasetInfo, Manifest, order_classes, split_labels, task_of
from radlens.dataset.sources.header_columns import enrich_from_headers
from radlens.dataset.sources.names import SPLIT_SYNONYMS, one_spelling, spellings, split_of
from radlens.decision import Task

logger = logging.getLogger(__name__)

_ZERO_ONE = {"0": False, "0.0": False, "1": True, "1.0": True}
_SHOWN = 5


def read_csv_table(file: Path, settings: DataSettings) -> Manifest:
    """Read a CSV file by the columns that ``settings.csv`` names.

    Several label columns hold 0 or 1, one column a class, and make the task multilabel; so does one label column with
    a cell such as ``effusion|mass``. Paths are relative to ``image_root``, else to the file's folder; backslashes count
    as slashes. The separator may be a comma, a semicolon or a tab. Further columns are carried along, but not those
    that tell who a patient is; one whose name the manifest needs for something else gets the prefix ``source_``. Where
    images are DICOM files, their headers add to the table.

    Raises:
        UsageError: a named column or the image root does not exist.
        DataError: the file is not a table, or a row lacks its label, patient or image; rows are counted as a
            spreadsheet shows them, the header being row 1.
    """
    file = Path(file).resolve()
    columns = settings.csv
    raw = read_cells(file)
    require_columns(raw, file, ("data.csv.path", columns.path), columns)
    root = columns.image_root.expanduser().resolve() if columns.image_root else file.parent
    if not root.is_dir():
        raise UsageError(f"data.csv.image_root: the folder {root} does not exist.")

    paths = _paths(raw[columns.path], file)
    labels, classes, task = labels_of(raw, settings, file)
    paths = _on_disk(paths, root, file, settings.max_rejected)
    known = pd.DataFrame({"path": paths, "label": labels})
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
    info = DatasetInfo(name=file.stem, task=task, classes=classes, root=str(root), source=str(file), notes=notes)
    return Manifest(table, info)


def read_cells(file: Path) -> pd.DataFrame:
    """The cells as text without outer spaces, empty rows left out; the index is the row number in the file."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            separator = max(",;\t", key=lines.readline().count)
            lines.seek(0)
            header = [name.strip() for name in next(csv.reader(lines, delimiter=separator), [])]
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            raw = pd.read_csv(
                file,
                sep=separator,
                dtype=str,
                na_filter=False,
                index_col=False,
                skip_blank_lines=False,
                encoding="utf-8-sig",
            )
    except UnicodeDecodeError as error:
        raise DataError(
            f"{file} is not UTF-8 text ({error.reason} at byte {error.start}). Save it as UTF-8."
        ) from error
    except pd.errors.EmptyDataError:
        raise DataError(f"{file} is empty; expected a header row with column names, then one row an image.") from None
    except (OSError, ValueError, csv.Error, pd.errors.ParserWarning) as error:
        raise DataError(f"{file} cannot be read as CSV: {error}".strip()) from error
    doubled = sorted({name for name in header if name and header.count(name) > 1})
    if doubled:
        raise DataError(f"{file} has several columns named {', '.join(doubled)}. Rename all but one.")
    raw.columns = pd.Index([str(name).strip() for name in raw.columns])
    raw.index = pd.RangeIndex(2, len(raw) + 2)
    raw = raw.apply(lambda column: column.str.strip())
    filled: pd.DataFrame = raw[(raw != "").any(axis=1)]
    if filled.empty:
        raise DataError(f"{file} has a header and no rows.")
    return filled


def require_columns(raw: pd.DataFrame, file: Path, key: tuple[str, str], columns: CsvColumns) -> None:
    """See that a CSV has the columns that the settings name.

    Args:
        raw: the cells.
        file: what they were read from.
        key: the setting for the column that names the image, and that column.
        columns: names the others.

    Raises:
        UsageError: naming every column that is missing.
    """
    setting, column = key
    wanted = {
        setting: (column,),
        "data.csv.label": columns.label,
        "data.csv.patient": (columns.patient,),
        "data.csv.split": (columns.split,),
    }
    missing = [
        f"{setting}: {file} has no column {name!r}. {did_you_mean(name, raw.columns)}"
        for setting, names in wanted.items()
        for name in names
        if name is not None and name not in raw.columns
    ]
    if missing:
        raise UsageError("\n".join(missing))


def _mention_unused(raw: pd.DataFrame, name: str, columns: CsvColumns) -> None:
    if name in raw.columns and name not in {columns.path, *columns.label, columns.patient, columns.split}:
        logger.warning("The CSV's column %r is not used. To use it: --set data.csv.%s=%s", name, name, name)


def name_rows(mask: npt.ArrayLike, index: pd.Index) -> str:
    """The first row numbers at which something was found: ``rows 3, 7, …``."""
    numbers = index[np.asarray(mask)]
    shown = ", ".join(map(str, numbers[:_SHOWN]))
    return f"row{'s' if len(numbers) > 1 else ''} {shown}{', …' if len(numbers) > _SHOWN else ''}"


def filled(cells: pd.Series, what: str, file: Path) -> pd.Series:
    """The cells of a column in which none may be empty.

    Raises:
        DataError: some are; their rows are named.
    """
    empty = cells == ""
    if empty.any():
        raise DataError(
            f"{file}: {int(empty.sum())} row(s) have no {what} in the column {cells.name!r}: "
            f"{name_rows(empty, cells.index)}. Fill them in, or remove the rows."
        )
    return cells


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


def labels_of(raw: pd.DataFrame, settings: DataSettings, file: Path) -> tuple[pd.Series, tuple[str, ...], Task]:
    """The label cell of each row, the classes in their order, and the task, from the columns ``settings.csv.label``.

    Raises:
        UsageError: a positive class was named for several labels an image.
        DataError: a cell is empty or holds what is not a label, or there is one class only.
    """
    names = settings.csv.label
    if len(names) > 1:
        labels, classes = _from_columns(raw[list(names)], file)
    elif raw[names[0]].str.contains("|", regex=False).any():
        labels, classes = _from_joined(raw[names[0]])
    else:
        labels = one_spelling(filled(raw[names[0]], "label", file))
        classes = order_classes(list(labels.unique()), settings.positive_class)
        if len(classes) < 2:
            raise DataError(
                f"{file}: the column {names[0]!r} names one class only, {classes[0]!r}; a classifier needs two or more."
            )
        return labels, classes, task_of(classes)
    if settings.positive_class is not None:
        raise UsageError("data.positive_class is for two-class tasks; here an image may have several labels.")
    return labels, classes, "multilabel"


def _from_columns(marks: pd.DataFrame, file: Path) -> tuple[pd.Series, tuple[str, ...]]:
    """Labels joined by ``|`` from columns of 0 and 1; the classes keep the order in which the columns were named."""
    codes, joined = np.zeros(len(marks), dtype=np.int64), [""]
    for name, cells in marks.items():
        present = cells.map(_ZERO_ONE)
        unusable = present.isna()
        if unusable.any():
            value = cells[unusable].iloc[0]
            received = repr(value) if value else "an empty cell"
            raise DataError(
                f"{file}: the label column {name!r} holds {received} in {name_rows(unusable, marks.index)} "
                f"({int(unusable.sum())} in all); expected 0 or 1. Decide what such cells mean and write 0 or 1."
            )
        # Each combination of marks gets a number, so that names are joined once for each and not for each image.
        codes, distinct = pd.factorize(2 * codes + present.to_numpy(dtype=np.int64))
        joined = [joined[code // 2] + f"|{name}" * (code % 2) for code in distinct]
    labels = np.asarray([cell.removeprefix("|") for cell in joined], dtype=object)[codes]
    return pd.Series(labels, index=marks.index, dtype=str), tuple(str(name) for name in marks.columns)


def _from_joined(cells: pd.Series) -> tuple[pd.Series, tuple[str, ...]]:
    """Labels from cells such as ``effusion|mass``, each cell in class order, each class in one spelling."""
    images = Counter(cells.tolist())
    parts = {cell: [part.strip() for part in split_labels(cell) if part.strip()] for cell in images}
    counts: Counter[str] = Counter()
    for cell, names in parts.items():
        counts.update({part: images[cell] * names.count(part) for part in set(names)})
    spelling = spellings(counts)
    classes = order_classes(sorted(set(spelling.values())))
    rank = {name: number for number, name in enumerate(classes)}
    joined = {
        cell: "|".join(sorted({spelling[name] for name in names}, key=rank.__getitem__))
        for cell, names in parts.items()
    }
    return cells.map(joined), classes


def splits_of(cells: pd.Series, file: Path) -> pd.Series:
    """The cells of a column as train, val, test or empty.

    Raises:
        DataError: a cell names no split.
    """
    known: dict[str, str | None] = {cell: split_of(cell) if cell else "" for cell in cells.unique()}
    unknown = [cell for cell, split in known.items() if split is None]
    if unknown:
        raise DataError(
            f"{file}: the split column {cells.name!r} holds {unknown[0]!r} in "
            f"{name_rows(cells == unknown[0], cells.index)}. {did_you_mean(unknown[0], SPLIT_SYNONYMS)}"
        )
    return cells.map(known)


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
