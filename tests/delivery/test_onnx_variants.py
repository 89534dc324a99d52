"""Smaller weights: half precision is exact where it says so, 8 bits come near, and what harms is dropped."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from radlens.base.errors import DataError
from radlens.delivery import onnx_variants
from radlens.delivery.onnx_export import export_graph, graph_outputs, run_graph
from radlens.delivery.onnx_variants import Trial, auroc, halve, measure, quantize, store_float16
from radlens.delivery.torch_model import trained_model

Maker = Callable[..., Any]


@pytest.fixture(scope="module")
def model(make_model: Maker) -> tuple[Any, Any, bytes]:
    config, tensors = make_model(flip_tta=True)
    return config, tensors, export_graph(config, tensors)


def test_half_precision_answers_as_pytorch_does_with_the_same_weights(
    model: tuple[Any, Any, bytes], some_pixels: Maker
) -> None:
    config, tensors, graph = model
    halved = halve(tensors)
    half = store_float16(export_graph(config, halved, keep_weights=True))
    onnx.checker.check_model(onnx.load_from_string(half), full_check=True)
    assert len(half) < 0.6 * len(graph)
    pixels = some_pixels(config, 8)
    expected = trained_model(config, halved).probabilities(pixels)
    np.testing.assert_allclose(run_graph(half, pixels)["probabilities"], expected, atol=1e-5)
    assert np.abs(expected - trained_model(config, tensors).probabilities(pixels)).max() < 0.01
    assert graph_outputs(half) == graph_outputs(graph)


def test_only_what_half_precision_holds_exactly_is_stored_so(model: tuple[Any, Any, bytes], some_pixels: Maker) -> None:
    config, _, graph = model
    stored = onnx.load_from_string(store_float16(graph))
    for initializer in stored.graph.initializer:
        value = numpy_helper.to_array(initializer)
        assert value.dtype != np.float16, "trained weights are not numbers of half precision"
    pixels = some_pixels(config)
    for name, value in run_graph(graph, pixels).items():
        np.testing.assert_array_equal(run_graph(store_float16(graph), pixels)[name], value)


def test_weights_too_large_for_half_precision_stay() -> None:
    tensors = {"large": np.full((2, 2), 1e5, np.float32), "norm": np.ones(4, np.float32), "count": np.ones((2, 2), int)}
    assert {name: value.dtype for name, value in halve(tensors).items()} == {
        "large": np.float32,
        "norm": np.float32,
        "count": int,
    }


def test_eight_bits_come_near_and_leave_the_last_layer_alone(model: tuple[Any, Any, bytes], some_pixels: Maker) -> None:
    config, _, graph = model
    pixels = some_pixels(config, 16)
    whole = quantize(graph, pixels)
    assert len(whole) < 0.5 * len(graph)
    before, after = run_graph(graph, pixels), run_graph(whole, pixels)
    assert np.abs(before["logits"] - after["logits"]).max() < 0.1 * np.abs(before["logits"]).max() + 0.1
    np.testing.assert_allclose(after["cam"].mean(axis=(2, 3)), after["logits"], atol=1e-3)
    with pytest.raises(DataError, match="there are none"):
        quantize(graph, pixels[:0])
    with pytest.raises(DataError, match="cannot quantize"):
        quantize(b"no graph", pixels)


def test_what_is_smaller_and_does_no_harm_is_kept(model: tuple[Any, Any, bytes], some_pixels: Maker) -> None:
    config, tensors, graph = model
    pixels = some_pixels(config, 40)
    targets = np.arange(40) % 2
    trial = Trial(pixels, targets, "noise", pixels)
    half = store_float16(export_graph(config, halve(tensors), keep_weights=True))
    config = config.model_copy(update={"threshold": 0.999})
    found = measure("float16", graph, half, config, trial)
    assert found.kept
    assert "smaller" in found.reason
    assert found.bytes == (len(graph), len(half))
    assert found.flipped == 0
    assert found.auroc[0] == pytest.approx(found.auroc[1], abs=0.002)
    assert min(found.milliseconds) > 0


@pytest.mark.parametrize(
    ("scores", "reason"),
    [
        (np.linspace(0.6, 0.4, 1000), "AUROC changes"),
        (np.where(np.arange(1000) == 499, 0.5005, np.linspace(0.4, 0.6, 1000)), None),
        (np.linspace(0.4, 0.6, 1000) + 0.001, "decisions change"),
        (np.linspace(0.4, 0.6, 1000), None),
    ],
)
def test_what_harms_is_dropped_with_the_reason(
    make_model: Maker, monkeypatch: pytest.MonkeyPatch, scores: Any, reason: str | None
) -> None:
    config, _ = make_model()
    plain = np.linspace(0.4, 0.6, 1000)
    answers = {b"before" * 10: plain, b"after": scores}
    monkeypatch.setattr(
        onnx_variants, "run_graph", lambda m, _, **__: {"probabilities": np.stack([1 - answers[m], answers[m]], axis=1)}
    )
    monkeypatch.setattr(onnx_variants, "time_one_image", lambda models, _: [1.0] * len(models))
    trial = Trial(np.zeros((1000, 1), np.uint8), (plain > 0.5).astype(np.int64), "made up", np.zeros((0, 1), np.uint8))
    found = measure("int8", b"before" * 10, b"after", config, trial)
    assert found.kept == (reason is None)
    assert (reason or "smaller") in found.reason
    alike = measure("int8", b"before" * 10, b"before" * 10, config, trial)
    assert (alike.kept, alike.reason) == (False, "neither smaller nor faster")


def test_an_auroc_that_is_not_defined_keeps_nothing(
    model: tuple[Any, Any, bytes], some_pixels: Maker, make_model: Maker
) -> None:
    config, tensors, graph = model
    half = store_float16(export_graph(config, halve(tensors), keep_weights=True))
    trial = Trial(some_pixels(config, 4), np.ones(4, np.int64), "noise", some_pixels(config, 0))
    found = measure("float16", graph, half, config, trial)
    assert (found.kept, found.auroc) == (False, (None, None))
    assert "not defined" in found.reason
    several, _ = make_model(task="multiclass", classes=("a", "b", "c"))
    assert auroc(several, np.array([0, 1, 2]), np.eye(3) * 0.7 + 0.1) == 1.0
    labels, _ = make_model(task="multilabel", classes=("a", "b"))
    assert auroc(labels, np.array([[0, 1], [1, 0]]), np.array([[0.1, 0.9], [0.8, 0.2]])) == 1.0
