"""A trained network together with its contract: from files or cached pixels to probabilities and answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from radlens.base.errors import DataError
from radlens.base.progress import track
from radlens.decision import Calibration, Task
from radlens.imaging.preprocess import Preprocessing
from radlens.learning.augment import to_network_range
from radlens.learning.classifier import outputs_of, to_probabilities
from radlens.learning.networks import build_network
from radlens.learning.out_of_distribution import OodDetector
from radlens.learning.process_settings import kept_random_state
from radlens.learning.saliency import Layers, activation_maps, embeddings, find_layers


def load_network(
    network: str, task: Task, classes: int, preprocessing: Preprocessing, tensors: Mapping[str, npt.NDArray[Any]]
) -> nn.Module:
    """A network of the registry with these weights, on the CPU.

    Raises:
        UsageError: the network is unknown.
        DataError: the weights do not fit the network.
    """
    with kept_random_state():
        # The weights drawn here are replaced.
        module = build_network(network, preprocessing.shape, outputs_of(task, classes))
    try:
        module.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in tensors.items()})
    except (RuntimeError, TypeError) as error:
        raise DataError(f"The weights do not fit the network {network}: {error}") from error
    return module


class TrainedModel:
    """Answers for images.

    Args:
        task: binary, multiclass or multilabel.
        classes: names in the order of the probabilities.
        network: name in the registry.
        preprocessing: the contract of the network's input.
        threshold: the operating point.
        tensors: the network's weights by name.
        calibration: what the network's probabilities are moved by; None: nothing.
        ood_detector: tells how far an image is from the training images; None: the model cannot tell.
        flip_tta: answer for the mean of the logits of an image and of its mirror image, in twice the time.
        device: where to compute, as torch calls it; None: on a GPU if there is one.

    Raises:
        UsageError: the network is unknown.
        DataError: the weights do not fit the network.
    """

    def __init__(
        self,
        task: Task,
        classes: Sequence[str],
        network: str,
        preprocessing: Preprocessing,
        threshold: float,
        tensors: Mapping[str, npt.NDArray[Any]],
        *,
        ood_detector: OodDetector | None = None,
        calibration: Calibration | None = None,
        flip_tta: bool = False,
        device: str | None = None,
    ) -> None:
        self.calibration, self.flip_tta = calibration or Calibration(), flip_tta
        self.task, self.classes, self.threshold = task, tuple(classes), threshold
        self.preprocessing = preprocessing
        module = load_network(network, task, len(self.classes), preprocessing, tensors)
        self._device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.outputs = frozenset({"probabilities"} if ood_detector is None else {"probabilities", "distance"})
        self._ood_detector = None if ood_detector is None else ood_detector.to(self._device)
        self._network = module.eval().to(self._device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def probabilities(
        self, pixels: npt.NDArray[np.uint8], rows: npt.NDArray[np.int64] | None = None, batch_size: int = 32
    ) -> npt.NDArray[np.float64]:
        """Class probabilities of preprocessed images.

        Args:
            pixels: uint8, shape (any, channels, height, width), as the contract gives them; may be memory-mapped.
            rows: which of them, in this order; None: all.
            batch_size: images taken at once.

        Returns:
            Shape (images, classes), values in [0, 1].
        """
        rows = np.arange(len(pixels)) if rows is None else rows
        if pixels.shape[1:] != self.preprocessing.shape:
            raise ValueError(f"pixels have shape {pixels.shape[1:]}, the contract gives {self.preprocessing.shape}")
        results = np.empty((len(rows), len(self.classes)))
        for start in track(range(0, len(rows), batch_size), "Scoring (batches)", -(-len(rows) // batch_size)):
            batch = rows[start : start + batch_size]
            results[start : start + len(batch)] = self._batch(pixels[batch])
        return results

    def distances(
        self, pixels: npt.NDArray[np.uint8], rows: npt.NDArray[np.int64], batch_size: int = 32
    ) -> npt.NDArray[np.float64]:
        """Distances of preprocessed images from the training images, shape (images,); see :class:`OodDetector`.

        Raises:
            ValueError: the model cannot tell.
        """
        if self._ood_detector is None:
            raise ValueError("the model was made without what tells unfamiliar images")
        results = np.empty(len(rows))
        for start in track(range(0, len(rows), batch_size), "Looking for the unfamiliar", -(-len(rows) // batch_size)):
            batch = rows[start : start + batch_size]
            results[start : start + len(batch)] = self._far(pixels[batch])
        return results

    def embeddings(
        self, pixels: npt.NDArray[np.uint8], rows: npt.NDArray[np.int64], batch_size: int = 32
    ) -> npt.NDArray[np.float32]:
        """The images as the network sees them before it decides, shape (images, features)."""
        parts = []
        for start in range(0, len(rows), batch_size):
            images = self._images(pixels[rows[start : start + batch_size]])
            parts.append(embeddings(self._network, images, self._layers).cpu().numpy())
        return np.concatenate(parts)

    @torch.inference_mode()
    def _far(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
        assert self._ood_detector is not None
        return np.asarray(self._ood_detector(torch.from_numpy(pixels).to(self._device)).cpu().numpy(), np.float64)

    def maps(
        self, pixels: npt.NDArray[np.uint8], rows: npt.NDArray[np.int64], batch_size: int = 32
    ) -> npt.NDArray[np.float32]:
        """Where the network sees what it answers; see :func:`radlens.learning.saliency.activation_maps`.

        Returns:
            Shape (images, outputs, rows, columns), before calibration; the mean of those of an image and of its mirror
            image, turned back, where the model looks at both.
        """
        parts = []
        for start in range(0, len(rows), batch_size):
            images = self._images(pixels[rows[start : start + batch_size]])
            maps = activation_maps(self._network, images, self._layers)
            if self.flip_tta:
                maps = (maps + activation_maps(self._network, images.flip(-1), self._layers).flip(-1)) / 2
            parts.append(maps.cpu().numpy())
        return np.concatenate(parts)

    @torch.inference_mode()
    def _batch(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
        images = self._images(pixels)
        logits = self._network(images).double()
        if self.flip_tta:
            logits = (logits + self._network(images.flip(-1)).double()) / 2
        return self.calibration.apply(to_probabilities(logits, self.task).cpu().numpy(), self.task)

    def _images(self, pixels: npt.NDArray[np.uint8]) -> torch.Tensor:
        """The pixels as the network takes them."""
        images = to_network_range(torch.from_numpy(pixels).to(self._device), self.preprocessing)
        return images.contiguous(memory_format=torch.channels_last)

    @cached_property
    def _layers(self) -> Layers:
        return find_layers(self._network, self.preprocessing.shape)

    def run(self, pixels: npt.NDArray[np.uint8], wanted: Sequence[str]) -> dict[str, npt.NDArray[np.float32]]:
        """The wanted outputs for a batch of pixels, as :class:`radlens.runtime.predictor.Network` has them."""
        outputs = {"probabilities": self._batch(pixels).astype(np.float32)}
        if "distance" in wanted and self._ood_detector is not None:
            outputs["distance"] = self._far(pixels).astype(np.float32)
        return outputs
