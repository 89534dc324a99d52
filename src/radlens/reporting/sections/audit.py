"""What the audit shows to a reader, made ready for the page of its own and for the first section of a report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from radlens.dataset.audit import Audit
from radlens.reporting.figures.style import SPLIT_NAMES
from radlens.reporting.gallery import Group
from radlens.reporting.sections import audit_wording
from radlens.reporting.sections.audit_distributions import distribution_part
from radlens.reporting.sections.audit_facts import drift_part, family_part, shortcut_part
from radlens.reporting.sections.audit_gallery import Gallery, Limits, ReadPixels, anchor, galleries, suspect_group
from radlens.reporting.sections.audit_part import Part
from radlens.reporting.sections.audit_wording import (
    SEVERITIES,
    Verdict,
    by_severity,
    check_name,
    reason_kinds,
    reason_only,
)

MOST_REJECTED = 50


@dataclass(frozen=True)
class FindingRow:
    """One row of the table of findings.

    Attributes:
        badge: the severity in a word.
        tone: its colour.
        check: name that ``--allow`` takes.
        name: the check's name to a reader.
        message: what was found and what to do.
        examples: in words.
        pictures: anchor of its pictures; empty where there are none.
        stops: whether it stops a run unless allowed.
        allowed: whether the user allowed it.
    """

    badge: str
    tone: str
    check: str
    name: str
    message: str
    examples: tuple[str, ...]
    pictures: str
    stops: bool
    allowed: bool


@dataclass(frozen=True)
class Counts:
    """Images and patients per split."""

    splits: tuple[str, ...]
    images: tuple[int, ...]
    patients: tuple[int, ...]
    classes: dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Rejected:
    """The files that could not be read: reasons by kind, and the first of them one by one."""

    count: int
    kinds: tuple[tuple[str, int], ...]
    rows: tuple[tuple[str, str], ...]

    @property
    def left_out(self) -> int:
        """Files that are not shown."""
        return self.count - len(self.rows)


@dataclass(frozen=True)
class AuditView:
    """The audit as it is shown; parts without content are left out of the page."""

    verdict: Verdict
    size: str
    findings: tuple[FindingRow, ...]
    allowed: tuple[str, ...]
    galleries: tuple[Gallery, ...]
    suspects: Group | None
    shortcuts: Part | None
    families: Part | None
    drift: Part | None
    distributions: Part | None
    counts: Counts | None
    rejected: Rejected | None


def audit_view(
    audit: Audit,
    table: pd.DataFrame,
    rejected: Sequence[tuple[str, str]],
    read_pixels: ReadPixels | None,
    limits: Limits,
    suspects: pd.DataFrame | None = None,
) -> AuditView:
    """Make an audit ready to be shown.

    Args:
        audit: what was found.
        table: the manifest's table.
        rejected: manifest path or location, and reason, of each image that could not be read.
        read_pixels: gives the pixels of a manifest path; None: no pictures.
        limits: how many pictures are shown.
        suspects: labels that may be wrong; see :func:`radlens.reporting.sections.audit_gallery.suspect_group`.
    """
    return AuditView(
        verdict=audit_wording.verdict(audit),
        size=audit_wording.size_text(audit),
        findings=_rows(audit),
        allowed=tuple(audit_wording.allowed_text(audit)),
        galleries=tuple(galleries(audit, table, read_pixels, limits)),
        suspects=None if suspects is None or suspects.empty else suspect_group(suspects, table, read_pixels),
        shortcuts=shortcut_part(audit),
        families=family_part(audit),
        drift=drift_part(audit),
        distributions=distribution_part(audit),
        counts=_counts(audit),
        rejected=_rejected(rejected),
    )


def _rows(audit: Audit) -> tuple[FindingRow, ...]:
    rows = []
    for number, finding in enumerate(by_severity(audit)):
        badge, tone = SEVERITIES[finding.severity]
        stops = finding.severity == "block"
        rows.append(
            FindingRow(
                badge=badge,
                tone=tone,
                check=finding.check,
                name=check_name(finding.check),
                message=finding.message,
                examples=finding.examples,
                pictures=anchor(number) if finding.groups else "",
                stops=stops,
                allowed=stops and finding.check in audit.allowed,
            )
        )
    return tuple(rows)


def _counts(audit: Audit) -> Counts | None:
    splits = list(audit.counts)
    if not splits:
        return None
    return Counts(
        splits=tuple(SPLIT_NAMES.get(split, split) or "unsplit" for split in splits),
        images=tuple(audit.split_images.get(split, 0) for split in splits),
        patients=tuple(audit.split_patients.get(split, 0) for split in splits),
        classes={name: tuple(audit.counts[split].get(name, 0) for split in splits) for name in audit.classes},
    )


def _rejected(rejected: Sequence[tuple[str, str]]) -> Rejected | None:
    if not rejected:
        return None
    rows = [(path, reason_only(path, reason)) for path, reason in rejected]
    kinds = reason_kinds([reason for _, reason in rows])
    return Rejected(len(rows), tuple(kinds), tuple(rows[:MOST_REJECTED]))
