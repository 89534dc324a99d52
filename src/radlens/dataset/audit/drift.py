"""Drift: in which facts validation and test differ from train."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field
from scipy.stats import chi2_contingency, fisher_exact, ks_2samp

from radlens.dataset.audit.image_facts import image_facts, is_numeric
from radlens.dataset.grouping import group_images
from radlens.dataset.manifest import Manifest
from radlens.imaging.cache.pixel_cache import PixelCache
from radlens.statistics.groups import Ints
from radlens.statistics.multiplicity import holm

REFERENCE = "train"
COMPARED = ("val", "test")
# So many patients of a split show any difference that matters; of more, a part is drawn.
LIMIT = 10_000
# With fewer patients in a split, nothing is compared.
FEWEST = 10

_FEW_EXPECTED = 5.0

Method = Literal["Kolmogorov-Smirnov", "chi-square", "Fisher"]


class Drift(BaseModel):
    """One fact compared between a split and train, with one image a patient."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    fact: str = Field(
        description="Name of the fact, such as width; label for the class (label: NAME for one label of several)."
    )
    split: str = Field(description="The split compared: val or test.")
    reference: str = Field(default=REFERENCE, description="The split that it is compared with.")
    patients: int = Field(description="Patients of the split, each with one image drawn at random.")
    reference_patients: int = Field(description="Patients of the reference, likewise.")
    method: Method = Field(description="The two-sample test.")
    p: float = Field(ge=0, le=1, description="p-value of this test alone.")
    p_corrected: float = Field(ge=0, le=1, description="p-value corrected for all facts and splits compared (Holm).")
    effect: float = Field(
        ge=0,
        le=1,
        description="Size of the difference: for numbers the Kolmogorov-Smirnov distance (largest gap between the two "
        "cumulative shares), for names Cramér's V, corrected for bias; 0 none, 1 as large as can be.",
    )
    value: float = Field(description="In the split: the median; for names the share of ``level``.")
    reference_value: float = Field(description="The same in the reference.")
    level: str | None = Field(
        default=None, description="For names: the one whose share differs most (empty: unknown); none for numbers."
    )


def compare_splits(manifest: Manifest, cache: PixelCache, seed: int = 0) -> tuple[Drift, ...]:
    """Test for each fact whether the patients of val and of test are like those of train.

    Images of a patient are not independent, so one image of each patient is drawn; patients of several splits (or
    images with the same content) count for the split of the image drawn. Numbers are compared by the
    Kolmogorov-Smirnov test, names by the chi-square test, or Fisher's exact one where few are expected in a cell of a
    table of two by two; p-values are corrected for all the comparisons by Holm's method (1979,
    http://www.jstor.org/stable/4615733).

    Args:
        manifest: the images, all of them readable.
        cache: their pixels and file facts, in the same order.
        seed: which image of a patient is drawn.

    Returns:
        One for each fact that varies and each split compared, the smallest p-values first; none without train.
    """
    images = _one_of_each_patient(manifest, cache, np.random.default_rng(seed))
    split = manifest.table["split"].to_numpy()[images]
    present = [name for name in COMPARED if (split == name).sum() >= FEWEST]
    if (split == REFERENCE).sum() < FEWEST or not present:
        return ()
    facts = pd.concat([_labels(manifest, images), image_facts(manifest, cache, images)], axis=1)
    drifts = [
        _compare(facts[fact][split == REFERENCE], facts[fact][split == name], name)
        for fact in facts.columns
        if facts[fact].nunique(dropna=False) > 1
        for name in present
    ]
    corrected = holm([drift.p for drift in drifts])
    drifts = [drift.model_copy(update={"p_corrected": p}) for drift, p in zip(drifts, corrected, strict=True)]
    return tuple(sorted(drifts, key=lambda drift: (drift.p, -drift.effect)))


def _one_of_each_patient(manifest: Manifest, cache: PixelCache, rng: np.random.Generator) -> Ints:
    """Positions, ascending, of one image of each patient, drawn at random, for at most ``LIMIT`` patients a split."""
    groups = group_images(manifest.table["patient"], cache.rows)
    shuffled = rng.permutation(len(groups))
    drawn = shuffled[np.unique(groups[shuffled], return_index=True)[1]]
    drawn = drawn[rng.permutation(len(drawn))]
    split = manifest.table["split"].to_numpy()[drawn]
    kept = [drawn[split == name][:LIMIT] for name in (REFERENCE, *COMPARED)]
    return np.sort(np.concatenate(kept))


