"""The decision curve as it is drawn."""

from __future__ import annotations

import numpy as np

from fixture_types import PredictionsOf
from known import known
from radlens.assessment.evaluate import evaluate
from radlens.config import EvaluateSettings
from radlens.reporting.figures.decision import decision_curve_figure


def test_the_lines_are_the_numbers_and_no_one_has_none(predictions_of: PredictionsOf) -> None:
    table, info = predictions_of("binary")
    block = evaluate(table, info, 0.5, EvaluateSettings(resamples=100), seed=0)["test"]
    curve = known(block.decision_curve)
    axes = decision_curve_figure(curve).axes[0]
    lines = {line.get_label(): line for line in axes.lines}
    assert tuple(np.asarray(lines["the model"].get_ydata()).tolist()) == curve.net_benefit
    assert tuple(np.asarray(lines["the model"].get_xdata()).tolist()) == curve.threshold
    assert tuple(np.asarray(lines["everyone"].get_ydata()).tolist()) == curve.treat_all
    assert set(np.asarray(lines["no one"].get_ydata()).tolist()) == {0}
    low, high = axes.get_ylim()
    assert low < 0 < max(curve.high) <= high
