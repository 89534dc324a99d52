"""Predictions that another program made: a CSV with an image and its probabilities in each row, read with care."""

from __future__ import annotations

import hashlib
import logging
import math
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from radlens.assessment.predictions import SUM_TOLERANCE
from radlens.base.errors import DataError, did_you_mean
from radlens.dataset.manifest import DatasetInfo, Manifest
from radlens.dataset.sources.image_names import NO_IMAGE, SEVERAL_IMAGES, resolve_names
from radlens.dataset.sources.table_cells import filled, name_rows, read_cells

logger = logging.getLogger(__name__)

PATH_NAMES = ("path", "image", "filename", "file_name", "file", "image_path")
SCORE_NAMES = ("probability", "score")
PREDICTED = "predicted"

_WORDS = {"false": 0.0, "true": 1.0}
_PROBABILITY = re.compile(r"prob(?:ability)?[_ ](.+)", re.IGNORECASE)


@dataclass(frozen=True)
class OutsidePredictions:
    """What another program answered; everything is indexed by the row number that a spreadsheet shows.

    Attributes:
        file: the CSV.
        cells: all of it, as text.
        paths: which image each row is of, with forward slashes.
        columns: the probability column of each class named; empty when there is one unnamed column.
        score: the one column without a class, the probability of the positive class; empty when there is none.
    """

    file: Path
    cells: pd.DataFrame
    paths: pd.Series
    columns: dict[str, str]
    score: str

    @property
    def classes(self) -> list[str]:
        """The classes that it answers, as it spells them; empty where it does not name any."""
        if self.columns or self.score:
            return list(self.columns)
        named = [part.strip() for cell in self.predicted.unique() for part in cell.split("|")]
        return list({name.casefold(): name for name in reversed(named) if name}.values())[::-1]

    @property
    def predicted(self) -> pd.Series:
        """The answers without probabilities.

        Raises:
            DataError: there is no such column.
        """
        cells = self.column(PREDICTED)
        if cells is None:
            raise DataError(f"{self.file} has no column {PREDICTED!r}.")
        return cells

    def called(self, info: DatasetInfo) -> npt.NDArray[np.bool_]:
        """Which classes each row was answered to have, shape (rows, classes).

        Raises:
            DataError: a cell names another class, or for exclusive classes none or several.
        """
        answered = self.predicted
        known = {name.casefold(): number for number, name in enumerate(info.classes)}
        parts = [[part.strip().casefold() for part in cell.split("|") if part.strip()] for cell in answered]
        invalid = pd.Series([not known.keys() >= set(names) for names in parts], index=answered.index)
        if info.task != "multilabel":
            invalid |= pd.Series([len(names) != 1 for names in parts], index=answered.index)
        if invalid.any():
            raise DataError(
                f"{self.file}: the predicted class of {name_rows(invalid, answered.index)} is "
                f"{answered[invalid].iloc[0]!r}. {did_you_mean(answered[invalid].iloc[0], info.classes)}"
            )
        held: npt.NDArray[np.bool_] = np.zeros((len(parts), len(info.classes)), dtype=bool)
        for row, names in enumerate(parts):
            held[row, [known[name] for name in names]] = True
        return held

    @property
    def digest(self) -> str:
        """SHA-256 of the file, in hexadecimal digits."""
        return hashlib.sha256(self.file.read_bytes()).hexdigest()

    def column(self, name: str) -> pd.Series | None:
        """The column of this name, in any case; None where there is none."""
        same_name = [column for column in self.cells.columns if str(column).casefold() == name.casefold()]
        return self.cells[same_name[0]] if same_name else None

    def probabilities(self, info: DatasetInfo) -> pd.DataFrame:
        """The probabilities in class order, one column a class.

        Raises:
            DataError: a class is unknown or has no column, or a row holds no probabilities of this task.
        """
        if not self.columns and not self.score:
            # Answers of a reader or a tree: as sure as 0 and 1.
            return pd.DataFrame(self.called(info).astype(np.float64), self.cells.index, list(info.classes))
        column_of = self._columns_of(info)
        values = pd.DataFrame({name: self._numbers(column) for name, column in column_of.items()})
        if info.task == "binary" and len(values.columns) == 1:
            (given,) = values.columns
            (other,) = (name for name in info.classes if name != given)
            values[other] = 1 - values[given]
        values = values[list(info.classes)]
        if info.task != "multilabel":
            total = values.sum(axis=1)
            off = (total - 1).abs() > SUM_TOLERANCE
            if off.any():
                raise DataError(
                    f"{self.file}: the probabilities of {name_rows(off, values.index)} do not add up to 1 "
                    f"({int(off.sum())} in all; the first to {total[off].iloc[0]:.4g}). Exclusive classes need "
                    "probabilities after softmax; several labels an image are joined by | in the label column."
                )
        return values

    def _columns_of(self, info: DatasetInfo) -> dict[str, str]:
        if self.score:
            if info.task != "binary":
                raise DataError(
                    f"{self.file}: the one column {self.score!r} says too little for the {info.task} classes "
                    f"{', '.join(info.classes)}. Give one column a class: probability_{info.classes[0]}, …"
                )
            return {info.classes[1]: self.score}
        known = {name.casefold(): name for name in info.classes}
        unknown_names = [name for name in self.columns if name.casefold() not in known]
        if unknown_names:
            raise DataError(
                f"{self.file}: the column {self.columns[unknown_names[0]]!r} belongs to no class of these data. "
                f"{did_you_mean(unknown_names[0], info.classes)}"
            )
        column_of = {known[name.casefold()]: column for name, column in self.columns.items()}
        missing = [name for name in info.classes if name not in column_of]
        if missing and not (info.task == "binary" and len(column_of) == 1):
            raise DataError(
                f"{self.file} has no probability column of the class(es) {', '.join(missing)}: "
                f"probability_{missing[0]} was expected."
            )
        return column_of

    def _numbers(self, column: str) -> pd.Series:
        values = self.cells[column].map(number_of).astype(np.float64)
        outside = ~values.between(0, 1)
        if outside.any():
            hint = ""
            if values.max() > 1 or values.min() < 0:
                hint = " Logits go through a sigmoid or softmax first; per cent are divided by 100."
            raise DataError(
                f"{self.file}: {column} is {self.cells[column][outside].iloc[0]!r} in "
                f"{name_rows(outside, values.index)} ({int(outside.sum())} in all); expected a probability from 0 to 1."
                f"{hint}"
            )
        return values


