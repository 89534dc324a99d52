"""The pictures of the report: samples, augmentation, wrong answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from radlens.assessment.failure_reasons import REASONS, Reason, failures
from radlens.assessment.misclassified import label_errors
from radlens.assessment.predictions import probability_columns
from radlens.base.errors import RadlensError
from radlens.reporting.content import Pixels, ReportContent
from radlens.reporting.embed import Picture, to_picture
from radlens.reporting.figures.style import SPLIT_NAMES

# Pictures of wrong answers in one report; the others are in predictions.csv.
MOST_ERRORS = 96
_MOST_SAMPLES = 8
_MEANT: Mapping[Reason, str] = {
    "unfamiliar": "far from all of them",
    "label": "other images contradict it",
    "quality": "by its brightness, contrast or size compared with all other images",
    "threshold": "odds within a factor of 1.65 of those that decide",
}


@dataclass(frozen=True)
class Tile:
    """A picture with what stands under it: its name, lines that matter more, and why there is no picture; and the same
    picture with where the model looks painted over it.
    """

    picture: Picture | None
    alt: str
    name: str
    lines: tuple[str, ...] = ()
    missing: str = ""
    painted: Picture | None = None
    neighbours: tuple[tuple[Picture, str], ...] = ()


@dataclass(frozen=True)
class Group:
    """Pictures under one heading."""

    title: str
    tiles: tuple[Tile, ...]
    tone: str = "plain"
    left_out: int = 0
    listed_in: str = "predictions.csv"


def sample_groups(content: ReportContent) -> list[Group]:
    """A row of samples for each class."""
    groups = []
    for name, paths in content.samples.items():
        tiles = []
        for path in paths[:_MOST_SAMPLES]:
            picture, missing = picture_of(path, content.read_pixels)
            tiles.append(Tile(picture, f"Sample of {name}: {path}", file_name(path), missing=missing))
        groups.append(Group(name, tuple(tiles)))
    return groups


def augmented_groups(content: ReportContent) -> list[Group]:
    """An original and what became of it, with the parameters drawn."""
    groups = []
    for number, (original, variants, drawn) in enumerate(content.augmented, start=1):
        tiles = [Tile(to_picture(original), f"Image {number} before augmentation", "original")]
        for pixels, parameters in zip(variants, drawn, strict=True):
            text = ", ".join(_changes(parameters))
            tiles.append(Tile(to_picture(pixels), f"Image {number} after augmentation: {text}", text))
        groups.append(Group(f"Image {number}", tuple(tiles)))
    return groups


def error_groups(content: ReportContent, split: str) -> list[Group]:
    """The wrong answers: missed findings first, then the others; by likely reason, the most confident first."""
    errors = content_failures(content, split)
    kept = errors.head(MOST_ERRORS)
    groups = []
    for missed in (True, False):
        for reason, said in REASONS.items():
            whole = int(((errors["missed"] == missed) & (errors["reason"] == reason)).sum())
            if whole:
                part = kept[(kept["missed"] == missed) & (kept["reason"] == reason)]
                tiles = tuple(_error_tile(row, content) for _, row in part.iterrows())
                title = f"{_group_title(content, missed, several=bool(errors['missed'].any()))}, {said}: {whole:,}"
                groups.append(Group(title, tiles, "missed" if missed else "alarm", whole - len(part)))
    return groups


def reason_texts(content: ReportContent, split: str) -> list[str]:
    """What the reasons that occur mean."""
    reasons = set(content_failures(content, split)["reason"])
    return [f"{REASONS[reason]}: {text}" for reason, text in _MEANT.items() if reason in reasons]


def content_failures(content: ReportContent, split: str) -> pd.DataFrame:
    """The wrong answers of a split with their likely reasons, from all that the content knows."""
    threshold = content.metrics[split].threshold
    return failures(content.predictions, content.info, split, threshold, content.suspects, content.facts)


def _group_title(content: ReportContent, missed: bool, several: bool) -> str:
    classes, task = content.info.classes, content.info.task
    if task == "binary":
        negative, positive = classes
        return f"Missed: {positive} called {negative}" if missed else f"False alarms: {negative} called {positive}"
    if task == "multilabel":
        return "With a missed finding" if missed else "With false alarms only"
    return f"Missed: a finding called {classes[0]}" if missed else "Other confusions" if several else "Confusions"


def _error_tile(row: pd.Series, content: ReportContent) -> Tile:
    info = content.info
    picture, missing = picture_of(str(row["path"]), content.read_pixels)
    if info.task == "multilabel":
        missed, raised = label_errors(row, info)
        lines = [f"missed {name} {score:.2f}" for name, score in missed]
        lines += [f"raised {name} {score:.2f}" for name, score in raised]
    elif info.task == "binary":
        lines = [f"{row['score']:.3f}"]
    else:
        lines = [f"{row['label']} → {row['predicted']}", f"{row['score']:.3f}"]
    if row["detail"]:
        lines.append(str(row["detail"]))
    alt = f"Wrong answer on a {SPLIT_NAMES[row['split']]} image: {row['label'] or 'no finding'} called "
    alt += f"{row['predicted'] or 'no finding'} ({'; '.join(lines)}), {row['path']}"
    return Tile(
        picture,
        alt,
        file_name(str(row["path"])),
        tuple(lines),
        missing,
        _painted(row, content),
        _neighbours(row, content),
    )


def _neighbours(row: pd.Series, content: ReportContent) -> tuple[tuple[Picture, str], ...]:
    """Small pictures of the training images that the model finds most like this one, with their labels."""
    pictures = []
    for path, label in content.neighbours.get(str(row["path"]), ()):
        picture, _ = picture_of(path, content.read_pixels, longest=96)
        if picture is not None:
            pictures.append((picture, label or "no finding"))
    return tuple(pictures)


def _painted(row: pd.Series, content: ReportContent) -> Picture | None:
    """Where the model sees the positive class; of several classes the one answered, of several labels the surest."""
    if content.paint_map is None:
        return None
    info, output = content.info, 0
    if info.task == "multiclass":
        output = info.classes.index(str(row["predicted"]))
    elif info.task == "multilabel":
        output = int(np.argmax([row[name] for name in probability_columns(info)]))
    try:
        return to_picture(content.paint_map(str(row["path"]), output))
    # The file may have gone: the tile says so in place of its picture.
    except (RadlensError, OSError, LookupError, ValueError):
        return None


def picture_of(
    path: str, read_pixels: Callable[[str], Pixels] | None, longest: int = 240
) -> tuple[Picture | None, str]:
    """The picture, or why there is none; both empty where no pictures were asked for."""
    if read_pixels is None:
        return None, ""
    try:
        return to_picture(read_pixels(path), longest), ""
    # The file may have gone or changed since it was read last: the page is worth having without it.
    except (RadlensError, OSError, LookupError, ValueError):
        return None, "This picture can no longer be read."


def file_name(path: str) -> str:
    """The last part of a path; the array and number of an image inside an archive."""
    return path.rpartition("::")[2] if "::" in path else path.rpartition("/")[2]


# Parameters of which another value than 0 changes nothing.
_UNCHANGED = {"zoom": 1.0, "contrast": 1.0, "gamma": 1.0, "resolution": 1.0, "jpeg": 100.0}
# They say how another change was made.
_SILENT = ("noise_seed", "frame_grey", "middle_grey")
_WORDS = {
    "angle": "rotated {:+.0f}°",
    "flip_x": "mirrored",
    "flip_y": "upside down",
    "zoom": "zoom × {:.2f}",
    "contrast": "contrast × {:.2f}",
    "gamma": "gamma {:.2f}",
    "blur": "blurred by {:.1f} pixels",
    "resolution": "{:.0%} of the resolution",
    "jpeg": "JPEG quality {:.0f}",
    "noise": "noise {:.1%}",
    "frame": "a frame of {:.0%}",
    "border_left": "all but a border of {:.0%} hidden",
}


def _changes(parameters: Mapping[str, float]) -> list[str]:
    """The parameters of an augmentation in words; what changed nothing is left out.

    >>> _changes({"angle": -4.2, "zoom": 1.0, "flip_x": 1.0, "brightness": 0.1, "contrast": 1.25})
    ['rotated −4°', 'mirrored', 'brightness +10%', 'contrast × 1.25']
    >>> _changes({"gamma": 0.8, "blur": 0.0, "resolution": 0.5, "jpeg": 100.0, "noise": 0.03, "noise_seed": 5.0})
    ['gamma 0.80', '50% of the resolution', 'noise 3.0%']
    >>> _changes({"frame": 0.1, "frame_grey": 0.5, "border_left": 0.0, "middle_grey": 0.0})
    ['a frame of 10%']
    """
    lines = []
    for name, value in parameters.items():
        if name in _SILENT or value == _UNCHANGED.get(name, 0.0):
            continue
        if name in ("shift_x", "shift_y"):
            ahead, back = ("right", "left") if name == "shift_x" else ("down", "up")
            text = f"{abs(value):.0%} {ahead if value > 0 else back}"
        else:
            text = _WORDS.get(name, name.replace("_", " ") + " {:+.0%}").format(value)
        lines.append(text.replace("-", "−"))
    return lines or ["unchanged"]
