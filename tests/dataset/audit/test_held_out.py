"""Held-out scores on facts with a known answer."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from radlens.dataset.audit import held_out
from radlens.dataset.audit.held_out import (
    LEVELS,
    forest_scores,
    histogram_scores,
    importances,
    linear_scores,
    to_features,
)
from radlens.dataset.grouping import deal_folds
from radlens.statistics.auroc import auroc

COUNT = 3000


def draw(seed: int = 0, count: int = COUNT) -> tuple[np.random.Generator, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.random(count) < 0.4
    return rng, truth, deal_folds(np.arange(count), truth.astype(np.int64), seed)


def by_histogram(fact: object, truth: np.ndarray, folds: np.ndarray) -> float:
    return auroc(histogram_scores(pd.Series(fact), truth[:, None], folds)[:, 0], truth, folds)


def by_forest(facts: dict[str, np.ndarray], truth: np.ndarray, folds: np.ndarray) -> float:
    features, _ = to_features(pd.DataFrame(facts))
    return auroc(forest_scores(features, truth[:, None], folds, 0)[0][:, 0], truth, folds)


@pytest.mark.parametrize("shift", [0.5, 1.0, 2.0])
def test_a_shifted_normal_fact_reaches_the_closed_form(shift: float) -> None:
    rng, truth, folds = draw()
    fact = rng.normal(shift * truth, 1)
    assert by_histogram(fact, truth, folds) == pytest.approx(norm.cdf(shift / np.sqrt(2)), abs=0.025)


@pytest.mark.parametrize("strength", [0.0, 0.4, 0.9])
def test_a_cue_reaches_the_closed_form(strength: float) -> None:
    """A cue follows the label with this probability, else a coin: AUROC = 1/2 + strength / 2."""
    rng, truth, folds = draw(1)
    cue = np.where(rng.random(COUNT) < strength, truth, rng.random(COUNT) < 0.5)
    expected = pytest.approx(0.5 + strength / 2, abs=0.03)
    assert by_histogram(np.where(cue, 280.0, 224.0), truth, folds) == expected
    assert by_histogram(np.where(cue, "RGB", "L"), truth, folds) == expected
    assert by_forest({"width": np.where(cue, 280.0, 224.0), "noise": rng.normal(size=COUNT)}, truth, folds) == expected


def test_a_fact_that_differs_at_both_ends_is_told_too() -> None:
    rng, truth, folds = draw(2)
    fact = rng.normal(0, np.where(truth, 3, 1))
    assert abs(by_histogram(np.arange(COUNT), truth, folds) - 0.5) < 0.04
    assert by_histogram(fact, truth, folds) > 0.7
    assert by_forest({"fact": fact}, truth, folds) > 0.65


def test_unknown_counts_as_a_value_of_its_own() -> None:
    _, truth, folds = draw(3)
    ages = np.where(truth, np.nan, 50.0)
    assert by_histogram(ages, truth, folds) == 1
    assert by_histogram(np.where(truth, "", "PA"), truth, folds) == 1
    assert by_forest({"age": ages}, truth, folds) == 1


def test_only_the_forest_sees_what_two_facts_tell_together() -> None:
    rng, truth, folds = draw(4)
    first = rng.random(COUNT) < 0.5
    facts = {"first": np.where(first, "a", "b"), "second": np.where(first == truth, "a", "b")}
    assert by_histogram(facts["first"], truth, folds) == pytest.approx(0.5, abs=0.04)
    assert by_forest(facts, truth, folds) == 1


def test_nothing_to_tell_gives_one_half_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held_out, "TREES", 20)
    found = []
    for seed in range(10):
        rng, truth, folds = draw(seed, 300)
        found.append(by_forest({"a": rng.normal(size=300), "b": rng.integers(0, 3, 300).astype(float)}, truth, folds))
    assert np.mean(found) == pytest.approx(0.5, abs=0.03)


def test_without_a_feature_all_scores_are_alike() -> None:
    _, truth, folds = draw()
    scores, forests = forest_scores(np.empty((COUNT, 0), np.float32), truth[:, None], folds, 0)
    assert forests == []
    assert auroc(scores[:, 0], truth, folds) == 0.5


def test_scores_are_the_same_on_every_run() -> None:
    rng, truth, folds = draw(5, 200)
    features = rng.normal(size=(200, 6)).astype(np.float32)
    once, again = (forest_scores(features, truth[:, None], folds, 3)[0] for _ in range(2))
    assert (once == again).all()


def test_several_classes_are_answered_at_once() -> None:
    rng, _, folds = draw(6)
    truth = rng.random((COUNT, 3)) < 0.5
    features = (truth @ np.diag([1, 2, 0]) + rng.normal(size=(COUNT, 3))).astype(np.float32)
    scores = forest_scores(features, truth, folds, 0)[0]
    reached = [auroc(scores[:, k], truth[:, k], folds) for k in range(3)]
    assert reached[:2] == pytest.approx([norm.cdf(1 / np.sqrt(2)), norm.cdf(2 / np.sqrt(2))], abs=0.04)
    assert reached[2] == pytest.approx(0.5, abs=0.04)


def test_importance_is_that_of_the_fact_that_tells() -> None:
    rng, truth, folds = draw(7, 1000)
    facts = pd.DataFrame({"noise": rng.normal(size=1000), "cue": np.where(truth, "x", "y"), "age": [1.0] * 1000})
    features, owners = to_features(facts)
    _, forests = forest_scores(features, truth[:, None], folds, 0)
    lost = importances(forests, features, owners, truth[:, None], folds, np.random.default_rng(0))[:, 0]
    assert lost[1] == pytest.approx(0.5, abs=0.06)
    assert np.abs(lost[[0, 2]]).max() < 0.02


def test_features_of_names_and_numbers() -> None:
    facts = pd.DataFrame({"age": [1.0, np.nan, 3.0], "mode": ["L", "RGB", "L"], "site": ["a", "b", "c"]})
    features, owners = to_features(facts)
    assert owners.tolist() == [0, 0, 1, 2, 2, 2]
    assert features[:, 0].tolist() == [1, 2, 3]
    assert features[:, 1].tolist() == [0, 1, 0]
    assert features[:, 2].tolist() == [1, 0, 1]


def test_names_are_bounded() -> None:
    facts = pd.DataFrame({"site": [f"site {number}" for number in range(500)]})
    assert to_features(facts)[0].shape == (500, LEVELS)
    truth, folds = np.arange(500) % 2 == 0, np.arange(500) % 5
    assert np.isfinite(histogram_scores(facts["site"], truth[:, None], folds)).all()


def by_line(features: np.ndarray, truth: np.ndarray, folds: np.ndarray, scored: np.ndarray | None = None) -> float:
    scores = linear_scores(features.astype(np.float32), truth[:, None], folds, scored)
    return auroc(scores[:, 0], truth, folds)


def test_a_line_through_several_facts_reaches_the_closed_form() -> None:
    """Two independent facts, each shifted by 1: along their sum the shift is the square root of 2."""
    rng, truth, folds = draw(5)
    facts = rng.normal(truth[:, None] * [1.0, 1.0, 0.0], [1.0, 1.0, 1.0])
    expected = pytest.approx(norm.cdf(1.0), abs=0.02)
    assert by_line(facts, truth, folds) == expected
    # Scale, and a fact that says the same, change nothing; facts that were shuffled tell nothing.
    assert by_line(np.column_stack([1000 * facts, facts[:, 0]]), truth, folds) == expected
    shuffled = facts[rng.permutation(len(facts))].astype(np.float32)
    assert by_line(facts, truth, folds, shuffled) == pytest.approx(0.5, abs=0.03)


def test_a_line_does_not_learn_the_images_that_it_scores() -> None:
    rng, truth, folds = draw(6, 200)
    assert by_line(rng.normal(size=(200, 60)), truth, folds) == pytest.approx(0.5, abs=0.12)
