"""The frame as a shortcut: told where it was planted and on real X-rays, and not on phantoms framed alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fixture_types import MakeImages
from radlens.config import DataSettings, PhantomSettings
from radlens.dataset.audit.framing import FACTS
from radlens.dataset.audit.framing_findings import framing_findings
from radlens.dataset.audit.framing_shortcuts import SHOWN, VIEWS, find_framing
from radlens.dataset.audit.shortcuts import Shortcut
from radlens.dataset.manifest import Manifest
from radlens.dataset.phantom.source import phantom_manifest
from radlens.dataset.sources import read_source
from radlens.imaging.cache.pixel_cache import PixelCache
from radlens.imaging.preprocess import Preprocessing

Images = tuple[Manifest, PixelCache]


def by_view(found: tuple[Shortcut, ...]) -> dict[Any, Shortcut]:
    return {shortcut.view: shortcut for shortcut in found}


def phantoms(**values: Any) -> Images:
    manifest = phantom_manifest(PhantomSettings(**{"images": 600, "size": 64, **values}))
    return manifest, PixelCache.build(manifest.locations, Preprocessing(height=64, width=64), 2)


@pytest.mark.parametrize(
    "settings", [{"seed": 0}, {"seed": 1}, {"seed": 2}, {"seed": 3, "task": "multiclass"}], ids=str
)
def test_phantoms_framed_alike_raise_no_alarm(settings: dict[str, Any]) -> None:
    found = by_view(find_framing(*phantoms(**settings), 0))
    assert tuple(found) == VIEWS
    assert framing_findings(found) == []
    for view in VIEWS[:3]:
        assert found[view].worst[1].low < 0.55


def test_a_planted_frame_is_told_both_ways_and_its_extremes_are_shown() -> None:
    manifest, cache = phantoms(images=300, shortcut="framing", seed=4)
    found = by_view(find_framing(manifest, cache, 0))
    assert found["framing_vertical"].auroc.low > 0.9
    assert found["framing_horizontal"].auroc.low > 0.9
    whole = found["framing"]
    assert {fact.fact for fact in whole.facts} == set(FACTS)
    assert all(fact.kind == "framing" and fact.label == "pneumonia" for fact in whole.facts)
    facts = {fact.fact: fact for fact in whole.facts}
    own, others = facts["chest_height"].medians or (0, 0)
    assert own > others + 0.05
    (finding,) = framing_findings(found)
    assert (finding.check, finding.severity, finding.count) == ("shortcut_framing", "warn", whole.images)
    assert "vertical framing" in finding.message
    assert "horizontal framing" in finding.message
    label = dict(zip(manifest.table["path"], manifest.table["label"], strict=True))
    patient = dict(zip(manifest.table["path"], manifest.table["patient"], strict=True))
    ends = [{label[path] for path in group} for group in finding.groups]
    assert sorted(ends, key=str) == [{"normal"}, {"pneumonia"}]
    for group in finding.groups:
        assert len({patient[path] for path in group}) == len(group) == SHOWN


def test_a_frame_that_only_half_of_the_images_follow_is_still_told() -> None:
    found = by_view(find_framing(*phantoms(shortcut="framing", shortcut_strength=0.6, seed=5), 0))
    (finding,) = framing_findings(found)
    assert "vertical framing" in finding.message
    # A cue that follows the label with this probability, else a coin, has an AUROC of 1/2 + strength / 2.
    assert found["framing"].auroc.low < 0.8 < found["framing"].auroc.high + 0.03


@pytest.mark.parametrize("axis", ["vertical", "horizontal"])
def test_the_axis_is_the_one_that_was_stretched(axis: str) -> None:
    manifest, cache = phantoms(images=300, seed=6)
    ill = manifest.targets() == 1
    pixels = cache.pixels[cache.rows].copy()
    # Of ill ones, 8 rows (or columns) at either end are cut off, and the rest is stretched to the old size.
    kept = (8 + (np.arange(64) + 0.5) * 48 / 64).astype(int)
    pixels[ill] = pixels[ill][:, :, kept] if axis == "vertical" else pixels[ill][..., kept]
    cut = PixelCache(pixels, np.arange(300), cache.facts, (), cache.digests)
    found = by_view(find_framing(manifest, cut, 0))
    other = {"vertical": "horizontal", "horizontal": "vertical"}[axis]
    assert found[f"framing_{axis}"].auroc.low > 0.9
    assert found[f"framing_{other}"].auroc.low < 0.6
    (finding,) = framing_findings(found)
    assert f"{axis} framing" in finding.message
    assert f"{other} framing" not in finding.message


def test_pictures_without_anything_in_common_have_no_frame(make_images: MakeImages) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (120, 1, 32, 32), dtype=np.uint8)
    found = by_view(find_framing(*make_images(["ill", "well"] * 60, pixels=pixels), 0))
    assert tuple(found) == ("framing_rows", "framing_columns")
    assert all(shortcut.auroc.low < 0.5 for shortcut in found.values())
    assert framing_findings(found) == []


def test_too_few_patients_are_not_judged(make_images: MakeImages) -> None:
    patients = [number // 6 for number in range(100)]
    assert find_framing(*make_images(["ill"] * 50 + ["well"] * 50, patients=patients), 0) == ()


def test_the_same_seed_gives_the_same_answer() -> None:
    images = phantoms(images=120, seed=7)
    assert find_framing(*images, 3) == find_framing(*images, 3)


def test_vertical_framing_tells_the_label_of_the_kermany_set(shared_data: Path) -> None:
    manifest = read_source(DataSettings(source=str(shared_data / "kermany224" / "train")))
    # Every fifth patient is enough to tell.
    number = manifest.table["patient"].astype("category").cat.codes.to_numpy()
    part = manifest.only(number % 5 == 0)
    found = by_view(find_framing(part, PixelCache.build(part.locations, Preprocessing()), 0))
    assert found["framing_vertical"].auroc.low > 0.7
    assert found["framing_rows"].auroc.low > 0.85
    (finding,) = framing_findings(found)
    assert (finding.check, finding.severity) == ("shortcut_framing", "warn")
    assert "vertical framing" in finding.message
    facts = {fact.fact: fact for fact in found["framing"].facts}
    assert facts["chest_aspect"].auroc > 0.75
    own, others = facts["chest_height"].medians or (0, 0)
    assert own > others
