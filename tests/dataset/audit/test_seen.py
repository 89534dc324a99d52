"""Images that a model was made with are known by the beginnings of their content hashes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from radlens.dataset.audit.seen import seen_findings
from radlens.dataset.manifest import Manifest
from radlens.imaging.cache import PixelCache

Make = Callable[..., tuple[Manifest, PixelCache]]
DIGESTS = [f"{number:02x}" * 32 for number in range(4)]


@pytest.mark.parametrize("length", [8, 16, 64])
def test_those_seen_block_and_are_named(make_images: Make, length: int) -> None:
    manifest, _ = make_images(["ill", "well", "ill", "well"])
    (finding,) = seen_findings(manifest, DIGESTS, {DIGESTS[1][:length], DIGESTS[3][:length], "f" * length})
    assert (finding.check, finding.severity, finding.count) == ("leak", "block", 2)
    assert finding.examples == ("1.png", "3.png")


@pytest.mark.parametrize("known", [set(), {"f" * 16}])
def test_images_never_seen_are_no_finding(make_images: Make, known: set[str]) -> None:
    manifest, _ = make_images(["ill", "well", "ill", "well"])
    assert seen_findings(manifest, DIGESTS, known) == []
