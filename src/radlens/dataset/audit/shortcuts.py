"""Shortcuts: how well the label is told without looking at the anatomy."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from radlens.base.progress import track
from radlens.dataset.audit.held_out import Features, forest_scores, histogram_scores, importances, to_features
from radlens.dataset.audit.image_facts import Kind, borders, image_facts, kind_of, thumbnails
from radlens.dataset.grouping import Sample, draw_sample, group_images
from radlens.dataset.manifest import Manifest
from radlens.imaging.cache.pixel_cache import PixelCache
from radlens.statistics.auroc import Auroc, Judged, auroc, judge
from radlens.statistics.groups import Bools, Ints

View = Literal[
    "file",
    "facts",
    "thumbnail",
    "border",
    "framing",
    "framing_vertical",
    "framing_horizontal",
    "framing_rows",
    "framing_columns",
]
# Those that are looked at here; for the others see framing_shortcuts.py.
VIEWS: tuple[View, ...] = ("file", "facts", "thumbnail", "border")

# So many images say all that is asked; of more, a part is drawn.
LIMIT = 10_000


class FactWeight(BaseModel):
    """How much of the label one fact tells."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    fact: str = Field(description="Name of the fact, such as width.")
    kind: Kind = Field(description="file, header, intensity, border or framing: where the fact comes from.")
    auroc: float = Field(description="AUROC of this fact alone, held out, for the class it tells best.")
    label: str = Field(description="The class it tells best, against the rest.")
    importance: float = Field(
        description="AUROC that all facts together lose for a class, at most, when this one is shuffled among held-out "
        "images; near 0 when other facts can stand in for it."
    )
    interval: tuple[float, float] | None = Field(
        default=None, description="For framing: limits of the 95 % interval of ``auroc``; they hold for all such facts."
    )
    medians: tuple[float, float] | None = Field(
        default=None, description="For framing: the fact's median among images of ``label``, and among the others."
    )


class Extremes(BaseModel):
    """Images from both ends of one fact, each of another patient."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    fact: str = Field(description="Name of the fact.")
    least: tuple[str, ...] = Field(description="Manifest paths of images among the 5 % with the lowest values.")
    most: tuple[str, ...] = Field(description="Manifest paths of images among the 5 % with the highest values.")


class Shortcut(BaseModel):
    """How well a small model tells the label from one view, on patients that it was not fitted to."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    view: View = Field(
        description="What the small model saw. file: size, form and header of the file, no grey level; facts: these, "
        "mean and spread of the intensity, and of each side and corner of the picture; thumbnail: the picture averaged "
        "over 8 x 8 fields; border: the outermost 6 % of the picture alone; framing: how large the chest is in the "
        "picture and what is shown around it, in height and width (framing_vertical, framing_horizontal: in one of "
        "them); framing_rows, framing_columns: the mean grey of 32 rows or columns, by rank within the picture."
    )
    auroc: Auroc = Field(description="For binary of the positive class, else the mean of each class against the rest.")
    classes: dict[str, Auroc] = Field(
        description="Of each class against the rest (for binary the positive one); the limits hold for all of them "
        "together."
    )
    images: int = Field(description="Images looked at.")
    patients: int = Field(description="Patients looked at; images with the same content count as of one.")
    sampled: bool = Field(description="Whether these are a random part of the images, drawn by patient.")
    left_out: tuple[str, ...] = Field(
        default=(), description="Classes of too few patients (fewer than 10) to be judged."
    )
    facts: tuple[FactWeight, ...] = Field(
        default=(), description="For file, facts and framing: every fact that varies, the most telling first."
    )
    extremes: Extremes | None = Field(
        default=None, description="For framing: images from both ends of the most telling fact."
    )

    @property
    def worst(self) -> tuple[str, Auroc]:
        """The class with the highest lower limit: the one for which a shortcut is most certain."""
        return max(self.classes.items(), key=lambda item: (item[1].low, item[1].value))


