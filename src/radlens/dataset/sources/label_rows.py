"""Which row of a CSV labels which DICOM file: by its path, or by an identifier of its header as a pseudonym."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from radlens.base.errors import DataError
from radlens.config import DicomKey
from radlens.dataset.pseudonym import Kind, Pseudonyms
from radlens.dataset.sources.header_columns import Described
from radlens.dataset.sources.image_names import SEVERAL_IMAGES, resolve_names
from radlens.dataset.sources.table_cells import name_rows

logger = logging.getLogger(__name__)

IDENTIFIERS: tuple[Kind, ...] = ("sop_instance", "series", "study", "accession", "patient")


class FolderImage(NamedTuple):
    """A file that may be an image: what may be written of it, and two further identifiers as pseudonyms."""

    path: str
    described: Described = Described()
    sop_instance: str = ""
    accession: str = ""
    telling: bool = False

    def identifier(self, kind: Kind) -> str:
        """The pseudonym that a row may name the image by; empty where the header does not say."""
        return str(getattr(self if kind in ("sop_instance", "accession") else self.described, kind))


@dataclass(frozen=True)
class Match:
    """The key under which rows and images are brought together.

    Attributes:
        key: path, or the kind of identifier.
        rows: the key of each row, as the images have it; by row number.
        images: the key of each image; empty for none.
        several: for paths, which rows fit several images.
    """

    key: str
    rows: pd.Series
    images: pd.Series
    several: npt.NDArray[np.bool_] | None = None

    @property
    def found(self) -> pd.Series:
        """Which rows name an image."""
        return self.rows.isin(set(self.images) - {""})

    def assign(self, columns: pd.DataFrame, file: Path) -> tuple[pd.Series, str]:
        """The row number of each image (missing where no row names it), and a note on how many came together.

        Args:
            columns: what the manifest takes from each row; rows of one key must agree on label, split and patient.
            file: the CSV, for messages; they name rows, never keys, which may be patients' identifiers.

        Raises:
            DataError: rows of one key differ, or a file name is that of several images.
        """
        self._require_one_image(file)
        self._require_agreement(columns, file)
        first = self.rows[self.found].drop_duplicates()
        row_of = self.images.map(pd.Series(first.index, index=first.to_numpy(), dtype=object))
        without, lonely = ~self.found, int(row_of.isna().sum())
        if without.any():
            named = name_rows(without, self.rows.index)
            logger.warning("%d row(s) of %s name no image: %s.", int(without.sum()), file.name, named)
        if lonely:
            logger.warning("%d DICOM image(s) have no row in %s and are left out.", lonely, file.name)
        note = (
            f"{len(row_of) - lonely} images got their label from {file.name} by {self.key.replace('_', ' ')}; {lonely} "
            f"images without a row and {int(without.sum())} rows without an image were left out."
        )
        return row_of, note

    def _require_agreement(self, columns: pd.DataFrame, file: Path) -> None:
        decisive = [name for name in ("label", "split", "patient") if name in columns.columns]
        decisive_cells = columns[decisive].assign(key=self.rows)[self.found].drop_duplicates()
        differing = decisive_cells[decisive_cells["key"].duplicated(keep=False)]
        if differing.empty:
            return
        same = self.rows == differing["key"].iloc[0]
        raise DataError(
            f"{file}: {differing['key'].nunique()} image key(s) stand in several rows that differ in "
            f"{' or '.join(decisive)}; first, with the same {self.key.replace('_', ' ')}, "
            f"{name_rows(same, self.rows.index)}. Let such rows agree; several labels of one image go into one cell "
            "joined by |, or into several label columns."
        )

    def _require_one_image(self, file: Path) -> None:
        if self.several is not None and self.several.any():
            raise DataError(
                f"{file}: {name_rows(self.several, self.rows.index)}: the file name is that of several images in the "
                f"folder ({int(self.several.sum())} such row(s) in all). Give the path from the folder, with suffix."
            )


def match_rows(
    keys: pd.Series, images: Sequence[FolderImage], wanted: DicomKey, pseudonyms: Pseudonyms, file: Path
) -> Match:
    """Bring rows and images together.

    Args:
        keys: the key cell of each row.
        images: of the folder.
        wanted: path or a kind of identifier; auto: the first of these under which every row finds an image, else the
            one under which most do.
        pseudonyms: with the salt that the images' identifiers were hashed with.
        file: the CSV, for messages.

    Raises:
        DataError: no row names an image; for ``auto``, fewer than half of the rows do under any key.
    """
    tried = [_by_path(keys, images)] if wanted in ("auto", "path") else []
    tried += [_by(kind, keys, images, pseudonyms) for kind in IDENTIFIERS if wanted in ("auto", kind)]
    complete = [match for match in tried if match.found.all()]
    best = complete[0] if complete else max(tried, key=lambda match: int(match.found.sum()))
    count = int(best.found.sum())
    if count == 0 or (wanted == "auto" and 2 * count < len(keys)):
        counts = ", ".join(f"{match.key} {int(match.found.sum())}" for match in tried)
        raise DataError(
            f"{file}: of {len(keys)} rows, so many name one of {len(images)} images by the column {keys.name!r}: "
            f"{counts}. Say which column names the image (data.dicom.key_column) and what it holds (data.dicom.key), "
            "and see that the folder is the right one."
        )
    if wanted == "auto":
        logger.info("The column %r of %s is read as the images' %s.", keys.name, file.name, best.key.replace("_", " "))
    return best


def _by(kind: Kind, keys: pd.Series, images: Sequence[FolderImage], pseudonyms: Pseudonyms) -> Match:
    hashed = keys.map({key: pseudonyms.of(kind, key) for key in keys.unique()})
    return Match(kind, hashed, pd.Series([image.identifier(kind) for image in images], dtype=object))


def _by_path(keys: pd.Series, images: Sequence[FolderImage]) -> Match:
    """By the path, its end, or the file name, as :func:`resolve_names` tells."""
    paths = pd.Series([image.path for image in images], dtype=object)
    positions = resolve_names(keys.tolist(), paths.tolist()).positions
    rows = pd.Series([paths[place] if place >= 0 else "" for place in positions], index=keys.index, dtype=object)
    return Match("path", rows, paths, positions == SEVERAL_IMAGES)
