"""Which images several runs have in common, and what keeps them from being compared."""

from __future__ import annotations

import pandas as pd
import pytest

from radlens.assessment.matched_runs import Run, match_runs
from radlens.base.errors import DataError, UsageError
from radlens.dataset.manifest import DatasetInfo


def run(
    name: str, paths: list[str], classes: tuple[str, str] = ("NORMAL", "PNEUMONIA"), **columns: str | list[str]
) -> Run:
    table = pd.DataFrame(
        {
            "path": paths,
            "patient": [f"p{number}" for number in range(len(paths))],
            "split": "test",
            "label": [classes[number % 2] for number in range(len(paths))],
            "predicted": classes[1],
            f"probability_{classes[0]}": 0.1,
            f"probability_{classes[1]}": 0.9,
        }
    ).assign(**columns)
    return Run(name, DatasetInfo(name=name, task="binary", classes=classes, root="."), table)


def test_rows_come_in_the_same_order_and_lacking_images_are_said() -> None:
    matched = match_runs([run("A", ["a", "b", "c"]), run("B", ["c", "b", "a", "d"])])
    assert [table["path"].tolist() for table in matched.tables] == [["a", "b", "c"]] * 2
    assert (matched.split, matched.names) == ("test", ("A", "B"))
    assert matched.notes[0].startswith("B answered 4 test images; 1 of them were not answered by all")
    assert "patients alike" in matched.notes[1]


def test_classes_are_matched_in_any_case() -> None:
    matched = match_runs([run("A", ["a", "b"]), run("B", ["a", "b"], classes=("normal", "Pneumonia"))])
    assert matched.tables[1]["predicted"].tolist() == ["PNEUMONIA", "PNEUMONIA"]
    assert "probability_PNEUMONIA" in matched.tables[1]
    assert not matched.notes


def test_images_under_other_folders_are_matched_by_name() -> None:
    matched = match_runs([run("A", ["x/a", "x/b"]), run("B", ["y/b", "y/a"], label=["PNEUMONIA", "NORMAL"])])
    assert len(matched.patients) == 2
    assert "matched by their file names" in matched.notes[0]


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (run("B", ["c", "d"]), "A and B have no test image in common"),
        (run("B", ["a", "b"], label="PNEUMONIA"), r"1 image\(s\) have another label in B than in A, first a"),
        (run("B", ["a", "b"], classes=("cat", "dog")), "B answers the binary classes cat, dog"),
        (run("B", ["a", "b"], classes=("PNEUMONIA", "NORMAL")), "positive class of B is NORMAL"),
    ],
)
def test_what_cannot_be_compared_is_refused(other: Run, message: str) -> None:
    with pytest.raises(DataError, match=message):
        match_runs([run("A", ["a", "b"]), other])


def test_a_split_must_be_common_to_all() -> None:
    validation = run("B", ["a", "b"], split="val")
    with pytest.raises(UsageError, match="a split in common. A: test; B: val"):
        match_runs([run("A", ["a", "b"]), validation])
    with pytest.raises(UsageError, match="the split 'train'"):
        match_runs([validation, validation], "train")
    with pytest.raises(UsageError, match="two or more"):
        match_runs([validation])
    assert match_runs([validation, validation]).split == "val"
