"""``model.onnx``: written from the weights, and checked to give the answers that PyTorch gives."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from radlens.base.cpu import available_cores
from radlens.base.errors import DataError, RadlensError
from radlens.base.optional import import_optional
from radlens.decision import decide
from radlens.imaging.preprocess import Preprocessing
from radlens.runtime.model_config import ModelConfig
from radlens.runtime.model_folder import Tensors, split_tensors
from radlens.runtime.onnx_network import switch
from radlens.runtime.records import Parity

Floats = npt.NDArray[np.floating]
Pixels = npt.NDArray[np.uint8]

LARGEST_DIFFERENCE = 1e-4
FEWEST_IMAGES = 200
OPSET = 20
# A protobuf message holds no more; larger weights would need files of their own next to the graph.
_LARGEST_GRAPH = 2**31 - 2**20


class NoGraphError(DataError):
    """There can be no graph: the network cannot be exported, or its graph answers otherwise."""


def export_graph(config: ModelConfig, tensors: Tensors, *, keep_weights: bool = False) -> bytes:
    """The graph as a file's bytes, with the inputs and outputs of :class:`radlens.delivery.onnx_graph.OnnxGraph`.

    Args:
        config: of the model.
        tensors: its weights.
        keep_weights: have them in the graph as they are, norms not multiplied into them; for half precision.

    Raises:
        NoGraphError: the network cannot be written as ONNX.
        MissingPackageError: onnx or onnxscript is not installed.
        DataError: the weights do not fit the network.
    """
    require("onnx", "onnxscript")
    import torch
    from torch.onnx.errors import OnnxExporterError

    from radlens.delivery.onnx_graph import OnnxGraph, Scores
    from radlens.learning.out_of_distribution import OodDetector
    from radlens.learning.trained_model import load_network

    weights, statistics = split_tensors(tensors)
    network = load_network(config.network, config.task, len(config.classes), config.preprocessing, weights)
    ood_detector = OodDetector.from_statistics(config.preprocessing.shape, statistics) if statistics else None
    if sum(value.nbytes for value in tensors.values()) > _LARGEST_GRAPH:
        raise NoGraphError(f"The network {config.network} is too large for one ONNX file: its weights are over 2 GB.")
    scores = Scores(config.task, config.calibration)
    try:
        graph = OnnxGraph(
            network,
            config.preprocessing,
            scores,
            ood_detector=ood_detector,
            flip_tta=config.flip_tta,
            keep_weights=keep_weights,
        ).eval()
    except RadlensError as error:
        raise _cannot_be_written(config, error) from error
    pixels = torch.zeros((2, *config.preprocessing.shape), dtype=torch.uint8)
    with quiet(), torch.no_grad():
        # The exporter calls every error its own: a fault of the graph itself is to show as what it is.
        graph(pixels)
        try:
            program = torch.onnx.export(
                graph,
                (pixels,),
                dynamo=True,
                input_names=["pixels"],
                output_names=list(graph.outputs),
                dynamic_shapes={"pixels": {0: torch.export.Dim("batch")}},
                opset_version=OPSET,
                external_data=False,
                verbose=False,
            )
        except (OnnxExporterError, NotImplementedError) as error:
            raise _cannot_be_written(config, error.__cause__ or error) from error
    assert program is not None
    return _bare(program.model_proto)


def _cannot_be_written(config: ModelConfig, error: BaseException) -> NoGraphError:
    reason = next(iter(str(error).strip().splitlines()), type(error).__name__).rstrip(".")
    return NoGraphError(
        f"The network {config.network} cannot be written as ONNX: {reason}. PyTorch still answers with the model; "
        "for prediction without it, train one of radlens's own networks, such as efficientnet_lite0."
    )


def _bare(proto: Any) -> bytes:
    """Without what the exporter tells of the Python code that each node came from, a tenth of a small model's file."""
    for holder in (proto, proto.graph, *proto.graph.node, *proto.graph.initializer, *proto.graph.value_info):
        del holder.metadata_props[:]
        holder.doc_string = ""
    del proto.graph.value_info[:]
    return bytes(proto.SerializeToString())


def run_graph(
    model: bytes, pixels: Pixels, batch_size: int = 16, wanted: Sequence[str] | None = None
) -> dict[str, Floats]:
    """Outputs of a graph by name, all or those wanted, for images of shape (images, channels, height, width).

    Raises:
        DataError: onnxruntime cannot load the graph.
    """
    session = open_session(model)
    names = wanted or [output.name for output in session.get_outputs()]
    switched = switch(session, on="cam" in names)
    batches = [
        session.run(names, {"pixels": np.ascontiguousarray(pixels[start : start + batch_size]), **switched})
        for start in range(0, len(pixels), batch_size)
    ]
    return {name: np.concatenate(values) for name, values in zip(names, zip(*batches, strict=True), strict=True)}


