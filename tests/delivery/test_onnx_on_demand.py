"""The map costs nothing where nobody wants it, and is the same where somebody does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from radlens.delivery.onnx_export import export_graph, graph_outputs, open_session, run_graph
from radlens.delivery.onnx_on_demand import map_on_demand
from radlens.delivery.onnx_variants import store_float16
from radlens.runtime.onnx_network import SWITCH, OnnxNetwork

Maker = Callable[..., Any]


@pytest.fixture(scope="module", params=["efficientnet_lite0", "small_resnet"])
def graphs(request: pytest.FixtureRequest, make_model: Maker) -> tuple[Any, bytes, bytes]:
    config, tensors = make_model(request.param, size=(64, 50), flip_tta=True)
    plain = export_graph(config, tensors)
    return config, plain, map_on_demand(plain)


def test_all_outputs_are_what_they_were(graphs: tuple[Any, bytes, bytes], some_pixels: Maker) -> None:
    config, plain, switched = graphs
    onnx.checker.check_model(onnx.load_from_string(switched), full_check=True)
    assert len(switched) < 1.01 * len(plain) + 1000
    assert graph_outputs(switched) == graph_outputs(plain)
    pixels = some_pixels(config, 3)
    before, after = run_graph(plain, pixels), run_graph(switched, pixels)
    for name, value in before.items():
        np.testing.assert_array_equal(after[name], value)


def test_switched_off_only_the_map_is_missing(graphs: tuple[Any, bytes, bytes], some_pixels: Maker) -> None:
    config, plain, switched = graphs
    session, pixels = open_session(switched), some_pixels(config, 3)
    assert [one.name for one in session.get_inputs()] == ["pixels"]
    names = list(graph_outputs(switched))
    found = dict(zip(names, session.run(names, {"pixels": pixels, SWITCH: np.array(False)}), strict=True))
    for name, value in run_graph(plain, pixels).items():
        np.testing.assert_array_equal(found[name], np.zeros_like(value) if name == "cam" else value)


def test_what_only_the_map_needs_lies_behind_the_switch(graphs: tuple[Any, bytes, bytes]) -> None:
    graph = onnx.load_from_string(graphs[2]).graph
    outside = {node.op_type for node in graph.node}
    (choice,) = (node for node in graph.node if node.op_type == "If")
    inside = {node.op_type for node in next(one.g for one in choice.attribute if one.name == "then_branch").node}
    assert "ConvTranspose" in inside
    assert not {"ConvTranspose", "Greater", "Less"} & outside


def test_a_graph_without_a_map_or_with_the_switch_stays(graphs: tuple[Any, bytes, bytes], make_model: Maker) -> None:
    assert map_on_demand(graphs[2]) == graphs[2]
    plain = export_graph(*make_model("baseline_cnn", size=(50, 46)))
    assert map_on_demand(plain) == plain


def test_weights_in_half_precision_are_reached_from_behind_the_switch(make_model: Maker, some_pixels: Maker) -> None:
    from radlens.delivery.onnx_variants import halve

    config, tensors = make_model()
    half = store_float16(export_graph(config, halve(tensors), keep_weights=True))
    switched, pixels = map_on_demand(half), some_pixels(config, 3)
    before, after = run_graph(half, pixels), run_graph(switched, pixels)
    np.testing.assert_array_equal(after["cam"], before["cam"])


class Watched:
    """A session that keeps what it is sent."""

    def __init__(self, session: Any) -> None:
        self.session, self.sent = session, list[dict[str, Any]]()

    def run(self, names: list[str], feed: dict[str, Any]) -> Any:
        """Keep and compute."""
        self.sent.append(feed)
        return self.session.run(names, feed)

    def get_overridable_initializers(self) -> Any:
        """As the session has them."""
        return self.session.get_overridable_initializers()


def test_the_runtime_switches_by_what_is_wanted(
    graphs: tuple[Any, bytes, bytes], some_pixels: Maker, tmp_path: Path
) -> None:
    config, plain, switched = graphs
    pixels = some_pixels(config, 2)
    for content in (plain, switched):
        (tmp_path / "model.onnx").write_bytes(content)
        network = OnnxNetwork(tmp_path / "model.onnx", config.preprocessing.shape)
        watched = Watched(network._session)
        network._session = watched
        answers = network.run(pixels, ("probabilities",))
        both = network.run(pixels, ("probabilities", "cam"))
        np.testing.assert_array_equal(answers["probabilities"], both["probabilities"])
        np.testing.assert_array_equal(both["cam"], run_graph(plain, pixels)["cam"])
        flags = [bool(feed[SWITCH]) for feed in watched.sent if SWITCH in feed]
        assert flags == ([False, True] if content is switched else [])
