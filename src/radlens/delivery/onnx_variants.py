"""Smaller weights for ``model.onnx``: half precision and 8-bit integers, kept only where they were measured to do."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from radlens.base.errors import DataError
from radlens.decision import decide
from radlens.delivery.onnx_export import Floats, Pixels, count_flips, open_session, quiet, require, run_graph
from radlens.runtime.model_config import ModelConfig
from radlens.runtime.model_folder import Tensors, join_tensors, split_tensors
from radlens.runtime.onnx_network import switch
from radlens.runtime.records import Variant
from radlens.statistics.metrics import Answers, binary_metrics, multiclass_metrics, multilabel_metrics

LARGEST_AUROC_CHANGE = 0.002
LARGEST_FLIPPED_SHARE = 0.002
# What counts as smaller and as faster; times vary by some per cent.
_SMALLER, _FASTER = 0.95, 0.9
_LARGEST_HALF = 65504.0
_FEW = 256
_UNTIMED, _TIMED = 3, 30
_CALIBRATION_IMAGES = 200
_WEIGHTED = ("Conv", "Gemm", "MatMul")


@dataclass(frozen=True, eq=False)
class Trial:
    """Labelled images that smaller weights are tried on, and others that integers are fitted to.

    Attributes:
        pixels: uint8, shape (images, channels, height, width), as the contract gives them.
        targets: of the images, as the manifest gives them.
        source: what the images are.
        training: images like ``pixels``, of training.
    """

    pixels: Pixels
    targets: npt.NDArray[np.int64]
    source: str
    training: Pixels


def halve(tensors: Tensors) -> Tensors:
    """Weights of two and more dimensions in half precision; norms, biases and what tells unfamiliar images stay.

    >>> {name: str(value.dtype) for name, value in halve({"w": np.ones((2, 2), "f4"), "b": np.ones(2, "f4")}).items()}
    {'w': 'float16', 'b': 'float32'}
    """
    network, ood_detector = split_tensors(tensors)
    halved = {name: value.astype(np.float16) if _can_be_halved(value) else value for name, value in network.items()}
    return join_tensors(halved, ood_detector)


def _can_be_halved(value: npt.NDArray[Any]) -> bool:
    return value.ndim >= 2 and value.dtype == np.float32 and bool(np.abs(value).max(initial=0) <= _LARGEST_HALF)


def store_float16(model: bytes) -> bytes:
    """The same graph, with weights that half precision holds exactly stored so, and cast back when it is loaded."""
    require("onnx")
    import onnx
    from onnx import numpy_helper

    proto = onnx.load_from_string(model)
    casts = []
    for initializer in proto.graph.initializer:
        if initializer.data_type != onnx.TensorProto.FLOAT:
            continue
        value = numpy_helper.to_array(initializer)
        if value.size < _FEW or not _can_be_halved(value.reshape(1, -1)):
            continue
        half = value.astype(np.float16)
        if np.array_equal(half.astype(np.float32), value):
            name, stored = initializer.name, f"{initializer.name}_float16"
            initializer.CopyFrom(numpy_helper.from_array(half, stored))
            casts.append(onnx.helper.make_node("Cast", [stored], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *proto.graph.node]
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)
    return bytes(proto.SerializeToString())


def quantize(model: bytes, training: Pixels) -> bytes:
    """The graph with weights and activations as 8-bit integers between QuantizeLinear and DequantizeLinear.

    Ranges are those of up to 200 training images (Jacob et al. 2018, doi:10.1109/CVPR.2018.00286); weights have one
    scale for each channel. What follows the last features stays in floating point.

    Raises:
        DataError: onnxruntime cannot quantize the graph, or there are no images to do it by.
    """
    require("onnx", "onnxruntime")
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    if not len(training):
        raise DataError("Weights of 8 bits are fitted to training images, of which there are none.")

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            rows = np.linspace(0, len(training) - 1, min(_CALIBRATION_IMAGES, len(training))).astype(int)
            self.batches: Iterator[Pixels] = (training[row : row + 1] for row in rows)

        def get_next(self) -> dict[str, Pixels] | None:
            batch = next(self.batches, None)
            return None if batch is None else {"pixels": np.ascontiguousarray(batch)}

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "int8.onnx"
        try:
            with quiet():
                quantize_static(
                    onnx.load_from_string(model),
                    path,
                    Reader(),
                    quant_format=QuantFormat.QDQ,
                    op_types_to_quantize=[*_WEIGHTED, "Add", "Clip", "Relu", "MaxPool", "AveragePool"],
                    nodes_to_exclude=_last_nodes(onnx.load_from_string(model)),
                    per_channel=True,
                    activation_type=QuantType.QUInt8,
                    weight_type=QuantType.QInt8,
                    reduce_range=not _has_vnni(),
                )
        except Exception as error:
            raise DataError(f"onnxruntime cannot quantize the graph: {error}") from error
        return path.read_bytes()


def _last_nodes(proto: Any) -> list[str]:
    """Names of the nodes after which no other weight is used: the head, the map, and what follows them."""
    leads: set[str] = set()
    last = []
    # A graph lists its nodes in the order in which they can run.
    for node in reversed(proto.graph.node):
        if not leads & set(node.output):
            last.append(node.name)
        if node.op_type in _WEIGHTED or leads & set(node.output):
            leads.update(node.input)
    return last


def _has_vnni() -> bool:
    """Whether the processor multiplies 8-bit integers without an overflow in 16 bits; others need ranges of 7 bits."""
    try:
        return "vnni" in Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return False


def measure(
    kind: Literal["float16", "int8"], before: bytes, after: bytes, config: ModelConfig, trial: Trial
) -> Variant:
    """Try smaller weights: what becomes of AUROC, decisions, size and time; and whether they are to be kept.

    They are if the AUROC changes by at most .002 and at most 0.2 % of the decisions, and the file is smaller, or one
    image is answered faster in one thread.
    """
    first, second = (
        run_graph(model, trial.pixels, wanted=("probabilities",))["probabilities"] for model in (before, after)
    )
    aurocs = [auroc(config, trial.targets, scores) for scores in (first, second)]
    share = count_flips(config, second, first) / len(first)
    milliseconds = time_one_image([before, after], trial.pixels[:1])
    harms = [
        *(["the AUROC is not defined"] if None in aurocs else []),
        *(["the AUROC changes by more than .002"] if _changes(*aurocs) > LARGEST_AUROC_CHANGE else []),
        *(["more than 0.2 % of the decisions change"] if share > LARGEST_FLIPPED_SHARE else []),
    ]
    gains = [
        *(["smaller"] if len(after) < _SMALLER * len(before) else []),
        *(["faster"] if milliseconds[1] < _FASTER * milliseconds[0] else []),
    ]
    return Variant(
        kind=kind,
        kept=bool(gains) and not harms,
        reason=", ".join(harms or gains or ["neither smaller nor faster"]),
        images=len(first),
        source=trial.source,
        auroc=(aurocs[0], aurocs[1]),
        flipped=share,
        bytes=(len(before), len(after)),
        milliseconds=(milliseconds[0], milliseconds[1]),
    )


def _changes(before: float | None, after: float | None) -> float:
    return 0.0 if before is None or after is None else abs(after - before)


def auroc(config: ModelConfig, targets: npt.NDArray[np.int64], probabilities: Floats) -> float | None:
    """AUROC as ``metrics.json`` has it; None where it is not defined."""
    metrics = {"binary": binary_metrics, "multiclass": multiclass_metrics, "multilabel": multilabel_metrics}
    scores = np.asarray(probabilities, dtype=np.float64)
    answers = Answers(targets, scores, decide(scores, config.task, config.threshold), config.classes)
    return metrics[config.task](answers)["auroc"].value


def time_one_image(models: list[bytes], pixels: Pixels) -> list[float]:
    """Milliseconds that each graph takes to answer for one image in one thread, without the map.

    They are the medians of turns taken one by one.
    """
    sessions = [open_session(model, threads=1) for model in models]
    taken: list[list[float]] = [[] for _ in sessions]
    for _ in range(_UNTIMED + _TIMED):
        for session, seconds in zip(sessions, taken, strict=True):
            start = time.perf_counter()
            session.run(["probabilities"], {"pixels": pixels, **switch(session, on=False)})
            seconds.append(time.perf_counter() - start)
    return [round(float(np.median(seconds[_UNTIMED:])) * 1000, 3) for seconds in taken]
