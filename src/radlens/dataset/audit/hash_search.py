"""Close pairs among many binary hashes, found without comparing all of them.

The hashes are sorted several times, each time by other bits first; hashes that differ little stand close together in
some of these orders, so each is compared with a few neighbours in each order (Charikar 2002, doi:10.1145/509907.509965;
Ravichandran et al. 2005, doi:10.3115/1219840.1219917). However unevenly the hashes are spread, the work is the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint64]
Integers = npt.NDArray[np.int64]

_KEY_BITS = 64
_CHUNK = 1 << 16


class Hits(NamedTuple):
    """Pairs found, each part of shape (pairs,).

    Attributes:
        query: row of the query.
        item: row of the indexed hash.
        distance: bits in which they differ.
    """

    query: Integers
    item: Integers
    distance: Integers


@dataclass(frozen=True, eq=False)
class HashIndex:
    """Hashes in several sorted orders.

    Attributes:
        hashes: shape (items, words).
        keys: the first 64 bits in each order, ascending, shape (orders, items).
        items: whose they are, shape (orders, items).
    """

    hashes: Hashes
    keys: Hashes
    items: npt.NDArray[np.int32]

    @classmethod
    def build(cls, hashes: Hashes, orders: int) -> Self:
        """Sort the hashes.

        Args:
            hashes: shape (items, words); each bit worth the same.
            orders: how often to sort, by default once for each 16 bits of the hashes; up to two for each.
        """
        keys = np.empty((orders, len(hashes)), np.uint64)
        items = np.empty((orders, len(hashes)), np.int32)
        for number in range(orders):
            unsorted = _keys(hashes, number, orders)
            items[number] = np.argsort(unsorted, kind="stable")
            keys[number] = unsorted[items[number]]
        return cls(hashes, keys, items)

    def near(self, queries: Hashes, radius: int, window: int = 4) -> Hits:
        """Indexed hashes that differ from a query in few bits; each pair once.

        Args:
            queries: shape (queries, words).
            radius: most bits in which they may differ.
            window: how many neighbours to look at on either side in each order.
        """
        parts = [
            self._near(queries[start : start + _CHUNK], radius, window, start)
            for start in range(0, len(queries), _CHUNK)
        ]
        return Hits(*(np.concatenate(part) for part in zip(*parts, strict=True)))

    def _near(self, queries: Hashes, radius: int, window: int, start: int) -> Hits:
        orders, count = self.keys.shape
        # Keys of a pair differ in as many bits as the pair does in all, by share, give or take chance.
        share = radius / (64 * queries.shape[1])
        allowed = int(_KEY_BITS * share + 2 * np.sqrt(_KEY_BITS * share * (1 - share)))
        steps = np.arange(-window, window)
        pairs_by_order = []
        for number in range(orders):
            keys = _keys(queries, number, orders)
            place = np.searchsorted(self.keys[number], keys)[:, None] + steps
            outside = (place < 0) | (place >= count)
            place[outside] = 0
            apart = np.bitwise_count(self.keys[number][place] ^ keys[:, None])
            query, column = np.nonzero((apart <= allowed) & ~outside)
            pairs_by_order.append(query * count + self.items[number][place[query, column]])
        pairs = np.concatenate(pairs_by_order)
        query, item = np.divmod(pairs, count)
        distance = np.bitwise_count(queries[query] ^ self.hashes[item]).sum(axis=1, dtype=np.int64)
        # Few are left by now; to find those of several orders among all took most of the time.
        near = np.flatnonzero(distance <= radius)
        near = near[np.unique(pairs[near], return_index=True)[1]]
        return Hits(query[near] + start, item[near], distance[near])


def _keys(hashes: Hashes, number: int, orders: int) -> Hashes:
    """The 64 bits that come first in an order, as numbers that sort by them."""
    octets = hashes.view(np.uint8)
    first = round(number * octets.shape[1] / orders)
    key_octets = (first + np.arange(_KEY_BITS // 8)) % octets.shape[1]
    return np.ascontiguousarray(octets[:, key_octets]).view(">u8")[:, 0].astype(np.uint64)
