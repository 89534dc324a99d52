"""What changes the model's mind, as a section of the report: the framing of images, which must not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from radlens.assessment.framing_words import advice, change_in_words, verdict_in_words
from radlens.base.errors import RadlensError
from radlens.dataset.manifest import DatasetInfo
from radlens.imaging.framing import Framing, reframe
from radlens.reporting.chart_numbers import framing_numbers
from radlens.reporting.content import Pixels, ReportContent
from radlens.reporting.embed import Chart, Picture, to_picture
from radlens.reporting.figures.framing import balanced_accuracies, kinds_of, logits_by_strength
from radlens.reporting.figures.style import MOST_CURVES, SPLIT_NAMES
from radlens.reporting.gallery import file_name
from radlens.reporting.wording import estimate, images, number
from radlens.runtime.framing_records import ChangeEvidence, Flip, FramingEvidence, GroupAnswers

TONES = {"pass": "good", "warn": "warning", "fail": "error"}
# More groups than this do not fit a table; then only the worst-hit group of each change is shown.
_MOST_GROUPS = 4


@dataclass(frozen=True)
class FlipTile:
    """An image as it is and under the change that turns its answer: pictures, answers and probabilities."""

    before: Picture | None
    after: Picture | None
    name: str
    change: str
    answer: str
    scores: str
    alt: str


@dataclass(frozen=True)
class ChangeRow:
    """One change of the table."""

    name: str
    counted: bool
    worst: bool
    cells: tuple[str, ...]


@dataclass(frozen=True)
class FramingView:
    """The section, ready to be shown."""

    verdict: str
    label: str
    tone: str
    advice: str
    figures: str
    uncounted: str
    charts: tuple[Chart, ...]
    columns: tuple[str, ...]
    rows: tuple[ChangeRow, ...]
    flips: tuple[FlipTile, ...]


def framing_view(content: ReportContent) -> FramingView | None:
    """The section on the main split; None where nothing was measured."""
    record = content.metrics[content.main_split]
    if record.framing is None:
        return None
    return framing_section(record.framing, content.info, record.threshold, content.main_split, content.read_input)


def framing_section(
    evidence: FramingEvidence,
    info: DatasetInfo,
    threshold: float | None,
    split: str,
    read_input: Callable[[str], Pixels] | None,
) -> FramingView:
    """The section on some evidence.

    Args:
        evidence: what was found.
        info: the task and the classes.
        threshold: the operating point; None for multiclass.
        split: of the images.
        read_input: see :class:`radlens.reporting.content.ReportContent`.
    """
    summary = evidence.summary
    columns, rows = _table(evidence, info)
    return FramingView(
        verdict=verdict_in_words(summary),
        label=summary.verdict.capitalize(),
        tone=TONES[summary.verdict],
        advice=advice(summary),
        figures=_figures(evidence, split),
        uncounted=_uncounted(evidence),
        charts=tuple(_charts(evidence, info, threshold)),
        columns=columns,
        rows=rows,
        flips=tuple(_flip(flip, read_input) for flip in evidence.flips),
    )


def _figures(evidence: FramingEvidence, split: str) -> str:
    worst = estimate(evidence.worst_balanced_accuracy, evidence.confidence, share=True)
    loss = evidence.loss
    low, value, high = (f"{100 * share:.1f}".replace("-", "−") for share in (loss.low, loss.value, loss.high))
    known = f" ({evidence.confidence:.0%} CI {low} to {high}, for all counted changes together)"
    counted = sum(change.counted for change in evidence.changes)
    return (
        f"{images(evidence.images, SPLIT_NAMES[split])} of {evidence.patients:,} patients under "
        f"{len(evidence.changes)} changes, of which {counted} count. Worst balanced accuracy: {worst}, with "
        f"{change_in_words(evidence.worst)}; on the same images unchanged: "
        f"{number(evidence.unchanged.balanced_accuracy, share=True)}. Loss: {value} points"
        f"{'' if loss.low == loss.high else known}."
    )


def _uncounted(evidence: FramingEvidence) -> str:
    left = {
        kind: [change.name.removeprefix(f"{kind} ") for change in changes if not change.counted]
        for kind, changes in kinds_of(evidence).items()
    }
    listed = "; ".join(f"{kind} {', '.join(names)}" for kind, names in left.items() if names)
    return f"Not counted, because a cut so deep may take the finding itself away: {listed}." if listed else ""


def _charts(evidence: FramingEvidence, info: DatasetInfo, threshold: float | None) -> list[Chart]:
    worst, plain = evidence.worst_change, evidence.unchanged
    # Of many groups those that lose most are drawn.
    lost = sorted(plain.groups, key=lambda name: worst.groups[name].recall - plain.groups[name].recall)
    drawn = [name for name in plain.groups if name in lost[:MOST_CURVES]]
    logit = None if threshold is None else float(np.log(threshold / (1 - threshold)))
    shifts = "; ".join(f"{name} {_signed(worst.groups[name].shift)}" for name in drawn)
    listed = "; ".join(f"{change.name}: {number(change.balanced_accuracy, share=True)}" for change in evidence.changes)
    of = f"of {info.classes[-1]}" if info.task == "binary" else "of each class" if logit is None else "of it"
    return [
        Chart(
            balanced_accuracies(evidence),
            "framing-accuracy",
            "Balanced accuracy under each change",
            f"Balanced accuracy under each change. Unchanged: {number(plain.balanced_accuracy, share=True)}. {listed}.",
            "A dot is one strength of a change. A model that goes by the anatomy stays in the shaded band: there it "
            "loses 5 points or less.",
            framing_numbers(evidence),
        ),
        Chart(
            logits_by_strength(evidence, drawn, logit),
            "framing-logits",
            "Logits against the strength of each change",
            f"Logit {of} for the images of each class, median and quartiles, by kind and strength of change. Median "
            f"change under {worst.name}: {shifts}.",
            "Across: the share cut off or moved, or the ratio. Lines that stay level: the framing does not matter. "
            "Lines of two classes that move the same way: the model takes framing for the finding."
            + (" The classes that lose most are drawn." if len(drawn) < len(plain.groups) else ""),
        ),
    ]


def _table(evidence: FramingEvidence, info: DatasetInfo) -> tuple[tuple[str, ...], tuple[ChangeRow, ...]]:
    groups, every = list(evidence.unchanged.groups), (evidence.unchanged, *evidence.changes)
    if len(groups) > _MOST_GROUPS:
        columns: Sequence[str] = ("Balanced accuracy", "Lowest recall", "Most flipped", "Largest shift")
        cells: list[tuple[str, ...]] = [_extremes(change) for change in every]
    else:
        recalls = [_recall_name(name, info) for name in groups]
        columns = ["Balanced accuracy"]
        for name, recall in zip(groups, recalls, strict=True):
            columns += [recall, f"Flipped ({name})", f"Shift ({name})"]
        cells = [tuple(text for name in groups for text in _group_cells(change.groups[name])) for change in every]
    rows = tuple(
        ChangeRow(
            change.name[:1].upper() + change.name[1:],
            change.counted,
            change.name == evidence.worst,
            (number(change.balanced_accuracy, share=True), *own),
        )
        for change, own in zip(every, cells, strict=True)
    )
    return tuple(columns), rows


def _recall_name(group: str, info: DatasetInfo) -> str:
    if info.task != "binary":
        return f"Recall ({group})"
    return f"{'Sensitivity' if group == info.classes[-1] else 'Specificity'} ({group})"


def _group_cells(group: GroupAnswers) -> tuple[str, str, str]:
    return number(group.recall, share=True), number(group.flipped, share=True), _signed(group.shift)


def _extremes(change: ChangeEvidence) -> tuple[str, str, str]:
    """Lowest recall, most flipped and largest shift, each with the group that it is of."""
    groups = change.groups
    lowest = min(groups, key=lambda name: groups[name].recall)
    flipped = max(groups, key=lambda name: groups[name].flipped)
    moved = max(groups, key=lambda name: abs(groups[name].shift))
    return (
        f"{number(groups[lowest].recall, share=True)} {lowest}",
        f"{number(groups[flipped].flipped, share=True)} {flipped}",
        f"{_signed(groups[moved].shift)} {moved}",
    )


def _signed(value: float) -> str:
    """With a sign, but for what is 0 when rounded.

    >>> _signed(-0.61), _signed(0.001)
    ('−0.61', '0.00')
    """
    text = f"{value:+.2f}".replace("-", "−")
    return "0.00" if text[1:] == "0.00" else text


def _flip(flip: Flip, read_input: Callable[[str], Pixels] | None) -> FlipTile:
    change = change_in_words(flip.change)
    scores = f"{flip.asked} {flip.before:.3f} → {flip.after:.3f}"
    answer = f"{flip.label or 'no finding'}, called {flip.predicted or 'no finding'}"
    before, after = _pictures(flip, read_input)
    alt = f"{flip.path}: {answer} with {change}; probability of {scores}"
    return FlipTile(before, after, file_name(flip.path), change, answer, scores, alt)


def _pictures(flip: Flip, read_input: Callable[[str], Pixels] | None) -> tuple[Picture | None, Picture | None]:
    """What the model saw, unchanged and under the change; windows are of that, and not of the file's picture."""
    if read_input is None:
        return None, None
    try:
        pixels = read_input(flip.path)
    # The cache may have gone: the tile then has no pictures.
    except (RadlensError, OSError, LookupError, ValueError):
        return None, None
    changed = reframe(pixels[None], Framing(*flip.window))[0]
    return to_picture(_as_picture(pixels)), to_picture(_as_picture(changed))


def _as_picture(pixels: Pixels) -> Pixels:
    return pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0)
