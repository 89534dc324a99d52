"""The whole run on small phantoms: every task, reproduction, interruption, evaluation elsewhere."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import radlens
from known import known
from radlens.base.errors import DataError, UsageError
from radlens.cli.tables import show_result
from radlens.config import resolve
from radlens.dataset.manifest import Manifest
from radlens.runtime.metrics_sections import Metric
from radlens.runtime.model_folder import open_model_folder
from radlens.workflows.result import Result

SMALL = (
    "data.phantom.images=96",
    "data.phantom.size=64",
    "preprocessing.height=48",
    "preprocessing.width=48",
    "train.network=small_resnet",
    "train.epochs=2",
    "train.progressive_resizing=1",
    "evaluate.stress=1",
    "evaluate.resamples=100",
)
# Without what tells unfamiliar images, fitted and exported in a third of the time of such a run.
QUICK = (*SMALL, "evaluate.ood_rate=0")


def headline(result: Result) -> dict[str, Metric]:
    return {split: block.auroc for split, block in result.metrics.items()}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Any:
    os.environ["RADLENS_CACHE"] = str(tmp_path_factory.getbasetemp() / "cache")
    return radlens.run("phantom", tmp_path_factory.mktemp("run") / "one", settings=SMALL)


def test_a_run_leaves_every_artifact(finished: Any) -> None:
    written = {path.relative_to(finished.folder).as_posix() for path in finished.folder.rglob("*") if path.is_file()}
    expected = {
        "config.yaml",
        "manifest.csv",
        "dataset.yaml",
        "audit.json",
        "environment.json",
        "history.csv",
        "checkpoints/best.ckpt",
        "checkpoints/last.ckpt",
        "augmentation/columns.json",
        "augmentation/epoch-000.npy",
        "augmentation/epoch-001.npy",
        "model/config.json",
        "model/README.md",
        "model/model.onnx",
        "model/model.safetensors",
        "model/training_images.txt",
        "predictions.csv",
        "metrics.json",
        "report.html",
        "subgroups.csv",
        "test_openings.jsonl",
    }
    # Whether a label is doubted, or an answer wrong, depends on what so short a training gives.
    assert written - {"label_suspects.csv", "misclassified.csv"} == expected


def test_the_model_folder_says_what_it_is_made_of_how_it_did_and_how_its_graph_was_checked(finished: Any) -> None:
    config = open_model_folder(finished.folder).config
    for split, auroc in headline(finished).items():
        assert config.metrics[split].n == finished.metrics[split].n
        assert config.metrics[split].metrics["auroc"].model_dump() == {
            "value": auroc.value,
            "low": auroc.low,
            "high": auroc.high,
        }
    assert config.training_data is not None
    assert config.training_data.images == finished.manifest.table["split"].value_counts().to_dict()
    assert config.onnx is not None
    assert (config.onnx.parity.images, config.onnx.parity.decisions_flipped) == (200, 0)
    card = (finished.folder / "model" / "README.md").read_text(encoding="utf-8")
    assert "simulated images, not of people" in card
    assert f"{headline(finished)['test'].value:.3f}" in card


def test_what_changes_the_models_mind_is_said_everywhere(finished: Any, capsys: pytest.CaptureFixture[str]) -> None:
    evidence = finished.metrics["test"].framing
    assert evidence is not None
    assert finished.metrics["val"].framing is None
    assert evidence.images == min(64, finished.metrics["test"].n)
    config = open_model_folder(finished.folder).config
    assert config.framing is not None
    assert (config.framing.split, config.framing.verdict) == ("test", evidence.verdict)
    assert config.framing.worst_balanced_accuracy == evidence.worst_balanced_accuracy
    worst = f"{evidence.worst_balanced_accuracy.value:.1%}"
    assert worst in finished.report.read_text(encoding="utf-8")
    assert "What changes its mind" in (finished.folder / "model" / "README.md").read_text(encoding="utf-8")
    show_result(finished)
    said = " ".join(capsys.readouterr().out.split())
    assert f"Framing: {'FAIL' if evidence.verdict == 'fail' else evidence.verdict}. " in said
    assert worst in said


def test_the_predictions_are_what_the_loaded_model_says_of_the_files(finished: Any) -> None:
    model = radlens.load(finished.folder)
    manifest, table = finished.manifest, finished.predictions
    root = Path(manifest.info.root)
    chosen = table.sample(8, random_state=0)
    answers = model.predict([root / path for path in chosen["path"]])
    for name in model.classes:
        found = [answer.probabilities[name] for answer in answers]
        np.testing.assert_allclose(found, chosen[f"probability_{name}"], atol=1e-4)
    assert [answer.predicted for answer in answers] == chosen["predicted"].tolist()


def test_no_patient_and_no_augmentation_crosses_into_the_test_images(finished: Any) -> None:
    table = finished.manifest.table
    assert (table.groupby("patient")["split"].nunique() == 1).all()
    assert set(finished.predictions["split"]) == {"val", "test"}
    rows = np.load(finished.folder / "augmentation" / "epoch-000.npy")
    assert len(rows) == (table["split"] == "train").sum()


@pytest.mark.usefixtures("light_run")
def test_the_written_settings_give_the_same_metrics_again(finished: Any, tmp_path: Path) -> None:
    again = radlens.run(config=finished.folder / "config.yaml", out=tmp_path / "again")
    assert again.metrics == finished.metrics
    assert (again.folder / "predictions.csv").read_text() == (finished.folder / "predictions.csv").read_text()
    other = radlens.run(config=finished.folder / "config.yaml", out=tmp_path / "other", seed=1, settings=QUICK[-1:])
    assert headline(other) != headline(finished)


@pytest.mark.parametrize("task", ["multiclass", "multilabel"])
def test_the_other_tasks_train_evaluate_and_report(task: str, tmp_path: Path) -> None:
    result = radlens.run("phantom", tmp_path / task, settings=(*QUICK, f"data.phantom.task={task}"))
    assert result.manifest.info.task == task
    assert 0 <= known(result.metrics["test"].auroc.value) <= 1
    report = result.report.read_text(encoding="utf-8")
    assert "Simulated" in report
    assert "What changes its mind" in report
    assert result.metrics["test"].framing is not None
    assert len(radlens.load(result.folder).classes) == 3


def test_a_killed_run_goes_on_to_the_same_metrics(finished: Any, tmp_path: Path) -> None:
    out = tmp_path / "killed"
    settings = [part for setting in SMALL for part in ("--set", setting)]
    command = [
        sys.executable,
        "-c",
        "from radlens.cli.commands import main; main()",
        "run",
        "phantom",
        "--out",
        str(out),
    ]
    process = subprocess.Popen([*command, *settings], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 240
    while not (out / "checkpoints" / "last.ckpt").is_file():
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (out / "metrics.json").exists()
    result = radlens.run(out=out, resume=True)
    assert result.metrics == finished.metrics
    assert (out / "model" / "model.safetensors").read_bytes() == (
        finished.folder / "model" / "model.safetensors"
    ).read_bytes()


def test_a_model_is_evaluated_on_images_from_elsewhere(finished: Any, tmp_path: Path) -> None:
    elsewhere = tmp_path / "images"
    manifest = radlens.index("phantom", tmp_path / "index", settings=(*SMALL, "data.phantom.seed=7"))
    for path, label in zip(manifest.table["path"][:30], manifest.table["label"][:30], strict=True):
        target = elsewhere / label.upper() / Path(path).name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((Path(manifest.info.root) / path).read_bytes())
    result = radlens.evaluate(finished.folder, elsewhere, tmp_path / "outside", settings=("evaluate.resamples=100",))
    assert list(result.metrics) == ["test"]
    assert result.metrics["test"].n == 30
    assert result.manifest.info.classes == manifest.info.classes
    report = result.report.read_text(encoding="utf-8")
    assert "Augmented" not in report
    for setting in ("learning_rate", "preset:", "alpha"):
        assert setting not in report, "what the model was made with is not the evaluation's to say"
        assert setting in finished.report.read_text(encoding="utf-8")
    assert "height: 48" in report
    assert "Trained by" in report
    assert str(tmp_path) not in report
    assert str(elsewhere) in (result.folder / "config.yaml").read_text(encoding="utf-8")


def test_other_classes_than_the_models_are_refused(finished: Any, tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        (tmp_path / "pets" / name).mkdir(parents=True)
        Image.new("L", (50, 50)).save(tmp_path / "pets" / name / "1.png")
    with pytest.raises(DataError, match="classes cat, dog; the model answers the binary classes normal, pneumonia"):
        radlens.evaluate(finished.folder, tmp_path / "pets", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("light_run")
def test_unreadable_files_are_listed_and_too_many_stop_the_run(tmp_path: Path) -> None:
    few = radlens.run("phantom", tmp_path / "few", settings=(*QUICK, "data.phantom.corrupt=2"))
    rejected = pd.read_csv(few.folder / "rejected.csv")
    assert len(rejected) == 2
    assert rejected["reason"].str.len().min() > 0
    audit = json.loads((few.folder / "audit.json").read_text())
    assert audit["unreadable"] == 2
    assert len(few.manifest) == 96
    with pytest.raises(DataError, match=r"20 of 96 images cannot be read; at most 5%"):
        radlens.run("phantom", tmp_path / "many", settings=(*QUICK, "data.phantom.corrupt=20"))
    assert not (tmp_path / "many").exists()


@pytest.mark.usefixtures("light_run")
def test_shared_patients_in_official_splits_stop_the_run_or_are_dropped(tmp_path: Path) -> None:
    planted = (*QUICK, "data.phantom.shared_patients=3")
    with pytest.raises(DataError, match="data.split.overlap=drop_train"):
        radlens.run("phantom", tmp_path / "stopped", settings=planted)
    result = radlens.run("phantom", tmp_path / "mended", settings=(*planted, "data.split.overlap=drop_train"))
    assert (result.manifest.table.groupby("patient")["split"].nunique() == 1).all()


def test_index_and_audit_write_what_they_found(tmp_path: Path) -> None:
    manifest = radlens.index("phantom", tmp_path / "index", settings=SMALL)
    assert len(Manifest.read(tmp_path / "index")) == len(manifest) == 96
    audit = radlens.audit(tmp_path / "index", tmp_path / "audit", settings=SMALL)
    assert audit.images == 96
    assert (tmp_path / "audit" / "audit.json").is_file()


@pytest.mark.usefixtures("light_run")
def test_train_stops_before_the_test_images(tmp_path: Path) -> None:
    model = radlens.train("phantom", tmp_path / "trained", settings=QUICK)
    assert model.classes == ("normal", "pneumonia")
    assert not (tmp_path / "trained" / "predictions.csv").exists()
    framing = open_model_folder(tmp_path / "trained").config.framing
    assert framing is not None
    assert framing.split == "val"
    assert framing.images == (Manifest.read(tmp_path / "trained").table["split"] == "val").sum()


def test_an_output_that_would_be_lost_is_refused(finished: Any, tmp_path: Path) -> None:
    before = (finished.folder / "metrics.json").read_bytes()
    with pytest.raises(UsageError, match="--overwrite"):
        radlens.run("phantom", finished.folder, settings=SMALL)
    assert (finished.folder / "metrics.json").read_bytes() == before
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match="no radlens run wrote"):
        radlens.run("phantom", tmp_path / "mine", settings=SMALL, overwrite=True)
    assert (tmp_path / "mine" / "thesis.txt").is_file()


def test_an_output_folder_that_holds_the_source_is_refused(tmp_path: Path) -> None:
    radlens.index("phantom", tmp_path / "out", settings=SMALL)
    with pytest.raises(UsageError, match="which is read"):
        radlens.run(tmp_path / "out", tmp_path / "out", settings=SMALL, overwrite=True)
    assert (tmp_path / "out" / "manifest.csv").is_file()


def test_an_evaluation_never_replaces_the_model_it_uses(finished: Any) -> None:
    with pytest.raises(UsageError, match="which is read"):
        radlens.evaluate(finished.folder, "phantom", finished.folder, settings=SMALL, overwrite=True)
    assert (finished.folder / "model" / "model.safetensors").is_file()


def test_nothing_to_resume_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no stopped run"):
        radlens.run(out=tmp_path / "none", resume=True)


def test_the_baseline_preset_has_the_notebooks_values() -> None:
    settings = resolve("baseline")
    assert (settings.train.learning_rate, settings.train.epochs, settings.train.batch_size) == (1e-6, 15, 32)
    assert settings.preprocessing.shape == (1, 150, 150)
    assert (settings.train.network, settings.train.optimizer) == ("baseline_cnn", "adam")
