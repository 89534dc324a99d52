"""The evidence of the framing suite as it is written down: how a model's answers depend on the framing of images."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from radlens.runtime.record_base import Figure, Record

Verdict = Literal["pass", "warn", "fail"]
# The loss of balanced accuracy under the worst change that a model may have.
TOLERATED_LOSS = 0.05
# With fewer images of a class a model is said neither to pass nor to fail.
FEWEST_OF_A_CLASS = 20


class Estimate(Figure):
    """A figure that is always defined, with its confidence interval."""

    value: float
    low: float
    high: float


class GroupAnswers(Record):
    """The answers to the images of one class."""

    images: int = Field(description="How many.")
    recall: float = Field(description="Share answered rightly; of the positive class sensitivity, else specificity.")
    flipped: float = Field(description="Share whose decision is not that on the unchanged image.")
    shift: float = Field(description="Median change of the logit.")
    quartiles: tuple[float, float, float] = Field(
        description="Of the logit: for binary of the positive class, for multiclass of this class, for multilabel of "
        "this label."
    )


class ChangeEvidence(Record):
    """The answers under one change of framing."""

    kind: str = Field(description="Kind of change, such as 'top and bottom'; 'unchanged' for the images as they are.")
    strength: float = Field(description="Share cut off each side, ratio of a stretch, or enlargement of the window.")
    name: str = Field(description="Both in words.")
    counted: bool = Field(description="Whether the change keeps the label for certain, so that the verdict counts it.")
    balanced_accuracy: float = Field(description="Mean of the recalls.")
    groups: dict[str, GroupAnswers] = Field(
        description="By class; for multilabel by label, present and absent, such as 'effusion' and 'no effusion'."
    )


class FlippedImage(Record):
    """An image whose right decision a counted change turns into a wrong one."""

    path: str = Field(description="As the manifest has it.")
    label: str = Field(description="The true label.")
    predicted: str = Field(description="What is answered under the change.")
    change: str = Field(description="The change in words.")


class FlippedProbability(Record):
    """What the model thought of the image before and after."""

    asked: str = Field(
        description="What the probabilities are of: for binary the positive class, for multiclass the true one, for "
        "multilabel the label whose answer turned."
    )
    before: float = Field(description="Probability of it on the unchanged image.")
    after: float = Field(description="The same under the change.")


class _Window(Record):
    window: tuple[float, float, float, float] = Field(
        description="Top, bottom, left and right edge of the window that is shown, as shares of height and width."
    )


# In the files the fields of the last base stand first.
class Flip(FlippedProbability, _Window, FlippedImage):
    """An image whose right decision a counted change of framing turns into a wrong one."""


class _Sample(Record):
    images: int = Field(description="Images that were changed, drawn from those that were measured.")
    patients: int = Field(description="Patients that they are of.")
    confidence: float = Field(description="Of the intervals.")


class FramingSummary(_Sample):
    """The verdict and the figures that it rests on."""

    verdict: Verdict = Field(
        description="warn: a class has fewer than 20 images, or the loss exceeds .05 and its interval does not; fail: "
        "its interval does too; pass: neither."
    )
    worst: str = Field(description="The counted change with the lowest balanced accuracy.")
    worst_balanced_accuracy: Estimate = Field(description="Balanced accuracy under it.")
    balanced_accuracy: float = Field(description="Balanced accuracy on the same images unchanged.")
    loss: Estimate = Field(
        description="Balanced accuracy lost by it; its interval holds for all counted changes together (Bonferroni)."
    )
    losing: tuple[str, ...] = Field(
        description="Kinds of change, such as 'top and bottom', of which a counted one loses more than .05."
    )


class SuiteEvidence(Record):
    """How a model's answers depend on a suite of changes of the images."""

    unchanged: ChangeEvidence = Field(description="The same images as they are.")
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

    @property
    def worst_change(self) -> ChangeEvidence:
        """The answers under the worst change."""
        return next(change for change in self.changes if change.name == self.worst)

    @property
    def losing(self) -> tuple[str, ...]:
        """The kinds of change of which a counted one loses more than may be."""
        least = self.unchanged.balanced_accuracy - TOLERATED_LOSS
        # Shares of few images differ by rounding where they are the same.
        losing = (each.kind for each in self.changes if each.counted and each.balanced_accuracy < least - 1e-9)
        return tuple(dict.fromkeys(losing))


class _SeededSample(_Sample):
    seed: int = Field(description="What the sample and the random windows follow from.")


class FramingEvidence(SuiteEvidence, _SeededSample):
    """How a model's answers depend on the framing of the images."""

    flips: tuple[Flip, ...] = Field(
        description="Images whose right answer a counted change made wrong: of each kind of change in turn the one "
        "whose logit it moved most."
    )

    @property
    def summary(self) -> FramingSummary:
        """The verdict and the figures that it rests on."""
        return FramingSummary(
            images=self.images,
            patients=self.patients,
            confidence=self.confidence,
            verdict=self.verdict,
            worst=self.worst,
            worst_balanced_accuracy=self.worst_balanced_accuracy,
            balanced_accuracy=self.unchanged.balanced_accuracy,
            loss=self.loss,
            losing=self.losing,
        )
