"""Distributions of facts with known quantiles and counts."""

from __future__ import annotations

import numpy as np
import pytest

from fixture_types import MakeImages
from radlens.dataset.audit.distributions import LEVELS, OTHER, QUANTILES, Distribution, describe


def of(found: tuple[Distribution, ...], fact: str, split: str, label: str) -> Distribution:
    (match,) = [each for each in found if (each.fact, each.split, each.label) == (fact, split, label)]
    return match


def test_quantiles_means_and_levels_for_each_split_and_class(make_images: MakeImages) -> None:
    labels = ["ill"] * 101 + ["well"] * 20
    splits = ["train"] * 101 + ["train"] * 10 + ["test"] * 10
    manifest, cache = make_images(
        labels,
        splits=splits,
        facts={"width": [100 + number for number in range(101)] + [7] * 20, "mode": ["L"] * 40 + ["RGB"] * 81},
        columns={"age": ["30"] * 100 + ["?"] + [""] * 20},
    )
    found = describe(manifest, cache)
    ill = of(found, "width", "train", "ill")
    assert (ill.images, ill.unknown, ill.mean) == (101, 0, 150)
    assert ill.quantiles == pytest.approx([100 + 100 * share for share in QUANTILES])
    assert ill.levels == {}
    assert of(found, "width", "test", "well").quantiles == (7,) * 21
    mode = of(found, "mode", "train", "ill")
    assert (mode.levels, mode.quantiles, mode.mean) == ({"RGB": 61, "L": 40}, (), None)
    assert of(found, "age", "train", "ill").unknown == 1
    empty = of(found, "age", "test", "well")
    assert (empty.images, empty.unknown, empty.quantiles, empty.mean) == (10, 10, (), None)
    assert {(each.split, each.label) for each in found} == {("train", "ill"), ("train", "well"), ("test", "well")}
    assert not any(each.fact.startswith(("border", "corner")) for each in found)


def test_an_image_counts_for_each_of_its_labels(make_images: MakeImages) -> None:
    manifest, cache = make_images(["ill|well", "ill", "", "well"], task="multilabel", facts={"width": [1, 2, 3, 4]})
    found = describe(manifest, cache)
    assert of(found, "width", "", "ill").mean == 1.5
    assert of(found, "width", "", "well").mean == 2.5


def test_many_names_are_counted_together(make_images: MakeImages) -> None:
    sites = [f"site {number}" for number in range(50) for _ in range(50 - number)]
    manifest, cache = make_images(["ill"] * (len(sites) - 1) + ["well"], columns={"site": sites})
    levels = of(describe(manifest, cache), "site", "", "ill").levels
    assert len(levels) == LEVELS + 1
    assert list(levels.items())[:2] == [("site 0", 50), ("site 1", 49)]
    assert levels[OTHER] == sum(range(1, 31)) - 1


def test_numbers_are_short_in_writing(make_images: MakeImages) -> None:
    rng = np.random.default_rng(0)
    manifest, cache = make_images(["ill", "well"] * 50, facts={"mean": (255 * rng.random(100)).tolist()})
    text = of(describe(manifest, cache), "intensity_mean", "", "ill").model_dump_json()
    assert len(text) < 350
