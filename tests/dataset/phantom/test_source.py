"""Simulated radiographs as pictures and as files."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from radlens.base.errors import RadlensError, UsageError
from radlens.base.files import cache_root
from radlens.config import PhantomSettings
from radlens.dataset.manifest import Manifest
from radlens.dataset.phantom import source as phantom
from radlens.dataset.phantom.source import (
    Acquisition,
    Patient,
    draw_acquisition,
    draw_patient,
    make_phantoms,
    phantom_manifest,
    render,
)
from radlens.imaging.decode import DecodeError, decode
from radlens.imaging.framing import Framing, reframe


def _pair(seed: int, *findings: str) -> tuple[Patient, Acquisition]:
    rng = np.random.default_rng(seed)
    return draw_patient(rng, findings), draw_acquisition(rng)


def _digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def _defects(folder: Path) -> dict[str, Any]:
    loaded = json.loads((folder / "defects.json").read_text(encoding="utf-8"))
    assert isinstance(loaded, dict)
    return loaded


@pytest.mark.parametrize("size", [32, 33, 64, 131])
def test_render_gives_the_size_asked_for(size: int) -> None:
    made = render(*_pair(0, "pneumonia"), size)
    assert made.image.shape == (size, size)
    assert made.image.dtype == np.uint8
    assert made.lungs.shape == made.masks["pneumonia"].shape == (size, size)


def test_render_is_deterministic_and_noise_follows_its_seed() -> None:
    patient, acquisition = _pair(1)
    first, again, other = (render(patient, acquisition, 64, seed).image for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_picture_does_not_depend_on_its_size() -> None:
    patient, acquisition = _pair(2)
    quiet = replace(acquisition, quanta=1e12)
    small, large = render(patient, quiet, 112).shown, render(patient, quiet, 224).shown
    reduced = large.reshape(112, 2, 112, 2).mean(axis=(1, 3))
    assert np.abs(reduced - small).mean() < 0.02


def test_a_chest_is_dark_in_the_lungs_and_bright_in_the_middle() -> None:
    for seed in range(8):
        made = render(*_pair(seed), 96)
        lungs, middle = made.shown[made.lungs].mean(), made.shown[30:80, 44:52].mean()
        assert lungs < 0.75 * middle
        assert 0.15 < made.lungs.mean() < 0.6


@pytest.mark.parametrize("finding", ["pneumonia", "effusion"])
@pytest.mark.parametrize("seed", range(8))
def test_lesions_lie_in_the_lungs_and_are_brighter_than_without(finding: str, seed: int) -> None:
    patient, acquisition = _pair(seed, finding)
    made = render(patient, acquisition, 112)
    healthy = render(replace(patient, consolidations=(), fluids=()), acquisition, 112)
    mask = made.masks[finding]
    np.testing.assert_array_equal(made.lungs, healthy.lungs)
    assert not healthy.masks
    assert mask.any()
    assert not (mask & ~made.lungs).any()
    gain = made.shown - healthy.shown
    visible = mask & (healthy.shown > 0)
    assert gain[visible].mean() > 0.01
    assert gain[visible].mean() > 3 * abs(gain[~mask].mean())


@pytest.mark.parametrize("finding", ["pneumonia", "effusion"])
@pytest.mark.parametrize("seed", range(6))
def test_a_tight_frame_shows_the_lungs_and_the_whole_lesion(finding: str, seed: int) -> None:
    patient, acquisition = _pair(seed, finding)
    loose = render(patient, replace(acquisition, collimation=(0, 0, 0, 0)), 112)
    tight = render(patient, replace(acquisition, collimation=(0, 0, 0, 0), margins=(0.04, 0.06, 0.03, 0.02)), 112)
    assert tight.image.shape == (112, 112)
    window = tight.window
    assert loose.window == Framing()
    assert 0 < window.top < window.bottom <= 1
    area = (window.bottom - window.top) * (window.right - window.left)
    # Nothing of lungs or lesion is cut off: they only take a larger share of a smaller window.
    assert tight.lungs.mean() * area == pytest.approx(loose.lungs.mean(), rel=0.04)
    assert tight.masks[finding].mean() * area == pytest.approx(loose.masks[finding].mean(), rel=0.1, abs=0.003)
    rows, columns = (np.flatnonzero(tight.lungs.any(axis=axis)) for axis in (1, 0))
    # Less than asked for is shown where the field ends before.
    assert 1 / 1.10 - 0.03 < np.ptp(rows) / 112 < 1 / 1.04 + 0.03
    assert np.ptp(columns) / 112 == pytest.approx(1 / 1.05, abs=0.03)
    # Where the window lies, the picture is that of the whole field.
    cut = reframe(loose.image[None, None], window)[0, 0]
    assert np.corrcoef(cut.ravel(), tight.image.ravel())[0, 1] > 0.97


def test_a_planted_frame_is_tight_where_the_cue_is_and_changes_nothing_else(tmp_path: Path) -> None:
    choices = {"images": 24, "size": 64, "seed": 3}
    plain, framed = tmp_path / "plain", tmp_path / "framed"
    table = make_phantoms(PhantomSettings.model_validate(choices), plain, workers=1).table
    make_phantoms(PhantomSettings.model_validate({**choices, "shortcut": "framing"}), framed, workers=1)
    cued = set(_defects(framed)["shortcut"]["files"])
    assert _defects(framed)["shortcut"]["kind"] == "framing"
    assert cued == set(table["path"][table["label"] == "pneumonia"])
    for path in table["path"]:
        assert ((plain / path).read_bytes() == (framed / path).read_bytes()) == (path not in cued)


def test_dicom_says_the_pixel_distance_of_a_stretched_window(tmp_path: Path) -> None:
    dicom = pytest.importorskip("pydicom")
    choices = {"images": 12, "size": 64, "seed": 3, "format": "dicom"}
    for shortcut in ("none", "framing"):
        settings = PhantomSettings.model_validate({**choices, "shortcut": shortcut})
        manifest = make_phantoms(settings, tmp_path / shortcut, workers=1)
        cued = set(_defects(tmp_path / shortcut)["shortcut"]["files"])
        for path, location in zip(manifest.table["path"], manifest.locations, strict=True):
            down, across = dicom.dcmread(location).ImagerPixelSpacing
            assert (down == across) == (path not in cued)


def test_cardiomegaly_brightens_beside_the_heart() -> None:
    (patient, acquisition), (ill, _) = _pair(4), _pair(4, "cardiomegaly")
    gain = render(ill, acquisition, 112).shown - render(patient, acquisition, 112).shown
    assert gain.max() > 0.1
    assert not render(ill, acquisition, 112).masks


def test_make_writes_a_complete_set(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    manifest = make_phantoms(PhantomSettings(images=16, size=64), folder)
    assert len(manifest) == 16
    assert list(manifest.table.columns) == ["path", "label", "patient", "split", "view", "sex", "age", "mask"]
    assert manifest.info.simulated
    assert manifest.info.source == "simulated chest radiographs, not of people"
    assert manifest.info.licence == "CC0-1.0"
    assert set(manifest.table["view"]) <= {"AP", "PA"}
    assert manifest.table["age"].astype(int).between(0, 100).all()
    for location, label in zip(manifest.locations, manifest.table["label"], strict=True):
        assert Image.open(location).size == (64, 64)
        assert Path(location).parent == folder / "images" / label
    for label, mask in zip(manifest.table["label"], manifest.table["mask"], strict=True):
        assert bool(mask) == (label == "pneumonia")
        if mask:
            assert set(np.unique(np.asarray(Image.open(folder / mask)))) == {0, 255}
    assert not any(value for key, value in _defects(folder).items() if key != "shortcut")
    moved = folder.rename(tmp_path / "moved")
    assert Manifest.read(moved).info.root == "."


def test_same_settings_same_bytes_for_any_number_of_workers(tmp_path: Path) -> None:
    chosen = PhantomSettings(images=72, size=32, format="mixed", task="multilabel", duplicates=3, corrupt=3)
    make_phantoms(chosen, tmp_path / "one", workers=1)
    make_phantoms(chosen, tmp_path / "two", workers=2)
    assert _digests(tmp_path / "one") == _digests(tmp_path / "two")
    make_phantoms(chosen.model_copy(update={"seed": 1}), tmp_path / "other", workers=1)
    assert _digests(tmp_path / "other") != _digests(tmp_path / "one")


def test_all_forms_show_the_same_picture(tmp_path: Path) -> None:
    sets = {
        form: make_phantoms(PhantomSettings(images=12, size=48, format=form), tmp_path / form)
        for form in ("png", "jpeg", "dicom")
    }
    interpretations = set()
    for png, jpeg, dicom in zip(*(sets[form].locations for form in ("png", "jpeg", "dicom")), strict=True):
        exact = np.asarray(decode(png).image, int)
        shown = decode(dicom)
        interpretations.add(shown.facts.mode)
        assert np.abs(np.asarray(shown.image, int) - exact).max() <= 1
        assert np.abs(np.asarray(decode(jpeg).image, int) - exact).mean() < 4
    assert interpretations == {"MONOCHROME1", "MONOCHROME2"}


def test_dicom_header_is_that_of_an_anonymous_chest_radiograph(tmp_path: Path) -> None:
    import pydicom

    manifest = make_phantoms(PhantomSettings(images=8, size=48, format="dicom"), tmp_path / "set")
    headers = [pydicom.dcmread(location) for location in manifest.locations]
    assert len({header.SOPInstanceUID for header in headers}) == 8
    for header, (_, row) in zip(headers, manifest.table.iterrows(), strict=True):
        assert header.SOPClassUID.name == "Computed Radiography Image Storage"
        assert header.file_meta.MediaStorageSOPInstanceUID == header.SOPInstanceUID
        assert (header.Modality, header.BodyPartExamined) == ("CR", "CHEST")
        assert (header.BitsAllocated, header.BitsStored, header.HighBit) == (16, 12, 11)
        assert header.pixel_array.max() < 4096
        assert header.PatientID == row["patient"]
        assert header.ViewPosition == row["view"]
        assert header.PatientAge == f"{int(row['age']):03d}Y"
        assert header.PatientIdentityRemoved == "YES"
        assert "simulated" in header.ImageComments.lower()


def test_planted_defects_are_in_the_files(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    chosen = PhantomSettings(
        images=60, size=32, format="mixed", duplicates=6, shared_patients=4, wrong_labels=0.2, corrupt=6
    )
    manifest = make_phantoms(chosen, folder)
    table, defects = manifest.table.set_index("path"), _defects(folder)
    assert len(table) == 60

    unreadable = set()
    for path, location in zip(table.index, manifest.locations, strict=True):
        try:
            decode(location)
        except DecodeError:
            unreadable.add(path)
    assert unreadable == {item["file"] for item in defects["corrupt"]}
    assert len(unreadable) == 6
    assert {item["damage"] for item in defects["corrupt"]} == {"empty", "truncated", "not an image"}

    digests = _digests(folder)
    twins: dict[str, list[str]] = {}
    for path in table.index.difference(sorted(unreadable)):
        twins.setdefault(digests[path], []).append(path)
    found = {frozenset(paths) for paths in twins.values() if len(paths) > 1}
    assert found == {frozenset((item["file"], item["copy_of"])) for item in defects["duplicates"]}
    assert len(found) == 6

    splits = table.groupby("patient")["split"].agg(set)
    assert sorted(splits.index[splits.map(len) > 1]) == defects["shared_patients"]
    assert len(defects["shared_patients"]) == 4

    for item in defects["wrong_labels"]:
        assert table.loc[item["file"], "label"] == item["label"] != item["truth"]
        assert table.loc[item["file"], "split"] == "train"
    assert defects["wrong_labels"]


@pytest.mark.parametrize("strength", [0.0, 1.0])
def test_shortcuts_are_in_the_pixels(tmp_path: Path, strength: float) -> None:
    for kind in ("marker", "size"):
        chosen = PhantomSettings(images=40, size=40, format="png", shortcut=kind, shortcut_strength=strength)
        manifest = make_phantoms(chosen, tmp_path / kind)
        pictures = [np.asarray(Image.open(location)) for location in manifest.locations]
        if kind == "marker":
            seen = np.array([picture[37:38, 2:3].min() > 230 for picture in pictures])
        else:
            seen = np.array([picture.shape == (50, 50) for picture in pictures])
        files = set(_defects(tmp_path / kind)["shortcut"]["files"])
        np.testing.assert_array_equal(seen, [path in files for path in manifest.table["path"]])
        correlation = np.corrcoef(seen, manifest.targets())[0, 1]
        assert correlation == pytest.approx(1.0) if strength else abs(correlation) < 0.5


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    task=st.sampled_from(["binary", "multiclass", "multilabel"]),
    form=st.sampled_from(["jpeg", "png", "dicom", "mixed"]),
    seed=st.integers(0, 1000),
    images=st.integers(8, 20),
    size=st.integers(32, 60),
)
def test_every_set_can_be_read(
    tmp_path_factory: pytest.TempPathFactory, task: Any, form: Any, seed: int, images: int, size: int
) -> None:
    folder = tmp_path_factory.mktemp("phantoms") / "set"
    chosen = PhantomSettings(images=images, size=size, seed=seed, task=task, format=form)
    manifest = make_phantoms(chosen, folder)
    assert manifest.info.task == task
    for location in manifest.locations:
        assert decode(location).image.size == (size, size)
    formats = {Path(path).suffix for path in manifest.table["path"]}
    assert formats == ({".jpeg", ".png", ".dcm"} if form == "mixed" else {f".{form}".replace("dicom", "dcm")})


def test_manifest_is_made_once_and_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = PhantomSettings(images=8, size=32, seed=77)
    first = phantom_manifest(chosen)
    assert Path(first.info.root).parent == cache_root() / "phantoms"

    def fail(*_: object) -> None:
        raise AssertionError("made again")

    monkeypatch.setattr(phantom, "make_phantoms", fail)
    again = phantom_manifest(chosen)
    assert again.info == first.info
    assert again.table.equals(first.table)
    with pytest.raises(AssertionError, match="made again"):
        phantom_manifest(chosen.model_copy(update={"seed": 78}))


def test_a_failed_run_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(phantom, "damage", full)
    with pytest.raises(RadlensError, match="No space left"):
        make_phantoms(PhantomSettings(images=8, size=32, corrupt=1), tmp_path / "set")
    assert not list(tmp_path.iterdir())


def test_a_folder_in_use_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("kept")
    with pytest.raises(UsageError, match="not an empty folder"):
        make_phantoms(PhantomSettings(images=8, size=32), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
