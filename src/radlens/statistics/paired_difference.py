"""The difference between two models on the same images: its standard error over patients, and what follows from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import t as student

from radlens.statistics.intervals import quantile


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
        reach = quantile(confidence, self.patients) * self.standard_error
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

    >>> gain = mean_difference([0, 1, 0, 1], [1, 1, 1, 0], ["a", "b", "c", "d"])
    >>> gain.value, round(gain.standard_error, 4)
    (0.25, 0.4787)
    """
    gaps = np.asarray(second, dtype=np.float64) - np.asarray(first, dtype=np.float64)
    _, member = np.unique(np.asarray(patients), return_inverse=True)
    count = int(member.max()) + 1
    value = float(gaps.mean())
    sums = np.bincount(member, weights=gaps - value, minlength=count)
    variance = count / max(1, count - 1) * float((sums**2).sum()) / len(gaps) ** 2
    return Difference(value, without_rounding(variance**0.5), count)


def without_rounding(error: float) -> float:
    """A standard error without what rounding alone left of a zero."""
    return 0.0 if error < 1e-12 else error
