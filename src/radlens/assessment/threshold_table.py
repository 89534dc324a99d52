"""What a binary model would do at other operating points: a table of thresholds."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from radlens.assessment.summary import share_metric, undefined
from radlens.runtime.metrics_sections import Metric, ThresholdRow
from radlens.statistics.metrics import Answers

THRESHOLDS = (0.01, 0.02, 0.05, *(tenth / 10 for tenth in range(1, 10)), 0.95, 0.98, 0.99)


def threshold_table(
    answers: Answers, patients: npt.ArrayLike, threshold: float, confidence: float
) -> list[ThresholdRow]:
    """One row for each of :data:`THRESHOLDS` and for the operating point, in rising order.

    Args:
        answers: of a binary task.
        patients: the patient of each image.
        threshold: the operating point.
        confidence: of the intervals.

    Returns:
        For each ``threshold``: ``operating_point`` (whether it is that), and with intervals ``sensitivity``,
        ``specificity``, ``ppv`` and ``npv`` among these images, and ``flagged``, the share called positive. To choose
        a row by its figures on test images would make them too good; choose on validation images.
    """
    _, owners = np.unique(np.asarray(patients), return_inverse=True)
    score, positive = answers.probabilities[:, 1], answers.truth == 1
    everyone = np.ones(len(score), dtype=bool)
    rows = []
    for value in sorted({*THRESHOLDS, threshold}):
        called = score >= value
        shares: dict[str, Metric] = {}
        for name, success, base in (
            ("sensitivity", called, positive),
            ("specificity", ~called, ~positive),
            ("ppv", positive, called),
            ("npv", ~positive, ~called),
            ("flagged", called, everyone),
        ):
            if base.any():
                shares[name] = share_metric(success[base], owners[base], confidence)
            else:
                shares[name] = undefined(f"no image to tell the {name} by")
        rows.append(ThresholdRow(threshold=value, operating_point=value == threshold, **shares))
    return rows
