"""Planted defects of a model folder: whatever was done to it, one clear error, and no code of it is run."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save

from radlens.base.errors import DataError
from radlens.delivery.torch_model import trained_model
from radlens.imaging.preprocess import Preprocessing
from radlens.runtime.model_config import ModelConfig
from radlens.runtime.model_files import (
    CARD_FILE,
    CONFIG_FILE,
    KNOWN_FILES,
    ONNX_FILE,
    WEIGHTS_FILE,
    check_size,
    safe_file,
)
from radlens.runtime.model_folder import open_model_folder, read_model_folder, write_config, write_model_folder

CONFIG = ModelConfig(
    radlens_version="0.1.0",
    task="binary",
    classes=("normal", "ill"),
    network="small_resnet",
    preprocessing=Preprocessing(height=32, width=32),
    threshold=0.4,
)
WEIGHTS = {"head.weight": np.ones((1, 4), np.float32)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_model_folder(tmp_path / "model", CONFIG, WEIGHTS, onnx=b"a graph", card="# A card\n")
    return tmp_path / "model"


def alter_config(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    values = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
    change(values)
    (folder / CONFIG_FILE).write_text(json.dumps(values), encoding="utf-8")


def test_every_file_is_listed_with_its_size_and_hash(folder: Path) -> None:
    found = open_model_folder(folder)
    assert found.config.files.keys() == {WEIGHTS_FILE, ONNX_FILE, CARD_FILE}
    assert found.config.files[ONNX_FILE].size == len(b"a graph")
    assert found.file(ONNX_FILE) == folder / ONNX_FILE
    write_model_folder(folder, CONFIG, WEIGHTS)
    assert open_model_folder(folder).file(ONNX_FILE) is None, "a graph of other weights must not stay"
    assert open_model_folder(folder).file(CARD_FILE) is not None


@pytest.mark.parametrize("name", [WEIGHTS_FILE, ONNX_FILE, CARD_FILE])
def test_a_missing_or_altered_file_is_named(folder: Path, name: str) -> None:
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(DataError, match=f"{name} was altered or damaged: its SHA-256"):
        open_model_folder(folder)
    (folder / name).write_bytes(content + b" ")
    with pytest.raises(DataError, match=f"{name} was altered or damaged: .* bytes were written"):
        open_model_folder(folder)
    (folder / name).unlink()
    with pytest.raises(DataError, match=f"lacks {name}"):
        open_model_folder(folder)


def test_a_file_that_is_not_listed_is_refused_where_it_would_be_used(folder: Path) -> None:
    (folder / "notes.txt").write_text("no matter")
    open_model_folder(folder)
    alter_config(folder, lambda values: values["files"].pop(ONNX_FILE))
    with pytest.raises(DataError, match=r"model\.onnx is not listed"):
        open_model_folder(folder)


@pytest.mark.parametrize(
    "name",
    ["../secret", "/etc/passwd", "a/../../secret", "..\\secret", "model.pkl", "", ".", CONFIG_FILE, "x" * 1000, "a\0b"],
)
def test_names_that_lead_elsewhere_or_that_no_model_has_are_refused(folder: Path, name: str) -> None:
    (folder.parent / "secret").write_text("secret")
    alter_config(folder, lambda values: values["files"].update({name: values["files"][CARD_FILE]}))
    with pytest.raises(DataError, match="lists the file .* which no model has"):
        open_model_folder(folder)


def test_a_config_that_lists_no_weights_is_no_model(folder: Path) -> None:
    for name in (WEIGHTS_FILE, ONNX_FILE):
        (folder / name).unlink()
    write_config(folder, CONFIG)
    with pytest.raises(DataError, match="there is no model"):
        open_model_folder(folder)


@pytest.mark.parametrize("name", KNOWN_FILES[:4])
def test_a_link_out_of_the_folder_is_refused(folder: Path, tmp_path: Path, name: str) -> None:
    outside = tmp_path / "outside"
    (folder / name).rename(outside)
    (folder / name).symlink_to(outside)
    with pytest.raises(DataError, match=f"{name} leads out of the model folder, to .*outside"):
        open_model_folder(folder)


def test_links_within_the_folder_and_within_a_cache_of_the_hub_are_followed(folder: Path, tmp_path: Path) -> None:
    (folder / WEIGHTS_FILE).rename(folder / "weights")
    (folder / WEIGHTS_FILE).symlink_to("weights")
    assert read_model_folder(folder)[1].keys() == WEIGHTS.keys()
    snapshot, blobs = tmp_path / "models--a--b" / "snapshots" / "1f", tmp_path / "models--a--b" / "blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    for number, name in enumerate((CONFIG_FILE, WEIGHTS_FILE, ONNX_FILE, CARD_FILE)):
        (blobs / str(number)).write_bytes((folder / name).read_bytes())
        (snapshot / name).symlink_to(Path("../../blobs") / str(number))
    assert read_model_folder(snapshot)[1].keys() == WEIGHTS.keys()


def test_what_is_no_plain_file_is_refused(folder: Path) -> None:
    (folder / CARD_FILE).unlink()
    (folder / CARD_FILE).mkdir()
    with pytest.raises(DataError, match=r"README\.md is not a regular file"):
        open_model_folder(folder)
    (folder / CARD_FILE).rmdir()
    os.mkfifo(folder / CARD_FILE)
    with pytest.raises(DataError, match=r"README\.md is not a regular file"):
        open_model_folder(folder)
    (folder / CARD_FILE).unlink()
    (folder / CARD_FILE).symlink_to(CARD_FILE)
    with pytest.raises(DataError, match=r"README\.md cannot be read"):
        open_model_folder(folder)


def test_absurd_sizes_are_refused_before_anything_is_read(folder: Path) -> None:
    with (folder / CONFIG_FILE).open("r+b") as file:
        file.truncate(100 * 2**20)
    with pytest.raises(DataError, match=r"config\.json has 104,857,600 bytes; at most 1,048,576"):
        open_model_folder(folder)
    with pytest.raises(DataError, match="at most"):
        check_size(Path(WEIGHTS_FILE), 2**40)
    with pytest.raises(DataError, match="lacks"):
        safe_file(folder, "nothing")


@pytest.mark.parametrize("claim", [2**20, 2**33, 2**63, 2**64 - 1])
def test_weights_whose_header_claims_gigabytes_are_refused(folder: Path, claim: int) -> None:
    (folder / WEIGHTS_FILE).write_bytes(struct.pack("<Q", claim) + b"{}" + b" " * 100)
    write_config(folder, CONFIG)
    with pytest.raises(DataError, match="weights .* cannot be read"):
        read_model_folder(folder)


def test_a_tensor_that_claims_gigabytes_is_refused(folder: Path) -> None:
    header = json.dumps({"a": {"dtype": "F32", "shape": [2**20, 2**12], "data_offsets": [0, 2**34]}}).encode()
    (folder / WEIGHTS_FILE).write_bytes(struct.pack("<Q", len(header)) + header + b"\0" * 64)
    write_config(folder, CONFIG)
    with pytest.raises(DataError, match="weights .* cannot be read"):
        read_model_folder(folder)


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_no_numbers_are_refused(folder: Path, kind: type[np.floating[Any]], value: float) -> None:
    weights = np.ones((2, 3), kind)
    weights[1, 2] = value
    write_model_folder(folder, CONFIG, {"fine": np.ones(2, np.float32), "head.weight": weights})
    with pytest.raises(DataError, match=r"not finite numbers, in 'head\.weight'"):
        read_model_folder(folder)


def test_shapes_and_names_that_do_not_fit_the_network_are_said(folder: Path) -> None:
    with pytest.raises(DataError, match="weights do not fit the network small_resnet"):
        trained_model(*read_model_folder(folder))
    unknown = CONFIG.model_copy(update={"network": "nothing_like_it"})
    with pytest.raises(DataError, match="cannot be built here: Unknown network"):
        trained_model(unknown, WEIGHTS)


class Explosive:
    """Runs code as it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("exploded"),)


