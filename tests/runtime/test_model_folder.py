"""A model folder comes back as it was written, and anything missing, damaged or newer is said."""

from __future__ import annotations

import errno
import json
import os
import pickle
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from radlens.base.errors import DataError, RadlensError
from radlens.decision import Calibration, OperatingPoint
from radlens.imaging.preprocess import Preprocessing
from radlens.runtime import model_folder
from radlens.runtime.model_config import ModelConfig
from radlens.runtime.model_folder import (
    CONFIG_FILE,
    WEIGHTS_FILE,
    boxed_models,
    find_model,
    read_model_folder,
    write_config,
    write_model_folder,
)

CONFIG = ModelConfig(
    radlens_version="0.1.0",
    task="binary",
    classes=("NORMAL", "肺炎 | pneumonia"),
    network="small_resnet",
    preprocessing=Preprocessing(height=64, width=48, fit="pad", channels=3, low=-1.0, high=1.0),
    threshold=0.37,
    trained_on="phantom",
    simulated=True,
    seed=3,
    best_epoch=2,
)


def tensors() -> dict[str, npt.NDArray[Any]]:
    rng = np.random.default_rng(0)
    strange = np.array([-0.0, 1e-45, np.finfo(np.float32).max], dtype=np.float32)
    return {
        "stem.weight": rng.normal(size=(4, 3, 3, 3)).astype(np.float32),
        "turned": np.asarray(rng.normal(size=(5, 7)).astype(np.float32).T),
        "strange": strange,
        "norm.num_batches_tracked": np.array(123456789012, dtype=np.int64),
        "half": rng.normal(size=3).astype(np.float16),
        "none": np.zeros((0, 4), dtype=np.float32),
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_model_folder(tmp_path / "model", CONFIG, tensors())
    return tmp_path / "model"


def test_what_is_written_comes_back_bit_for_bit(folder: Path) -> None:
    config, found = read_model_folder(folder)
    assert config.model_copy(update={"files": {}}) == CONFIG
    assert found.keys() == tensors().keys()
    for name, value in tensors().items():
        assert found[name].dtype == value.dtype
        assert found[name].shape == value.shape
        assert found[name].tobytes() == value.tobytes()


@given(
    st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=4),
    st.sampled_from(["binary", "multiclass", "multilabel"]),
    st.floats(0, 1, exclude_min=True, exclude_max=True),
    st.text(max_size=20),
)
def test_any_config_comes_back_from_json(classes: list[str], task: str, threshold: float, trained_on: str) -> None:
    if len(set(classes)) != len(classes) or (task == "binary" and len(classes) != 2):
        return
    values = {"classes": classes, "task": task, "threshold": threshold, "trained_on": trained_on}
    config = ModelConfig.model_validate({**CONFIG.model_dump(), **values})
    assert ModelConfig.model_validate(json.loads(config.model_dump_json())) == config


def test_the_folder_holds_two_files_and_no_pickle(folder: Path) -> None:
    files = sorted(path.name for path in folder.iterdir())
    assert files == [CONFIG_FILE, WEIGHTS_FILE] == ["config.json", "model.safetensors"]
    content = (folder / WEIGHTS_FILE).read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    assert header.keys() - {"__metadata__"} == tensors().keys()
    with pytest.raises(Exception, match=r".*"):
        pickle.loads(content)  # noqa: S301


def test_a_run_folder_is_as_good_as_its_model_folder(folder: Path) -> None:
    config, found = read_model_folder(folder.parent)
    assert config.model_copy(update={"files": {}}) == CONFIG
    assert found.keys() == tensors().keys()


def test_an_earlier_model_is_replaced(folder: Path) -> None:
    write_model_folder(folder, CONFIG.model_copy(update={"seed": 4}), {"one": np.ones(2, np.float32)})
    config, found = read_model_folder(folder)
    assert (config.seed, list(found)) == (4, ["one"])
    assert sorted(path.name for path in folder.iterdir()) == [CONFIG_FILE, WEIGHTS_FILE]


def test_a_folder_that_is_no_model_says_how_to_get_one(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(DataError, match="is not a model.*radlens run"):
            read_model_folder(path)
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match="is not a model"):
        read_model_folder(tmp_path / "file")


def test_missing_weights_are_said(folder: Path) -> None:
    (folder / WEIGHTS_FILE).unlink()
    with pytest.raises(DataError, match=r"lacks model\.safetensors"):
        read_model_folder(folder)


