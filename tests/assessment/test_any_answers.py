"""Any table of answers is measured: ties, constants, 0 and 1, one class, one patient, one image."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from known import known
from radlens.assessment.calibration_line import calibration_line
from radlens.assessment.evaluate import evaluate
from radlens.assessment.predictions import predictions_table
from radlens.assessment.subgroups import find_subgroups
from radlens.config import EvaluateSettings
from radlens.dataset.manifest import DatasetInfo, Manifest
from radlens.decision import Task
from radlens.runtime.metrics_record import METRICS_FORM
from radlens.runtime.metrics_sections import Metric
from radlens.runtime.record_base import Figure, Record
from radlens.statistics.metrics import Floats, Ints

SETTINGS = EvaluateSettings(resamples=100)
CLASSES: dict[Task, tuple[str, ...]] = {
    "binary": ("normal", "sick"),
    "multiclass": ("normal", "bacterial", "viral"),
    "multilabel": ("effusion", "mass", "nodule"),
}
# Ties, both ends, what is next to them, and the smallest number above 0.
SCORES = (0.0, 1.0, 0.5, 0.2, 0.7, 1e-300, 5e-324, 1 - 2**-53, 1e-17)


@st.composite
def answered(draw: st.DrawFn, task: Task) -> tuple[pd.DataFrame, Manifest]:
    """Answers from few scores, to images of few patients, with whatever classes they have."""
    images, classes = draw(st.integers(1, 8)), CLASSES[task]
    several = st.lists(st.sampled_from(SCORES), min_size=len(classes), max_size=len(classes))
    scores = np.array(draw(st.lists(several, min_size=images, max_size=images)))
    cells: list[str]
    if task == "multilabel":
        cells = ["|".join(draw(st.sets(st.sampled_from(classes)).map(sorted))) for _ in range(images)]
    else:
        cells = [draw(st.sampled_from(classes)) for _ in range(images)]
        scores = scores + (scores.sum(axis=1, keepdims=True) == 0)
        scores /= scores.sum(axis=1, keepdims=True)
    return table_of(task, scores, cells, [draw(st.sampled_from("abc")) for _ in range(images)])


def table_of(task: Task, scores: Floats, cells: list[str], patients: list[str]) -> tuple[pd.DataFrame, Manifest]:
    """A predictions table of the split test and its manifest, in which a class may have no image."""
    info = DatasetInfo(name="made up", task=task, classes=CLASSES[task], root=".")
    rows = {"path": [f"{number}.png" for number in range(len(cells))], "label": cells, "patient": patients}
    extra = pd.DataFrame({"path": list(info.classes), "label": list(info.classes), "patient": "x", "split": "train"})
    table = pd.concat([pd.DataFrame(rows).assign(split="test"), extra], ignore_index=True)
    manifest = Manifest(table.assign(site=np.arange(len(table)) % 2), info)
    manifest = manifest.only((manifest.table["split"] == "test").to_numpy())
    return predictions_table(manifest, scores), manifest


def figures_in(value: object) -> list[Figure]:
    """All figures within a record."""
    if isinstance(value, Figure):
        return [value]
    if isinstance(value, Record):
        value = dict(value)
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return [figure for each in inner for figure in figures_in(each)]


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("task", list(CLASSES))
def test_every_table_is_measured_and_what_cannot_be_says_why(task: Task) -> None:
    @settings(deadline=None, max_examples=25)
    @given(answered(task))
    def check(case: tuple[pd.DataFrame, Manifest]) -> None:
        table, manifest = case
        measured = evaluate(table, manifest.info, 0.5, SETTINGS, seed=0)
        for figure in figures_in(measured):
            if figure.value is None:
                assert not isinstance(figure, Metric) or figure.reason
            elif figure.low is not None:
                assert figure.low <= figure.value <= known(figure.high)
        content = {name: record.model_dump(mode="json", exclude_unset=True) for name, record in measured.items()}
        assert METRICS_FORM.validate_json(json.dumps(content, allow_nan=False), strict=True) == measured
        groups = find_subgroups(table, manifest.table, manifest.info, 0.5, SETTINGS, 0, "test")
        assert (groups["value"].notna() | (groups["remark"] != "")).all()

    check()


def hard(task: Task, truth: Ints, called: Ints) -> tuple[pd.DataFrame, Manifest]:
    names, identity = np.array(CLASSES[task]), np.eye(len(CLASSES[task]))
    return table_of(task, identity[called], names[truth].tolist(), [str(number) for number in range(len(truth))])


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_hard_answers_have_every_figure_but_those_of_probabilities(task: Task) -> None:
    rng = np.random.default_rng(4)
    truth = rng.integers(0, len(CLASSES[task]), 80)
    called = np.where(rng.random(80) < 0.2, rng.integers(0, len(CLASSES[task]), 80), truth)
    table, manifest = hard(task, truth, called)
    block = evaluate(table, manifest.info, 0.5, SETTINGS, seed=0)["test"]
    assert block.accuracy.value == pytest.approx((truth == called).mean())
    missing = {name: metric.reason for name, metric in block.metrics.items() if metric.value is None}
    assert missing == {"ece": "the answers are 0 and 1 alone, which are no probabilities"}
    calibration = known(block.calibration)
    assert all(metric.value is None for metric in calibration.metrics.values())
    assert sum(part.n for part in calibration.bins) == 80
    # The area below a curve of one point.
    balanced = (known(block.sensitivity.value) + known(block.specificity.value)) / 2
    assert block.auroc.value == pytest.approx(balanced)
    assert "the curve has one point" in known(block.auroc.reason)
    if task == "binary":
        assert block.brier.value == pytest.approx((truth != called).mean())


def test_right_answers_that_are_certain_leave_the_line_of_the_others_alone() -> None:
    rng = np.random.default_rng(2)
    logits = rng.normal(0, 1.5, 200)
    truth = (rng.random(200) < 1 / (1 + np.exp(-logits))).astype(np.int64)
    score, patients = 1 / (1 + np.exp(-1.7 * logits)), np.arange(200)
    alone = calibration_line(score, truth, patients, 0.95)
    more = calibration_line(np.append(score, [1.0, 0.0]), np.append(truth, [1, 0]), np.arange(202), 0.95)
    for name, metric in alone.items():
        assert more[name].value == pytest.approx(known(metric.value), abs=1e-9)
        assert more[name].reason == "without 2 right answer(s) whose probability is exactly 0 or 1"
    wrong = calibration_line(np.append(score, 1.0), np.append(truth, 0), np.arange(201), 0.95)
    assert all(metric.value is None and "1 wrong answer(s)" in known(metric.reason) for metric in wrong.values())


@pytest.mark.parametrize("power", [1e-12, 8.0])
def test_the_line_scales_with_the_logits(power: float) -> None:
    """Logits that are so many times as large have a slope that is so many times smaller."""
    rng = np.random.default_rng(6)
    logits = rng.normal(0, 1.0, 150)
    truth = (rng.random(150) < 1 / (1 + np.exp(-logits))).astype(np.int64)
    plain, scaled = (
        calibration_line(1 / (1 + np.exp(-factor * logits)), truth, np.arange(150), 0.95)["slope"]
        for factor in (1.0, power)
    )
    assert known(scaled.value) * power == pytest.approx(known(plain.value), rel=1e-3)
    assert known(scaled.low) * power == pytest.approx(known(plain.low), rel=1e-3, abs=1e-3)
