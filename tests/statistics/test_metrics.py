from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from radlens.statistics.metrics import (
    METRICS,
    ONE_VS_REST,
    Answers,
    binary_metrics,
    confusion,
    equal_mass_bins,
    expected_calibration_error,
    multiclass_metrics,
    multilabel_metrics,
    per_class_metrics,
)


def binary(truth: npt.ArrayLike, score: npt.ArrayLike, threshold: float = 0.5) -> Answers:
    truth, score = np.asarray(truth), np.asarray(score, dtype=float)
    predicted = (score >= threshold).astype(np.int64)
    return Answers(truth, np.stack([1 - score, score], axis=1), predicted, ("healthy", "ill"))


def random_binary(rng: np.random.Generator, images: int = 200) -> Answers:
    truth = rng.integers(0, 2, images)
    # Rounded, so that scores tie.
    return binary(truth, np.round(np.clip(rng.normal(0.4 + 0.2 * truth, 0.25), 0, 1), 2))


def test_binary_by_hand() -> None:
    found = binary_metrics(binary([1, 1, 1, 0, 0], [0.9, 0.8, 0.3, 0.6, 0.1]))
    expected = {"accuracy": 3 / 5, "sensitivity": 2 / 3, "specificity": 1 / 2, "precision": 2 / 3, "f1": 2 / 3}
    for name, value in expected.items():
        assert found[name].value == pytest.approx(value), name
    # Of the six pairs (positive, negative) only 0.3 against 0.6 is in the wrong order.
    assert found["auroc"].value == pytest.approx(5 / 6)
    # Ranked: + + - + -, so precision is 1, 1 and 3/4 at the positives.
    assert found["average_precision"].value == pytest.approx((1 + 1 + 0.75) / 3)
    assert found["brier"].value == pytest.approx((0.1**2 + 0.2**2 + 0.7**2 + 0.6**2 + 0.1**2) / 5)
    assert confusion(binary([1, 1, 1, 0, 0], [0.9, 0.8, 0.3, 0.6, 0.1])) == [[1, 1], [1, 2]]


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10_000))
def test_binary_agrees_with_scikit_learn(seed: int) -> None:
    answers = random_binary(np.random.default_rng(seed))
    truth, called, score = answers.truth, answers.predicted, answers.probabilities[:, 1]
    found = binary_metrics(answers)
    expected = {
        "accuracy": sk.accuracy_score(truth, called),
        "sensitivity": sk.recall_score(truth, called),
        "specificity": sk.recall_score(truth, called, pos_label=0),
        "precision": sk.precision_score(truth, called),
        "f1": sk.f1_score(truth, called),
        "auroc": sk.roc_auc_score(truth, score),
        "average_precision": sk.average_precision_score(truth, score),
        "brier": sk.brier_score_loss(truth, score),
    }
    assert list(found) == list(METRICS)
    for name, value in expected.items():
        assert found[name].value == pytest.approx(value, abs=1e-12), name


def test_multiclass_agrees_with_scikit_learn() -> None:
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 4, 300)
    logits = rng.normal(size=(300, 4)) + 1.5 * np.eye(4)[truth]
    scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    answers = Answers(truth, scores, scores.argmax(axis=1), ("a", "b", "c", "d"))
    found = multiclass_metrics(answers)
    assert list(found) == list(METRICS)
    expected = {
        "accuracy": sk.accuracy_score(truth, answers.predicted),
        "sensitivity": sk.recall_score(truth, answers.predicted, average="macro"),
        "precision": sk.precision_score(truth, answers.predicted, average="macro"),
        "f1": sk.f1_score(truth, answers.predicted, average="macro"),
        "auroc": sk.roc_auc_score(truth, scores, multi_class="ovr", average="macro"),
        "average_precision": sk.average_precision_score(np.eye(4)[truth], scores, average="macro"),
        "brier": np.mean([np.sum((scores[i] - np.eye(4)[truth[i]]) ** 2) for i in range(300)]),
    }
    for name, value in expected.items():
        assert found[name].value == pytest.approx(value, abs=1e-12), name
    each = per_class_metrics(answers)
    specificities = [sk.recall_score(truth != k, answers.predicted != k) for k in range(4)]
    assert found["specificity"].value == pytest.approx(np.mean(specificities))
    assert [each[name]["specificity"].value for name in "abcd"] == pytest.approx(specificities)
    assert confusion(answers) == sk.confusion_matrix(truth, answers.predicted).tolist()


