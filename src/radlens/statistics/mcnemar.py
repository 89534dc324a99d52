"""Whether two models are right equally often on the same images: McNemar's test, also with several images a patient."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import chi2

from radlens.statistics.groups import Floats


@dataclass(frozen=True)
class McNemar:
    """The images that only one of two models answered rightly.

    Attributes:
        only_first: answered rightly by the first model alone.
        only_second: by the second alone.
        p_exact: two-sided, over all ways to swap the two models' answers patient by patient; with one image a patient
            it is the exact McNemar test.
        p_clustered: two-sided, by a chi-square statistic of sums over patients; None where no image differs.
    """

    only_first: int
    only_second: int
    p_exact: float
    p_clustered: float | None


def mcnemar(first: npt.NDArray[np.bool_], second: npt.NDArray[np.bool_], patients: npt.ArrayLike) -> McNemar:
    """Test whether two models are right equally often (McNemar 1947, doi:10.1007/BF02295996).

    Where patients have several images, these are not independent evidence. The chi-square statistic then is that of
    Obuchowski (1998, doi:10.1002/(SICI)1097-0258(19980715)17:13<1495::AID-SIM863>3.0.CO;2-I): the square of the excess
    of one model over the sum of the squares of the patients' excesses.

    Args:
        first: whether the first model is right, shape (images,).
        second: whether the second is.
        patients: whose image each is.

    >>> right = np.array([True] * 9 + [False])
    >>> test = mcnemar(right, ~right, range(10))
    >>> test.only_first, test.only_second, round(test.p_exact, 4)
    (9, 1, 0.0215)
    """
    _, member = np.unique(np.asarray(patients), return_inverse=True)
    gains = second.astype(np.int64) - first.astype(np.int64)
    excess = np.bincount(member, weights=gains).round().astype(np.int64)
    squares, count = float((excess**2).sum()), len(excess)
    clustered = None
    if squares:
        statistic = float(excess.sum()) ** 2 / squares * max(1, count - 1) / count
        clustered = float(chi2.sf(statistic, 1))
    return McNemar(int((gains < 0).sum()), int((gains > 0).sum()), swap_test(excess), clustered)


def swap_test(excess: npt.NDArray[np.int64]) -> float:
    """The chance of a sum as far from 0 as that of these whole numbers, when each has either sign equally often.

    >>> swap_test(np.array([1, 1, 1, 0]))
    0.25
    """
    sizes = np.abs(excess[excess != 0])
    # chances[i] is that of the sum i - reach; each number in turn moves it up or down.
    reach = int(sizes.sum())
    chances: Floats = np.zeros(2 * reach + 1)
    chances[reach] = 1.0
    for size in sizes.tolist():
        chances = (np.roll(chances, size) + np.roll(chances, -size)) / 2
    sums = np.arange(-reach, reach + 1)
    return min(1.0, float(chances[np.abs(sums) >= abs(int(excess.sum()))].sum()))
