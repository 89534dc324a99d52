"""One loader for every form of a model: with model.onnx and without, with PyTorch and without, the same answers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

import radlens
from radlens.base.errors import DataError, RadlensError
from radlens.config import PhantomSettings
from radlens.dataset.phantom.source import make_phantoms
from radlens.decision import Task
from radlens.delivery.onnx_export import export_graph
from radlens.delivery.torch_model import load_trained
from radlens.imaging.pixels import read_pixels
from radlens.imaging.preprocess import Preprocessing
from radlens.learning.classifier import outputs_of
from radlens.learning.networks import build_network
from radlens.runtime.model_config import ModelConfig
from radlens.runtime.model_folder import write_model_folder
from radlens.workflows.load import load

CONTRACT = Preprocessing(height=48, width=64, low=-1.0, high=1.0)


def write(folder: Path, task: Task, classes: tuple[str, ...], *, onnx: bool, network: str = "small_resnet") -> Path:
    """A model with weights as after some training, calibrated, and looking at mirror images too."""
    torch.manual_seed(0)
    module = build_network(network, CONTRACT.shape, outputs_of(task, len(classes)))
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.15 * torch.randn_like(parameter))
    tensors: dict[str, npt.NDArray[Any]] = {name: value.numpy() for name, value in module.state_dict().items()}
    config = ModelConfig(
        radlens_version="0",
        task=task,
        classes=classes,
        network=network,
        preprocessing=CONTRACT,
        threshold=0.45,
        calibration_slope=1.3,
        calibration_offset=0.0 if task == "multiclass" else -0.2,
        flip_tta=True,
    )
    write_model_folder(folder, config, tensors, export_graph(config, tensors) if onnx else None)
    return folder


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    made = make_phantoms(PhantomSettings(images=64, size=96), tmp_path_factory.mktemp("phantoms"), workers=1)
    return made.locations


@pytest.mark.parametrize(
    ("task", "classes"),
    [("binary", ("normal", "ill")), ("multiclass", ("a", "b", "c")), ("multilabel", ("a", "b", "c"))],
)
def test_answers_without_pytorch_are_those_of_pytorch(
    task: Task, classes: tuple[str, ...], phantoms: list[str], tmp_path: Path
) -> None:
    folder = write(tmp_path / "onnx", task, classes, onnx=True)
    answers = load(folder).predict(phantoms)
    found = np.array([[*answer.probabilities.values()] for answer in answers])
    fallback = load(write(tmp_path / "torch", task, classes, onnx=False)).predict(phantoms)
    trained = load_trained(folder)
    pixels = np.stack([read_pixels(path, CONTRACT)[0] for path in phantoms])
    wanted = trained.probabilities(pixels)
    assert np.ptp(wanted, axis=0).min() > 0.01, "the images make no difference"
    np.testing.assert_allclose(found, wanted, atol=1e-4)
    np.testing.assert_allclose(load(folder).probabilities(pixels), wanted, atol=1e-4)
    assert [answer.predicted for answer in answers] == [answer.predicted for answer in fallback]


def test_the_identity_changes_with_anything_that_decides_an_answer(tmp_path: Path) -> None:
    classes = ("normal", "ill")
    first = load(write(tmp_path / "a", "binary", classes, onnx=True))
    assert len(first.identity) == 12
    assert load(write(tmp_path / "b", "binary", classes, onnx=True)).identity == first.identity
    assert load(write(tmp_path / "c", "binary", ("normal", "sick"), onnx=True)).identity != first.identity
    assert load(write(tmp_path / "d", "binary", classes, onnx=False)).identity != first.identity


def test_a_network_without_pooling_answers_but_explains_nothing(phantoms: list[str], tmp_path: Path) -> None:
    model = load(write(tmp_path / "model", "binary", ("normal", "ill"), onnx=True, network="baseline_cnn"))
    assert not model.predict(phantoms[0]).error
    with pytest.raises(DataError, match="baseline_cnn"):
        model.explain(phantoms[0])


def run_without(modules: tuple[str, ...], code: str) -> subprocess.CompletedProcess[str]:
    blocked = f"import sys; sys.modules.update(dict.fromkeys({modules!r}))\n"
    return subprocess.run([sys.executable, "-c", blocked + code], capture_output=True, text=True, check=False)


def test_a_folder_with_a_graph_needs_no_pytorch_and_one_without_says_so(phantoms: list[str], tmp_path: Path) -> None:
    heavy = ("torch", "lightning", "pandas", "sklearn", "scipy", "matplotlib", "seaborn")
    graph = write(tmp_path / "onnx", "binary", ("normal", "ill"), onnx=True)
    weights = write(tmp_path / "torch", "binary", ("normal", "ill"), onnx=False)
    code = "import radlens; print(radlens.load({!r}).predict({!r}).predicted)"
    done = run_without(heavy, code.format(str(graph), phantoms[0]))
    assert done.stdout.strip() in ("normal", "ill"), done.stderr
    done = run_without(heavy, code.format(str(weights), phantoms[0]))
    assert "has no model.onnx" in done.stderr.splitlines()[-1]
    assert 'pip install "radlens[train]"' in done.stderr.splitlines()[-1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "torch", None)
        with pytest.raises(RadlensError, match="radlens export MODEL"):
            load(weights)


def test_loading_is_a_verb_of_the_package(tmp_path: Path) -> None:
    assert radlens.load is load
    with pytest.raises(DataError, match="There is no model 'no-such'"):
        radlens.load("no-such")
    with pytest.raises(AttributeError, match="no attribute 'lode'"):
        getattr(radlens, "lode")  # noqa: B009
