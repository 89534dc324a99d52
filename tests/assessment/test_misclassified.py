from __future__ import annotations

import numpy as np
import pytest

from fixture_types import ManifestOf, PredictionsOf, ProbabilitiesFor
from radlens.assessment.misclassified import label_errors, misclassified
from radlens.assessment.predictions import predictions_table


def test_binary_false_negatives_come_first_and_the_most_confident_before_the_others(manifest_of: ManifestOf) -> None:
    manifest = manifest_of("binary", images=6)
    truth = ["NORMAL", "PNEUMONIA", "NORMAL", "PNEUMONIA", "PNEUMONIA", "NORMAL"]
    manifest = type(manifest)(manifest.table.assign(label=truth), manifest.info)
    score = np.array([0.6, 0.4, 0.95, 0.02, 0.9, 0.1])
    table = predictions_table(manifest, np.stack([1 - score, score], axis=1))
    errors = misclassified(table, manifest.info)
    assert errors["path"].tolist() == [f"scans/image_{i:04d}.png" for i in (3, 1, 2, 0)]
    assert errors["missed"].tolist() == [True, True, False, False]
    assert errors["score"].tolist() == [0.02, 0.4, 0.95, 0.6]
    assert errors["confidence"].tolist() == pytest.approx([0.98, 0.6, 0.95, 0.6])


def test_multiclass_missed_means_called_normal(manifest_of: ManifestOf) -> None:
    manifest = manifest_of("multiclass", images=4)
    table = manifest.table.assign(label=["normal", "bacterial", "viral", "viral"])
    manifest = type(manifest)(table, manifest.info)
    scores = [[0.1, 0.8, 0.1], [0.7, 0.2, 0.1], [0.05, 0.9, 0.05], [0.1, 0.1, 0.8]]
    errors = misclassified(predictions_table(manifest, scores), manifest.info)
    assert errors["missed"].tolist() == [True, False, False]
    assert errors["label"].tolist() == ["bacterial", "viral", "normal"]
    assert errors["confidence"].tolist() == [0.7, 0.9, 0.8]


def test_multiclass_without_a_class_of_nothing_found_has_no_missed_findings(
    manifest_of: ManifestOf, probabilities_for: ProbabilitiesFor
) -> None:
    manifest = manifest_of("multiclass", classes=("cat", "dog", "fox"))
    errors = misclassified(predictions_table(manifest, probabilities_for(manifest)), manifest.info)
    assert len(errors)
    assert not errors["missed"].any()


def test_multilabel_sorts_by_the_worst_missed_label(manifest_of: ManifestOf) -> None:
    manifest = manifest_of("multilabel", images=4)
    table = manifest.table.assign(label=["effusion|mass", "nodule", "mass", ""])
    manifest = type(manifest)(table, manifest.info)
    scores = [[0.4, 0.1, 0.2], [0.1, 0.1, 0.9], [0.99, 0.3, 0.1], [0.9, 0.1, 0.8]]
    predictions = predictions_table(manifest, scores)
    errors = misclassified(predictions, manifest.info)
    assert errors["label"].tolist() == ["effusion|mass", "mass", ""]
    assert errors["missed"].tolist() == [True, True, False]
    assert errors["confidence"].tolist() == pytest.approx([0.9, 0.7, 0.9])
    assert label_errors(errors.iloc[0], manifest.info) == ([("effusion", 0.4), ("mass", 0.1)], [])
    assert label_errors(errors.iloc[1], manifest.info) == ([("mass", 0.3)], [("effusion", 0.99)])


@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel"])
def test_all_wrong_answers_of_a_split_and_no_others(task: str, predictions_of: PredictionsOf) -> None:
    table, info = predictions_of(task)
    errors = misclassified(table, info, "test")
    test = table[table["split"] == "test"]
    normal = test["label"].map(lambda cell: "|".join(sorted(cell.split("|"))))
    called = test["predicted"].map(lambda cell: "|".join(sorted(cell.split("|"))))
    assert set(errors["path"]) == set(test["path"][normal != called])
    assert misclassified(table, info, "train").empty
