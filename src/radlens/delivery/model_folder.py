"""The model folder: the network's weights and all that is needed to use them rightly, without a pickle."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from radlens.decision import Task
from radlens.errors import DataError
from radlens.files import replacing, write_text
from radlens.imaging.preprocess import Preprocessing

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
Tensors = Mapping[str, npt.NDArray[Any]]


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
    mirror: bool = Field(default=False, description="Whether the logits of an image and its mirror image are averaged.")
    operating_points: dict[str, float] = Field(
        default_factory=dict, description="Thresholds for stated targets, such as sensitivity 0.95 on validation."
    )
    trained_on: str = Field(default="", description="The data set, its source, licence and what to cite.")
    simulated: bool = Field(default=False, description="True when the training images were simulated.")
    seed: int = Field(default=0, description="The seed of the training run.")
    best_epoch: int = Field(default=0, ge=0, description="The epoch whose weights these are.")


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
    except FileNotFoundError:
        raise DataError(f"{folder} lacks {WEIGHTS_FILE}; the model folder is incomplete.") from None
    except (OSError, ValueError, ValidationError, SafetensorError) as error:
        raise DataError(f"The model folder {folder} cannot be read: {error}") from error
    return config, tensors


def run_of(path: Path) -> Path | None:
    """The run folder that a model is in: the path itself or the folder above; None for a model that was taken out."""
    for folder in (Path(path), Path(path).absolute().parent):
        if (folder / "config.yaml").is_file() and (folder / "model" / CONFIG_FILE).is_file():
            return folder
    return None


def hash_weights(path: Path) -> str:
    """SHA-256 of a model's weights, in hexadecimal digits.

    Args:
        path: a model folder, or a run folder that holds one.
    """
    folder = Path(path) / "model" if (Path(path) / "model" / CONFIG_FILE).is_file() else Path(path)
    return hashlib.sha256((folder / WEIGHTS_FILE).read_bytes()).hexdigest()
