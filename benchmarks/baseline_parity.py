"""The baseline network against Keras: the same weights in both, the largest difference of their outputs."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import KERMANY, describe_machine, run_keras
from torch import Tensor, nn

from radlens.imaging.decode import decode
from radlens.imaging.preprocess import Preprocessing, preprocess
from radlens.learning.networks import build_network, count_parameters
from radlens.runtime.model_folder import read_model_folder

IMAGES = 64
TOLERANCE = 1e-5


def random_network(seed: int) -> nn.Sequential:
    """Fresh weights, and running statistics and affine terms that are not the trivial ones."""
    torch.manual_seed(seed)
    network = build_network("baseline_cnn", (1, 150, 150), 1)
    assert isinstance(network, nn.Sequential)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            running_mean, running_var = running(layer)
            nn.init.uniform_(running_mean, 0.0, 0.3)
            nn.init.uniform_(running_var, 0.5, 1.5)
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            nn.init.uniform_(layer.bias, -0.3, 0.3)
    return network.eval()


def running(layer: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Mean and variance that the layer normalises by."""
    assert layer.running_mean is not None
    assert layer.running_var is not None
    return layer.running_mean, layer.running_var


def trained_network(folder: Path) -> nn.Sequential:
    """The weights of a baseline run: its outputs fill (0, 1), where those of fresh weights lie close together."""
    _, tensors = read_model_folder(folder)
    network = build_network("baseline_cnn", (1, 150, 150), 1)
    assert isinstance(network, nn.Sequential)
    network.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in tensors.items()})
    return network.eval()


def keras_weights(network: nn.Sequential) -> dict[str, np.ndarray]:
    """The same weights in Keras's layout: kernels height-width-in-out, dense input in height-width-channel order."""
    arrays: list[list[np.ndarray]] = []
    first_dense = True
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            assert layer.bias is not None
            arrays.append([layer.weight.detach().numpy().transpose(2, 3, 1, 0), layer.bias.detach().numpy()])
        elif isinstance(layer, nn.BatchNorm2d):
            state = [layer.weight, layer.bias, *running(layer)]
            arrays.append([tensor.detach().numpy() for tensor in state])
        elif isinstance(layer, nn.Linear):
            kernel = layer.weight.detach().numpy()
            if first_dense:
                kernel = kernel.reshape(len(kernel), 256, 7, 7).transpose(0, 2, 3, 1).reshape(len(kernel), -1)
            first_dense = False
            arrays.append([kernel.T, layer.bias.detach().numpy()])
    return {f"layer{number}_{part}": value for number, group in enumerate(arrays) for part, value in enumerate(group)}


def main() -> None:
    """Print the parameter counts and the largest difference for three random initialisations and a trained model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, help="a run folder of the baseline preset, to compare its weights too")
    model = parser.parse_args().model
    print(describe_machine())
    contract = Preprocessing()
    paths = sorted(KERMANY.glob("*/*"))[:: 5216 // IMAGES][:IMAGES]
    pixels = np.stack([preprocess(decode(str(path)).image, contract) for path in paths]).astype(np.float32) / 255
    worst = 0.0
    networks = {f"seed {seed}": random_network(seed) for seed in range(3)}
    if model:
        networks["trained"] = trained_network(model)
    for name, network in networks.items():
        with torch.inference_mode(), tempfile.TemporaryDirectory() as folder:
            ours = torch.sigmoid(network(torch.from_numpy(pixels))).numpy()
            source, target = Path(folder) / "in.npz", Path(folder) / "out.npz"
            arrays: dict[str, Any] = {"images": pixels.transpose(0, 2, 3, 1), **keras_weights(network)}
            np.savez(source, **arrays)
            run_keras("outputs", str(source), str(target))
            theirs = np.load(target)
            difference = float(np.abs(ours - theirs["outputs"]).max())
            worst = max(worst, difference)
            print(
                f"{name}: parameters radlens {count_parameters(network):,}, Keras {int(theirs['parameters']):,}; "
                f"outputs {ours.min():.3f} to {ours.max():.3f}; largest difference {difference:.2e}"
            )
    print(f"largest difference over all: {worst:.2e} (allowed {TOLERANCE:.0e})")
    raise SystemExit(worst > TOLERANCE)


if __name__ == "__main__":
    main()
