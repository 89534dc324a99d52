"""Groups of observations that depend on each other, such as the images of a patient."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

# Of every cross-validation that scores are held out by.
FOLDS = 5


def count_groups(targets: Bools, groups: Ints) -> Ints:
    """The number of groups with any image of each class, shape (classes,); ``targets`` has shape (images, classes)."""
    return np.array([len(np.unique(groups[column])) for column in targets.T], dtype=np.int64)
