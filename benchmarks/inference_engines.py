"""What runs a model, to be timed: onnxruntime, PyTorch, torch.compile, OpenVINO, and Keras for the baseline.

All compute the same: the probabilities, and the distance from the training images where the model tells it.
"""

from __future__ import annotations

import copy
import importlib.util
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import torch
from common import HERE, keras_python
from torch.utils.flop_counter import FlopCounterMode

from radlens.delivery.onnx_export import export_graph
from radlens.delivery.onnx_on_demand import map_on_demand
from radlens.delivery.torch_model import load_trained
from radlens.imaging.preprocess import Preprocessing
from radlens.learning.allocator import keep_freed_memory
from radlens.learning.networks import build_network
from radlens.learning.trained_model import TrainedModel
from radlens.runtime.model_config import ModelConfig
from radlens.runtime.model_folder import find_model, read_model_folder, split_tensors, write_model_folder
from radlens.workflows.load import load

THREADS = (1, 2)
MOST_IMAGES = 64
# Takes the seconds of so many runs on a batch of so many images.
Timer = Callable[[int, int], list[float]]


def baseline_folder(folder: Path) -> Path:
    """The baseline CNN with fresh weights as a model folder."""
    contract = Preprocessing(height=150, width=150)
    torch.manual_seed(0)
    network = build_network("baseline_cnn", contract.shape, 1).eval()
    config = ModelConfig(
        radlens_version="benchmark",
        task="binary",
        classes=("NORMAL", "PNEUMONIA"),
        network="baseline_cnn",
        preprocessing=contract,
        threshold=0.5,
    )
    tensors = {name: value.numpy() for name, value in network.state_dict().items()}
    write_model_folder(folder, config, tensors, map_on_demand(export_graph(config, tensors)))
    return folder


def timers(folder: Path, *, compiled: bool, keras: ExitStack | None) -> dict[tuple[str, int], Timer]:
    """What runs the model of a folder, by engine and threads."""
    keep_freed_memory()
    found: dict[tuple[str, int], Timer] = {}
    for threads in THREADS:
        model, trained = load(folder, threads=threads), load_trained(folder)
        found["onnxruntime", threads] = _timer(model.probabilities, model.preprocessing, threads)
        found["PyTorch eager", threads] = _timer(_batched(trained), model.preprocessing, threads)
        if importlib.util.find_spec("openvino"):
            for precision in ("f32", "bf16"):
                run = openvino_run(folder, threads, precision)
                found[f"OpenVINO {precision}", threads] = _timer(run, model.preprocessing, threads)
        if compiled:
            found["torch.compile", threads] = _timer(_batched(compile_network(trained)), model.preprocessing, threads)
        if keras is not None:
            found["Keras predict", threads] = keras.enter_context(keras_timer(threads))
    return found


def _batched(trained: TrainedModel) -> Callable[[np.ndarray, int], object]:
    wanted = sorted(trained.outputs)
    return lambda pixels, _: trained.run(pixels, wanted)


def openvino_run(folder: Path, threads: int, precision: str) -> Callable[[np.ndarray, int], np.ndarray]:
    """The graph by OpenVINO (``pip install openvino``), to the probabilities."""
    import openvino

    core = openvino.Core()
    options = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY"}
    compiled = core.compile_model(core.read_model(folder / "model.onnx"), "CPU", options)
    output = next(output for output in compiled.outputs if "probabilities" in output.names)
    request = compiled.create_infer_request()

    def run(pixels: np.ndarray, _: int) -> np.ndarray:
        request.infer({0: pixels})
        return np.array(request.get_tensor(output).data)

    return run


def _timer(run: Callable[[np.ndarray, int], object], contract: Preprocessing, threads: int) -> Timer:
    pixels = np.random.default_rng(0).integers(0, 256, (MOST_IMAGES, *contract.shape), dtype=np.uint8)

    def seconds(batch: int, repeats: int) -> list[float]:
        torch.set_num_threads(threads)
        run(pixels[:batch], batch)
        times = []
        for _ in range(repeats):
            started = time.perf_counter()
            run(pixels[:batch], batch)
            times.append(time.perf_counter() - started)
        return times

    return seconds


def compile_network(trained: TrainedModel) -> TrainedModel:
    """The same with its network compiled for these weights and for the number of threads in force."""
    torch._inductor.config.freezing = True
    torch._inductor.config.cpp.dynamic_threads = True
    # One for each network, number of threads and size of a batch; beyond the limit it would run eagerly.
    torch._dynamo.config.recompile_limit = 100
    made = copy.copy(trained)
    made._network = torch.compile(trained._network, dynamic=False)
    if trained._ood_detector is not None:
        made._ood_detector = torch.compile(trained._ood_detector, dynamic=False)  # type: ignore[assignment]
    return made


@contextmanager
def keras_timer(threads: int) -> Iterator[Timer]:
    """Keras in a process of its own that waits for work."""
    command = [keras_python(), str(HERE / "keras_reference.py"), "serve", str(threads)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        asked, answered = process.stdin, process.stdout

        def seconds(batch: int, repeats: int) -> list[float]:
            print(batch, repeats, file=asked, flush=True)
            return list(json.loads(answered.readline()))

        yield seconds
        asked.close()


def operations(folder: Path) -> float:
    """GFLOP of an answer to one image."""
    trained = load_trained(folder)
    with FlopCounterMode(display=False) as counter:
        trained.run(np.zeros((1, *trained.preprocessing.shape), np.uint8), sorted(trained.outputs))
    return int(counter.get_total_flops()) / 1e9


def with_graph(model: str, target: Path) -> Path:
    """The model's folder, or a copy with ``model.onnx`` where it has none."""
    folder = find_model(model)
    if (folder / "model.onnx").is_file():
        return folder
    config, tensors = read_model_folder(folder)
    write_model_folder(target, config, tensors, map_on_demand(export_graph(config, tensors)))
    return target


def without_distance(folder: Path, target: Path) -> Path:
    """A copy of a model that does not tell how far an image is from the training images."""
    config, tensors = read_model_folder(folder)
    config = config.model_copy(update={"abstention": None})
    network, _ = split_tensors(tensors)
    write_model_folder(target, config, network, map_on_demand(export_graph(config, network)))
    return target
