"""What follows the headline of a report: what the model abstains from, and what makes the figures doubtful."""

from __future__ import annotations

from radlens.assessment.framing_words import verdict_in_words
from radlens.reporting.content import ReportContent
from radlens.reporting.sections.audit_wording import by_severity, check_name
from radlens.reporting.wording import estimate


def abstention_sentence(content: ReportContent) -> str:
    """What the model answers by itself on the main split, and how much of that is right."""
    block = content.metrics[content.main_split]
    counts = block.abstention
    if counts is None:
        return "Every image gets an answer: nothing is referred to a person or refused."
    if not counts.n_answered:
        left = f"{counts.n_referred:,} are referred to a person, {counts.n_refused:,} refused"
        return f"It answers none of them: {left}."
    right = estimate(counts.accuracy, block.interval.confidence, share=True)
    return (
        f"Where it may abstain, it answers {counts.n_answered:,} and is right for {right} of these; it refers "
        f"{counts.n_referred:,} to a person and refuses {counts.n_refused:,}."
    )


def positive_sentence(content: ReportContent) -> str:
    """Which of two classes the figures call positive, and what told it; empty for other tasks."""
    if content.info.task != "binary":
        return ""
    negative, positive = content.info.classes
    reason = f" ({content.info.positive_reason})" if content.info.positive_reason else ""
    return f"Positive class: {positive}{reason}. Sensitivity speaks of {positive}, specificity of {negative}."


def doubt_sentence(content: ReportContent) -> tuple[str, bool]:
    """Whether the audit found what makes the figures doubtful; and whether that is to be shown as a warning."""
    audit = content.audit
    if audit is None:
        return "The images were not audited: what may make these figures too good was not looked for.", True
    serious = [check_name(finding.check) for finding in by_severity(audit) if finding.severity != "note"]
    if serious:
        names = "; ".join(dict.fromkeys(serious))
        return f"Before you believe the figures, see what the audit found: {names}.", True
    if not audit.opened:
        return "Only the table of the images was audited: copies and shortcuts were not looked for.", True
    return "The audit found nothing that makes these figures doubtful.", False


def framing_sentence(content: ReportContent) -> tuple[str, str]:
    """Whether the answers hang on the framing of images, and the tone of the box that says so; empty: not measured."""
    evidence = content.metrics[content.main_split].framing
    if evidence is None:
        return "", ""
    tone = {"pass": "", "warn": "warning", "fail": "error"}[evidence.verdict]
    return verdict_in_words(evidence.summary), tone
