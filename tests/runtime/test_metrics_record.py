"""``metrics.json`` comes back as it was written, in older forms too, and whatever is wrong with it is named."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from evidence_fixtures import make_manifest, make_probabilities
from known import known
from radlens.assessment.evaluate import evaluate
from radlens.assessment.framing_evidence import judge_framing
from radlens.assessment.pooling import fold_figures
from radlens.assessment.predictions import predictions_table, probabilities_of, with_answers
from radlens.base.errors import DataError
from radlens.config import EvaluateSettings
from radlens.decision import Task
from radlens.imaging.framing import SUITE
from radlens.runtime.metrics_record import METRICS_FORM, Metrics, SplitRecord, read_metrics, write_metrics

TASKS: tuple[Task, ...] = ("binary", "multiclass", "multilabel")
# Sections and keys that files of earlier versions lack.
LATER = ("abstention", "calibration", "sample_size", "predictive_values", "thresholds", "decision_curve", "framing")
SCHEMA = Path(__file__).parents[2] / "docs" / "reference" / "metrics.schema.json"
Place = tuple[str | int, ...]


@pytest.fixture(scope="module")
def measured() -> dict[Task, Metrics]:
    """Metrics of each task with every section that there is."""
    return {task: _measure(task) for task in TASKS}


def _measure(task: Task) -> Metrics:
    manifest = make_manifest(task)
    predictions, info = predictions_table(manifest, make_probabilities(manifest)), manifest.info
    least = None if task == "multilabel" else [0.4] * len(info.classes)
    predictions = with_answers(predictions, info, least, np.linspace(0, 1.1, len(predictions)))
    metrics = evaluate(predictions, info, 0.5, EvaluateSettings(resamples=100), seed=0)
    test = predictions[predictions["split"] == "test"]
    framing = judge_framing(test, [probabilities_of(test, info)] * len(SUITE), info, 0.5)
    folds = fold_figures([record.metrics for record in metrics.values()], ["auroc", "accuracy"])
    metrics["test"] = metrics["test"].model_copy(update={"framing": framing, "cross_validation": folds})
    return metrics


def places(value: Any, at: Place = ()) -> Iterator[Place]:
    """Where each value lies within nested ones, outer ones first."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inner:
        yield (*at, key)
        yield from places(part, (*at, key))


def inside(content: Any, place: Place) -> Any:
    """What holds the value that lies at a place."""
    for key in place[:-1]:
        content = content[key]
    return content


def text_of(metrics: Metrics, folder: Path) -> str:
    write_metrics(metrics, folder / "written.json")
    return (folder / "written.json").read_text(encoding="utf-8")


def read(content: Any, folder: Path) -> Metrics:
    (folder / "metrics.json").write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return read_metrics(folder / "metrics.json")


@pytest.mark.parametrize("task", TASKS)
def test_what_was_written_comes_back_to_the_last_digit(
    task: Task, measured: dict[Task, Metrics], tmp_path: Path
) -> None:
    text = text_of(measured[task], tmp_path)
    again = read(text, tmp_path)
    assert again == measured[task]
    assert text_of(again, tmp_path) == text
    assert list(json.loads(text)) == ["val", "test"]
    keys = list(json.loads(text)["test"])
    assert keys == [name for name in SplitRecord.model_fields if name in keys]


@pytest.mark.parametrize("task", TASKS)
def test_a_file_of_before_is_read_and_what_it_lacks_is_none(
    task: Task, measured: dict[Task, Metrics], tmp_path: Path
) -> None:
    content = json.loads(text_of(measured[task], tmp_path))
    for block in content.values():
        for name in LATER:
            block.pop(name, None)
        del block["interval"]["methods"]
        for record in (block, *block.get("per_class", {}).values(), *block.get("per_label", {}).values()):
            for metric in record.values():
                if isinstance(metric, dict) and "value" in metric:
                    del metric["method"]
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    again = read(text, tmp_path)
    assert all(getattr(again["test"], name) is None for name in LATER)
    assert again["test"].auroc.method is None
    assert again["test"].auroc.value == measured[task]["test"].auroc.value
    assert text_of(again, tmp_path) == text


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(task=st.sampled_from(TASKS), data=st.data())
def test_a_wrong_type_anywhere_is_one_error_that_names_file_and_place(
    task: Task, data: st.DataObject, measured: dict[Task, Metrics], tmp_path: Path
) -> None:
    content = copy.deepcopy(json.loads(text_of(measured[task], tmp_path)))
    place = data.draw(st.sampled_from(list(places(content))))
    holder = inside(content, place)
    value = holder[place[-1]]
    holder[place[-1]] = ["x"] if value is None or isinstance(value, str | int | float) else "x"
    with pytest.raises(DataError) as caught:
        read(content, tmp_path)
    said = str(caught.value)
    assert str(tmp_path / "metrics.json") in said
    # The forms of a confusion matrix have names of their own within its place.
    assert ".".join(map(str, place[: 2 if "confusion_matrix" in place else len(place)])) in said
    assert "radlens evaluate MODEL SOURCE --out DIR" in said


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(task=st.sampled_from(TASKS), data=st.data())
def test_an_unknown_field_anywhere_is_refused_by_its_name(
    task: Task, data: st.DataObject, measured: dict[Task, Metrics], tmp_path: Path
) -> None:
    content = json.loads(text_of(measured[task], tmp_path))
    records = [place for place in places(content) if "value" in _keys(content, place) or "n" in _keys(content, place)]
    place = data.draw(st.sampled_from(records))
    inside(content, place)[place[-1]]["surprise"] = 1
    with pytest.raises(DataError, match=r"surprise: Extra inputs are not permitted, got 1"):
        read(content, tmp_path)


