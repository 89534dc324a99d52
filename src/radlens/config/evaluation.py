"""Settings of evaluation: calibration, operating point, abstention and intervals."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from radlens.config.base import Settings, Share


def _target_rule(text: str) -> str:
    name, _, target = text.partition(":")
    try:
        right = name in ("sensitivity", "specificity") and 0 < float(target) <= 1
    except ValueError:
        right = False
    if not right:
        raise ValueError("sensitivity or specificity with a share in (0, 1], such as sensitivity:0.95")
    return text


TargetRule = Annotated[str, AfterValidator(_target_rule)]


class EvaluateSettings(Settings):
    """How scores become evidence."""

    threshold: float | Literal["balanced", "youden", "cost"] | TargetRule = Field(
        default=0.5,
        description="Operating point for binary and multilabel answers: a probability in (0, 1), or chosen on "
        "validation. balanced or youden: the highest balanced accuracy, which is the highest Youden index; cost: the "
        "least expected cost; sensitivity:0.95 or specificity:0.9, binary alone: the threshold that just reaches it. "
        "Never chosen on test.",
    )
    cost_missed: float = Field(default=1.0, gt=0, description="For cost: what it costs to miss a positive image.")
    cost_alarm: float = Field(default=1.0, gt=0, description="For cost: what it costs to call a negative one positive.")
    cost_prevalence: float | None = Field(
        default=None, gt=0, lt=1, description="For cost: share of positive images in use; null: as on validation."
    )
    calibration: Literal["none", "temperature", "platt", "beta", "isotonic", "auto"] = Field(
        default="none",
        description="How probabilities are moved to mean what they say, fitted on validation. temperature and platt "
        "(Platt scaling): along a line of the logits; beta: along a line of the logarithms of both; isotonic: along a "
        "rising line of straight pieces; auto: what has the least log loss on patients left out in turn. Multiclass "
        "knows none, temperature, platt (as temperature) and auto.",
    )
    stress: int = Field(
        default=0,
        ge=0,
        le=20,
        description="Copies of each validation image, by turns under another framing and corrupted. With the image "
        "itself, the calibration is fitted on them, a balanced, youden or cost threshold chosen, and what is referred.",
    )
    flip_tta: bool = Field(
        default=False,
        description="Test-time augmentation: answer for the mean of the logits of an image and of its mirror image.",
    )
    alpha: float | None = Field(
        default=None,
        gt=0,
        lt=0.5,
        description="Stated rate of error of the answers that the model stands by: it refers an image where a class "
        "that it is not sure of cannot be ruled out at this rate (conformal prediction, each class by itself). null: "
        "the one of .01 to .2 that costs least on half of the validation patients, the others setting its limits.",
    )
    referrals_per_error: float = Field(
        default=10.0,
        gt=0,
        description="Where no alpha is asked for: how many referrals it is worth to avoid one wrong answer.",
    )
    most_referred: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="Where no alpha is asked for: share of the validation images that may be referred at it; if every "
        "rate refers more, it is the one that refers fewest.",
    )
    ood_rate: float = Field(
        default=0.0,
        ge=0,
        lt=0.5,
        description="Share of images like those of validation that may be refused as out of distribution, unlike the "
        "training images; 0: the model does not tell.",
    )
    framing_images: int = Field(
        default=400,
        ge=0,
        description="Most images that the model is asked about under other framings (docs/explanation/framing.md), as "
        "many of each class; after training fewer where they would cost more than a tenth of it. 0: it is not asked.",
    )
    subgroups: tuple[str, ...] = Field(
        default=(),
        description="Manifest columns whose groups are measured apart, or name_family for families of file names; none "
        "named: every column of 2 to 12 values, ages in bands, else name_family.",
    )
    resamples: int = Field(default=1000, ge=100, le=100_000, description="Bootstrap resamples for the intervals.")
    confidence: float = Field(default=0.95, gt=0.5, lt=1, description="Confidence level of the intervals.")
    margin: float = Field(
        default=0.05,
        gt=0,
        lt=0.5,
        description="Half width of an interval that a claim can stand; where that of sensitivity, specificity or AUROC "
        "is larger, it is said how many more patients are needed.",
    )
    prevalence: tuple[Share, ...] = Field(
        default=(0.05, 0.2, 0.5), description="Shares of positive images to say PPV and NPV for; binary alone."
    )

    @field_validator("prevalence", mode="before")
    @classmethod
    def _one_prevalence_is_a_list_too(cls, value: object) -> object:
        return (value,) if isinstance(value, int | float) else value

    @model_validator(mode="after")
    def _threshold_is_a_probability(self) -> Self:
        if isinstance(self.threshold, float) and not 0 < self.threshold < 1:
            raise ValueError(f"threshold must lie between 0 and 1, got {self.threshold}")
        return self
