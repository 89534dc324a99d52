"""What a set of simulated radiographs shall hold: patients, findings, labels and splits, and the defects planted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from radlens.base.errors import UsageError
from radlens.config import PhantomSettings
from radlens.dataset.manifest import split_labels
from radlens.dataset.phantom.files import EXTENSIONS

CLASSES = {
    "binary": ("normal", "pneumonia"),
    "multiclass": ("normal", "pneumonia", "effusion"),
    "multilabel": ("cardiomegaly", "effusion", "pneumonia"),
}
DAMAGES = ("empty", "truncated", "not an image")
_FORMS = tuple(EXTENSIONS)
_GOLDEN = 0.6180339887498949


@dataclass(frozen=True)
class PlannedImage:
    """One image to be made.

    Attributes:
        patient: number of the patient, from 0.
        number: of the image within the patient, from 1.
        truth: what the patient has, in the form of a label.
        label: what the manifest says.
        split: train, val, test or empty.
        form: jpeg, png or dicom.
        size: height and width in pixels.
        cue: whether the image carries the planted shortcut.
        path: of the file, relative to the folder of the set.
    """

    patient: int
    number: int
    truth: str
    label: str
    split: str
    form: str
    size: int
    cue: bool
    path: str

    @property
    def findings(self) -> tuple[str, ...]:
        """What the patient has; empty for a normal chest."""
        return tuple(name for name in split_labels(self.truth) if name != "normal")


@dataclass(frozen=True)
class Copy:
    """A file copied byte for byte: from which image, and how the copy is listed."""

    source: PlannedImage
    patient: int
    split: str
    path: str


@dataclass(frozen=True)
class Plan:
    """All images of a set and the defects among them.

    Attributes:
        images: those that are rendered, by patient.
        copies: files copied under another name.
        damaged: path and damage, of ``DAMAGES``.
        shared: numbers of the patients that are in train and in test.
    """

    images: tuple[PlannedImage, ...]
    copies: tuple[Copy, ...]
    damaged: tuple[tuple[str, str], ...]
    shared: tuple[int, ...]


def patient_name(number: int) -> str:
    """Identifier of a patient.

    >>> patient_name(7)
    'P000007'
    """
    return f"P{number:06d}"


def draw_plan(settings: PhantomSettings) -> Plan:
    """Draw who is imaged how often, with which findings, label and split, and where the defects go.

    Raises:
        UsageError: more defects are asked for than the images can carry.
    """
    _check(settings)
    rng = np.random.default_rng(np.random.SeedSequence(settings.seed, spawn_key=(0,)))
    counts = _images_of_patients(rng, settings.images - settings.duplicates, settings.shared_patients)
    truths = _truths(rng, len(counts), settings)
    shared = tuple(range(settings.shared_patients))
    splits = _splits(rng, truths, counts, len(shared)) if shared else [[""] * count for count in counts]
    owner = [patient for patient, count in enumerate(counts) for _ in range(count)]
    split = [name for names in splits for name in names]
    spare = rng.permutation(len(owner)).tolist()
    damaged, copied = spare[: settings.corrupt], spare[settings.corrupt :][: settings.duplicates]
    labels = [truths[patient] for patient in owner]
    training = rng.permutation([index for index, name in enumerate(split) if name in ("", "train")]).tolist()
    taken = {*damaged, *copied}
    wanted = round(settings.wrong_labels * len(training))
    _mislabel(rng, labels, [index for index in training if index not in taken], wanted, CLASSES[settings.task])
    cues = _cues(rng, labels, settings)
    images = _images(settings, owner, truths, labels, split, cues)
    copies = _copies(settings, [images[index] for index in copied], counts)
    harm = tuple((images[index].path, DAMAGES[turn % len(DAMAGES)]) for turn, index in enumerate(sorted(damaged)))
    return Plan(images, copies, harm, shared)


def describe(plan: Plan, settings: PhantomSettings) -> dict[str, Any]:
    """The planted defects as they are written into ``defects.json``."""
    return {
        "duplicates": [
            {"file": copy.path, "copy_of": copy.source.path, "other_patient": copy.patient != copy.source.patient}
            for copy in plan.copies
        ],
        "shared_patients": [patient_name(number) for number in plan.shared],
        "wrong_labels": [
            {"file": image.path, "label": image.label, "truth": image.truth}
            for image in plan.images
            if image.label != image.truth
        ],
        "shortcut": {
            "kind": settings.shortcut,
            "strength": settings.shortcut_strength,
            "files": [image.path for image in plan.images if image.cue],
        },
        "corrupt": [{"file": path, "damage": damage} for path, damage in plan.damaged],
    }


def damage(path: Path, kind: str) -> None:
    """Spoil a file in one of the ways of ``DAMAGES``."""
    content = path.read_bytes()
    spoilt = {
        "empty": b"",
        "truncated": content[: len(content) * 2 // 5],
        "not an image": b"<html><body>503 Service Unavailable</body></html>\n",
    }
    path.write_bytes(spoilt[kind])


def _check(settings: PhantomSettings) -> None:
    planted, room = settings.duplicates + settings.corrupt, settings.images // 2
    if planted > room:
        raise UsageError(
            f"phantom: duplicates={settings.duplicates} and corrupt={settings.corrupt} make {planted} of "
            f"{settings.images} images; at most {room} may be one or the other. Ask for fewer, or for more images."
        )
    room = (settings.images - settings.duplicates - 4) // 2
    if settings.shared_patients > room:
        raise UsageError(
            f"phantom: shared_patients={settings.shared_patients} need two images each; {settings.images} images with "
            f"{settings.duplicates} duplicates leave room for {max(room, 0)}. Ask for fewer, or for more images."
        )


def _images_of_patients(rng: np.random.Generator, images: int, shared: int) -> list[int]:
    """One to four images a patient, two for each of the first ``shared``; never fewer than four patients."""
    counts = [2] * shared
    left = images - 2 * shared
    most = 4 if left >= 16 else 1
    while left:
        count = min(int(rng.choice([1, 2, 3, 4], p=[0.45, 0.3, 0.15, 0.1])), most, left)
        counts.append(count)
        left -= count
    return counts


def _truths(rng: np.random.Generator, patients: int, settings: PhantomSettings) -> list[str]:
    """What each patient has, as a label; every class occurs."""
    classes = CLASSES[settings.task]
    multilabel = settings.task == "multilabel"
    fewest, most = (1, patients) if multilabel else (len(classes) - 1, patients - 1)
    ill = rng.permutation(patients)[: int(np.clip(round(settings.prevalence * patients), fewest, most))].tolist()
    truths = ["" if multilabel else "normal"] * patients
    if not multilabel:
        for turn, patient in enumerate(ill):
            truths[patient] = classes[1 + turn % (len(classes) - 1)]
        return truths
    diseases = [set(rng.choice(classes, rng.choice([1, 2, 3], p=[0.6, 0.3, 0.1]), replace=False).tolist()) for _ in ill]
    for turn, name in enumerate(classes):
        if not any(name in names for names in diseases):
            diseases[turn % len(diseases)].add(name)
    for patient, names in zip(ill, diseases, strict=True):
        truths[patient] = _join(names, classes)
    return truths


def _join(names: set[str], classes: Sequence[str]) -> str:
    return "|".join(name for name in classes if name in names)


def _splits(rng: np.random.Generator, truths: list[str], counts: list[int], shared: int) -> list[list[str]]:
    """About 70, 15 and 15 % of the patients of each class in train, val and test; the shared ones in train and test."""
    order = sorted(range(shared, len(truths)), key=lambda patient: truths[patient])
    # Steps of the golden ratio spread evenly over every stretch of the list.
    place = (rng.random() + _GOLDEN * np.arange(len(order))) % 1.0
    names = np.select([place < 0.7, place < 0.85], ["train", "val"], "test").tolist()
    splits = [["train", "test"]] * shared + [[]] * len(order)
    for patient, name in zip(order, names, strict=True):
        splits[patient] = [name] * counts[patient]
    return splits


def _mislabel(
    rng: np.random.Generator, labels: list[str], candidates: list[int], wanted: int, classes: Sequence[str]
) -> None:
    """Change this many of the candidates' labels in place, but take no class its last image."""
    multilabel = "normal" not in classes
    counts = {name: sum(name in split_labels(label) for label in labels) for name in classes}
    done = 0
    for index in candidates:
        if done == wanted:
            return
        names = set(split_labels(labels[index]))
        removable = sorted(name for name in names if counts[name] > 1)
        addable = sorted(set(classes) - names)
        if multilabel:
            options = [names ^ {name} for name in (*removable, *addable)]
        else:
            options = [{name} for name in addable] if removable else []
        if not options:
            continue
        new = options[int(rng.integers(len(options)))]
        for name in classes:
            counts[name] += (name in new) - (name in names)
        labels[index] = _join(new, classes)
        done += 1
    if done < wanted:
        raise UsageError(
            f"phantom: wrong_labels asks for {wanted} images, but only {done} are free of the other planted defects. "
            "Ask for fewer, or for more images."
        )


