"""The audit finds what was planted, and nothing in a clean set."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from radlens.dataset.audit import Audit, audit
from radlens.dataset.manifest import DatasetInfo, Manifest
from radlens.decision import Task


def manifest(
    rows: list[tuple[str, str, str]], task: Task = "binary", classes: tuple[str, ...] = ("a", "b")
) -> Manifest:
    """One row for each (label, patient, split)."""
    table = pd.DataFrame(rows, columns=["label", "patient", "split"])
    table["path"] = [f"{number}.png" for number in range(len(table))]
    return Manifest(table, DatasetInfo(name="x", task=task, classes=classes, root="/data"))


def clean(train: int = 60, judged: int = 40) -> list[tuple[str, str, str]]:
    sizes = {"train": train, "val": judged, "test": judged}
    return [
        (label, f"{split}{label}{number // 2}", split)
        for split, size in sizes.items()
        for label in "ab"
        for number in range(size)
    ]


def checks(result: Audit) -> dict[str, str]:
    return {finding.check: finding.severity for finding in result.findings}


def test_a_clean_set_has_counts_and_no_findings() -> None:
    result = audit(manifest(clean()))
    assert result.findings == ()
    assert result.blocks == ()
    assert result.counts == {
        "train": {"a": 60, "b": 60},
        "val": {"a": 40, "b": 40},
        "test": {"a": 40, "b": 40},
    }
    assert (result.images, result.patients, result.unreadable) == (280, 140, 0)
    assert result.split_images == {"train": 120, "val": 80, "test": 80}
    assert result.split_patients == {"train": 60, "val": 40, "test": 40}


def test_unreadable_files_are_counted_and_left_out_of_the_counts() -> None:
    rejected = [("/data/0.png", "/data/0.png: the file is empty"), ("/data/1.png", "no image")]
    result = audit(manifest(clean()), rejected)
    assert checks(result) == {"unreadable_files": "warn"}
    assert result.findings[0].examples == ("/data/0.png: the file is empty", "/data/1.png: no image")
    assert result.counts["train"] == {"a": 58, "b": 60}
    assert (result.images, result.unreadable) == (280, 2)


def test_unreadable_files_may_be_out_of_the_manifest_already() -> None:
    result = audit(manifest(clean()), [("/data/gone.png", "no image")])
    assert (result.images, result.unreadable) == (281, 1)


def test_no_readable_file_at_all_blocks() -> None:
    rows = manifest(clean(2, 2))
    result = audit(rows, [(location, "no image") for location in rows.locations])
    assert checks(result) == {"unreadable_files": "block"}
    assert len(result.findings[0].examples) == 10
    assert result.counts == {}


def test_a_class_that_loses_all_its_images_in_a_split_blocks() -> None:
    rows = manifest(clean())
    lost = rows.table["split"] == "val"
    result = audit(rows, [(location, "no image") for location, gone in zip(rows.locations, lost, strict=True) if gone])
    assert checks(result)["split_lacks_class"] == "block"
    assert result.blocks[0].examples == ("val: no a", "val: no b")
    assert result.split_images["val"] == 0


def test_a_patient_in_two_splits_blocks_and_comes_first() -> None:
    rows = [*clean(), ("a", "shared", "train"), ("a", "shared", "test"), ("b", "shared", "test"), ("b", "alone", "")]
    result = audit(manifest(rows), [("/data/0.png", "no image")])
    assert [finding.check for finding in result.findings] == ["leak", "unreadable_files"]
    (block,) = result.blocks
    assert (block.count, block.examples) == (1, ("shared: test, train",))
    assert "3 image(s)" in block.message


def test_images_without_a_split_are_no_overlap() -> None:
    assert audit(manifest([*clean(), ("a", "testa0", "")])).blocks == ()


def test_splits_too_small_to_judge_by() -> None:
    result = audit(manifest(clean(60, 8)))
    (finding,) = result.findings
    assert (finding.check, finding.severity, finding.count) == ("split_too_small", "warn", 4)
    assert finding.examples == ("val: 8 a", "val: 8 b", "test: 8 a", "test: 8 b")
    # The width of a normal interval for n = 8 at its widest: twice 1.96 standard errors of 0.177.
    assert "0.69 wide" in finding.message


@pytest.mark.parametrize(("ratio", "severity"), [(1.9, None), (2, "note"), (9.9, "note"), (10, "warn")])
def test_class_imbalance_in_train(ratio: float, severity: str | None) -> None:
    rows = clean(100, 40) + [("a", f"more{number}", "train") for number in range(round(100 * ratio) - 100)]
    assert checks(audit(manifest(rows))).get("class_imbalance") == severity


def test_class_imbalance_of_a_set_without_splits() -> None:
    rows = [("a", f"a{number}", "") for number in range(30)] + [("b", f"b{number}", "") for number in range(10)]
    (finding,) = audit(manifest(rows)).findings
    assert "a has 3.0 times as many images as b (30 and 10)" in finding.message


def test_unknown_patients() -> None:
    rows = clean()
    rows[:3] = [(label, f"{number}.png", split) for number, (label, _, split) in enumerate(rows[:3])]
    (finding,) = audit(manifest(rows)).findings
    assert (finding.check, finding.severity, finding.count) == ("patients_unknown", "warn", 3)


def test_images_that_are_only_judged_may_lack_a_class() -> None:
    result = audit(manifest(clean()).only(np.arange(len(clean())) < 1).with_split(["test"]))
    assert checks(result)["split_lacks_class"] == "warn"
    assert not result.blocks


def test_multilabel_counts_each_label() -> None:
    rows = [("a|b", "1", "train"), ("a", "2", "train"), ("", "3", "train"), ("b", "4", "test"), ("a|b", "5", "val")]
    result = audit(manifest(rows, "multilabel"))
    assert result.counts == {"train": {"a": 2, "b": 1}, "val": {"a": 1, "b": 1}, "test": {"a": 0, "b": 1}}
    assert checks(result)["split_lacks_class"] == "block"


def test_written_audit_can_be_read_back(tmp_path: Path) -> None:
    result = audit(manifest(clean(60, 8)))
    result.write(tmp_path)
    text = (tmp_path / "audit.json").read_text(encoding="utf-8")
    assert Audit.model_validate_json(text) == result
    assert json.loads(text)["findings"][0]["severity"] == "warn"
