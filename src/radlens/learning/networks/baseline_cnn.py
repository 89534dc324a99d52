"""The notebook's sequential CNN: 1,995,649 parameters for 150 x 150 grey images and one logit."""

from __future__ import annotations

from torch import nn

from radlens.learning.networks.network import Network

FILTERS = (32, 64, 128, 256)
HIDDEN = 128


def build_baseline_cnn(input_shape: tuple[int, int, int], outputs: int) -> nn.Sequential:
    """Four blocks of convolution 3x3 without padding, ReLU, batch norm and max pooling 2x2; then two dense layers.

    Initialisation and batch-norm constants are Keras's defaults: Glorot uniform weights, zero biases, epsilon 1e-3,
    running averages moving by 0.01. The last layer gives logits; the notebook's sigmoid is applied outside.

    Args:
        input_shape: channels, height and width of the images; at least 46 pixels each way.
        outputs: number of logits.
    """
    channels, height, width = input_shape
    layers: list[nn.Module] = []
    for filters in FILTERS:
        layers.append(_block(channels, filters))
        channels, height, width = filters, (height - 2) // 2, (width - 2) // 2
    layers += [
        nn.Flatten(),
        nn.Linear(channels * height * width, HIDDEN),
        nn.ReLU(inplace=True),
        nn.Linear(HIDDEN, outputs),
    ]
    network = nn.Sequential(*layers)
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return network


def _block(inputs: int, filters: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, filters, kernel_size=3),
        nn.ReLU(inplace=True),
        nn.BatchNorm2d(filters, eps=1e-3, momentum=0.01),
        nn.MaxPool2d(2),
    )


NETWORKS = (
    Network(
        name="baseline_cnn",
        summary="The notebook's sequential CNN; about 2.0 M parameters at 150 x 150.",
        smallest=46,
        build=build_baseline_cnn,
        any_size=False,
    ),
)
