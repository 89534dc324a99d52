"""Patients are counted, however many images each has."""

from __future__ import annotations

import numpy as np

from radlens.statistics.groups import count_patients


def test_count_patients() -> None:
    assert count_patients(["a", "a", "b", "c"], np.array([True, True, True, False])) == 2
