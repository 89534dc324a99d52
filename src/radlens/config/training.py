"""Settings of training: what the images go through, and how the network is fitted to them."""

from __future__ import annotations

from math import inf
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from radlens.config.base import Settings

Range = Annotated[tuple[float, float], Field(description="Lowest and highest value, drawn uniformly between them.")]


class AugmentSettings(Settings):
    """Random changes of training images, never of validation or test images."""

    enabled: bool = Field(default=True, description="False: train on the images as they are.")
    rotation: float = Field(default=20.0, ge=0, le=180, description="Largest rotation to either side, in degrees.")
    zoom: Range = Field(default=(0.8, 1.2), description="Magnification; above 1 enlarges the image.")
    shift: float = Field(default=0.0, ge=0, le=0.5, description="Largest shift as a share of height and width.")
    flip_horizontal: float = Field(default=0.5, ge=0, le=1, description="Probability of a left-right mirror image.")
    flip_vertical: float = Field(default=0.0, ge=0, le=1, description="Probability of an upside-down image.")
    brightness: float = Field(default=0.0, ge=0, le=1, description="Largest change, as a share of the whole range.")
    contrast: float = Field(default=0.0, ge=0, lt=1, description="Largest relative change of contrast.")
    crop: Range = Field(
        default=(1.0, 1.0),
        description="Share of the image's area that is kept and enlarged, at a random place; above 1 it is reduced.",
    )
    stretch: float = Field(
        default=0.0,
        ge=0,
        le=1.5,
        description="Largest logarithm, to either side, of the ratio of vertical to horizontal magnification, so that "
        "the aspect of the anatomy tells nothing.",
    )
    sides: tuple[float, float] = Field(
        default=(0.0, 0.0),
        description="Share cut off each of the four sides, drawn for each by itself; below 0 the side gets a margin.",
    )
    margin: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="Probability that what lies outside the image is black; else it repeats the border.",
    )
    gamma: Range = Field(default=(1.0, 1.0), description="Exponent of the grey values; above 1 darkens.")
    degrade: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="Probability of each of blur, resolution, jpeg, noise and frame, where they are on.",
    )
    blur: float = Field(default=0.0, ge=0, le=10, description="Largest standard deviation of a blur, in pixels.")
    resolution: float = Field(default=1.0, gt=0.05, le=1, description="Smallest share of height and width kept.")
    jpeg: int = Field(default=100, ge=5, le=100, description="Lowest JPEG quality; 100: none is applied.")
    noise: float = Field(
        default=0.0, ge=0, le=0.5, description="Largest standard deviation of noise, as a share of the whole range."
    )
    frame: float = Field(
        default=0.0,
        ge=0,
        le=0.3,
        description="Greatest width of a frame of one grey over the border, as collimation leaves it, as a share of "
        "height and width.",
    )
    hide: float = Field(
        default=0.0,
        ge=0,
        le=0.5,
        description="Probability that all of an image but its border is hidden; the network then learns that it cannot "
        "tell, so that it does not go by the border.",
    )
    hide_border: Range = Field(
        default=(0.03, 0.15),
        description="Width of the border that is left of a hidden image, as a share of height and width.",
    )

    @model_validator(mode="after")
    def _ranges_ascend(self) -> Self:
        for name, limit in (("zoom", inf), ("crop", inf), ("gamma", inf), ("hide_border", 0.5)):
            low, high = getattr(self, name)
            if not 0 < low <= high < limit:
                between = "above 0" if limit == inf else f"above 0 and below {limit}"
                raise ValueError(f"{name} must be two numbers {between} in ascending order, got {(low, high)}")
        if not -0.5 <= self.sides[0] <= self.sides[1] < 0.45:
            raise ValueError(f"sides must be two numbers from -0.5 to 0.45 in ascending order, got {self.sides}")
        return self


class TrainSettings(Settings):
    """How the network is fitted."""

    network: str = Field(default="baseline_cnn", description="Name in the registry of networks.")
    initial_weights: Literal["auto", "random"] = Field(
        default="auto", description="auto: weights learnt on ImageNet for networks that have them, else random."
    )
    epochs: int = Field(default=15, ge=1, description="Passes over the training images.")
    batch_size: int = Field(default=32, ge=1, description="Images in one optimisation step (in all, over all devices).")
    learning_rate: float = Field(default=1e-6, gt=0, description="Learning rate; the peak of it for one_cycle.")
    optimizer: Literal["adam", "adamw", "sgd"] = Field(default="adam", description="sgd has Nesterov momentum 0.9.")
    weight_decay: float = Field(default=0.0, ge=0, description="Decoupled for adamw; for weight matrices only.")
    schedule: Literal["constant", "cosine", "one_cycle"] = Field(
        default="constant", description="cosine: falls to zero; one_cycle: rises for a quarter of the steps first."
    )
    balance: Literal["none", "loss", "sampling"] = Field(
        default="loss",
        description="loss: weigh each class by the inverse of its frequency in train; sampling: draw each class "
        "equally often (several labels an image cannot be, and are weighed in the loss).",
    )
    backbone_rate: float = Field(
        default=1.0, ge=0, le=1, description="Learning rate of all but the last layer, as a share of the last one's."
    )
    progressive_resizing: float = Field(
        default=1.0,
        gt=0.2,
        le=1,
        description="Progressive resizing: image size of the first epoch as a share of the whole, which the last third "
        "of the epochs has.",
    )
    monitor: Literal["val_loss", "val_auroc", "last"] = Field(
        default="val_loss",
        description="What the kept epoch and early stopping go by, on validation; last: the last epoch is kept, and "
        "early stopping goes by val_loss.",
    )
    patience: int = Field(default=0, ge=0, description="Stop after so many epochs without improvement; 0: never.")
    precision: Literal["auto", "32-true", "16-mixed", "bf16-mixed"] = Field(
        default="auto",
        description="auto: mixed precision on a GPU or a CPU with bfloat16 arithmetic, else 32-bit.",
    )
    accelerator: Literal["auto", "cpu", "gpu", "mps"] = Field(default="auto", description="auto: a GPU if any.")
    devices: int = Field(default=0, ge=0, description="Number of devices; 0: all GPUs, or one CPU process.")
    threads: int = Field(
        default=0, ge=0, description="CPU threads for arithmetic; 0: one for each core that the process may use."
    )
