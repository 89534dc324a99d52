"""Which images train, which validate and which test: grouped by patient, stratified by class, the same every time."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from radlens.base.errors import DataError
from radlens.config import SplitSettings
from radlens.dataset.manifest import SPLITS, Manifest

logger = logging.getLogger(__name__)

Overlap = Literal["error", "drop_train", "keep"]
_SHOWN = 5


def assign_splits(manifest: Manifest, settings: SplitSettings, seed: int) -> Manifest:
    """Put every image into train, val or test; all images of a patient go into the same one.

    Splits that the manifest came with are kept when ``settings.official`` and usable. A validation split that is
    absent, or has fewer than ``settings.min_validation`` images of a class, joins train; validation and test splits
    that are then lacking are made from train, their shares being shares of the images to split. Whatever differs from
    what came with the manifest is logged and noted in it.

    The result depends on the images' patients and labels, on the settings and on the seed, not on the order of rows.

    Raises:
        DataError: official splits share patients and ``drop_train`` was not chosen, there is no train split among the
            official ones, or a class has too few patients to be in every split.
    """
    official = manifest.table["split"].ne("")
    if official.any() and settings.official:
        manifest = _usable(manifest, settings)
    else:
        if official.any():
            manifest = _say(manifest, "The official splits were not used (data.split.official: false).")
        manifest = manifest.with_split(["train"] * len(manifest))
    present = set(manifest.table["split"].unique())
    shares = {"test": settings.test, "val": settings.validation}
    wanted = {split: share for split, share in shares.items() if split not in present}
    if wanted:
        manifest = _part_train(manifest, wanted, seed)
    _check_complete(manifest)
    return manifest


def _say(manifest: Manifest, note: str, level: int = logging.WARNING) -> Manifest:
    logger.log(level, note)
    return manifest.with_notes(note)


def _usable(manifest: Manifest, settings: SplitSettings) -> Manifest:
    """The manifest with those of its official splits that may be kept."""
    present = set(manifest.table["split"].unique())
    if "train" not in present:
        present_names = ", ".join(split for split in SPLITS if split in present)
        raise DataError(
            f"{manifest.info.name} has images for {present_names} and none for train. Add a train split, "
            "or split all images again: --set data.split.official=false"
        )
    if "" in present:
        count = int((manifest.table["split"] == "").sum())
        manifest = manifest.with_split(manifest.table["split"].replace("", "train"))
        manifest = _say(manifest, f"{count} image(s) without a split joined train.")
    overlap = settings.overlap or manifest.info.overlap
    if "test" in present:
        manifest = _without_overlap(manifest, ("train", "val"), "test", overlap)
    if "val" not in present:
        return manifest
    counts = manifest.class_counts().reindex(list(SPLITS), fill_value=0)
    smallest = int(counts.loc["val"].to_numpy().min())
    if smallest >= settings.min_validation:
        return _without_overlap(manifest, ("train",), "val", overlap)
    count = int((manifest.table["split"] == "val").sum())
    manifest = manifest.with_split(manifest.table["split"].replace("val", "train"))
    return _say(
        manifest,
        f"The official validation split has {smallest} image(s) in its smallest class, fewer than the "
        f"{settings.min_validation} needed to choose a model on: its {count} image(s) joined train, and a "
        "patient-grouped split of train replaces it.",
    )


def _without_overlap(manifest: Manifest, losers: Sequence[str], keeper: str, overlap: Overlap) -> Manifest:
    """See that no patient of the split ``keeper`` is in the splits ``losers``, or drop such images from these."""
    split, patient = manifest.table["split"], manifest.table["patient"]
    shared = split.isin(losers) & patient.isin(patient[split == keeper])
    if not shared.any() or overlap == "keep":
        return manifest
    names = sorted(patient[shared].unique())
    where = split[shared].value_counts()
    images = ", ".join(f"{where[loser]} in {loser}" for loser in losers if loser in where)
    shown = ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
    if overlap == "error":
        raise DataError(
            f"{len(names)} patient(s) of the {keeper} split are in other splits too ({images} image(s)): {shown}. "
            f"Results on {keeper} would look better than they are. Drop those images: "
            "--set data.split.overlap=drop_train; or split all images again by patient: "
            "--set data.split.official=false"
        )
    kept = manifest.only(~shared)
    if "train" not in kept.table["split"].unique():
        raise DataError(f"Every patient of train is in {keeper} too; nothing is left to train on.")
    return _say(
        kept,
        f"{len(names)} patient(s) of the {keeper} split are in other splits too; their images there were dropped "
        f"({images}): {shown}.",
    )


def _part_train(manifest: Manifest, wanted: Mapping[str, float], seed: int) -> Manifest:
    """Make the wanted splits from patients of train."""
    split = manifest.table["split"].to_numpy(dtype=object, copy=True)
    rows = np.flatnonzero(split == "train")
    codes, patients = pd.factorize(manifest.table["patient"].iloc[rows])
    images = np.bincount(codes, minlength=len(patients)).astype(np.int64)
    one_hot = _one_hot(manifest)[rows]
    has_class = _patients_with_class(one_hot, codes, len(patients))
    _check_enough(manifest, has_class.sum(axis=0), 1 + len(wanted))
    order = _order([str(name) for name in patients], seed)
    assigned = part_patients(images, _rarest_class(has_class, one_hot.sum(axis=0)), order, wanted)
    _give_each_class(assigned, images, has_class, order, ["train", *wanted])
    split[rows] = assigned[codes]
    new_splits = " and ".join(f"{name} ({int((split == name).sum())} images)" for name in wanted)
    return _say(
        manifest.with_split(pd.Series(split)),
        f"{new_splits} made from train ({int((split == 'train').sum())} images left), grouped by patient and "
        f"stratified by class, seed {seed}.",
        logging.INFO,
    )


def part_patients(
    images: npt.NDArray[np.int64],
    strata: npt.NDArray[np.int64],
    order: npt.NDArray[np.int64],
    shares: Mapping[str, float],
) -> npt.NDArray[np.object_]:
    """Allot patients to splits so that in each stratum the shares of images are met as closely as whole patients allow.

    Args:
        images: number of images of each patient.
        strata: stratum of each patient.
        order: the patients in random order.
        shares: share of images for each split besides train, each in (0, 1), summing to less than 1.

    Returns:
        The split of each patient; ``train`` for those in none of ``shares``.
    """
    assigned = np.full(len(images), "train", dtype=object)
    for stratum in np.unique(strata):
        members = order[strata[order] == stratum]
        total = images[members].sum()
        # A patient with more images than the smallest share holds could only overfill it: such patients stay in train.
        small = images[members] <= max(1.0, min(shares.values()) * total)
        members = members[np.argsort(~small, kind="stable")]
        filled = np.concatenate([[0], np.cumsum(images[members])])
        start = 0
        for name, share in shares.items():
            end = start + int(np.argmin(np.abs(filled[start:] - filled[start] - share * total)))
            assigned[members[start:end]] = name
            start = end
    return assigned


def _give_each_class(
    assigned: npt.NDArray[np.object_],
    images: npt.NDArray[np.int64],
    has_class: npt.NDArray[np.bool_],
    order: npt.NDArray[np.int64],
    splits: Sequence[str],
) -> None:
    """Move the smallest patient that can be spared into each split that lacks a class, from the first split that can.

    A patient can be spared if the split it leaves keeps all the classes that the patient has.
    """
    for column in np.argsort(has_class.sum(axis=0), kind="stable"):
        for split in splits:
            if has_class[assigned == split, column].any():
                continue
            for donor in splits:
                left = has_class[assigned == donor].sum(axis=0)
                spare = (assigned == donor) & has_class[:, column] & ~(has_class & (left <= 1)).any(axis=1)
                candidates = order[spare[order]]
                if candidates.size:
                    assigned[candidates[images[candidates].argmin()]] = split
                    break


def _one_hot(manifest: Manifest) -> npt.NDArray[np.bool_]:
    """Whether an image has a class, shape (images, classes)."""
    targets = manifest.targets()
    if targets.ndim == 2:
        return targets.astype(bool)
    return np.asarray(targets[:, None] == np.arange(len(manifest.info.classes)))


def _patients_with_class(
    one_hot: npt.NDArray[np.bool_], codes: npt.NDArray[np.int64], patients: int
) -> npt.NDArray[np.bool_]:
    """Whether any image of a patient has a class, shape (patients, classes); ``codes`` is the patient of each image."""
    has_class = np.zeros((patients, one_hot.shape[1]), dtype=bool)
    image, column = np.nonzero(one_hot)
    has_class[codes[image], column] = True
    return has_class


def _rarest_class(has_class: npt.NDArray[np.bool_], images: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The class of each patient that the fewest images have, or -1 for a patient without any."""
    by_frequency = np.argsort(images, kind="stable")
    rarest = by_frequency[has_class[:, by_frequency].argmax(axis=1)]
    return np.where(has_class.any(axis=1), rarest, -1)


