from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixture_types import ManifestOf, PredictionsOf, ProbabilitiesFor
from radlens.assessment.predictions import (
    check_predictions,
    predictions_table,
    probabilities_of,
    read_predictions,
    targets_of,
    with_threshold,
    write_predictions,
)
from radlens.base.errors import DataError

TASKS = ("binary", "multiclass", "multilabel")


def test_binary_table_has_the_documented_columns_and_answers(manifest_of: ManifestOf) -> None:
    manifest = manifest_of("binary", images=4)
    table = predictions_table(manifest, [[0.9, 0.1], [0.6, 0.4], [0.59, 0.41], [0.2, 0.8]], threshold=0.41)
    assert list(table.columns) == [
        "path", "patient", "split", "label", "predicted", "probability_NORMAL", "probability_PNEUMONIA",
    ]  # fmt: skip
    assert table["predicted"].tolist() == ["NORMAL", "NORMAL", "PNEUMONIA", "PNEUMONIA"]
    assert table["label"].tolist() == manifest.table["label"].tolist()


def test_multiclass_takes_the_most_probable_class(manifest_of: ManifestOf) -> None:
    manifest = manifest_of("multiclass", images=3)
    table = predictions_table(manifest, [[0.2, 0.5, 0.3], [0.4, 0.3, 0.3], [0.1, 0.1, 0.8]], threshold=0.9)
    assert table["predicted"].tolist() == ["bacterial", "normal", "viral"]


def test_multilabel_columns_are_independent_and_none_is_an_empty_cell(manifest_of: ManifestOf) -> None:
    manifest = manifest_of("multilabel", images=3)
    table = predictions_table(manifest, [[0.9, 0.9, 0.9], [0.1, 0.2, 0.3], [0.7, 0.1, 0.6]])
    assert table["predicted"].tolist() == ["effusion|mass|nodule", "", "effusion|nodule"]
    assert targets_of(table, manifest.info, "predicted").tolist() == [[1, 1, 1], [0, 0, 0], [1, 0, 1]]


@pytest.mark.parametrize("task", TASKS)
def test_targets_agree_with_the_manifest(
    task: str, manifest_of: ManifestOf, probabilities_for: ProbabilitiesFor
) -> None:
    manifest = manifest_of(task)
    table = predictions_table(manifest, probabilities_for(manifest))
    np.testing.assert_array_equal(targets_of(table, manifest.info), manifest.targets())


@pytest.mark.parametrize("task", TASKS)
def test_csv_reads_back_as_the_same_numbers(task: str, tmp_path: Path, predictions_of: PredictionsOf) -> None:
    table, info = predictions_of(task)
    write_predictions(table, tmp_path / "predictions.csv")
    again = read_predictions(tmp_path / "predictions.csv", info)
    assert again.equals(table)


@settings(deadline=None, max_examples=30)
@given(value=st.floats(2**-10, 1 - 2**-10, width=32))
def test_single_precision_scores_survive_the_file_and_the_threshold(
    value: float, tmp_path_factory: pytest.TempPathFactory, manifest_of: ManifestOf
) -> None:
    manifest = manifest_of("multilabel", images=3)
    scores = np.full((3, 3), np.float32(value))
    table = predictions_table(manifest, scores, threshold=float(np.float32(value)))
    path = tmp_path_factory.mktemp("csv") / "predictions.csv"
    write_predictions(table, path)
    again = read_predictions(path, manifest.info)
    assert (again["predicted"] == "effusion|mass|nodule").all()
    assert with_threshold(again, manifest.info, float(np.float32(value))).equals(table)


def test_names_that_pandas_takes_for_missing_are_kept(
    tmp_path: Path, manifest_of: ManifestOf, probabilities_for: ProbabilitiesFor
) -> None:
    manifest = manifest_of("binary", images=4, classes=("NA", "null"))
    table = predictions_table(manifest, probabilities_for(manifest))
    write_predictions(table, tmp_path / "predictions.csv")
    assert read_predictions(tmp_path / "predictions.csv", manifest.info)["label"].tolist() == table["label"].tolist()


def test_with_threshold_changes_only_the_answers(predictions_of: PredictionsOf) -> None:
    table, info = predictions_of("binary")
    low = with_threshold(table, info, 0.01)
    assert (low["predicted"] == "PNEUMONIA").mean() > (table["predicted"] == "PNEUMONIA").mean()
    assert low.drop(columns="predicted").equals(table.drop(columns="predicted"))
    assert with_threshold(low, info, 0.5).equals(table)


def test_wrong_shape_is_a_programming_error(manifest_of: ManifestOf) -> None:
    with pytest.raises(ValueError, match=r"shape \(4, 2\)"):
        predictions_table(manifest_of("binary", images=4), np.full((4, 1), 0.5))


@pytest.mark.parametrize(("bad", "said"), [(np.nan, "diverged"), (1.2, r"\[0, 1\]"), (-0.1, r"\[0, 1\]")])
def test_what_is_no_probability_is_refused_with_the_first_image(bad: float, said: str, manifest_of: ManifestOf) -> None:
    scores = np.full((4, 2), 0.5)
    scores[2] = [1 - bad, bad]
    with pytest.raises(DataError, match=said) as caught:
        predictions_table(manifest_of("binary", images=4), scores)
    assert "image_0002.png" in str(caught.value)


def test_probabilities_of_exclusive_classes_must_add_up(manifest_of: ManifestOf) -> None:
    with pytest.raises(DataError, match="add up to 1"):
        predictions_table(manifest_of("multiclass", images=3), np.full((3, 3), 0.5))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda table: table.drop(columns="probability_PNEUMONIA"), "lack the column.*probability_PNEUMONIA"),
        (lambda table: table.assign(label="TUBERCULOSIS"), "unusable label, first 'TUBERCULOSIS'"),
        (lambda table: table.assign(predicted="?"), "unusable predicted"),
        (lambda table: table.assign(split="holdout"), "unusable split, first 'holdout'"),
        (lambda table: table.assign(path="same.png"), "more than once, first same.png"),
        (lambda table: table.iloc[:0], "list no image"),
        (lambda table: table.assign(probability_NORMAL="high"), "unusable probability_NORMAL"),
    ],
)
def test_a_bad_table_is_refused_with_a_reason(
    change: Callable[[pd.DataFrame], pd.DataFrame], said: str, predictions_of: PredictionsOf
) -> None:
    table, info = predictions_of("binary")
    with pytest.raises(DataError, match=said):
        check_predictions(change(table), info)


def test_a_missing_or_foreign_file_is_refused(tmp_path: Path, predictions_of: PredictionsOf) -> None:
    table, info = predictions_of("binary")
    with pytest.raises(DataError, match="no predictions file"):
        read_predictions(tmp_path / "none.csv", info)
    (tmp_path / "broken.csv").write_text('path,label\n"unclosed', encoding="utf-8")
    with pytest.raises(DataError, match=r"broken\.csv"):
        read_predictions(tmp_path / "broken.csv", info)
    (tmp_path / "other.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"other\.csv.*lack the column"):
        read_predictions(tmp_path / "other.csv", info)
    assert probabilities_of(table, info).shape == (len(table), 2)
