"""What the written records are made of: no unknown fields, no infinities; and the figure that all of them share."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """A part of a written file: no other fields, no infinities."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Figure(Record):
    """A figure with its confidence interval; null where it is not defined."""

    value: float | None
    low: float | None = None
    high: float | None = None