def _cues(rng: np.random.Generator, labels: list[str], settings: PhantomSettings) -> list[bool]:
    """Which images carry the shortcut: a share of them where there is a finding, the others as a coin falls."""
    if settings.shortcut == "none":
        return [False] * len(labels)
    follows = rng.random(len(labels)) < settings.shortcut_strength
    coin = rng.random(len(labels)) < 0.5
    has_finding = np.array([label not in ("", "normal") for label in labels])
    return [bool(cue) for cue in np.where(follows, has_finding, coin)]


def _images(
    settings: PhantomSettings,
    owner: list[int],
    truths: list[str],
    labels: list[str],
    split: list[str],
    cues: list[bool],
) -> tuple[PlannedImage, ...]:
    """Put the draws together; images of a patient follow each other."""
    images: list[PlannedImage] = []
    for index, patient in enumerate(owner):
        number = images[-1].number + 1 if images and images[-1].patient == patient else 1
        form = _FORMS[index % len(_FORMS)] if settings.format == "mixed" else settings.format
        larger = cues[index] and settings.shortcut == "size"
        size = round(settings.size * 1.25) if larger else settings.size
        folder = _folder(settings, split[index], labels[index])
        path = f"{folder}/{patient_name(patient)}-{number}.{EXTENSIONS[form]}"
        images.append(
            PlannedImage(patient, number, truths[patient], labels[index], split[index], form, size, cues[index], path)
        )
    return tuple(images)


def _folder(settings: PhantomSettings, split: str, label: str) -> str:
    """Folder of an image: by split, when there are any, and by class, when an image has one."""
    return "/".join(part for part in ("images", split, "" if settings.task == "multilabel" else label) if part)


def _copies(settings: PhantomSettings, sources: list[PlannedImage], counts: list[int]) -> tuple[Copy, ...]:
    """By turns a further image of the same patient, and the only one of another, on the other side of the split."""
    taken = list(counts)
    copies = []
    for turn, source in enumerate(sources):
        if turn % 2 == 0:
            patient, split = source.patient, source.split
            taken[patient] += 1
        else:
            patient, split = len(taken), {"": "", "train": "test"}.get(source.split, "train")
            taken.append(1)
        folder = _folder(settings, split, source.label)
        name = f"{patient_name(patient)}-{taken[patient]}.{EXTENSIONS[source.form]}"
        copies.append(Copy(source, patient, split, f"{folder}/{name}"))
    return tuple(copies)
