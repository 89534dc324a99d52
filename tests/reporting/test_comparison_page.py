"""The page of models compared: complete, readable by a screen reader, and in agreement with the JSON."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from html_page import Page
from radlens.assessment.comparison import Comparisons, compare
from radlens.assessment.comparison_verdict import as_json
from radlens.assessment.matched_runs import Run, match_runs
from radlens.assessment.predictions import predictions_table
from radlens.dataset.manifest import DatasetInfo, Manifest
from radlens.reporting.comparison_page import render_comparison_page, summary

CLASSES = {"binary": ("NORMAL", "PNEU<MONIA"), "multiclass": ("a", "b", "c"), "multilabel": ("a", "b", "c")}


def compared(task: str, models: int = 2) -> Comparisons:
    rng = np.random.default_rng(0)
    classes = CLASSES[task]
    truth = np.eye(len(classes))[np.arange(120) % len(classes)]
    labels = [classes[index] for index in truth.argmax(axis=1)]
    paths = [f"{index}.png" for index in range(120)]
    table = pd.DataFrame({"path": paths, "label": labels, "patient": paths, "split": "test"})
    manifest = Manifest(table, DatasetInfo(name="x", task=task, classes=classes, root="."))
    runs = []
    for number in range(models):
        logits = np.exp((1 + number) * truth + rng.normal(size=truth.shape))
        scores = logits / logits.sum(axis=1, keepdims=True)
        runs.append(Run(f"model {number}", manifest.info, predictions_table(manifest, scores)))
    return compare(match_runs(runs), resamples=100)


@pytest.mark.parametrize("task", list(CLASSES))
def test_the_page_is_whole_and_says_what_the_json_says(task: str, page_of: type[Page]) -> None:
    found = compared(task)
    said = json.loads(json.dumps(as_json(found), allow_nan=False))
    html = render_comparison_page(found, lambda _: np.zeros((40, 40), np.uint8))
    page = page_of(html)
    assert said["verdict"] in page.text
    metric = {"binary": "auroc"}.get(task, "brier")
    assert f"{said['comparisons'][0]['metrics'][metric]['second']:.3f}" in page.text
    assert len(page.all("svg")) == (2 if task == "binary" else 1)
    assert "Only model 1 is right" in page.text
    assert all(image["alt"] for image in page.all("img"))
    assert not page.open
    assert "://" not in html
    assert html == render_comparison_page(found, lambda _: np.zeros((40, 40), np.uint8))


def test_several_models_have_a_part_each(page_of: type[Page]) -> None:
    found = compared("binary", models=3)
    page = page_of(render_comparison_page(found, None))
    assert [part.second for part in summary(found)] == ["model 1", "model 2"]
    assert "Holm" in page.text
    assert not page.all("img")
    identifiers = [attributes["id"] for _, attributes in page.elements if attributes.get("id")]
    assert len(identifiers) == len(set(identifiers))


def test_what_the_reader_must_know_is_said(page_of: type[Page]) -> None:
    text = page_of(render_comparison_page(compared("binary"), None)).text
    assert "not the ways in which they were trained" in text
    assert "Every image counts as a patient of its own" in text
