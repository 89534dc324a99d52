"""Exact and near duplicates, within and across splits, classes and patients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from radlens.dataset.audit.copy_groups import Group, Pair, group_copies, largest_group
from radlens.dataset.audit.findings import Finding, Severity, ways_out
from radlens.dataset.audit.near_duplicates import compare_all, same_pixels
from radlens.dataset.manifest import Manifest

SHOWN_GROUPS = 12
SHOWN_IMAGES = 4
# Past this share of images with conflicting labels the labels of the whole set are in doubt.
CONFLICTS_BLOCK = 0.01


@dataclass(frozen=True)
class Duplicates:
    """Which images are copies of one another, as row numbers in ascending order.

    Attributes:
        exact: images with the same content, byte for byte.
        near: images that show the same picture though some of their bytes differ.
        left_out: pairs of like pictures not counted as copies, because they chained too many images together.
    """

    exact: tuple[Group, ...] = ()
    near: tuple[Group, ...] = ()
    left_out: int = 0

    def groups(self) -> tuple[Group, ...]:
        """Both kinds, copies of copies together."""
        size = 1 + max((row for group in self.exact + self.near for row in group), default=-1)
        return group_copies(size, _chain(self.exact + self.near), (), ())[0]

    def only(self, mask: npt.NDArray[np.bool_]) -> Duplicates:
        """The same for the rows where the mask is true, numbered again."""
        number = np.cumsum(mask) - 1

        def kept(groups: Sequence[Group]) -> tuple[Group, ...]:
            left = (tuple(int(number[row]) for row in group if mask[row]) for group in groups)
            return tuple(group for group in left if len(group) > 1)

        return Duplicates(kept(self.exact), kept(self.near), self.left_out)


def find_duplicates(digests: Sequence[str], pixels: npt.NDArray[np.uint8], rows: npt.NDArray[np.int64]) -> Duplicates:
    """Find copies without comparing all pairs: by content hash, by equal pixels, and by close perceptual hashes.

    Args:
        digests: content hash of each image, empty where it could not be read.
        pixels: uint8, shape (any, channels, height, width).
        rows: the row of each image in ``pixels``; below 0 where it could not be read.
    """
    readable = np.flatnonzero(np.asarray(rows) >= 0)
    by_content: dict[str, list[int]] = {}
    for number in readable.tolist():
        by_content.setdefault(digests[number], []).append(number)
    exact = tuple(tuple(group) for group in by_content.values() if len(group) > 1)
    firsts = [group[0] for group in by_content.values()]
    if len(firsts) < 2:
        return Duplicates(exact)
    own, image_of = np.unique(np.asarray(rows)[firsts], return_index=True)
    number_of = {int(row): firsts[at] for row, at in zip(own, image_of, strict=True)}
    same = same_pixels(pixels, own)
    sure = [(number_of[int(a)], number_of[int(b)]) for a, b in zip(own, same, strict=True) if a != b]
    compared = compare_all(pixels, own[own == same])
    first, second = compared.first[compared.same], compared.second[compared.same]
    alike = [(number_of[int(a)], number_of[int(b)]) for a, b in zip(first, second, strict=True)]
    groups, left_out = group_copies(len(rows), [*_chain(exact), *sure], alike, compared.similarity[compared.same])
    near = tuple(group for group in groups if len({digests[number] for number in group}) > 1)
    return Duplicates(exact, near, left_out)


def _chain(groups: Sequence[Group]) -> list[Pair]:
    return [pair for group in groups for pair in pairwise(group)]


def duplicate_findings(manifest: Manifest, duplicates: Duplicates) -> list[Finding]:
    """Leaks between splits, copies within a split, and copies with different labels."""
    table = manifest.table
    split, label = table["split"].to_numpy(), table["label"].to_numpy()
    findings = []
    kinds = (("exact", duplicates.exact, "byte for byte"), ("near", duplicates.near, "the same picture in other bytes"))
    for kind, groups, words in kinds:
        across = [group for group in groups if len({split[row] for row in group} - {""}) > 1]
        within = [group for group in groups if group not in across]
        if across:
            findings.append(_leak(manifest, across, words))
        if within:
            findings.append(_copies(manifest, within, words, "warn" if kind == "exact" else "note"))
    if duplicates.left_out:
        findings.append(_chained(len(manifest), duplicates.left_out))
    conflicting = [group for group in duplicates.groups() if len({label[row] for row in group}) > 1]
    if conflicting:
        findings.append(_conflicts(manifest, conflicting))
    return findings


def _leak(manifest: Manifest, groups: Sequence[Group], words: str) -> Finding:
    count = sum(map(len, groups))
    message = (
        f"{count} images are copies of one another in different splits ({words}): the model would be judged on images "
        f"that it was trained on. {ways_out(manifest.table['split'])}"
    )
    return _finding(manifest, groups, "leak", "block", message, "split")


def _copies(manifest: Manifest, groups: Sequence[Group], words: str, severity: Severity) -> Finding:
    count, spare = sum(map(len, groups)), sum(len(group) - 1 for group in groups)
    patient = manifest.table["patient"].to_numpy()
    strangers = sum(len({patient[row] for row in group}) > 1 for group in groups)
    message = f"{count} images are copies of one another ({words}); {spare} of them add nothing and count twice."
    if strangers:
        message += f" In {strangers} of {len(groups)} sets the copies are of patients of different names."
    return _finding(manifest, groups, "duplicate", severity, message, "patient")


def _chained(images: int, left_out: int) -> Finding:
    message = (
        f"{left_out} pairs of like pictures are not counted as copies: one like the next, they would chain more than "
        f"{largest_group(images)} of the {images} images into one set. Copies among these may lie in several splits; "
        "look at how the pictures were made, and name the patients if they are known (data.patient_from)."
    )
    return Finding(check="duplicate", severity="warn", message=message, count=left_out)


def _conflicts(manifest: Manifest, groups: Sequence[Group]) -> Finding:
    count = sum(map(len, groups))
    severity: Severity = "block" if count > CONFLICTS_BLOCK * len(manifest) else "warn"
    message = (
        f"{count} copies of {len(groups)} image(s) have different labels: at least one of each set is wrong. Look at "
        "them and mend them"
    )
    split = manifest.table["split"].to_numpy()
    if any(split[row] != "test" for group in groups for row in group):
        message += ", or leave all of them out of training (--set data.split.conflicts=drop_train)"
    message += "."
    return _finding(manifest, groups, "conflicting_labels", severity, message, "label")


def _finding(
    manifest: Manifest,
    groups: Sequence[Group],
    check: str,
    severity: Severity,
    message: str,
    column: str,
) -> Finding:
    path, cells = manifest.table["path"].to_numpy(), manifest.table[column].to_numpy()
    shown = [group[:SHOWN_IMAGES] for group in groups[:SHOWN_GROUPS]]
    return Finding.model_validate(
        {
            "check": check,
            "severity": severity,
            "message": message,
            "count": sum(map(len, groups)),
            "examples": tuple(" = ".join(f"{path[row]} ({cells[row]})" for row in group) for group in shown),
            "groups": tuple(tuple(str(path[row]) for row in group) for group in shown),
        }
    )
