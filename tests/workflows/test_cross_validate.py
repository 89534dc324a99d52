"""Cross-validation on small phantoms: each image once, no patient on both sides, and it can be stopped."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import radlens
from known import known
from radlens.base.errors import TrainingInterruptedError, UsageError
from radlens.dataset.access_log import read_access_log
from radlens.dataset.manifest import Manifest
from radlens.learning.callbacks import History
from radlens.reporting.content import ReportContent
from radlens.runtime.metrics_record import read_metrics
from radlens.workflows import judge
from radlens.workflows.result import Result

pytestmark = pytest.mark.usefixtures("light_runs")

SMALL = (
    "data.phantom.images=96",
    "data.phantom.size=64",
    "preprocessing.height=32",
    "preprocessing.width=32",
    "train.network=small_resnet",
    "train.epochs=1",
    "train.progressive_resizing=1",
    "evaluate.stress=0",
    "evaluate.resamples=100",
    "evaluate.ood_rate=false",
)


@pytest.fixture(scope="module")
def finished(light_runs: None, tmp_path_factory: pytest.TempPathFactory) -> Any:
    os.environ["RADLENS_CACHE"] = str(tmp_path_factory.getbasetemp() / "cache")
    return radlens.cross_validate("phantom", tmp_path_factory.mktemp("folds") / "two", folds=2, settings=SMALL)


def test_each_image_is_answered_once_by_a_model_that_had_not_seen_its_patient(finished: Any) -> None:
    table = finished.manifest.table
    assert sorted(finished.predictions["path"]) == sorted(table["path"])
    assert set(table["fold"]) == {"1", "2"}
    for number in ("1", "2"):
        fold = Result(finished.folder / "folds" / number)
        mine = fold.manifest.table.set_index("path")["split"]
        judged = set(table.loc[table["fold"] == number, "path"])
        assert set(mine.index[mine == "test"]) == judged
        patients = fold.manifest.table.groupby("patient")["split"].nunique()
        assert (patients == 1).all()
        answers = fold.predictions[fold.predictions["split"] == "test"].set_index("path")["predicted"]
        pooled = finished.predictions.set_index("path")["predicted"]
        assert (pooled[answers.index] == answers).all()


def test_the_figures_say_which_they_are(finished: Any) -> None:
    block = finished.metrics["test"]
    figures = block.cross_validation["auroc"]
    results = [Result(finished.folder / "folds" / number) for number in ("1", "2")]
    own = [known(result.metrics["test"].auroc.value) for result in results]
    assert list(figures.folds) == own
    assert figures.mean == pytest.approx(sum(own) / 2)
    page = finished.report.read_text(encoding="utf-8")
    assert "Cross-validation with 2 folds of patients" in page
    assert f"Mean of the folds&#39; own AUROCs: {figures.mean:.3f}" in page
    assert block.n == 96
    assert "fold" not in set(pd.read_csv(finished.folder / "subgroups.csv")["column"])
    assert [one.why for one in read_access_log(finished.folder)] == ["run --folds"]


def test_the_report_is_made_from_the_metrics_that_are_written(
    finished: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(finished.folder, tmp_path / "again")
    reported = {}

    def remember(content: ReportContent, path: Path) -> None:
        reported["content"] = content.metrics
        reported["written"] = read_metrics(path.parent / "metrics.json")

    monkeypatch.setattr(judge, "write_report", remember)
    result = radlens.cross_validate(out=tmp_path / "again", resume=True)
    assert reported["content"] == reported["written"] == result.metrics == finished.metrics
    assert result.metrics["test"].cross_validation == known(finished.metrics["test"].cross_validation)


def test_a_column_fold_of_the_source_is_kept_and_classes_get_new_names_once(finished: Any, tmp_path: Path) -> None:
    """Such a column as that of an earlier cross-validation, whose folder is a source."""
    theirs = finished.manifest.table.set_index("path")["fold"].replace({"1": "left", "2": "right"})
    source = Manifest(finished.manifest.table.assign(fold=list(theirs)), finished.manifest.info)
    source.write(tmp_path / "source")
    renamed = (*SMALL, "data.class_map={normal: healthy}")
    result = radlens.cross_validate(tmp_path / "source", tmp_path / "out", folds=2, settings=renamed, seed=1)
    assert result.manifest.info.classes == ("healthy", "pneumonia")
    table = result.manifest.table.set_index("path")
    assert (table["fold"] == theirs[table.index]).all()
    assert set(table["cross_validation_fold"]) == {"1", "2"}
    for number in ("1", "2"):
        fold = Result(result.folder / "folds" / number).manifest.table.set_index("path")
        assert (fold["fold"] == theirs[fold.index]).all()
        assert "cross_validation_fold" not in fold
        assert set(fold.index[fold["split"] == "test"]) == set(table.index[table["cross_validation_fold"] == number])
    groups = pd.read_csv(result.folder / "subgroups.csv").query("column == 'fold'")["group"]
    assert set(groups) == {"left", "right"}
    (result.folder / "metrics.json").unlink()
    assert radlens.cross_validate(out=result.folder, folds=2, resume=True).metrics == result.metrics

    Manifest(source.table.assign(cross_validation_fold="1"), source.info).write(tmp_path / "both")
    with pytest.raises(UsageError, match="columns fold and cross_validation_fold"):
        radlens.cross_validate(tmp_path / "both", tmp_path / "none", folds=2, settings=SMALL)
    assert not (tmp_path / "none").exists()


def test_another_number_of_folds_is_refused_when_going_on(finished: Any) -> None:
    before = (finished.folder / "metrics.json").read_bytes()
    with pytest.raises(UsageError, match=r"has 2 folds; asked for were 3\. .*--folds 2"):
        radlens.cross_validate(out=finished.folder, folds=3, resume=True)
    assert (finished.folder / "metrics.json").read_bytes() == before


def test_an_output_folder_that_holds_the_source_is_refused(tmp_path: Path) -> None:
    radlens.index("phantom", tmp_path / "out", settings=SMALL)
    with pytest.raises(UsageError, match="which is read"):
        radlens.cross_validate(tmp_path / "out", tmp_path / "out", folds=2, settings=SMALL, overwrite=True)
    assert (tmp_path / "out" / "manifest.csv").is_file()


def test_a_stopped_one_goes_on_to_the_same_figures(finished: Any, tmp_path: Path) -> None:
    stopped = tmp_path / "stopped"
    shutil.copytree(finished.folder, stopped)
    for name in ("metrics.json", "report.html", "predictions.csv"):
        (stopped / name).unlink()
    shutil.rmtree(stopped / "folds" / "2")
    again = radlens.cross_validate(out=stopped, resume=True)
    assert again.metrics == finished.metrics
    assert [one.why for one in read_access_log(stopped)] == ["run --folds", "run --folds --resume"]


@pytest.mark.parametrize("hook", ["on_train_epoch_start", "on_train_epoch_end"])
def test_ctrl_c_names_the_way_to_go_on_with_all_folds(
    hook: str, finished: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped = tmp_path / "stopped"
    shutil.copytree(finished.folder, stopped)
    shutil.rmtree(stopped / "folds" / "2")
    own = getattr(History, hook)
    # A process that was started in the background has it ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    def interrupted(self: History, *given: Any) -> None:
        own(self, *given)
        signal.raise_signal(signal.SIGINT)

    try:
        with monkeypatch.context() as patched:
            patched.setattr(History, hook, interrupted)
            with pytest.raises(TrainingInterruptedError, match=r"fold 2 of 2\. .* --resume --folds 2 ") as caught:
                radlens.cross_validate(out=stopped, resume=True)
    finally:
        signal.signal(signal.SIGINT, before)
    assert caught.value.exit_code == 130
    assert str(stopped) in str(caught.value)
    again = radlens.cross_validate(out=stopped, resume=True)
    assert again.metrics["test"].auroc == finished.metrics["test"].auroc


def test_going_on_as_with_a_plain_run_is_refused(finished: Any) -> None:
    with pytest.raises(UsageError, match="is a cross-validation"):
        radlens.run(out=finished.folder, resume=True)


def test_one_fold_is_none(tmp_path: Path) -> None:
    for folds in (1, 0):
        with pytest.raises(UsageError, match="2 folds or more"):
            radlens.cross_validate("phantom", tmp_path / "out", folds=folds)
    with pytest.raises(UsageError, match="no stopped cross-validation"):
        radlens.cross_validate(out=tmp_path, resume=True)
