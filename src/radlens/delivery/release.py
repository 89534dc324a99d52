"""From weights to a model folder that others can use: the graph beside the weights, checked against them."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import numpy.typing as npt

from radlens.config import resolve
from radlens.dataset.manifest import Manifest
from radlens.delivery.model_folder import (
    ModelConfig,
    OnnxRecord,
    Tensors,
    open_model_folder,
    read_model_folder,
    write_model_folder,
)
from radlens.delivery.onnx_export import FEWEST_IMAGES, OPSET, check_parity, export_graph, graph_outputs, phantom_pixels
from radlens.delivery.training_images import TRAINING_IMAGES_FILE
from radlens.errors import RadlensError, UsageError
from radlens.files import building, write_text
from radlens.imaging.cache import PixelCache
from radlens.imaging.preprocess import Preprocessing
from radlens.version import __version__

logger = logging.getLogger(__name__)

Pixels = npt.NDArray[np.uint8]


def parity_images(
    contract: Preprocessing, cache: PixelCache | None = None, split: npt.NDArray[np.str_] | None = None
) -> tuple[Pixels, str]:
    """Images that graph and network are compared on: of validation, then of training, then phantoms.

    Args:
        contract: what the pixels are to be like.
        cache: the pixels of a run; None: there are none.
        split: the split of each image of the cache. Test images are not looked at.

    Returns:
        uint8, shape (200, channels, height, width), and in words what they are.
    """
    parts, words = [np.empty((0, *contract.shape), dtype=np.uint8)], []
    if cache is not None and split is not None:
        for name, word in (("val", "validation"), ("train", "training")):
            rows = cache.rows[(split == name) & (cache.rows >= 0)]
            left = FEWEST_IMAGES - sum(map(len, parts))
            if left and len(rows):
                # Evenly over the split, which may be sorted by class.
                parts.append(cache.pixels[rows[np.linspace(0, len(rows) - 1, min(left, len(rows))).astype(int)]])
                words.append(f"{len(parts[-1])} of {word}")
    left = FEWEST_IMAGES - sum(map(len, parts))
    if left:
        parts.append(phantom_pixels(contract, left))
        words.append(f"{left} phantoms")
    return np.concatenate(parts), ", ".join(words)


def release(folder: Path, config: ModelConfig, tensors: Tensors, pixels: Pixels, source: str) -> ModelConfig:
    """Write a model folder with the graph beside the weights, once both were found to give the same answers.

    Args:
        folder: where to.
        config: of the model.
        tensors: its weights.
        pixels: images to compare the answers on, shape (images, channels, height, width).
        source: what they are.

    Raises:
        DataError: the network cannot be written as ONNX, or graph and network differ. Nothing was written then.
        RadlensError: a package is not installed, or the folder cannot be written to.
    """
    from radlens.learning.trained_model import TrainedModel

    graph = export_graph(config, tensors)
    trained = TrainedModel(
        config.task,
        config.classes,
        config.network,
        config.preprocessing,
        config.threshold,
        tensors,
        calibration=(config.calibration_slope, config.calibration_offset),
        mirror=config.mirror,
        device="cpu",
    )
    parity = check_parity(graph, config, pixels, trained.probabilities(pixels), source)
    record = OnnxRecord(opset=OPSET, outputs=graph_outputs(graph), parity=parity)
    complete = config.model_copy(update={"onnx": record})
    write_model_folder(folder, complete, tensors, graph)
    return complete


def release_if_possible(folder: Path, config: ModelConfig, tensors: Tensors, pixels: Pixels, source: str) -> None:
    """The same; where there can be no graph, say why and write the model without it."""
    try:
        release(folder, config, tensors, pixels, source)
    except RadlensError as error:
        logger.warning("The model has no model.onnx. %s", error)
        write_model_folder(folder, config, tensors)


def export(model: Path, out: Path | None = None) -> Path:
    """Write the model folder of a run or of an earlier export anew, in today's form and with its graph.

    Args:
        model: a run folder or a model folder.
        out: a new folder for it; None: where it lies.

    Returns:
        The model folder.

    Raises:
        UsageError: ``out`` exists.
        DataError: the model is damaged, cannot be written as ONNX, or the graph's answers differ.
    """
    if out is not None and out.exists():
        raise UsageError(f"The output {out} exists. Choose another --out, or leave it out to write the model in place.")
    found = open_model_folder(model)
    config, tensors = read_model_folder(model)
    config = config.model_copy(update={"radlens_version": __version__})
    pixels, source = _images_of(Path(model), config.preprocessing)
    if out is None:
        release(found.path, config, tensors, pixels, source)
        return found.path
    with building(out) as temporary:
        listed = found.file(TRAINING_IMAGES_FILE)
        if listed is not None:
            write_text(temporary / TRAINING_IMAGES_FILE, listed.read_text(encoding="ascii"))
        release(temporary, config, tensors, pixels, source)
    return out


def _images_of(run: Path, contract: Preprocessing) -> tuple[Pixels, str]:
    """Images of a run that are still where they were, else phantoms."""
    if not (run / "manifest.csv").is_file() or not (run / "config.yaml").is_file():
        return parity_images(contract)
    manifest = Manifest.read(run)
    split = manifest.table["split"].to_numpy(dtype=str)
    chosen = [np.flatnonzero(split == name) for name in ("val", "train")]
    some = np.sort(np.concatenate([rows[:: max(1, len(rows) // FEWEST_IMAGES)][:FEWEST_IMAGES] for rows in chosen]))
    mask = np.isin(np.arange(len(split)), some)
    data = resolve(file=run / "config.yaml").data
    cache = PixelCache.build(manifest.only(mask).locations, contract, data.workers, data.limits)
    return parity_images(contract, cache, split[mask])
