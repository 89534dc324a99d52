"""Groups are never parted, whatever is drawn or dealt."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radlens.dataset.grouping import FEWEST, deal_folds, draw_images, draw_sample, group_images, rarest_class
from radlens.statistics.groups import FOLDS, count_groups


def test_patients_and_shared_contents_link_along_the_chain() -> None:
    patients = ["a", "a", "b", "c", "d", "d"]
    rows = np.array([0, 1, 1, 2, 3, 2])
    groups = group_images(patients, rows)
    assert groups[0] == groups[1] == groups[2]
    assert groups[3] == groups[4] == groups[5]
    assert groups[0] != groups[3]
    assert sorted(set(groups)) == [0, 1]


def test_groups_of_classes_are_counted() -> None:
    targets = np.array([[True, False], [True, True], [False, True], [True, False]])
    assert count_groups(targets, np.array([0, 0, 1, 2])).tolist() == [2, 2]


def test_rarest_class_of_each_image() -> None:
    targets = np.array([[1, 0, 1], [1, 1, 0], [0, 0, 0], [1, 0, 0]], dtype=bool)
    assert rarest_class(targets).tolist() == [2, 1, -1, 0]


@settings(max_examples=40)
@given(st.integers(0, 2**31), st.integers(20, 200))
def test_a_sample_holds_whole_groups_and_keeps_small_classes(seed: int, limit: int) -> None:
    rng = np.random.default_rng(seed)
    groups = np.sort(rng.integers(0, 120, 400))
    groups = np.unique(groups, return_inverse=True)[1]
    strata = (groups < 6).astype(np.int64)
    drawn = draw_images(groups, strata, limit, rng)
    assert (np.diff(drawn) > 0).all()
    left = np.setdiff1d(np.arange(400), drawn)
    assert not set(groups[drawn]) & set(groups[left])
    largest = np.bincount(groups).max()
    assert limit - largest <= len(drawn) <= limit + 3 * largest
    if strata.sum() <= limit // 2:
        assert set(np.flatnonzero(strata)) <= set(drawn)


def test_no_more_images_than_asked_for_are_all_taken() -> None:
    assert draw_images(np.array([0, 1, 1]), np.zeros(3, int), 3, np.random.default_rng()).tolist() == [0, 1, 2]


def test_folds_hold_whole_groups_and_all_classes_alike() -> None:
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(300), rng.integers(1, 5, 300))
    strata = (groups % 4 == 0).astype(np.int64)
    folds = deal_folds(groups, strata, seed=1)
    assert sorted(set(folds)) == list(range(FOLDS))
    assert all(len(set(folds[groups == group])) == 1 for group in range(300))
    shares = [strata[folds == fold].mean() for fold in range(FOLDS)]
    assert max(shares) - min(shares) < 0.03
    assert (deal_folds(groups, strata, seed=1) == folds).all()
    assert (deal_folds(groups, strata, seed=2) != folds).any()


@pytest.mark.filterwarnings("error")
def test_a_stratum_too_small_for_the_folds_is_no_trouble() -> None:
    strata = np.array([0] * 40 + [1] * 2)
    assert len(set(deal_folds(np.arange(42), strata, seed=0))) == FOLDS


def test_classes_with_too_few_groups_are_left_out() -> None:
    targets = np.zeros((100, 3), dtype=bool)
    targets[:50, 0] = True
    targets[: FEWEST - 1, 1] = True
    targets[:40, 2] = True
    # All 40 images of the last class are of three patients.
    groups = np.concatenate([np.arange(40) % 3, np.arange(3, 63)])
    sample = draw_sample(("a", "b", "c"), targets, groups, 1000, seed=0)
    assert sample is not None
    assert (sample.names, sample.left_out) == (("a",), ("b", "c"))
    assert sample.targets.shape == (100, 1)
    assert draw_sample(("c",), targets[:, 2:], groups, 1000, seed=0) is None


def test_a_part_of_a_sample_keeps_its_folds_and_leaves_out_classes_that_became_too_few() -> None:
    groups = np.arange(80)
    targets = np.stack([groups % 2 == 0, groups < 15], axis=1)
    sample = draw_sample(("a", "b"), targets, groups, 1000, 0)
    assert sample is not None
    kept = np.arange(3, 80, 2)
    part = sample.only(kept)
    assert part is None
    kept = np.arange(9, 80)
    part = sample.only(kept)
    assert part is not None
    assert (part.names, part.left_out) == (("a",), ("b",))
    assert (part.images == sample.images[kept]).all()
    assert (part.folds == sample.folds[kept]).all()
    assert (part.targets == sample.targets[kept][:, :1]).all()
