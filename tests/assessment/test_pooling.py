"""Pooled folds keep every answer of every fold, and each image once."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from fixture_types import PredictionsOf
from radlens.assessment.evaluate import evaluate
from radlens.assessment.pooling import fold_figures, pool
from radlens.assessment.predictions import with_threshold
from radlens.base.errors import DataError
from radlens.config import EvaluateSettings
from radlens.dataset.manifest import DatasetInfo
from radlens.runtime.record_base import Figure


def folds(
    task: str, thresholds: tuple[float | None, ...], predictions_of: PredictionsOf
) -> tuple[list[tuple[pd.DataFrame, float | None]], DatasetInfo]:
    table, info = predictions_of(task, 300)
    table = table.assign(split="test")
    part = np.arange(len(table)) % len(thresholds)
    cut = [table[part == number] for number in range(len(thresholds))]
    return [(with_threshold(one, info, at or 0.5), at) for one, at in zip(cut, thresholds, strict=True)], info


@pytest.mark.parametrize(("task", "thresholds"), [("binary", (0.2, 0.5, 0.9)), ("multilabel", (0.3, 0.35, 0.6))])
def test_every_answer_and_every_order_within_a_fold_stays(
    task: str, thresholds: tuple[float, ...], predictions_of: PredictionsOf
) -> None:
    made, info = folds(task, thresholds, predictions_of)
    pooled, common = pool(made, info)
    assert common == pytest.approx(np.median(thresholds))
    assert len(pooled) == 300
    for number, (table, _) in enumerate(made, start=1):
        mine = pooled[pooled["fold"] == number]
        assert mine["path"].tolist() == table["path"].tolist()
        assert mine["predicted"].tolist() == table["predicted"].tolist()
        column = f"probability_{info.classes[1]}"
        assert mine[column].rank().tolist() == table[column].rank().tolist()
    block = evaluate(pooled, info, common, EvaluateSettings(resamples=100), 0)["test"]
    right = sum(int((table["predicted"] == table["label"]).sum()) for table, _ in made)
    metric = "accuracy" if task == "binary" else "exact_match"
    assert block.metrics[metric].value == pytest.approx(right / 300)


def test_with_one_operating_point_nothing_is_moved(predictions_of: PredictionsOf) -> None:
    made, info = folds("binary", (0.4, 0.4), predictions_of)
    pooled, common = pool(made, info)
    assert common == 0.4
    raw = pd.concat([table for table, _ in made])["probability_PNEUMONIA"]
    assert pooled["probability_PNEUMONIA"].tolist() == raw.tolist()
    truth = pooled["label"] == "PNEUMONIA"
    block = evaluate(pooled, info, common, EvaluateSettings(resamples=100), 0)["test"]
    assert block.auroc.value == pytest.approx(roc_auc_score(truth, raw))


def test_a_score_on_the_operating_point_stays_on_its_side(predictions_of: PredictionsOf) -> None:
    made, info = folds("binary", (0.1, 0.3, 0.7), predictions_of)
    table, at = made[2]
    table.loc[table.index[:3], "probability_PNEUMONIA"] = [0.7, np.nextafter(0.7, 0), 1.0]
    table["probability_NORMAL"] = 1 - table["probability_PNEUMONIA"]
    made[2] = with_threshold(table, info, 0.7), at
    pooled, _ = pool(made, info)
    assert pooled[pooled["fold"] == 3]["predicted"].head(3).tolist() == ["PNEUMONIA", "NORMAL", "PNEUMONIA"]


def test_multiclass_answers_are_put_together_as_they_are(predictions_of: PredictionsOf) -> None:
    made, info = folds("multiclass", (None, None), predictions_of)
    pooled, _ = pool(made, info)
    expected = pd.concat([table for table, _ in made])
    assert pooled["predicted"].tolist() == expected["predicted"].tolist()
    assert pooled["probability_viral"].tolist() == expected["probability_viral"].tolist()


def test_an_image_in_two_folds_is_an_error(predictions_of: PredictionsOf) -> None:
    made, info = folds("binary", (0.5, 0.5), predictions_of)
    with pytest.raises(DataError, match="test image of two folds"):
        pool([made[0], made[0]], info)


def test_figures_of_folds_are_means_of_what_every_fold_has() -> None:
    blocks = [
        {"auroc": Figure(value=0.8), "f1": Figure(value=None)},
        {"auroc": Figure(value=0.9), "f1": Figure(value=1.0)},
    ]
    found = fold_figures(blocks, ["auroc", "f1", "brier"])
    assert list(found) == ["auroc"]
    assert found["auroc"].folds == (0.8, 0.9)
    assert found["auroc"].sd == pytest.approx(np.std([0.8, 0.9], ddof=1))
