"""What ``config.json`` says of the files next to it and of how they were checked."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from radlens.runtime.framing_records import FramingSummary
from radlens.runtime.record_base import Figure, Record, with_new_names


class FileRecord(Record):
    """One file of the model folder."""

    sha256: str = Field(pattern="^[0-9a-f]{64}$", description="Of its content, in hexadecimal digits.")
    size: int = Field(ge=0, description="In bytes.")


class Parity(Record):
    """How near the answers of the ONNX graph are to those of PyTorch."""

    images: int = Field(ge=1, description="How many were compared.")
    source: str = Field(description="What they are.")
    largest_difference: float = Field(ge=0, description="Of any probability.")
    decisions_flipped: int = Field(ge=0, description="Images that get another answer at the operating point.")


class Variant(Record):
    """Smaller weights that were tried; each pair is before and after, with the full weights and with these."""

    kind: Literal["float16", "int8"] = Field(description="How weights are stored.")
    kept: bool = Field(description="Whether they are used: float16 for both files, int8 for the graph alone.")
    reason: str = Field(description="Why, or why not.")
    images: int = Field(ge=1, description="How many it was tried on.")
    source: str = Field(description="What they are.")
    auroc: tuple[float | None, float | None] = Field(description="On these images.")
    flipped: float = Field(ge=0, le=1, description="Share of images that get another answer at the operating point.")
    bytes: tuple[int, int] = Field(description="Size of the graph.")
    milliseconds: tuple[float, float] = Field(description="Median time for one image in one thread, at the export.")


class OnnxRecord(Record):
    """What ``model.onnx`` gives, and how it was checked."""

    opset: int = Field(ge=1, description="Version of the ONNX operators.")
    outputs: tuple[str, ...] = Field(description="Names of the outputs in their order.")
    weights: Literal["float32", "float16", "int8"] = Field(default="float32", description="How weights are stored.")
    parity: Parity = Field(
        description="Against PyTorch, at the export; of 8-bit weights, before they were rounded to these."
    )
    variants: tuple[Variant, ...] = Field(default=(), description="Smaller weights that were tried.")


class TrainingData(Record):
    """What the model was made of."""

    name: str = Field(description="Short name of the data set.")
    source: str = Field(default="", description="Where the images came from; not said of a folder of one's own.")
    licence: str = Field(default="", description="Licence of the images.")
    citation: str = Field(default="", description="What to cite.")
    images: dict[str, int] = Field(description="By split.")
    patients: dict[str, int] = Field(description="By split.")
    classes: dict[str, int] = Field(description="Images of training and validation that are of each class.")
    sha256: str = Field(
        pattern="^[0-9a-f]{64}$",
        description="Of the SHA-256 hashes of the training and validation images' contents, sorted, one a line.",
    )


class SplitMetrics(Record):
    """How the model did on one split."""

    n: int = Field(ge=0, description="Images.")
    metrics: dict[str, Figure] = Field(description="By name, at the model's operating point.")


class FramingRecord(FramingSummary):
    """How the model's answers hang on the framing of images, as it was found on one split."""

    split: Literal["train", "val", "test"] = Field(
        description="Of the images that were changed: test, or val where no more was looked at."
    )


class AlphaCost(Record):
    """What a rate of error costs, on the images that choose among the rates."""

    alpha: float = Field(gt=0, lt=1, description="The rate.")
    referred: int = Field(ge=0, description="Images that would be referred.")
    errors_avoided: int = Field(ge=0, description="Wrong answers among these.")


class AlphaChoice(Record):
    """How the stated rate of error was chosen: on a part of the validation patients, who have no part in its limits."""

    images: int = Field(ge=1, description="Validation images that the choice went by.")
    patients: int = Field(ge=1, description="Patients that they are of.")
    errors: int = Field(ge=0, description="Wrong answers to them at the operating point.")
    referrals_per_error: float = Field(gt=0, description="Referrals that an avoided error was taken to be worth.")
    most_referred: float = Field(ge=0, le=1, description="Share of images that might be referred.")
    points: tuple[AlphaCost, ...] = Field(min_length=1, description="What each rate costs, in rising order.")

    def at(self, alpha: float) -> AlphaCost:
        """What a rate costs; it is one of those weighed."""
        return next(point for point in self.points if point.alpha == alpha)


class Abstention(Record):
    """When the model does not commit itself. A rate is the key that it has as text, such as ``0.05``."""

    alpha: float = Field(gt=0, lt=1, description="The stated rate of error, unless another is asked for.")
    alpha_rule: Literal["stated", "cost", "images"] | None = Field(
        default=None,
        description="stated: in the settings; cost: chosen by what it costs; images: there were too few validation "
        "images to choose, and it is the lowest from .05 up that they allow; null: not known.",
    )
    alpha_choice: AlphaChoice | None = Field(default=None, description="What was weighed, where it was chosen by cost.")
    least_probabilities: dict[str, tuple[float, ...]] = Field(
        default_factory=dict,
        description="By rate of error: for each class the least probability with which it stays possible.",
    )
    ood_rate: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="The share of images like those of validation that may be refused as out of distribution, "
        "unless another is asked for; 0: the model cannot tell.",
    )
    farthest: dict[str, float] = Field(
        default_factory=dict,
        description="By that share: the distance from the training images beyond which an image is refused.",
    )

    @model_validator(mode="before")
    @classmethod
    def _read_the_version_before(cls, values: Any) -> Any:
        return with_new_names(values, {"error_rate": "alpha", "refuse_rate": "ood_rate"})

    @model_validator(mode="after")
    def _stated_rates_are_there(self) -> Self:
        for rate, limits in ((self.alpha, self.least_probabilities), (self.ood_rate, self.farthest)):
            if limits and f"{rate:g}" not in limits:
                raise ValueError(f"there is no limit for the rate {rate:g}, only for {', '.join(limits)}")
        if (self.alpha_rule == "cost") != (self.alpha_choice is not None):
            raise ValueError("a rate chosen by cost has what was weighed, and no other has")
        if bool(self.ood_rate) != bool(self.farthest):
            raise ValueError("a share that is refused needs distances, and distances such a share")
        return self

    @property
    def least(self) -> tuple[float, ...] | None:
        """The least probabilities at the stated rate of error; None: there are none."""
        return self.least_probabilities.get(f"{self.alpha:g}")

    @property
    def distance(self) -> float | None:
        """The distance beyond which an image is refused; None: the model cannot tell."""
        return self.farthest.get(f"{self.ood_rate:g}")
