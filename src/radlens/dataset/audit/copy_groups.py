"""From pairs of copies to groups of them, without chains of pictures that are merely alike gluing a set together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

Group = tuple[int, ...]
Pair = tuple[int, int]

# A group that pictures merely alike would make larger than this is not one picture in many copies.
LARGEST_SHARE = 0.1
LARGEST_AT_LEAST = 100


def largest_group(images: int) -> int:
    """The most images that near copies are joined to, of a set of so many images.

    >>> largest_group(200), largest_group(7000)
    (100, 700)
    """
    return max(LARGEST_AT_LEAST, int(LARGEST_SHARE * images))


def group_copies(
    images: int, sure: Iterable[Pair], near: Sequence[Pair], similarity: npt.ArrayLike
) -> tuple[tuple[Group, ...], int]:
    """Join pairs to groups: those of the same content all, those of like pictures from the most alike on.

    A pair of like pictures that would make a group larger than :func:`largest_group` is left out: A may be like B and B
    like C, and so on through a whole set (single linkage, whose chains are bounded here by size).

    Args:
        images: how many there are.
        sure: numbers of images of the same bytes or the same pixels.
        near: numbers of images that show the same picture as far as it can be told.
        similarity: of each of ``near``.

    Returns:
        The groups of two or more, each ascending; and how many pairs were left out.

    >>> group_copies(5, [(0, 1)], [(1, 2), (3, 4)], [0.95, 0.99])
    (((0, 1, 2), (3, 4)), 0)
    """
    root, size = list(range(images)), [1] * images
    most, left_out = largest_group(images), 0

    def find(number: int) -> int:
        while root[number] != number:
            root[number] = root[root[number]]
            number = root[number]
        return number

    def join(pair: Pair, most: int) -> bool:
        first, second = sorted(map(find, pair))
        if first != second and size[first] + size[second] > most:
            return False
        if first != second:
            root[second], size[first] = first, size[first] + size[second]
        return True

    for pair in sure:
        join(pair, images)
    for number in np.argsort(-np.asarray(similarity, dtype=np.float64), kind="stable").tolist():
        left_out += not join(near[number], most)
    groups: dict[int, list[int]] = {}
    for number in range(images):
        if size[find(number)] > 1:
            groups.setdefault(find(number), []).append(number)
    return tuple(tuple(group) for group in groups.values()), left_out
