"""The rows of a table with all that other files next to it say of them: further rows, further columns, splits."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from radlens.base.errors import DataError, UsageError, did_you_mean
from radlens.config import CsvColumns, table_forms
from radlens.dataset.sources.image_names import resolve_names
from radlens.dataset.sources.table_cells import is_table, read_cells

logger = logging.getLogger(__name__)

_SHOWN = 5


@dataclass(frozen=True)
class TableRows:
    """The rows of a table.

    Attributes:
        cells: text; the index numbers the rows as in the file, and goes on where other files add to them.
        splits: of each row, where lists or further tables tell it; else none.
        notes: what a reader of the manifest must know.
    """

    cells: pd.DataFrame
    splits: pd.Series | None
    notes: tuple[str, ...]


def read_rows(file: Path, columns: CsvColumns) -> TableRows:
    """Read a table, add the rows and columns that the settings name other files for, and keep the rows asked for.

    Raises:
        UsageError: a file or column that a setting names does not exist.
        DataError: a file is no table, or no row remains.
    """
    notes: list[str] = []
    cells, splits = _with_parts(read_cells(file), file, columns, notes)
    for pattern in columns.join:
        cells, splits = _joined(cells, splits, file, pattern, notes)
    splits = _listed_splits(cells, splits, file, columns, notes)
    kept = _asked_for(cells, file, columns, notes)
    cells = cells[kept]
    if cells.empty:
        raise DataError(f"{file}: no row is left. {' '.join(notes)}")
    for note in notes:
        logger.warning("%s", note)
    return TableRows(cells, None if splits is None else splits[kept], tuple(notes))


def forms_that_fit(names: Sequence[str]) -> list[str]:
    """The forms whose columns a table has."""
    fitting = []
    for form, settings in table_forms().items():
        wanted = {settings["path"], *settings["label"], settings.get("patient")} - {None}
        if not settings.get("join") and wanted <= set(names):
            fitting.append(str(form))
    return fitting


def _next_to(file: Path, pattern: str) -> list[Path]:
    if Path(pattern).is_absolute():
        return [path for path in (Path(pattern),) if path.is_file()]
    return sorted(path for path in file.parent.glob(pattern) if path.is_file())


def _with_parts(
    cells: pd.DataFrame, file: Path, columns: CsvColumns, notes: list[str]
) -> tuple[pd.DataFrame, pd.Series | None]:
    """The rows of the table and of further tables of the same columns, with the splits that these are."""
    tables = {pattern: split for pattern, split in columns.split_files.items() if is_table(Path(pattern))}
    parts = [(path, split) for pattern, split in tables.items() for path in _next_to(file, pattern)]
    own = [split for path, split in parts if path.resolve() == file]
    if own:
        return cells, pd.Series(own[0], index=cells.index, dtype=str)
    if not parts:
        return cells, None
    splits = [pd.Series("train", index=cells.index, dtype=str)]
    frames = [cells]
    for path, split in parts:
        frames.append(read_cells(path))
        splits.append(pd.Series(split, index=frames[-1].index, dtype=str))
        notes.append(f"{len(frames[-1])} row(s) of {path.name} were added as {split}; those of {file.name} are train.")
    together = pd.concat(frames).fillna("")
    numbers = pd.RangeIndex(2, len(together) + 2) if len(frames) > 1 else together.index
    return together.set_axis(numbers), pd.concat(splits).set_axis(numbers)


def _joined(
    cells: pd.DataFrame, splits: pd.Series | None, file: Path, pattern: str, notes: list[str]
) -> tuple[pd.DataFrame, pd.Series | None]:
    """The rows with the columns of another table, where the columns that both have agree."""
    files = [path for path in _next_to(file, pattern) if path.resolve() != file]
    if not files:
        raise UsageError(
            f"data.csv.join: there is no file {pattern!r} next to {file}. Put it there, or do without: "
            "--set data.csv.join=[]"
        )
    other = read_cells(files[0]).drop_duplicates()
    shared = [name for name in cells.columns if name in other.columns]
    if not shared:
        raise UsageError(f"data.csv.join: {files[0]} has no column in common with {file}: {', '.join(other.columns)}.")
    left = cells if splits is None else cells.assign(**{_SPLIT: splits})
    merged = left.merge(other, on=shared, how="inner", sort=False)
    keys = [set(map(tuple, frame[shared].to_numpy())) for frame in (cells, other)]
    without = [len(keys[0] - keys[1]), len(keys[1] - keys[0])]
    if any(without):
        notes.append(
            f"{files[0].name} joined {file.name} by {', '.join(shared)}: left out are {without[0]} of {len(keys[0])} "
            f"that only the latter has, and {without[1]} of {len(keys[1])} that only the former has."
        )
    merged.index = pd.RangeIndex(2, len(merged) + 2)
    return merged.drop(columns=_SPLIT, errors="ignore"), merged.get(_SPLIT)


_SPLIT = "\0split"


def _listed_splits(
    cells: pd.DataFrame, splits: pd.Series | None, file: Path, columns: CsvColumns, notes: list[str]
) -> pd.Series | None:
    """The split of each row, by lists of image names."""
    lists = {pattern: split for pattern, split in columns.split_files.items() if not is_table(Path(pattern))}
    lists = {str(path): split for pattern, split in lists.items() for path in _next_to(file, pattern)}
    if not lists:
        if columns.split_files and splits is None and not columns.split:
            notes.append(
                f"None of the files that tell the splits ({', '.join(columns.split_files)}) lies next to {file.name}: "
                "radlens makes the splits."
            )
        return splits
    known = np.full(len(cells), "", dtype=object) if splits is None else splits.to_numpy(dtype=object, copy=True)
    names = cells[columns.path].tolist()
    for path, split in lists.items():
        listed = [line.strip() for line in Path(path).read_text(encoding="utf-8-sig").splitlines() if line.strip()]
        positions = resolve_names(names, list(dict.fromkeys(listed))).positions
        clash = (positions >= 0) & (known != "") & (known != split)
        if clash.any():
            raise DataError(
                f"{path}: {int(clash.sum())} image(s) stand in the lists of two splits, first "
                f"{names[int(np.flatnonzero(clash)[0])]!r}."
            )
        known[positions >= 0] = split
        notes.append(f"{int((positions >= 0).sum())} row(s) are {split} by {Path(path).name} ({len(listed)} names).")
    return pd.Series(known, index=cells.index, dtype=str)


def _asked_for(cells: pd.DataFrame, file: Path, columns: CsvColumns, notes: list[str]) -> pd.Series:
    """Which rows hold the values that the settings ask for."""
    kept = pd.Series(data=True, index=cells.index)
    for name, values in columns.only.items():
        if name not in cells.columns:
            raise UsageError(
                f"data.csv.only: {file} has no column {name!r}. {did_you_mean(name, cells.columns)} To take all rows: "
                "--set data.csv.only={}"
            )
        wanted = cells[name].str.casefold().isin([value.casefold() for value in values])
        others = cells[name][kept & ~wanted].value_counts()
        if len(others):
            counts = ", ".join(f"{count} {value or 'empty'}" for value, count in others.head(_SHOWN).items())
            notes.append(
                f"{int(others.sum())} row(s) of {file.name} whose {name} is not {' or '.join(values)} are left out "
                f"({counts}); to keep them: --set data.csv.only={{}}"
            )
        kept &= wanted
    return kept
