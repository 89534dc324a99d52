"""Two AUROCs on the same images: their difference and its standard error, with several images a patient."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from radlens.statistics.groups import Floats, Ints
from radlens.statistics.paired_difference import Difference, without_rounding
from radlens.statistics.placements import clustered_variance, placements


@dataclass(frozen=True)
class PairedAuroc:
    """The two AUROCs and their difference, second minus first."""

    first: float
    second: float
    difference: Difference


def paired_delong(truth: Ints, first: Floats, second: Floats, patients: npt.ArrayLike) -> PairedAuroc:
    """Compare two AUROCs that come from the same images.

    The test of DeLong, DeLong and Clarke-Pearson (1988, doi:10.2307/2531595) in the form of Obuchowski (1997,
    doi:10.2307/2533958), which sums the placements of a patient's images before taking variances, and so holds when
    patients have several images, of one class or of both. With one image a patient it is DeLong's.

    Args:
        truth: 0 or 1, shape (images,); both occur.
        first: scores of the first model, shape (images,).
        second: scores of the second model.
        patients: whose image each is.

    Raises:
        ValueError: a class is absent.
    """
    _, member = np.unique(np.asarray(patients), return_inverse=True)
    (above, below), (later_above, later_below) = (placements(truth, scores) for scores in (first, second))
    areas = float(above.mean()), float(later_above.mean())
    variance = clustered_variance(
        (later_above - areas[1]) - (above - areas[0]), (later_below - areas[1]) - (below - areas[0]), truth == 1, member
    )
    difference = Difference(areas[1] - areas[0], without_rounding(variance**0.5), int(member.max()) + 1)
    return PairedAuroc(*areas, difference)
