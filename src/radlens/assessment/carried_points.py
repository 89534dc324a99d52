"""The operating points that a model carries: its own, and those for the sensitivities most asked for."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import pandas as pd

from radlens.assessment.operating_point import (
    choose_operating_point,
    describe_operating_point,
    threshold_for_sensitivity,
)
from radlens.assessment.predictions import targets_of
from radlens.base.errors import DataError
from radlens.config import EvaluateSettings
from radlens.dataset.manifest import DatasetInfo
from radlens.decision import OperatingPoint

logger = logging.getLogger(__name__)

# What screening and triage are asked for most often.
SENSITIVITIES = (0.95, 0.98, 0.99)


def operating_point_or_half(
    settings: EvaluateSettings, predictions: pd.DataFrame, info: DatasetInfo, copies: Sequence[pd.DataFrame] = ()
) -> tuple[float, OperatingPoint | None]:
    """:func:`choose_operating_point`; 0.5 where the validation images do not allow the rule, which is said.

    A training is not thrown away for a threshold that can still be stated afterwards. The record's rule is then
    ``none:`` with the rule that could not be followed.
    """
    try:
        return choose_operating_point(settings, predictions, info, copies)
    except DataError as error:
        logger.warning("%s The operating point 0.5 is taken instead.", error)
    return 0.5, describe_operating_point(f"none:{settings.threshold}", 0.5, predictions, info, settings.confidence)


def points_for_sensitivities(
    predictions: pd.DataFrame, info: DatasetInfo, confidence: float
) -> dict[str, tuple[float, OperatingPoint | None]]:
    """Thresholds for the sensitivities that are asked for most often, and what is known of each.

    Args:
        predictions: rows of the validation split alone, of a binary task.
        info: the task and the classes.
        confidence: of each bound by itself.

    Returns:
        By what it is for, such as ``sensitivity 0.95``; empty where no validation image is of the positive class.
    """
    points: dict[str, tuple[float, OperatingPoint | None]] = {}
    if not targets_of(predictions, info).any():
        return points
    for target in SENSITIVITIES:
        threshold = threshold_for_sensitivity(target, predictions, info)
        known = describe_operating_point(f"sensitivity:{target:g}", threshold, predictions, info, confidence)
        points[f"sensitivity {target:g}"] = threshold, known
    return points
