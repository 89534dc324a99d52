"""Predictions of several models on the same images, brought together row by row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import pandas as pd

from radlens.assessment.evaluate import answers_of
from radlens.assessment.predictions import check_predictions
from radlens.base.errors import DataError, UsageError
from radlens.dataset.manifest import SPLITS, DatasetInfo
from radlens.statistics.metrics import Answers


@dataclass(frozen=True)
class Run:
    """What one run or evaluation predicted."""

    name: str
    info: DatasetInfo
    predictions: pd.DataFrame


@dataclass(frozen=True)
class MatchedRuns:
    """The same images, in the same order, as each of several models answered them.

    Attributes:
        info: task and classes, as the first run has them.
        split: of the images.
        names: of the runs, distinct.
        tables: the predictions of each run.
        notes: what a reader must know, such as images that not all runs answered.
    """

    info: DatasetInfo
    split: str
    names: tuple[str, ...]
    tables: tuple[pd.DataFrame, ...]
    notes: tuple[str, ...] = ()

    @property
    def answers(self) -> list[Answers]:
        """The tables as numbers."""
        return [answers_of(table, self.info) for table in self.tables]

    @property
    def patients(self) -> pd.Series:
        """Whose image each is, as the first run has it."""
        return self.tables[0]["patient"]


def match_runs(runs: Sequence[Run], split: str | None = None) -> MatchedRuns:
    """Bring together what several runs answered for the same images.

    Args:
        runs: two or more; the first one's classes, labels and patients hold.
        split: train, val or test; None: test where all have it, else the one that all have.

    Raises:
        UsageError: fewer than two runs, or a split that one of them lacks.
        DataError: other classes, other labels of the same image, or no image in common.
    """
    if len(runs) < 2:
        raise UsageError("Comparing needs two or more runs: radlens compare A B")
    info, split = runs[0].info, _split_of(runs, split)
    whole = [_as_first(run, info) for run in runs]
    tables = [table[table["split"] == split].set_index("path") for table in whole]
    tables, notes = _by_name_where_needed(tables)
    common = reduce(lambda left, right: left.intersection(right, sort=False), [table.index for table in tables])
    if common.empty:
        raise DataError(
            f"{_listed(runs)} have no {split} image in common: no path is the same. Evaluate them on the same source: "
            "radlens evaluate MODEL SOURCE --out DIR"
        )
    for run, table in zip(runs, tables, strict=True):
        lacking = len(table) - len(common)
        if lacking:
            notes.append(
                f"{run.name} answered {len(table):,} {split} images; {lacking:,} of them were not answered by all "
                f"and are left out. Compared are the {len(common):,} that all answered."
            )
    rows = [table.loc[common] for table in tables]
    _require_same_labels(runs, rows)
    if any((table["patient"] != rows[0]["patient"]).any() for table in rows[1:]):
        notes.append(f"The runs do not tell the patients alike; they are taken as {runs[0].name} tells them.")
    matched = tuple(table.reset_index() for table in rows)
    return MatchedRuns(info, split, tuple(run.name for run in runs), matched, tuple(notes))


def _split_of(runs: Sequence[Run], split: str | None) -> str:
    held = [set(run.predictions["split"]) for run in runs]
    common = [name for name in reversed(SPLITS) if all(name in present for present in held)]
    if split is None and common:
        return common[0]
    if split in common:
        return str(split)
    said = "; ".join(f"{run.name}: {', '.join(sorted(names))}" for run, names in zip(runs, held, strict=True))
    wanted = f"the split {split!r}" if split else "a split in common"
    raise UsageError(f"The runs do not all have {wanted}. {said}.")


def _as_first(run: Run, info: DatasetInfo) -> pd.DataFrame:
    """The predictions with the classes spelled and ordered as the first run has them."""
    same = {name.casefold(): name for name in info.classes}
    if run.info.task != info.task or {name.casefold() for name in run.info.classes} != set(same):
        raise DataError(
            f"{run.name} answers the {run.info.task} classes {', '.join(run.info.classes)}, the first run the "
            f"{info.task} classes {', '.join(info.classes)}: they cannot be compared."
        )
    if run.info.classes == info.classes:
        return check_predictions(run.predictions, info)
    if info.task == "binary" and run.info.classes[1].casefold() != info.classes[1].casefold():
        raise DataError(
            f"The positive class of {run.name} is {run.info.classes[1]}, that of the first run {info.classes[1]}."
        )
    renamed = run.predictions.rename(
        columns={f"probability_{name}": f"probability_{same[name.casefold()]}" for name in run.info.classes}
    )
    for column in ("label", "predicted"):
        renamed[column] = [
            "|".join(same[part.casefold()] for part in cell.split("|") if part) for cell in renamed[column]
        ]
    return check_predictions(renamed, info)


def _by_name_where_needed(tables: list[pd.DataFrame]) -> tuple[list[pd.DataFrame], list[str]]:
    """The tables as they are where they share paths; else by file name, where each is held once."""
    if not reduce(lambda left, right: left.intersection(right), [table.index for table in tables]).empty:
        return tables, []
    named = [table.set_axis(table.index.map(_file_name)).rename_axis("path") for table in tables]
    if any(table.index.has_duplicates for table in named):
        return tables, []
    return named, ["No path is the same in all runs; the images were matched by their file names."]


def _require_same_labels(runs: Sequence[Run], rows: Sequence[pd.DataFrame]) -> None:
    for run, table in zip(runs[1:], rows[1:], strict=True):
        differs = table["label"] != rows[0]["label"]
        if differs.any():
            path = str(differs.idxmax())
            raise DataError(
                f"{int(differs.sum())} image(s) have another label in {run.name} than in {runs[0].name}, first {path}: "
                f"{table.loc[path, 'label']!r} and {rows[0].loc[path, 'label']!r}. One of the two evaluations used "
                "wrong labels; mend them and evaluate again."
            )


def _file_name(path: str) -> str:
    return path.rpartition("/")[2]


def _listed(runs: Sequence[Run]) -> str:
    return " and ".join(run.name for run in runs)
