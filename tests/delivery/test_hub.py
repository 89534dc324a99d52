"""Models of the hub, against a stand-in of it on this machine."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from radlens.base.errors import DataError, RadlensError, UsageError
from radlens.delivery.hub import files_to_send, push
from radlens.runtime.hub import fetch, is_hub_id
from radlens.runtime.model_config import ModelConfig
from radlens.runtime.model_folder import Tensors, find_model, open_model_folder, read_model_folder, write_model_folder

Maker = Callable[..., tuple[ModelConfig, Tensors]]


def _stand_in() -> ModuleType:
    spec = importlib.util.spec_from_file_location("hub_stand_in", Path(__file__).with_name("hub_stand_in.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The stand-in, an empty cache, and a token."""
    import huggingface_hub.constants
    import huggingface_hub.file_download

    service = _stand_in().HubStandIn()
    monkeypatch.setenv("HF_ENDPOINT", service.url)
    monkeypatch.setenv("HF_TOKEN", "hf_of_the_tests")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", True)
    yield service
    service.close()


@pytest.fixture
def folder(make_model: Maker, tmp_path: Path) -> Path:
    write_model_folder(tmp_path / "run" / "model", *make_model(), onnx=b"a graph", card="# A card\n")
    return tmp_path / "run" / "model"


def test_what_is_sent_comes_back_and_nothing_else_is_sent(hub: Any, folder: Path, tmp_path: Path) -> None:
    (folder / "secret.pem").write_text("secret")
    (folder.parent / "manifest.csv").write_text("who the patients are")
    url = push(folder.parent, "owner/lungs")
    assert url == f"{hub.url}/owner/lungs"
    names = {"config.json", "model.safetensors", "model.onnx", "README.md"}
    assert hub.repositories["owner/lungs"].keys() - {".gitattributes"} == names
    assert "Bearer hf_of_the_tests" in hub.tokens
    hub.repositories["owner/lungs"]["modeling.py"] = b"import os"
    fetched = fetch("owner/lungs")
    assert {file.name for file in fetched.iterdir()} == names
    assert fetched.is_relative_to(tmp_path / "hub")
    assert read_model_folder(fetched)[0] == read_model_folder(folder)[0]
    assert find_model("owner/lungs") == fetched


def test_a_graph_that_is_no_more_is_removed_on_the_hub(hub: Any, folder: Path, make_model: Maker) -> None:
    push(folder, "owner/lungs")
    write_model_folder(folder, *make_model())
    push(folder, "owner/lungs", private=True)
    assert "model.onnx" not in hub.repositories["owner/lungs"]
    assert open_model_folder(fetch("owner/lungs")).config.files.keys() == {"model.safetensors", "README.md"}


def test_without_a_network_the_copy_that_was_fetched_is_used(
    hub: Any, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    push(folder, "owner/lungs")
    fetched = fetch("owner/lungs")
    hub.close()
    assert fetch("owner/lungs") == fetched
    assert "The hub cannot be reached" in caplog.text
    with pytest.raises(RadlensError, match=r"'owner/other' cannot be fetched.*not fetched before.*Check the network"):
        fetch("owner/other")


def test_a_newer_model_is_fetched_and_an_altered_one_is_refused(hub: Any, folder: Path, make_model: Maker) -> None:
    push(folder, "owner/lungs")
    first = fetch("owner/lungs")
    config, tensors = make_model(seed=7)
    write_model_folder(folder, config, tensors)
    push(folder, "owner/lungs")
    assert open_model_folder(fetch("owner/lungs")).config.seed == 7
    assert open_model_folder(first).config.seed == 0
    hub.repositories["owner/lungs"]["README.md"] = b"# Another card\n"
    with pytest.raises(DataError, match=r"README\.md was altered"):
        open_model_folder(fetch("owner/lungs"))


def test_what_the_hub_does_not_have_is_said(hub: Any) -> None:
    with pytest.raises(DataError, match="The hub has no model 'owner/none' for you: .*hf auth login"):
        fetch("owner/none")
    with pytest.raises(DataError, match="There is no folder 'owner/none' here. Taken for a model of the hub: "):
        find_model("owner/none")
    with pytest.raises(UsageError, match="is not the name of a model of the hub"):
        fetch("owner/none/more")


def test_absurd_sizes_are_refused_before_they_are_fetched(hub: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.repositories["owner/large"] = {"config.json": b" " * (2**20 + 1)}
    with pytest.raises(DataError, match=r"owner/large/config\.json has 1,048,577 bytes"):
        fetch("owner/large")
    assert not any("resolve" in asked for asked in hub.asked)


def test_sending_needs_a_token_a_name_and_a_whole_model(
    hub: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("lungs", "owner/lungs/more", "owner/lungs@v1", "../lungs", ""):
        with pytest.raises(UsageError, match="owner/name was expected"):
            push(folder, name)
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    with pytest.raises(RadlensError, match="no token.*hf auth login"):
        push(folder, "owner/lungs")
    (folder / "model.onnx").write_bytes(b"another")
    with pytest.raises(DataError, match="was altered"):
        push(folder, "owner/lungs")
    assert hub.repositories == {}


def test_a_refusal_of_the_hub_is_said(hub: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "_find", lambda *_: (403, b'{"error": "not yours"}', {}))
    with pytest.raises(RadlensError, match="The hub did not take the model as 'owner/lungs'"):
        push(folder, "owner/lungs")


def test_without_the_package_it_is_said_how_to_get_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    for act in (lambda: fetch("owner/lungs"), lambda: push(folder, "owner/lungs")):
        with pytest.raises(RadlensError, match=r'pip install "radlens\[hub\]"'):
            act()
    assert next(file.name for file in files_to_send(folder)) == "config.json"


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("radlens/pneumonia-cxr", True),
        ("radlens/pneumonia-cxr@main", True),
        ("pneumonia-cxr", False),
        ("a/b/c", False),
        ("./model", False),
        ("../model", False),
        ("/model", False),
        ("a/", False),
        ("a/b@", False),
        ("a\\b", False),
        ("a/b c", False),
    ],
)
def test_names_of_the_hub_are_told_from_paths(text: str, is_one: bool) -> None:
    assert is_hub_id(text) == is_one
