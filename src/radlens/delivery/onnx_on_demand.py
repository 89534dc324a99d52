"""A graph whose map is computed only when it is asked for: a runtime computes all of a graph, wanted or not."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from radlens.delivery.onnx_export import require
from radlens.runtime.onnx_network import SWITCH

_MAP = "cam"


def map_on_demand(model: bytes) -> bytes:
    """The same graph with what the map alone needs put behind a switch, the optional input ``with_cam``.

    With the switch off, the map is all zeros and costs nothing.

    Args:
        model: a graph with the outputs of :class:`radlens.delivery.onnx_graph.OnnxGraph`; one without a map, or whose
            map is made on demand already, stays as it is.
    """
    require("onnx")
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    proto = onnx.load_from_string(model)
    graph = proto.graph
    outputs = {output.name: output for output in graph.output}
    if _MAP not in outputs or any(entry.name == SWITCH for entry in graph.input):
        return model
    others = _needed(graph.node, outputs.keys() - {_MAP})
    own = [node for node in graph.node if not others.intersection(node.output)]
    if not own:
        return model
    shape = [dim.dim_value for dim in outputs[_MAP].type.tensor_type.shape.dim][1:]
    made, nothing = f"{_MAP}_made", f"{_MAP}_nothing"
    for node in own:
        node.output[:] = [made if name == _MAP else name for name in node.output]
        node.input[:] = [made if name == _MAP else name for name in node.input]
    kind = outputs[_MAP].type.tensor_type.elem_type
    batch = [
        helper.make_node("Shape", ["logits"], ["cam_batch"], start=0, end=1),
        helper.make_node("Concat", ["cam_batch", "cam_places"], ["cam_shape"], axis=0),
        helper.make_node("ConstantOfShape", ["cam_shape"], [nothing]),
    ]
    places = helper.make_tensor("cam_places", TensorProto.INT64, [len(shape)], shape)
    branches = {
        "then_branch": helper.make_graph(own, "with", [], [helper.make_tensor_value_info(made, kind, None)]),
        "else_branch": helper.make_graph(
            batch, "without", [], [helper.make_tensor_value_info(nothing, kind, None)], [places]
        ),
    }
    kept = [node for node in graph.node if others.intersection(node.output)]
    del graph.node[:]
    graph.node.extend([*kept, helper.make_node("If", [SWITCH], [_MAP], **branches)])
    graph.input.append(helper.make_tensor_value_info(SWITCH, TensorProto.BOOL, []))
    graph.initializer.append(numpy_helper.from_array(np.array(True), SWITCH))
    return bytes(proto.SerializeToString())


def _needed(nodes: Iterable[Any], wanted: Iterable[str]) -> set[str]:
    """Names of all values that the wanted ones are made from, these included; the nodes lie in the order they run."""
    names = set(wanted)
    for node in reversed([*nodes]):
        if names.intersection(node.output):
            names.update(node.input)
    return names