@pytest.mark.parametrize("version", [3, 0, "1", None, [1], 1.5, True, "2" * 1000])
def test_another_version_of_the_form_is_refused(folder: Path, version: object) -> None:
    values = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
    (folder / CONFIG_FILE).write_text(json.dumps({**values, "format_version": version}))
    with pytest.raises(DataError, match="format version.*reads versions 1 and 2"):
        read_model_folder(folder)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b"{}",
        b'{"format_version": 1}',
        b'{"format_version": 2}',
        b'"format_version"',
        b"[" * 100_000,
        b"1" * 10_000,
    ],
)
def test_a_damaged_config_is_said(folder: Path, content: bytes) -> None:
    (folder / CONFIG_FILE).write_bytes(content)
    with pytest.raises(DataError):
        read_model_folder(folder)


@pytest.mark.parametrize(
    "change",
    [
        {"threshold": 0.0},
        {"threshold": 1.0},
        {"classes": []},
        {"classes": ["ill"]},
        {"classes": ["ill", "ill"]},
        {"operating_points": {"sensitivity 0.95": 1.5}},
        {"operating_point_bounds": {"x": asdict(OperatingPoint("0.5", 0.9, 0.8, 0.9, 0.8, 0.95, 9, 9))}},
        {"task": "regression"},
        {"preprocessing": {"height": 3}},
        {"best_epoch": -1},
        {"something_new": 1},
        {"calibration_slope": float("inf")},
        {"task": "multiclass", "calibration_offset": 0.5},
        {"calibration_offset": float("nan")},
        {"abstention": {"alpha": 0.05, "least_probabilities": {"0.05": [0.5]}}},
        {"abstention": {"alpha": 0.05, "farthest": {"0.01": 3.0}}},
        {"files": {"model.safetensors": {"sha256": "0" * 63, "size": 1}}},
        {"files": {"model.safetensors": {"sha256": "0" * 64, "size": -1}}},
    ],
    ids=str,
)
def test_an_altered_config_is_said(folder: Path, change: dict[str, object]) -> None:
    values = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
    (folder / CONFIG_FILE).write_text(json.dumps({**values, **change}))
    with pytest.raises(DataError, match="cannot be read"):
        read_model_folder(folder)
    with pytest.raises(ValidationError):
        ModelConfig.model_validate({**CONFIG.model_dump(), **change})


@pytest.mark.parametrize("left_out", ["task", "classes", "network", "preprocessing", "threshold", "radlens_version"])
def test_a_config_that_says_too_little_is_refused(folder: Path, left_out: str) -> None:
    values = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
    del values[left_out]
    (folder / CONFIG_FILE).write_text(json.dumps(values))
    with pytest.raises(DataError, match=left_out):
        read_model_folder(folder)


@pytest.mark.parametrize("keep", [0, 4, 8, 60, -1])
def test_weights_cut_short_are_said(folder: Path, keep: int) -> None:
    content = (folder / WEIGHTS_FILE).read_bytes()
    (folder / WEIGHTS_FILE).write_bytes(content[:keep])
    with pytest.raises(DataError, match=r"model\.safetensors was altered or damaged"):
        read_model_folder(folder)
    write_config(folder, CONFIG)
    with pytest.raises(DataError, match=r"weights .*model\.safetensors cannot be read"):
        read_model_folder(folder)


