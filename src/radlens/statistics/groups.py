"""Groups of observations that depend on each other, such as the images of a patient."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

# Of every cross-validation that scores are held out by.
FOLDS = 5


def count_patients(patients: npt.ArrayLike, members: Bools) -> int:
    """The number of different patients, or other groups, among the images that the mask is true for."""
    return len(np.unique(np.asarray(patients)[members]))


def count_groups(targets: Bools, groups: Ints) -> Ints:
    """The number of groups with any image of each class, shape (classes,); ``targets`` has shape (images, classes)."""
    return np.array([count_patients(groups, column) for column in targets.T], dtype=np.int64)


def count_rarer(targets: Bools, groups: Ints) -> Ints:
    """The number of groups with images of each class, or with images of other classes where these are fewer."""
    return np.minimum(count_groups(targets, groups), count_groups(~targets, groups))
