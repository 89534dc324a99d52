"""The table of pictures that were written out for another program, and its answers matched to them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from radlens.assessment.changed_answers import NamedChange
from radlens.assessment.framing_answers import Change
from radlens.assessment.outside_manifest import agree_on_labels
from radlens.assessment.outside_predictions import OutsidePredictions, match_images
from radlens.assessment.stress_records import Suite
from radlens.base.errors import DataError, RadlensError
from radlens.base.files import write_text
from radlens.dataset.manifest import Manifest
from radlens.dataset.sources.table_cells import name_rows
from radlens.imaging.framing import SUITE

TABLE_FILE, PLAN_FILE = "stress_images.csv", "stress_images.json"
_NAMED = 5
_TOKEN = re.compile(r"\d+-([0-9a-f]{8})-[\w-]+\.png")


class PlannedChange(BaseModel):
    """A change of which pictures are written."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    suite: Suite = Field(description="framing or quality.")
    kind: str = Field(description="What is changed.")
    strength: float = Field(description="How much.")
    name: str = Field(description="Both in words.")
    counted: bool = Field(description="Whether a verdict counts it.")


class ImagesPlan(BaseModel):
    """What pictures a folder is to hold; written before the first of them, so that a stopped writing can go on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    radlens_version: str = Field(description="The radlens that wrote them.")
    token: str = Field(description="Eight digits in all file names, which differ with images, seed and size.")
    seed: int = Field(description="What the sample and all random changes follow from.")
    longest: int = Field(description="The longest side that a picture may have, in pixels.")
    split: str = Field(description="Of the source: train, val, test, or all.")
    images: int = Field(description="Images that are changed.")
    changes: tuple[PlannedChange, ...] = Field(description="The changes of each, in the order of the rows.")

    def of_suite(self, suite: Suite) -> list[Change]:
        """The changes of one suite, in order."""
        return [
            NamedChange(each.kind, each.strength, each.name, each.counted)
            for each in self.changes
            if each.suite == suite
        ]


@dataclass(frozen=True)
class StressImages:
    """A folder of pictures for another program.

    Attributes:
        folder: where it lies.
        plan: what was written.
        originals: the images, unchanged, under their paths in the source.
        paths: of the pictures, shape (images, 1 + changes), relative to the folder; the unchanged ones first.
    """

    folder: Path
    plan: ImagesPlan
    originals: Manifest
    paths: npt.NDArray[np.str_]

    @property
    def pictures(self) -> Manifest:
        """Every picture with the label and patient of its image, row by row of ``paths``."""
        table = self.originals.table.loc[:, ["label", "patient"]]
        table = table.loc[np.repeat(np.arange(len(table)), self.paths.shape[1])].reset_index(drop=True)
        table.insert(0, "path", self.paths.ravel())
        return Manifest(table.assign(split="test"), self.originals.info.model_copy(update={"root": str(self.folder)}))


def picture_path(number: int, token: str, change: PlannedChange | None) -> str:
    """Where a picture lies in its folder; every file name occurs once, so that a table may give that alone.

    >>> picture_path(3, "00c0ffee", None)
    'pictures/0003/0003-00c0ffee-unchanged.png'
    """
    name = "unchanged" if change is None else f"{change.suite}-{change.name}"
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    return f"pictures/{number:04d}/{number:04d}-{token}-{slug}.png"


def write_plan(plan: ImagesPlan, folder: Path) -> None:
    """Write ``stress_images.json``."""
    write_text(folder / PLAN_FILE, plan.model_dump_json(indent=2) + "\n")


def read_plan(folder: Path) -> ImagesPlan:
    """Read what :func:`write_plan` wrote.

    Raises:
        DataError: there is none, or it is damaged.
    """
    try:
        return ImagesPlan.model_validate_json((folder / PLAN_FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(
            f"{folder} holds no pictures written for another program: {PLAN_FILE} is missing. Write them: "
            "radlens stress --write-images SOURCE --out DIR"
        ) from None
    except (OSError, ValidationError, ValueError) as error:
        raise DataError(f"{folder / PLAN_FILE} cannot be read: {error}. Write the pictures again.") from error


def read_stress_images(folder: Path) -> StressImages:
    """Read a folder of pictures for another program.

    Raises:
        DataError: it is none, it is not complete, it is damaged, or its changes of framing are not those of this
            radlens.
    """
    plan = read_plan(folder)
    if not (folder / TABLE_FILE).is_file():
        raise DataError(
            f"The pictures in {folder} are not complete: {TABLE_FILE} is missing, which is written last. Go on with: "
            "radlens stress --write-images SOURCE --out DIR --resume"
        )
    known = [(change.name, change.counted) for change in SUITE]
    if [(change.name, change.counted) for change in plan.of_suite("framing")] != known:
        raise DataError(
            f"The pictures in {folder} were written by radlens {plan.radlens_version}, whose changes of framing are "
            "not those of this radlens. Write them again, and let the program answer them."
        )
    try:
        table = pd.read_csv(folder / TABLE_FILE, dtype=str, keep_default_na=False)
        originals = Manifest.read(folder)
    except (OSError, ValueError, RadlensError) as error:
        raise DataError(f"The pictures in {folder} cannot be used: {error}") from error
    expected = [
        picture_path(number, plan.token, change) for number in range(plan.images) for change in (None, *plan.changes)
    ]
    if "path" not in table.columns or table["path"].tolist() != expected or len(originals) != plan.images:
        raise DataError(
            f"{folder / TABLE_FILE} is damaged or was changed: {len(expected):,} rows were expected, one a picture, in "
            f"the order in which they were written; got {len(table):,}. Write the pictures again."
        )
    return StressImages(folder, plan, originals, np.array(expected).reshape(plan.images, -1))


def match_answers(outside: OutsidePredictions, images: StressImages, label: str) -> list[npt.NDArray[np.float64]]:
    """The answers to every picture: class probabilities, shape (images, classes), unchanged and then under each change.

    Args:
        outside: what the program answered.
        images: what it was asked.
        label: the column in which the table may say the true class.

    Raises:
        DataError: a picture has no row or several, or a row is of pictures of another seed, or holds no probabilities.
    """
    _require_same_seed(outside, images)
    pictures = images.pictures
    position = match_images(outside, pictures)
    missing = np.setdiff1d(np.arange(len(pictures)), position.to_numpy())
    if len(missing):
        listed = "\n".join(f"  - {path}" for path in pictures.table["path"].iloc[missing[:_NAMED]])
        raise DataError(
            f"{outside.file} has no row for {len(missing):,} of {len(pictures):,} pictures, first:\n{listed}\n"
            "Left out, they would be left out by choice: let the program answer every picture."
        )
    agree_on_labels(outside, pictures.table["label"].to_numpy()[position].tolist(), label, position.index)
    scores = outside.probabilities(pictures.info).loc[position.index]
    ordered = scores.iloc[np.argsort(position.to_numpy())].to_numpy(dtype=np.float64)
    return list(ordered.reshape(*images.paths.shape, -1).transpose(1, 0, 2))


def _require_same_seed(outside: OutsidePredictions, images: StressImages) -> None:
    plan = images.plan
    seeds = outside.column("seed")
    if seeds is not None:
        other = seeds != str(plan.seed)
        if other.any():
            raise DataError(
                f"{outside.file}: {name_rows(other, seeds.index)} ({int(other.sum())} in all) are of pictures written "
                f"with seed {seeds[other].iloc[0]!r}; those in {images.folder} have seed {plan.seed}. Let the program "
                "answer these, or name the folder that it answered."
            )
    tokens = outside.paths.map(_token_of)
    other = (tokens != "") & (tokens != plan.token)
    if other.any():
        raise DataError(
            f"{outside.file}: {name_rows(other, tokens.index)} ({int(other.sum())} in all) are of pictures written at "
            f"another time, with another seed, size or sample, first {outside.paths[other].iloc[0]!r}; those in "
            f"{images.folder} have {plan.token} in their names. Let the program answer these, or name the folder that "
            "it answered."
        )


def _token_of(path: str) -> str:
    match = _TOKEN.fullmatch(path.rpartition("/")[2])
    return match[1] if match else ""


def table_of(images: StressImages, details: Sequence[Sequence[dict[str, str]]]) -> pd.DataFrame:
    """What ``stress_images.csv`` holds: one row a picture.

    Args:
        images: the pictures.
        details: for each image, and for the unchanged picture and each change of it, window and parameters.
    """
    rows = []
    for number, original in enumerate(images.originals.table.itertuples(index=False)):
        for place, change in enumerate((None, *images.plan.changes)):
            rows.append(
                {
                    "path": images.paths[number, place],
                    "original": original.path,
                    "patient": original.patient,
                    "label": original.label,
                    "suite": "unchanged" if change is None else change.suite,
                    "kind": "unchanged" if change is None else change.kind,
                    "change": "unchanged" if change is None else change.name,
                    "counted": True if change is None else change.counted,
                    "seed": images.plan.seed,
                    **details[number][place],
                }
            )
    return pd.DataFrame(rows)
