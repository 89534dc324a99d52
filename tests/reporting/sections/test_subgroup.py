"""The report says who the model fails, in words, in tables and as a forest plot."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from html_page import Page
from radlens.assessment.evaluate import evaluate
from radlens.assessment.predictions import predictions_table
from radlens.assessment.subgroups import find_subgroups
from radlens.config import EvaluateSettings
from radlens.dataset.manifest import DatasetInfo, Manifest
from radlens.reporting.content import ReportContent
from radlens.reporting.render import render_report
from radlens.reporting.sections.subgroup import subgroup_view

SETTINGS = EvaluateSettings(resamples=200)


def content(*, fails_women: bool, images: int = 300) -> ReportContent:
    rng = np.random.default_rng(2)
    truth, sex = np.arange(images) % 2, np.where(np.arange(images) % 3 == 0, "F", "M<b>")
    logit = 4 * truth - 2 - 2 * fails_women * truth * (sex == "F") + rng.normal(size=images)
    score = 1 / (1 + np.exp(-logit))
    names = [f"{number}.png" for number in range(images)]
    label = np.where(truth, "PNEUMONIA", "NORMAL")
    table = pd.DataFrame({"path": names, "label": label, "patient": names, "split": "test", "sex": sex})
    info = DatasetInfo(name="x", task="binary", classes=("NORMAL", "PNEUMONIA"), root=".")
    predictions = predictions_table(Manifest(table, info), np.stack([1 - score, score], axis=1))
    found = find_subgroups(predictions, table, info, 0.5, SETTINGS, 0, "test")
    return ReportContent("t", info, table, predictions, evaluate(predictions, info, 0.5, SETTINGS, 0), subgroups=found)


def test_a_group_that_differs_is_named_with_both_figures(page_of: type[Page]) -> None:
    made = content(fails_women=True)
    view = subgroup_view(made)
    assert view is not None
    assert view.verdict == "The model does differently on 2 groups than on the rest, by more than chance."
    assert view.tests == 3
    assert made.subgroups is not None
    row = made.subgroups.query("group == 'F' and metric == 'sensitivity'").iloc[0]
    assert any(
        text.startswith(f"Sex, F: Sensitivity (recall) {row['value']:.1%} against {row['rest']:.1%} in the rest")
        for text in view.found
    )
    page = page_of(render_report(made))
    assert view.found[0] in page.text
    assert f"{row['low']:.1%}".removesuffix("%") in page.text
    assert "M<b>" in page.text
    assert not page.open
    assert sum("Sensitivity (recall) by group" in word for word in page.words) >= 2


def test_no_difference_is_not_called_equality() -> None:
    view = subgroup_view(content(fails_women=False))
    assert view is not None
    assert view.verdict.startswith("None of the 3 differences tested is larger than chance would make it.")
    assert "not proof" in view.verdict
    assert not view.found


def test_groups_too_small_to_test_are_said_to_be(page_of: type[Page]) -> None:
    made = content(fails_women=False, images=24)
    view = subgroup_view(made)
    assert view is not None
    assert view.verdict.startswith("The groups are too small to test")
    assert "too small to test: 4 patients, 10 are needed" in page_of(render_report(made)).text


@pytest.mark.parametrize("subgroups", [None, pd.DataFrame()])
def test_without_groups_there_is_no_section(subgroups: pd.DataFrame | None) -> None:
    made = content(fails_women=False, images=24)
    plain = ReportContent("t", made.info, made.manifest, made.predictions, made.metrics, subgroups=subgroups)
    assert 'id="subgroups"' not in render_report(plain)
