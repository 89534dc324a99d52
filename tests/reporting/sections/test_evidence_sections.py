"""What the report adds for those who act on the answers, and of the probabilities themselves."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from fixture_types import ManifestOf, ProbabilitiesFor
from html_page import Page
from known import known, span
from radlens.assessment.evaluate import evaluate
from radlens.assessment.predictions import predictions_table
from radlens.config import EvaluateSettings
from radlens.reporting import ReportContent, render_report
from radlens.reporting.sections.calibration import calibration_view
from radlens.reporting.sections.decision import decision_view, shortfalls
from radlens.runtime.metrics_sections import Metric
from radlens.statistics.interval_methods import METHODS

ContentOf = Callable[..., ReportContent]

SETTINGS = EvaluateSettings(resamples=100)


@pytest.fixture(scope="module")
def content_for(manifest_of: ManifestOf, probabilities_for: ProbabilitiesFor) -> ContentOf:
    def make(task: str = "binary", settings: EvaluateSettings = SETTINGS, **options: object) -> ReportContent:
        manifest = manifest_of(task, **options)
        predictions = predictions_table(manifest, probabilities_for(manifest))
        metrics = evaluate(predictions, manifest.info, 0.5, settings, seed=0)
        return ReportContent("A run", manifest.info, manifest.table, predictions, metrics)

    return make


@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel"])
def test_every_interval_names_its_method_and_each_method_is_explained(
    task: str, content_for: ContentOf, page_of: type[Page]
) -> None:
    content = content_for(task)
    text = page_of(render_report(content)).text
    block = content.metrics["test"]
    for name, explained in block.interval.methods.items():
        assert name in text
        assert METHODS[name] == explained
        assert explained[1:] in text
    for metric in ("sensitivity", "brier", "ece"):
        measured = block.metrics[metric]
        low, _, high = span(measured)
        limits, shares = f"{low:.3f}–{high:.3f} {measured.method}", f"{100 * low:.1f}–{high:.1%} {measured.method}"
        assert limits in text or shares in text, metric


def test_the_tables_carry_the_numbers_of_metrics_json(content_for: ContentOf, page_of: type[Page]) -> None:
    content = content_for(settings=SETTINGS.model_copy(update={"prevalence": (0.013, 0.4)}))
    page = page_of(render_report(content))
    block, text = content.metrics["test"], page.text
    low, value, high = span(known(block.predictive_values)[0].ppv)
    assert f"1.3% {value:.1%} {100 * low:.1f}–{high:.1%}" in text
    for row in known(block.thresholds):
        mark = " operating point" if row.operating_point else ""
        assert f"{row.threshold:.3g}{mark} {row.sensitivity.value:.1%}" in text
    curve = known(block.decision_curve)
    at = curve.threshold.index(0.2)
    assert f"20% {curve.net_benefit[at]:.3f} {curve.low[at]:.3f} to {curve.high[at]:.3f}" in text
    calibration = known(block.calibration)
    for part in calibration.bins:
        assert f"{part.n} {part.mean:.4f} {part.observed.value:.1%}" in text
    parts = known(calibration.brier_parts)
    assert f"{parts.resolution:.4f} {parts.resolution_corrected:.4f}" in text
    assert "Net benefit on test images: at 5% " in re.sub(r"\s+", " ", render_report(content))


def test_a_model_that_guesses_is_not_said_to_do_good(
    manifest_of: ManifestOf, probabilities_for: ProbabilitiesFor, page_of: type[Page]
) -> None:
    manifest = manifest_of("binary")
    predictions = predictions_table(manifest, probabilities_for(manifest, strength=0.0))
    metrics = evaluate(predictions, manifest.info, 0.5, SETTINGS, seed=0)
    view = decision_view(metrics["test"], "test")
    assert view is not None
    assert view["said"].startswith("At no probability")


@pytest.mark.parametrize("task", ["multiclass", "multilabel"])
def test_other_tasks_have_calibration_and_no_decision_curve(
    task: str, content_for: ContentOf, page_of: type[Page]
) -> None:
    content = content_for(task)
    assert decision_view(content.metrics["test"], "test") is None
    text = page_of(render_report(content)).text
    assert "Calibration error, corrected" in text
    assert "Decision curve" not in text
    assert "Calibration slope" not in text


def test_an_absent_class_leaves_the_decisions_out(
    manifest_of: ManifestOf, probabilities_for: ProbabilitiesFor, page_of: type[Page]
) -> None:
    manifest = manifest_of("binary")
    part = manifest.only(((manifest.table["label"] == "NORMAL") & (manifest.table["split"] == "test")).to_numpy())
    predictions = predictions_table(part, probabilities_for(part))
    metrics = evaluate(predictions, part.info, 0.5, SETTINGS, seed=0)
    assert decision_view(metrics["test"], "test") is None
    assert known(known(metrics["test"].calibration).slope).value is None
    text = page_of(render_report(ReportContent("t", part.info, part.table, predictions, metrics))).text
    assert "Fewer than two patients have images of one kind" in text or "fewer than two patients" in text


def test_too_few_patients_are_said_with_how_many_more(content_for: ContentOf, page_of: type[Page]) -> None:
    content = content_for()
    block = content.metrics["test"]
    (said,) = shortfalls(block)
    sizes = known(block.sample_size).needed["PNEUMONIA"]
    assert f"Sensitivity reaches ±{100 * sizes['sensitivity'].half_width:.1f} points" in said
    assert f"{sizes['sensitivity'].more_positive:,} more patients with PNEUMONIA images" in said
    assert f"{sizes['specificity'].more_negative:,} more patients with NORMAL images" in said
    assert said in page_of(render_report(content)).text
    enough = content_for(settings=SETTINGS.model_copy(update={"margin": 0.4})).metrics["test"]
    assert shortfalls(enough) == []
    labels = content_for("multilabel").metrics["test"]
    (said,) = shortfalls(labels)
    assert re.search(r"mass needs [\d,]+ more patients with it", said)


def test_limits_below_0_are_told_with_a_word(content_for: ContentOf) -> None:
    below = Metric(value=-0.1, low=-0.5, high=0.3, method="m")
    evidence = known(content_for().metrics["test"].calibration).model_copy(update={"intercept": below})
    (row,) = (row for row in calibration_view(evidence)["figures"] if row["name"] == "Calibration in the large")
    assert row["interval"] == "−0.500 to 0.300"


def test_hostile_names_stay_text_in_the_new_tables(
    manifest_of: ManifestOf, probabilities_for: ProbabilitiesFor, page_of: type[Page]
) -> None:
    hostile = '<img src=x onerror="alert(1)">'
    manifest = manifest_of("binary", classes=("normal", hostile))
    predictions = predictions_table(manifest, probabilities_for(manifest))
    metrics = evaluate(predictions, manifest.info, 0.5, SETTINGS, seed=0)
    content = ReportContent("t", manifest.info, manifest.table, predictions, metrics)
    page = page_of(render_report(replace(content)))
    assert not any("onerror" in attributes for _, attributes in page.elements)
    assert f"Prevalence of {hostile}" in page.text
    assert np.isfinite(known(metrics["test"].decision_curve).net_benefit).all()


def test_no_prevalence_leaves_its_table_out(content_for: ContentOf, page_of: type[Page]) -> None:
    text = page_of(render_report(content_for(settings=SETTINGS.model_copy(update={"prevalence": ()})))).text
    assert "Where the disease is rarer" not in text
    assert "Decision curve" in text
