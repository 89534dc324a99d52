"""The frame as a shortcut: how well the label is told by how tightly a picture shows the chest."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from radlens.dataset.audit.framing import FACTS, HORIZONTAL, VERTICAL, framing_facts, profiles
from radlens.dataset.audit.held_out import Features, histogram_scores, linear_scores
from radlens.dataset.audit.shortcuts import LIMIT, Extremes, FactWeight, Shortcut, View, one_vs_rest
from radlens.dataset.grouping import Sample, draw_sample, group_images
from radlens.dataset.manifest import Manifest
from radlens.imaging.cache.pixel_cache import PixelCache
from radlens.statistics.auroc import Auroc, Judged, auroc, judge

VIEWS: tuple[View, ...] = (
    "framing",
    "framing_vertical",
    "framing_horizontal",
    "framing_rows",
    "framing_columns",
)
_FACTS: dict[View, tuple[str, ...]] = {
    "framing": FACTS,
    "framing_vertical": VERTICAL,
    "framing_horizontal": HORIZONTAL,
}
# Where fewer images are like the typical one, there is no typical frame.
LEAST_KNOWN = 0.5
# Pictures shown of each end, drawn evenly from this share of the images.
SHOWN = 6
TAIL = 0.05

Doubles = npt.NDArray[np.float64]


def find_framing(manifest: Manifest, cache: PixelCache, seed: int) -> tuple[Shortcut, ...]:
    """Try to tell the label by the frame alone, on patients that the small model was not fitted to.

    Where the chest lies is found from the whole picture (:mod:`radlens.dataset.audit.framing`), so that an opacity has
    little part in it; the profiles of rows and columns see opacities too, and are told of for comparison.

    Args:
        manifest: the images, all of them readable.
        cache: their pixels, in the same order.
        seed: what folds, resamples, the sample and the typical picture follow from.

    Returns:
        One for each of ``VIEWS``, those of the chest's place only where it is known of half the images or more; none
        where no class has enough patients to be told from the rest.
    """
    groups = group_images(manifest.table["patient"], cache.rows)
    sample = draw_sample(*one_vs_rest(manifest), groups, LIMIT, seed)
    if sample is None:
        return ()
    sampled = len(sample.images) < len(manifest)
    facts = framing_facts(cache, sample.images, seed)
    known = np.flatnonzero(facts.notna().all(axis=1))
    shortcuts: list[Shortcut] = []
    if len(known) >= LEAST_KNOWN * len(facts):
        part = sample.only(known)
        if part is not None:
            paths = manifest.table["path"].to_numpy()[sample.images[known]]
            shortcuts += _by_place(facts.iloc[known].reset_index(drop=True), paths, part, sampled, seed)
    rows, columns = profiles(cache, sample.images)
    views: tuple[tuple[View, Features], ...] = (("framing_rows", rows), ("framing_columns", columns))
    for view, features in views:
        scores = linear_scores(features, sample.targets, sample.folds)
        shortcuts.append(_shortcut(view, judge(scores, *_known(sample), seed), sample, sampled))
    return tuple(shortcuts)


def _by_place(
    facts: pd.DataFrame, paths: npt.NDArray[np.object_], sample: Sample, sampled: bool, seed: int
) -> list[Shortcut]:
    """By what is known of the chest's place: all of it, that in height, that in width."""
    shortcuts = []
    for view, names in _FACTS.items():
        features = _features(facts[list(names)])
        judged = judge(linear_scores(features, sample.targets, sample.folds), *_known(sample), seed)
        shortcuts.append(_shortcut(view, judged, sample, sampled))
    weights = _weights(facts, sample, seed)
    extremes = _extremes(facts[weights[0].fact].to_numpy(), weights[0].fact, paths, sample.groups)
    shortcuts[0] = shortcuts[0].model_copy(update={"facts": weights, "extremes": extremes})
    return shortcuts


def _features(facts: pd.DataFrame) -> Features:
    """Facts and their squares, for a class may be framed tightly and loosely more often than the other."""
    values = facts.to_numpy(dtype=np.float64)
    centred = values - values.mean(axis=0)
    return np.concatenate([centred, centred**2], axis=1).astype(np.float32)


def _known(sample: Sample) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    return sample.targets, sample.folds, sample.groups


def _weights(facts: pd.DataFrame, sample: Sample, seed: int) -> tuple[FactWeight, ...]:
    """How much each fact tells alone, and what all together lose without it; the most telling first."""
    rng = np.random.default_rng(seed)
    features = _features(facts)
    whole = _reached(linear_scores(features, sample.targets, sample.folds), sample)
    alone = _alone(facts, sample, seed)
    weights = []
    for number, fact in enumerate(facts.columns):
        shuffled = features.copy()
        order = rng.permutation(len(features))
        for column in (number, number + len(facts.columns)):
            shuffled[:, column] = features[order, column]
        lost = whole - _reached(linear_scores(features, sample.targets, sample.folds, shuffled), sample)
        judged = alone[number]
        best = int(np.argmax([each.value for each in judged]))
        truth = sample.targets[:, best]
        values = facts[fact].to_numpy()
        weights.append(
            FactWeight(
                fact=str(fact),
                kind="framing",
                auroc=judged[best].value,
                label=sample.names[best],
                importance=float(lost.max()),
                interval=(judged[best].low, judged[best].high),
                medians=(_short(np.median(values[truth])), _short(np.median(values[~truth]))),
            )
        )
    return tuple(sorted(weights, key=lambda weight: -weight.auroc))


def _alone(facts: pd.DataFrame, sample: Sample, seed: int) -> list[tuple[Auroc, ...]]:
    """AUROC of each class by each fact alone; the limits hold for all facts and classes together.

    So the best of them is no better than it looks, and one set of resamples serves all.
    """
    scores = [histogram_scores(facts[fact], sample.targets, sample.folds) for fact in facts.columns]
    targets = np.tile(sample.targets, (1, len(scores)))
    judged = judge(np.concatenate(scores, axis=1), targets, sample.folds, sample.groups, seed).classes
    count = sample.targets.shape[1]
    return [judged[start : start + count] for start in range(0, len(judged), count)]


def _reached(scores: Doubles, sample: Sample) -> Doubles:
    pairs = zip(scores.T, sample.targets.T, strict=True)
    return np.array([auroc(score, truth, sample.folds) for score, truth in pairs])


def _extremes(values: Doubles, fact: str, paths: npt.NDArray[np.object_], groups: npt.NDArray[np.int64]) -> Extremes:
    order = np.argsort(values, kind="stable")
    ends = []
    for ranked in (order, order[::-1]):
        tail = ranked[: max(SHOWN, round(TAIL * len(ranked)))]
        # One image a patient: the others look alike.
        first = np.sort(np.unique(groups[tail], return_index=True)[1])
        own = tail[first]
        places = np.unique(np.linspace(0, len(own) - 1, min(SHOWN, len(own))).round().astype(np.int64))
        ends.append(tuple(str(path) for path in paths[own[places]]))
    return Extremes(fact=fact, least=ends[0], most=ends[1])


def _shortcut(view: View, judged: Judged, sample: Sample, sampled: bool) -> Shortcut:
    return Shortcut(
        view=view,
        auroc=judged.mean,
        classes=dict(zip(sample.names, judged.classes, strict=True)),
        images=len(sample.images),
        patients=len(np.unique(sample.groups)),
        sampled=sampled,
        left_out=sample.left_out,
    )


def _short(value: float) -> float:
    return float(f"{value:.4g}")
