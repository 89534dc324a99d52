"""The section on what changes a model's mind says what metrics.json says, and is absent where nothing was measured."""

from __future__ import annotations

import base64
import io
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from PIL import Image

from fixture_types import ManifestOf, ProbabilitiesFor
from html_page import Page
from radlens.assessment.evaluate import evaluate
from radlens.assessment.framing_evidence import judge_framing
from radlens.assessment.predictions import predictions_table, probabilities_of
from radlens.config import EvaluateSettings
from radlens.imaging.framing import SUITE, Framing, reframe
from radlens.reporting.content import Provenance, ReportContent
from radlens.reporting.render import render_report
from radlens.reporting.sections.checklist import checklists
from radlens.reporting.sections.framing import framing_view
from radlens.reporting.sections.limits import limit_texts
from radlens.reporting.sections.summary import framing_sentence
from radlens.runtime.framing_records import FramingEvidence

Maker = tuple[ReportContent, FramingEvidence]
BAD = next(number for number, change in enumerate(SUITE) if change.name == "top 10 %")


def made(
    manifest_of: ManifestOf, probabilities_for: ProbabilitiesFor, task: str = "binary", share: float = 0.9
) -> Maker:
    """A report on a model of which one change turns a share of the answers to the last class."""
    manifest = manifest_of(task, images=200)
    predictions = predictions_table(manifest, probabilities_for(manifest, strength=4.0))
    metrics = evaluate(predictions, manifest.info, 0.5, EvaluateSettings(resamples=100), seed=0)
    test = predictions[predictions["split"] == "test"]
    plain = probabilities_of(test, manifest.info)
    turned = np.random.default_rng(0).random(len(plain)) < share
    answers = [plain] * len(SUITE)
    answers[BAD] = np.where(turned[:, None], plain[:, ::-1], plain)
    evidence = judge_framing(test, answers, manifest.info, 0.5)
    metrics["test"] = metrics["test"].model_copy(update={"framing": evidence})
    return ReportContent("A run", manifest.info, manifest.table, predictions, metrics), evidence


@pytest.fixture
def failing(manifest_of: ManifestOf, probabilities_for: ProbabilitiesFor) -> Maker:
    return made(manifest_of, probabilities_for)


def picture(path: str) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(len(path)).integers(0, 256, (1, 80, 80), dtype=np.uint8)


def table_of(uri: str) -> pd.DataFrame:
    return pd.read_csv(io.BytesIO(base64.b64decode(uri.partition(",")[2])))


def test_the_page_says_what_the_metrics_say(failing: Maker, page_of: type[Page]) -> None:
    content, evidence = failing
    assert evidence.verdict == "fail"
    page = page_of(render_report(content))
    assert not page.open
    assert "What changes its mind" in page.text
    worst = evidence.worst_balanced_accuracy
    assert f"Worst balanced accuracy: {worst.value:.1%} (95% CI {100 * worst.low:.1f}–{worst.high:.1%})" in page.text
    assert "10 % cut off at top" in page.text
    assert "augment.sides" in page.text
    assert {"href": "#framing"} in page.all("a")
    assert render_report(content) == render_report(content)


def test_without_evidence_there_is_no_section_and_a_limit(content: ReportContent, page_of: type[Page]) -> None:
    assert framing_view(content) is None
    assert framing_sentence(content) == ("", "")
    page = page_of(render_report(content))
    assert "What changes its mind" not in page.text
    assert "Whether the answers hang on how tightly the images are framed was not measured." in page.text
    folds = replace(content, provenance=Provenance("folds"))
    assert any("the report of each fold tells it" in text for text in limit_texts(folds))


def test_a_pass_is_no_limit_and_a_fail_is_one(
    failing: Maker, manifest_of: ManifestOf, probabilities_for: ProbabilitiesFor
) -> None:
    passing, evidence = made(manifest_of, probabilities_for, share=0.0)
    assert evidence.verdict == "pass"
    assert not any("framed" in text for text in limit_texts(passing))
    assert framing_sentence(passing)[1] == ""
    assert any("none of the figures holds" in text for text in limit_texts(failing[0]))
    assert framing_sentence(failing[0])[1] == "error"


