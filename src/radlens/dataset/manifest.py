"""The manifest: which images, whose, labelled what, in which split. The one thing every source returns."""

from __future__ import annotations

import csv
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import yaml
from pydantic import BaseModel, ConfigDict, Field

from radlens.base.errors import DataError
from radlens.base.files import replacing, write_text
from radlens.base.yaml_text import dump_yaml
from radlens.dataset.class_names import fold, means_nothing_found, tell_positive
from radlens.decision import Task

logger = logging.getLogger(__name__)

SPLITS = ("train", "val", "test")
REQUIRED_COLUMNS = ("path", "label", "patient", "split")
# Of several labels, joined by |, those of which it is not known whether the image has them.
UNKNOWN_LABELS = "unknown_labels"


class DatasetInfo(BaseModel):
    """What ``dataset.yaml`` says of the whole set."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(description="Short name of the data set.")
    task: Task = Field(description="binary, multiclass or multilabel.")
    classes: tuple[str, ...] = Field(
        min_length=1, description="Class names in their fixed order; for binary the second is the positive class."
    )
    positive_reason: str = Field(
        default="", description="For binary: what told which class is positive, in words; empty: nothing did."
    )
    root: str = Field(description="Folder that relative image paths start from.")
    source: str = Field(default="", description="Where the images came from.")
    reading: str = Field(default="", description="How the source was read and what was left out, in few words.")
    licence: str = Field(default="", description="Licence of the images.")
    citation: str = Field(default="", description="What to cite.")
    simulated: bool = Field(default=False, description="True when the images are simulated, not of people.")
    overlap: Literal["error", "drop_train"] = Field(
        default="error",
        description="What to do when official splits share patients: stop, or drop those patients' images from train.",
    )
    notes: tuple[str, ...] = Field(default=(), description="What a reader must know, such as how patients were told.")


@dataclass(frozen=True)
class Manifest:
    """A table of images and what is known of them.

    Attributes:
        table: one row an image. ``path`` (relative to ``info.root`` with forward slashes, absolute, or
            ``archive.npz::array/index`` for an image inside an array); ``label`` (a class name; for multilabel
            the names joined by ``|``, empty for none); ``patient``; ``split`` (train, val, test or empty); any further
            columns (view, sex, age, site, …) are carried along.
        info: the facts of the whole set.

    Raises:
        DataError: a column is missing, a label is not among the classes, a path appears twice, or a split has another
            name.
    """

    table: pd.DataFrame
    info: DatasetInfo

    def __post_init__(self) -> None:
        missing = [name for name in REQUIRED_COLUMNS if name not in self.table.columns]
        if missing:
            raise DataError(f"The manifest of {self.info.name} lacks the column(s) {', '.join(missing)}.")
        if self.table.empty:
            raise DataError(f"The manifest of {self.info.name} lists no image.")
        table = self.table.reset_index(drop=True)
        for name in REQUIRED_COLUMNS:
            table[name] = table[name].astype(str)
        object.__setattr__(self, "table", table)
        self._check_classes()
        duplicate = table["path"][table["path"].duplicated()]
        if not duplicate.empty:
            raise DataError(
                f"{len(duplicate)} path(s) are listed more than once, first {duplicate.iloc[0]}. Each image belongs "
                "in the manifest once; for several labels an image use a multilabel column."
            )
        _check_splits(table["split"])

    def _check_classes(self) -> None:
        classes, task = self.info.classes, self.info.task
        if len(set(classes)) != len(classes):
            raise DataError(f"The classes {', '.join(classes)} are not distinct.")
        if task == "binary" and len(classes) != 2:
            raise DataError(f"A binary task has two classes, got {len(classes)}: {', '.join(classes)}.")
        if task == "multilabel":
            labels = {name for cell in self.table["label"].unique() for name in split_labels(cell)}
        else:
            labels = set(self.table["label"].unique())
        unknown = sorted(labels - set(classes))
        if unknown:
            raise DataError(f"Label(s) {', '.join(map(repr, unknown))} are not among the classes {', '.join(classes)}.")

    def require_every_class(self) -> None:
        """See that there are images to learn every class from; to be judged by, they may lack some.

        Raises:
            DataError: there is one class only, or one without an image.
        """
        classes = self.info.classes
        if self.info.task == "multiclass" and len(classes) < 2:
            notes = "".join(f" {note}" for note in self.info.notes)
            raise DataError(
                f"Only one class was found in {self.info.source or self.info.root}, {classes[0]!r}; a classifier needs "
                f"two or more: one folder for each class, or labels of several kinds.{notes}"
            )
        absent = self.absent_classes()
        if absent:
            raise DataError(f"No image of class {', '.join(absent)} was found in {self.info.root}.")

    def absent_classes(self) -> list[str]:
        """The classes that no image is of."""
        return [str(name) for name, count in self.class_counts().sum(axis=0).items() if count == 0]

    def __len__(self) -> int:
        return len(self.table)

    @property
    def locations(self) -> list[str]:
        """Where each image is read from: the path, made absolute."""
        root = str(Path(self.info.root))
        # A million Path objects would take several seconds.
        return [os.path.join(root, path) for path in self.table["path"].tolist()]  # noqa: PTH118

    def targets(self) -> npt.NDArray[np.int64]:
        """Labels as numbers: class indices, shape (images,); for multilabel 0 or 1, shape (images, classes)."""
        return number_labels(self.table["label"], self.info)

    def known_targets(self) -> npt.NDArray[np.int64]:
        """The same, with -1 for a label of which it is not known whether the image has it."""
        targets = self.targets()
        if UNKNOWN_LABELS in self.table and self.info.task == "multilabel":
            targets[number_labels(self.table[UNKNOWN_LABELS], self.info) == 1] = -1
        return targets

    def class_counts(self) -> pd.DataFrame:
        """Images per split (rows) and class (columns); an image with several labels counts in each."""
        counts = pd.crosstab(self.table["split"], self.table["label"])
        if self.info.task == "multilabel":
            # Distinct cells are few, so that they are split and not those of all images.
            holds = pd.DataFrame(
                {name: [name in split_labels(str(cell)) for cell in counts] for name in self.info.classes}
            )
            counts = pd.DataFrame(counts.to_numpy() @ holds.to_numpy(), counts.index, holds.columns)
        return counts.reindex(columns=list(self.info.classes), fill_value=0)

    def only(self, mask: npt.NDArray[np.bool_] | pd.Series) -> Manifest:
        """The manifest of the rows for which the mask is true; classes stay as they are, even when one is now empty."""
        if not np.asarray(mask).any():
            raise DataError(f"No image of {self.info.name} is left after the selection.")
        return self._with(table=self.table[np.asarray(mask)].reset_index(drop=True))

    def fully_labelled(self, splits: Sequence[str] = (*SPLITS, "")) -> Manifest:
        """Without the images of these splits of which a label is not known: answers to them cannot be judged.

        Raises:
            DataError: none is left.
        """
        if UNKNOWN_LABELS not in self.table:
            return self
        unknown = self.table[UNKNOWN_LABELS].ne("") & self.table["split"].isin(splits)
        if not unknown.any():
            return self
        note = f"{int(unknown.sum())} image(s) with a label that is not known are left out of what is judged."
        logger.warning("%s", note)
        return self.only(~unknown).with_notes(note)

    def with_split(self, split: Sequence[str] | pd.Series) -> Manifest:
        """The same images, assigned to these splits."""
        table = self.table.assign(split=np.asarray(split, dtype=object))
        table["split"] = table["split"].astype(str)
        _check_splits(table["split"])
        return self._with(table=table)

    def with_notes(self, *notes: str) -> Manifest:
        """The same manifest with more to say of it."""
        return self._with(info=self.info.model_copy(update={"notes": (*self.info.notes, *notes)}))

    def _with(self, table: pd.DataFrame | None = None, info: DatasetInfo | None = None) -> Manifest:
        """A manifest of which what was checked once, a pass over all images, still holds."""
        derived = object.__new__(Manifest)
        object.__setattr__(derived, "table", self.table if table is None else table)
        object.__setattr__(derived, "info", self.info if info is None else info)
        return derived

    def write(self, folder: Path) -> None:
        """Write ``manifest.csv`` and ``dataset.yaml`` into the folder."""
        with replacing(Path(folder) / "manifest.csv") as temporary:
            # Not quoted by itself, a carriage return within a name would read back as the end of a row.
            has_return = any(self.table[name].astype(str).str.contains("\r", regex=False).any() for name in self.table)
            self.table.to_csv(temporary, index=False, quoting=csv.QUOTE_ALL if has_return else csv.QUOTE_MINIMAL)
        text = dump_yaml(self.info.model_dump(mode="json"))
        write_text(Path(folder) / "dataset.yaml", text)

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Read what :meth:`write` wrote.

        Raises:
            DataError: one of the two files is missing or cannot be read.
        """
        folder = Path(folder)
        try:
            info = DatasetInfo.model_validate(yaml.safe_load((folder / "dataset.yaml").read_text(encoding="utf-8")))
            table = pd.read_csv(folder / "manifest.csv", dtype=str, keep_default_na=False)
        except (OSError, ValueError, yaml.YAMLError) as error:
            raise DataError(f"{folder} holds no readable manifest.csv and dataset.yaml: {error}") from error
        return cls(table, info)


