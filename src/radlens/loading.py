"""From a model's folder or name to something that answers: without PyTorch where the folder has ``model.onnx``."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from radlens.delivery.model_folder import (
    CONFIG_FILE,
    ONNX_FILE,
    WEIGHTS_FILE,
    ModelFolder,
    find_model,
    open_model_folder,
    read_model_folder,
)
from radlens.delivery.onnx_network import OnnxNetwork
from radlens.delivery.predictor import Network, Predictor
from radlens.errors import RadlensError
from radlens.imaging.limits import DEFAULT_LIMITS, DecodeLimits

if TYPE_CHECKING:
    from radlens.learning.trained_model import TrainedModel


def load(
    model: str | Path,
    *,
    operating_point: str | None = None,
    prevalence: float | None = None,
    threads: int = 1,
    limits: DecodeLimits = DEFAULT_LIMITS,
) -> Predictor:
    """Load a model that answers.

    Where the folder has ``model.onnx``, onnxruntime runs it and PyTorch is not imported; else PyTorch runs the network.

    Args:
        model: a run folder, a model folder, the name of a model that comes with radlens, or ``owner/name`` of the
            Hugging Face hub, ``@`` and a revision after it if need be. A folder of that name comes first.
        operating_point: name of one of the operating points that the model carries, such as ``sensitivity 0.95``;
            None: its own threshold.
        prevalence: share of positive images where the model is used, to tell probabilities for; see :class:`Predictor`.
        threads: processor cores for one run of ``model.onnx``. One is best for many images, since several are then
            answered side by side; more answer a single image sooner.
        limits: bounds on the files that are opened.

    Raises:
        DataError: there is no model, or it is damaged.
        UsageError: the model carries no such operating point.
        RadlensError: the folder has no ``model.onnx``, and PyTorch is not installed; or a model of the hub cannot be
            fetched.
    """
    folder = open_model_folder(find_model(model))
    graph = folder.file(ONNX_FILE)
    network: Network
    if graph is not None:
        network = OnnxNetwork(graph, folder.config.preprocessing.shape, threads)
    else:
        network = _with_torch(folder)
    return Predictor(
        folder.config,
        network,
        _identity(folder),
        operating_point=operating_point,
        prevalence=prevalence,
        limits=limits,
    )


def load_trained(model: str | Path) -> TrainedModel:
    """The network itself with its weights, in PyTorch, for training and evaluation; see :func:`load`.

    Raises:
        DataError: there is no model, or it is damaged.
    """
    from radlens.delivery.torch_model import trained_model

    return trained_model(*read_model_folder(find_model(model)))


def _with_torch(folder: ModelFolder) -> Network:
    try:
        import torch  # noqa: F401
    except ImportError:
        raise RadlensError(
            f"{folder.path} has no {ONNX_FILE}, and to answer from {WEIGHTS_FILE} PyTorch is needed, which is not "
            "installed. Where the model was trained, write it with: radlens export MODEL. Or: pip install "
            "'radlens[train]'"
        ) from None
    return load_trained(folder.path)


def _identity(folder: ModelFolder) -> str:
    """Twelve hexadecimal digits that change with anything that decides an answer."""
    digest = hashlib.sha256((folder.path / CONFIG_FILE).read_bytes())
    if not folder.config.files:
        # An older folder, whose config does not hold the hashes of the others.
        digest.update((folder.path / WEIGHTS_FILE).read_bytes())
    return digest.hexdigest()[:12]
