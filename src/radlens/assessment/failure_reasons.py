"""Why an image was likely answered wrongly: an unfamiliar or poor image, a doubtful label, a close call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
import pandas as pd

from radlens.assessment.misclassified import misclassified
from radlens.assessment.predictions import UNFAMILIARITY, probabilities_of, targets_of
from radlens.dataset.manifest import DatasetInfo

Reason = Literal["unfamiliar", "label", "quality", "threshold", "unexplained"]
# In the order in which they are asked: the first that fits is the likely one.
REASONS: Mapping[Reason, str] = {
    "unfamiliar": "unlike the training images",
    "label": "the label may be wrong",
    "quality": "unusual image",
    "threshold": "near the threshold",
    "unexplained": "without an apparent reason",
}
FAILURE_COLUMNS = ("path", "patient", "split", "label", "predicted", "missed", "score", "reason", "detail")

# A close call: odds within a factor of 1.65 of those at the threshold (0.38 to 0.62 around 0.5).
NEAR = 0.5
# Robust standard deviations from the median of all images, beyond which a fact is unusual (Iglewicz and Hoaglin 1993).
UNUSUAL = 3.5
# Of the median image size, below which an image is small.
SMALL = 0.5


def failures(
    predictions: pd.DataFrame,
    info: DatasetInfo,
    split: str,
    threshold: float | None,
    suspects: pd.DataFrame | None = None,
    facts: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """The wrong answers with a likely reason each: a lead for whoever looks at them, not a finding.

    Args:
        predictions: the predictions table.
        info: the task and the classes.
        split: of the images.
        threshold: the operating point; None for multiclass.
        suspects: labels that may be wrong, by ``path``; None: not looked for.
        facts: one row an image file: ``path, width, height, mean, std``; None: not known.

    Returns:
        Missed findings first, in each group the surest first, as :func:`misclassified` has them, with two more columns:
        ``reason``, one of :data:`REASONS`, and ``detail``, what is unusual about the image.
    """
    errors = misclassified(predictions, info, split)
    if errors.empty:
        return errors.assign(reason=pd.Series(dtype=str), detail=pd.Series(dtype=str))
    unusual = _unusual(facts)
    detail = errors["path"].map(lambda path: unusual.get(path, ""))
    nothing = pd.Series(False, index=errors.index)
    checks: dict[Reason, pd.Series] = {
        "unfamiliar": errors[UNFAMILIARITY] > 1 if UNFAMILIARITY in errors else nothing,
        "label": errors["path"].isin(set() if suspects is None else set(suspects["path"])),
        "quality": detail != "",
        "threshold": _is_near(errors, info, threshold),
        "unexplained": pd.Series(True, index=errors.index),
    }
    reason = np.select([checks[name].to_numpy() for name in REASONS], list(REASONS), default="unexplained")
    return errors.assign(reason=reason, detail=detail)


def _is_near(errors: pd.DataFrame, info: DatasetInfo, threshold: float | None) -> pd.Series:
    """Whether little was lacking for another answer."""
    tiny = 1e-9
    if info.task == "multiclass" or threshold is None:
        scores = probabilities_of(errors, info)
        rows = np.arange(len(errors))
        won, true = scores[rows, targets_of(errors, info, "predicted")], scores[rows, targets_of(errors, info)]
        return pd.Series(np.log(won + tiny) - np.log(true + tiny) <= NEAR, index=errors.index)
    score = errors["score"].clip(tiny, 1 - tiny)
    gap = np.log(score / (1 - score)) - np.log(threshold / (1 - threshold))
    return pd.Series(gap.abs() <= NEAR, index=errors.index)


def _unusual(facts: pd.DataFrame | None) -> dict[str, str]:
    """What is unusual about each image compared with all others: its brightness, its contrast, its size."""
    if facts is None or facts.empty:
        return {}
    said = pd.Series("", index=facts["path"])
    for column, low, high in (
        ("mean", "unusually dark", "unusually bright"),
        ("std", "little contrast", "much contrast"),
    ):
        values = facts.set_index("path")[column].astype(float)
        distance = _robust_distance(values)
        said = said.where(~(distance < -UNUSUAL), said + f"; {low}").where(~(distance > UNUSUAL), said + f"; {high}")
    smaller = facts.set_index("path")[["width", "height"]].min(axis=1)
    said = said.where(~(smaller < SMALL * smaller.median()), said + "; small")
    return {str(path): text.removeprefix("; ") for path, text in said.items() if text}


def _robust_distance(values: pd.Series) -> pd.Series:
    """Distance from the median in robust standard deviations; 0 where the values hardly differ."""
    centred = values - values.median()
    spread = 1.4826 * centred.abs().median()
    return centred / spread if spread > 0 else centred * 0.0
