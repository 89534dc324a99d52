"""Models that take a moment to make; one of them without PyTorch and onnx, its answers known in closed form."""

from __future__ import annotations

import struct
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from radlens.decision import Task
from radlens.imaging.preprocess import Preprocessing
from radlens.runtime.model_config import ModelConfig
from radlens.runtime.model_folder import Tensors, write_model_folder

Floats = npt.NDArray[np.float32]
MakeModel = Callable[..., tuple[ModelConfig, Tensors]]
FLOAT, UINT8 = 1, 2
CONTRACT = Preprocessing(height=24, width=32)
PATCH = 8


class TinyModel:
    """A network of one layer: patches of 8 x 8 pixels weighed, their mean the logits.

    Args:
        task: what is asked.
        classes: names.
        contract: of its pixels.
        calibration: slope and offset of the logits.
    """

    def __init__(
        self,
        task: Task = "binary",
        classes: tuple[str, ...] = ("NORMAL", "PNEUMONIA"),
        contract: Preprocessing = CONTRACT,
        calibration: tuple[float, float] = (1.0, 0.0),
    ) -> None:
        self.task, self.classes, self.contract, self.calibration = task, classes, contract, calibration
        outputs = 1 if task == "binary" else len(classes)
        rng = np.random.default_rng(0)
        self.weight = (0.2 * rng.standard_normal((outputs, contract.channels, PATCH, PATCH))).astype(np.float32)
        self.bias = rng.standard_normal(outputs).astype(np.float32)

    def cam(self, pixels: npt.NDArray[np.uint8]) -> Floats:
        """Shape (images, outputs, height / 8, width / 8)."""
        images, channels, height, width = pixels.shape
        shape = (images, channels, height // PATCH, PATCH, width // PATCH, PATCH)
        patches = (pixels.astype(np.float32) / 255).reshape(shape)
        sums = np.einsum("nchiwj,ocij->nohw", patches, self.weight)
        return np.asarray(sums + self.bias[:, np.newaxis, np.newaxis])

    def probabilities(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
        """Shape (images, classes)."""
        logits = self.cam(pixels).mean(axis=(2, 3)).astype(np.float64) * self.calibration[0] + self.calibration[1]
        if self.task == "multiclass":
            powers = np.exp(logits - logits.max(axis=1, keepdims=True))
            return np.asarray(powers / powers.sum(axis=1, keepdims=True))
        positive = 1 / (1 + np.exp(-logits))
        return np.concatenate([1 - positive, positive], axis=1) if self.task == "binary" else positive

    def onnx(self, *, has_cam: bool = True) -> bytes:
        """The same as a file of the ONNX form."""
        outputs, channels = self.weight.shape[:2]
        nodes = [
            _node("Cast", ["pixels"], "floats", to=FLOAT),
            _node("Mul", ["floats", "scale"], "images"),
            _node("Conv", ["images", "weight", "bias"], "cam", strides=[PATCH, PATCH]),
            _node("ReduceMean", ["cam"], "logits", axes=[2, 3], keepdims=0),
            _node("Flatten", ["cam"], "embedding"),
            _node("Mul", ["logits", "slope"], "steeper"),
            _node("Add", ["steeper", "offset"], "moved"),
        ]
        if self.task == "multiclass":
            nodes += [_node("Softmax", ["moved"], "probabilities", axis=1)]
        elif self.task == "multilabel":
            nodes += [_node("Sigmoid", ["moved"], "probabilities")]
        else:
            nodes += [
                _node("Sigmoid", ["moved"], "positive"),
                _node("Sub", ["one", "positive"], "negative"),
                _node("Concat", ["negative", "positive"], "probabilities", axis=1),
            ]
        given = {"scale": 1 / 255, "one": 1, "slope": self.calibration[0], "offset": self.calibration[1]}
        tensors = {name: np.array(value, np.float32) for name, value in given.items()}
        tensors |= {"weight": self.weight, "bias": self.bias}
        size = (self.contract.height, self.contract.width)
        maps = (size[0] // PATCH, size[1] // PATCH)
        made = {
            "probabilities": (len(self.classes),),
            "logits": (outputs,),
            "embedding": (outputs * maps[0] * maps[1],),
            **({"cam": (outputs, *maps)} if has_cam else {}),
        }
        graph = b"".join(_field(1, node) for node in nodes) + _field(2, b"tiny")
        graph += b"".join(_field(5, _tensor(name, value)) for name, value in tensors.items())
        graph += _field(11, _value("pixels", UINT8, (channels, *size)))
        graph += b"".join(_field(12, _value(name, FLOAT, shape)) for name, shape in made.items())
        return _field(1, 8) + _field(7, graph) + _field(8, _field(1, b"") + _field(2, 13))

    def config(self, **changes: Any) -> ModelConfig:
        """What ``config.json`` says."""
        values: dict[str, Any] = {
            "radlens_version": "0",
            "task": self.task,
            "classes": self.classes,
            "network": "tiny",
            "preprocessing": self.contract,
            "threshold": 0.5,
            "operating_points": {"sensitivity 0.95": 0.2},
        }
        return ModelConfig.model_validate(values | changes)

    def write(self, folder: Path, *, has_cam: bool = True, **changes: Any) -> Path:
        """The model folder."""
        write_model_folder(folder, self.config(**changes), {"weight": self.weight}, self.onnx(has_cam=has_cam))
        return folder


def _field(number: int, value: int | bytes) -> bytes:
    """A field of a protobuf message: a whole number, or text, bytes or a message."""
    if isinstance(value, int):
        return _whole(number << 3) + _whole(value)
    return _whole(number << 3 | 2) + _whole(len(value)) + value


def _whole(value: int) -> bytes:
    digits = bytearray()
    while value > 127:
        digits.append(value & 127 | 128)
        value >>= 7
    return bytes([*digits, value])


def _node(kind: str, inputs: Sequence[str], output: str, **attributes: int | list[int]) -> bytes:
    parts = [_field(1, name.encode()) for name in inputs] + [_field(2, output.encode()), _field(4, kind.encode())]
    for name, value in attributes.items():
        whole = _field(3, value) + _field(20, 2) if isinstance(value, int) else b""
        several = b"".join(_field(8, one) for one in value) + _field(20, 7) if isinstance(value, list) else b""
        parts.append(_field(5, _field(1, name.encode()) + whole + several))
    return b"".join(parts)


def _tensor(name: str, value: Floats) -> bytes:
    sizes = b"".join(_field(1, size) for size in value.shape)
    content = struct.pack(f"<{value.size}f", *value.ravel().tolist())
    return sizes + _field(2, FLOAT) + _field(8, name.encode()) + _field(9, content)


def _value(name: str, kind: int, shape: tuple[int, ...]) -> bytes:
    sizes = [_field(1, _field(2, b"batch")), *(_field(1, _field(1, size)) for size in shape)]
    return _field(1, name.encode()) + _field(2, _field(1, _field(1, kind) + _field(2, b"".join(sizes))))


@pytest.fixture(scope="session")
def tiny() -> type[TinyModel]:
    """Makes tiny models."""
    return TinyModel


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a binary model; not to be changed."""
    return TinyModel().write(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    """Pictures of several sizes and formats, so different that answers to them differ."""
    return make_pictures(tmp_path / "pictures", 6)


def make_pictures(folder: Path, count: int) -> list[Path]:
    """Grey and coloured pictures, JPEG and PNG, some much larger than the contract."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    paths = []
    for number in range(count):
        shape = (90 + 30 * (number % 7), 120) if number % 2 else (300, 200 + number % 7, 3)
        low, high = sorted(rng.integers(0, 256, 2).tolist())
        coarse = rng.integers(low, high + 1, (6, 6), dtype=np.uint8)
        picture = Image.fromarray(coarse).resize(shape[1::-1], Image.Resampling.BICUBIC)
        paths.append(folder / f"{number:03}.{'jpg' if number % 3 else 'png'}")
        (picture.convert("RGB") if len(shape) == 3 else picture).save(paths[-1])
    return paths


@pytest.fixture(scope="session")
def many_pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Forty of them; not to be changed."""
    return make_pictures(tmp_path_factory.mktemp("many") / "pictures", 40)


@pytest.fixture
def radlens() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the command line in a process of its own."""

    def call(*arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", "from radlens.cli.commands import main; main()", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False, **options)

    return call


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Small tensors are quicker on one thread; where only the base is installed, there are none."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


@pytest.fixture(scope="session")
def make_model() -> MakeModel:
    """Makes a config and the weights of a network that was never trained, its norms moved from where they start."""
    import torch

    from radlens.learning.classifier import outputs_of
    from radlens.learning.networks import build_network

    def make(network: str = "small_resnet", **changes: Any) -> tuple[ModelConfig, Tensors]:
        size, channels = changes.pop("size", (32, 40)), changes.pop("channels", 1)
        values = {
            "radlens_version": "0.1.0",
            "task": "binary",
            "classes": ("normal", "ill"),
            "network": network,
            "preprocessing": Preprocessing(height=size[0], width=size[1], channels=channels, low=-1.0, high=1.0),
            "threshold": 0.5,
            **changes,
        }
        config = ModelConfig.model_validate(values)
        torch.manual_seed(0)
        module = build_network(network, config.preprocessing.shape, outputs_of(config.task, len(config.classes)))
        for norm in module.modules():
            if isinstance(norm, torch.nn.BatchNorm2d):
                torch.nn.init.uniform_(norm.weight, 0.5, 1.5)
                torch.nn.init.normal_(norm.bias, std=0.2)
                norm.get_buffer("running_mean").normal_(0, 0.2)
                norm.get_buffer("running_var").uniform_(0.5, 1.5)
        return config, {name: value.numpy() for name, value in module.state_dict().items()}

    return make


@pytest.fixture(scope="session")
def some_pixels() -> Callable[..., npt.NDArray[np.uint8]]:
    """Makes noise as a contract would give it."""

    def make(config: ModelConfig, count: int = 5) -> npt.NDArray[np.uint8]:
        return np.random.default_rng(0).integers(0, 256, (count, *config.preprocessing.shape), dtype=np.uint8)

    return make
