"""What ``radlens stress`` found, in sentences: the verdict, and what to do."""

from __future__ import annotations

from collections.abc import Mapping

from radlens.assessment.framing_evidence import FEWEST, TOLERATED_LOSS
from radlens.assessment.framing_records import ChangeEvidence, FramingEvidence
from radlens.assessment.stress_records import QualityEvidence, StressRecord, Suite

SUITE_NAMES: Mapping[Suite, str] = {"framing": "framing", "quality": "exposure, quality and position"}
_OPENINGS = {"fail": "It fails", "warn": "Not settled", "pass": "It passes"}
_UNITS = ("stretched", "zoomed out", "shifted", "combined", "unchanged")
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


def change_words(suite: Suite, change: ChangeEvidence) -> str:
    """A change as it stands in a sentence: ``15 % cut off top and bottom``."""
    if suite == "quality" or change.kind in _UNITS:
        words = {
            "combined": f"random cuts and margins (draw {change.strength:g})",
            "zoomed out": f"a black margin around it (zoomed out {change.strength:g})",
            "stretched": f"one side squeezed (stretched {change.strength:g})",
        }
        return words.get(change.kind, change.name)
    return f"{change.strength:.0%}".replace("%", " %") + f" cut off {change.kind}"


def verdict_sentence(record: StressRecord) -> str:
    """The one sentence that matters most."""
    opening = _OPENINGS[record.verdict]
    if record.guesses:
        return (
            f"{opening}: the unchanged images are answered hardly better than by guessing (balanced accuracy "
            f"{record.framing.unchanged.balanced_accuracy:.1%}), so that no change can take much away."
        )
    parts = [
        suite_sentence(suite, evidence)
        for suite, evidence in record.suites().items()
        if evidence.verdict == record.verdict
    ]
    if record.verdict == "pass":
        worst = max((evidence.loss.value for evidence in record.suites().values()), default=0.0)
        return (
            f"{opening}: no change of framing, exposure or quality takes more than {_points(max(worst, 0.0))} of "
            "balanced accuracy."
        )
    return f"{opening}: {'; and '.join(parts)}."


def suite_sentence(suite: Suite, evidence: FramingEvidence | QualityEvidence) -> str:
    """What the worst change of a suite does, without a full stop."""
    loss, change = evidence.loss, evidence.worst_change
    text = (
        f"with {change_words(suite, change)}, balanced accuracy goes from "
        f"{evidence.unchanged.balanced_accuracy:.1%} to {change.balanced_accuracy:.1%} "
        f"(lost: {_points(loss.value)}, {_points(loss.low)} to {_points(loss.high)} with allowance for the number of "
        "changes)"
    )
    few = [name for name, group in evidence.unchanged.groups.items() if group.images < FEWEST]
    if evidence.verdict == "warn" and few:
        text += f"; {_few_words(few)}"
    return text


def advice(record: StressRecord) -> str:
    """What to do about the verdict."""
    if record.guesses:
        return "Evaluate the model first: radlens evaluate MODEL SOURCE --out DIR. Robustness of guesses is none."
    if record.verdict == "pass":
        return (
            "Nothing that was tried here changes its mind. Other equipment, other patients and another prevalence are "
            "more than this suite: evaluate it on images from elsewhere too."
        )
    bad = [suite for suite, evidence in record.suites().items() if evidence.verdict == "fail"]
    if not bad:
        return (
            f"Give more labelled images (at least {FEWEST} of each class; --images), until it is settled whether more "
            f"than {_points(TOLERATED_LOSS)} are lost."
        )
    return " ".join(_remedy(suite, record) for suite in bad) + " Then try it again."


def _remedy(suite: Suite, record: StressRecord) -> str:
    outside = record.answered_by == "table"
    if suite == "framing":
        train = "random cuts of each side by itself, stretches and margins"
        how = f"{train} of training images" if outside else f"{train} (augment.sides, augment.stretch, augment.margin)"
        return (
            "Do not use it on images that may be framed otherwise than those it was trained on. In training, use "
            f"{how}, and images whose framing does not go with the class."
        )
    kinds = [
        change.kind
        for change in record.quality.changes
        if change.counted and record.quality.unchanged.balanced_accuracy - change.balanced_accuracy > TOLERATED_LOSS
    ]
    names = list(dict.fromkeys(_SETTINGS[kind] for kind in kinds))
    settings = "" if outside else f" ({', '.join(f'augment.{name}' for name in names)})"
    return (
        "Do not use it on images of other equipment or other handling before it has been trained with such changes: "
        f"{', '.join(dict.fromkeys(kinds))}{settings}."
    )


def _few_words(few: list[str]) -> str:
    listed = ", ".join(few[:3]) + (", …" if len(few) > 3 else "")
    return f"fewer than {FEWEST} images of {listed}, too few to pass"


def _points(share: float) -> str:
    """A difference of shares.

    >>> _points(0.0512)
    '5.1 points'
    """
    return f"{100 * share:.1f} points".replace("-", "−")
