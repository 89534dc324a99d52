"""What ``config.json`` says of the files beside it and of how they were checked."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Record(BaseModel):
    """A part of ``config.json``: no other fields, no infinities."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


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


class OnnxRecord(Record):
    """What ``model.onnx`` gives, and how it was checked."""

    opset: int = Field(ge=1, description="Version of the ONNX operators.")
    outputs: tuple[str, ...] = Field(description="Names of the outputs in their order.")
    weights: Literal["float32", "float16", "int8"] = Field(default="float32", description="How weights are stored.")
    parity: Parity = Field(description="Against PyTorch, at the export.")


class Figure(Record):
    """A metric with its interval; null where it is not defined."""

    value: float | None
    low: float | None = None
    high: float | None = None


class SplitMetrics(Record):
    """How the model did on one split."""

    n: int = Field(ge=0, description="Images.")
    metrics: dict[str, Figure] = Field(description="By name, at the model's operating point.")
