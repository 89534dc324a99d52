"""What the graph computes: NumPy's recalibration, PyTorch's logits, a map whose mean is the logit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from radlens.base.errors import RadlensError
from radlens.decision import Calibration, Task, recalibrate
from radlens.delivery.onnx_graph import OnnxGraph, Scores, lighten
from radlens.imaging.preprocess import Preprocessing
from radlens.learning.augment import to_network_range
from radlens.learning.classifier import to_probabilities
from radlens.learning.out_of_distribution import OodDetector
from radlens.learning.trained_model import load_network

CONTRACT = Preprocessing(height=32, width=40, low=-1.0, high=1.0)


@given(
    st.sampled_from(["binary", "multiclass", "multilabel"]),
    st.lists(st.floats(-80, 80), min_size=3, max_size=3),
    st.floats(0.05, 20),
    st.floats(-5, 5),
)
def test_scores_are_those_of_recalibrate(task: Task, logits: list[float], slope: float, offset: float) -> None:
    offset = 0.0 if task == "multiclass" else offset
    given_logits = torch.tensor([logits[:1] if task == "binary" else logits], dtype=torch.float32)
    wanted = recalibrate(to_probabilities(given_logits.double(), task).numpy(), task, slope, offset)
    # For logits beyond 30, NumPy's way over 1 - p is the less exact one.
    np.testing.assert_allclose(
        Scores(task, line_of(task, slope, offset)).probabilities(given_logits), wanted, atol=1e-3
    )
    if max(map(abs, logits)) < 25:
        np.testing.assert_allclose(
            Scores(task, line_of(task, slope, offset)).probabilities(given_logits), wanted, atol=1e-6
        )
    plain = Scores(task, Calibration()).probabilities(given_logits)
    np.testing.assert_allclose(plain, to_probabilities(given_logits.double(), task), atol=1e-12)


def line_of(task: Task, slope: float, offset: float) -> Calibration:
    return Calibration("temperature", (slope,)) if task == "multiclass" else Calibration("platt", (slope, offset))


@pytest.mark.parametrize("task", ["binary", "multilabel"])
@pytest.mark.parametrize(
    "calibration",
    [
        Calibration("beta", (1.4, 0.6, -0.3)),
        Calibration("beta", (0.0, 2.0, 1.0)),
        Calibration("isotonic", (0.2, 0.5, 0.9, 0.05, 0.4, 0.97)),
        Calibration("isotonic", (0.5, 0.3)),
    ],
)
def test_every_kind_of_calibration_is_in_the_graph_as_numpy_has_it(task: Task, calibration: Calibration) -> None:
    logits = torch.linspace(-12, 12, 60)[:, None].repeat(1, 1 if task == "binary" else 3)
    wanted = calibration.apply(to_probabilities(logits.double(), task).numpy(), task)
    np.testing.assert_allclose(Scores(task, calibration).probabilities(logits), wanted, atol=1e-9)


def old_familiarity(shape: tuple[int, int, int]) -> OodDetector:
    """As model folders without reference images have it."""
    rng = np.random.default_rng(0)
    return OodDetector(shape, rng.normal(size=224), rng.normal(size=(224, 224)))


@pytest.mark.parametrize("old", [False, True])
@torch.no_grad()
def test_the_distance_is_that_of_the_module(
    make_model: Callable[..., Any], some_pixels: Callable[..., Any], old: bool
) -> None:
    config, tensors = make_model("small_resnet", size=(64, 80), task="binary", classes=("a", "b"))
    module = load_network("small_resnet", "binary", 2, config.preprocessing, tensors).eval()
    pixels, shape = some_pixels(config), config.preprocessing.shape
    ood_detector = old_familiarity(shape) if old else OodDetector.fit(shape, pixels, np.arange(len(pixels) - 2), 0)
    for keep in (False, True):
        graph = OnnxGraph(
            module,
            config.preprocessing,
            Scores("binary", Calibration()),
            ood_detector=ood_detector,
            flip_tta=False,
            keep_weights=keep,
        )
        assert graph.outputs[-1] == "distance"
        distance = graph(torch.from_numpy(pixels))[-1]
        torch.testing.assert_close(distance, ood_detector(torch.from_numpy(pixels)), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("flip_tta", [False, True])
@pytest.mark.parametrize("network", ["efficientnet_lite0", "small_resnet"])
@torch.no_grad()
def test_logits_embedding_and_map_agree(
    make_model: Callable[..., Any], some_pixels: Callable[..., Any], network: str, flip_tta: bool
) -> None:
    config, tensors = make_model(network, size=(64, 80), task="multilabel", classes=("a", "b", "c"))
    module = load_network(network, config.task, 3, config.preprocessing, tensors).eval()
    pixels = torch.from_numpy(some_pixels(config))
    graph = OnnxGraph(
        module, config.preprocessing, Scores(config.task, Calibration("platt", (2.0, 0.5))), flip_tta=flip_tta
    ).eval()
    assert graph.outputs == ("probabilities", "logits", "embedding", "cam")
    probabilities, logits, embedding, cam = graph(pixels)
    images = to_network_range(pixels, config.preprocessing)
    wanted = (module(images) + module(images.flip(-1))) / 2 if flip_tta else module(images)
    torch.testing.assert_close(logits, wanted, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(cam.mean(dim=(2, 3)), logits, atol=1e-4, rtol=1e-4)
    head = module.get_submodule("head")
    torch.testing.assert_close(head(embedding), logits, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(probabilities, torch.sigmoid(2 * logits + 0.5))
    assert cam.shape[1:] == ((3, 4, 5) if network == "efficientnet_lite0" else (3, 8, 10))
    if flip_tta:
        turned = graph(pixels.flip(-1))
        torch.testing.assert_close(turned[3], cam.flip(-1), atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(turned[2], embedding, atol=1e-4, rtol=1e-4)


def test_a_map_lights_up_where_the_evidence_is() -> None:
    """A network of one convolution by hand: the map of an image with one bright corner is bright in that corner."""
    network = nn.Sequential(nn.Conv2d(1, 1, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1, 1))
    with torch.no_grad():
        for layer in (network[0], network[3]):
            nn.init.ones_(layer.weight)  # type: ignore[arg-type]
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
        pixels = torch.zeros((1, 1, 4, 4), dtype=torch.uint8)
        pixels[0, 0, 0, 3] = 255
        contract = Preprocessing(height=8, width=8)
        _, logits, _, cam = OnnxGraph(network, contract, Scores("binary", Calibration()), flip_tta=True)(pixels)
    wanted = np.zeros((4, 4))
    wanted[0, 3] = 1
    np.testing.assert_allclose(cam[0, 0], wanted, atol=1e-6)
    assert logits.item() == pytest.approx(1 / 16)


def test_where_features_are_flattened_there_is_no_map(make_model: Callable[..., Any]) -> None:
    config, tensors = make_model("baseline_cnn", size=(48, 50))
    module = load_network("baseline_cnn", "binary", 2, config.preprocessing, tensors)
    graph = OnnxGraph(module, config.preprocessing, Scores("binary", Calibration()), flip_tta=False)
    assert graph.outputs == ("probabilities", "logits", "embedding")
    _, logits, embedding = graph(torch.zeros((2, 1, 48, 50), dtype=torch.uint8))
    assert (logits.shape, embedding.shape) == ((2, 1), (2, 128))


def test_a_network_whose_logits_come_from_elsewhere_is_said() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(32 * 40, 2), nn.Tanh())
    with pytest.raises(RadlensError, match="do not come out of a linear layer"):
        OnnxGraph(network, CONTRACT, Scores("multiclass", Calibration()), flip_tta=False)


class Shared(nn.Module):
    """A convolution whose output is used beside the batch norm that follows it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.head = nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Linear(3, 1)
        nn.init.constant_(self.norm.weight, 0.5)

    def forward(self, images: Tensor) -> Tensor:
        """To logits."""
        made = self.conv(images)
        return torch.as_tensor(self.head((made + self.norm(made)).mean(dim=(2, 3))))


