"""The verb ``load``: a model that answers, by its graph where it has one, else by PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from radlens.base.errors import UsageError
from radlens.config import is_stated, resolve
from radlens.delivery.torch_model import answer_with_torch
from radlens.imaging.limits import DecodeLimits
from radlens.runtime.loading import load as load_predictor
from radlens.runtime.predictor import Predictor

_BOUNDS = tuple(DecodeLimits.model_fields)


def load(
    model: str | Path,
    *,
    operating_point: str | None = None,
    prevalence: float | None = None,
    threads: int = 1,
    limits: DecodeLimits | None = None,
    settings: tuple[str, ...] | list[str] = (),
) -> Predictor:
    """Load a model that answers; see :func:`radlens.runtime.loading.load`.

    Where the folder has ``model.onnx``, PyTorch is not imported; else PyTorch runs the network.

    Args:
        model: a run folder, a model folder, the name of a model that comes with radlens, or ``owner/name`` of the
            Hugging Face hub.
        operating_point: name of one of the operating points that the model carries; None: its own threshold.
        prevalence: share of positive images where the model is used, in (0, 1).
        threads: processor cores for one run of ``model.onnx``.
        limits: bounds on the files that are opened; None: those of training, but for ``settings``.
        settings: bounds that are to be others than in training, as ``data.limits.max_pixels=200000000``.
        limits: bounds on the files that are opened.

    Raises:
        DataError: there is no model, or it is damaged.
        UsageError: the model carries no such operating point, or a setting is none of ``data.limits``.
        RadlensError: the folder has no ``model.onnx``, and PyTorch is not installed; or a model of the hub cannot be
            fetched.
    """
    return load_predictor(
        model,
        operating_point=operating_point,
        prevalence=prevalence,
        threads=threads,
        limits=limits or _stated_limits(settings),
        without_graph=answer_with_torch,
    )


def _stated_limits(settings: tuple[str, ...] | list[str]) -> dict[str, Any]:
    """The bounds that settings state; what a model was trained with is not for them to change."""
    resolved = resolve(assignments=tuple(settings))
    others = [text for text in settings if not text.strip().startswith(("data.limits.", "data.limits="))]
    if others:
        raise UsageError(
            f"--set {others[0]!r} has no effect here: the model keeps the settings that it was trained with. Only "
            f"bounds on the files that are opened can be set: {', '.join(f'data.limits.{name}' for name in _BOUNDS)}."
        )
    stated = [name for name in _BOUNDS if is_stated(f"data.limits.{name}", assignments=settings)]
    return {name: getattr(resolved.data.limits, name) for name in stated}
