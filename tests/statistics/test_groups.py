"""Patients are counted, however many images each has."""

from __future__ import annotations

import numpy as np

from radlens.statistics.groups import count_patients, count_rarer


def test_count_patients() -> None:
    assert count_patients(["a", "a", "b", "c"], np.array([True, True, True, False])) == 2


def test_the_rarer_side_of_a_class_is_counted_in_groups() -> None:
    targets = np.array([[1, 0], [1, 1], [1, 1], [0, 1], [0, 1]], dtype=bool)
    groups = np.array([0, 0, 0, 1, 2])
    # Class 0: one group with it, two without; class 1: three with it, one without.
    assert count_rarer(targets, groups).tolist() == [1, 1]
    assert count_rarer(targets, np.arange(5)).tolist() == [2, 1]
