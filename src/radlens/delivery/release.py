"""From weights to a model folder that others can use: with a graph that answers alike, and with a card."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Literal

import numpy as np

from radlens.base.errors import MissingPackageError
from radlens.base.files import is_place_here
from radlens.dataset.manifest import Manifest
from radlens.delivery.card import MARK, model_card
from radlens.delivery.onnx_export import (
    OPSET,
    NoGraphError,
    Pixels,
    check_maps,
    check_parity,
    export_graph,
    graph_outputs,
)
from radlens.delivery.onnx_on_demand import map_on_demand
from radlens.delivery.onnx_variants import Trial, halve, measure, quantize, store_float16
from radlens.delivery.torch_model import trained_model
from radlens.runtime.framing_records import FramingEvidence
from radlens.runtime.metrics_record import SplitRecord
from radlens.runtime.model_config import ModelConfig
from radlens.runtime.model_files import CARD_FILE
from radlens.runtime.model_folder import Tensors, open_model_folder, split_tensors, write_config, write_model_folder
from radlens.runtime.records import FramingRecord, OnnxRecord, Parity, TrainingData, Variant

logger = logging.getLogger(__name__)

Kind = Literal["float16", "int8"]
# Images whose maps are compared too.
_MAPPED = 16


def release(
    folder: Path,
    config: ModelConfig,
    tensors: Tensors,
    pixels: Pixels,
    source: str,
    smaller: Collection[Kind] = (),
    trial: Trial | None = None,
) -> ModelConfig:
    """Write a model folder with graph and weights, once both were found to give the same answers.

    Args:
        folder: where to. A card that lies there stays if radlens did not write it.
        config: of the model.
        tensors: its weights.
        pixels: images to compare the answers on, shape (images, channels, height, width).
        source: what they are.
        smaller: how else weights are to be stored, if that was measured to do: ``float16`` (both files) or ``int8``
            (the graph alone).
        trial: what to measure that on; needed for any.

    Returns:
        The config as it was written, but for the hashes.

    Raises:
        NoGraphError: the network cannot be written as ONNX, or graph and network differ.
        MissingPackageError: onnx or onnxscript is not installed.
            Nothing was written then.
        RadlensError: the folder cannot be written to.
    """
    if smaller and trial is None:
        raise ValueError("smaller weights need images to be measured on")
    # Of the network alone: what tells unfamiliar images is kept in half precision whatever the weights are.
    network, _ = split_tensors(tensors)
    kept = "float16" if any(value.dtype == np.float16 for value in network.values()) else "float32"
    flat = _half_graph(config, tensors) if kept == "float16" else export_graph(config, tensors)
    graph = map_on_demand(flat)
    parity = _parity(graph, config, tensors, pixels, source)
    full, tried = graph, list(config.onnx.variants if config.onnx and kept == "float16" else ())
    if "float16" in smaller and kept == "float32" and trial is not None:
        halved = halve(tensors)
        half = map_on_demand(_half_graph(config, halved))
        half_parity = _parity(half, config, halved, pixels, source)
        tried.append(_tried(measure("float16", full, half, config, trial)))
        if tried[-1].kept:
            graph, parity, tensors, kept = half, half_parity, halved, "float16"
    if "int8" in smaller and trial is not None:
        whole = map_on_demand(quantize(flat, trial.training))
        tried.append(_tried(measure("int8", full, whole, config, trial)))
        if tried[-1].kept:
            graph, kept = whole, "int8"
    record = OnnxRecord.model_validate(
        {"opset": OPSET, "outputs": graph_outputs(graph), "weights": kept, "parity": parity, "variants": tuple(tried)}
    )
    complete = config.model_copy(update={"onnx": record})
    write_model_folder(folder, complete, tensors, graph, _card(folder, complete))
    return complete


def _half_graph(config: ModelConfig, halved: Tensors) -> bytes:
    return store_float16(export_graph(config, halved, keep_weights=True))


def _parity(graph: bytes, config: ModelConfig, tensors: Tensors, pixels: Pixels, source: str) -> Parity:
    # On the CPU, whose arithmetic is that of 32 bits, as onnxruntime's is.
    model = trained_model(config, tensors, device="cpu")
    check_maps(graph, config, pixels[:_MAPPED], model.maps(pixels[:_MAPPED], np.arange(len(pixels[:_MAPPED]))))
    return check_parity(graph, config, pixels, model.probabilities(pixels), source)


def _tried(variant: Variant) -> Variant:
    logger.info(
        "Weights in %s are %s: %s (%.2f %% of %d decisions change; %.1f to %.1f MB; %.1f to %.1f ms for one image)",
        variant.kind,
        "kept" if variant.kept else "dropped",
        variant.reason,
        100 * variant.flipped,
        variant.images,
        *(size / 1e6 for size in variant.bytes),
        *variant.milliseconds,
    )
    return variant


def release_if_possible(folder: Path, config: ModelConfig, tensors: Tensors, pixels: Pixels, source: str) -> None:
    """The same; where there can be no graph, say why and leave the model without it.

    Raises:
        RadlensError: the folder cannot be written to.
        Exception: any other error of building the graph is a fault of radlens. The model is kept, without a graph.
    """
    # First, so that whatever becomes of the graph, what took hours to train is kept.
    write_model_folder(folder, config, tensors, card=_card(folder, config))
    try:
        release(folder, config, tensors, pixels, source)
    except (NoGraphError, MissingPackageError) as error:
        logger.warning("The model has no model.onnx. %s", error)


def add_metrics(path: Path, metrics: Mapping[str, SplitRecord]) -> None:
    """Write figures into the config and the card of a model folder, or of the ``model`` folder inside a run folder.

    Args:
        path: where the model lies.
        metrics: the content of ``metrics.json``.

    Raises:
        DataError: there is no model, or it is damaged.
    """
    _rewrite(path, evidence_for_config(metrics))


def add_framing(path: Path, split: str, evidence: FramingEvidence) -> None:
    """Write how the answers hang on the framing of images into the config and the card of a model.

    Args:
        path: where the model lies.
        split: of the images that were changed.
        evidence: what was found.

    Raises:
        DataError: there is no model, or it is damaged.
    """
    _rewrite(path, {"framing": _framing_record(split, evidence)})


def _framing_record(split: str, evidence: FramingEvidence) -> FramingRecord:
    return FramingRecord.model_validate({"split": split, **evidence.summary.model_dump()})


def _rewrite(path: Path, changes: Mapping[str, object]) -> None:
    model = open_model_folder(path)
    config = model.config.model_copy(update=dict(changes))
    write_config(model.path, config, _card(model.path, config))


def evidence_for_config(metrics: Mapping[str, SplitRecord]) -> dict[str, object]:
    """Of the content of ``metrics.json``, what the config of the model says too, by its names there."""
    evidence: dict[str, object] = {"metrics": {split: record.summary for split, record in metrics.items()}}
    for split, record in metrics.items():
        if record.framing is not None:
            evidence["framing"] = _framing_record(split, record.framing)
    return evidence


def describe_data(manifest: Manifest, digests: Iterable[str]) -> TrainingData:
    """What the model is made of, without the path of a folder on this machine.

    Args:
        manifest: the images with their splits.
        digests: SHA-256 of the content of each.
    """
    info, table = manifest.info, manifest.table
    used = table["split"].isin(("train", "val")).to_numpy()
    used_digests = sorted(digest for digest, mine in zip(digests, used, strict=True) if mine)
    by_split = table.groupby("split")
    labels = table["label"][used].str.split("|").explode()
    return TrainingData(
        name=info.name,
        source="" if is_place_here(info.source) else info.source,
        licence=info.licence,
        citation=info.citation,
        images={str(split): int(count) for split, count in by_split.size().items() if split},
        patients={str(split): int(count) for split, count in by_split["patient"].nunique().items() if split},
        classes={name: int((labels == name).sum()) for name in info.classes},
        sha256=hashlib.sha256("".join(f"{digest}\n" for digest in used_digests).encode("ascii")).hexdigest(),
    )


def _card(folder: Path, config: ModelConfig) -> str | None:
    """A card for the folder; None where it has one that someone wrote."""
    present = folder / CARD_FILE
    if present.is_file() and MARK not in present.read_text(encoding="utf-8", errors="replace"):
        return None
    return model_card(config)
