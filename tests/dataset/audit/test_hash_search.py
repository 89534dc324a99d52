"""Close hashes found in sorted orders, against comparing all of them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from radlens.dataset.audit.hash_search import Hashes, HashIndex

WORDS = 4


def random_hashes(count: int, rng: np.random.Generator) -> Hashes:
    return rng.integers(0, 2**64, (count, WORDS), dtype=np.uint64, endpoint=False)


def flipped(hashes: Hashes, bits: int, rng: np.random.Generator) -> Hashes:
    order = rng.random((len(hashes), 64 * WORDS)).argsort(axis=1)
    return hashes ^ np.packbits(order < bits, axis=1).view(np.uint64)


def all_distances(queries: Hashes, hashes: Hashes) -> npt.NDArray[np.int64]:
    return np.asarray(np.bitwise_count(queries[:, None] ^ hashes).sum(axis=2, dtype=np.int64))


@pytest.mark.parametrize(("bits", "least"), [(0, 1.0), (8, 1.0), (16, 0.99), (32, 0.95), (48, 0.75)])
def test_most_of_the_planted_pairs_are_found(bits: int, least: float) -> None:
    rng = np.random.default_rng(bits)
    hashes = random_hashes(5000, rng)
    hits = HashIndex.build(hashes, 16).near(flipped(hashes[:400], bits, rng), radius=64)
    found = set(zip(hits.query.tolist(), hits.item.tolist(), strict=True))
    assert sum((row, row) in found for row in range(400)) >= least * 400


@given(seed=st.integers(0, 2**32), count=st.integers(1, 60), radius=st.integers(0, 128), orders=st.integers(1, 32))
def test_what_is_found_is_near_and_its_distance_is_right(seed: int, count: int, radius: int, orders: int) -> None:
    rng = np.random.default_rng(seed)
    hashes = random_hashes(count, rng)
    queries = np.concatenate([flipped(hashes, 20, rng), random_hashes(3, rng)])
    hits = HashIndex.build(hashes, orders).near(queries, radius)
    wanted = all_distances(queries, hashes)
    assert (hits.distance == wanted[hits.query, hits.item]).all()
    assert (hits.distance <= radius).all()
    assert len({*zip(hits.query.tolist(), hits.item.tolist(), strict=True)}) == len(hits.query)


@given(seed=st.integers(0, 2**32), count=st.integers(1, 4))
def test_of_no_more_hashes_than_the_window_none_is_missed(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    hashes = random_hashes(count, rng)
    queries = flipped(hashes, 10, rng)
    hits = HashIndex.build(hashes, 4).near(queries, radius=32)
    query, item = np.nonzero(all_distances(queries, hashes) <= 32)
    assert {*zip(query.tolist(), item.tolist(), strict=True)} == {
        *zip(hits.query.tolist(), hits.item.tolist(), strict=True)
    }


def test_many_equal_hashes_are_no_more_work_than_others() -> None:
    hashes = np.repeat(random_hashes(1, np.random.default_rng(0)), 3000, axis=0)
    hits = HashIndex.build(hashes, 16).near(hashes[:10], radius=0)
    # Eight neighbours in each of the sixteen orders, at most.
    assert 0 < len(hits.query) <= 10 * 8 * 16
