"""What may be absent elsewhere and must not be in a test."""

from __future__ import annotations

from typing import TypeVar

from radlens.runtime.record_base import Figure

T = TypeVar("T")


def known(value: T | None) -> T:
    """The value, which is not None."""
    assert value is not None
    return value


def span(figure: Figure) -> tuple[float, float, float]:
    """Low limit, value and high limit of a figure that has them."""
    return known(figure.low), known(figure.value), known(figure.high)
