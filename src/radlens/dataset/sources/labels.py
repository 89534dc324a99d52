"""The labels of a table's rows, and the account of what was doubtful while they were read."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from radlens.base.errors import DataError
from radlens.config import CsvColumns
from radlens.dataset.sources.names import alike
from radlens.dataset.sources.table_cells import name_rows
from radlens.decision import Task

logger = logging.getLogger(__name__)

Kind = Literal["uncertain", "missing"]

_SHOWN = 4
_SAYS: dict[Kind, str] = {"uncertain": "say that the answer is uncertain (-1, u)", "missing": "have no value"}
_TREATED = {
    "exclude": "their images are left out",
    "negative": "they count as 0",
    "positive": "they count as 1",
    "ignore-in-loss": "they are left out of the loss",
}
_CHOICES: dict[Kind, str] = {
    "uncertain": "negative (or positive, ignore-in-loss)",
    "missing": "negative (or ignore-in-loss)",
}


@dataclass(frozen=True)
class Labels:
    """The labels of those rows that have one.

    Attributes:
        cells: a class name, or names joined by ``|``; by row number.
        classes: in their order.
        task: what follows from them.
        unknown: for several label columns, the names joined by ``|`` of which a row does not say whether they hold.
        notes: what a reader of the manifest must know.
    """

    cells: pd.Series
    classes: tuple[str, ...]
    task: Task
    unknown: pd.Series | None = None
    notes: tuple[str, ...] = ()


@dataclass
class Remarks:
    """What was said while the labels of one table were read.

    Attributes:
        file: the table.
        rules: how its cells are to be read.
        notes: the remarks so far.
        unstated: the kinds of cells for which rows are left out though no setting asked for that.
    """

    file: Path
    rules: CsvColumns
    notes: list[str] = field(default_factory=list)
    unstated: list[Kind] = field(default_factory=list)

    def say(self, note: str, advice: str = "") -> None:
        """Say it aloud, with advice, and keep it for the manifest, without."""
        note = f"{self.file.name}: {note}"
        logger.warning("%s", f"{note} {advice}".rstrip())
        self.notes.append(note)

    def rule_for(self, kind: Kind, mask: npt.NDArray[np.bool_], names: Sequence[str], index: pd.Index) -> str:
        """How cells without a plain answer are treated, said with their number.

        Args:
            kind: uncertain or missing.
            mask: which cells, shape (rows, columns).
            names: of the columns.
            index: the row numbers.

        Raises:
            DataError: there are some, and they are to stop the reading.
        """
        rule: str = getattr(self.rules, kind)
        if not mask.any():
            return rule
        rows = mask.any(axis=1)
        held = [names[int(number)] for number in np.flatnonzero(mask.any(axis=0))]
        where = f"the column {held[0]!r}" if len(held) == 1 else f"{len(held)} label columns"
        count = f"{int(mask.sum())} cell(s) of {where} {_SAYS[kind]} ({name_rows(rows, index)})"
        if rule == "error":
            raise DataError(f"{self.file}: {count}. Fill them in, or say what they mean: --set data.csv.{kind}=exclude")
        if rule == "exclude" and kind not in self.rules.model_fields_set:
            self.unstated.append(kind)
        # With one label column, a cell left out of the loss leaves nothing of its image.
        treated = "exclude" if rule == "ignore-in-loss" and len(names) == 1 else rule
        images = f", {int(rows.sum())} of {len(index)} rows" if treated == "exclude" and len(names) > 1 else ""
        advice = "" if kind in self.rules.model_fields_set else f"To treat them otherwise: {self.choices(kind)}"
        self.say(f"{count}: {_TREATED[treated]}{images}.", advice)
        return rule

    def choices(self, kind: Kind) -> str:
        """The setting that says what such cells mean."""
        return f"--set data.csv.{kind}={_CHOICES[kind]}"

    def heed_left_out(self, out: npt.NDArray[np.bool_]) -> None:
        """See that enough rows remain.

        Raises:
            DataError: none do, or less than half and no setting says that the others shall be left out.
        """
        if out.all() or (self.unstated and 2 * int(out.sum()) > len(out)):
            settings = " and ".join(map(self.choices, self.unstated))
            exclude = " ".join(f"--set data.csv.{kind}=exclude" for kind in self.unstated)
            go_on = f", or leave so many out: {exclude}" if not out.all() else ""
            advice = f" Say what such cells mean: {settings}{go_on}." if settings else ""
            raise DataError(f"{int(out.sum())} of {len(out)} rows would be left out. {' '.join(self.notes)}{advice}")

    def mention_spellings(self, name: str, ways: Mapping[tuple[str, str], int]) -> None:
        """Say which cells that are written in several ways are read as one label.

        Args:
            name: of the column.
            ways: how often each cell occurs, by the cell and its label.
        """
        cells_of: dict[str, Counter[str]] = {}
        for (cell, label), count in ways.items():
            cells_of.setdefault(label, Counter())[cell] += count
        several = [(label, counts) for label, counts in cells_of.items() if len(counts) > 1]
        if several:
            shown = "; ".join(
                f"{', '.join(f'{cell!r} ({count})' for cell, count in counts.most_common(_SHOWN))} as {label!r}"
                for label, counts in several[:_SHOWN]
            )
            self.say(f"The column {name!r} writes the same in several ways, read as one: {shown}.")

    def mention_alike(self, classes: Iterable[str]) -> None:
        """Say which classes differ in spaces and marks alone: they may be meant as one."""
        for first, second in alike(classes):
            self.say(
                f"The classes {first!r} and {second!r} are almost the same name and are kept apart.",
                f"To join them: --set 'data.class_map={{{second}: {first}}}'",
            )


def join_names(present: npt.NDArray[np.bool_], names: Sequence[str], index: pd.Index) -> pd.Series:
    """The names of the columns that hold in each row, joined by ``|``."""
    codes, joined = np.zeros(len(present), dtype=np.int64), [""]
    for name, holds in zip(names, present.T, strict=True):
        # Each combination gets a number, so that names are joined once for each and not for each image.
        codes, distinct = pd.factorize(2 * codes + holds)
        joined = [joined[code // 2] + f"|{name}" * (code % 2) for code in distinct]
    cells = np.asarray([cell.removeprefix("|") for cell in joined], dtype=object)[codes]
    return pd.Series(cells, index=index, dtype=str)
