"""Copies of one image keep together: patients who share one count as one when images are split."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from radlens.dataset.manifest import Manifest


def join_patients(manifest: Manifest, groups: Sequence[Sequence[int]]) -> Manifest:
    """The same images, patients who share a copy of an image bearing the first of their names.

    Copies that came in two official splits join nothing: they are a leak to be told, not one to be carried on.

    Args:
        manifest: the images.
        groups: row numbers of the copies of each image that has several.
    """
    table = manifest.table
    patients, splits = table["patient"].to_numpy(), table["split"].to_numpy()
    first: dict[tuple[str, str], tuple[str, str]] = {}

    def find(name: tuple[str, str]) -> tuple[str, str]:
        while first.get(name, name) != name:
            name = first[name]
        return name

    for group in groups:
        for split in {splits[row] for row in group}:
            roots = sorted({find((split, patients[row])) for row in group if splits[row] == split})
            for root in roots[1:]:
                first[root] = roots[0]
    if not first:
        return manifest
    joined = [find((split, patient))[1] for split, patient in zip(splits, patients, strict=True)]
    return Manifest(table.assign(patient=joined), manifest.info)


def restore_patients(split_manifest: Manifest, original: Manifest) -> Manifest:
    """The split images, each under its own patient's name again."""
    name_of = pd.Series(original.table["patient"].to_numpy(), index=original.table["path"])
    return Manifest(split_manifest.table.assign(patient=split_manifest.table["path"].map(name_of)), split_manifest.info)