def _labels(manifest: Manifest, images: Ints) -> pd.DataFrame:
    if manifest.info.task != "multilabel":
        return pd.DataFrame({"label": manifest.table["label"].to_numpy()[images]})
    targets = manifest.targets()[images]
    yes = np.where(targets == 1, "present", "absent").astype(object)
    return pd.DataFrame(yes, columns=[f"label: {name}" for name in manifest.info.classes])


def _compare(reference: pd.Series, other: pd.Series, split: str) -> Drift:
    if is_numeric(reference):
        known = (reference.dropna().to_numpy(), other.dropna().to_numpy())
        if min(map(len, known)) >= FEWEST:
            return _compare_numbers(str(reference.name), *known, split)
        reference, other = (series.notna().map({True: "known", False: ""}) for series in (reference, other))
    return _compare_names(reference, other, split)


def _compare_numbers(
    fact: str, reference: npt.NDArray[np.float64], other: npt.NDArray[np.float64], split: str
) -> Drift:
    # The exact distribution takes long for large samples, where the limiting one is as good.
    result = ks_2samp(reference, other, method="exact" if len(reference) * len(other) <= 10**6 else "asymp")
    return Drift(
        fact=fact,
        split=split,
        patients=len(other),
        reference_patients=len(reference),
        method="Kolmogorov-Smirnov",
        p=min(float(result.pvalue), 1.0),
        p_corrected=1,
        effect=float(result.statistic),
        value=float(np.median(other)),
        reference_value=float(np.median(reference)),
    )


def _compare_names(reference: pd.Series, other: pd.Series, split: str) -> Drift:
    counts = pd.DataFrame({"reference": reference.value_counts(), "other": other.value_counts()}).fillna(0)
    shares = counts / counts.sum()
    changed = int((shares["other"] - shares["reference"]).abs().to_numpy().argmax())
    table = _pool(counts.to_numpy())
    if len(table) < 2:
        method, p = "chi-square", 1.0
    elif len(table) == 2 and _expected(table).min() < _FEW_EXPECTED:
        method, p = "Fisher", float(fisher_exact(table).pvalue)
    else:
        method, p = "chi-square", float(chi2_contingency(table, correction=False).pvalue)
    return Drift.model_validate(
        {
            "fact": str(reference.name),
            "split": split,
            "patients": len(other),
            "reference_patients": len(reference),
            "method": method,
            "p": min(p, 1.0),
            "p_corrected": 1,
            "effect": cramers_v(counts.to_numpy()),
            "value": float(shares["other"].iloc[changed]),
            "reference_value": float(shares["reference"].iloc[changed]),
            "level": str(counts.index[changed]),
        }
    )


def _expected(table: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.asarray(np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum())


def _pool(counts: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Put levels too rare for the chi-square test together, shape (levels, 2)."""
    rare = _expected(counts).min(axis=1) < _FEW_EXPECTED
    if rare.sum() < 2:
        return counts
    return np.vstack([counts[~rare], counts[rare].sum(axis=0)])


def cramers_v(counts: npt.NDArray[np.float64]) -> float:
    """Cramér's V of a table of shape (levels, 2), corrected for bias (Bergsma 2013, doi:10.1016/j.jkss.2012.10.002).

    >>> cramers_v(np.array([[50.0, 0.0], [0.0, 50.0]])), cramers_v(np.array([[25.0, 25.0], [25.0, 25.0]]))
    (1.0, 0.0)
    """
    total, levels = counts.sum(), len(counts)
    if levels < 2:
        return 0.0
    expected = _expected(counts)
    phi = float(((counts - expected) ** 2 / expected).sum() / total)
    corrected = max(0.0, phi - (levels - 1) / (total - 1))
    breadth = min(levels - (levels - 1) ** 2 / (total - 1), 2 - 1 / (total - 1)) - 1
    return float(min(1.0, np.sqrt(corrected / breadth)))
