"""One sentence on two models that says no more than the data allow, and the figures behind it as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from radlens.assessment.comparison import METHODS, Comparison, Comparisons

NAMES = {
    "auroc": "AUROC",
    "accuracy": "accuracy",
    "exact_match": "share of images with all labels right",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "brier": "Brier score",
}


def verdict(comparisons: Comparisons) -> str:
    """The verdict of all pairs in one sentence, and on what it stands."""
    matched = comparisons.matched
    images, patients = len(matched.patients), matched.patients.nunique()
    told = "; ".join(_of_pair(pair, comparisons) for pair in comparisons.pairs)
    adjusted = " (p-values and claims adjusted for several models)" if len(comparisons.pairs) > 1 else ""
    return f"On the same {images:,} {_split(matched.split)} images of {patients:,} patients{adjusted}, {told}."


def _of_pair(pair: Comparison, comparisons: Comparisons) -> str:
    name, level, margin = NAMES[pair.primary], (1 - comparisons.confidence) / 2, comparisons.margin
    value, claims = pair.test.value, pair.claims
    if pair.test.standard_error == 0 and value == 0:
        return f"{pair.second} and {pair.first} have the same {name}, and no resample of patients would part them"
    low, high = pair.test.limits(comparisons.confidence)
    size = f"{value:+.3f} ({comparisons.confidence:.0%} CI {low:+.3f} to {high:+.3f}, p {p_text(pair.p_holm)})".replace(
        "-", "−"
    )
    not_worse, not_better = claims.above_minus_margin < level, claims.below_margin < level
    if claims.above_zero < level:
        small = f", though by less than the margin of {margin:g}" if not_better else ""
        return f"{pair.second} has a higher {name} than {pair.first}: difference {size}{small}"
    if claims.below_zero < level:
        small = f", though by less than the margin of {margin:g}" if not_worse else ""
        return f"{pair.second} has a lower {name} than {pair.first}: difference {size}{small}"
    if not_worse and not_better:
        return (
            f"{pair.second} and {pair.first} differ in {name} by less than {margin:g} either way, and which of them is "
            f"better is not shown: difference {size}"
        )
    if not_worse:
        return (
            f"{pair.second} is not worse than {pair.first} in {name} by {margin:g} or more (non-inferior), and that it "
            f"is better is not shown: difference {size}"
        )
    if not_better:
        return (
            f"{pair.second} is not better than {pair.first} in {name} by {margin:g} or more, and whether it is worse "
            f"is not shown: difference {size}"
        )
    return (
        f"the data do not tell which of {pair.second} and {pair.first} has the higher {name}, nor whether they differ "
        f"by {margin:g}: difference {size}"
    )


def as_json(comparisons: Comparisons) -> dict[str, Any]:
    """The content of ``comparison.json``."""
    matched = comparisons.matched
    return {
        "verdict": verdict(comparisons),
        "split": matched.split,
        "task": matched.info.task,
        "classes": list(matched.info.classes),
        "n": len(matched.patients),
        "n_patients": int(matched.patients.nunique()),
        "class_counts": {str(name): int(count) for name, count in matched.tables[0]["label"].value_counts().items()},
        "models": list(matched.names),
        "reference": matched.names[0],
        "margin": comparisons.margin,
        "confidence": comparisons.confidence,
        "resamples": comparisons.resamples,
        "seed": comparisons.seed,
        "notes": list(matched.notes),
        "framing": {name: summary.model_dump(mode="json") for name, summary in comparisons.framing.items()},
        "comparisons": [_pair_json(pair, comparisons.confidence) for pair in comparisons.pairs],
        "methods": METHODS,
    }


def _pair_json(pair: Comparison, confidence: float) -> dict[str, Any]:
    low, high = pair.test.limits(confidence)
    metrics: dict[str, Mapping[str, Any]] = {
        name: {**values, "p": pair.p_values.get(name)} for name, values in pair.metrics.items()
    }
    return {
        "model": pair.second,
        "reference": pair.first,
        "primary": {
            "metric": pair.primary,
            "difference": pair.test.value,
            "standard_error": pair.test.standard_error,
            "low": low,
            "high": high,
            "p": pair.test.p_value,
            "p_holm": pair.p_holm,
            "claims": asdict(pair.claims),
        },
        "metrics": metrics,
        "mcnemar": {name: asdict(test) for name, test in pair.mcnemar.items()},
    }


def p_text(value: float) -> str:
    """A p-value for a sentence.

    >>> p_text(0.0312), p_text(0.00001)
    ('= 0.031', '< 0.001')
    """
    return "< 0.001" if value < 0.001 else f"= {value:.3f}" if value < 0.9995 else "= 1"


def _split(name: str) -> str:
    return {"train": "training", "val": "validation"}.get(name, name)
