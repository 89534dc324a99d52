"""What a report says of its own limits holds for the run, and is left out where it does not."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from fixture_types import AuditOf, ManifestOf, ProbabilitiesFor
from known import known
from radlens.assessment.evaluate import evaluate
from radlens.assessment.predictions import predictions_table
from radlens.config import EvaluateSettings
from radlens.dataset.access_log import Access
from radlens.dataset.audit import Finding
from radlens.dataset.audit.shortcuts import Shortcut
from radlens.reporting.content import Origin, Provenance, ReportContent
from radlens.reporting.sections.limits import limit_texts
from radlens.reporting.sections.summary import abstention_sentence, doubt_sentence
from radlens.runtime.metrics_sections import AbstentionCounts, Metric
from radlens.runtime.record_base import Figure
from radlens.statistics.auroc import Auroc

SETTINGS = EvaluateSettings(resamples=100)


@pytest.fixture(scope="module")
def content(manifest_of: ManifestOf, probabilities_for: ProbabilitiesFor, audit_of: AuditOf) -> ReportContent:
    manifest = manifest_of("binary")
    predictions = predictions_table(manifest, probabilities_for(manifest))
    metrics = evaluate(predictions, manifest.info, 0.5, SETTINGS, seed=0)
    return ReportContent("A run", manifest.info, manifest.table, predictions, metrics, audit=audit_of(manifest))


def said(content: ReportContent) -> str:
    return " ".join(limit_texts(content))


def finding(check: str, severity: str = "warn") -> Finding:
    return Finding.model_validate({"check": check, "severity": severity, "message": "m", "count": 1})


@pytest.mark.parametrize(
    ("origin", "words", "others"),
    [
        ("run", "trained and judged on parts of one data set, made up", "Another program"),
        ("folds", "judged by the model of its fold", "Another program"),
        ("model", "The model was trained on elsewhere. Whether these images", "parts of one data set"),
        ("outside", "Another program made the predictions", "parts of one data set"),
    ],
)
def test_where_the_model_comes_from_decides_what_is_said_of_an_external_test(
    content: ReportContent, origin: Origin, words: str, others: str
) -> None:
    text = said(replace(content, provenance=Provenance(origin, trained_on="elsewhere")))
    assert words in text
    assert others not in text


def test_simulated_images_are_the_first_limit(content: ReportContent) -> None:
    assert "simulated" not in said(content)
    simulated = replace(content, info=content.info.model_copy(update={"simulated": True}))
    assert limit_texts(simulated)[0] == "The images are simulated: no figure says anything of patients."


def test_what_the_audit_found_or_did_not_look_for_is_a_limit(
    content: ReportContent, audit_of: AuditOf, manifest_of: ManifestOf
) -> None:
    manifest = manifest_of("binary")
    assert "The images were not audited." in said(replace(content, audit=None))
    assert "were not opened" in said(replace(content, audit=audit_of(manifest, opened=False)))
    leaking = audit_of(manifest, finding("leak", "block"), finding("patients_unknown"), allowed=("leak",))
    text = said(replace(content, audit=leaking))
    assert "were allowed (leak): the figures may be too good" in text
    assert "Not every patient is known" in text
    noted = said(replace(content, audit=audit_of(manifest, finding("drift", "note"))))
    assert "differ" not in noted


def test_a_shortcut_is_told_with_its_figure_and_a_missing_search_is_told_too(
    content: ReportContent, audit_of: AuditOf, manifest_of: ManifestOf
) -> None:
    manifest = manifest_of("binary")
    view = Shortcut(
        view="border",
        auroc=Auroc(value=0.97, low=0.93, high=0.99),
        classes={},
        images=9,
        patients=9,
        sampled=False,
    )
    text = said(replace(content, audit=audit_of(manifest, finding("shortcut_border"), shortcuts=(view,))))
    assert "from the border of the picture with an AUROC of 0.97 (95% CI 0.93–0.99)" in text
    frame = view.model_copy(update={"view": "framing"})
    text = said(replace(content, audit=audit_of(manifest, finding("shortcut_framing"), shortcuts=(frame,))))
    assert "from how tightly the chest is framed with an AUROC of 0.97" in text
    quiet = said(replace(content, audit=audit_of(manifest, shortcuts=(view,))))
    assert "without the anatomy" not in quiet
    assert "without the anatomy was not measured" in said(content)


def test_only_a_second_model_on_the_same_test_images_is_a_limit(content: ReportContent) -> None:
    def access(model: str, data: str = "d") -> Access:
        return Access(when="2026-01-02T10:00:00+00:00", why="run", model=model, data=data, images=9)

    def with_accesses(*accesses: Access) -> str:
        return said(replace(content, provenance=Provenance("run", openings=accesses)))

    assert "scored 2 times by 2 models" in with_accesses(access("a"), access("b"))
    assert "scored" not in with_accesses(access("a"), access("a"))
    assert "scored" not in with_accesses(access("a", "other"), access("b"))


def test_groups_that_the_table_does_not_tell_are_named(content: ReportContent) -> None:
    assert "does not tell sex, age, site or view" in said(content)
    told = content.manifest.assign(Sex="F", age="50", hospital="A")
    assert "does not tell view:" in said(replace(content, manifest=told))
    assert "does not tell" not in said(replace(content, manifest=told.assign(view="PA")))


def test_few_patients_limit_the_figure_that_they_limit_most(content: ReportContent) -> None:
    assert "With 40 patients, " in said(content)
    assert "points and no better" in said(content)


def test_doubtful_labels_are_counted(content: ReportContent) -> None:
    assert "doubtful" not in said(content)
    assert "2 of them are doubtful" in said(replace(content, suspects=pd.DataFrame({"path": ["a", "b"]})))


def abstaining(content: ReportContent) -> ReportContent:
    share = Figure(value=0.5, low=0.4, high=0.6)
    counts = AbstentionCounts(
        n_answered=60,
        n_referred=15,
        n_refused=5,
        errors=10,
        errors_avoided=4,
        answered=share,
        referred=share,
        refused=share,
        accuracy=Figure(value=0.9, low=0.8, high=0.95),
        definitions={},
    )
    return replace(content, metrics={"test": content.metrics["test"].model_copy(update={"abstention": counts})})


def test_what_is_left_to_a_person_is_said_first_and_limits_the_figures(content: ReportContent) -> None:
    assert "There is no abstention" in said(content)
    assert "20 images (25.0%) are left to a person" in said(abstaining(content))
    assert abstention_sentence(content).startswith("Every image gets an answer")
    assert abstention_sentence(abstaining(content)) == (
        "Where it may abstain, it answers 60 and is right for 90.0% (95% CI 80.0–95.0%) of these; it refers 15 to a "
        "person and refuses 5."
    )


def test_the_summary_names_what_makes_the_figures_doubtful(
    content: ReportContent, audit_of: AuditOf, manifest_of: ManifestOf
) -> None:
    manifest = manifest_of("binary")
    noted = replace(content, audit=audit_of(manifest, finding("class_imbalance", "note")))
    assert doubt_sentence(noted) == ("The audit found nothing that makes these figures doubtful.", False)
    warned = replace(content, audit=audit_of(manifest, finding("drift"), finding("leak", "block")))
    text, doubtful = doubt_sentence(warned)
    assert doubtful
    assert text.endswith("see what the audit found: Leak; The splits differ.")
    assert doubt_sentence(replace(content, audit=None))[1]


def test_probabilities_that_are_too_sure_are_a_limit(content: ReportContent) -> None:
    def with_slope(slope: Metric) -> ReportContent:
        record = content.metrics["test"]
        calibration = known(record.calibration).model_copy(update={"slope": slope})
        return replace(content, metrics={"test": record.model_copy(update={"calibration": calibration})})

    text = said(with_slope(Metric(value=0.5, low=0.4, high=0.7)))
    assert "too sure (calibration slope 0.500, CI 0.400–0.700)" in text
    assert "too sure" not in said(with_slope(Metric(value=0.9, low=0.7, high=1.2)))


@pytest.mark.parametrize("task", ["multiclass", "multilabel"])
def test_other_tasks_have_limits_too(task: str, manifest_of: ManifestOf, probabilities_for: ProbabilitiesFor) -> None:
    manifest = manifest_of(task)
    predictions = predictions_table(manifest, probabilities_for(manifest))
    metrics = evaluate(predictions, manifest.info, 0.5, SETTINGS, seed=0)
    text = said(ReportContent("A run", manifest.info, manifest.table, predictions, metrics))
    assert "patients, " in text
    assert "Precision and accuracy hold" not in text