def _check_splits(split: pd.Series) -> None:
    unknown = sorted(set(split.unique()) - {*SPLITS, ""})
    if unknown:
        raise DataError(f"Unknown split(s) {', '.join(unknown)}; expected train, val, test or an empty cell.")


def number_labels(cells: pd.Series, info: DatasetInfo) -> npt.NDArray[np.int64]:
    """Label cells as numbers: class indices, shape (images,); for multilabel 0 or 1, shape (images, classes)."""
    if info.task != "multilabel":
        return np.asarray(cells.map({name: number for number, name in enumerate(info.classes)}), dtype=np.int64)
    codes, distinct = pd.factorize(cells)
    present = [[name in labels for name in info.classes] for labels in map(split_labels, distinct)]
    return np.asarray(present, dtype=np.int64).reshape(len(distinct), len(info.classes))[codes]


def split_labels(cell: str) -> list[str]:
    """The names in a multilabel cell.

    >>> split_labels("effusion|mass"), split_labels("")
    (['effusion', 'mass'], [])
    """
    return [name for name in cell.split("|") if name]


def order_classes(names: Sequence[str], positive: str | None = None) -> tuple[str, ...]:
    """A fixed order of classes: the ones that mean "nothing found" first, the others alphabetically.

    Of two classes the positive one comes last, as far as their names tell it.

    Args:
        names: the distinct class names.
        positive: for two classes, the name that shall be the positive one.

    Raises:
        DataError: ``positive`` is not one of two classes.

    >>> order_classes(["PNEUMONIA", "NORMAL"]), order_classes(["normal", "abnormal"])
    (('NORMAL', 'PNEUMONIA'), ('normal', 'abnormal'))
    """
    ordered = sorted(names, key=lambda name: (not means_nothing_found(name), name.casefold(), name))
    if positive is None or len(ordered) == 1:
        told = tell_positive(ordered) if len(ordered) == 2 else None
        return tuple(sorted(ordered, key=lambda name: name == told.name)) if told else tuple(ordered)
    match = [name for name in ordered if name == positive] or [name for name in ordered if _same(name, positive)]
    if len(ordered) != 2 or not match:
        raise DataError(f"The positive class {positive!r} must be one of two classes; found {', '.join(ordered)}.")
    return tuple(sorted(ordered, key=lambda name: name == match[0]))


def _same(name: str, given: str) -> bool:
    """Whether a setting means this class; YAML makes one and the same value of yes, true and on."""
    names = {fold(name.strip()), fold(given.strip())}
    return len(names) == 1 or names <= {"yes", "true", "on", "y"} or names <= {"no", "false", "off", "n"}


def task_of(classes: Sequence[str]) -> Task:
    """Binary for two classes, else multiclass."""
    return "binary" if len(classes) == 2 else "multiclass"