def test_the_checklist_of_imaging_studies_is_answered_where_it_asks_for_robustness(
    failing: Maker, content: ReportContent
) -> None:
    def answer(of: ReportContent) -> Any:
        claim = next(filled for filled in checklists(of) if filled.name.startswith("CLAIM"))
        return next(found for number, _, found in claim.rows if number == "30")

    assert answer(content) is None
    assert f"{len(SUITE)} changes of framing" in answer(failing[0]).text
    assert answer(failing[0]).anchor == "framing"


def test_numbers_and_table_are_those_of_the_evidence(failing: Maker) -> None:
    view = framing_view(failing[0])
    evidence = failing[1]
    assert view is not None
    download = view.charts[0].download
    assert download is not None
    table = table_of(download.uri)
    assert len(table) == (len(SUITE) + 1) * 2
    row = table[(table["change"] == "top 10 %") & (table["class"] == "PNEUMONIA")].iloc[0]
    group = evidence.changes[BAD].groups["PNEUMONIA"]
    assert row["recall"] == pytest.approx(group.recall, rel=1e-5)
    assert row["logit_median"] == pytest.approx(group.quartiles[1], rel=1e-5)
    assert view.columns[1].startswith("Specificity (NORMAL)")
    assert view.columns[4].startswith("Sensitivity (PNEUMONIA)")
    worst = [row for row in view.rows if row.worst]
    assert [row.name for row in worst] == ["Top 10 %"]
    assert worst[0].cells[4] == f"{group.recall:.1%}"
    assert len([row for row in view.rows if not row.counted]) == sum(not change.counted for change in SUITE)


def test_flips_are_shown_as_the_model_saw_them(failing: Maker, page_of: type[Page]) -> None:
    content, evidence = failing
    content = replace(content, read_input=picture)
    view = framing_view(content)
    assert view is not None
    assert len(view.flips) == len(evidence.flips) > 0
    flip, tile = evidence.flips[0], view.flips[0]
    for shown, pixels in (
        (tile.before, picture(flip.path)),
        (tile.after, reframe(picture(flip.path)[None], Framing(*flip.window))[0]),
    ):
        assert shown is not None
        decoded = np.asarray(Image.open(io.BytesIO(base64.b64decode(shown.uri.partition(",")[2]))))
        # The page holds JPEGs: alike, not the same.
        assert np.abs(decoded.astype(float) - pixels[0]).mean() < 12
    page = page_of(render_report(content))
    assert f"{flip.before:.3f} → {flip.after:.3f}" in page.text
    assert sum("Unchanged: " in (image["alt"] or "") for image in page.all("img")) == len(evidence.flips)


def test_pictures_that_can_no_longer_be_read_are_left_out(failing: Maker) -> None:
    def gone(path: str) -> npt.NDArray[np.uint8]:
        raise KeyError(path)

    view = framing_view(replace(failing[0], read_input=gone))
    assert view is not None
    assert {(tile.before, tile.after) for tile in view.flips} == {(None, None)}


@pytest.mark.parametrize("task", ["multiclass", "multilabel"])
def test_other_tasks_have_the_section_too(
    task: str, manifest_of: ManifestOf, probabilities_for: ProbabilitiesFor, page_of: type[Page]
) -> None:
    content, evidence = made(manifest_of, probabilities_for, task)
    view = framing_view(content)
    assert view is not None
    assert len(view.charts) == 2
    # Six groups are too many columns: the worst of them is named.
    expected = {"multiclass": "Recall (normal)", "multilabel": "Lowest recall"}[task]
    assert view.columns[1] == expected
    page = page_of(render_report(content))
    assert not page.open
    assert f"{evidence.worst_balanced_accuracy.value:.1%}" in page.text


def test_verdicts_have_their_colours(failing: Maker) -> None:
    content, evidence = failing
    for verdict, tone in (("pass", "good"), ("warn", "warning"), ("fail", "error")):
        judged = evidence.model_copy(update={"verdict": verdict})
        metrics = {**content.metrics, "test": content.metrics["test"].model_copy(update={"framing": judged})}
        view = framing_view(replace(content, metrics=metrics))
        assert view is not None
        assert (view.tone, view.label) == (tone, verdict.capitalize())
