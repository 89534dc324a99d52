"""The model folder: the network's weights and all that is needed to use them rightly, without a pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from radlens.decision import Calibration, CalibrationKind, OperatingPoint, Task
from radlens.errors import DataError
from radlens.files import replacing, write_text
from radlens.imaging.preprocess import Preprocessing

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
# Names of the tensors that are not the network's: what tells unfamiliar images.
FAMILIARITY_PREFIX = "familiarity."
Tensors = Mapping[str, npt.NDArray[Any]]


class Abstention(BaseModel):
    """When the model does not commit itself. A rate is the key that it has as text, such as ``0.05``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    error_rate: float = Field(gt=0, lt=1, description="The stated rate of error, unless another is asked for.")
    least_probabilities: dict[str, tuple[float, ...]] = Field(
        default_factory=dict,
        description="By rate of error: for each class the least probability with which it stays possible.",
    )
    refuse_rate: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="The share of images like those of validation "
        "that is refused as unfamiliar, unless another is asked for; 0: the model cannot tell.",
    )
    farthest: dict[str, float] = Field(
        default_factory=dict,
        description="By that share: the distance from the training images beyond which an image is refused.",
    )

    @model_validator(mode="after")
    def _stated_rates_are_there(self) -> Self:
        for rate, limits in ((self.error_rate, self.least_probabilities), (self.refuse_rate, self.farthest)):
            if limits and f"{rate:g}" not in limits:
                raise ValueError(f"there is no limit for the rate {rate:g}, only for {', '.join(limits)}")
        if bool(self.refuse_rate) != bool(self.farthest):
            raise ValueError("a share that is refused needs distances, and distances such a share")
        return self

    @property
    def least(self) -> tuple[float, ...] | None:
        """The least probabilities at the stated rate of error; None: there are none."""
        return self.least_probabilities.get(f"{self.error_rate:g}")

    @property
    def distance(self) -> float | None:
        """The distance beyond which an image is refused; None: the model cannot tell."""
        return self.farthest.get(f"{self.refuse_rate:g}")


class ModelConfig(BaseModel):
    """What ``config.json`` says of a model."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format_version: Literal[1] = Field(default=1, description="Version of this file's form.")
    radlens_version: str = Field(description="The radlens that wrote the folder.")
    task: Task = Field(description="binary, multiclass or multilabel.")
    classes: tuple[str, ...] = Field(min_length=1, description="Class names in the order of the probabilities.")
    network: str = Field(description="Name in the registry of networks.")
    preprocessing: Preprocessing = Field(description="From a decoded image to what the network sees.")
    threshold: float = Field(gt=0, lt=1, description="The operating point, chosen without test images.")
    calibration_slope: float = Field(default=1.0, gt=0, description="What the logits are multiplied by.")
    calibration_offset: float = Field(default=0.0, description="What is added to the logits after that.")
    calibration_map: Calibration | None = Field(
        default=None, description="A calibration that is no line of the logits, in place of slope and offset."
    )
    calibration_losses: dict[CalibrationKind, float] = Field(
        default_factory=dict, description="Log loss of each kind on validation patients left out in turn."
    )
    mirror: bool = Field(default=False, description="Whether the logits of an image and its mirror image are averaged.")
    operating_point: OperatingPoint | None = Field(
        default=None, description="How the threshold was chosen, and what it does at least, on validation."
    )
    operating_points: dict[str, float] = Field(
        default_factory=dict, description="Thresholds for stated targets, such as sensitivity 0.95 on validation."
    )
    abstention: Abstention | None = Field(default=None, description="When the model does not commit itself.")
    trained_on: str = Field(default="", description="The data set, its source, licence and what to cite.")
    simulated: bool = Field(default=False, description="True when the training images were simulated.")
    seed: int = Field(default=0, description="The seed of the training run.")
    best_epoch: int = Field(default=0, ge=0, description="The epoch whose weights these are.")

    @model_validator(mode="after")
    def _one_calibration(self) -> Self:
        if self.calibration_map is not None and (self.calibration_slope, self.calibration_offset) != (1, 0):
            raise ValueError("a model has a calibration_map or a slope and offset, not both")
        return self

    @property
    def calibration(self) -> Calibration:
        """What the network's probabilities are moved by."""
        if self.calibration_map is not None:
            return self.calibration_map
        if self.task == "multiclass":
            return Calibration("temperature", (self.calibration_slope,))
        return Calibration("line", (self.calibration_slope, self.calibration_offset))


def boxed_models() -> dict[str, Path]:
    """The models that come with radlens, by name."""
    box = Path(__file__).parents[1] / "models"
    return {config.parent.name: config.parent for config in sorted(box.glob(f"*/{CONFIG_FILE}"))}


def find_model(model: str | Path) -> Path:
    """Where a model lies: a folder as it is given, else one that comes with radlens, by its name.

    Raises:
        DataError: there is neither.
    """
    if Path(model).exists():
        return Path(model)
    boxed = boxed_models()
    if str(model) not in boxed:
        raise DataError(
            f"There is no model {str(model)!r}: a run folder or a model folder was expected, or a name of: "
            f"{', '.join(boxed) or 'none'}."
        )
    return boxed[str(model)]


def write_model_folder(folder: Path, config: ModelConfig, tensors: Tensors) -> None:
    """Write ``model.safetensors``, then ``config.json``: a folder with a config is complete.

    Raises:
        RadlensError: the folder cannot be written to.
    """
    folder = Path(folder)
    with replacing(folder / WEIGHTS_FILE) as temporary:
        # Written by ourselves: the library's own writer makes the file readable by its owner alone.
        temporary.write_bytes(save({name: np.asarray(value, order="C") for name, value in tensors.items()}))
    write_text(folder / CONFIG_FILE, config.model_dump_json(indent=2) + "\n")


def read_model_folder(path: Path) -> tuple[ModelConfig, Tensors]:
    """Read a model folder, or the ``model`` folder inside a run folder.

    Raises:
        DataError: there is none, a file is missing or damaged, or a newer radlens wrote it.
    """
    path = Path(path)
    folder = path / "model" if (path / "model" / CONFIG_FILE).is_file() else path
    if not (folder / CONFIG_FILE).is_file():
        raise DataError(
            f"{path} is no model: a run folder, or a folder with {CONFIG_FILE} and {WEIGHTS_FILE}, was expected. "
            "Train one with: radlens run SOURCE --out DIR"
        )
    try:
        values = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
        version = values.get("format_version") if isinstance(values, dict) else None
        if version != 1:
            raise DataError(f"{folder / CONFIG_FILE} has format version {version!r}; this radlens reads version 1.")
        config = ModelConfig.model_validate(values)
        tensors = load_file(folder / WEIGHTS_FILE)
        if config.abstention and config.abstention.farthest and not any(map(_is_familiarity, tensors)):
            raise DataError(
                f"{folder / WEIGHTS_FILE} lacks the statistics of familiar images that {CONFIG_FILE} needs."
            )
    except FileNotFoundError:
        raise DataError(f"{folder} lacks {WEIGHTS_FILE}; the model folder is incomplete.") from None
    except (OSError, ValueError, ValidationError, SafetensorError) as error:
        raise DataError(f"The model folder {folder} cannot be read: {error}") from error
    return config, tensors


def _is_familiarity(name: str) -> bool:
    return name.startswith(FAMILIARITY_PREFIX)
