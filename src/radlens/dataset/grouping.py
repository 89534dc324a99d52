"""Images that belong together stay together: groups, samples of groups, and folds of groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from sklearn.model_selection import StratifiedGroupKFold

from radlens.statistics.groups import FOLDS, Bools, Ints, count_rarer

# With fewer groups, such as patients, on either side, a class is not judged.
FEWEST = 10


@dataclass(frozen=True)
class Sample:
    """Images to judge by cross-validation.

    Attributes:
        images: their positions, ascending.
        names: of the classes.
        targets: whether an image is of a class, shape (images, classes).
        groups: images of the same group stay together.
        folds: the fold of each image, from 0.
        left_out: names of the classes with too few groups to be judged.
    """

    images: Ints
    names: tuple[str, ...]
    targets: Bools
    groups: Ints
    folds: Ints
    left_out: tuple[str, ...]

    def only(self, kept: Ints) -> Sample | None:
        """Some of the images in the folds that they are in; None where they are too few to judge any class by.

        Args:
            kept: places in ``images``, ascending.
        """
        targets, groups = self.targets[kept], self.groups[kept]
        enough = count_rarer(targets, groups) >= FEWEST
        if not enough.any():
            return None
        names = tuple(name for name, judged in zip(self.names, enough, strict=True) if judged)
        left_out = (*self.left_out, *(name for name in self.names if name not in names))
        return Sample(self.images[kept], names, targets[:, enough], groups, self.folds[kept], left_out)


def draw_sample(names: Sequence[str], targets: Bools, groups: Ints, limit: int, seed: int) -> Sample | None:
    """Draw at most about ``limit`` images by group, and deal them into folds; None where no class can be judged.

    Args:
        names: of the classes.
        targets: whether an image is of a class, shape (images, classes).
        groups: the group of each image, from 0.
        limit: how many images; all of them are taken when there are no more.
        seed: what sample and folds follow from.
    """
    enough = count_rarer(targets, groups) >= FEWEST
    if not enough.any():
        return None
    targets = targets[:, enough]
    images = draw_images(groups, rarest_class(targets), limit, np.random.default_rng(seed))
    targets, groups = targets[images], groups[images]
    return Sample(
        images=images,
        names=tuple(name for name, kept in zip(names, enough, strict=True) if kept),
        targets=targets,
        groups=groups,
        folds=deal_folds(groups, rarest_class(targets), seed),
        left_out=tuple(name for name, kept in zip(names, enough, strict=True) if not kept),
    )


def group_images(patients: npt.ArrayLike, rows: Ints) -> Ints:
    """The group of each image, from 0: images of one patient, or of the same content, and so on along the chain.

    Args:
        patients: the patient of each image.
        rows: the row of each image in the pixel cache; exact duplicates share one.

    >>> group_images(["a", "a", "b", "c"], np.array([0, 1, 1, 2])).tolist()
    [0, 0, 0, 1]
    """
    patient, names = pd.factorize(np.asarray(patients, dtype=object))
    content, contents = pd.factorize(rows)
    size = len(names) + len(contents)
    links = coo_matrix((np.ones(len(rows)), (patient, len(names) + content)), shape=(size, size))
    return np.asarray(connected_components(links, directed=False)[1][patient], dtype=np.int64)


def rarest_class(targets: Bools) -> Ints:
    """The class of each image that the fewest images have, or -1; ``targets`` has shape (images, classes)."""
    order = np.argsort(targets.sum(axis=0), kind="stable")
    return np.where(targets.any(axis=1), order[targets[:, order].argmax(axis=1)], -1).astype(np.int64)


def draw_images(groups: Ints, strata: Ints, limit: int, rng: np.random.Generator) -> Ints:
    """Positions, ascending, of at most about ``limit`` images: whole groups, drawn at random.

    Each stratum gets an equal share; what small strata leave over goes to the others in random order. All images are
    taken when there are no more than ``limit``.
    """
    if len(groups) <= limit:
        return np.arange(len(groups))
    # Groups in random order, each image by its group's place: whole groups come one after another.
    place = rng.permutation(groups.max() + 1)[groups]
    order = np.argsort(place, kind="stable")
    names, stratum = np.unique(strata[order], return_inverse=True)
    share = limit // len(names)
    wanted = np.zeros(groups.max() + 1, dtype=bool)
    for name in range(len(names)):
        wanted[groups[order[stratum == name][:share]]] = True
    left = limit - int(wanted[groups].sum())
    if left > 0:
        remaining = order[~wanted[groups[order]]]
        wanted[groups[remaining[:left]]] = True
    return np.flatnonzero(wanted[groups])


def deal_folds(groups: Ints, strata: Ints, seed: int) -> Ints:
    """The fold of each image, 0 to 4: whole groups, with about the same share of each stratum in every fold."""
    _, stratum, counts = np.unique(strata, return_inverse=True, return_counts=True)
    # A stratum that cannot be in every fold counts with the largest one.
    stratum = np.where(counts[stratum] < FOLDS, counts.argmax(), stratum)
    fold = np.empty(len(groups), dtype=np.int64)
    splitter = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
    for number, (_, held_out) in enumerate(splitter.split(np.zeros((len(groups), 1)), stratum, groups)):
        fold[held_out] = number
    return fold
