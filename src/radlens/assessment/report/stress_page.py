"""What changes a model's mind, as one page: the verdict, figures, tables, and pictures of answers that flip."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from radlens.assessment.figures_stress import accuracy_under_changes
from radlens.assessment.framing_evidence import TOLERATED_LOSS
from radlens.assessment.framing_records import ChangeEvidence, Flip, FramingEvidence
from radlens.assessment.report.content import Pixels
from radlens.assessment.report.embed import Chart, Picture, to_picture
from radlens.assessment.report.gallery import file_name
from radlens.assessment.report.template import render
from radlens.assessment.stress_evidence import stress_table
from radlens.assessment.stress_records import QualityEvidence, QualityFlip, StressRecord, Suite
from radlens.assessment.stress_words import SUITE_NAMES, advice, suite_sentence, verdict_sentence
from radlens.errors import RadlensError
from radlens.files import write_text

# From a suite, the path of an image and the name of a change.
ShowChange = Callable[[Suite, str, str], tuple[Pixels, Pixels]]
_TONES = {"fail": "error", "warn": "warning", "pass": "good"}
_INTRODUCTIONS: Mapping[Suite, str] = {
    "framing": "The same images, cut, stretched, shifted and zoomed out. How tightly a radiograph is framed says "
    "nothing of the disease.",
    "quality": "The same images as other equipment and other hands would have made them: exposure, contrast, noise, "
    "sharpness, compression and position. Blur, noise, resolution and JPEG are of the pixels as they were given.",
}


@dataclass(frozen=True)
class FlipView:
    """A right answer that a change made wrong: the picture before and after, and what was said of it."""

    before: Picture | None
    after: Picture | None
    name: str
    change: str
    answer: str
    probability: str


@dataclass(frozen=True)
class SuiteView:
    """One suite, ready to be shown."""

    suite: Suite
    title: str
    introduction: str
    sentence: str
    tone: str
    verdict: str
    chart: Chart
    names: tuple[str, ...]
    unchanged: ChangeEvidence
    changes: tuple[ChangeEvidence, ...]
    worst: str
    flips: tuple[FlipView, ...]


def write_stress_page(record: StressRecord, show: ShowChange | None, path: Path) -> None:
    """Write a stress test as one HTML file that works offline; see :func:`render_stress_page`.

    Raises:
        RadlensError: the file cannot be written.
    """
    write_text(path, render_stress_page(record, show))


def render_stress_page(record: StressRecord, show: ShowChange | None) -> str:
    """The stress test as HTML; the same evidence gives the same text.

    Args:
        record: the evidence.
        show: gives the pictures, uint8, shape (height, width) or (height, width, 3), of an image before and after a
            change; None: no pictures.
    """
    return render(
        "stress.html.j2",
        {
            "title": f"{record.name}: what changes its mind",
            "kind": "radlens stress",
            "info": _info(record),
            "record": record,
            "tone": _TONES[record.verdict],
            "verdict": verdict_sentence(record),
            "advice": advice(record),
            "suites": [_suite_view(suite, evidence, record, show) for suite, evidence in record.suites().items()],
            "tolerated": TOLERATED_LOSS,
        },
    )


def _info(record: StressRecord) -> dict[str, Any]:
    return {"name": record.data, "task": record.task, "classes": record.classes, "simulated": record.simulated}


def _suite_view(
    suite: Suite, evidence: FramingEvidence | QualityEvidence, record: StressRecord, show: ShowChange | None
) -> SuiteView:
    sentence = suite_sentence(suite, evidence)
    table = stress_table(record)
    lowest = ", ".join(
        f"{change.name} {change.balanced_accuracy:.1%}"
        for change in sorted(evidence.changes, key=lambda change: change.balanced_accuracy)[:5]
    )
    chart = Chart(
        accuracy_under_changes(evidence.unchanged, evidence.changes, evidence.worst),
        f"{suite}-accuracy",
        f"Answered rightly under changes of {SUITE_NAMES[suite]}",
        f"Balanced accuracy as they are {evidence.unchanged.balanced_accuracy:.1%}; lowest: {lowest}.",
        "The dashed line is the unchanged images; in the shaded band no more than is tolerated is lost. Coloured marks "
        "are the images of each class. Hollow dots do not count: so strong a change may hide the finding itself.",
        table[table["suite"].isin(("unchanged", suite))],
    )
    return SuiteView(
        suite,
        SUITE_NAMES[suite][:1].upper() + SUITE_NAMES[suite][1:],
        _INTRODUCTIONS[suite],
        sentence[:1].upper() + sentence[1:] + ".",
        _TONES[evidence.verdict],
        evidence.verdict,
        chart,
        tuple(evidence.unchanged.groups),
        evidence.unchanged,
        evidence.changes,
        evidence.worst,
        tuple(_flip_view(suite, flip, show) for flip in evidence.flips),
    )


def _flip_view(suite: Suite, flip: Flip | QualityFlip, show: ShowChange | None) -> FlipView:
    before, after = None, None
    if show is not None:
        try:
            before, after = (to_picture(pixels) for pixels in show(suite, flip.path, flip.change))
        # The file may have gone: the page is worth having without its picture.
        except (RadlensError, OSError, LookupError, ValueError):
            before, after = None, None
    answer = f"{flip.label or 'no finding'} → {flip.predicted or 'no finding'}"
    probability = f"{flip.before:.3f} → {flip.after:.3f}"
    return FlipView(before, after, file_name(flip.path), flip.change, answer, probability)
