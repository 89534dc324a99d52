"""Patients are drawn, not images, and the same seed draws the same ones."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radlens.statistics import resampling
from radlens.statistics.groups import Floats
from radlens.statistics.resampling import patient_weights


def all_weights(patients: npt.ArrayLike, resamples: int = 200, seed: int = 0) -> Floats:
    return np.concatenate(list(patient_weights(patients, resamples, np.random.default_rng(seed))))


@settings(deadline=None, max_examples=30)
@given(sizes=st.lists(st.integers(1, 6), min_size=1, max_size=20), seed=st.integers(0, 100))
def test_all_images_of_a_patient_come_along(sizes: list[int], seed: int) -> None:
    patients = np.repeat(np.arange(len(sizes)), sizes)
    weights = all_weights(patients, 30, seed)
    assert weights.shape == (30, len(patients))
    for patient in range(len(sizes)):
        columns = weights[:, patients == patient]
        assert (columns == columns[:, :1]).all()
    # As many patients are drawn as there are.
    first = np.unique(patients, return_index=True)[1]
    assert (weights[:, first].sum(axis=1) == len(sizes)).all()


def test_unique_patients_give_the_ordinary_bootstrap() -> None:
    images = 40
    weights = all_weights([f"p{i:02d}" for i in range(images)], 50, seed=3)
    drawn = np.random.default_rng(3).integers(0, images, size=(50, images))
    np.testing.assert_array_equal(weights, [np.bincount(row, minlength=images) for row in drawn])


def test_same_seed_same_weights_in_any_row_order() -> None:
    patients = np.array([f"p{i % 7}" for i in range(30)])
    order = np.random.default_rng(1).permutation(30)
    np.testing.assert_array_equal(all_weights(patients)[:, order], all_weights(patients[order]))
    assert not np.array_equal(all_weights(patients, seed=0), all_weights(patients, seed=1))


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    patients = np.arange(11)
    whole = all_weights(patients, 101)
    monkeypatch.setattr(resampling, "_CHUNK", 50)
    chunks = list(patient_weights(patients, 101, np.random.default_rng(0)))
    assert len(chunks) > 1
    np.testing.assert_array_equal(np.concatenate(chunks), whole)


def test_images_of_a_group_are_drawn_together_and_groups_as_often_as_there_are() -> None:
    groups = np.array([7, 7, 7, 2, 2, 5])
    weights = np.concatenate(list(patient_weights(groups, 3000, np.random.default_rng(0))))
    assert weights.shape == (3000, 6)
    assert (weights[:, 0] == weights[:, 2]).all()
    assert (weights[:, 3] == weights[:, 4]).all()
    assert (weights[:, [0, 3, 5]].sum(axis=1) == 3).all()
    assert weights.mean(axis=0) == pytest.approx(np.ones(6), abs=0.08)
