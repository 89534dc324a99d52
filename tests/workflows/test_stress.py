"""What changes a model's mind: who goes by the frame fails, who goes by the finding passes, and nothing is hidden."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import radlens
from html_page import Page
from made_stress import CLASSES, write_images, write_model
from radlens.base.errors import DataError, UsageError
from radlens.cli import commands as cli
from radlens.dataset.access_log import read_access_log
from radlens.dataset.manifest import Manifest
from radlens.decision import Task
from radlens.imaging.framing import SUITE
from radlens.learning.quality import QUALITY_SUITE
from radlens.learning.trained_model import TrainedModel
from radlens.runtime.model_folder import read_model_folder, write_config
from radlens.runtime.training_images import write_training_images

pytestmark = pytest.mark.usefixtures("known_networks")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_images(tmp_path_factory.mktemp("images") / "source")


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """The exit code of a command."""
    monkeypatch.setattr(sys, "argv", ["radlens", *arguments])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    code = stopped.value.code
    return code if isinstance(code, int) else 0


def know(model: Path, source: Path, rows: slice) -> None:
    """Let a model tell that it was trained on these images."""
    config, _ = read_model_folder(model)
    locations = Manifest.read(source).locations[rows]
    # By their bytes alone: pictures of noise with the same spot look like one picture.
    write_training_images(model, [hashlib.sha256(Path(at).read_bytes()).hexdigest() for at in locations])
    write_config(model, config)


def write_run(folder: Path, source: Path, splits: list[str]) -> Path:
    """A run folder whose model goes by the finding, with a manifest of these splits in turn."""
    write_model(folder / "model", "by_finding")
    (folder / "config.yaml").write_text("{}\n", encoding="utf-8")
    manifest = Manifest.read(source)
    patients = {name: number for number, name in enumerate(manifest.table["patient"].unique())}
    manifest.with_split([splits[patients[name] % len(splits)] for name in manifest.table["patient"]]).write(folder)
    return folder


def test_a_model_that_goes_by_the_frame_fails(source: Path, tmp_path: Path) -> None:
    result = radlens.stress(write_model(tmp_path / "framed", "by_frame"), source, tmp_path / "out")
    record = result.record
    assert result.failed
    assert (record.framing.verdict, record.verdict) == ("fail", "fail")
    assert record.framing.unchanged.balanced_accuracy == 1.0
    assert record.framing.worst_change.groups["normal"].recall == 0.0
    assert record.framing.worst_change.groups["ill"].recall == 1.0
    assert result.verdict.startswith("Fails. The answers hang on how the images are framed: with 15 % cut off at top")
    assert "balanced accuracy goes from 100.0% to 50.0%" in result.verdict
    assert "augment.sides" in result.advice
    assert record.framing.flips
    assert {(flip.label, flip.predicted) for flip in record.framing.flips} == {("normal", "ill"), ("ill", "normal")}
    # A black border looks like a loose frame to it.
    assert "border" in record.quality.losing


def test_a_model_that_goes_by_the_finding_passes_and_says_so_in_three_files(source: Path, tmp_path: Path) -> None:
    result = radlens.stress(write_model(tmp_path / "sound", "by_finding"), source, tmp_path / "out")
    record = result.record
    assert not result.failed
    assert (record.verdict, record.left_out, record.framing.images, record.name) == ("pass", 0, 60, "sound")
    # The source has no splits.
    assert record.split == "all"
    assert result.verdict.startswith("Passes")
    changes = [*(change.name for change in SUITE), *(change.name for change in QUALITY_SUITE)]
    assert result.table["change"].drop_duplicates().tolist() == ["unchanged", *changes]
    assert len(result.table) == 2 * (1 + len(changes))
    by_change = result.table.set_index(["change", "class"])
    for change in record.quality.changes:
        assert by_change.loc[(change.name, "ill"), "recall"] == change.groups["ill"].recall
    page = Page(result.page.read_text(encoding="utf-8"))
    assert "Passes" in " ".join(page.words)
    places = [value for _, attributes in page.elements for name, value in attributes.items() if name in ("src", "href")]
    assert all(value and value.startswith(("#", "data:")) for value in places)
    assert (
        len({"config.yaml", "manifest.csv", "dataset.yaml", "audit.json"} & {f.name for f in result.folder.iterdir()})
        == 4
    )


@pytest.mark.parametrize("task", ["multiclass", "multilabel"])
def test_other_tasks_are_tried_too(task: Task, tmp_path: Path) -> None:
    source = write_images(tmp_path / "source", 80, task)
    result = radlens.stress(write_model(tmp_path / "model", "by_finding", task), source, tmp_path / "out")
    assert result.record.task == task
    assert result.record.framing.unchanged.balanced_accuracy > 0.95
    assert result.record.verdict == "pass", result.verdict
    groups = CLASSES[task] if task == "multiclass" else ("bright", "no bright", "dark", "no dark")
    assert tuple(result.record.quality.unchanged.groups) == groups


def test_the_same_seed_gives_the_same_bytes_and_another_seed_other_images(source: Path, tmp_path: Path) -> None:
    model = write_model(tmp_path / "model", "by_frame")
    first, second, other = (
        radlens.stress(model, source, tmp_path / name, images=20, seed=seed)
        for name, seed in (("first", 0), ("second", 0), ("other", 1))
    )
    for name in ("stress.json", "stress.csv", "stress.html"):
        assert (first.folder / name).read_bytes() == (second.folder / name).read_bytes()
    assert first.record.framing.images == 20
    paths = [set(Manifest.read(result.folder).table["path"]) for result in (first, other)]
    assert paths[0] != paths[1]


def test_images_that_the_model_was_trained_on_are_left_out_and_this_is_said(source: Path, tmp_path: Path) -> None:
    model = write_model(tmp_path / "model", "by_finding")
    know(model, source, slice(0, 16))
    result = radlens.stress(model, source, tmp_path / "out")
    assert (result.record.left_out, result.record.framing.images) == (16, 44)
    trained = set(Manifest.read(source).table["path"][:16])
    assert not trained & set(Manifest.read(result.folder).table["path"])
    assert "16 of 60 images were left out" in result.page.read_text(encoding="utf-8")

    know(model, source, slice(0, 60))
    with pytest.raises(DataError, match=r"None of the 60 images of spots is left.*--allow leak"):
        radlens.stress(model, source, tmp_path / "none")
    assert not (tmp_path / "none").exists()
    allowed = radlens.stress(model, source, tmp_path / "allowed", images=20, allow=("leak",))
    assert allowed.record.framing.images == 20
    assert "leak" in json.loads((allowed.folder / "audit.json").read_text(encoding="utf-8"))["allowed"]

    know(model, source, slice(0, 60, 2))
    with pytest.raises(DataError, match=r"No image of the class\(es\) normal .* 30 of 60 were left out"):
        radlens.stress(model, source, tmp_path / "one class")


def test_a_model_that_does_not_tell_what_it_was_trained_on_is_told(source: Path, tmp_path: Path) -> None:
    result = radlens.stress(write_model(tmp_path / "model", "by_finding"), source, tmp_path / "out", images=4)
    assert any("does not tell which images" in note for note in result.record.notes)
    assert result.record.verdict == "warn"
    assert "Too few images of a class" in result.verdict


def test_a_run_is_tried_on_its_own_test_images_and_its_ledger_says_so(source: Path, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", source, ["train", "val", "test"])
    result = radlens.stress(run, None, tmp_path / "out")
    test = Manifest.read(run).table.query("split == 'test'")
    assert set(Manifest.read(result.folder).table["path"]) == set(test["path"])
    (access,) = read_access_log(run)
    assert (access.why, access.images) == ("stress", len(test))
    assert read_access_log(result.folder) == [access]
    assert result.record.name == "run"

    radlens.stress(run / "model", run, tmp_path / "val", split="val")
    assert len(read_access_log(run)) == 1


def test_a_run_without_test_images_is_tried_on_validation_and_this_is_said(source: Path, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", source, ["train", "val"])
    know(run / "model", source, slice(0, 60))
    result = radlens.stress(run, None, tmp_path / "out")
    assert result.record.split == "val"
    assert any("operating point were chosen on them" in note for note in result.record.notes)
    assert read_access_log(run) == []
    with pytest.raises(DataError, match="is left: the model was trained"):
        radlens.stress(run, None, tmp_path / "train", split="train")


def test_mistakes_give_one_message_and_leave_nothing(source: Path, tmp_path: Path) -> None:
    model, out = write_model(tmp_path / "model", "by_finding"), tmp_path / "out"
    with pytest.raises(UsageError, match="give a SOURCE"):
        radlens.stress(model, None, out)
    with pytest.raises(UsageError, match="at least one image"):
        radlens.stress(model, source, out, images=0)
    with pytest.raises(UsageError, match="has no split 'val'"):
        radlens.stress(model, source, out, split="val")
    with pytest.raises(UsageError, match="carries what was chosen"):
        radlens.stress(model, source, out, settings=("evaluate.threshold=0.3",))
    with pytest.raises(DataError, match="the model answers"):
        radlens.stress(write_model(tmp_path / "other", "by_finding", "multiclass"), source, out)
    assert not out.exists()
    shutil.copytree(model, out)
    with pytest.raises(UsageError, match="not empty"):
        radlens.stress(model, source, out)


def test_a_failure_while_it_answers_leaves_no_evidence(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, answer, asked = write_model(tmp_path / "model", "by_finding"), TrainedModel.probabilities, []

    def fail_late(*arguments: object, **more: object) -> np.ndarray:
        asked.append(1)
        if len(asked) == 50:
            raise DataError("the disk has gone")
        return answer(*arguments, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(TrainedModel, "probabilities", fail_late)
    with pytest.raises(DataError, match="the disk has gone"):
        radlens.stress(model, source, tmp_path / "out", images=8)
    assert not list((tmp_path / "out").glob("stress.*"))
    assert not list((tmp_path / "out").glob(".*"))
    monkeypatch.undo()


def test_the_table_has_the_flips_of_each_class(source: Path, tmp_path: Path) -> None:
    result = radlens.stress(write_model(tmp_path / "model", "by_frame"), source, tmp_path / "out", images=20)
    flipped, shift = (
        result.table.pivot_table(index="change", columns="class", values=name) for name in ("flipped", "shift")
    )
    assert flipped["normal"]["top and bottom 15 %"] == 1.0
    assert float(shift["normal"]["top and bottom 15 %"]) > 5
    assert flipped["ill"]["zoomed out 1.5"] == 1.0


def test_the_command_ends_with_one_where_a_change_turns_the_answers(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    models = {name: str(write_model(tmp_path / name, name)) for name in ("by_frame", "by_finding")}
    assert call(monkeypatch, "stress", models["by_frame"], str(source), "--out", str(tmp_path / "framed")) == 1
    said = capsys.readouterr().out
    assert "Fails." in said
    assert "augment.sides" in said
    assert str(tmp_path / "framed" / "stress.html") in said.replace("\n", "")
    few = ["--images", "8"]
    assert call(monkeypatch, "stress", models["by_finding"], str(source), "--out", str(tmp_path / "few"), *few) == 0
    assert "Not settled." in capsys.readouterr().out


def test_the_command_writes_pictures_and_judges_a_table(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small = ["--images", "2", "--longest", "32"]
    pictures = str(tmp_path / "pictures")
    assert call(monkeypatch, "stress", "--write-images", str(source), "--out", pictures, *small) == 0
    assert f"Pictures: {2 * (1 + len(SUITE) + len(QUALITY_SUITE))}" in capsys.readouterr().out
    assert call(monkeypatch, "stress", "--write-images", str(source), "--out", pictures, *small, "--resume") == 0
    table = pd.read_csv(tmp_path / "pictures" / "stress_images.csv")
    table.assign(score=(table["label"] == "ill") * 0.8 + 0.1)[["path", "score"]].to_csv(tmp_path / "a.csv", index=False)
    assert call(monkeypatch, "stress", str(tmp_path / "a.csv"), pictures, "--out", str(tmp_path / "out")) == 0
    assert "stress.html" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "A MODEL is needed"),
        (("model", "--longest", "32"), "belong to --write-images"),
        (("model", "--resume"), "belong to --write-images"),
        (("model", "--write-images", "phantom"), "takes neither MODEL"),
        (("pneumonia-cxr",), "give a SOURCE"),
    ],
)
def test_wrong_usage_ends_with_two(
    arguments: tuple[str, ...],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert call(monkeypatch, "stress", *arguments, "--out", str(tmp_path / "out")) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
