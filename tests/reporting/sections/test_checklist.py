"""Checklists are filled with what is known of the run, and with nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from fixture_types import AuditOf, ManifestOf, ProbabilitiesFor
from radlens.assessment.abstention import abstention
from radlens.assessment.evaluate import evaluate
from radlens.assessment.framing_evidence import judge_framing
from radlens.assessment.predictions import predictions_table, probabilities_of, with_answers
from radlens.config import EvaluateSettings, RunSettings, to_yaml
from radlens.dataset.audit import Finding
from radlens.imaging.framing import SUITE
from radlens.reporting.checklists import CLAIM, TRIPOD_AI
from radlens.reporting.content import Origin, Provenance, ReportContent
from radlens.reporting.sections.checklist import _SECTIONS, _facts, checklists

SETTINGS = EvaluateSettings(resamples=100)


@pytest.fixture(scope="module")
def content(manifest_of: ManifestOf, probabilities_for: ProbabilitiesFor, audit_of: AuditOf) -> ReportContent:
    manifest = manifest_of("binary")
    predictions = predictions_table(manifest, probabilities_for(manifest))
    metrics = evaluate(predictions, manifest.info, 0.5, SETTINGS, seed=0)
    return ReportContent("A run", manifest.info, manifest.table, predictions, metrics, audit=audit_of(manifest))


def answers(content: ReportContent, name: str) -> dict[str, str]:
    """The text that stands beside each item that has one."""
    (filled,) = (one for one in checklists(content) if one.name == name)
    return {number: answer.text for number, _, answer in filled.rows if answer}


def test_the_items_are_those_of_the_statements() -> None:
    assert [item.number for item in CLAIM.items] == [str(number) for number in range(1, 45)]
    numbers = [item.number for item in TRIPOD_AI.items]
    assert sorted({int(number.rstrip("abcdefg")) for number in numbers}) == list(range(1, 28))
    assert len(numbers) == len(set(numbers)) == 52


def test_every_fact_belongs_to_an_item_and_every_item_asks_for_a_fact_that_there_is(content: ReportContent) -> None:
    assert content.audit is not None
    wanted = {item.fact for one in (TRIPOD_AI, CLAIM) for item in one.items} - {""}
    manifest = content.manifest.assign(site="A", sex="F")
    history = pd.DataFrame({"epoch": [1]})
    finding = Finding(check="class_imbalance", severity="note", message="m", count=0)
    test = content.predictions[content.predictions["split"] == "test"]
    same = [probabilities_of(test, content.info)] * len(SUITE)
    framing = judge_framing(test, same, content.info, 0.5)
    abstaining = abstention(with_answers(test, content.info, (0.4, 0.4), None), content.info, 0.95)
    block = content.metrics["test"].model_copy(update={"abstention": abstaining, "framing": framing})
    rich = replace(
        content,
        info=content.info.model_copy(update={"licence": "CC0"}),
        manifest=manifest,
        metrics={"test": block},
        audit=content.audit.model_copy(update={"findings": (finding,), "drift": ("one",)}),
        subgroups=pd.DataFrame({"column": ["site", "sex"]}),
        history=history,
        best_epoch=1,
        paint_map=lambda *_: np.zeros((8, 8), np.uint8),
        settings_yaml=to_yaml(RunSettings()),
        environment={"radlens": "1"},
        provenance=Provenance("run", model={"model.safetensors": "a"}, network="baseline_cnn"),
    )
    facts = list(_facts(rich))
    assert {name for name, _, _ in facts} == wanted
    assert {section for _, section, _ in facts} <= set(_SECTIONS)


def test_what_is_not_known_is_left_to_the_author(content: ReportContent) -> None:
    tripod, claim = answers(content, "TRIPOD+AI"), answers(content, "CLAIM 2024")
    for number in ("1", "3a", "5b", "6a", "14", "17", "18a", "19", "22", "27c"):
        assert number not in tripod, number
    for number in ("3", "11", "22", "25", "31", "33", "34", "44"):
        assert number not in claim, number
    assert tripod["5a"] == "made up."
    assert "40 patients" in claim["21"]
    assert "80 images of 40 patients" in claim["35"]


def test_people_and_places_are_not_families_of_file_names(content: ReportContent) -> None:
    by_name = replace(content, subgroups=pd.DataFrame({"column": ["name_family"]}))
    assert "14" not in answers(by_name, "TRIPOD+AI")
    by_people = replace(content, subgroups=pd.DataFrame({"column": ["Sex", "name_family"]}))
    assert answers(by_people, "TRIPOD+AI")["14"] == "Figures by Sex."
    assert "12d" not in answers(by_people, "TRIPOD+AI")


def test_partitions_that_share_patients_are_not_called_disjoint(
    content: ReportContent, audit_of: AuditOf, manifest_of: ManifestOf
) -> None:
    assert answers(content, "CLAIM 2024")["20"] == "Patients: none is in two splits."
    leak = Finding(check="leak", severity="block", message="m", count=1)
    leaking = replace(content, audit=audit_of(manifest_of("binary"), leak, allowed=("leak",)))
    assert "20" not in answers(leaking, "CLAIM 2024")


def test_only_a_run_that_parted_one_data_set_was_tested_on_internal_data(content: ReportContent) -> None:
    origins: dict[Origin, bool] = {"run": True, "folds": True, "model": False, "outside": False}
    for origin, internal in origins.items():
        found = answers(replace(content, provenance=Provenance(origin)), "CLAIM 2024")
        assert ("32" in found) == internal, origin


@pytest.mark.parametrize("task", ["multiclass", "multilabel"])
def test_other_tasks_fill_them_too(task: str, manifest_of: ManifestOf, probabilities_for: ProbabilitiesFor) -> None:
    manifest = manifest_of(task)
    predictions = predictions_table(manifest, probabilities_for(manifest))
    metrics = evaluate(predictions, manifest.info, 0.5, SETTINGS, seed=0)
    found = answers(ReportContent("A run", manifest.info, manifest.table, predictions, metrics), "TRIPOD+AI")
    assert "net benefit" not in found["12e"]
    assert "11" not in found