def test_pickles_and_programs_in_the_folder_are_never_run(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    bomb = pickle.dumps(Explosive())
    for name in ("pytorch_model.bin", "model.pkl", "model.pt", "training_args.bin"):
        (folder / name).write_bytes(bomb)
    for name in ("__init__.py", "modeling.py", "conftest.py", "sitecustomize.py"):
        (folder / name).write_text("import pathlib; pathlib.Path('exploded').touch()")
    assert read_model_folder(folder)[1].keys() == WEIGHTS.keys()
    for name in (WEIGHTS_FILE, CONFIG_FILE):
        (folder / name).write_bytes(bomb)
        if name == WEIGHTS_FILE:
            write_config(folder, CONFIG)
        with pytest.raises(DataError, match="cannot be read"):
            read_model_folder(folder)
    np.save(tmp_path / "objects.npy", np.array([Explosive()], dtype=object), allow_pickle=True)
    (folder / WEIGHTS_FILE).write_bytes((tmp_path / "objects.npy").read_bytes())
    write_config(folder, CONFIG)
    with pytest.raises(DataError, match="cannot be read"):
        read_model_folder(folder)
    assert not Path("exploded").exists()


def test_a_folder_of_the_first_form_is_still_read(tmp_path: Path) -> None:
    values = CONFIG.model_dump(mode="json", exclude={"files", "onnx", "metrics", "training_data"})
    (tmp_path / CONFIG_FILE).write_text(json.dumps({**values, "format_version": 1}), encoding="utf-8")
    (tmp_path / WEIGHTS_FILE).write_bytes(save(WEIGHTS))
    config, tensors = read_model_folder(tmp_path)
    assert config == CONFIG
    np.testing.assert_array_equal(tensors["head.weight"], WEIGHTS["head.weight"])
    (tmp_path / WEIGHTS_FILE).unlink()
    with pytest.raises(DataError, match=r"lacks model\.safetensors"):
        read_model_folder(tmp_path)


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fuzzed")
    write_model_folder(folder, CONFIG, WEIGHTS)
    return folder


def opens_or_is_refused(folder: Path, content: bytes) -> None:
    before = (folder / CONFIG_FILE).read_bytes()
    try:
        (folder / CONFIG_FILE).write_bytes(content)
        with contextlib.suppress(DataError):
            open_model_folder(folder)
    finally:
        (folder / CONFIG_FILE).write_bytes(before)


@given(st.binary(max_size=300))
def test_of_any_bytes_as_config_nothing_but_a_data_error_escapes(fuzzed: Path, content: bytes) -> None:
    opens_or_is_refused(fuzzed, content)


@given(st.data())
def test_of_a_config_with_any_bytes_changed_nothing_but_a_data_error_escapes(fuzzed: Path, data: st.DataObject) -> None:
    content = bytearray((fuzzed / CONFIG_FILE).read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    opens_or_is_refused(fuzzed, bytes(content))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from(sorted(CONFIG.model_dump())), json_values)
def test_of_any_value_of_a_field_nothing_but_a_data_error_escapes(fuzzed: Path, field: str, value: object) -> None:
    values = json.loads((fuzzed / CONFIG_FILE).read_text(encoding="utf-8"))
    opens_or_is_refused(fuzzed, json.dumps({**values, field: value}).encode("utf-8"))
