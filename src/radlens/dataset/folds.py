"""Folds for cross-validation: whole patients, with about the same share of each class in every fold."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold

from radlens.base.errors import DataError
from radlens.dataset.copies import group_by_copies
from radlens.dataset.grouping import rarest_class
from radlens.dataset.manifest import Manifest


def assign_folds(
    manifest: Manifest, folds: int, seed: int, copies: Sequence[Sequence[int]] = ()
) -> npt.NDArray[np.int64]:
    """The fold of each image, from 1; all images of a patient, and of patients who share a copy, are in the same one.

    An image with several labels counts for the rarest of them. The result depends on the patients, the labels and the
    seed, not on the order of rows.

    Args:
        manifest: the images.
        folds: how many.
        seed: what the random choices follow from.
        copies: row numbers of the copies of each image that has several.

    Raises:
        DataError: a class has too few patients to be in every fold and twice more in what is left (to train and to
            validate on).
    """
    order = np.argsort(manifest.table["path"].to_numpy(dtype=str), kind="stable")
    targets = manifest.targets()[order]
    held = targets > 0 if targets.ndim == 2 else np.eye(len(manifest.info.classes), dtype=bool)[targets]
    groups = np.asarray(pd.factorize(group_by_copies(manifest, copies).to_numpy()[order])[0])
    few = {
        name: count
        for name, column in zip(manifest.info.classes, held.T, strict=True)
        if (count := len(np.unique(groups[column]))) < max(folds, 3)
    }
    if few:
        name, count = next(iter(few.items()))
        raise DataError(
            f"The class {name} has {count} patient(s); {folds} folds need {max(folds, 3)} or more, so that each fold "
            "has one. Take fewer folds, or more images."
        )
    fold_of = np.zeros(len(manifest), dtype=np.int64)
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    for number, (_, held_out) in enumerate(splitter.split(held, rarest_class(held), groups), start=1):
        fold_of[order[held_out]] = number
    return fold_of
