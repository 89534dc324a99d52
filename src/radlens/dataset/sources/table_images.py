"""The images that the rows of a table name, found on the disk."""

from __future__ import annotations

import logging
import os
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from radlens.base.errors import DataError
from radlens.config import CsvColumns
from radlens.dataset.sources.files_below import files_below
from radlens.dataset.sources.image_names import SEVERAL_IMAGES, resolve_names, tidy
from radlens.dataset.sources.table_cells import filled, name_rows
from radlens.imaging.scan import IMAGE_SUFFIXES, suffix_of

logger = logging.getLogger(__name__)

_SHOWN = 5


@dataclass(frozen=True)
class TableImages:
    """Where the images of a table lie.

    Attributes:
        paths: of the rows with an image, by row number; relative to the root where they lie in it.
        notes: what a reader of the manifest must know.
    """

    paths: pd.Series
    notes: tuple[str, ...]


def find_images(cells: pd.Series, root: Path, file: Path, columns: CsvColumns) -> TableImages:
    """Find the image of each row: at the path that it gives, or as :func:`resolve_names` tells below the root.

    Rows without an image are left out, counted and said; so are, counted alone, images without a row.

    Args:
        cells: what names the images, by row number.
        root: where relative paths start.
        file: the table, for messages.
        columns: whether rows without an image stop the reading.

    Raises:
        DataError: no row names an image, more than half do not and no setting says that they shall be left out, or one
            does not and the settings say to stop.
    """
    written = filled(cells, "image path", file).map(tidy)
    texts = written.to_numpy(dtype=object, copy=True)
    folders = _Folders(root)
    missing = _missing(texts, folders)
    notes: list[str] = []
    if missing:
        below = files_below(root, file)
        resolved = resolve_names(written.tolist(), below, root.as_posix())
        still = np.zeros(len(texts), dtype=bool)
        for number in missing:
            position = int(resolved.positions[number])
            still[number] = position < 0
            texts[number] = below[position] if position >= 0 else texts[number]
        notes += _ways(written, texts, set(missing), (resolved.by_end, resolved.by_stem), file)
        several = still & (resolved.positions == SEVERAL_IMAGES)
        if still.any():
            notes.append(_heed_missing(written, still, several, below, root, file, columns))
        texts, written = texts[~still], written[~still]
    paths = pd.Series(texts, index=written.index, name="path", dtype=str)
    unnamed = _without_row(texts.tolist(), folders)
    if unnamed:
        notes.append(f"{unnamed} image file(s) next to the listed ones have no row in {file.name}.")
        logger.info("%s", notes[-1])
    return TableImages(paths, tuple(notes))


def _missing(texts: npt.NDArray[np.object_], folders: _Folders) -> list[int]:
    """Which paths do not exist as they are; those that exist in another encoding of accents are put right."""
    missing = []
    for number in _unlisted(texts.tolist(), folders):
        # One name may be encoded in two ways (Unicode NFC and NFD), and macOS changes the one into the other.
        forms = (texts[number], *(unicodedata.normalize(form, texts[number]) for form in ("NFC", "NFD")))
        existing = next((form for form in forms if (folders.root / _file_of(form)).is_file()), None)
        if existing is None:
            missing.append(number)
        else:
            texts[number] = existing
    return missing


def _ways(
    written: pd.Series, texts: npt.NDArray[np.object_], missing: set[int], ways: Sequence[Sequence[int]], file: Path
) -> list[str]:
    """What is to be said of rows that do not give the path of their image."""
    notes = []
    for numbers, what in zip(ways, ("another folder than their image lies in", "another suffix"), strict=True):
        here = [number for number in numbers if number in missing]
        if here:
            notes.append(
                f"{len(here)} row(s) of {file.name} give {what}; matched by the rest of the path, such as "
                f"{written.iloc[here[0]]!r} to {texts[here[0]]!r}."
            )
            logger.warning("%s", notes[-1])
    return notes


def _heed_missing(
    written: pd.Series,
    still: npt.NDArray[np.bool_],
    several: npt.NDArray[np.bool_],
    below: Sequence[str],
    root: Path,
    file: Path,
    columns: CsvColumns,
) -> str:
    """The remark on rows without an image, which are left out.

    Raises:
        DataError: they are too many, or are to stop the reading.
    """
    count = int(still.sum())
    told = f"{count} of {len(still)} row(s) of {file.name} name no image below {root}"
    examples = [f"row {written.index[number]}: {written.iloc[number]}" for number in np.flatnonzero(still)[:_SHOWN]]
    if several.any():
        first = written.iloc[int(np.flatnonzero(several)[0])]
        same = [path for path in below if path.rpartition("/")[2].startswith(first.rpartition("/")[2])][:3]
        told += (
            f"; {int(several.sum())} of them fit several images, such as {first!r} ({', '.join(same)}): give the path "
            "from the folder"
        )
    stated = "unmatched" in columns.model_fields_set
    if count == len(still) or columns.unmatched == "error" or (2 * count > len(still) and not stated):
        listed = "\n".join(f"  - {example}" for example in examples)
        images = [path for path in below if suffix_of(path) in IMAGE_SUFFIXES]
        there = f"Below it lie {len(images)} image files, such as {images[0]}. " if images else "No image lies there. "
        go_on = ""
        if count < len(still):
            go_on = " To leave such rows out: --set data.csv.unmatched=leave_out"
        raise DataError(
            f"{told}:\n{listed}\n{there}Name the folder in which the images lie (--set data.csv.image_root=FOLDER), or "
            f"the column that names them (--set data.csv.path=COLUMN).{go_on}"
        )
    note = f"{told}: left out ({name_rows(still, written.index)})."
    logger.warning("%s", note)
    return note


class _Folders:
    """What lies in the folders of one root, each listed once instead of asking for each file."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._names: dict[str, set[str]] = {}

    def names(self, folder: str) -> set[str]:
        """The names in a folder; none where it cannot be listed."""
        if folder not in self._names:
            try:
                with os.scandir(self.root / folder) as entries:
                    self._names[folder] = {entry.name for entry in entries}
            except OSError:
                self._names[folder] = set()
        return self._names[folder]


def _unlisted(paths: list[str], folders: _Folders) -> list[int]:
    """Which paths no folder lists."""
    unlisted = []
    files = [_file_of(path) for path in paths]
    for folder, numbers in _by_folder(files).items():
        names = folders.names(folder)
        unlisted += [number for number in numbers if files[number][len(folder) :] not in names]
    return sorted(unlisted)


def _without_row(paths: list[str], folders: _Folders) -> int:
    """How many files with the suffix of an image lie in the folders of these images and are none of them."""
    files = [_file_of(path) for path in paths]
    count = 0
    for folder, numbers in _by_folder(files).items():
        images = {name for name in folders.names(folder) if suffix_of(name) in IMAGE_SUFFIXES}
        count += len(images - {files[number][len(folder) :] for number in numbers})
    return count


def _by_folder(files: list[str]) -> dict[str, list[int]]:
    folders: dict[str, list[int]] = {}
    for number, name in enumerate(files):
        folders.setdefault(name[: name.rfind("/") + 1], []).append(number)
    return folders


def _file_of(path: str) -> str:
    return path.partition("::")[0] if ".npz::" in path else path
