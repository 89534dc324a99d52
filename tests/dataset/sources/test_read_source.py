"""What a source may be, and what is said of what cannot be one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from radlens.base.errors import DataError, UsageError
from radlens.config import DataSettings
from radlens.dataset.manifest import DatasetInfo, Manifest
from radlens.dataset.sources import read_source


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("control", "dog"):
        (tmp_path / "pets" / name).mkdir(parents=True)
        (tmp_path / "pets" / name / "a.png").touch()
    return tmp_path / "pets"


def read(source: object, **settings: object) -> Manifest:
    return read_source(DataSettings.model_validate({"source": str(source), "patient_from": "none", **settings}))


def test_folder(folder: Path) -> None:
    assert read(folder).info.classes == ("control", "dog")


@pytest.mark.parametrize("name", ["x.csv", "x.CSV", "x.tsv"])
def test_table(folder: Path, name: str) -> None:
    (folder.parent / name).write_text(
        "path\tlabel\npets/control/a.png\tcontrol\npets/dog/a.png\tdog\n", encoding="utf-8"
    )
    assert len(read(folder.parent / name)) == 2


def test_npz(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", train_images=np.zeros((2, 4, 4), np.uint8), train_labels=np.array([0, 1]))
    assert len(read(tmp_path / "x.npz")) == 2


def test_written_manifest_is_read_as_it_is(folder: Path, tmp_path: Path) -> None:
    written = read(folder, positive_class="control")
    written.write(tmp_path / "index")
    again = read(tmp_path / "index")
    pd.testing.assert_frame_equal(again.table, written.table, check_dtype=False)
    assert again.info == written.info
    assert again.info.classes == ("dog", "control")
    assert read(tmp_path / "index", positive_class="dog").info.classes == ("control", "dog")


def test_written_manifest_whose_images_are_gone(tmp_path: Path) -> None:
    table = pd.DataFrame({"path": ["a", "b"], "label": ["control", "dog"], "patient": ["1", "2"], "split": ["", ""]})
    info = DatasetInfo(name="x", task="binary", classes=("control", "dog"), root=str(tmp_path / "gone"))
    Manifest(table, info).write(tmp_path / "index")
    with pytest.raises(DataError, match="gone, which does not exist"):
        read(tmp_path / "index")


def test_a_manifest_with_a_relative_root_moves_with_its_folder(folder: Path, tmp_path: Path) -> None:
    written = read(folder)
    Manifest(written.table, written.info.model_copy(update={"root": "."})).write(folder)
    folder.rename(tmp_path / "moved")
    manifest = read(tmp_path / "moved")
    assert all(Path(location).is_file() for location in manifest.locations)
    assert manifest.info.root == str(tmp_path / "moved")


def test_phantom(tmp_path: Path) -> None:
    manifest = read("Phantom", phantom={"images": 8, "size": 32})
    assert len(manifest) == 8
    assert manifest.info.simulated


def test_tilde_is_the_home_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder.parent))
    monkeypatch.setenv("USERPROFILE", str(folder.parent))
    assert len(read("~/pets")) == 2


def test_near_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as raised:
        read("kermani")
    message = str(raised.value)
    assert "'kermani' does not exist" in message
    assert str(tmp_path / "kermani") in message
    assert "Did you mean 'kermany'?" in message
    assert raised.value.exit_code == 2


def test_missing_path_gets_no_name_for_an_answer() -> None:
    with pytest.raises(UsageError, match="does not exist") as raised:
        read("/nowhere/phantoms")
    assert "Did you mean" not in str(raised.value)


@pytest.mark.parametrize("source", [None, "", "  "])
def test_no_source(source: str | None) -> None:
    with pytest.raises(UsageError, match=r"No source was given\. Expected a folder"):
        read_source(DataSettings(source=source))


@pytest.mark.parametrize(("name", "message"), [("x.zip", "Unpack it"), ("x.png", "a file of another kind")])
def test_other_files(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / name).touch()
    with pytest.raises(UsageError, match=message):
        read(tmp_path / name)


def test_a_name_wins_over_a_folder_and_says_so(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(folder.parent)
    folder.rename(folder.parent / "pneumoniamnist")
    monkeypatch.setattr("radlens.dataset.sources.medmnist.read_pneumoniamnist", lambda *_: read("./pneumoniamnist"))
    assert read("PneumoniaMNIST".lower()).info.classes == ("control", "dog")
    assert "give ./pneumoniamnist" in caplog.text
