"""How sizes, intensities and the like are distributed, in each split and class."""

from __future__ import annotations

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from radlens.dataset.audit.image_facts import image_facts, is_numeric
from radlens.dataset.manifest import SPLITS, Manifest, split_labels
from radlens.imaging.cache.pixel_cache import PixelCache

# The shares of images that each number of ``quantiles`` exceeds: 0, 5, ... 100 %.
QUANTILES = tuple(number / 20 for number in range(21))
# Names beyond the most frequent ones are counted together.
LEVELS = 20
OTHER = "(other)"

_DIGITS = 6


class Distribution(BaseModel):
    """One fact's distribution over the images of a class in a split."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    fact: str = Field(description="Name of the fact, such as width.")
    split: str = Field(description="train, val, test, or empty where images have no split.")
    label: str = Field(description="The class; for multilabel an image counts for each of its labels.")
    images: int = Field(description="Images of this class in this split.")
    unknown: int = Field(description="How many of them the fact is not known of.")
    quantiles: tuple[float, ...] = Field(
        default=(),
        description="For numbers: the value that 0, 5, 10, ... 100 % of the images do not exceed; empty for names and "
        "where nothing is known.",
    )
    mean: float | None = Field(default=None, description="For numbers: their mean; none where nothing is known.")
    levels: dict[str, int] = Field(
        default_factory=dict,
        description="For names: images with each of them, the most frequent first, the rest as (other).",
    )


def describe(manifest: Manifest, cache: PixelCache) -> tuple[Distribution, ...]:
    """The distribution of every fact of file, header and intensity, per split and class that have images.

    Args:
        manifest: the images, all of them readable.
        cache: their file facts, in the same order.
    """
    facts = image_facts(manifest, cache, np.arange(len(manifest)), border=False)
    table = manifest.table
    cells = {cell: split_labels(cell) for cell in table["label"].unique()}
    distributions = []
    for split in [name for name in (*SPLITS, "") if (table["split"] == name).any()]:
        for label in manifest.info.classes:
            holding = [cell for cell, labels in cells.items() if label in labels]
            part = facts[(table["label"].isin(holding) & (table["split"] == split)).to_numpy()]
            if len(part):
                distributions += [_describe(part[fact], split, label) for fact in facts.columns]
    return tuple(distributions)


def _describe(fact: pd.Series, split: str, label: str) -> Distribution:
    if is_numeric(fact):
        known = fact.dropna().to_numpy(dtype=np.float64)
        return Distribution(
            fact=str(fact.name),
            split=split,
            label=label,
            images=len(fact),
            unknown=len(fact) - len(known),
            quantiles=tuple(map(_short, np.quantile(known, QUANTILES).tolist())) if len(known) else (),
            mean=_short(float(known.mean())) if len(known) else None,
        )
    known_names = fact[fact != ""]
    counts = known_names.value_counts()
    levels = {str(level): int(count) for level, count in counts.head(LEVELS).items()}
    if len(counts) > LEVELS:
        levels[OTHER] = int(counts.iloc[LEVELS:].sum())
    return Distribution(
        fact=str(fact.name),
        split=split,
        label=label,
        images=len(fact),
        unknown=len(fact) - len(known_names),
        levels=levels,
    )


def _short(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
