"""From a model's folder or name to something that answers, by its ``model.onnx``."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from radlens.base.errors import MissingPackageError
from radlens.imaging.limits import DecodeLimits
from radlens.runtime.model_folder import (
    CONFIG_FILE,
    ONNX_FILE,
    WEIGHTS_FILE,
    ModelFolder,
    find_model,
    open_model_folder,
)
from radlens.runtime.onnx_network import OnnxNetwork
from radlens.runtime.predictor import Network, Predictor


def load(
    model: str | Path,
    *,
    operating_point: str | None = None,
    prevalence: float | None = None,
    threads: int = 1,
    limits: DecodeLimits | Mapping[str, Any] | None = None,
    without_graph: Callable[[ModelFolder], Network] | None = None,
) -> Predictor:
    """Load a model that answers.

    Where the folder has ``model.onnx``, onnxruntime runs it.

    Args:
        model: a run folder, a model folder, the name of a model that comes with radlens, or ``owner/name`` of the
            Hugging Face hub, ``@`` and a revision after it if need be. A folder of that name comes first.
        operating_point: name of one of the operating points that the model carries, such as ``sensitivity 0.95``;
            None: its own threshold.
        prevalence: share of positive images where the model is used, to tell probabilities for; see :class:`Predictor`.
        threads: processor cores for one run of ``model.onnx``. One is best for many images, since several are then
            answered side by side; more answer a single image sooner.
        limits: bounds on the files that are opened; None: those of training; a mapping: those of training but for
            the ones named in it.
        without_graph: makes what answers where the folder has no ``model.onnx``.

    Raises:
        DataError: there is no model, or it is damaged.
        UsageError: the model carries no such operating point.
        MissingPackageError: the folder has no ``model.onnx``, and nothing else answers.
        RadlensError: a model of the hub cannot be fetched.
    """
    folder = open_model_folder(find_model(model))
    if isinstance(limits, Mapping):
        limits = folder.config.limits.model_copy(update=dict(limits))
    graph = folder.file(ONNX_FILE)
    network: Network
    if graph is not None:
        network = OnnxNetwork(graph, folder.config.preprocessing.shape, threads)
    elif without_graph is not None:
        network = without_graph(folder)
    else:
        raise MissingPackageError(missing_graph(folder))
    return Predictor(
        folder.config,
        network,
        _identity(folder),
        operating_point=operating_point,
        prevalence=prevalence,
        limits=limits,
    )


def missing_graph(folder: ModelFolder, reason: str = f"{WEIGHTS_FILE} is not read here.") -> str:
    """Why a folder without ``model.onnx`` cannot answer here, and what to do; the reason says what else was tried."""
    return (
        f"{folder.path} has no {ONNX_FILE}. Where the model was trained, write it with: radlens export MODEL. {reason}"
    )


def _identity(folder: ModelFolder) -> str:
    """Twelve hexadecimal digits that change with anything that decides an answer."""
    digest = hashlib.sha256((folder.path / CONFIG_FILE).read_bytes())
    if not folder.config.files:
        # An older folder, whose config does not hold the hashes of the others.
        digest.update((folder.path / WEIGHTS_FILE).read_bytes())
    return digest.hexdigest()[:12]
