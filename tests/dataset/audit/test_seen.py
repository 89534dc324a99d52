"""Images that a model was made with are known by the beginnings of their content hashes, and by what they show."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fixture_types import MakeImages
from radlens.dataset.audit.picture_hash import picture_hashes
from radlens.dataset.audit.seen import seen_findings
from radlens.runtime.known_images import KnownImages

DIGESTS = [f"{number:064x}" for number in range(4)]


def test_those_seen_block_and_are_named(make_images: MakeImages) -> None:
    manifest, cache = make_images(["ill", "well", "ill", "well"])
    (finding,) = seen_findings(manifest, cache, KnownImages(frozenset({DIGESTS[1], DIGESTS[3], "f" * 64})))
    assert (finding.check, finding.severity, finding.count) == ("leak", "block", 2)
    assert finding.examples == ("1.png", "3.png")


def test_beginnings_of_hashes_are_enough(make_images: MakeImages) -> None:
    manifest, cache = make_images(["ill", "well"])
    cache = replace(cache, digests=("0a" * 32, "1b" * 32))
    (finding,) = seen_findings(manifest, cache, KnownImages(frozenset({"1b" * 8})))
    assert finding.examples == ("1.png",)


@pytest.mark.parametrize("known", [set(), {"f" * 16}])
def test_images_never_seen_are_no_finding(make_images: MakeImages, known: set[str]) -> None:
    manifest, cache = make_images(["ill", "well", "ill", "well"])
    assert seen_findings(manifest, cache, KnownImages(frozenset(known), frozenset({"f" * 64}))) == []


def test_other_files_of_the_same_pictures_are_told_apart_from_the_same_files(make_images: MakeImages) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 1, 32, 32), dtype=np.uint8)
    manifest, cache = make_images(["ill", "well", "ill", "well"], pixels=pixels)
    known = KnownImages(frozenset({DIGESTS[0]}), frozenset(picture_hashes(pixels, np.array([0, 2]))))
    exact, near = seen_findings(manifest, cache, known)
    assert (exact.examples, near.examples) == (("0.png",), ("2.png",))
    assert near.severity == "block"
    assert "1 of the 4 images are copies of images that the model was trained or chosen on" in near.message
