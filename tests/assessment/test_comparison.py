"""Models compared: figures against references, and sentences that claim what the data allow and no more."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from scipy.stats import binomtest
from sklearn.metrics import brier_score_loss, roc_auc_score

from radlens.assessment.comparison import Claims, Comparison, compare
from radlens.assessment.comparison_verdict import verdict
from radlens.assessment.matched_runs import MatchedRuns, Run, match_runs
from radlens.assessment.predictions import predictions_table
from radlens.dataset.manifest import DatasetInfo, Manifest
from radlens.statistics.paired_difference import Difference


def runs(*strengths: float, task: str = "binary", images: int = 400, seed: int = 0, shared: float = 1.0) -> MatchedRuns:
    """Models of different strength on the same images, two a patient."""
    rng = np.random.default_rng(seed)
    classes = ("NORMAL", "PNEUMONIA") if task == "binary" else ("normal", "bacterial", "viral")
    truth: npt.NDArray[np.bool_] | npt.NDArray[np.float64]
    if task == "multilabel":
        truth = rng.random((images, 3)) < 0.4
        truth[:3] = np.eye(3)
        labels = ["|".join(np.array(classes)[row]) for row in truth]
    else:
        number = rng.integers(0, len(classes), images)
        truth, labels = np.eye(len(classes))[number], [classes[index] for index in number]
    table = pd.DataFrame(
        {
            "path": [f"{index}.png" for index in range(images)],
            "label": labels,
            "patient": [f"p{index // 2}" for index in range(images)],
            "split": "test",
        }
    )
    manifest = Manifest(table, DatasetInfo(name="x", task=task, classes=classes, root="."))
    common = shared * rng.normal(size=truth.shape)
    found = []
    for index, strength in enumerate(strengths):
        logits = strength * truth + common + 0.5 * rng.normal(size=truth.shape)
        scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        if task == "multilabel":
            scores = 1 / (1 + np.exp(strength / 2 - logits))
        found.append(Run("ABCD"[index], manifest.info, predictions_table(manifest, scores)))
    return match_runs(found)


def number(value: float | None) -> float:
    """Of a figure that is defined."""
    assert value is not None
    return value


def test_the_figures_are_those_of_scikit_learn_and_scipy() -> None:
    matched = runs(1.5, 2.5)
    pair = compare(matched, resamples=300).pairs[0]
    truth = (matched.tables[0]["label"] == "PNEUMONIA").to_numpy()
    scores = [table["probability_PNEUMONIA"].to_numpy() for table in matched.tables]
    right = [(score >= 0.5) == truth for score in scores]
    for name, expected in (
        ("auroc", [roc_auc_score(truth, score) for score in scores]),
        ("brier", [brier_score_loss(truth, score) for score in scores]),
        ("accuracy", [one.mean() for one in right]),
        ("sensitivity", [one[truth].mean() for one in right]),
        ("specificity", [one[~truth].mean() for one in right]),
    ):
        values = pair.metrics[name]
        assert [values["first"], values["second"]] == pytest.approx(expected), name
        assert values["difference"] == pytest.approx(expected[1] - expected[0])
        assert number(values["low"]) < number(values["difference"]) < number(values["high"])
    alone = int((right[0] & ~right[1]).sum()), int((~right[0] & right[1]).sum())
    assert (pair.mcnemar["all"].only_first, pair.mcnemar["all"].only_second) == alone
    single = compare(replace(matched, tables=tuple(table.assign(patient=table["path"]) for table in matched.tables)))
    assert single.pairs[0].p_values["accuracy"] == pytest.approx(binomtest(alone[0], sum(alone)).pvalue)


def test_the_interval_of_the_bootstrap_is_that_of_the_test_in_large_samples() -> None:
    pair = compare(runs(1.5, 2.0, images=2000), resamples=2000).pairs[0]
    low, high = pair.test.limits(0.95)
    assert pair.metrics["auroc"]["low"] == pytest.approx(low, abs=0.003)
    assert pair.metrics["auroc"]["high"] == pytest.approx(high, abs=0.003)


@pytest.mark.parametrize(
    ("strengths", "shared", "images", "said"),
    [
        ((1.0, 3.0), 1.0, 400, "B has a higher AUROC than A: difference +0."),
        ((3.0, 1.0), 1.0, 400, "B has a lower AUROC than A: difference −0."),
        ((2.5, 2.5), 0.5, 2000, "B and A differ in AUROC by less than 0.02 either way, and which of them is better is"),
        ((1.0, 1.1), 1.0, 40, "the data do not tell which of B and A has the higher AUROC, nor whether they differ by"),
    ],
)
def test_the_verdict_follows_the_data(strengths: tuple[float, float], shared: float, images: int, said: str) -> None:
    text = verdict(compare(runs(*strengths, shared=shared, images=images), resamples=200))
    assert said in text
    assert text.startswith(f"On the same {images:,} test images of {images // 2:,} patients")
    assert text.count(". ") == 0


@pytest.mark.parametrize(
    ("value", "error", "said"),
    [
        # At the boundary: the lower limit lies just inside, or just outside, of the margin.
        (0.0, 0.0100, "differ in AUROC by less than 0.02 either way"),
        (0.0, 0.0104, "do not tell"),
        (0.010, 0.0150, "not worse than A in AUROC by 0.02 or more (non-inferior), and that it is better is not shown"),
        (-0.010, 0.0150, "not better than A in AUROC by 0.02 or more, and whether it is worse is not shown"),
        (0.010, 0.0050, "higher AUROC than A: difference +0.010 (95% CI +0.000 to +0.020, p = 0.047), though by less"),
        (0.009, 0.0050, "differ in AUROC by less than 0.02 either way"),
        (0.030, 0.0050, "higher AUROC than A"),
        (-0.010, 0.0050, "lower AUROC than A: difference −0.010 (95% CI −0.020 to −0.000, p = 0.047), though by less"),
        (0.0, 0.0, "have the same AUROC"),
    ],
)
def test_each_sentence_claims_what_its_interval_shows(value: float, error: float, said: str) -> None:
    found = compare(runs(1.0, 1.0), resamples=100)
    test = Difference(value, error, 200)
    claims = Claims(test.p_above(0), test.p_below(0), test.p_above(-0.02), test.p_below(0.02))
    pair = replace(found.pairs[0], test=test, claims=claims, p_holm=test.p_value)
    text = verdict(replace(found, pairs=(pair,)))
    assert said in text
    low, high = test.limits(0.95)
    assert ("higher" in text and "tell" not in text) == (low > 0)
    assert ("lower" in text) == (high < 0)
    assert "non-inferior" not in text or low > -0.02


def test_of_several_models_each_is_held_against_the_first_with_holms_correction() -> None:
    found = compare(runs(1.5, 1.9, 1.5, 3.0), resamples=200)
    assert [(pair.first, pair.second) for pair in found.pairs] == [("A", "B"), ("A", "C"), ("A", "D")]
    raw = [pair.test.p_value for pair in found.pairs]
    order = np.argsort(raw)
    assert found.pairs[order[0]].p_holm == pytest.approx(min(1, 3 * raw[order[0]]))
    assert all(pair.p_holm >= p for pair, p in zip(found.pairs, raw, strict=True))
    assert "adjusted for several models" in verdict(found)


@pytest.mark.parametrize(("task", "primary"), [("multiclass", "accuracy"), ("multilabel", "exact_match")])
def test_the_other_tasks_are_compared_by_right_answers(task: str, primary: str) -> None:
    found = compare(runs(1.0, 3.0, task=task), resamples=100)
    assert found.pairs[0].primary == primary
    assert "higher" in verdict(found)


def test_few_images_that_differ_make_no_claim_of_accuracy() -> None:
    matched = runs(3.0, 3.0, task="multiclass")
    better = matched.tables[0].copy()
    wrong = better[better["label"] != better["predicted"]].drop_duplicates("patient").index[:5]
    better.loc[wrong, "predicted"] = better.loc[wrong, "label"]
    found = compare(replace(matched, tables=(matched.tables[0], better)), resamples=100)
    pair: Comparison = found.pairs[0]
    assert pair.mcnemar["all"].only_second == 5
    assert pair.test.p_value < 0.05 < pair.p_holm
    assert "higher" not in verdict(found)


def test_options_outside_their_range_are_refused() -> None:
    with pytest.raises(ValueError, match="margin must lie"):
        compare(runs(1.0, 1.0), margin=0)