def find_shortcuts(manifest: Manifest, cache: PixelCache, seed: int) -> tuple[Shortcut, ...]:
    """Try to tell the label without the anatomy, in four views.

    Every image is scored by a model fitted to other patients (five folds; images of one patient, and images with the
    same content, are never split). All splits are looked at together.

    Args:
        manifest: the images, all of them readable.
        cache: their pixels and file facts, in the same order.
        seed: what folds, trees, resamples and the sample follow from.

    Returns:
        One for each of ``VIEWS``; none where no class has enough patients to be told from the rest.
    """
    groups = group_images(manifest.table["patient"], cache.rows)
    sample = draw_sample(*one_vs_rest(manifest), groups, LIMIT, seed)
    if sample is None:
        return ()
    facts = image_facts(manifest, cache, sample.images)
    shortcuts = []
    for view in track(VIEWS, "Looking for shortcuts", len(VIEWS)):
        judged, ranked = _look(view, facts, cache, sample, seed)
        shortcuts.append(
            Shortcut(
                view=view,
                auroc=judged.mean,
                classes=dict(zip(sample.names, judged.classes, strict=True)),
                images=len(sample.images),
                patients=len(np.unique(sample.groups)),
                sampled=len(sample.images) < len(manifest),
                left_out=sample.left_out,
                facts=ranked,
            )
        )
    return tuple(shortcuts)


def one_vs_rest(manifest: Manifest) -> tuple[tuple[str, ...], Bools]:
    """The classes to be told from the rest, of two the positive one, and who is of them, shape (images, classes)."""
    classes, targets = manifest.info.classes, manifest.targets()
    if manifest.info.task == "multilabel":
        return classes, targets == 1
    if manifest.info.task == "binary":
        return classes[1:], targets[:, np.newaxis] == 1
    return classes, targets[:, np.newaxis] == np.arange(len(classes))


def view_features(
    view: View, facts: pd.DataFrame, cache: PixelCache, images: Ints
) -> tuple[Features, pd.DataFrame, Ints]:
    """What a small model sees of some images, shape (images, features).

    Returns:
        The features; the facts they were made of (no column for thumbnail and border); and the fact of each feature.
    """
    if view in ("thumbnail", "border"):
        features = thumbnails(cache, images) if view == "thumbnail" else borders(cache, images)
        return features, facts[[]], np.empty(0, dtype=np.int64)
    seen = [name for name in facts.columns if view == "facts" or kind_of(name) in ("file", "header")]
    varying = [name for name in seen if facts[name].nunique(dropna=False) > 1]
    features, owners = to_features(facts[varying])
    return features, facts[varying], owners


def _look(
    view: View, facts: pd.DataFrame, cache: PixelCache, sample: Sample, seed: int
) -> tuple[Judged, tuple[FactWeight, ...]]:
    features, seen, owners = view_features(view, facts, cache, sample.images)
    scores, forests = forest_scores(features, sample.targets, sample.folds, seed)
    judged = judge(scores, sample.targets, sample.folds, sample.groups, seed)
    if seen.empty:
        return judged, ()
    lost = importances(forests, features, owners, sample.targets, sample.folds, np.random.default_rng(seed))
    return judged, _rank(seen, sample, lost.max(axis=1).tolist())


def _rank(facts: pd.DataFrame, sample: Sample, lost: list[float]) -> tuple[FactWeight, ...]:
    weights = []
    for fact, importance in zip(facts.columns, lost, strict=True):
        scores = histogram_scores(facts[fact], sample.targets, sample.folds)
        reached = [auroc(score, truth, sample.folds) for score, truth in zip(scores.T, sample.targets.T, strict=True)]
        best = int(np.argmax(reached))
        weights.append(
            FactWeight(
                fact=fact, kind=kind_of(fact), auroc=reached[best], label=sample.names[best], importance=importance
            )
        )
    return tuple(sorted(weights, key=lambda weight: -weight.auroc))
