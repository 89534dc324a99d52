"""Series of numbered names among images without a patient."""

from __future__ import annotations

import re

import pandas as pd
import pytest

from radlens.dataset.audit.numbered_series import series_findings
from radlens.dataset.manifest import DatasetInfo, Manifest
from radlens.dataset.sources.patients import assign_patients


def manifest(paths: list[str], rule: str = "auto") -> Manifest:
    patients, _ = assign_patients(pd.Series(paths), rule)
    table = pd.DataFrame(
        {"path": paths, "label": ["ab"[n % 2] for n in range(len(paths))], "patient": patients, "split": ""}
    )
    return Manifest(table, DatasetInfo(name="x", task="binary", classes=("a", "b"), root="/data"))


KNOWN = [f"NORMAL/IM-{number // 2:04d}-{number:04d}.jpeg" for number in range(90)]


@pytest.mark.parametrize(
    ("paths", "series"),
    [
        ([f"COVID19/covid-{n}.jpeg" for n in range(1, 7)], 1),
        (["x-1.png", "x-2.png"], 1),
        ([f"ct/case{n // 50}_slice{n % 50:03d}.png" for n in range(200)], 4),
        ([f"c/p{n // 2}-{'ab'[n % 2]}.png" for n in range(20)], 0),
        ([f"benign/benign ({n}).png" for n in range(1, 400)], 0),
        ([f"NORMAL/{n}.png" for n in range(100)], 0),
        ([f"v2-{n}.png" for n in range(100)], 0),
        (["chest.png", "other.png"], 0),
    ],
)
def test_series_are_told_from_plain_counting(paths: list[str], series: int) -> None:
    found = series_findings(manifest([*KNOWN, *paths]))
    assert [(finding.severity, finding.count) for finding in found] == ([("warn", len(paths))] if series else [])
    if series:
        assert f"in {series} numbered series" in found[0].message
        # The setting that it names works as it stands, and leaves the patients known by a scheme as they are.
        (rule,) = re.findall(r"--set 'data\.patient_from=(.+)'\)", found[0].message)
        mended = manifest([*KNOWN, *paths], rule)
        assert mended.table["patient"].nunique() == 45 + series
        assert series_findings(mended) == []


def test_images_of_known_patients_are_no_series() -> None:
    assert series_findings(manifest(KNOWN)) == []


def test_a_few_among_many_are_a_note() -> None:
    (finding,) = series_findings(manifest([*(f"IM-{n:04d}-0001.jpeg" for n in range(400)), "x-1.png", "x-2.png"]))
    assert finding.severity == "note"
