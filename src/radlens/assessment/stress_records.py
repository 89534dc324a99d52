"""The evidence of ``radlens stress`` as it is written down: what changes a model's mind and must not."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from radlens.base.version import __version__
from radlens.decision import Task
from radlens.runtime.framing_records import TOLERATED_LOSS, ChangeEvidence, Estimate, FramingEvidence, Verdict
from radlens.runtime.record_base import Record

Suite = Literal["framing", "quality"]
_WORST_FIRST: tuple[Verdict, ...] = ("fail", "warn", "pass")


class QualityFlip(Record):
    """An image whose right decision a counted change turns into a wrong one."""

    path: str = Field(description="As the manifest has it.")
    label: str = Field(description="The true label.")
    predicted: str = Field(description="What is answered under the change.")
    change: str = Field(description="The change in words.")
    asked: str = Field(
        description="What the probabilities are of: for binary the positive class, for multiclass the true one, for "
        "multilabel the label whose answer turned."
    )
    before: float = Field(description="Probability of it on the unchanged image.")
    after: float = Field(description="The same under the change.")


class QualityEvidence(Record):
    """How a model's answers depend on exposure, quality and position of the images."""

    unchanged: ChangeEvidence = Field(description="The images as they are.")
    changes: tuple[ChangeEvidence, ...] = Field(description="Under each change of the suite.")
    worst: str = Field(description="The counted change with the lowest balanced accuracy.")
    worst_balanced_accuracy: Estimate = Field(description="Balanced accuracy under it.")
    loss: Estimate = Field(
        description="Balanced accuracy lost by it; its interval holds for all counted changes together (Bonferroni)."
    )
    verdict: Verdict = Field(
        description="warn: a class has fewer than 20 images, or the loss exceeds .05 and its interval does not; fail: "
        "its interval does too; pass: neither."
    )
    flips: tuple[QualityFlip, ...] = Field(description="Images whose right answer a counted change made wrong.")

    @property
    def worst_change(self) -> ChangeEvidence:
        """The answers under the worst change."""
        return next(change for change in self.changes if change.name == self.worst)

    @property
    def losing(self) -> tuple[str, ...]:
        """The kinds of change of which a counted one loses more than may be."""
        least = self.unchanged.balanced_accuracy - TOLERATED_LOSS
        # Shares of few images differ by rounding where they are the same.
        losing = (one.kind for one in self.changes if one.counted and one.balanced_accuracy < least - 1e-9)
        return tuple(dict.fromkeys(losing))


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
