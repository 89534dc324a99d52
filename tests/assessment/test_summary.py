"""Estimates joined with their intervals: what has none, what is widened, and which patients the spread is told by."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from known import known, span
from radlens.assessment.summary import Summary, limited, share_metric, undefined, unlimited
from radlens.config import EvaluateSettings
from radlens.decision import Task
from radlens.runtime.metrics_sections import Metric
from radlens.statistics.interval_methods import METHODS, described
from radlens.statistics.metrics import Answers

SETTINGS = EvaluateSettings(resamples=200)


def of(answers: Answers, task: Task, patients: npt.ArrayLike) -> Summary:
    return Summary.of(answers, task, np.asarray(patients), SETTINGS, np.random.default_rng(0))


def test_a_brier_score_of_several_classes_may_lie_above_1() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 120)
    # The model is sure of a wrong class most of the time.
    called = (truth + (rng.random(120) < 0.85)) % 3
    probabilities = np.full((120, 3), 0.02)
    probabilities[np.arange(120), called] = 0.96
    brier = of(Answers(truth, probabilities, called, ("a", "b", "c")), "multiclass", np.arange(120) // 2).overall()[
        "brier"
    ]
    low, value, high = span(brier)
    assert 1 < low < value < high < 2


def test_the_spread_is_told_by_the_patients_of_the_scarcest_class() -> None:
    rng = np.random.default_rng(1)
    truth = np.repeat([0, 1], [300, 6])
    score = np.clip(rng.normal(0.3 + 0.3 * truth, 0.15), 0.01, 0.99)
    answers = Answers(truth, np.stack([1 - score, score], axis=1), (score >= 0.5).astype(np.int64), ("n", "p"))
    summary = of(answers, "binary", np.arange(306))
    f1 = summary.overall()["f1"]
    logits = [np.log(share / (1 - share)) for share in span(f1)]
    value = known(f1.value)
    error = summary.replicates["f1"].std(ddof=1) / (value * (1 - value))
    # Student's quantile with five degrees of freedom, as six patients have; the normal one is 1.96.
    assert (logits[2] - logits[0]) / 2 / error == pytest.approx(2.571 * np.sqrt(6 / 5), rel=1e-3)


def test_figures_without_limits_say_why() -> None:
    assert limited(0.3, 0.35, 0.4, "m") == Metric(value=0.3, low=0.3, high=0.4, method="m")
    assert "no spread" in known(limited(1.0, 1.0, 1.0, "m").reason)
    assert unlimited(0.5, "few").low is None
    assert undefined("none") == Metric(value=None, low=None, high=None, method=None, reason="none")


def test_a_share_names_the_interval_by_whether_patients_have_several_images() -> None:
    assert share_metric([1, 0, 1], [1, 2, 3], 0.95).method == "Wilson"
    assert share_metric([1, 0, 1], [1, 2, 2], 0.95).method == "Wilson, clustered"


def test_methods_are_described_in_a_fixed_order() -> None:
    names = list(METHODS)
    assert list(described(reversed(names))) == names
