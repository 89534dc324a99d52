"""What of an audit is said at the start of a run."""

from __future__ import annotations

import numpy as np
import pytest

from made_manifests import binary, official
from radlens.config import DataSettings
from radlens.imaging.cache.pixel_cache import PixelCache
from radlens.imaging.decode import FileFacts
from radlens.workflows.prepare import prepare


def test_findings_are_a_line_each_and_not_repeated(caplog: pytest.LogCaptureFixture) -> None:
    images = binary(official({"train": 4, "val": 4, "test": 4}))
    count = len(images)
    pixels = np.random.default_rng(0).integers(0, 256, (count, 1, 32, 32), dtype=np.uint8)
    facts = (FileFacts(width=32, height=32, mode="L", format="PNG", bytes=900, mean=127.0, std=70.0),) * count
    cache = PixelCache(pixels, np.arange(count), facts, (), tuple(f"{number:064x}" for number in range(count)))
    with caplog.at_level("INFO", logger="radlens"):
        audit = prepare(images, cache, DataSettings(), 0).audit
    lines = [record.getMessage() for record in caplog.records if record.getMessage().startswith("Audit")]
    assert audit.findings
    assert lines == [f"Audit, {finding.check}: {finding.headline}" for finding in audit.findings]
    assert all(len(line) < 240 for line in lines)
    caplog.clear()
    with caplog.at_level("INFO", logger="radlens"):
        assert prepare(images, cache, DataSettings(), 0, known=audit).audit == audit
        assert not caplog.records
        # Of other images it is made again.
        prepare(images.with_split(["test"] * count), cache, DataSettings(), 0, known=audit)
    assert caplog.records
