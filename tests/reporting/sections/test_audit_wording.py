from __future__ import annotations

from collections.abc import Callable

import pytest

from fixture_types import AuditOf, ManifestOf
from radlens.dataset.audit import Finding
from radlens.dataset.audit.findings import CHECKS
from radlens.reporting.sections import audit_wording as words

VerdictOf = Callable[..., words.Verdict]


def finding(check: str, severity: str) -> Finding:
    return Finding.model_validate({"check": check, "severity": severity, "message": "Something.", "count": 1})


@pytest.fixture
def verdict_of(manifest_of: ManifestOf, audit_of: AuditOf) -> VerdictOf:
    def make(*found: tuple[str, str], **options: object) -> words.Verdict:
        return words.verdict(audit_of(manifest_of("binary"), *(finding(*one) for one in found), **options))

    return make


def test_every_check_has_a_name_for_readers() -> None:
    assert set(CHECKS) <= set(words.CHECK_NAMES)
    assert len(set(words.CHECK_NAMES.values())) == len(words.CHECK_NAMES)


def test_the_verdict_follows_the_most_severe_finding(verdict_of: VerdictOf) -> None:
    assert verdict_of().sentence == "Nothing was found."
    assert verdict_of(("class_imbalance", "note")).sentence == "Usable, with 1 note."
    several = (("drift", "warn"), ("duplicate", "warn"), ("class_imbalance", "note"))
    assert verdict_of(*several).sentence == "Usable, with 2 warnings and 1 note."
    stopped = verdict_of(("leak", "block"), ("leak", "block"), ("split_lacks_class", "block"), *several)
    assert stopped.sentence == "Stop: leak and a split lacks a class."
    assert stopped.detail.endswith("In addition: 2 warnings and 1 note.")
    tones = [verdict_of(*found).tone for found in ((), several[2:], several, (("leak", "block"),))]
    assert tones == ["good", "good", "warning", "error"]


def test_an_allowed_block_is_never_called_fine(verdict_of: VerdictOf) -> None:
    allowed = verdict_of(("leak", "block"), ("drift", "warn"), allowed=("leak",))
    assert allowed.sentence == "Used in spite of 1 finding that would stop a run: leak."
    assert allowed.tone == "error"
    other = verdict_of(("leak", "block"), allowed=("drift",))
    assert other.sentence == "Stop: leak."
    both = verdict_of(("leak", "block"), ("split_lacks_class", "block"), allowed=("leak",))
    assert both.sentence == "Stop: a split lacks a class."


@pytest.mark.parametrize(
    ("path", "reason", "only"),
    [
        ("a.png", "a.png: the file is empty", "the file is empty"),
        ("a.png", "/d/a.png: the file is empty", "the file is empty"),
        ("x.npz::images/3", "/d/x.npz::images/3: no such image", "no such image"),
        ("a.png", "the file is empty", "the file is empty"),
        ("a.png", "not like b: a.png: is", "not like b: a.png: is"),
    ],
)
def test_the_place_is_cut_from_a_reason(path: str, reason: str, only: str) -> None:
    assert words.reason_only(path, reason) == only


def test_kinds_of_reasons_add_up() -> None:
    reasons = [f"kind {chr(97 + i)} is bad" for i in range(20) for _ in range(20 - i)]
    kinds = words.reason_kinds(reasons)
    assert len(kinds) == 12
    assert kinds[0] == ("kind a is bad", 20)
    assert kinds[-1][0] == "other reasons"
    assert sum(count for _, count in kinds) == len(reasons)
    assert words.reason_kinds(["12", "(7)"]) == [("(7)", 1), ("…", 1)]