def graph_outputs(model: bytes) -> tuple[str, ...]:
    """The names of a graph's outputs, in their order."""
    return tuple(output.name for output in open_session(model).get_outputs())


def check_parity(model: bytes, config: ModelConfig, pixels: Pixels, expected: Floats, source: str) -> Parity:
    """Compare the graph's answers with PyTorch's.

    Args:
        model: the graph.
        config: of the model; gives the operating points at which a decision may flip.
        pixels: preprocessed images, shape (images, channels, height, width).
        expected: PyTorch's calibrated probabilities of them, shape (images, classes).
        source: what the images are, for the record.

    Raises:
        NoGraphError: a probability differs by more than 1e-4, or a decision flips.
    """
    got = run_graph(model, pixels, wanted=("probabilities",))["probabilities"]
    difference = float(np.abs(got - expected).max())
    flipped = count_flips(config, got, expected)
    # Written so that a difference that is not a number fails too.
    if not difference <= LARGEST_DIFFERENCE or flipped:
        raise NoGraphError(
            f"The ONNX graph does not answer as PyTorch does: on {len(pixels)} images ({source}) a probability differs "
            f"by up to {difference:.2g} (at most {LARGEST_DIFFERENCE:g} is allowed) and {flipped} decisions flip (none "
            "may)."
        )
    return Parity(images=len(pixels), source=source, largest_difference=difference, decisions_flipped=flipped)


def check_maps(model: bytes, config: ModelConfig, pixels: Pixels, expected: Floats) -> None:
    """Compare the graph's maps, if it has them, with PyTorch's and with its own logits.

    Args:
        model: the graph.
        config: of the model.
        pixels: preprocessed images, shape (images, channels, height, width).
        expected: PyTorch's maps of them, shape (images, outputs, rows, columns).

    Raises:
        NoGraphError: they differ by a hundredth of what they hold, or the mean of a map is not the logit.
    """
    outputs = run_graph(model, pixels)
    if "cam" not in outputs:
        return
    maps = outputs["cam"]
    # A unit that is all but at rest may count here and not there: single places differ more than answers do.
    if maps.shape != expected.shape or not np.linalg.norm(maps - expected) <= 1e-2 * np.linalg.norm(expected):
        raise NoGraphError(f"The class activation maps of {config.network} are wrong: they are not those of PyTorch.")
    if not np.allclose(maps.mean(axis=(2, 3)), outputs["logits"], rtol=1e-3, atol=1e-3):
        raise NoGraphError(f"The class activation maps of {config.network} are wrong: their means are not the logits.")


def count_flips(config: ModelConfig, got: Floats, expected: Floats) -> int:
    """Images whose answer differs at the model's operating point."""
    answers = [decide(np.asarray(each), config.task, config.threshold) for each in (got, expected)]
    return int((answers[0] != answers[1]).reshape(len(got), -1).any(axis=1).sum())


def phantom_pixels(contract: Preprocessing, count: int = FEWEST_IMAGES) -> Pixels:
    """Simulated radiographs as the contract gives them, half of them with pneumonia; always the same."""
    from PIL import Image

    from radlens.dataset.phantom.source import draw_acquisition, draw_patient, render
    from radlens.imaging.preprocess import preprocess

    size = max(32, min(256, max(contract.height, contract.width)))
    rng = np.random.default_rng(0)
    pixels = np.empty((count, *contract.shape), dtype=np.uint8)
    for number in range(count):
        patient = draw_patient(rng, ["pneumonia"] if number % 2 else [])
        shown = render(patient, draw_acquisition(rng), size, number).image
        pixels[number] = preprocess(Image.fromarray(shown), contract)
    return pixels


def open_session(model: bytes, threads: int = 0) -> Any:
    """A session of onnxruntime on the CPU; 0 threads: one for each core.

    Raises:
        DataError: onnxruntime cannot load the graph.
    """
    require("onnxruntime")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or available_cores()
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise DataError(f"onnxruntime cannot load the graph: {error}") from error


def require(*packages: str) -> None:
    """Raises MissingPackageError: one of the packages is not installed, or cannot be imported."""
    for package in packages:
        import_optional(package, "Writing ONNX")


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep back what exporters tell of their steps and of packages that they do not need; some tell the root logger."""
    loggers = [logging.getLogger(name) for name in (None, "torch.onnx", "torch.export", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
