"""The pictures of the audit: duplicates, leaks, conflicting labels and label suspects, side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from radlens.dataset.audit import Audit
from radlens.reporting.content import Pixels
from radlens.reporting.embed import Picture
from radlens.reporting.figures.style import SPLIT_NAMES
from radlens.reporting.gallery import Group, Tile, file_name, picture_of
from radlens.reporting.sections.audit_wording import SEVERITIES, by_severity, check_name

ReadPixels = Callable[[str], Pixels]

_LONGEST = 200
# The checks whose sets are of one image or patient: there, what differs is what is wrong.
_COPIES = ("leak", "duplicate", "conflicting_labels")
_NO_FINDING = "no finding"
_SPLIT_NAMES = SPLIT_NAMES | {"": "unsplit"}


@dataclass(frozen=True)
class Limits:
    """How much of a gallery is shown; the rest is counted.

    Attributes:
        sets: for each finding.
        pictures: in one set.
        whole: pictures in all sets together.
    """

    sets: int
    pictures: int = 8
    whole: int = 300


# A page of its own has room; in a report the audit must leave some to the rest.
PAGE_LIMITS = Limits(sets=60)
REPORT_LIMITS = Limits(sets=6, pictures=6, whole=72)
MOST_SUSPECTS = 48


@dataclass(frozen=True)
class Fact:
    """A line under a picture, and whether the pictures of the set differ in it."""

    name: str
    text: str
    differs: bool


@dataclass(frozen=True)
class SetTile:
    """A picture of a set with label, split and patient; without the picture, why there is none."""

    picture: Picture | None
    alt: str
    name: str
    facts: tuple[Fact, ...]
    missing: str = ""


@dataclass(frozen=True)
class PictureSet:
    """Pictures that belong together, such as one image and its copies."""

    title: str
    tiles: tuple[SetTile, ...]
    left_out: int


@dataclass(frozen=True)
class Gallery:
    """The sets of one finding."""

    anchor: str
    title: str
    message: str
    tone: str
    count: int
    sets: tuple[PictureSet, ...]

    @property
    def left_out(self) -> int:
        """Sets that are not shown."""
        return self.count - len(self.sets)


def galleries(audit: Audit, table: pd.DataFrame, read_pixels: ReadPixels | None, limits: Limits) -> list[Gallery]:
    """The pictures of each finding that names groups of them, in the order of the findings.

    Args:
        audit: what was found.
        table: the manifest's table: ``path, label, patient, split``.
        read_pixels: gives the pixels of a manifest path; a picture that it cannot give is said to be missing.
        limits: how much is shown.
    """
    rows = _wanted(audit, table)
    numbered = [(number, finding) for number, finding in enumerate(by_severity(audit)) if finding.groups]
    room, galleries = limits.whole, []
    for place, (number, finding) in enumerate(numbered):
        # What the findings before left of their share is the others'.
        share = room // (len(numbered) - place)
        sets: list[PictureSet] = []
        for group in finding.groups[: limits.sets]:
            shown = group[: limits.pictures]
            if len(shown) > share:
                break
            share, room = share - len(shown), room - len(shown)
            marked = finding.check in _COPIES
            tiles = _tiles([rows.get(path, {"path": path}) for path in shown], read_pixels, marked)
            title = f"{len(sets) + 1}. {_set_title([rows[path] for path in group if path in rows], len(group))}"
            if len(finding.titles) == len(finding.groups):
                title = f"{len(sets) + 1}. {finding.titles[len(sets)]}"
            sets.append(PictureSet(title, tuple(tiles), len(group) - len(shown)))
        tone = SEVERITIES[finding.severity][1]
        title, count = check_name(finding.check), len(finding.groups)
        labels = {str(rows[path]["label"]) for group in finding.groups for path in group if path in rows}
        if len(labels) == 1 and sum(other.check == finding.check for _, other in numbered) > 1:
            title += f" of {labels.pop()}"
        galleries.append(Gallery(anchor(number), title, finding.message, tone, count, tuple(sets)))
    return galleries


def anchor(number: int) -> str:
    """Where on the page the pictures stand of the finding with this place in :func:`by_severity`."""
    return f"audit-pictures-{number}"


def suspect_group(
    suspects: pd.DataFrame, table: pd.DataFrame, read_pixels: ReadPixels | None, most: int = MOST_SUSPECTS
) -> Group:
    """Images whose label may be wrong, the most doubtful first.

    Args:
        suspects: columns ``path, given, suggested, self_confidence`` in the order to show them in.
        table: the manifest's table.
        read_pixels: gives the pixels of a manifest path.
        most: the most pictures shown.
    """
    split_of = dict(zip(table["path"], table["split"], strict=True))
    tiles = []
    for row in suspects.head(most).to_dict("records"):
        path = str(row["path"])
        given, suggested = str(row["given"]) or _NO_FINDING, str(row["suggested"]) or _NO_FINDING
        picture, missing = picture_of(path, read_pixels, _LONGEST)
        confidence = f"{row['self_confidence']:.2f}"
        lines = [f"{given} → {suggested}?", f"self-confidence {confidence}"]
        lines += [SPLIT_NAMES[split] for split in [split_of.get(path)] if split in SPLIT_NAMES]
        alt = f"Labelled {given}, by the model's scores rather {suggested} (self-confidence {confidence}): {path}"
        tiles.append(Tile(picture, alt, file_name(path), tuple(lines), missing))
    left_out = len(suspects) - len(tiles)
    return Group(_counted(len(suspects)), tuple(tiles), left_out=left_out, listed_in="label_suspects.csv")


def _wanted(audit: Audit, table: pd.DataFrame) -> dict[str, Mapping[str, Any]]:
    """The manifest's rows of the paths that the findings name."""
    paths = {path for finding in audit.findings for group in finding.groups for path in group}
    columns = ["path", "label", "patient", "split"]
    part = table.loc[table["path"].isin(paths), columns]
    return {row[0]: dict(zip(columns, row, strict=True)) for row in part.itertuples(index=False, name=None)}