def test_multilabel_agrees_with_scikit_learn() -> None:
    rng = np.random.default_rng(2)
    truth = (rng.random((200, 3)) < 0.4).astype(np.int64)
    scores = np.clip(rng.normal(0.35 + 0.3 * truth, 0.25), 0, 1)
    answers = Answers(truth, scores, (scores >= 0.5).astype(np.int64), ("a", "b", "c"))
    found = multilabel_metrics(answers)
    assert found["accuracy"].value == pytest.approx(1 - sk.hamming_loss(truth, answers.predicted))
    assert found["exact_match"].value == pytest.approx(sk.accuracy_score(truth, answers.predicted))
    assert found["f1"].value == pytest.approx(sk.f1_score(truth, answers.predicted, average="macro"))
    assert found["auroc"].value == pytest.approx(sk.roc_auc_score(truth, scores, average="macro"))
    assert confusion(answers) == sk.multilabel_confusion_matrix(truth, answers.predicted).tolist()


@pytest.mark.parametrize(
    ("truth", "score", "undefined"),
    [
        ([0, 0, 0], [0.1, 0.2, 0.9], {"sensitivity", "auroc", "average_precision"}),
        ([1, 1, 1], [0.1, 0.2, 0.9], {"specificity", "auroc"}),
        ([0, 1, 1], [0.1, 0.2, 0.3], {"precision"}),
        ([0, 0, 0], [0.1, 0.2, 0.3], {"sensitivity", "precision", "f1", "auroc", "average_precision"}),
    ],
)
def test_what_is_undefined_has_a_reason_and_no_number(
    truth: npt.ArrayLike, score: npt.ArrayLike, undefined: set[str]
) -> None:
    found = binary_metrics(binary(truth, score))
    assert {name for name, estimate in found.items() if estimate.value is None} == undefined
    assert all(found[name].reason for name in undefined)


def test_f1_without_a_predicted_positive_is_zero_not_undefined() -> None:
    assert binary_metrics(binary([0, 1, 1], [0.1, 0.2, 0.3]))["f1"].value == 0


def test_a_macro_average_is_undefined_when_a_class_is_absent_and_says_which() -> None:
    scores = np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.3, 0.4, 0.3]])
    answers = Answers(np.array([0, 1, 1]), scores, scores.argmax(axis=1), ("normal", "mass", "fracture"))
    found = multiclass_metrics(answers)
    assert found["sensitivity"].value is None
    assert "fracture: no image is fracture" in found["sensitivity"].reason
    assert found["accuracy"].value == 1
    assert set(per_class_metrics(answers)["mass"]) == set(ONE_VS_REST)


def test_calibration_error_of_a_known_gap() -> None:
    # Half of the images score 0.2 with a share of 0.5, half score 0.9 with a share of 0.8: gaps 0.3 and 0.1.
    scores = np.repeat([0.2, 0.9], 100)
    outcomes = np.concatenate([np.repeat([0, 1], 50), np.repeat([0, 1], [20, 80])])
    assert expected_calibration_error(scores, outcomes) == pytest.approx(0.2)


def test_a_constant_score_has_one_bin() -> None:
    assert expected_calibration_error(np.full(10, 0.3), np.repeat([0, 1], 5)) == pytest.approx(0.2)


@settings(deadline=None, max_examples=30)
@given(
    scores=st.lists(st.integers(0, 20).map(lambda n: n / 20), min_size=1, max_size=80),
    seed=st.integers(0, 1000),
)
def test_bins_do_not_depend_on_the_order_of_rows_and_rise_with_the_score(scores: list[float], seed: int) -> None:
    score = np.array(scores)
    bins = equal_mass_bins(score)
    order = np.random.default_rng(seed).permutation(len(score))
    np.testing.assert_array_equal(equal_mass_bins(score[order]), bins[order])
    assert (np.diff(bins[np.argsort(score, kind="stable")]) >= 0).all()
    assert bins.min() >= 0
    assert bins.max() < 15


def test_bins_have_equal_mass_without_ties() -> None:
    counts = np.bincount(equal_mass_bins(np.random.default_rng(0).random(150)), minlength=15)
    assert counts.tolist() == [10] * 15


def test_tied_scores_take_the_bin_of_their_middle_rank() -> None:
    assert equal_mass_bins([0.1] * 8 + [0.9] * 2, bins=2).tolist() == [0] * 8 + [1] * 2