def read_outside(file: Path, path_column: str | None = None) -> OutsidePredictions:
    """Read a table of predictions.

    Args:
        file: CSV with a column for the image (``path``, ``image``, ``filename`` or ``file``) and ``probability_CLASS``
            for each class, or for two classes one of these, ``probability`` or ``score``; or with answers alone,
            without probabilities, in ``predicted``.
        path_column: the column for the image, when it is called otherwise.

    Raises:
        DataError: the file is not such a table, or an image has several rows; the message names the rows.
    """
    file = Path(file).resolve()
    cells = read_cells(file)
    lower = {str(name).casefold(): str(name) for name in cells.columns}
    wanted = (path_column, *PATH_NAMES) if path_column else PATH_NAMES
    named = next((lower[name.casefold()] for name in wanted if name.casefold() in lower), None)
    if named is None:
        raise DataError(
            f"{file} has no column that names the image ({', '.join(PATH_NAMES)}); it has: {', '.join(cells.columns)}. "
            "Name it: --set data.csv.path=COLUMN"
        )
    columns = {match[1].strip(): name for name in cells.columns if (match := _PROBABILITY.fullmatch(str(name)))}
    scores = [lower[name] for name in SCORE_NAMES if name in lower]
    if not columns and not scores and PREDICTED not in lower:
        raise DataError(
            f"{file} has no column of probabilities: probability_CLASS for each class was expected, or for two "
            "classes one column named probability or score, or else a column predicted with the class answered. It "
            f"has: {', '.join(cells.columns)}."
        )
    paths = filled(cells[named], "image", file).str.replace("\\", "/", regex=False).str.removeprefix("./")
    _require_distinct(paths, file, paths)
    return OutsidePredictions(file, cells, paths, columns, "" if columns or not scores else scores[0])


def match_images(outside: OutsidePredictions, manifest: Manifest) -> pd.Series:
    """The position in the manifest of each row's image, as :func:`resolve_names` tells.

    Rows of other images are said and left out: every image that is to be judged needs a row, and not the reverse.

    Raises:
        DataError: no row names an image, one names several, or two rows name the same image.
    """
    paths = manifest.table["path"].tolist()
    resolved = resolve_names(outside.paths.tolist(), paths, manifest.info.root)
    positions = pd.Series(resolved.positions, index=outside.paths.index)
    for code, problem in (
        (NO_IMAGE, "no image of the source"),
        (SEVERAL_IMAGES, "several images of the source by the file name alone"),
    ):
        named = positions == code
        if not named.any():
            continue
        said = (
            f"{outside.file}: {name_rows(named, positions.index)} ({int(named.sum())} in all) name {problem}, first "
            f"{outside.paths[named].iloc[0]!r}."
        )
        if code == SEVERAL_IMAGES or named.all():
            raise DataError(f"{said} Give paths as the source has them, such as {paths[0]!r}.")
        logger.warning("%s They are left out.", said)
    positions = positions[positions >= 0]
    _require_distinct(positions, outside.file, outside.paths.loc[positions.index])
    return positions


def _require_distinct(values: pd.Series, file: Path, paths: pd.Series) -> None:
    doubled = values.duplicated(keep=False)
    if doubled.any():
        same = values == values[doubled].iloc[0]
        raise DataError(
            f"{file}: {values[doubled].nunique()} image(s) were predicted more than once, first "
            f"{paths[doubled].iloc[0]!r} in {name_rows(same, values.index)}. Keep one row an image."
        )


def number_of(text: str) -> float:
    """The number that a cell holds: also with a decimal comma, as per cent, as true or false; NaN where it holds none.

    >>> [number_of(text) for text in ("0.25", "0,25", "25 %", "TRUE", "1e-3", "high")]
    [0.25, 0.25, 0.25, 1.0, 0.001, nan]
    """
    if text.casefold() in _WORDS:
        return _WORDS[text.casefold()]
    share = text.endswith("%")
    digits = text.removesuffix("%").strip()
    if digits.count(",") == 1 and "." not in digits:
        digits = digits.replace(",", ".")
    try:
        return float(digits) / 100 if share else float(digits)
    except ValueError:
        return math.nan
