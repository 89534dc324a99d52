from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import balanced_accuracy_score

from fixture_types import PredictionsOf
from radlens.assessment.operating_point import (
    Costs,
    balanced_accuracy,
    choose_operating_point,
    choose_threshold,
    describe_operating_point,
    threshold_for_sensitivity,
    threshold_for_specificity,
)
from radlens.assessment.predictions import probabilities_of, targets_of
from radlens.base.errors import DataError
from radlens.config import EvaluateSettings
from radlens.dataset.manifest import DatasetInfo
from radlens.statistics.metrics import Ints
from radlens.statistics.proportions import clustered_wilson


def validation(predictions_of: PredictionsOf, task: str, **options: int) -> tuple[pd.DataFrame, DatasetInfo]:
    table, info = predictions_of(task, **options)
    return table[table["split"] == "val"], info


def with_scores(
    table: pd.DataFrame, info: DatasetInfo, truth: Sequence[int] | Ints, score: npt.ArrayLike
) -> pd.DataFrame:
    score = np.asarray(score, dtype=float)
    return table.iloc[: len(truth)].assign(
        label=[info.classes[t] for t in truth], probability_NORMAL=1 - score, probability_PNEUMONIA=score
    )


def test_a_fixed_threshold_is_taken_as_it_is(predictions_of: PredictionsOf) -> None:
    table, info = validation(predictions_of, "binary")
    assert choose_threshold(0.37, table, info) == 0.37


def test_the_highest_balanced_accuracy_is_midway_between_two_scores(predictions_of: PredictionsOf) -> None:
    table, info = validation(predictions_of, "binary")
    rows = with_scores(table, info, [0, 0, 0, 1, 1], [0.1, 0.2, 0.3, 0.7, 0.9])
    assert choose_threshold("balanced", rows, info) == pytest.approx(0.5)
    rows = with_scores(table, info, [0, 1, 1, 1], [0.10, 0.14, 0.2, 0.9])
    assert choose_threshold("balanced", rows, info) == pytest.approx(0.12)


def test_of_equally_good_thresholds_the_one_nearest_to_a_half_is_taken(predictions_of: PredictionsOf) -> None:
    table, info = validation(predictions_of, "binary")
    # 0.3 and 0.73 both give a balanced accuracy of 0.75; 0.53 lies between them and gives 0.5.
    rows = with_scores(table, info, [0, 1, 0, 1], [0.2, 0.4, 0.66, 0.8])
    assert choose_threshold("balanced", rows, info) == pytest.approx(0.3, abs=1e-9)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 5000))
def test_no_other_threshold_is_better(seed: int, predictions_of: PredictionsOf) -> None:
    rng = np.random.default_rng(seed)
    table, info = validation(predictions_of, "binary")
    truth = rng.permutation([0, 1] * 15)
    rows = with_scores(table, info, truth, np.round(np.clip(rng.normal(0.4 + 0.2 * truth, 0.2), 0, 1), 2))
    chosen = choose_threshold("balanced", rows, info)
    score = rows["probability_PNEUMONIA"].to_numpy()
    called = score >= np.array([chosen, *np.linspace(0.005, 0.995, 100)])[:, None]
    quality = (called[:, truth == 1].mean(axis=1) + 1 - called[:, truth == 0].mean(axis=1)) / 2
    assert quality[0] == pytest.approx(quality.max())
    assert quality[0] == pytest.approx(balanced_accuracy_score(truth, called[0]))


def test_multilabel_shares_one_threshold(predictions_of: PredictionsOf) -> None:
    table, info = validation(predictions_of, "multilabel")
    chosen = choose_threshold("balanced", table, info)
    truth, scores = targets_of(table, info), probabilities_of(table, info)

    def mean(threshold: float) -> float:
        return float(np.mean([balanced_accuracy_score(truth[:, k], scores[:, k] >= threshold) for k in range(3)]))

    assert mean(chosen) >= max(mean(threshold) for threshold in np.linspace(0.01, 0.99, 99)) - 1e-12


def test_multiclass_has_no_threshold(predictions_of: PredictionsOf) -> None:
    table, info = validation(predictions_of, "multiclass")
    assert choose_threshold("balanced", table, info) == 0.5


@pytest.mark.parametrize("setting", [0.5, "balanced"])
def test_test_images_never_choose_a_threshold(setting: float | str, predictions_of: PredictionsOf) -> None:
    table, info = predictions_of("binary")
    with pytest.raises(ValueError, match="validation images only, got rows of test"):
        choose_threshold(setting, table, info)


def test_a_class_without_validation_image_is_refused(predictions_of: PredictionsOf) -> None:
    table, info = validation(predictions_of, "binary")
    with pytest.raises(DataError, match="all with or all without PNEUMONIA"):
        choose_threshold("balanced", table[table["label"] == "NORMAL"], info)
    with pytest.raises(DataError, match="all with or all without"):
        choose_threshold("balanced", table.iloc[:0], info)


