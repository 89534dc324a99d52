"""Copies of one image keep together: patients who share one count as one when images are split."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from radlens.dataset.manifest import Manifest

logger = logging.getLogger(__name__)


def group_by_copies(manifest: Manifest, copies: Sequence[Sequence[int]] = ()) -> pd.Series:
    """What each image has to stay together with, whatever splits the images came in.

    Args:
        manifest: the images.
        copies: row numbers of the copies of each image that has several.

    Returns:
        By path, the patient of each image; of patients who share a copy of an image, and so on along the chain, the
        first name.

    >>> from radlens.dataset.manifest import DatasetInfo
    >>> table = pd.DataFrame({"path": list("123"), "label": list("aba"), "patient": list("zyx"), "split": ""})
    >>> info = DatasetInfo(name="made up", task="binary", classes=("a", "b"), root="/nowhere")
    >>> group_by_copies(Manifest(table, info), [(0, 1)]).tolist()
    ['y', 'y', 'x']
    """
    patients = manifest.table.set_index("path")["patient"]
    if not copies:
        return patients
    code, names = pd.factorize(patients)
    patient = np.concatenate([code[list(group)] for group in copies])
    picture = len(names) + np.repeat(np.arange(len(copies)), [len(group) for group in copies])
    size = len(names) + len(copies)
    links = coo_array((np.ones(len(patient)), (patient, picture)), shape=(size, size))
    return patients.groupby(connected_components(links, directed=False)[1][code]).transform("min")


def drop_conflicts(
    manifest: Manifest, copies: Sequence[Sequence[int]], *, keep_test: bool
) -> tuple[Manifest, npt.NDArray[np.bool_]]:
    """The images less all copies with different labels, of which at least one is wrong and none is known to be right.

    Args:
        manifest: the images.
        copies: row numbers of the copies of each image that has several.
        keep_test: whether those in the split test stay.

    Returns:
        The images left, and which of the images those are.

    Raises:
        DataError: none is left.
    """
    label = manifest.table["label"].to_numpy()
    kept = np.ones(len(manifest), dtype=np.bool_)
    for group in copies:
        kept[list(group)] = len({label[row] for row in group}) == 1
    if keep_test:
        kept |= (manifest.table["split"] == "test").to_numpy()
    if kept.all():
        return manifest, kept
    note = f"{int((~kept).sum())} copies of images with different labels were left out (data.split.conflicts)."
    logger.warning("%s First: %s.", note, manifest.table["path"][~kept].iloc[0])
    return manifest.only(kept).with_notes(note), kept
