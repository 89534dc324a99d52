"""What an audit says: findings with their severity, and the tables behind them."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from radlens.base.files import write_text
from radlens.dataset.audit.distributions import Distribution
from radlens.dataset.audit.drift import Drift
from radlens.dataset.audit.name_families import FamiliesOfLabel
from radlens.dataset.audit.shortcuts import Shortcut
from radlens.decision import Task

Severity = Literal["block", "warn", "note"]
Check = Literal[
    "class_imbalance",
    "conflicting_labels",
    "depth",
    "drift",
    "duplicate",
    "file_name_families",
    "flat_pictures",
    "header_faults",
    "leak",
    "numbered_series",
    "patients_unknown",
    "polarity",
    "presentation_intent",
    "shortcut_border",
    "shortcut_facts",
    "shortcut_framing",
    "shortcut_thumbnail",
    "split_lacks_class",
    "split_too_small",
    "unreadable_files",
]
# Characters: what fits two lines of a terminal.
_HEADLINE = 200
CHECKS: tuple[str, ...] = get_args(Check)


def ways_out(splits: Iterable[str]) -> str:
    """How to go on where a patient, or copies of an image, are in several splits; each way mends both.

    >>> ways_out(["val", "test"])
    'Leave them out of one.'
    """
    present = set(splits)
    if "train" not in present:
        return "Leave them out of one."
    keeper = "test" if "test" in present else "val"
    return (
        f"Drop those images from all splits but {keeper} (--set data.split.overlap=drop_train), or split all images "
        "again, patients and copies together (--set data.split.official=false)."
    )


class Finding(BaseModel):
    """One thing that the audit found.

    The severities: ``block`` for what makes results wrong, ``warn`` for what may mislead, ``note`` for what is good
    to know.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    check: Check = Field(description="Name of the check, such as leak; what --allow takes.")
    severity: Severity = Field(description="block: the run must stop; warn: results may mislead; note: good to know.")
    message: str = Field(description="What was found and what to do, in words.")
    count: int = Field(description="How many images, patients or classes it concerns.")
    examples: tuple[str, ...] = Field(default=(), description="The first of them, in words.")
    groups: tuple[tuple[str, ...], ...] = Field(
        default=(), description="Manifest paths of images to show side by side, such as those of one duplicate."
    )
    titles: tuple[str, ...] = Field(
        default=(), description="What each of ``groups`` shows, in words; empty where they are copies or the like."
    )

    @property
    def headline(self) -> str:
        """What was found, in one line; the page has the rest."""
        return textwrap.shorten(
            re.split(r"(?<=\w\w[\w%)\]])[.:;] +(?=[A-Z])", self.message)[0], _HEADLINE, placeholder=" …"
        )


class Audit(BaseModel):
    """All that the audit found, the most severe first."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(description="Name of the data set.")
    task: Task
    classes: tuple[str, ...] = Field(description="Class names in their order.")
    images: int = Field(description="Images listed in the manifest.")
    patients: int = Field(description="Patients listed in the manifest.")
    unreadable: int = Field(description="Images that could not be read.")
    opened: bool = Field(default=True, description="Whether the images were read, and not their table alone.")
    counts: dict[str, dict[str, int]] = Field(
        description="Readable images per split and class; an image with several labels counts in each."
    )
    split_images: dict[str, int] = Field(description="Readable images per split.")
    split_patients: dict[str, int] = Field(description="Patients with readable images per split.")
    findings: tuple[Finding, ...] = Field(default=(), description="Findings, the most severe first.")
    shortcuts: tuple[Shortcut, ...] = Field(
        default=(), description="How well the label is told without looking at the anatomy."
    )
    name_families: tuple[FamiliesOfLabel, ...] = Field(
        default=(), description="Labels whose images have file names of several forms, and whether these differ."
    )
    drift: tuple[Drift, ...] = Field(default=(), description="How the splits differ, fact by fact.")
    distributions: tuple[Distribution, ...] = Field(
        default=(), description="Sizes and intensities of the images, per split and class."
    )
    audited: str = Field(
        default="",
        description="SHA-256 of what was audited: paths, contents, labels, patients and splits. A run that is gone on "
        "with uses its audit again while this is the same.",
    )
    allowed: tuple[str, ...] = Field(default=(), description="Checks whose blocking findings the user allowed.")

    @property
    def blocks(self) -> tuple[Finding, ...]:
        """The findings for which a run must stop: those that block and were not allowed."""
        return tuple(
            finding for finding in self.findings if finding.severity == "block" and finding.check not in self.allowed
        )

    def write(self, folder: Path) -> None:
        """Write ``audit.json`` into the folder."""
        write_text(Path(folder) / "audit.json", self.model_dump_json(indent=2) + "\n")
