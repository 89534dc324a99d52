"""The verbs ``export`` and ``push``: a model folder written for others, and sent to the hub."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from radlens.base.folder_lock import folder_lock
from radlens.base.optional import explained_imports
from radlens.delivery.hub import files_to_send
from radlens.delivery.hub import push as push_model
from radlens.runtime.model_folder import find_model, run_of

if TYPE_CHECKING:
    from radlens.delivery.release import Kind

logger = logging.getLogger(__name__)


def export(model: str | Path, out: str | Path | None = None, *, float16: bool = False, int8: bool = False) -> Path:
    """Write the model folder of a run, or an earlier model folder, again: weights, ONNX graph and card, all checked.

    Args:
        model: a run folder, a model folder or the name of a model that comes with radlens.
        out: a new folder for it; None: where it lies.
        float16: store the weights in half precision, if that changes next to nothing on the run's validation images.
        int8: store those of the graph as 8-bit integers, likewise.

    Returns:
        The model folder.

    Raises:
        UsageError: ``out`` exists, or smaller weights are asked for where there are no images of a run.
        MissingPackageError: what the extra ``train`` brings is not installed.
        DataError: the model is damaged, cannot be written as ONNX, or its graph does not answer as PyTorch does.
    """
    # Sending a model needs none of what writing one does.
    with explained_imports():
        from radlens.delivery.export import export as export_model
    wanted: dict[Kind, bool] = {"float16": float16, "int8": int8}
    smaller = [kind for kind, asked in wanted.items() if asked]
    found = find_model(model)
    with folder_lock(run_of(found) or found if out is None else Path(out)):
        return export_model(found, None if out is None else Path(out), smaller)


def push(model: str | Path, name: str, *, private: bool = False, dry_run: bool = False) -> list[Path]:
    """Send a model folder to the Hugging Face hub.

    Args:
        model: a run folder, a model folder or the name of a model that comes with radlens.
        name: ``owner/name``.
        private: of a repository that is made: whether only its owners see it.
        dry_run: send nothing.

    Returns:
        The files that were, or would be, sent.

    Raises:
        UsageError: the name is none of the hub.
        DataError: there is no model, or it is damaged.
        RadlensError: huggingface_hub or a token is missing, or the hub refuses.
    """
    folder = find_model(model)
    files = files_to_send(folder)
    if not dry_run:
        logger.info("Sent to %s", push_model(folder, name, private=private))
    return files
