"""Folds never part a patient, hold every class alike, and do not depend on the order of rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from radlens.base.errors import DataError
from radlens.dataset.folds import assign_folds
from radlens.dataset.manifest import DatasetInfo, Manifest


def manifest(task: str = "binary", patients: int = 90) -> Manifest:
    rng = np.random.default_rng(0)
    patient = np.repeat(np.arange(patients), rng.integers(1, 5, patients))
    classes = ("normal", "a") if task == "binary" else ("a", "b", "c")
    if task == "multilabel":
        held = rng.random((patients, 3)) < (0.6, 0.4, 0.15)
        labels = ["|".join(name for name, on in zip(classes, held[one], strict=True) if on) for one in patient]
    else:
        labels = [classes[one % len(classes) if one % 4 else 0] for one in patient]
    table = pd.DataFrame({"path": [f"{index}.png" for index in range(len(patient))], "label": labels, "split": ""})
    table["patient"] = [f"p{one}" for one in patient]
    return Manifest(table, DatasetInfo(name="x", task=task, classes=classes, root="."))


@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel"])
def test_patients_are_whole_and_classes_even(task: str) -> None:
    made = manifest(task)
    fold = assign_folds(made, 5, seed=0)
    assert sorted(set(fold)) == [1, 2, 3, 4, 5]
    assert (pd.Series(fold).groupby(made.table["patient"]).nunique() == 1).all()
    targets = made.targets()
    held = targets > 0 if targets.ndim == 2 else np.eye(len(made.info.classes))[targets] > 0
    for column in held.T:
        shares = [column[fold == one].mean() for one in range(1, 6)]
        # Of an image with several labels only the rarest counts.
        assert max(shares) - min(shares) < (0.3 if task == "multilabel" else 0.15)


def test_the_order_of_rows_does_not_matter_and_the_seed_does() -> None:
    made = manifest()
    fold = pd.Series(assign_folds(made, 4, seed=1), index=made.table["path"])
    turned = Manifest(made.table.iloc[::-1], made.info)
    again = pd.Series(assign_folds(turned, 4, seed=1), index=turned.table["path"])
    pd.testing.assert_series_equal(fold.sort_index(), again.sort_index())
    assert (fold.to_numpy() != assign_folds(made, 4, seed=2)).any()


def test_too_few_patients_of_a_class_are_named() -> None:
    made = manifest(patients=8)
    with pytest.raises(DataError, match=r"The class normal has 4 patient\(s\); 5 folds need 5 or more"):
        assign_folds(made, 5, seed=0)
