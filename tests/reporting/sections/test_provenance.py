"""Provenance shows the hashes that it was given, and every scoring of test images."""

from __future__ import annotations

from dataclasses import replace

from radlens.dataset.access_log import Access
from radlens.reporting.content import Provenance, ReportContent
from radlens.reporting.sections.provenance import Fact, ProvenanceView, provenance_view


def access(model: str, data: str = "d", day: int = 1) -> Access:
    return Access(when=f"2026-01-0{day}T10:00:00+00:00", why="evaluate", model=model, data=data, images=1200)


def view_of(content: ReportContent) -> ProvenanceView:
    view = provenance_view(content)
    assert view is not None
    return view


def test_hashes_and_code_are_shown(content: ReportContent) -> None:
    made = Provenance(
        "model", {"test": "aa"}, model={"model.safetensors": "bb"}, network="net", trained_on="x", training_images="cc"
    )
    known = {"radlens": "1.0", "git_commit": "dd", "seed": 0, "started": "2026-01-02T10:00:05+00:00"}
    facts = view_of(replace(content, provenance=made, environment=known)).facts
    assert [fact.value for fact in facts if fact.hash] == ["bb", "aa", "cc", "dd"]
    assert Fact("Test images, contents and labels", "aa", hash=True) in facts
    assert Fact("Seed", "0") in facts
    assert Fact("Begun", "2026-01-02 10:00 UTC") in facts


def test_hashes_of_paths_are_not_called_hashes_of_contents(content: ReportContent) -> None:
    facts = view_of(replace(content, provenance=Provenance("outside", {"test": "aa"}, opened=False))).facts
    assert Fact("Test images, paths and labels", "aa", hash=True) in facts


def test_every_scoring_is_listed_and_others_are_told_apart(content: ReportContent) -> None:
    accesses = (access("m" * 64, "other"), access("n" * 64, day=2), access("m" * 64, day=3))
    view = view_of(replace(content, provenance=Provenance("run", openings=accesses)))
    assert [row[3] for row in view.openings] == ["others", "these", "these"]
    assert view.openings[0] == ("2026-01-01 10:00 UTC", "evaluate", "1,200", "others", "mmmmmmmmmmmm…")
    assert "2 different models" in view.note


def test_the_table_of_another_program_is_told_by_its_hash(content: ReportContent) -> None:
    made = Provenance("outside", openings=(access("e" * 64),))
    assert Fact("Table of predictions", "e" * 64, hash=True) in view_of(replace(content, provenance=made)).facts


def test_nothing_known_is_nothing_shown(content: ReportContent) -> None:
    assert provenance_view(content) is None
