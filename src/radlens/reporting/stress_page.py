"""What changes a model's mind, as one page: the verdict, the section on framing, and that on exposure and quality."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from radlens.assessment.stress_evidence import stress_table
from radlens.assessment.stress_records import QualityFlip, StressRecord
from radlens.assessment.stress_words import advice_in_short, quality_advice, quality_sentence, verdict_sentence
from radlens.base.errors import RadlensError
from radlens.base.files import write_text
from radlens.dataset.manifest import DatasetInfo
from radlens.reporting.content import Pixels
from radlens.reporting.embed import Chart, Picture, to_picture
from radlens.reporting.figures.stress import accuracy_under_changes
from radlens.reporting.gallery import file_name
from radlens.reporting.sections.framing import TONES, FramingView, framing_section
from radlens.reporting.template import render
from radlens.runtime.framing_records import TOLERATED_LOSS, ChangeEvidence


@dataclass(frozen=True)
class StressPictures:
    """What gives a page its pictures: uint8, as the model or the program got them.

    Attributes:
        read_input: of a path, the unchanged image, shape (channels, height, width).
        show_quality: of a path and the name of a change of exposure, quality or position, the picture before and after
            it, shape (height, width) or (height, width, 3).
    """

    read_input: Callable[[str], Pixels]
    show_quality: Callable[[str, str], tuple[Pixels, Pixels]]


@dataclass(frozen=True)
class QualityFlipView:
    """A right answer that a change made wrong: the picture before and after, and what was said of it."""

    before: Picture | None
    after: Picture | None
    name: str
    change: str
    answer: str
    scores: str


@dataclass(frozen=True)
class QualityView:
    """The section on exposure, quality and position, ready to be shown."""

    verdict: str
    label: str
    tone: str
    advice: str
    figures: str
    chart: Chart
    groups: tuple[str, ...]
    worst: str
    changes: tuple[ChangeEvidence, ...]
    flips: tuple[QualityFlipView, ...]


def write_stress_page(record: StressRecord, pictures: StressPictures | None, path: Path) -> None:
    """Write a stress test as one HTML file that works offline; see :func:`render_stress_page`.

    Raises:
        RadlensError: the file cannot be written.
    """
    write_text(path, render_stress_page(record, pictures))


def render_stress_page(record: StressRecord, pictures: StressPictures | None) -> str:
    """The stress test as HTML; the same evidence gives the same text.

    Args:
        record: the evidence.
        pictures: gives the pictures; None: there are none.
    """
    return render(
        "stress.html.j2",
        {
            "title": f"{record.name}: what changes its mind",
            "kind": "radlens stress",
            "info": _info(record),
            "record": record,
            "tone": TONES[record.verdict],
            "verdict": verdict_sentence(record),
            "advice": advice_in_short(record),
            "framing": _framing_view(record, pictures),
            "quality": _quality_view(record, pictures),
            "tolerated": TOLERATED_LOSS,
        },
    )


def _info(record: StressRecord) -> DatasetInfo:
    return DatasetInfo(name=record.data, task=record.task, classes=record.classes, root="", simulated=record.simulated)


def _framing_view(record: StressRecord, pictures: StressPictures | None) -> FramingView:
    """The report's own section, of these images alone."""
    split = "test" if record.split == "all" else record.split
    threshold = None if record.task == "multiclass" else record.threshold
    read_input = pictures.read_input if pictures else None
    return framing_section(record.framing, _info(record), threshold, split, read_input)


def _quality_view(record: StressRecord, pictures: StressPictures | None) -> QualityView:
    evidence, table = record.quality, stress_table(record)
    lowest = ", ".join(
        f"{change.name} {change.balanced_accuracy:.1%}"
        for change in sorted(evidence.changes, key=lambda change: change.balanced_accuracy)[:5]
    )
    chart = Chart(
        accuracy_under_changes(evidence.unchanged, evidence.changes, evidence.worst),
        "quality-accuracy",
        "Answered rightly under each change",
        f"Balanced accuracy as they are {evidence.unchanged.balanced_accuracy:.1%}; lowest: {lowest}.",
        "The dashed line is the unchanged images; in the shaded band it loses 5 points or less. Coloured marks are the "
        "images of each class. Hollow dots do not count.",
        table[table["suite"].isin(("unchanged", "quality"))],
    )
    low, value, high = (
        f"{100 * share:.1f}".replace("-", "−") for share in (evidence.loss.low, evidence.loss.value, evidence.loss.high)
    )
    counted = sum(change.counted for change in evidence.changes)
    return QualityView(
        verdict=quality_sentence(evidence),
        label=evidence.verdict.capitalize(),
        tone=TONES[evidence.verdict],
        advice=quality_advice(evidence),
        figures=f"{len(evidence.changes)} changes, of which {counted} count. Loss under the worst: {value} points "
        f"({record.framing.confidence:.0%} CI {low} to {high}, for all counted changes together).",
        chart=chart,
        groups=tuple(evidence.unchanged.groups),
        worst=evidence.worst,
        changes=(evidence.unchanged, *evidence.changes),
        flips=tuple(_flip_view(flip, pictures) for flip in evidence.flips),
    )


def _flip_view(flip: QualityFlip, pictures: StressPictures | None) -> QualityFlipView:
    before, after = None, None
    if pictures is not None:
        try:
            before, after = (to_picture(pixels) for pixels in pictures.show_quality(flip.path, flip.change))
        # The file may have gone: the page is worth having without its picture.
        except (RadlensError, OSError, LookupError, ValueError):
            before, after = None, None
    answer = f"{flip.label or 'no finding'}, called {flip.predicted or 'no finding'}"
    scores = f"{flip.asked} {flip.before:.3f} → {flip.after:.3f}"
    return QualityFlipView(before, after, file_name(flip.path), flip.change, answer, scores)
