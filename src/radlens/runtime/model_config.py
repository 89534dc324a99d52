"""What ``config.json`` of a model folder says: the form that it is checked against."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from radlens.decision import Calibration, CalibrationKind, OperatingPoint, Task
from radlens.imaging.limits import DecodeLimits
from radlens.imaging.preprocess import Preprocessing
from radlens.runtime.record_base import Record, with_new_names
from radlens.runtime.records import (
    Abstention,
    FileRecord,
    FramingRecord,
    OnnxRecord,
    SplitMetrics,
    TrainingData,
)

Share = Annotated[float, Field(ge=0, le=1)]


class ModelConfig(Record):
    """What ``config.json`` says of a model."""

    format_version: Literal[2] = Field(default=2, description="Version of this file's form.")
    radlens_version: str = Field(description="The radlens that wrote the folder.")
    task: Task = Field(description="binary, multiclass or multilabel.")
    classes: tuple[str, ...] = Field(min_length=1, description="Class names in the order of the probabilities.")
    network: str = Field(description="Name in the registry of networks.")
    preprocessing: Preprocessing = Field(description="From a decoded image to what the network sees.")
    limits: DecodeLimits = Field(
        default_factory=DecodeLimits, description="Bounds on the files that were opened in training, kept in use."
    )
    threshold: float = Field(gt=0, lt=1, description="The operating point, chosen without test images.")
    calibration_slope: float = Field(default=1.0, gt=0, description="What the logits are multiplied by.")
    calibration_offset: float = Field(default=0.0, description="What is added to the logits after that.")
    calibration_map: Calibration | None = Field(
        default=None, description="A calibration that is not linear in the logits, in place of slope and offset."
    )
    calibration_losses: dict[CalibrationKind, float] = Field(
        default_factory=dict, description="Log loss of each kind on validation patients left out in turn."
    )
    flip_tta: bool = Field(
        default=False, description="Whether the logits of an image and its mirror image are averaged."
    )
    operating_point: OperatingPoint | None = Field(
        default=None, description="How the threshold was chosen, and what it does at least, on validation."
    )
    operating_points: dict[str, Share] = Field(
        default_factory=dict, description="Thresholds for stated targets, such as sensitivity 0.95 on validation."
    )
    operating_point_bounds: dict[str, OperatingPoint] = Field(
        default_factory=dict, description="What each of them does at least on validation, by the same names."
    )
    abstention: Abstention | None = Field(default=None, description="When the model does not commit itself.")
    trained_on: str = Field(default="", description="The data set, its source, licence and what to cite.")
    simulated: bool = Field(default=False, description="True when the training images were simulated.")
    seed: int = Field(default=0, description="The seed of the training run.")
    best_epoch: int = Field(default=0, ge=0, description="The epoch whose weights these are.")
    training_data: TrainingData | None = Field(default=None, description="What the model was made of, in figures.")
    metrics: dict[str, SplitMetrics] = Field(
        default_factory=dict, description="By split (val, test), with intervals; none where they were not computed."
    )
    framing: FramingRecord | None = Field(
        default=None, description="How the answers hang on the framing of images; null where it was not measured."
    )
    onnx: OnnxRecord | None = Field(default=None, description="What model.onnx gives; null where there is none.")
    files: dict[str, FileRecord] = Field(
        default_factory=dict, description="Hash and size of every other file of the folder, by name."
    )

    @model_validator(mode="before")
    @classmethod
    def _read_the_version_before(cls, values: Any) -> Any:
        values = with_new_names(values, {"mirror": "flip_tta"})
        if isinstance(values, dict) and "calibration_losses" in values:
            values["calibration_losses"] = with_new_names(values["calibration_losses"], {"line": "platt"})
        return values

    @model_validator(mode="after")
    def _one_calibration(self) -> Self:
        if self.calibration_map is not None and (self.calibration_slope, self.calibration_offset) != (1, 0):
            raise ValueError("a model has a calibration_map or a slope and offset, not both")
        return self

    @model_validator(mode="after")
    def _bounds_are_of_operating_points(self) -> Self:
        unmatched = sorted(set(self.operating_point_bounds) - set(self.operating_points))
        if unmatched:
            raise ValueError(f"operating_point_bounds are of no operating point: {', '.join(unmatched)}")
        return self

    @property
    def calibration(self) -> Calibration:
        """What the network's probabilities are moved by."""
        if self.calibration_map is not None:
            return self.calibration_map
        if self.task == "multiclass":
            return Calibration("temperature", (self.calibration_slope,))
        return Calibration("platt", (self.calibration_slope, self.calibration_offset))

    @model_validator(mode="after")
    def _classes_fit_the_task(self) -> Self:
        if len(set(self.classes)) != len(self.classes):
            raise ValueError(f"the classes must differ, got {self.classes}")
        if self.task == "binary" and len(self.classes) != 2:
            raise ValueError(f"a binary task has two classes, got {self.classes}")
        if self.task == "multiclass" and self.calibration_offset:
            raise ValueError(f"a multiclass task knows no calibration_offset, got {self.calibration_offset}")
        limits = {} if self.abstention is None else self.abstention.least_probabilities
        if any(len(least) != len(self.classes) for least in limits.values()):
            raise ValueError(f"each of the least probabilities needs one number for each of {self.classes}")
        return self
