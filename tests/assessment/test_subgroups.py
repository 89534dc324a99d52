"""Groups that differ are found, those that do not are left alone, and small ones are not judged."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from scipy.stats import permutation_test
from sklearn.metrics import recall_score, roc_auc_score

from fixture_types import PredictionsOf
from known import known
from radlens.assessment import evaluate as evaluation
from radlens.assessment import summary
from radlens.assessment.evaluate import evaluate
from radlens.assessment.predictions import predictions_table
from radlens.assessment.subgroups import SUBGROUP_COLUMNS, find_subgroups
from radlens.base.errors import DataError
from radlens.config import EvaluateSettings
from radlens.dataset.manifest import DatasetInfo, Manifest
from radlens.decision import Task
from radlens.statistics.heterogeneity import difference_test, share_metric
from radlens.statistics.ranking import concordance

SETTINGS = EvaluateSettings(resamples=500)


def model(patients: int = 200, images: int = 2, seed: int = 0, **columns: object) -> tuple[pd.DataFrame, Manifest]:
    """Predictions that miss half of what women have, when the columns hold ``sex``."""
    rng = np.random.default_rng(seed)
    truth = np.repeat(rng.integers(0, 2, patients), images)
    table = pd.DataFrame(
        {
            "path": [f"{number}.png" for number in range(patients * images)],
            "label": np.where(truth, "PNEUMONIA", "NORMAL"),
            "patient": np.repeat([f"p{number}" for number in range(patients)], images),
            "split": "test",
            **columns,
        }
    )
    hard = (table["sex"] == "F").to_numpy() * truth * 2.5 if "sex" in table else 0
    logit = (
        4 * truth - 2 - hard + 0.7 * rng.normal(size=len(truth)) + 0.7 * np.repeat(rng.normal(size=patients), images)
    )
    positive = 1 / (1 + np.exp(-logit))
    info = DatasetInfo(name="x", task="binary", classes=("NORMAL", "PNEUMONIA"), root=".")
    manifest = Manifest(table, info)
    return predictions_table(manifest, np.stack([1 - positive, positive], axis=1)), manifest


def sex(patients: int = 200, images: int = 2) -> np.ndarray:
    return np.repeat(np.where(np.arange(patients) % 3 == 0, "F", "M"), images)


def test_a_group_that_the_model_fails_is_found_with_the_right_figures() -> None:
    view = np.where(np.arange(400) % 2, "PA", "AP")
    predictions, manifest = model(sex=sex(), view=view, site="one")
    found = find_subgroups(predictions, manifest.table, manifest.info, 0.5, SETTINGS, 0, "test")
    assert list(found) == list(SUBGROUP_COLUMNS)
    assert found["column"].unique().tolist() == ["sex", "view"]
    differing = found[found["p_holm"] < 0.05]
    assert set(differing["column"]) == {"sex"}
    assert set(differing["metric"]) == {"sensitivity", "auroc"}

    women = (manifest.table["sex"] == "F").to_numpy()
    truth = (manifest.table["label"] == "PNEUMONIA").to_numpy()
    score = predictions["probability_PNEUMONIA"].to_numpy()
    row = found.query("group == 'F' and metric == 'sensitivity'").iloc[0]
    assert row["value"] == pytest.approx(recall_score(truth[women], score[women] >= 0.5))
    assert row["rest"] == pytest.approx(recall_score(truth[~women], score[~women] >= 0.5))
    assert row["difference"] == pytest.approx(row["value"] - row["rest"])
    assert (row["n"], row["n_patients"]) == (women.sum(), 67)
    area = found.query("group == 'F' and metric == 'auroc'").iloc[0]
    assert area["value"] == pytest.approx(roc_auc_score(truth[women], score[women]))
    block = evaluate(predictions[women], manifest.info, 0.5, SETTINGS, 0)["test"]
    assert (row["low"], row["high"]) == (block.sensitivity.low, block.sensitivity.high)
    # Men are the rest of women: one test, seen from two sides, and counted once among six.
    other = found.query("group == 'M' and metric == 'sensitivity'").iloc[0]
    assert (other["p"], other["p_holm"], other["difference"]) == (row["p"], row["p_holm"], -row["difference"])
    assert row["p_holm"] == pytest.approx(6 * row["p"])


def test_small_groups_are_measured_and_not_tested() -> None:
    groups = sex()
    groups[:8] = "X"
    predictions, manifest = model(sex=groups)
    found = find_subgroups(predictions, manifest.table, manifest.info, 0.5, SETTINGS, 0, "test")
    small = found.query("group == 'X'").set_index("metric")
    assert small["p"].isna().all()
    assert small.loc["accuracy", "n_patients"] == 4
    assert "too small to test" in str(small.loc["specificity", "remark"])


def test_images_of_unknown_group_are_on_no_side() -> None:
    groups = sex()
    groups[200:] = ""
    predictions, manifest = model(sex=groups)
    found = find_subgroups(predictions, manifest.table, manifest.info, 0.5, SETTINGS, 0, "test")
    assert found.query("group == 'unknown'")["p"].isna().all()
    row = found.query("group == 'F' and metric == 'specificity'").iloc[0]
    men = predictions[(manifest.table["sex"] == "M") & (manifest.table["label"] == "NORMAL")]
    assert row["rest"] == pytest.approx((men["predicted"] == "NORMAL").mean())


def test_groups_within_one_class_are_compared_within_it() -> None:
    predictions, manifest = model()
    table = manifest.table
    kind = np.where(np.arange(len(table)) % 4 < 2, "bacteria", "virus")
    table["path"] = [
        f"person{number}_{name}_1.png" if label == "PNEUMONIA" else f"IM-{number}.png"
        for number, (name, label) in enumerate(zip(kind, table["label"], strict=True))
    ]
    predictions["path"] = table["path"]
    found = find_subgroups(predictions, table, manifest.info, 0.5, SETTINGS, 0, "test")
    tested = found[found["p"].notna()]
    assert set(tested["group"]) == {"person#_bacteria_#", "person#_virus_#"}
    assert set(tested["metric"]) == {"sensitivity"}
    assert tested["p"].nunique() == 1


@pytest.mark.parametrize("task", ["multiclass", "multilabel"])
def test_the_other_tasks_are_tested_by_accuracy(task: str, predictions_of: PredictionsOf) -> None:
    predictions, info = predictions_of(task, 240)
    table = predictions[["path", "label", "patient", "split"]].assign(site=["a", "a", "b"] * 80)
    found = find_subgroups(predictions, table, info, 0.5, SETTINGS, 0, "test")
    assert set(found.loc[found["p"].notna(), "metric"]) == {"accuracy"}
    again = find_subgroups(predictions, table, info, 0.5, SETTINGS, 0, "test")
    pd.testing.assert_frame_equal(found, again)


@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel"])
def test_a_group_has_the_figures_of_its_whole_evaluation_without_the_rest_of_it(
    task: Task, predictions_of: PredictionsOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictions, info = predictions_of(task, 225)
    predictions = predictions[predictions["split"] == "test"]
    # The last group has one patient: figures without an interval, or none at all where a class is absent.
    sites = np.where(predictions["patient"] == predictions["patient"].iloc[0], "c", ["a", "b", "b"] * 50)
    table = predictions[["path", "label", "patient", "split"]].assign(site=sites)
    blocks = {site: evaluate(predictions[sites == site], info, 0.5, SETTINGS, 3)["test"] for site in "abc"}
    called: list[str] = []
    for module, names in {
        evaluation: ("calibration_evidence", "sample_size", "predictive_values", "threshold_table", "decision_curve"),
        summary: ("bootstrap",),
    }.items():
        for name in names:
            wanted = getattr(module, name)

            def counted(*given: object, _wanted: Callable[..., object] = wanted, _name: str = name) -> object:
                called.append(_name)
                return _wanted(*given)

            monkeypatch.setattr(module, name, counted)
    rows = find_subgroups(predictions, table, info, 0.5, SETTINGS, 3, "test")
    # Shares and the AUROC of two classes have limits without a resample. The last group lacks one of three classes.
    assert called == ["bootstrap"] * {"binary": 0, "multiclass": 2, "multilabel": 3}[task]
    assert set(rows["group"]) == {"a", "b", "c"}
    for row in rows.to_dict("records"):
        block = blocks[row["group"]]
        assert (row["n"], row["n_patients"]) == (block.n, block.n_patients)
        for name in ("value", "low", "high"):
            expected = getattr(block.metrics[row["metric"]], name)
            assert np.isnan(row[name]) if expected is None else row[name] == expected
        if block.metrics[row["metric"]].value is None:
            assert known(block.metrics[row["metric"]].reason) in row["remark"]


def test_predictions_at_another_threshold_are_refused() -> None:
    predictions, manifest = model(sex=sex())
    with pytest.raises(DataError, match="do not follow from the probabilities at threshold 0.9"):
        find_subgroups(predictions, manifest.table, manifest.info, 0.9, SETTINGS, 0, "test")


def test_nothing_to_group_gives_an_empty_table() -> None:
    predictions, manifest = model()
    assert find_subgroups(predictions, manifest.table, manifest.info, 0.5, SETTINGS, 0, "test").empty


def test_with_one_image_a_patient_it_is_the_permutation_test_of_scipy() -> None:
    rng = np.random.default_rng(0)
    inside, values = np.arange(60) < 20, rng.normal(size=60) + 0.6 * (np.arange(60) < 20)
    whole = np.zeros(60, dtype=np.int64)
    difference, p_value = difference_test(share_metric(values), inside, np.arange(60), whole, 20_000, rng)
    expected = permutation_test(
        (values[inside], values[~inside]), lambda a, b: a.mean() - b.mean(), n_resamples=20_000, rng=rng
    )
    assert difference == pytest.approx(expected.statistic)
    assert p_value == pytest.approx(expected.pvalue, abs=0.02)


@pytest.mark.parametrize("kind", ["patients", "images", "both"])
def test_under_the_null_five_in_a_hundred_are_called_different(kind: str) -> None:
    rng = np.random.default_rng(1)
    p_values, naive = [], []
    for _ in range(400):
        patient = np.repeat(np.arange(60), 3)
        truth = rng.integers(0, 2, 60)[patient]
        score = truth + 1.2 * rng.normal(size=60)[patient] + 0.6 * rng.normal(size=180)
        by_patient, by_image = (rng.random(60) < 0.4)[patient], rng.random(180) < 0.4
        mixed = np.where(patient < 30, by_patient, by_image)
        inside = {"patients": by_patient, "images": by_image, "both": mixed}[kind]
        metric = concordance(score, truth)
        p_values.append(difference_test(metric, inside, patient, truth, 199, rng)[1])
        naive.append(difference_test(metric, inside, np.arange(180), truth, 199, rng)[1])
    assert 0.025 <= np.mean(np.array(p_values) <= 0.05) <= 0.08
    if kind == "patients":
        assert np.mean(np.array(naive) <= 0.05) > 0.12


def test_a_metric_that_is_undefined_on_a_side_is_not_tested() -> None:
    truth = np.repeat([0, 1], 20)
    metric = concordance(np.linspace(0, 1, 40), truth)
    difference, p_value = difference_test(metric, truth == 1, np.arange(40), truth, 99, np.random.default_rng(0))
    assert np.isnan(difference)
    assert p_value == 1.0