@pytest.mark.parametrize("keep_weights", [False, True])
@pytest.mark.parametrize("network", ["efficientnet_lite0", "small_resnet", "monai:densenet121", "monai:resnet18"])
@torch.no_grad()
def test_norms_are_folded_and_nothing_else_changes(
    make_model: Callable[..., Any], some_pixels: Callable[..., Any], network: str, keep_weights: bool
) -> None:
    config, tensors = make_model(network, size=(64, 64))
    module = load_network(network, "binary", 2, config.preprocessing, tensors).eval()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    light = lighten(module, config.preprocessing.shape, keep_weights=keep_weights)
    images = to_network_range(torch.from_numpy(some_pixels(config)), config.preprocessing)
    torch.testing.assert_close(light(images), module(images), atol=1e-4, rtol=1e-3)
    norms = [sum(isinstance(layer, nn.BatchNorm2d) for layer in each.modules()) for each in (module, light)]
    assert norms[1] < norms[0]
    if not network.startswith("monai:densenet"):
        assert norms[1] == 0
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


@torch.no_grad()
def test_a_norm_that_is_not_all_that_follows_a_convolution_is_left_alone() -> None:
    module = Shared().eval()
    images = torch.rand(2, 1, 32, 40)
    light = lighten(module, (1, 32, 40))
    torch.testing.assert_close(light(images), module(images))
    assert any(isinstance(layer, nn.BatchNorm2d) for layer in light.modules())
