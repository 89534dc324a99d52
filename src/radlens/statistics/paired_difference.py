"""The difference between two models on the same images: its standard error over patients, and what follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import t as student

from radlens.statistics.metrics import Floats


@dataclass(frozen=True)
class Difference:
    """Second model minus first.

    Attributes:
        value: the difference.
        standard_error: 0 where the two never differ.
        patients: over which it was estimated; limits and tests are those of Student's t with one less.
    """

    value: float
    standard_error: float
    patients: int

    def limits(self, confidence: float) -> tuple[float, float]:
        """The confidence interval."""
        reach = float(student.ppf((1 + confidence) / 2, max(1, self.patients - 1))) * self.standard_error
        return self.value - reach, self.value + reach

    @property
    def p_value(self) -> float:
        """Of the two-sided test of no difference."""
        return min(1.0, 2 * min(self.p_above(0.0), self.p_below(0.0)))

    def p_above(self, bound: float) -> float:
        """Of the one-sided test whose alternative is that the difference is above the bound.

        >>> difference = Difference(0.0, 0.01, 1000)
        >>> round(difference.p_above(-0.0196), 3), Difference(0.0, 0.0, 10).p_above(-0.02)
        (0.025, 0.0)
        """
        return self._tail(self.value - bound)

    def p_below(self, bound: float) -> float:
        """Of the one-sided test whose alternative is that the difference is below the bound."""
        return self._tail(bound - self.value)

    def _tail(self, distance: float) -> float:
        if self.standard_error == 0:
            return 0.0 if distance > 0 else 1.0
        return float(student.sf(distance / self.standard_error, max(1, self.patients - 1)))


def mean_difference(first: npt.ArrayLike, second: npt.ArrayLike, patients: npt.ArrayLike) -> Difference:
    """The difference of two means over the same images, which may come several from a patient.

    The mean of the differences is a ratio of patients' sums to patients' counts, whose variance is taken over patients
    (Obuchowski 1998, doi:10.1002/(SICI)1097-0258(19980715)17:13<1495::AID-SIM863>3.0.CO;2-I; Rao and Scott 1992,
    doi:10.2307/2532311). With one image a patient it is the paired t-test.

    Args:
        first: a number for each image, such as 1 for right and 0 for wrong, or a squared error.
        second: the same of the second model.
        patients: whose image each is.

    >>> found = mean_difference([0, 1, 0, 1], [1, 1, 1, 0], ["a", "b", "c", "d"])
    >>> found.value, round(found.standard_error, 4)
    (0.25, 0.4787)
    """
    gaps = np.asarray(second, dtype=np.float64) - np.asarray(first, dtype=np.float64)
    _, member = np.unique(np.asarray(patients), return_inverse=True)
    count = int(member.max()) + 1
    value = float(gaps.mean())
    sums = np.bincount(member, weights=gaps - value, minlength=count)
    variance = count / max(1, count - 1) * float((sums**2).sum()) / len(gaps) ** 2
    return Difference(value, _rounded(variance**0.5), count)


def patient_sums(values: Floats, member: npt.NDArray[np.int64], count: int) -> Floats:
    """The sum of some images' values for each of ``count`` patients."""
    return np.bincount(member, weights=values, minlength=count).astype(np.float64)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted for so many tests, by Holm's step-down procedure (1979, https://www.jstor.org/stable/4615733).

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p_values, kind="stable")
    steps = [(len(p_values) - rank) * p_values[index] for rank, index in enumerate(order)]
    adjusted = np.minimum(1.0, np.maximum.accumulate(steps))
    return [float(adjusted[rank]) for rank in np.argsort(order, kind="stable")]


def _rounded(error: float) -> float:
    """Without what rounding alone left of a zero."""
    return 0.0 if error < 1e-12 else error
