"""The evidence of the framing suite as it is written down: how a model's answers depend on the framing of images."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Verdict = Literal["pass", "warn", "fail"]


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Estimate(_Frozen):
    """A figure with its confidence interval."""

    value: float
    low: float
    high: float


class GroupAnswers(_Frozen):
    """The answers to the images of one class."""

    images: int = Field(description="How many.")
    recall: float = Field(description="Share answered rightly; of the positive class sensitivity, else specificity.")
    flipped: float = Field(description="Share whose decision is not that on the unchanged image.")
    shift: float = Field(description="Median change of the logit.")
    quartiles: tuple[float, float, float] = Field(
        description="Of the logit: for binary of the positive class, for multiclass of this class, for multilabel of "
        "this label."
    )


class ChangeEvidence(_Frozen):
    """The answers under one change of framing."""

    kind: str = Field(description="Kind of change, such as 'top and bottom'; 'unchanged' for the images as they are.")
    strength: float = Field(description="Share cut off each side, ratio of a stretch, or enlargement of the window.")
    name: str = Field(description="Both in words.")
    counted: bool = Field(description="Whether the change keeps the label for certain, so that the verdict counts it.")
    balanced_accuracy: float = Field(description="Mean of the recalls.")
    groups: dict[str, GroupAnswers] = Field(
        description="By class; for multilabel by label, present and absent, such as 'effusion' and 'no effusion'."
    )


class Flip(_Frozen):
    """An image whose right decision a counted change turns into a wrong one."""

    path: str = Field(description="As the manifest has it.")
    label: str = Field(description="The true label.")
    predicted: str = Field(description="What is answered under the change.")
    change: str = Field(description="The change in words.")
    window: tuple[float, float, float, float] = Field(
        description="Top, bottom, left and right edge of the window that is shown, as shares of height and width."
    )
    before: float = Field(description="Probability on the unchanged image; of the class that quartiles are of.")
    after: float = Field(description="The same under the change.")


class FramingEvidence(_Frozen):
    """How a model's answers depend on the framing of the images."""

    images: int = Field(description="Images that were changed, drawn from those that were measured.")
    patients: int = Field(description="Patients that they are of.")
    confidence: float = Field(description="Of the intervals.")
    seed: int = Field(description="What the sample and the random windows follow from.")
    unchanged: ChangeEvidence = Field(description="The same images as they are.")
    changes: tuple[ChangeEvidence, ...] = Field(description="Under each change of the suite.")
    worst: str = Field(description="The counted change with the lowest balanced accuracy.")
    worst_balanced_accuracy: Estimate = Field(description="Balanced accuracy under it.")
    loss: Estimate = Field(
        description="Balanced accuracy lost by it; its interval holds for all counted changes together (Bonferroni)."
    )
    verdict: Verdict = Field(
        description="fail: the loss exceeds .05 for certain; warn: it exceeds .05, or a class has fewer than 20 "
        "images; pass: neither."
    )
    flips: tuple[Flip, ...] = Field(description="Images whose right answer a counted change made wrong, worst first.")

    @property
    def worst_change(self) -> ChangeEvidence:
        """The answers under the worst change."""
        return next(change for change in self.changes if change.name == self.worst)
