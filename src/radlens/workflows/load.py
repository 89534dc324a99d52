"""The verb ``load``: a model that answers, by its graph where it has one, else by PyTorch."""

from __future__ import annotations

from pathlib import Path

from radlens.delivery.torch_model import answer_with_torch
from radlens.imaging.limits import DEFAULT_LIMITS, DecodeLimits
from radlens.runtime.loading import load as load_predictor
from radlens.runtime.predictor import Predictor


def load(
    model: str | Path,
    *,
    operating_point: str | None = None,
    prevalence: float | None = None,
    threads: int = 1,
    limits: DecodeLimits = DEFAULT_LIMITS,
) -> Predictor:
    """Load a model that answers; see :func:`radlens.runtime.loading.load`.

    Where the folder has ``model.onnx``, PyTorch is not imported; else PyTorch runs the network.

    Args:
        model: a run folder, a model folder, the name of a model that comes with radlens, or ``owner/name`` of the
            Hugging Face hub.
        operating_point: name of one of the operating points that the model carries; None: its own threshold.
        prevalence: share of positive images where the model is used, in (0, 1).
        threads: processor cores for one run of ``model.onnx``.
        limits: bounds on the files that are opened.

    Raises:
        DataError: there is no model, or it is damaged.
        UsageError: the model carries no such operating point.
        RadlensError: the folder has no ``model.onnx``, and PyTorch is not installed; or a model of the hub cannot be
            fetched.
    """
    return load_predictor(
        model,
        operating_point=operating_point,
        prevalence=prevalence,
        threads=threads,
        limits=limits,
        without_graph=answer_with_torch,
    )
