"""The audit within the workflow: what it stops, what may be allowed, and what is written down of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image, ImageEnhance

import radlens
from radlens.base.errors import DataError, UsageError
from radlens.dataset.manifest import Manifest
from radlens.runtime.model_folder import read_model_folder, write_config
from radlens.runtime.training_images import write_training_images
from radlens.workflows import prepare

pytestmark = pytest.mark.usefixtures("light_runs")

TINY = (
    "data.phantom.images=90",
    "data.phantom.size=64",
    "preprocessing.height=48",
    "preprocessing.width=48",
    "train.network=small_resnet",
    "train.epochs=1",
    "train.progressive_resizing=1",
    # Fitted and exported in a third of the time of such a run; test_run.py and test_abstaining_run.py have it.
    "evaluate.ood_rate=0",
    "evaluate.resamples=100",
)


def write_official(folder: Path, copies: int) -> Path:
    """Class folders under train, val and test; some test images have a brighter copy in train."""
    manifest = radlens.index("phantom", folder / "index", settings=TINY)
    splits = ["train", "val", "test"]
    patients = {name: number for number, name in enumerate(sorted(manifest.table["patient"].unique()))}
    for row, location in zip(manifest.table.itertuples(), manifest.locations, strict=True):
        split = splits[patients[str(row.patient)] % 3]
        target = folder / "set" / split / str(row.label) / f"{row.patient}_{Path(location).name}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.open(location).convert("L").save(target)
    for number, path in enumerate(sorted((folder / "set" / "test").glob("*/*"))[:copies]):
        copy = folder / "set" / "train" / path.parent.name / f"other{number}_again.png"
        ImageEnhance.Brightness(Image.open(path)).enhance(1.1).save(copy)
    return folder / "set"


OWN = ("data.patient_from=([^_]+)_", "data.split.min_validation=1")


def test_copies_in_two_official_splits_stop_a_run_unless_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write_official(tmp_path, copies=3)
    with pytest.raises(DataError, match=r"(?s)leak: .*--allow leak"):
        radlens.run(source, tmp_path / "run", settings=TINY + OWN)
    page = tmp_path / "run" / "audit.html"
    left = {"audit.json", "audit.html", "blocked.txt", "config.yaml", "dataset.yaml", "manifest.csv"}
    assert {path.name for path in (tmp_path / "run").iterdir()} == left
    assert "data:image" in page.read_text(encoding="utf-8")
    # Nothing is asked of the images again, and the same page is named again.
    with monkeypatch.context() as patch:
        patch.setattr(prepare, "audit_manifest", None)
        with pytest.raises(DataError, match=f"leak: (?s:.*){page}"):
            radlens.run(out=tmp_path / "run", resume=True)
    # A finished run is not replaced by one that is stopped.
    (tmp_path / "old").mkdir()
    for name in ("manifest.csv", "dataset.yaml", "report.html"):
        (tmp_path / "old" / name).touch()
    with pytest.raises(DataError, match="old-audit/audit.html"):
        radlens.run(source, tmp_path / "old", settings=TINY + OWN, overwrite=True)
    assert (tmp_path / "old" / "report.html").is_file()
    with monkeypatch.context() as patch:
        patch.setattr(prepare, "audit_manifest", None)
        done = radlens.run(out=tmp_path / "run", resume=True, allow=["leak"])
    assert not (tmp_path / "run" / "blocked.txt").exists()
    audit = json.loads((done.folder / "audit.json").read_text())
    assert audit["allowed"] == ["leak"]
    assert any(finding["check"] == "leak" and finding["count"] >= 3 for finding in audit["findings"])
    assert "allow:\n  - leak" in (done.folder / "config.yaml").read_text()
    assert "allowed" in done.report.read_text()
    again = radlens.run(out=tmp_path / "again", config=done.folder / "config.yaml")
    assert again.metrics == done.metrics


def test_an_unknown_check_to_allow_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Did you mean 'leak'"):
        radlens.run("phantom", tmp_path / "run", settings=TINY, allow=["leaks"])
    with pytest.raises(UsageError, match="Did you mean 'leak'"):
        radlens.run("phantom", tmp_path / "run", settings=(*TINY, "data.allow=[leaks]"))


def test_copies_end_in_one_split_when_radlens_parts_the_images(tmp_path: Path) -> None:
    settings = (*TINY, "data.phantom.duplicates=12")
    done = radlens.run("phantom", tmp_path / "run", settings=settings)
    found = json.loads((done.folder / "audit.json").read_text())["findings"]
    groups = [group for finding in found if finding["check"] == "duplicate" for group in finding["groups"]]
    assert groups
    split_of = dict(zip(done.manifest.table["path"], done.manifest.table["split"], strict=True))
    assert all(len({split_of[path] for path in group}) == 1 for group in groups)


def test_an_audit_alone_writes_its_page_its_table_and_the_rejected_files(tmp_path: Path) -> None:
    settings = (*TINY, "data.phantom.corrupt=2")
    found = radlens.audit("phantom", tmp_path / "audit", settings=settings)
    assert found.unreadable == 2
    written = {path.name for path in (tmp_path / "audit").iterdir()}
    assert written == {"audit.json", "audit.html", "manifest.csv", "dataset.yaml", "rejected.csv"}
    assert len((tmp_path / "audit" / "rejected.csv").read_text().splitlines()) == 3
    page = (tmp_path / "audit" / "audit.html").read_text()
    assert "unreadable_files" in page
    assert len(Manifest.read(tmp_path / "audit")) == 90 + 0


def test_a_model_is_not_judged_on_the_images_it_was_made_with_unless_allowed(tmp_path: Path) -> None:
    done = radlens.run("phantom", tmp_path / "model", settings=TINY)
    settings = ("data.phantom.images=90", "data.phantom.size=64", "evaluate.resamples=100")
    used = int(done.manifest.table["split"].isin(["train", "val"]).sum())
    with pytest.raises(DataError, match=f"leak: {used} of the 90 images are among those"):
        radlens.evaluate(done.folder, "phantom", tmp_path / "out", settings=settings)
    allowed = radlens.evaluate(done.folder, "phantom", tmp_path / "out", settings=settings, allow=["leak"])
    assert json.loads((allowed.folder / "audit.json").read_text())["allowed"] == ["leak"]
    manifest = done.manifest.only((done.manifest.table["split"] == "test").to_numpy())
    manifest.write(tmp_path / "unseen")
    fresh = radlens.evaluate(done.folder, tmp_path / "unseen", tmp_path / "fresh", settings=("evaluate.resamples=100",))
    assert fresh.manifest.info.notes == manifest.info.notes, "the model tells all that an evaluation can notice"


def test_copies_in_other_bytes_of_the_images_it_was_made_with_are_known(tmp_path: Path) -> None:
    done = radlens.run("phantom", tmp_path / "model", settings=TINY)
    used = done.manifest.only(done.manifest.table["split"].isin(["train", "val"]).to_numpy())
    for number, (location, label) in enumerate(zip(used.locations, used.table["label"], strict=True)):
        place = tmp_path / "copies" / label / f"{number}.jpg"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.open(location).resize((97, 97)).save(place, quality=80)
    settings = ("evaluate.resamples=100",)
    with pytest.raises(DataError, match=f"leak: {len(used)} of the {len(used)} images are copies of images that"):
        radlens.evaluate(done.folder, tmp_path / "copies", tmp_path / "out", split="all", settings=settings)
    # A model folder of before knows its images by their bytes alone, and an evaluation says so.
    config, _ = read_model_folder(done.folder)
    lines = (done.folder / "model" / "training_images.txt").read_text().splitlines()
    write_training_images(done.folder / "model", [line[:24] for line in lines])
    write_config(done.folder / "model", config)
    before = radlens.evaluate(done.folder, tmp_path / "copies", tmp_path / "before", split="all", settings=settings)
    assert "the model tells the exact bytes alone" in (before.folder / "report.html").read_text(encoding="utf-8")