def _tiles(rows: Sequence[Mapping[str, Any]], read_pixels: ReadPixels | None, marked: bool) -> list[SetTile]:
    differing = {
        column
        for column in ("label", "split", "patient")
        if marked and len({row[column] for row in rows if column in row}) > 1
    }
    tiles = []
    for row in rows:
        path = str(row["path"])
        facts = [
            Fact(name, text, column in differing)
            for column, name, text in (
                ("label", "Label", str(row.get("label", "not in the manifest")) or _NO_FINDING),
                ("split", "Split", _split_name(row)),
                ("patient", "Patient", _patient_name(row)),
            )
            if text
        ]
        picture, missing = picture_of(path, read_pixels, _LONGEST)
        said = ", ".join(f"{fact.name.lower()} {fact.text}" for fact in facts)
        tiles.append(SetTile(picture, f"{path}: {said}", file_name(path), tuple(facts), missing))
    return tiles


def _set_title(rows: Sequence[Mapping[str, Any]], count: int) -> str:
    parts = [f"{count:,} image{'' if count == 1 else 's'}"]
    labels = list(dict.fromkeys(str(row["label"]) or _NO_FINDING for row in rows))
    present = {str(row["split"]) for row in rows}
    splits = [_SPLIT_NAMES[split] for split in _SPLIT_NAMES if split in present]
    patients = {str(row["patient"]) for row in rows}
    if len(labels) > 1:
        parts.append(f"labelled {_listed(labels)}")
    if len(splits) > 1:
        parts.append(f"in {_listed(splits)}")
    if len(patients) > 1:
        parts.append(f"of {len(patients):,} patients")
    elif rows and count > 1 and _patient_name(rows[0]):
        parts.append("of one patient")
    return ", ".join(parts)


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]


def _split_name(row: Mapping[str, Any]) -> str:
    return _SPLIT_NAMES[str(row["split"])] if "split" in row else ""


def _patient_name(row: Mapping[str, Any]) -> str:
    """The patient; empty where it is not known, and the image stands for it."""
    patient = str(row.get("patient", ""))
    return "" if patient == row["path"] else patient


def _counted(count: int) -> str:
    return f"{count:,} image{'' if count == 1 else 's'} whose label may be wrong"
