"""The whole audit on simulated radiographs: what was planted is found, and where nothing was, nothing blocks."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from radlens.config import PhantomSettings
from radlens.dataset.audit import Audit, audit
from radlens.dataset.manifest import Manifest
from radlens.dataset.phantom.source import phantom_manifest
from radlens.imaging.cache.pixel_cache import PixelCache
from radlens.imaging.preprocess import Preprocessing

CONTRACT = Preprocessing(height=128, width=128)
IMAGES = 160


def phantoms(**planted: Any) -> Manifest:
    return phantom_manifest(PhantomSettings(**{"images": IMAGES, "size": 128, **planted}))


def audit_of(manifest: Manifest, **options: Any) -> Audit:
    cache = PixelCache.build(manifest.locations, CONTRACT)
    return audit(manifest, cache.rejected, cache, **options)


@functools.cache
def clean(seed: int) -> Audit:
    return audit_of(phantoms(seed=seed))


def said(found: Audit, check: str) -> list[tuple[str, int]]:
    """Severity and count of each finding of one check."""
    return [(finding.severity, finding.count) for finding in found.findings if finding.check == check]


@pytest.mark.parametrize("seed", range(2))
def test_clean_phantoms_raise_no_alarm(seed: int) -> None:
    found = clean(seed)
    assert found.blocks == ()
    assert {finding.check for finding in found.findings if finding.severity == "warn"} <= {"split_too_small"}


def test_what_was_planted_is_counted() -> None:
    manifest = phantoms(seed=3, duplicates=9, shared_patients=7, corrupt=5)
    found = audit_of(manifest)
    cache = PixelCache.build(manifest.locations, CONTRACT)
    splits_of: dict[str, set[str]] = {}
    for patient, split, row in zip(manifest.table["patient"], manifest.table["split"], cache.rows, strict=True):
        if row >= 0:
            splits_of.setdefault(patient, set()).add(split)
    # A damaged file may have been all that a patient had in one of the splits.
    shared = sum(len(splits) > 1 for splits in splits_of.values())
    assert 5 <= shared <= 7
    assert ("warn", 5) in said(found, "unreadable_files")
    assert sum(found.split_images.values()) == found.images - 5
    assert ("block", shared) in said(found, "leak")
    assert {finding.check for finding in found.blocks} == {"leak"}
    (copies,) = [count for severity, count in said(found, "duplicate") if severity == "warn"]
    # A copy of a patient in two splits may lie in the other split, where it is a leak; a damaged file is no copy.
    assert 2 <= copies <= 18
    allowed = audit_of(manifest, allowed=["leak"])
    assert allowed.blocks == ()
    assert said(allowed, "leak") == said(found, "leak")


@pytest.mark.parametrize(
    ("shortcut", "check"),
    [("marker", "shortcut_border"), ("size", "shortcut_facts"), ("framing", "shortcut_framing")],
)
def test_planted_shortcuts_warn_and_clean_phantoms_do_not(shortcut: str, check: str) -> None:
    assert "warn" in dict(said(audit_of(phantoms(shortcut=shortcut, seed=1)), check))
    assert "warn" not in dict(said(clean(1), check))


def test_copies_with_other_labels_conflict(tmp_path: Path) -> None:
    manifest = phantoms(duplicates=8)
    table = manifest.table.copy()
    first, second = manifest.info.classes
    copies = table.tail(8).index
    table.loc[copies, "label"] = table.loc[copies, "label"].map({first: second, second: first})
    found = audit_of(Manifest(table, manifest.info))
    assert said(found, "conflicting_labels") == [("block", 16)]
    found.write(tmp_path)
    assert Audit.model_validate_json((tmp_path / "audit.json").read_text()) == found


def test_the_same_set_gives_the_same_audit() -> None:
    assert audit_of(phantoms(seed=0)) == clean(0)


def test_without_pixels_only_the_table_is_checked() -> None:
    found = audit(phantoms(shared_patients=3))
    assert said(found, "leak") == [("block", 3)]
    assert (found.shortcuts, found.drift, found.distributions) == ((), (), ())


def test_no_readable_image_is_a_finding_and_no_crash() -> None:
    manifest = phantoms()
    few = manifest.only(np.arange(len(manifest)) < 12)
    found = audit(few, [(location, "damaged") for location in few.locations])
    assert said(found, "unreadable_files") == [("block", 12)]
    assert found.counts == {}
