"""Classes renamed, joined and left out, whatever the source."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from radlens.base.errors import DataError, UsageError
from radlens.config import DataSettings
from radlens.dataset.manifest import DatasetInfo, Manifest
from radlens.dataset.sources.class_map import map_classes


def make(labels: list[str], classes: tuple[str, ...], task: str = "binary", **columns: list[str]) -> Manifest:
    table = pd.DataFrame({"path": [f"{number}.png" for number in range(len(labels))], "label": labels})
    table = table.assign(patient=table["path"], split="", **columns)
    return Manifest(table, DatasetInfo.model_validate({"name": "x", "task": task, "classes": classes, "root": "/x"}))


def labels(manifest: Manifest) -> list[str]:
    return manifest.table["label"].tolist()


def test_classes_are_renamed() -> None:
    mapped = map_classes(make(["Sick", "Healthy"], ("Healthy", "Sick")), {"healthy": "NORMAL", "Sick": "PNEUMONIA"})
    assert labels(mapped) == ["PNEUMONIA", "NORMAL"]
    assert (mapped.info.task, mapped.info.classes) == ("binary", ("NORMAL", "PNEUMONIA"))
    assert "Healthy → NORMAL, Sick → PNEUMONIA; 0 image(s) left out" in mapped.info.notes[-1]


def test_classes_are_joined_left_out_and_kept() -> None:
    grades = make(["0", "1", "2", "3", "4"], ("0", "1", "2", "3", "4"), "multiclass")
    joined = map_classes(grades, {"0": "none", "1": None, "*": "some"})
    assert (labels(joined), joined.info.task) == (["none", "some", "some", "some"], "binary")
    assert joined.table["path"].tolist() == ["0.png", "2.png", "3.png", "4.png"]
    assert map_classes(grades, {"1": None}).info.classes == ("0", "2", "3", "4")
    assert labels(map_classes(grades, {"0.0": "a", "1": "b", "*": None})) == ["a", "b"]


def test_the_positive_class_is_one_of_the_new_names() -> None:
    manifest = make(["a", "b"], ("a", "b"))
    assert map_classes(manifest, {"a": "x", "b": "y"}, "x").info.classes == ("y", "x")


def test_typos_and_too_few_classes_are_refused() -> None:
    manifest = make(["Healthy", "Sick"], ("Healthy", "Sick"))
    with pytest.raises(UsageError, match=r"no class 'Helthy'\. Did you mean 'Healthy'"):
        map_classes(manifest, {"Helthy": "NORMAL"})
    with pytest.raises(DataError, match="leaves the class NORMAL of Healthy, Sick"):
        map_classes(manifest, {"Healthy": "NORMAL", "Sick": None})


SEVERAL = ["Mass|Edema", "", "Mass", "Edema", "Nodule"]
CLASSES = ("Edema", "Mass", "Nodule")


def test_labels_of_several_are_joined_and_left_out() -> None:
    mapped = map_classes(make(SEVERAL, CLASSES, "multilabel"), {"Mass": "lump", "Nodule": "lump"})
    assert (mapped.info.task, mapped.info.classes) == ("multilabel", ("Edema", "lump"))
    assert labels(mapped) == ["Edema|lump", "", "lump", "Edema", "lump"]
    assert labels(map_classes(make(SEVERAL, CLASSES, "multilabel"), {"Mass": None})) == [
        "Edema",
        "",
        "",
        "Edema",
        "Nodule",
    ]
    with pytest.raises(DataError, match="'No Finding': NORMAL"):
        map_classes(make(SEVERAL, CLASSES, "multilabel"), {"Mass": "lump", "*": None})


def test_what_is_known_of_one_of_the_joined_labels_holds() -> None:
    manifest = make(SEVERAL, CLASSES, "multilabel", unknown_labels=["Nodule", "Mass", "Edema", "", ""])
    mapped = map_classes(manifest, {"Mass": "lump", "Nodule": "lump"})
    assert mapped.table["unknown_labels"].tolist() == ["", "lump", "Edema", "", ""]


def test_with_a_name_for_no_label_the_classes_become_exclusive() -> None:
    manifest = make(SEVERAL, CLASSES, "multilabel")
    mapped = map_classes(manifest, {"No Finding": "NORMAL", "Mass": "MASS", "Edema": "EDEMA", "*": None})
    assert (mapped.info.task, mapped.info.classes) == ("multiclass", ("NORMAL", "EDEMA", "MASS"))
    assert mapped.table.set_index("path")["label"].to_dict() == {"1.png": "NORMAL", "2.png": "MASS", "3.png": "EDEMA"}
    ill = map_classes(manifest, {"No Finding": "NORMAL", "*": "ILL"})
    assert labels(ill) == ["ILL", "NORMAL", "ILL", "ILL", "ILL"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [({0: "a", 1.0: "b"}, {"0": "a", "1.0": "b"}), ({True: "a"}, {"true": "a"}), ({"x": None}, {"x": None})],
)
def test_names_that_yaml_reads_as_numbers_are_text(given: dict[Any, Any], expected: dict[str, str | None]) -> None:
    assert DataSettings.model_validate({"class_map": given}).class_map == expected
