"""The evidence of ``radlens stress`` as it is written down: what changes a model's mind and must not."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from radlens.base.version import __version__
from radlens.decision import Task
from radlens.runtime.framing_records import (
    FlippedImage,
    FlippedProbability,
    FramingEvidence,
    SuiteEvidence,
    Verdict,
)
from radlens.runtime.record_base import Record

Suite = Literal["framing", "quality"]
_WORST_FIRST: tuple[Verdict, ...] = ("fail", "warn", "pass")


class QualityFlip(FlippedProbability, FlippedImage):
    """An image whose right decision a counted change of exposure, quality or position turns into a wrong one."""


class QualityEvidence(SuiteEvidence):
    """How a model's answers depend on exposure, quality and position of the images."""

    flips: tuple[QualityFlip, ...] = Field(description="Images whose right answer a counted change made wrong.")


class StressRecord(Record):
    """All that ``radlens stress`` found, and of what."""

    radlens_version: str = Field(default=__version__, description="The radlens that asked.")
    answered_by: Literal["model", "table"] = Field(description="A model of radlens, or a table of another program.")
    name: str = Field(description="Of the model's folder, or of the table's file.")
    sha256: str = Field(description="Of the model's weights, or of the table.")
    data: str = Field(description="Name of the data set that the images are of.")
    simulated: bool = Field(description="True when the images are simulated, not of people.")
    split: str = Field(description="train, val, test, or all.")
    task: Task = Field(description="binary, multiclass or multilabel.")
    classes: tuple[str, ...] = Field(description="Class names in their order.")
    threshold: float = Field(description="The operating point; 0.5 for multiclass, which has none.")
    seed: int = Field(description="What the sample and all random changes follow from.")
    left_out: int = Field(description="Images left out because the model was made with them, of those looked at.")
    guesses: bool = Field(
        description="Whether the unchanged images are answered hardly better than by guessing: nothing to lose."
    )
    notes: tuple[str, ...] = Field(default=(), description="What the reader must know.")
    framing: FramingEvidence = Field(description="What changes of framing do.")
    quality: QualityEvidence = Field(description="What changes of exposure, quality and position do.")
    verdict: Verdict = Field(description="The worse of the two; at best warn where the model guesses.")

    def suites(self) -> dict[Suite, FramingEvidence | QualityEvidence]:
        """The evidence of both suites, in the order in which it is shown."""
        return {"framing": self.framing, "quality": self.quality}


def worse(verdicts: tuple[Verdict, ...]) -> Verdict:
    """The worst of some verdicts.

    >>> worse(("pass", "warn"))
    'warn'
    """
    return min(verdicts, key=_WORST_FIRST.index)
