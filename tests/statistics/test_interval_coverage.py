"""Intervals hold the truth as often as they say: the quick form of benchmarks/interval_coverage.py.

The bounds are certain enough to be no chance: of intervals whose coverage is between 93 and 97 %, as many or as few as
that hold the truth once in ten thousand times.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from scipy import stats

from known import known
from radlens.assessment.summary import Summary
from radlens.config import EvaluateSettings
from radlens.statistics.metrics import Answers

METRICS = ("accuracy", "sensitivity", "specificity", "precision", "f1", "auroc", "average_precision", "brier", "ece")
DATASETS = 250
SETTINGS = EvaluateSettings(resamples=200)
APART = 1.5


def drawn(rng: np.random.Generator, patients: int) -> tuple[Answers, np.ndarray]:
    """One to five images of a patient, who has one label and most of the score in common among them."""
    owner = np.repeat(np.arange(patients), rng.integers(1, 6, patients))
    truth = rng.integers(0, 2, patients)[owner]
    common, own = rng.normal(size=patients)[owner], rng.normal(size=len(owner))
    positive = 1 / (1 + np.exp(-1.5 * APART * (APART * (truth - 0.5) + 0.8 * common + 0.6 * own)))
    answers = Answers(truth, np.stack([1 - positive, positive], axis=1), (positive >= 0.5).astype(np.int64), ("n", "p"))
    return answers, owner


@pytest.fixture(scope="module")
def held() -> dict[str, Counter[str]]:
    """How many of the data sets' intervals hold the truth, by patients and by images."""
    rng = np.random.default_rng(0)
    answers, _ = drawn(rng, 200_000)
    settings = SETTINGS.model_copy(update={"resamples": 2})
    whole = Summary.of(answers, "binary", np.arange(len(answers.truth)), settings, rng).overall()
    truth = {name: known(metric.value) for name, metric in whole.items()}
    # Known in closed form, and the simulated truth agrees with it.
    assert truth["sensitivity"] == pytest.approx(stats.norm.cdf(APART / 2), abs=0.003)
    assert truth["auroc"] == pytest.approx(stats.norm.cdf(APART / np.sqrt(2)), abs=0.003)
    counts: dict[str, Counter[str]] = {"patients": Counter(), "images": Counter()}
    for _ in range(DATASETS):
        answers, owner = drawn(rng, 120)
        for unit, groups in (("patients", owner), ("images", np.arange(len(owner)))):
            found = Summary.of(answers, "binary", groups, SETTINGS, rng).overall()
            counts[unit].update(
                name for name, true in truth.items() if known(found[name].low) <= true <= known(found[name].high)
            )
    return counts


@pytest.mark.parametrize("metric", METRICS)
def test_intervals_over_patients_hold_the_truth(metric: str, held: dict[str, Counter[str]]) -> None:
    fewest, most = stats.binom.ppf(1e-4, DATASETS, 0.93), stats.binom.ppf(1 - 1e-4, DATASETS, 0.97)
    assert fewest <= held["patients"][metric] <= most


@pytest.mark.parametrize("metric", METRICS[:-1])
def test_intervals_over_images_do_not(metric: str, held: dict[str, Counter[str]]) -> None:
    assert held["images"][metric] < stats.binom.ppf(1e-4, DATASETS, 0.93)
