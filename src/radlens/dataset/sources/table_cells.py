"""The cells of a table that lists images, as text: read from what spreadsheets and other programs write."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import logging
import re
import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from radlens.base.errors import DataError, UsageError, did_you_mean
from radlens.config import CsvColumns
from radlens.dataset.sources.names import SPLIT_SYNONYMS, split_of

logger = logging.getLogger(__name__)

TABLE_SUFFIXES = (".csv", ".tsv", ".csv.gz", ".tsv.gz")
_GZIP = b"\x1f\x8b"
# Spreadsheets write ="007" to keep the zeros.
_KEPT_TEXT = re.compile(r'^="(.*)"$')
_INVISIBLE = str.maketrans("", "", "\ufeff\u200b")
_SHOWN = 5


def is_table(path: Path) -> bool:
    """Whether a file is a table by its name.

    >>> [is_table(Path(name)) for name in ("a.CSV", "b.csv.gz", "c.gz")]
    [True, True, False]
    """
    return path.name.lower().endswith(TABLE_SUFFIXES)


def read_cells(file: Path) -> pd.DataFrame:
    """The cells as text without outer spaces, empty rows and empty unnamed columns left out.

    The separator may be a comma, a semicolon or a tab, or be stated in a first line ``sep=;``; the text UTF-8, UTF-16
    with its mark, or Windows-1252; the file may be compressed with gzip.

    Returns:
        One row a row; the index is the row number in the file, the header being row 1.

    Raises:
        DataError: the file is not such a table.
    """
    text = _text_of(file)
    stated = re.match(r'"?sep=(.)"?\r?\n', text)
    text = text[stated.end() :] if stated else text
    header_line = re.sub(r'"[^"]*"', "", text.partition("\n")[0])
    separator = stated[1] if stated else max(",;\t", key=header_line.count)
    header = [name.strip() for name in next(csv.reader(io.StringIO(text, newline=""), delimiter=separator), [])]
    doubled = sorted({name for name in header if name and header.count(name) > 1})
    if doubled:
        raise DataError(f"{file} has several columns named {', '.join(doubled)}. Rename all but one.")
    raw = _parse(text, separator, len(header), file)
    unnamed = [not name for name in header]
    raw.columns = pd.Index([str(name).strip() for name in raw.columns])
    raw.index = pd.RangeIndex(2 + bool(stated), len(raw) + 2 + bool(stated))
    raw = raw.apply(lambda column: column.str.strip())
    if '="' in text:
        raw = raw.apply(lambda column: column.str.replace(_KEPT_TEXT, r"\1", regex=True))
    has_content = raw != ""
    kept: pd.DataFrame = raw.loc[has_content.any(axis=1), ~np.asarray(unnamed) | has_content.any(axis=0).to_numpy()]
    if kept.empty:
        raise DataError(f"{file} has a header and no rows.")
    return kept


def _text_of(file: Path) -> str:
    try:
        content = file.read_bytes()
        if content.startswith(_GZIP):
            content = gzip.decompress(content)
    except (OSError, EOFError) as error:
        raise DataError(f"{file} cannot be read: {error}") from error
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16", "replace").translate(_INVISIBLE)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        refusal = DataError(
            f"{file} is not UTF-8 text ({error.reason} at byte {error.start}). Save it as UTF-8 (in a spreadsheet: "
            "CSV UTF-8)."
        )
        try:
            text = content.decode("cp1252")
        except UnicodeDecodeError:
            raise refusal from error
        if "\0" in text:
            raise refusal from error
        logger.warning(
            "%s is not UTF-8 text; it is read as Windows-1252, as spreadsheets write. If accented letters come out "
            "wrong, save it as UTF-8.",
            file,
        )
    return text.translate(_INVISIBLE)


def _parse(text: str, separator: str, width: int, file: Path) -> pd.DataFrame:
    if not text.strip():
        raise DataError(f"{file} is empty; expected a header row with column names, then one row an image.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            try:
                return _frame(text, separator)
            except (pd.errors.ParserWarning, pd.errors.ParserError):
                return _frame(_without_trailing(text, separator, width), separator)
    except (ValueError, csv.Error, pd.errors.ParserWarning) as error:
        raise DataError(f"{file} cannot be read as CSV: {error}".strip()) from error


def _frame(text: str, separator: str) -> pd.DataFrame:
    return pd.read_csv(
        io.StringIO(text), sep=separator, dtype=str, na_filter=False, index_col=False, skip_blank_lines=False
    )


def _without_trailing(text: str, separator: str, width: int) -> str:
    """The table without the separators that end some rows after their last cell.

    Raises:
        ValueError: a row has more cells than the header, and not all of them are empty; or a quote does not end.
    """
    kept = io.StringIO()
    writer = csv.writer(kept, delimiter=separator)
    for number, row in enumerate(csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True), 1):
        if any(cell.strip() for cell in row[width:]):
            raise ValueError(f"row {number} has {len(row)} cells, and the header has {width}")
        writer.writerow(row[:width])
    return kept.getvalue()


def require_columns(raw: pd.DataFrame, file: Path, key: tuple[str, str], columns: CsvColumns) -> None:
    """See that a table has the columns that the settings name.

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
