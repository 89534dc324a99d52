"""Several tests or intervals at once: the chance that any of them misleads is held at the level that one would have."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values adjusted for their number, by Holm's step-down procedure (1979, https://www.jstor.org/stable/4615733).

    At any level, the chance of one or more false alarms among all of them is at most that level.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p_values, kind="stable")
    steps = [(len(p_values) - rank) * p_values[index] for rank, index in enumerate(order)]
    adjusted = np.minimum(1.0, np.maximum.accumulate(steps))
    return [float(adjusted[rank]) for rank in np.argsort(order, kind="stable")]


def tail(confidence: float, intervals: int = 1) -> float:
    """The chance beyond either limit of each of so many two-sided intervals that hold together (Bonferroni).

    >>> round(tail(0.95), 6), round(tail(0.95, intervals=5), 6)
    (0.025, 0.005)
    """
    return (1 - confidence) / 2 / intervals
