"""What a blocking finding advises is a setting that works, on images with planted copies and shared patients."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from radlens.dataset.audit.basics import counts_of, patient_leaks, split_sizes, splits_of
from radlens.dataset.audit.duplicates import Duplicates, duplicate_findings
from radlens.dataset.audit.findings import Finding
from radlens.dataset.manifest import Manifest
from radlens.dataset.sources import read_source
from radlens.workflows.options import RunOptions, settings_of
from radlens.workflows.prepare import keep_splits, part, read_images

SMALL = ("preprocessing.height=64", "preprocessing.width=64", "data.patient_from=(p[0-9]+)_")


def write_official(folder: Path) -> Path:
    """Pictures of one patient each in train, val and test, with copies of them planted in train."""
    rng = np.random.default_rng(0)
    places = [
        folder / split / label / f"p{number:02d}_{label}{split}.png"
        for split, count in (("train", 16), ("val", 12), ("test", 12))
        for label in ("normal", "ill")
        for number in range(count)
    ]
    for number, place in enumerate(places):
        place.parent.mkdir(parents=True, exist_ok=True)
        coarse = Image.fromarray(rng.integers(0, 256, (9, 9), dtype=np.uint8))
        coarse.resize((96, 96), Image.Resampling.BICUBIC).save(
            place.with_name(place.name.replace("p", f"p{number}", 1))
        )
    test = sorted((folder / "test").rglob("*.png"))
    shutil.copy(test[0], folder / "train" / "ill" / "p900_bytes.png")
    Image.open(test[1]).save(folder / "train" / "ill" / "p901_again.jpg", quality=80)
    mirrored = Image.open(test[2]).transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    mirrored.save(folder / "train" / "ill" / "p902_mirrored.png")
    # Of another label than its original; and two in train, of which one must be wrong.
    shutil.copy(test[3], folder / "train" / "normal" / "p903_other.png")
    for label in ("normal", "ill"):
        Image.open(test[0]).rotate(90).save(folder / "train" / label / f"p90{4 + (label == 'ill')}_both.png")
    return folder


def said(source: Path, *settings: str, run: bool) -> tuple[Manifest, list[Finding]]:
    """The findings of a run, or of an audit alone, that the splits may mend."""
    resolved = settings_of(source, RunOptions(settings=(*SMALL, *settings)))
    manifest = read_source(resolved.data)
    cache = read_images(manifest, resolved.data, resolved.preprocessing)
    copies: Duplicates
    if run:
        manifest, cache, copies = part(manifest, cache, resolved)
    else:
        manifest, cache, copies = keep_splits(manifest, cache, resolved.data.split)
    assert len(manifest) == len(cache.rows)
    sizes = split_sizes(counts_of(manifest, splits_of(manifest)))
    return manifest, [*duplicate_findings(manifest, copies), *patient_leaks(manifest), *sizes]


def blocks(findings: list[Finding]) -> set[str]:
    return {finding.check for finding in findings if finding.severity == "block"}


@pytest.mark.parametrize("run", [True, False])
def test_every_setting_that_a_blocking_finding_advises_mends_it(tmp_path: Path, run: bool) -> None:
    source = write_official(tmp_path / "set")
    shared = next((source / "test" / "ill").glob("p*.png"))
    Image.new("L", (96, 96), 90).save(source / "train" / "ill" / shared.name.replace("_", "_more"))
    manifest, findings = said(source, "data.split.overlap=keep", run=run)
    assert blocks(findings) == {"leak", "conflicting_labels"}
    assert sum(finding.check == "leak" for finding in findings) == 3
    test_images = set(manifest.table["path"][manifest.table["split"] == "test"])
    for finding in findings:
        if finding.severity != "block":
            continue
        advised = re.findall(r"--set (\S+?=\w+)", finding.message)
        assert advised
        for setting in advised:
            others = () if setting.startswith("data.split.overlap") else ("data.split.overlap=keep",)
            mended, left = said(source, *others, setting, run=run)
            assert finding.check not in blocks(left), (finding.message, left)
            if "official" not in setting:
                kept = set(mended.table["path"][mended.table["split"] == "test"])
                assert kept == test_images


def test_a_new_split_of_all_images_has_no_copies_across(tmp_path: Path) -> None:
    source = write_official(tmp_path / "set")
    manifest, findings = said(source, "data.split.official=false", "data.split.conflicts=drop_train", run=True)
    assert blocks(findings) == set()
    manifest.write(tmp_path / "index")
    copies = [finding for finding in said(tmp_path / "index", run=False)[1] if finding.check in ("leak", "duplicate")]
    assert {finding.check for finding in copies} == {"duplicate"}
