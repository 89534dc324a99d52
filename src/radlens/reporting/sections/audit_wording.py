"""The audit in plain words: the verdict, the names of the checks, why files could not be read."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from radlens.dataset.audit import Audit, Finding

# What the audit calls a severity, how it is named to a reader, and its colour; the most severe first.
SEVERITIES = {"block": ("stop", "error"), "warn": ("warning", "warning"), "note": ("note", "info")}

CHECK_NAMES = {
    "leak": "Leak",
    "duplicate": "Duplicates",
    "conflicting_labels": "Conflicting labels",
    "shortcut_facts": "Shortcut: the file gives the label away",
    "shortcut_thumbnail": "Shortcut: a blurred thumbnail gives the label away",
    "shortcut_border": "Shortcut: the border gives the label away",
    "shortcut_framing": "Shortcut: the frame gives the label away",
    "file_name_families": "Families of file names",
    "flat_pictures": "Masks or empty pictures",
    "drift": "The splits differ",
    "split_lacks_class": "A split lacks a class",
    "split_too_small": "Too few images to judge by",
    "class_imbalance": "Unequal classes",
    "patients_unknown": "Unknown patients",
    "presentation_intent": "Raw values and pictures for display",
    "polarity": "Negatives among the pictures",
    "depth": "Scale of pictures of more than 8 bits",
    "header_faults": "Faults in DICOM headers",
    "numbered_series": "Numbered series without a patient",
    "unreadable_files": "Unreadable files",
    "label_suspects": "Labels that may be wrong",
}
_MOST_KINDS = 12


@dataclass(frozen=True)
class Verdict:
    """The one sentence that comes first, what it rests on, and its colour."""

    tone: str
    sentence: str
    detail: str


def check_name(check: str) -> str:
    """How a check is named to a reader.

    >>> check_name("leak"), check_name("some_new_check")
    ('Leak', 'Some new check')
    """
    return CHECK_NAMES.get(check, check.replace("_", " ").strip().capitalize())


def by_severity(audit: Audit) -> list[Finding]:
    """The findings, the most severe first."""
    return sorted(audit.findings, key=lambda finding: list(SEVERITIES).index(finding.severity))


def verdict(audit: Audit) -> Verdict:
    """Whether the images may be used: stop, usable with warnings, or nothing found."""
    blocks, severities = audit.blocks, Counter(finding.severity for finding in audit.findings)
    allowed = [finding for finding in audit.findings if finding.severity == "block" and finding not in blocks]
    warnings, notes = severities["warn"], severities["note"]
    rest = _listed([_counted(warnings, "warning")] * bool(warnings) + [_counted(notes, "note")] * bool(notes))
    if blocks:
        sentence = f"Stop: {_named(blocks)}."
        detail = "Training and evaluation do not start until this is mended, or allowed by name."
        return Verdict("error", sentence, f"{detail} In addition: {rest}." if rest else detail)
    if allowed:
        findings = _counted(len(allowed), "finding")
        sentence = f"Used in spite of {findings} that would stop a run: {_named(allowed)}."
        detail = "This was allowed by name; results may be wrong because of it."
        return Verdict("error", sentence, f"{detail} In addition: {rest}." if rest else detail)
    if warnings:
        detail = "Nothing that must stop a run was found; what follows may mislead those who do not know it."
        return Verdict("warning", f"Usable, with {rest}.", detail)
    if notes:
        return Verdict("good", f"Usable, with {rest}.", "Nothing that stops a run or misleads was found.")
    return Verdict("good", "Nothing was found.", "None of the checks that were made found anything to say.")


def size_text(audit: Audit) -> str:
    """How much was looked at."""
    read = f"{audit.images:,} image{'' if audit.images == 1 else 's'} of {_counted(audit.patients, 'patient')}"
    if not audit.opened:
        return f"{read}, as the table lists them: no image was opened, so that only the table was checked."
    if not audit.unreadable:
        return f"{read}, all readable."
    return f"{read}; {audit.unreadable:,} of the images cannot be read."


def allowed_text(audit: Audit) -> list[str]:
    """What was allowed by name, and whether it was needed."""
    stopping = {finding.check for finding in audit.findings if finding.severity == "block"}
    return [
        f"{check_name(check)}: allowed, and the run went on in spite of it."
        if check in stopping
        else f"{check_name(check)}: allowed, though nothing of the kind would have stopped the run."
        for check in audit.allowed
    ]


def reason_only(path: str, reason: str) -> str:
    """Why a file was rejected, without the place that the reason may begin with.

    >>> reason_only("a/b.png", "/data/a/b.png: the file is empty")
    'the file is empty'
    """
    before, separator, after = reason.partition(f"{path}: ")
    return after if separator and not re.search(r"\s", before) else reason


def reason_kinds(reasons: Sequence[str]) -> list[tuple[str, int]]:
    """Reasons grouped by kind, whatever numbers and names they hold; the most frequent first.

    >>> reason_kinds(["the file is empty", "4 bytes are missing", "17 bytes are missing; see there"])
    [('… bytes are missing', 2), ('the file is empty', 1)]
    """
    counts = Counter(_kind(reason) for reason in reasons)
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    if len(ranked) <= _MOST_KINDS:
        return ranked
    others = sum(count for _, count in ranked[_MOST_KINDS - 1 :])
    return [*ranked[: _MOST_KINDS - 1], ("other reasons", others)]


def _kind(reason: str) -> str:
    text = re.sub(r"\([^)]*\)|\[[^\]]*\]", "", reason)
    text = re.sub(r"'[^']*'|\"[^\"]*\"|\S*/\S*", "…", text)
    text = re.sub(r"\d+(?:[.,]\d+)*", "…", text)
    text = re.split(r"[;\n]|\.\s", text)[0]
    return " ".join(text.split()).rstrip(" .:,") or reason


def _named(findings: Sequence[Finding]) -> str:
    names = list(dict.fromkeys(check_name(finding.check) for finding in findings))
    return _listed([name[:1].lower() + name[1:] for name in names])


def _listed(parts: Sequence[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else "".join(parts)


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
