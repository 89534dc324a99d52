"""The baseline network against Keras: the same weights in both, the largest difference of their outputs."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import torch
from common import KERMANY, describe_machine, run_keras
from torch import nn

from radlens.imaging.decode import decode
from radlens.imaging.preprocess import Preprocessing, preprocess
from radlens.learning.networks import build_network, count_parameters

IMAGES = 64
TOLERANCE = 1e-5


def random_network(seed: int) -> nn.Sequential:
    """Fresh weights, and running statistics and affine terms that are not the trivial ones."""
    torch.manual_seed(seed)
    network = build_network("baseline_cnn", (1, 150, 150), 1)
    assert isinstance(network, nn.Sequential)
    for layer in network:
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.running_mean, 0.0, 0.3)
            nn.init.uniform_(layer.running_var, 0.5, 1.5)
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            nn.init.uniform_(layer.bias, -0.3, 0.3)
    # Fresh weights answer every image much alike; larger last weights spread the outputs over (0, 1).
    last = network[-1]
    assert isinstance(last, nn.Linear)
    nn.init.uniform_(last.weight, -8, 8)
    return network.eval()


def keras_weights(network: nn.Sequential) -> dict[str, np.ndarray]:
    """The same weights in Keras's layout: kernels height-width-in-out, dense input in height-width-channel order."""
    arrays: list[list[np.ndarray]] = []
    first_dense = True
    for layer in network:
        if isinstance(layer, nn.Conv2d):
            arrays.append([layer.weight.detach().numpy().transpose(2, 3, 1, 0), layer.bias.detach().numpy()])
        elif isinstance(layer, nn.BatchNorm2d):
            state = (layer.weight, layer.bias, layer.running_mean, layer.running_var)
            arrays.append([tensor.detach().numpy() for tensor in state])
        elif isinstance(layer, nn.Linear):
            kernel = layer.weight.detach().numpy()
            if first_dense:
                kernel = kernel.reshape(len(kernel), 256, 7, 7).transpose(0, 2, 3, 1).reshape(len(kernel), -1)
            first_dense = False
            arrays.append([kernel.T, layer.bias.detach().numpy()])
    return {f"layer{number}_{part}": value for number, group in enumerate(arrays) for part, value in enumerate(group)}


def main() -> None:
    """Print the parameter counts and the largest difference for three random initialisations."""
    print(describe_machine())
    contract = Preprocessing()
    paths = sorted(KERMANY.glob("*/*"))[:: 5216 // IMAGES][:IMAGES]
    pixels = np.stack([preprocess(decode(str(path)).image, contract) for path in paths]).astype(np.float32) / 255
    worst = 0.0
    for seed in range(3):
        network = random_network(seed)
        with torch.inference_mode(), tempfile.TemporaryDirectory() as folder:
            ours = torch.sigmoid(network(torch.from_numpy(pixels))).numpy()
            source, target = Path(folder) / "in.npz", Path(folder) / "out.npz"
            np.savez(source, images=pixels.transpose(0, 2, 3, 1), **keras_weights(network))
            run_keras("outputs", str(source), str(target))
            theirs = np.load(target)
            difference = float(np.abs(ours - theirs["outputs"]).max())
            worst = max(worst, difference)
            print(
                f"seed {seed}: parameters radlens {count_parameters(network):,}, Keras {int(theirs['parameters']):,}; "
                f"outputs {ours.min():.3f} to {ours.max():.3f}; largest difference {difference:.2e}"
            )
    print(f"largest difference over all: {worst:.2e} (allowed {TOLERANCE:.0e})")
    raise SystemExit(worst > TOLERANCE)


if __name__ == "__main__":
    main()
