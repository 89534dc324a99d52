"""Faults of headers that did not keep the pictures from being shown are counted by kind."""

from __future__ import annotations

from fixture_types import MakeImages
from radlens.dataset.audit import audit
from radlens.dataset.audit.header_faults import header_findings


def test_each_kind_of_fault_is_counted_with_its_first_image(make_images: MakeImages) -> None:
    remarks = [
        (),
        ("wrong Bits Stored: 10 declared, but values of 12 bits",),
        ("wrong Bits Stored: 8 declared, but values of 12 bits", "window passed over: width 0"),
        ("wrong Bits Stored: 8 declared, but values of 12 bits",),
    ]
    manifest, cache = make_images(["ill", "well"] * 2, facts={"remarks": remarks})
    (finding,) = header_findings(manifest, cache)
    assert (finding.check, finding.severity, finding.count) == ("header_faults", "warn", 3)
    assert finding.message.startswith("3 of 4 image(s) have faults")
    assert finding.examples == (
        "3 image(s), first 1.png: wrong Bits Stored: 10 declared, but values of 12 bits",
        "1 image(s), first 2.png: window passed over: width 0",
    )
    assert finding in audit(manifest, cache=cache).findings


def test_sound_headers_give_no_finding(make_images: MakeImages) -> None:
    assert header_findings(*make_images(["ill", "well"])) == []
