"""Predictions of other programs, from the file to the evidence, compared with scikit-learn's figures."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, brier_score_loss, precision_score, recall_score, roc_auc_score

import radlens
from known import known, span
from radlens.assessment.operating_point import choose_threshold
from radlens.base.errors import DataError, UsageError
from radlens.config import resolve, to_yaml
from radlens.dataset.manifest import DatasetInfo

QUICK = ("evaluate.resamples=100",)


@pytest.fixture
def table() -> pd.DataFrame:
    """What a logistic regression of scikit-learn says of 300 images of 150 patients."""
    rng = np.random.default_rng(3)
    truth = rng.integers(0, 2, 300)
    features = rng.normal(size=(300, 4)) + truth[:, None] * [1.0, 0.5, 0.0, 0.0]
    model = LogisticRegression().fit(features[:100], truth[:100])
    return pd.DataFrame(
        {
            "path": [f"scans/{number}.png" for number in range(300)],
            "label": np.where(truth, "PNEUMONIA", "NORMAL"),
            "patient": [f"p{number // 2}" for number in range(300)],
            "split": np.repeat(["val", "test"], [100, 200]),
            "probability_PNEUMONIA": model.predict_proba(features)[:, 1],
        }
    )


def test_the_figures_are_those_of_scikit_learn(table: pd.DataFrame, tmp_path: Path) -> None:
    table.drop(columns="split").to_csv(tmp_path / "answers.csv", index=False)
    result = radlens.evaluate(
        tmp_path / "answers.csv", None, tmp_path / "out", settings=(*QUICK, "evaluate.threshold=0.4")
    )
    truth, score = (table["label"] == "PNEUMONIA").to_numpy(), table["probability_PNEUMONIA"].to_numpy()
    called, block = score >= 0.4, result.metrics["test"]
    expected = {
        "auroc": roc_auc_score(truth, score),
        "average_precision": average_precision_score(truth, score),
        "brier": brier_score_loss(truth, score),
        "sensitivity": recall_score(truth, called),
        "specificity": recall_score(~truth, ~called),
        "precision": precision_score(truth, called),
    }
    for name, value in expected.items():
        low, measured, high = span(block.metrics[name])
        assert measured == pytest.approx(value, abs=1e-12), name
        assert low < value < high
    assert (block.n, block.n_patients, block.threshold) == (300, 150, 0.4)
    page = result.report.read_text(encoding="utf-8")
    assert "another program" in page
    assert "as stated in the settings" in page
    assert "no image was opened" in page
    assert "all readable" not in page
    assert result.predictions["probability_PNEUMONIA"].tolist() == score.tolist()


def test_the_operating_point_is_never_chosen_on_the_images_judged(
    table: pd.DataFrame, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "answers.csv"
    table.to_csv(file, index=False)
    chosen = radlens.evaluate(file, None, tmp_path / "validation", settings=QUICK)
    assert list(chosen.metrics) == ["val", "test"]
    validation = table[table["split"] == "val"]
    quality = [
        balance(validation, threshold)
        for threshold in (chosen.metrics["test"].threshold, *validation["probability_PNEUMONIA"])
    ]
    assert quality[0] == pytest.approx(max(quality))

    table[table["split"] == "test"].to_csv(file, index=False)
    with pytest.raises(UsageError, match="no rows of the split val"):
        radlens.evaluate(file, None, tmp_path / "refused", settings=(*QUICK, "evaluate.threshold=balanced"))
    assert not (tmp_path / "refused").exists()
    with caplog.at_level(logging.WARNING, "radlens"):
        half = radlens.evaluate(file, None, tmp_path / "half", settings=QUICK)
    assert half.metrics["test"].threshold == 0.5
    assert "0.5 is taken" in caplog.text
    assert "Operating point 0.5, for want of another" in half.report.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("config", "threshold", "said"),
    [
        ("preset: baseline", 0.3, "as the column threshold of the file has it"),
        ("preset: fast", 0.3, "as the column threshold of the file has it"),
        ("evaluate: {threshold: 0.4}", 0.4, "as stated in the settings"),
        ("preset: baseline\nevaluate: {threshold: 0.5}", 0.5, "as stated in the settings"),
        ("evaluate: {threshold: balanced}", None, "chosen (balanced) on the 100 validation rows"),
    ],
)
def test_what_a_preset_gives_was_not_stated_and_what_a_file_says_was(
    config: str, threshold: float | None, said: str, table: pd.DataFrame, tmp_path: Path
) -> None:
    table.assign(threshold=0.3).to_csv(tmp_path / "answers.csv", index=False)
    (tmp_path / "settings.yaml").write_text(config, encoding="utf-8")
    result = radlens.evaluate(
        tmp_path / "answers.csv", None, tmp_path / "out", config=tmp_path / "settings.yaml", settings=QUICK
    )
    assert said in result.report.read_text(encoding="utf-8")
    assert result.metrics["test"].threshold == (threshold or pytest.approx(balanced_on_validation(table)))


@pytest.mark.parametrize(
    ("preset", "settings", "threshold"),
    [("fast", (), 0.3), ("baseline", (), 0.3), ("fast", ("evaluate.threshold=0.4",), 0.4)],
)
def test_of_all_settings_of_a_run_those_unlike_its_preset_were_stated(
    preset: str, settings: tuple[str, ...], threshold: float, table: pd.DataFrame, tmp_path: Path
) -> None:
    table.assign(threshold=0.3).to_csv(tmp_path / "answers.csv", index=False)
    whole = to_yaml(resolve(preset, assignments=(*QUICK, *settings)))
    (tmp_path / "config.yaml").write_text(whole, encoding="utf-8")
    result = radlens.evaluate(tmp_path / "answers.csv", None, tmp_path / "out", config=tmp_path / "config.yaml")
    assert result.metrics["test"].threshold == threshold


def balanced_on_validation(table: pd.DataFrame) -> float:
    validation = table[table["split"] == "val"]
    info = DatasetInfo(name="x", root="", task="binary", classes=("NORMAL", "PNEUMONIA"))
    scored = validation.assign(probability_NORMAL=1 - validation["probability_PNEUMONIA"])
    return choose_threshold("balanced", scored, info)


def test_the_costs_that_are_stated_choose_the_operating_point(table: pd.DataFrame, tmp_path: Path) -> None:
    table.to_csv(tmp_path / "answers.csv", index=False)
    asked = (*QUICK, "evaluate.threshold=cost", "evaluate.cost_missed=20")
    careful = radlens.evaluate(tmp_path / "answers.csv", None, tmp_path / "careful", settings=asked)
    equal = radlens.evaluate(tmp_path / "answers.csv", None, tmp_path / "equal", settings=asked[:-1])
    assert known(careful.metrics["test"].threshold) < known(equal.metrics["test"].threshold)


def balance(rows: pd.DataFrame, threshold: float) -> float:
    truth, called = rows["label"] == "PNEUMONIA", rows["probability_PNEUMONIA"] >= threshold
    return float((recall_score(truth, called) + recall_score(~truth, ~called)) / 2)


def test_a_source_gives_labels_splits_and_pictures(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = []
    for split in ("val", "test"):
        for label in ("NORMAL", "PNEUMONIA"):
            (tmp_path / "images" / split / label).mkdir(parents=True)
            for number in range(12):
                name = f"{split}_{label}_{number}.png"
                Image.fromarray(rng.integers(0, 255, (40, 40), np.uint8)).save(
                    tmp_path / "images" / split / label / name
                )
                rows.append((name, rng.random(), split))
    table = pd.DataFrame(rows, columns=["image", "score", "kept"])
    file, source = tmp_path / "answers.csv", tmp_path / "images"
    table.to_csv(file, index=False)
    result = radlens.evaluate(file, source, tmp_path / "out", settings=QUICK)
    assert {split: block.n for split, block in result.metrics.items()} == {"val": 24, "test": 24}
    assert "data:image" in result.report.read_text(encoding="utf-8")
    assert "was read as the probability of PNEUMONIA" in result.report.read_text(encoding="utf-8")
    assert json.loads((result.folder / "audit.json").read_text(encoding="utf-8"))["images"] == 48
    lowest = result.predictions.set_index("path")["probability_PNEUMONIA"]
    given = table.set_index("image")["score"]
    assert all(lowest[path] == given[path.rpartition("/")[2]] for path in lowest.index)

    table[table["kept"] == "test"].iloc[2:].to_csv(file, index=False)
    with pytest.raises(DataError, match=r"no row for 2 of 24 images of the split test, first:\n  - test/NORMAL"):
        radlens.evaluate(file, source, tmp_path / "missing", settings=QUICK)


def test_a_model_needs_a_source(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="give a SOURCE"):
        radlens.evaluate("pneumonia-cxr", None, tmp_path / "out")


@pytest.mark.parametrize(("task", "label"), [("multiclass", "viral"), ("multilabel", "normal|viral")])
def test_other_tasks_are_judged_too(task: str, label: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    scores = rng.dirichlet(np.ones(3), 60)
    table = pd.DataFrame(scores, columns=["probability_normal", "probability_bacterial", "probability_viral"])
    table.insert(0, "label", ["normal", "bacterial", label] * 20)
    table.insert(0, "path", [f"{number}.png" for number in range(60)])
    table.to_csv(tmp_path / "answers.csv", index=False)
    result = radlens.evaluate(tmp_path / "answers.csv", None, tmp_path / "out", settings=QUICK)
    assert result.manifest.info.task == task
    assert result.metrics["test"].n == 60
