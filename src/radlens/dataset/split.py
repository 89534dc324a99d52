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
from radlens.dataset.copies import group_by_copies
from radlens.dataset.manifest import SPLITS, Manifest

logger = logging.getLogger(__name__)

Overlap = Literal["error", "drop_train", "keep"]
_SHOWN = 5
OFFICIAL_UNUSED = "The official splits were not used (data.split.official: false)."


def assign_splits(
    manifest: Manifest, settings: SplitSettings, seed: int, copies: Sequence[Sequence[int]] = ()
) -> Manifest:
    """Put every image into train, val or test; all images of a patient, and all copies of an image, go into one.

    Patients who share a copy of an image count as one patient wherever a split is made, and where images are dropped
    (``settings.overlap`` ``drop_train``): of copies in two official splits, whatever their labels, those in test stay.
    Otherwise copies in two official splits stay, for the audit to tell.

    Splits that the manifest came with are kept when ``settings.official`` and usable. A validation split that is
    absent, or has fewer than ``settings.min_validation`` images of a class, joins train; validation and test splits
    that are then lacking are made from train, their shares being shares of the images to split. Whatever differs from
    what came with the manifest is logged and noted in it.

    The result depends on the images' patients and labels, on the settings and on the seed, not on the order of rows.

    Args:
        manifest: the images.
        settings: the rules.
        seed: what the random choices follow from.
        copies: row numbers of the copies of each image that has several.

    Raises:
        DataError: official splits share patients and ``drop_train`` was not chosen, there is no train split among the
            official ones, or a class has too few patients to be in every split.
    """
    groups = group_by_copies(manifest, copies)
    official = manifest.table["split"].ne("")
    if official.any() and settings.official:
        manifest = _usable(manifest, settings, groups)
    else:
        if official.any():
            manifest = _say(manifest, OFFICIAL_UNUSED)
        manifest = manifest.with_split(["train"] * len(manifest))
    present = set(manifest.table["split"].unique())
    shares = {"test": settings.test, "val": settings.validation}
    wanted = {split: share for split, share in shares.items() if split not in present}
    if wanted:
        manifest = _part_train(manifest, wanted, seed, groups)
    _check_complete(manifest)
    return manifest


def drop_overlap(manifest: Manifest, copies: Sequence[Sequence[int]]) -> Manifest:
    """The manifest with its splits, less the images of other splits that share a patient or a picture with test or val.

    Args:
        manifest: the images.
        copies: row numbers of the copies of each image that has several.

    Raises:
        DataError: nothing is left to train on.
    """
    groups = group_by_copies(manifest, copies)
    for losers, keeper in ((("train", "val"), "test"), (("train",), "val")):
        manifest = _without_overlap(manifest, losers, keeper, "drop_train", groups)
    return manifest


def _say(manifest: Manifest, note: str, level: int = logging.WARNING) -> Manifest:
    logger.log(level, note)
    return manifest.with_notes(note)


def _usable(manifest: Manifest, settings: SplitSettings, groups: pd.Series) -> Manifest:
    """The manifest with those of its official splits that may be kept; ``groups`` are those of each path."""
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
        manifest = _without_overlap(manifest, ("train", "val"), "test", overlap, groups)
    if "val" not in present:
        return manifest
    counts = manifest.class_counts().reindex(list(SPLITS), fill_value=0)
    smallest = int(counts.loc["val"].to_numpy().min())
    if smallest >= settings.min_validation:
        return _without_overlap(manifest, ("train",), "val", overlap, groups)
    count = int((manifest.table["split"] == "val").sum())
    manifest = manifest.with_split(manifest.table["split"].replace("val", "train"))
    return _say(
        manifest,
        f"The official validation split has {smallest} image(s) in its smallest class, fewer than the "
        f"{settings.min_validation} needed to choose a model on: its {count} image(s) joined train, and a "
        "patient-grouped split of train replaces it.",
    )


def _without_overlap(
    manifest: Manifest, losers: Sequence[str], keeper: str, overlap: Overlap, groups: pd.Series
) -> Manifest:
    """See that no patient of the split ``keeper`` is in the splits ``losers``, or drop such images from these.

    Of those who share a copy of an image with a patient of ``keeper``, too, images are dropped; they are no error.
    """
    split, patient = manifest.table["split"], manifest.table["patient"]
    shared = split.isin(losers) & patient.isin(patient[split == keeper])
    names = sorted(patient[shared].unique())
    who = f"{len(names)} patient(s) of the {keeper} split are in other splits too"
    if names and overlap == "error":
        raise DataError(
            f"{who} ({_counts(split[shared], losers)} image(s)): {_first(names)}. "
            f"Results on {keeper} would look better than they are. Drop those images: "
            "--set data.split.overlap=drop_train; or split all images again by patient: "
            "--set data.split.official=false"
        )
    if overlap != "drop_train":
        return manifest
    group = manifest.table["path"].map(groups)
    copied = split.isin(losers) & group.isin(group[split == keeper]) & ~shared
    if not (shared | copied).any():
        return manifest
    kept = manifest.only(~(shared | copied))
    if "train" in set(split) - set(kept.table["split"]):
        raise DataError(
            f"Every patient of train is in {keeper} too, or shares a copy of an image with it; nothing is left to "
            "train on. Split all images again: --set data.split.official=false"
        )
    if names:
        dropped = f"their images there were dropped ({_counts(split[shared], losers)}): {_first(names)}."
        kept = _say(kept, f"{who}; {dropped}")
    if copied.any():
        kept = _say(
            kept,
            f"{int(copied.sum())} image(s) were dropped ({_counts(split[copied], losers)}) that are copies of images "
            f"of the {keeper} split, or of patients who share one: {_first(manifest.table['path'][copied])}.",
        )
    return kept


def _counts(split: pd.Series, losers: Sequence[str]) -> str:
    where = split.value_counts()
    return ", ".join(f"{where[loser]} in {loser}" for loser in losers if loser in where)


def _first(names: Sequence[str] | pd.Series) -> str:
    return ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")


def _part_train(manifest: Manifest, wanted: Mapping[str, float], seed: int, groups: pd.Series) -> Manifest:
    """Make the wanted splits from patients of train, or groups of patients: ``groups`` are those of each path."""
    split = manifest.table["split"].to_numpy(dtype=object, copy=True)
    rows = np.flatnonzero(split == "train")
    codes, patients = pd.factorize(manifest.table["path"].iloc[rows].map(groups))
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
