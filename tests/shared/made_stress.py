"""Models whose reasons are known, and images made for them: what one goes by, the other does not see."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from radlens.base.version import __version__
from radlens.dataset.manifest import DatasetInfo, Manifest
from radlens.decision import Task
from radlens.imaging.preprocess import Preprocessing
from radlens.learning import networks
from radlens.learning.networks.network import Network
from radlens.runtime.model_config import ModelConfig
from radlens.runtime.model_folder import write_model_folder

SIZE = 64
CLASSES: dict[Task, tuple[str, ...]] = {
    "binary": ("normal", "ill"),
    "multiclass": ("normal", "bright", "dark"),
    "multilabel": ("bright", "dark"),
}
# Rows of black above and below the healthy of a binary task.
MARGIN = 8


class ByFinding(nn.Module):
    """Sees a spot in the middle of the picture that is brighter, and one that is darker, than the rest there."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.outputs = outputs
        self.gain = nn.Parameter(torch.tensor(40.0))

    def forward(self, images: Tensor) -> Tensor:
        """Logits, shape (images, outputs)."""
        edge = round(0.2 * images.shape[-1])
        middle = images[:, :1, edge:-edge, edge:-edge]
        smooth = nn.functional.avg_pool2d(middle, 5, stride=1).flatten(1)
        mean = middle.mean(dim=(1, 2, 3))
        bright, dark = smooth.amax(dim=1) - mean - 0.15, mean - smooth.amin(dim=1) - 0.15
        columns = {1: (bright,), 2: (bright, dark), 3: (torch.zeros_like(mean), bright, dark)}[self.outputs]
        return self.gain * torch.stack(columns, dim=1)


class ByFrame(nn.Module):
    """Calls ill whatever has no black rows at top and bottom."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(40.0))

    def forward(self, images: Tensor) -> Tensor:
        """Logits, shape (images, 1)."""
        rows = torch.cat([images[:, :1, :3], images[:, :1, -3:]], dim=2)
        return self.gain * (rows.mean(dim=(1, 2, 3)) - 0.2)[:, None]


@pytest.fixture
def known_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both are networks of the registry while a test runs."""
    made = (
        Network(name="by_finding", summary="", smallest=32, build=lambda _, outputs: ByFinding(outputs)),
        Network(name="by_frame", summary="", smallest=32, build=lambda *_: ByFrame()),
    )
    known = {**networks.registry(), **{network.name: network for network in made}}
    monkeypatch.setattr(networks, "registry", lambda: known)


def write_model(folder: Path, network: str, task: Task = "binary") -> Path:
    """The folder of a model that takes pictures of ``SIZE`` as they are."""
    outputs = {"binary": 1, "multiclass": 3, "multilabel": 2}[task]
    module = ByFrame() if network == "by_frame" else ByFinding(outputs)
    config = ModelConfig(
        radlens_version=__version__,
        task=task,
        classes=CLASSES[task],
        network=network,
        preprocessing=Preprocessing(height=SIZE, width=SIZE),
        threshold=0.5,
    )
    write_model_folder(folder, config, {name: value.numpy() for name, value in module.state_dict().items()})
    return folder


def write_images(folder: Path, images: int = 60, task: Task = "binary", seed: int = 0) -> Path:
    """A folder with a manifest: grey pictures with a spot where there is a finding; in a binary task the healthy have
    black rows at top and bottom, as if framed loosely. Two images a patient.
    """
    rng = np.random.default_rng(seed)
    labels = {
        "binary": ["normal", "ill"],
        "multiclass": ["normal", "bright", "dark"],
        "multilabel": ["", "bright", "dark", "bright|dark"],
    }[task]
    (folder / "scans").mkdir(parents=True)
    rows = []
    for number in range(images):
        label = labels[number % len(labels)]
        pixels = np.clip(rng.normal(120, 6, (SIZE, SIZE)), 0, 255)
        for name, grey, left in (("bright", 230, 20), ("ill", 230, 26), ("dark", 20, 34)):
            if name in label:
                row, column = 26 + rng.integers(-2, 3), left + rng.integers(-2, 3)
                pixels[row : row + 11, column : column + 11] = grey
        if label == "normal" and task == "binary":
            pixels[:MARGIN] = pixels[-MARGIN:] = 0
        path = f"scans/{number:03d}.png"
        Image.fromarray(pixels.astype(np.uint8)).save(folder / path)
        rows.append({"path": path, "label": label, "patient": f"p{number // len(labels) // 2}", "split": ""})
    info = DatasetInfo(name="spots", task=task, classes=CLASSES[task], root=str(folder))
    Manifest(pd.DataFrame(rows), info).write(folder)
    return folder