def _order(patients: Sequence[str], seed: int) -> npt.NDArray[np.int64]:
    """The patients in an order that follows from the seed and their names alone."""
    keys = [hashlib.sha256(f"{seed}:{name}".encode()).digest() for name in patients]
    return np.asarray(sorted(range(len(keys)), key=keys.__getitem__), dtype=np.int64)


def _check_enough(manifest: Manifest, patients: npt.NDArray[np.int64], needed: int) -> None:
    short = [f"{name} ({count})" for name, count in zip(manifest.info.classes, patients, strict=True) if count < needed]
    if short:
        raise DataError(
            f"Too few patients to split by patient: each class needs at least {needed}, but these have fewer: "
            f"{', '.join(short)}. Add images of more patients, or see how patients are told (data.patient_from)."
        )


def _check_complete(manifest: Manifest) -> None:
    """Every class must be in every split."""
    counts = manifest.class_counts().reindex(list(SPLITS), fill_value=0)
    lacking = [
        f"{split} has no {name}" for split in SPLITS for name in manifest.info.classes if not counts[name][split]
    ]
    if lacking:
        raise DataError(
            f"Not every class is in every split: {'; '.join(lacking)}. A model cannot be trained, chosen and judged "
            "so. Add images, or split all images again: --set data.split.official=false"
        )
