"""Every road to test images is written down, and none leads to choosing on them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

import radlens
from radlens.base.errors import UsageError
from radlens.dataset.access_log import read_access_log

pytestmark = pytest.mark.usefixtures("light_runs")

SMALL = (
    "data.phantom.images=64",
    "data.phantom.size=64",
    "preprocessing.height=32",
    "preprocessing.width=32",
    "train.network=small_resnet",
    "train.epochs=1",
    "train.progressive_resizing=1",
    # Fitted and exported in a third of the time of such a run; test_run.py and test_abstaining_run.py have it.
    "evaluate.ood_rate=0",
    "evaluate.stress=0",
    "evaluate.resamples=100",
)
QUICK = ("evaluate.resamples=100", "data.phantom.images=64", "data.phantom.size=64")


@pytest.fixture
def run(tmp_path: Path) -> Any:
    return radlens.run("phantom", tmp_path / "run", settings=SMALL)


def test_runs_and_evaluations_are_counted_and_the_report_says_so(run: Any, tmp_path: Path) -> None:
    assert [one.why for one in read_access_log(run.folder)] == ["run"]
    assert "these test images were scored once" in run.report.read_text(encoding="utf-8")

    again = radlens.evaluate(run.folder, run.folder, tmp_path / "again", settings=QUICK, allow=("leak",))
    first, second = read_access_log(run.folder)
    assert (second.why, second.data, second.model) == ("evaluate", first.data, first.model)
    assert read_access_log(again.folder) == [first, second]
    assert "scored 2 times" in again.report.read_text(encoding="utf-8")

    # Validation images may be looked at as often as one likes.
    radlens.evaluate(run.folder, run.folder, tmp_path / "val", split="val", settings=QUICK, allow=("leak",))
    assert len(read_access_log(run.folder)) == 2

    radlens.run(out=run.folder, resume=True)
    assert [one.why for one in read_access_log(run.folder)] == ["run", "evaluate", "run --resume"]

    radlens.compare([run.folder, again.folder])
    assert len(read_access_log(run.folder)) == 3
    shutil.copy(run.folder / "predictions.csv", run.folder / "theirs.csv")
    radlens.evaluate(run.folder / "theirs.csv", None, tmp_path / "theirs", settings=QUICK)
    assert len(read_access_log(run.folder)) == 3
    radlens.evaluate(
        run.folder / "predictions.csv", None, tmp_path / "anew", settings=(*QUICK, "evaluate.threshold=0.4")
    )
    assert len(read_access_log(run.folder)) == 4

    other = radlens.run("phantom", run.folder, settings=(*SMALL, "train.learning_rate=0.01"), overwrite=True)
    assert len(read_access_log(run.folder)) == 5
    assert "by 2 different models" in other.report.read_text(encoding="utf-8")


def test_training_alone_opens_nothing_and_a_model_taken_out_leaves_its_folder_alone(run: Any, tmp_path: Path) -> None:
    radlens.train("phantom", tmp_path / "trained", settings=SMALL)
    assert not read_access_log(tmp_path / "trained")
    shutil.copytree(run.folder / "model", tmp_path / "taken" / "model")
    taken = radlens.evaluate(
        tmp_path / "taken" / "model", run.folder, tmp_path / "out", settings=QUICK, allow=("leak",)
    )
    assert len(read_access_log(taken.folder)) == 1
    assert not list((tmp_path / "taken").rglob("test_openings*"))
    radlens.evaluate(run.folder / "model", run.folder, tmp_path / "out2", settings=QUICK, allow=("leak",))
    assert len(read_access_log(run.folder)) == 2


@pytest.mark.parametrize(
    "setting", ["evaluate.threshold=balanced", "evaluate.threshold=0.3", "evaluate.calibration=platt"]
)
def test_nothing_is_chosen_on_the_images_that_a_model_is_judged_on(setting: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has no effect here: the model carries what was chosen"):
        radlens.evaluate("pneumonia-cxr", tmp_path, tmp_path / "out", settings=(setting,))
