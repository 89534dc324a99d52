"""What ``radlens stress`` found, in sentences: the verdict, and what to do."""

from __future__ import annotations

from collections.abc import Mapping

from radlens.assessment import framing_words
from radlens.assessment.stress_records import QualityEvidence, StressRecord
from radlens.runtime.framing_records import FEWEST_OF_A_CLASS, Verdict

LABELS: Mapping[Verdict, str] = {"fail": "Fails", "warn": "Not settled", "pass": "Passes"}
# Settings of augment that make training images as changed ones are, by kind of change.
_SETTINGS: Mapping[str, str] = {
    "brighter": "brightness",
    "darker": "brightness",
    "more contrast": "contrast",
    "less contrast": "contrast",
    "gamma": "gamma",
    "blur": "blur",
    "lower resolution": "resolution",
    "JPEG": "jpeg",
    "rotation": "rotation",
    "noise": "noise",
    "border": "frame",
}


def verdict_sentence(record: StressRecord) -> str:
    """The verdict, and what it rests on."""
    label = LABELS[record.verdict]
    if record.guesses and record.verdict == "warn":
        return (
            f"{label}: the unchanged images are answered hardly better than by guessing (balanced accuracy "
            f"{record.framing.unchanged.balanced_accuracy:.1%}), so that no change can take much away."
        )
    parts = []
    if record.framing.verdict == record.verdict:
        parts.append(framing_words.verdict_in_words(record.framing.summary))
    if record.quality.verdict == record.verdict:
        parts.append(quality_sentence(record.quality))
    return f"{label}. {' '.join(parts)}"


def quality_sentence(evidence: QualityEvidence) -> str:
    """What the worst change of exposure, quality or position does."""
    went = (
        f"with {evidence.worst}, the balanced accuracy goes from {evidence.unchanged.balanced_accuracy:.1%} to "
        f"{evidence.worst_balanced_accuracy.value:.1%}"
    )
    if evidence.verdict == "fail":
        return f"The answers hang on exposure, quality or position: {went}."
    if evidence.verdict == "pass":
        return f"The answers stay nearly the same under other exposure, quality and position: at worst, {went}."
    if not evidence.losing:
        return f"Too few images of a class to tell whether the answers hang on exposure and quality: at worst, {went}."
    return f"The answers may hang on exposure, quality or position: {went}."


def advice(record: StressRecord) -> str:
    """What to do about the verdict."""
    if record.guesses:
        return "Evaluate the model first, and do not use it: what it answers is hardly better than a guess."
    if record.verdict == "pass":
        return (
            "Nothing that was tried here changes its mind. Other equipment, other patients and another prevalence are "
            "more than this suite: evaluate it on images from elsewhere too."
        )
    parts = [_beginning(record)]
    if record.answered_by == "table":
        kinds = ", ".join((*record.framing.losing, *record.quality.losing))
        if kinds:
            parts.append(f"Train that program with images changed so: {kinds}.")
    else:
        parts.append(framing_words.advice(record.framing.summary) if record.framing.losing else "")
        parts.append(quality_advice(record.quality))
    return " ".join(part for part in parts if part)


def _beginning(record: StressRecord) -> str:
    """What to do before anything is trained."""
    if record.verdict == "fail":
        return "Do not use it on images that may differ so from those it was trained on."
    fewest = min(group.images for group in record.framing.unchanged.groups.values())
    more = f"at least {FEWEST_OF_A_CLASS} images of each class" if fewest < FEWEST_OF_A_CLASS else "more images"
    return f"Give {more} (--images), so that a verdict can be reached."


def advice_in_short(record: StressRecord) -> str:
    """The same where what to train with is said elsewhere, as on a page whose sections do so."""
    if record.answered_by == "table" or record.guesses or not (record.framing.losing or record.quality.losing):
        return advice(record)
    return f"{_beginning(record)} What to train it with is said below, change by change; then try it again."


def quality_advice(evidence: QualityEvidence) -> str:
    """What to do about changes of exposure, quality and position; empty where nothing speaks against the model."""
    if evidence.verdict == "pass" or not evidence.losing:
        return ""
    settings = dict.fromkeys(f"augment.{_SETTINGS[kind]}" for kind in evidence.losing)
    return f"Train with images that vary in this, too: {', '.join(evidence.losing)} ({', '.join(settings)})."
