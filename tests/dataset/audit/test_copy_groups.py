"""Groups of copies: whole where the content is the same, bounded where pictures are merely alike in a chain."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from radlens.dataset.audit.copy_groups import group_copies, largest_group

PAIRS = st.lists(st.tuples(st.integers(0, 29), st.integers(0, 29)), max_size=40)


@given(PAIRS, PAIRS)
def test_small_groups_are_the_connected_components(sure: list[tuple[int, int]], near: list[tuple[int, int]]) -> None:
    groups, left_out = group_copies(30, sure, near, [0.9] * len(near))
    assert left_out == 0
    first, second = np.array([*sure, *near], dtype=np.int64).reshape(-1, 2).T
    label = connected_components(coo_array((np.ones(len(first)), (first, second)), shape=(30, 30)), directed=False)[1]
    expected = {tuple(np.flatnonzero(label == name).tolist()) for name in np.unique(label)}
    assert set(groups) == {group for group in expected if len(group) > 1}


def test_a_chain_of_like_pictures_does_not_glue_the_set_together_and_breaks_at_its_weakest_link() -> None:
    chain = [(number, number + 1) for number in range(599)]
    similarity = np.where(np.arange(599) % 60 == 59, 0.93, 0.99)
    groups, left_out = group_copies(600, [], chain, similarity)
    assert max(map(len, groups)) <= largest_group(600) == 100
    assert left_out == len(groups) - 1 == 9
    assert all(group[-1] - group[0] == 59 for group in groups)


def test_the_same_content_is_one_group_however_large() -> None:
    same = [(number, number + 1) for number in range(299)]
    groups, left_out = group_copies(400, same, [(299, 300)], [0.99])
    assert groups == (tuple(range(300)),)
    assert left_out == 1