def test_a_model_that_says_always_the_same_is_refused(predictions_of: PredictionsOf) -> None:
    table, info = validation(predictions_of, "binary")
    with pytest.raises(DataError, match="same score"):
        choose_threshold("balanced", with_scores(table, info, [0, 1, 0, 1], [0.5] * 4), info)


def test_scores_at_the_ends_give_a_threshold_inside(predictions_of: PredictionsOf) -> None:
    table, info = validation(predictions_of, "binary")
    rows = with_scores(table, info, [0, 1, 0, 1], [0.0, 1.0, 0.0, 1.0])
    assert choose_threshold("balanced", rows, info) == 0.5


def test_a_score_equal_to_the_threshold_is_positive() -> None:
    quality = balanced_accuracy(np.array([0.4]), np.array([0, 1]), np.array([0.4, 0.4]))
    assert quality.tolist() == [0.5]


def test_a_threshold_for_a_sensitivity_is_midway_below_the_last_case_that_it_needs(
    predictions_of: PredictionsOf,
) -> None:
    table, info = validation(predictions_of, "binary")
    rows = with_scores(table, info, [1, 1, 1, 1, 0, 0], [0.9, 0.8, 0.6, 0.2, 0.5, 0.1])
    assert threshold_for_sensitivity(0.5, rows, info) == pytest.approx(0.7)
    assert threshold_for_sensitivity(0.51, rows, info) == pytest.approx(0.55)
    assert threshold_for_sensitivity(0.75, rows, info) == pytest.approx(0.55)
    assert threshold_for_sensitivity(1.0, rows, info) == pytest.approx(0.15)
    lowest = with_scores(table, info, [1, 0], [0.4, 0.6])
    assert threshold_for_sensitivity(0.9, lowest, info) == pytest.approx(0.2), "nothing lies below"


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 5000), target=st.sampled_from([0.5, 0.9, 0.95, 0.98, 1.0]))
def test_the_sensitivity_is_reached_and_would_not_be_above_the_next_case(
    seed: int, target: float, predictions_of: PredictionsOf
) -> None:
    rng = np.random.default_rng(seed)
    table, info = validation(predictions_of, "binary")
    truth = rng.permutation([0, 1] * 15)
    score = np.round(np.clip(rng.normal(0.4 + 0.2 * truth, 0.2), 0.01, 0.99), 2)
    chosen = threshold_for_sensitivity(target, with_scores(table, info, truth, score), info)
    positive = score[truth == 1]
    assert (positive >= chosen).mean() >= target
    assert (positive > positive[positive >= chosen].min()).mean() < target


def test_a_sensitivity_needs_cases_a_share_and_validation_images(predictions_of: PredictionsOf) -> None:
    table, info = validation(predictions_of, "binary")
    with pytest.raises(DataError, match="No validation image is of the class"):
        threshold_for_sensitivity(0.9, with_scores(table, info, [0, 0], [0.1, 0.2]), info)
    for wrong in (0.0, 1.2):
        with pytest.raises(ValueError, match=r"lies in \(0, 1\]"):
            threshold_for_sensitivity(wrong, table, info)
    whole, info = predictions_of("binary")
    with pytest.raises(ValueError, match="validation images only"):
        threshold_for_sensitivity(0.9, whole, info)


def test_youden_is_balanced(predictions_of: PredictionsOf) -> None:
    for task in ("binary", "multilabel"):
        table, info = validation(predictions_of, task)
        assert choose_threshold("youden", table, info) == choose_threshold("balanced", table, info)


@settings(deadline=None, max_examples=30)
@given(
    seed=st.integers(0, 5000),
    missed=st.sampled_from([0.1, 1.0, 20.0]),
    prevalence=st.sampled_from([None, 0.02, 0.5, 0.9]),
)
def test_no_other_threshold_costs_less(
    seed: int, missed: float, prevalence: float | None, predictions_of: PredictionsOf
) -> None:
    rng = np.random.default_rng(seed)
    table, info = validation(predictions_of, "binary")
    truth = rng.permutation([0, 1] * 15)
    score = np.round(np.clip(rng.normal(0.4 + 0.2 * truth, 0.2), 0.01, 0.99), 2)
    rows = with_scores(table, info, truth, score)
    chosen = choose_threshold("cost", rows, info, Costs(missed, 1.0, prevalence))

    def cost(threshold: float) -> float:
        called, share = score >= threshold, 0.5 if prevalence is None else prevalence
        return float(missed * share * (~called[truth == 1]).mean() + (1 - share) * called[truth == 0].mean())

    assert cost(chosen) <= min(cost(threshold) for threshold in np.linspace(0.001, 0.999, 999)) + 1e-12


def test_costs_can_call_everyone_or_no_one_positive(predictions_of: PredictionsOf) -> None:
    table, info = validation(predictions_of, "binary")
    rows = with_scores(table, info, [0, 1, 0, 1], [0.2, 0.4, 0.6, 0.8])
    assert choose_threshold("cost", rows, info, Costs(1000.0, 1.0)) < 0.4
    assert choose_threshold("cost", rows, info, Costs(1.0, 1000.0)) > 0.6
    rare = with_scores(table, info, [0, 1], [0.6, 0.4])
    assert choose_threshold("cost", rare, info, Costs(1.0, 1.0, 0.01)) > 0.6


