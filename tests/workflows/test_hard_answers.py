"""Answers of 0 and 1 and other degenerate tables, from file to page; what is invalid is refused before a look."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import radlens
from radlens.base.errors import DataError, UsageError

QUICK = ("evaluate.resamples=100",)
IMAGES = 40
TRUTH = np.arange(IMAGES) % 2
HARD = np.where(np.arange(IMAGES) % 7 == 0, 1 - TRUTH, TRUTH)


def table(score: Any, **columns: Any) -> pd.DataFrame:
    names = {"image": [f"{number}.png" for number in range(IMAGES)], "label": np.where(TRUTH, "sick", "normal")}
    return pd.DataFrame({**names, "score": score, **columns})


def judged(answers: pd.DataFrame, folder: Path, *settings: str) -> Any:
    folder.mkdir()
    answers.to_csv(folder / "answers.csv", index=False)
    return radlens.evaluate(folder / "answers.csv", None, folder / "out", settings=(*QUICK, *settings))


@pytest.mark.parametrize(
    ("score", "patients", "said"),
    [
        (HARD, np.arange(IMAGES), "Calibration error (ECE) cannot be estimated: the answers are 0 and 1 alone"),
        (HARD, "one", "AUROC 0.850: two distinct scores: the curve has one point"),
        (np.full(IMAGES, 0.5), np.arange(IMAGES) // 2, "AUROC 0.500: all scores are equal: there is no curve"),
        (np.zeros(IMAGES), np.arange(IMAGES), "Precision cannot be estimated: no image was called sick."),
    ],
)
def test_the_page_says_what_cannot_be_estimated(score: Any, patients: Any, said: str, tmp_path: Path) -> None:
    result = judged(table(score, patient=patients), tmp_path / "case")
    assert said in result.report.read_text(encoding="utf-8")
    assert result.metrics["test"].accuracy.value == pytest.approx(((score >= 0.5) == TRUTH).mean())


def test_two_tables_of_hard_answers_are_compared(tmp_path: Path) -> None:
    first, second = (judged(table(score), tmp_path / name) for name, score in (("first", HARD), ("second", TRUTH)))
    found = radlens.compare([first.folder, second.folder], tmp_path / "compared", resamples=100).pairs[0]
    assert found.metrics["auroc"]["difference"] == pytest.approx(1 - ((HARD == TRUTH).mean()), abs=0.01)
    same = radlens.compare([first.folder, judged(table(HARD), tmp_path / "again").folder], resamples=100).pairs[0]
    assert (same.test.value, same.test.standard_error, same.p_holm) == (0, 0, 1)


@pytest.mark.parametrize("validation", [np.full(20, 0.5), np.ones(20)])
def test_validation_rows_that_allow_no_choice_leave_one_half(validation: Any, tmp_path: Path) -> None:
    answers = table(np.append(validation, HARD[20:]), split=["val"] * 20 + ["test"] * 20)
    result = judged(answers, tmp_path / "case")
    assert result.metrics["test"].threshold == 0.5
    assert "every validation image has the same score" in result.report.read_text(encoding="utf-8")
    with pytest.raises(DataError, match="same score"):
        judged(answers, tmp_path / "stated", "evaluate.threshold=balanced")


@pytest.mark.parametrize(
    ("row", "value", "message"),
    [
        (3, "", r"score is '' in row 5"),
        (0, "nan", r"score is 'nan' in row 2"),
        (1, "-inf", r"score is '-inf' in row 3 \(1 in all\).*Logits go through"),
        (2, "1.0000001", r"score is '1.0000001' in row 4"),
    ],
)
def test_what_is_no_probability_is_refused_by_row_before_anything_is_written(
    row: int, value: str, message: str, tmp_path: Path
) -> None:
    scores = HARD.astype(str).astype(object)
    scores[row] = value
    with pytest.raises(DataError, match=message):
        judged(table(scores), tmp_path / "case")
    assert not (tmp_path / "case" / "out").exists()


def test_groups_that_cannot_be_made_are_refused_before_test_images_are_looked_at(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"evaluate.subgroups: the manifest has no column 'age'"):
        judged(table(HARD), tmp_path / "case", "evaluate.subgroups=[age]")
    assert not (tmp_path / "case" / "out").exists()


def test_rows_of_other_images_are_left_out_and_said(tmp_path: Path) -> None:
    source = tmp_path / "source.csv"
    for number in range(IMAGES):
        Image.fromarray(np.full((8, 8), number, np.uint8)).save(tmp_path / f"{number}.png")
    labels = table(HARD).drop(columns="score").rename(columns={"image": "path"})
    labels.to_csv(source, index=False)
    more = pd.DataFrame({"image": ["x.png", "y.png"], "label": "sick", "score": 0.5})
    pd.concat([table(HARD), more]).to_csv(tmp_path / "answers.csv", index=False)
    result = radlens.evaluate(tmp_path / "answers.csv", source, tmp_path / "out", settings=QUICK, allow=("leak",))
    assert result.metrics["test"].n == IMAGES
    assert "2 row(s) of answers.csv are of other images and were left out" in result.report.read_text(encoding="utf-8")


def test_a_set_of_one_class_is_judged_by_what_it_can_tell(tmp_path: Path) -> None:
    answers = table(HARD).iloc[1::2].rename(columns={"score": "probability_sick"})
    result = judged(answers, tmp_path / "case")
    block = result.metrics["test"]
    assert block.sensitivity.value == pytest.approx(HARD[1::2].mean())
    assert (block.specificity.value, block.auroc.value) == (None, None)
    page = result.report.read_text(encoding="utf-8")
    assert "Specificity, AUROC cannot be estimated: no image is other than sick." in page
    assert "No image is of the class other than sick" in page
    radlens.compare([result.folder, judged(answers, tmp_path / "again").folder], tmp_path / "both", resamples=100)
