"""A maker of manifests and pixel caches without files, for the checks that look at facts and pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from fixture_types import MakeImages
from radlens.dataset.manifest import DatasetInfo, Manifest
from radlens.decision import Task
from radlens.imaging.cache.pixel_cache import PixelCache
from radlens.imaging.decode import FileFacts

Images = tuple[Manifest, PixelCache]
FACTS = {"width": 100, "height": 80, "mode": "L", "format": "JPEG", "bytes": 4000, "mean": 100.0, "std": 50.0}


def build(
    labels: Sequence[str],
    *,
    patients: Sequence[object] | None = None,
    splits: Sequence[str] | None = None,
    paths: Sequence[str] | None = None,
    task: Task = "binary",
    classes: tuple[str, ...] = ("ill", "well"),
    pixels: npt.NDArray[np.uint8] | None = None,
    rows: Sequence[int] | None = None,
    facts: Mapping[str, Sequence[object]] | None = None,
    columns: Mapping[str, Sequence[object]] | None = None,
) -> Images:
    """Images with these labels; each is its own patient, black, and has the same file facts, unless said otherwise."""
    count = len(labels)
    table = pd.DataFrame(
        {
            "path": paths if paths is not None else [f"{number}.png" for number in range(count)],
            "label": labels,
            "patient": [str(patient) for patient in (patients if patients is not None else range(count))],
            "split": splits if splits is not None else [""] * count,
            **(columns or {}),
        }
    )
    given = facts or {}
    known = [
        FileFacts(**(FACTS | {name: values[number] for name, values in given.items()}))  # type: ignore[arg-type]
        for number in range(count)
    ]
    cache = PixelCache(
        pixels=np.zeros((count, 1, 16, 16), np.uint8) if pixels is None else pixels,
        rows=np.arange(count) if rows is None else np.asarray(rows, dtype=np.int64),
        facts=tuple(known),
        rejected=(),
        digests=tuple(f"{number:064x}" for number in range(count)),
    )
    return Manifest(table, DatasetInfo(name="x", task=task, classes=classes, root="/data")), cache


@pytest.fixture
def make_images() -> MakeImages:
    """See :func:`build`."""
    return build