def test_a_threshold_for_a_specificity_is_the_lowest_that_reaches_it(predictions_of: PredictionsOf) -> None:
    table, info = validation(predictions_of, "binary")
    rows = with_scores(table, info, [0, 0, 0, 0, 1, 1], [0.1, 0.2, 0.4, 0.8, 0.5, 0.9])
    assert choose_threshold("specificity:0.75", rows, info) == pytest.approx(0.45)
    assert choose_threshold("specificity:0.76", rows, info) == pytest.approx(0.85)
    assert choose_threshold("specificity:1", rows, info) == pytest.approx(0.85)
    highest = with_scores(table, info, [0, 1], [0.9, 0.2])
    assert choose_threshold("specificity:1", highest, info) == pytest.approx(0.95)
    assert choose_threshold("sensitivity:0.5", rows, info) == threshold_for_sensitivity(0.5, rows, info)
    with pytest.raises(ValueError, match=r"lies in \(0, 1\]"):
        threshold_for_specificity(0.0, rows, info)


def test_a_target_is_of_binary_tasks(predictions_of: PredictionsOf) -> None:
    table, info = validation(predictions_of, "multilabel")
    with pytest.raises(DataError, match="of one label, and this task has 3"):
        choose_threshold("sensitivity:0.9", table, info)


def test_the_record_says_what_is_known_of_the_operating_point(predictions_of: PredictionsOf) -> None:
    table, info = validation(predictions_of, "binary", images=240)
    threshold, point = choose_operating_point(EvaluateSettings(threshold="sensitivity:0.9"), table, info)
    score, truth = probabilities_of(table, info)[:, 1], targets_of(table, info)
    assert point is not None
    assert point.rule == "sensitivity:0.9"
    assert point.sensitivity == (score[truth == 1] >= threshold).mean() >= 0.9
    assert point.specificity == (score[truth == 0] < threshold).mean()
    assert point.positive_patients == table[truth == 1]["patient"].nunique()
    # One-sided: the low end of the two-sided interval at 90 %.
    low, _ = clustered_wilson(score[truth == 1] >= threshold, table["patient"].to_numpy()[truth == 1], 0.9)
    assert point.sensitivity_low == pytest.approx(low)
    assert point.sensitivity_low < point.sensitivity
    assert point.specificity_low < point.specificity


def test_the_record_of_the_least_cost_names_the_costs(predictions_of: PredictionsOf) -> None:
    table, info = validation(predictions_of, "binary")
    settings = EvaluateSettings(threshold="cost", cost_missed=5, cost_alarm=2, cost_prevalence=0.1)
    _, point = choose_operating_point(settings, table, info)
    assert point is not None
    assert (point.rule, point.cost_missed, point.cost_alarm, point.cost_prevalence) == ("cost", 5, 2, 0.1)
    _, other = choose_operating_point(settings.model_copy(update={"threshold": "balanced"}), table, info)
    assert other is not None
    assert (other.cost_missed, other.cost_alarm, other.cost_prevalence) == (None, None, None)


def test_there_is_no_record_without_a_threshold_or_without_both_kinds(predictions_of: PredictionsOf) -> None:
    table, info = validation(predictions_of, "multiclass")
    assert choose_operating_point(EvaluateSettings(), table, info) == (0.5, None)
    table, info = validation(predictions_of, "binary")
    assert choose_operating_point(EvaluateSettings(), table[table["label"] == "NORMAL"], info) == (0.5, None)
    table, info = validation(predictions_of, "multilabel")
    _, point = choose_operating_point(EvaluateSettings(threshold="balanced"), table, info)
    assert point is not None
    assert 0 < point.sensitivity_low < point.sensitivity <= 1
    whole, info = predictions_of("binary")
    with pytest.raises(ValueError, match="validation images only"):
        describe_operating_point(0.5, 0.5, whole, info, 0.95)


def test_the_bound_holds_the_truth_as_often_as_it_says(predictions_of: PredictionsOf) -> None:
    """At a threshold that was fixed beforehand; one that is chosen on the images flatters itself."""
    rng = np.random.default_rng(0)
    table, info = predictions_of("binary", images=1200)
    table = table[table["split"] == "val"]
    truth = np.arange(len(table)) // 4 % 2
    held = 0
    for _ in range(300):
        own = np.repeat(rng.normal(size=len(table) // 4), 4)
        score = 1 / (1 + np.exp(-(2 * truth - 1 + 0.8 * own + 0.6 * rng.normal(size=len(table)))))
        rows = with_scores(table.assign(patient=np.arange(len(table)) // 4), info, truth, score)
        known = describe_operating_point(0.5, 0.5, rows, info, 0.95)
        assert known is not None
        held += known.sensitivity_low <= stats.norm.cdf(1)
    assert stats.binom.ppf(1e-4, 300, 0.93) <= held <= stats.binom.ppf(1 - 1e-4, 300, 0.97)
