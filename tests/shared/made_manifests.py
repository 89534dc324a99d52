"""Manifests of a few rows, for the tests of splits."""

from __future__ import annotations

import pandas as pd

from radlens.dataset.manifest import DatasetInfo, Manifest
from radlens.decision import Task

CLASSES = ("a", "b", "c")


Rows = list[tuple[str, str, str]]


def manifest(rows: Rows, task: Task = "multiclass", classes: tuple[str, ...] = CLASSES, **info: object) -> Manifest:
    """One row for each (label, patient, split)."""
    table = pd.DataFrame(rows, columns=["label", "patient", "split"])
    table["path"] = [f"{number}.png" for number in range(len(table))]
    values = {"name": "x", "task": task, "classes": classes, "root": "/data", **info}
    return Manifest(table, DatasetInfo.model_validate(values))


def binary(rows: Rows, **info: object) -> Manifest:
    return manifest(rows, "binary", ("a", "b"), **info)


def official(sizes: dict[str, int]) -> Rows:
    """So many images of each class in each split, two a patient."""
    return [
        (label, f"{split}{label}{n // 2}", split)
        for split, size in sizes.items()
        for label in "ab"
        for n in range(size)
    ]


def split_by_path(result: Manifest) -> dict[str, str]:
    return dict(zip(result.table["path"], result.table["split"], strict=True))