def _keys(content: Any, place: Place) -> set[str]:
    value = inside(content, place)[place[-1]]
    return set(value) if isinstance(value, dict) else set()


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (("tset",), {}, r"tset.*should match pattern"),
        (("test", "auroc", "value"), "0.9", r"test\.auroc\.value: Input should be a valid number, got '0\.9'"),
        (("test", "auroc", "value"), float("nan"), r"test\.auroc\.value: .*finite"),
        (("test", "n"), -1, r"test\.n: .*greater than or equal to 0, got -1"),
        (("test", "task"), "ternary", r"test\.task: .*'binary', 'multiclass' or 'multilabel', got 'ternary'"),
        (("test", "threshold"), None, r"test: .*a threshold is a number"),
        (("test", "positive_class"), None, r"test: .*positive_class is there for binary tasks"),
        (("test", "framing", "verdict"), "maybe", r"test\.framing\.verdict: .*'pass', 'warn' or 'fail'"),
    ],
)
def test_what_cannot_be_is_told_with_what_was_expected(
    place: Place, value: Any, message: str, measured: dict[Task, Metrics], tmp_path: Path
) -> None:
    content = json.loads(text_of(measured["binary"], tmp_path))
    inside(content, place)[place[-1]] = value
    with pytest.raises(DataError, match=message):
        read(content, tmp_path)


def test_a_missing_field_is_named(measured: dict[Task, Metrics], tmp_path: Path) -> None:
    content = json.loads(text_of(measured["binary"], tmp_path))
    del content["val"]["auroc"]
    with pytest.raises(DataError, match=r"val\.auroc: Field required\. It is damaged or"):
        read(content, tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"metrics"', "{'test': {}}"])
def test_a_damaged_file_is_one_error(text: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"metrics\.json is not a metrics\.json in the form"):
        read(text, tmp_path)


def test_half_a_file_and_bytes_that_are_no_text_are_errors(measured: dict[Task, Metrics], tmp_path: Path) -> None:
    text = text_of(measured["multiclass"], tmp_path)
    with pytest.raises(DataError, match="Invalid JSON: EOF"):
        read(text[: len(text) // 2], tmp_path)
    (tmp_path / "metrics.json").write_bytes(b"\xff\xfe\x00{")
    with pytest.raises(DataError, match="Invalid JSON"):
        read_metrics(tmp_path / "metrics.json")


def test_no_file_and_a_folder_are_errors(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.json", tmp_path):
        with pytest.raises(
            DataError, match=r"cannot be read: .*A metrics\.json of a run or an evaluation was expected"
        ):
            read_metrics(path)


def test_a_number_that_is_none_is_never_written(measured: dict[Task, Metrics]) -> None:
    metric = measured["binary"]["test"].auroc
    with pytest.raises(ValidationError, match="finite"):
        type(metric)(value=float("nan"), low=None, high=None, method=None)


def test_the_questions_of_a_task_are_its_positive_class_its_classes_or_its_labels(
    measured: dict[Task, Metrics],
) -> None:
    binary, several, labels = (measured[task]["test"] for task in TASKS)
    assert binary.questions == {"PNEUMONIA": binary}
    assert binary.each == {}
    assert several.questions == several.each == known(several.per_class)
    assert labels.questions == labels.each == known(labels.per_label)


@pytest.mark.parametrize("task", TASKS)
def test_the_summary_for_the_model_has_every_metric_and_no_method(task: Task, measured: dict[Task, Metrics]) -> None:
    record = measured[task]["test"]
    summary = record.summary.model_dump()
    assert summary["n"] == record.n
    assert summary["metrics"].keys() == record.metrics.keys()
    assert ("exact_match" in summary["metrics"]) == (task == "multilabel")
    assert summary["metrics"]["auroc"] == record.auroc.model_dump(include={"value", "low", "high"})


def test_the_schema_knows_every_key_and_no_other() -> None:
    schema = METRICS_FORM.json_schema()
    record = schema["$defs"]["SplitRecord"]
    assert set(record["properties"]) == set(SplitRecord.model_fields)
    assert record["additionalProperties"] is False
    assert {"auroc", "threshold", "interval"} <= set(record["required"])
    assert not set(LATER) & set(record["required"])


@pytest.mark.parametrize("task", TASKS)
def test_the_schema_of_the_docs_holds_for_what_is_written(
    task: Task, measured: dict[Task, Metrics], tmp_path: Path
) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    content = json.loads(text_of(measured[task], tmp_path))
    jsonschema.Draft202012Validator(schema).validate(content)
    for wrong in ({"tset": content["test"]}, {"test": content["test"] | {"auroc": 0.9}}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.Draft202012Validator(schema).validate(wrong)
