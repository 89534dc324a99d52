"""What the written records are made of: no unknown fields, no infinities; and the figure that all of them share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """A part of a written file: no other fields, no infinities."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Figure(Record):
    """A figure with its confidence interval; null where it is not defined."""

    value: float | None
    low: float | None = None
    high: float | None = None


def with_new_names(values: Any, names: Mapping[str, str]) -> Any:
    """The fields of a record as it was read, those of the version before under today's names.

    Args:
        values: what was read; what is not a mapping stays, for the record to refuse.
        names: today's name of each earlier one.

    >>> with_new_names({"mirror": True, "seed": 0}, {"mirror": "flip_tta"})
    {'flip_tta': True, 'seed': 0}
    """
    if not isinstance(values, Mapping):
        return values
    return {
        new if (new := names.get(name)) is not None and new not in values else name: values[name] for name in values
    }
