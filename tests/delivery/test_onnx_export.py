"""The exported graph in onnxruntime gives what PyTorch gives, for every task and batch size, or there is no graph."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
import transformers
from torch import Tensor, nn

from radlens.base.errors import DataError, RadlensError
from radlens.delivery.onnx_export import (
    FEWEST_IMAGES,
    NoGraphError,
    check_maps,
    check_parity,
    count_flips,
    export_graph,
    graph_outputs,
    open_session,
    phantom_pixels,
    run_graph,
)
from radlens.delivery.torch_model import trained_model
from radlens.imaging.preprocess import Preprocessing

Maker = Callable[..., Any]


@pytest.mark.parametrize(
    ("network", "changes"),
    [
        ("small_resnet", {"flip_tta": True, "calibration_slope": 1.5, "calibration_offset": -0.7}),
        ("small_resnet", {"task": "multiclass", "classes": ("a", "b", "c"), "calibration_slope": 0.4, "channels": 3}),
        ("efficientnet_lite0", {"task": "multilabel", "classes": ("a", "b"), "size": (64, 50), "flip_tta": True}),
        ("baseline_cnn", {"size": (50, 46), "calibration_slope": 2.0}),
    ],
)
def test_the_graph_answers_as_pytorch_does(
    make_model: Maker, some_pixels: Maker, network: str, changes: dict[str, Any]
) -> None:
    config, tensors = make_model(network, **changes)
    model = export_graph(config, tensors)
    pixels = some_pixels(config, 9)
    expected = trained_model(config, tensors).probabilities(pixels)
    parity = check_parity(model, config, pixels, expected, "noise")
    assert parity.images == 9
    assert parity.largest_difference < 1e-5
    names = ("probabilities", "logits", "embedding", "cam")
    assert graph_outputs(model) == names[: 3 if network == "baseline_cnn" else 4]
    together = run_graph(model, pixels, batch_size=9)
    if "cam" in together:
        check_maps(model, config, pixels, trained_model(config, tensors).maps(pixels, np.arange(9)))
    for size in (1, 2, 4):
        apart = run_graph(model, pixels, batch_size=size)
        for name, value in together.items():
            assert value.dtype == np.float32
            np.testing.assert_allclose(apart[name], value, atol=1e-4, rtol=1e-4)
    if "cam" in together:
        np.testing.assert_allclose(together["cam"].mean(axis=(2, 3)), together["logits"], atol=1e-4)


def test_the_graph_has_the_contract_of_its_input_and_little_else(make_model: Maker) -> None:
    config, tensors = make_model("efficientnet_lite0", size=(64, 64), flip_tta=True)
    proto = onnx.load_from_string(export_graph(config, tensors))
    onnx.checker.check_model(proto, full_check=True)
    (pixels,) = proto.graph.input
    assert (pixels.name, pixels.type.tensor_type.elem_type) == ("pixels", onnx.TensorProto.UINT8)
    dims = pixels.type.tensor_type.shape.dim
    assert dims[0].dim_param == "batch"
    assert [dim.dim_value for dim in dims[1:]] == [1, 64, 64]
    kinds = [node.op_type for node in proto.graph.node]
    # 49 convolutions of the network, and of those behind the map the way back; norms folded, every ReLU6 one node.
    assert kinds.count("Conv") == 49
    assert kinds.count("ConvTranspose") == 15
    assert not {"BatchNormalization", "Pad", "Dropout", "Identity"} & set(kinds)
    assert len(kinds) < 220
    assert {entry.domain for entry in proto.opset_import} <= {"", "ai.onnx"}


def test_a_graph_that_answers_otherwise_is_refused(make_model: Maker, some_pixels: Maker) -> None:
    config, tensors = make_model()
    model, pixels = export_graph(config, tensors), some_pixels(config)
    expected = trained_model(config, tensors).probabilities(pixels)
    for off in (2e-4, np.nan):
        wrong = expected.copy()
        wrong[3] += [off, -off]
        with pytest.raises(DataError, match="on 5 images .* differs by up to"):
            check_parity(model, config, pixels, wrong, "noise")
    low = float(expected[:, 1].min())
    at_one = config.model_copy(update={"threshold": low + 5e-6})
    barely = expected.copy()
    barely[:, 1] += 1e-5
    assert count_flips(at_one, barely, expected) >= 1
    with pytest.raises(DataError, match="decisions flip"):
        check_parity(model, at_one, pixels, barely, "noise")


def test_a_map_that_is_not_that_of_pytorch_or_whose_mean_is_not_the_logit_is_refused(
    make_model: Maker, some_pixels: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, tensors = make_model(flip_tta=True)
    model, pixels = export_graph(config, tensors), some_pixels(config)
    outputs = run_graph(model, pixels)
    expected = trained_model(config, tensors).maps(pixels, np.arange(len(pixels)))
    check_maps(model, config, pixels, expected)
    for wrong in (expected[..., ::-1], expected[:, :, :-1], expected * np.nan):
        with pytest.raises(DataError, match="maps of small_resnet are wrong: they are not those of PyTorch"):
            check_maps(model, config, pixels, wrong)
    shifted = {**outputs, "logits": outputs["logits"] + 0.01}
    monkeypatch.setattr("radlens.delivery.onnx_export.run_graph", lambda *_: shifted)
    with pytest.raises(DataError, match="maps of small_resnet are wrong: their means are not the logits"):
        check_maps(model, config, pixels, expected)


def test_flips_are_counted_by_image() -> None:
    config = make_config("multilabel", ("a", "b"), 0.4)
    first = np.array([[0.5, 0.5], [0.3, 0.39], [0.9, 0.0]])
    assert count_flips(config, np.array([[0.3, 0.3], [0.3, 0.41], [0.8, 0.1]]), first) == 2


def make_config(task: str, classes: tuple[str, ...], threshold: float) -> Any:
    from radlens.runtime.model_config import ModelConfig

    values = {"radlens_version": "0", "task": task, "classes": classes, "network": "x", "threshold": threshold}
    return ModelConfig.model_validate({**values, "preprocessing": {}})


def test_networks_of_other_packages_are_exported_too(make_model: Maker, some_pixels: Maker, tmp_path: Path) -> None:
    config = transformers.ResNetConfig(hidden_sizes=[16, 32], depths=[1, 1], embedding_size=8, layer_type="basic")
    transformers.AutoModel.from_config(config).save_pretrained(tmp_path / "backbone")
    for name, cam in (("monai:resnet10", True), (f"hf:{tmp_path / 'backbone'}", True)):
        model_config, tensors = make_model(name, size=(64, 64))
        model, pixels = export_graph(model_config, tensors), some_pixels(model_config)
        expected = trained_model(model_config, tensors).probabilities(pixels)
        assert check_parity(model, model_config, pixels, expected, "noise").largest_difference < 1e-4
        assert ("cam" in graph_outputs(model)) == cam
        check_maps(
            model, model_config, pixels, trained_model(model_config, tensors).maps(pixels, np.arange(len(pixels)))
        )


def test_a_network_that_cannot_be_written_is_said_and_named(make_model: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    config, tensors = make_model()

    def fails(*_: object, **__: object) -> None:
        raise NotImplementedError("no such operator\nand a long story")

    monkeypatch.setattr("torch.onnx.export", fails)
    with pytest.raises(DataError, match=r"small_resnet cannot be written as ONNX: no such operator\. .*efficientnet"):
        export_graph(config, tensors)
    monkeypatch.setattr("radlens.delivery.onnx_export._LARGEST_GRAPH", 10)
    with pytest.raises(DataError, match="over 2 GB"):
        export_graph(config, tensors)


class Choosy(nn.Module):
    """Goes one way or another by what it sees, which no graph can; or its logits come out of no linear layer."""

    def __init__(self, *, ends_in_linear: bool) -> None:
        super().__init__()
        self.head = nn.Linear(1, 1)
        self.ends_in_linear = ends_in_linear

    def forward(self, images: Tensor) -> Tensor:
        """To logits."""
        mean = images.mean(dim=(1, 2, 3), keepdim=True).flatten(1)
        if not self.ends_in_linear:
            return torch.as_tensor(self.head(mean)).tanh()
        return torch.as_tensor(self.head(mean if mean.sum() > 0 else -mean))


@pytest.mark.parametrize(
    ("ends_in_linear", "reason"), [(True, "data-dependent"), (False, "logits do not come out of a linear layer")]
)
def test_what_no_graph_can_do_is_said(
    make_model: Maker, monkeypatch: pytest.MonkeyPatch, ends_in_linear: bool, reason: str
) -> None:
    config, _ = make_model()
    network = Choosy(ends_in_linear=ends_in_linear)
    monkeypatch.setattr("radlens.learning.trained_model.build_network", lambda *_: network)
    with pytest.raises(NoGraphError, match=f"small_resnet cannot be written as ONNX: .*{reason}.*efficientnet"):
        export_graph(config, {name: value.numpy() for name, value in network.state_dict().items()})


@pytest.mark.parametrize("place", ["radlens.delivery.onnx_graph.OnnxGraph.forward", "torch.onnx.export"])
@pytest.mark.parametrize("error", [AttributeError, TypeError, AssertionError, KeyError])
def test_a_bug_in_building_the_graph_surfaces(
    make_model: Maker, monkeypatch: pytest.MonkeyPatch, place: str, error: type[Exception]
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise error("a slip of the pen")

    config, tensors = make_model()
    monkeypatch.setattr(place, fails)
    with pytest.raises(error, match="a slip of the pen"):
        export_graph(config, tensors)


@pytest.mark.parametrize("package", ["onnx", "onnxscript"])
def test_a_missing_package_is_said(make_model: Maker, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    config, tensors = make_model()
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(RadlensError, match=f'needs {package}, .*pip install "radlens'):
        export_graph(config, tensors)


@pytest.mark.parametrize("content", [b"", b"no graph", bytes(1000)])
def test_what_is_no_graph_is_said(content: bytes) -> None:
    with pytest.raises(DataError, match="cannot load the graph"):
        open_session(content)


def test_phantoms_are_always_the_same_and_fit_the_contract() -> None:
    contract = Preprocessing(height=40, width=48, channels=3)
    pixels = phantom_pixels(contract, 4)
    assert pixels.shape == (4, 3, 40, 48)
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels, phantom_pixels(contract, 4))
    assert len(np.unique(pixels[0])) > 50
    assert FEWEST_IMAGES == 200