@given(st.binary(max_size=200))
def test_of_any_bytes_as_weights_nothing_but_a_data_error_escapes(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    folder = tmp_path_factory.getbasetemp() / "any-bytes"
    write_model_folder(folder, CONFIG, {})
    (folder / WEIGHTS_FILE).write_bytes(content)
    write_config(folder, CONFIG)
    with pytest.raises(DataError, match="weights"):
        read_model_folder(folder)


def test_a_full_disk_leaves_no_config_that_would_call_the_folder_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(RadlensError, match="No space left"):
            write_model_folder(tmp_path / "model", CONFIG, tensors())
    assert list((tmp_path / "model").iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="no file modes")
def test_others_may_read_what_the_umask_lets_them(folder: Path) -> None:
    (folder / "plain").touch()
    modes = {path.name: path.stat().st_mode for path in folder.iterdir()}
    assert modes[CONFIG_FILE] == modes[WEIGHTS_FILE] == modes["plain"]


def test_reading_a_model_needs_no_training_packages() -> None:
    code = (
        "import sys; import radlens.runtime.model_folder; "
        "print([name for name in ('torch', 'lightning', 'sklearn', 'pandas', 'matplotlib') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_model_is_found_by_its_folder_first_and_then_by_its_name(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_folder, "__file__", str(tmp_path / "radlens" / "runtime" / "model_folder.py"))
    assert boxed_models() == {}
    with pytest.raises(DataError, match="no model 'lungs': a run folder or a model folder .* or a name of: none"):
        find_model("lungs")
    (tmp_path / "radlens" / "models").mkdir(parents=True)
    folder.rename(tmp_path / "radlens" / "models" / "lungs")
    (tmp_path / "radlens" / "models" / "half").mkdir()
    assert list(boxed_models()) == ["lungs"]
    assert read_model_folder(find_model("lungs"))[0].classes == CONFIG.classes
    with pytest.raises(DataError, match="or a name of: lungs"):
        find_model("half")
    monkeypatch.chdir(tmp_path)
    Path("lungs").mkdir()
    assert find_model("lungs") == Path("lungs")


def test_a_calibration_that_is_no_line_and_an_operating_point_come_back(tmp_path: Path) -> None:
    calibration = Calibration("isotonic", (0.1, 0.5, 0.9, 0.2, 0.4, 0.95))
    point = OperatingPoint("sensitivity:0.95", 0.96, 0.93, 0.8, 0.71, 0.95, 40, 60)
    losses = {"none": 0.3, "beta": 0.2}
    values = {
        "calibration_map": calibration,
        "operating_point": point,
        "operating_points": {"sensitivity 0.95": 0.4},
        "operating_point_bounds": {"sensitivity 0.95": point},
        "calibration_losses": losses,
    }
    config = CONFIG.model_copy(update=values)
    write_model_folder(tmp_path, config, tensors())
    found, _ = read_model_folder(tmp_path)
    assert found.model_copy(update={"files": {}}) == config
    assert found.calibration == calibration
    assert found.operating_point == point
    assert found.operating_point_bounds == {"sensitivity 0.95": point}


def test_a_folder_that_knows_no_bounds_or_costs_is_read_as_before(folder: Path) -> None:
    config = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
    del config["operating_point_bounds"]
    config["operating_point"] = {
        "rule": "cost",
        "sensitivity": 0.96,
        "sensitivity_low": 0.93,
        "specificity": 0.8,
        "specificity_low": 0.71,
        "confidence": 0.95,
        "positive_patients": 40,
        "negative_patients": 60,
    }
    (folder / CONFIG_FILE).write_text(json.dumps(config), encoding="utf-8")
    found, _ = read_model_folder(folder)
    assert found.operating_point == OperatingPoint("cost", 0.96, 0.93, 0.8, 0.71, 0.95, 40, 60)
    assert found.operating_point_bounds == {}


def test_the_calibration_of_a_line_is_read_as_before() -> None:
    assert CONFIG.calibration == Calibration("platt", (1.0, 0.0))
    moved = CONFIG.model_copy(update={"calibration_slope": 1.5, "calibration_offset": -0.2})
    assert moved.calibration == Calibration("platt", (1.5, -0.2))
    three = CONFIG.model_copy(update={"task": "multiclass", "classes": ("a", "b", "c"), "calibration_slope": 0.7})
    assert three.calibration == Calibration("temperature", (0.7,))
    values = CONFIG.model_dump() | {"calibration_slope": 2.0, "calibration_map": Calibration("beta", (1, 1, 0))}
    with pytest.raises(ValidationError, match="not both"):
        ModelConfig.model_validate(values)


def test_a_calibration_that_cannot_be_is_refused(folder: Path) -> None:
    config = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
    config["calibration_map"] = {"kind": "isotonic", "numbers": [0.5, 0.1, 0.2, 0.3]}
    (folder / CONFIG_FILE).write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(DataError, match="a calibration of kind isotonic cannot have"):
        read_model_folder(folder)


def test_a_config_of_the_version_before_is_read_under_today_s_names() -> None:
    abstention = {
        "alpha": 0.05,
        "least_probabilities": {"0.05": [0.5, 0.4]},
        "ood_rate": 0.01,
        "farthest": {"0.01": 3.0},
    }
    values = CONFIG.model_dump(mode="json")
    values |= {"flip_tta": True, "calibration_losses": {"platt": 0.2}, "abstention": abstention}
    earlier = {("mirror" if name == "flip_tta" else name): value for name, value in values.items()}
    earlier["calibration_losses"] = {"line": 0.2}
    renamed = {"alpha": "error_rate", "ood_rate": "refuse_rate"}
    earlier["abstention"] = {renamed.get(name, name): value for name, value in abstention.items()}
    assert ModelConfig.model_validate(earlier) == ModelConfig.model_validate(values)
