"""The model folder: the network's weights and all that is needed to use them rightly, without a pickle."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from radlens.base.errors import DataError, RadlensError
from radlens.base.files import replacing, write_text
from radlens.runtime.model_config import ModelConfig
from radlens.runtime.model_files import (
    CARD_FILE,
    CONFIG_FILE,
    KNOWN_FILES,
    ONNX_FILE,
    WEIGHTS_FILE,
    check_files,
    record_file,
    safe_file,
)

__all__ = [
    "CONFIG_FILE",
    "ONNX_FILE",
    "WEIGHTS_FILE",
    "ModelFolder",
    "Tensors",
    "boxed_models",
    "find_model",
    "open_model_folder",
    "read_model_folder",
    "read_weights",
    "write_model_folder",
]

FORMAT_VERSION: Literal[2] = 2
Tensors = Mapping[str, npt.NDArray[Any]]
# Names of the tensors that are not the network's: what tells unfamiliar images.
_OOD_PREFIX = "familiarity."


@dataclass(frozen=True)
class ModelFolder:
    """A model folder whose files were found to be what was written.

    Attributes:
        path: where it lies.
        config: what its ``config.json`` says.
    """

    path: Path
    config: ModelConfig

    def file(self, name: str) -> Path | None:
        """Where one of its files lies; None where it has none of that name."""
        return self.path / name if (self.path / name).is_file() else None


def boxed_models() -> dict[str, Path]:
    """The models that come with radlens, by name."""
    box = Path(__file__).parents[1] / "models"
    return {config.parent.name: config.parent for config in sorted(box.glob(f"*/{CONFIG_FILE}"))}


def find_model(model: str | Path) -> Path:
    """Where a model lies: a folder as it is given, else one that comes with radlens by its name, else one of the hub.

    A name of the form ``owner/name`` that is not a folder here is fetched from the Hugging Face hub.

    Raises:
        DataError: there is none.
        RadlensError: a model of the hub cannot be fetched.
    """
    if Path(model).exists():
        return Path(model)
    boxed = boxed_models()
    if str(model) in boxed:
        return boxed[str(model)]
    from radlens.runtime.hub import fetch, is_hub_id

    if isinstance(model, str) and is_hub_id(model):
        try:
            return fetch(model)
        except RadlensError as error:
            raise type(error)(f"There is no folder {model!r} here. Taken for a model of the hub: {error}") from error
    raise DataError(
        f"There is no model {str(model)!r}: a run folder or a model folder was expected, or a name of: "
        f"{', '.join(boxed) or 'none'}; or owner/name of the Hugging Face hub."
    )


def write_model_folder(
    folder: Path, config: ModelConfig, tensors: Tensors, onnx: bytes | None = None, card: str | None = None
) -> None:
    """Write the weights, the graph and the card, then ``config.json`` with the hashes of all files that lie there.

    A folder whose config fits its files is complete; whatever fails before leaves one that is refused. A graph of
    other weights does not stay; without a new card, an old one does.

    Raises:
        RadlensError: the folder cannot be written to.
    """
    folder = Path(folder)
    # Written by ourselves: the library's own writer makes the file readable by its owner alone.
    contents = {WEIGHTS_FILE: save({name: np.asarray(value, order="C") for name, value in tensors.items()})}
    if onnx is not None:
        contents[ONNX_FILE] = onnx
    else:
        (folder / ONNX_FILE).unlink(missing_ok=True)
    for name, content in contents.items():
        with replacing(folder / name) as temporary:
            temporary.write_bytes(content)
    write_config(folder, config, card)


def write_config(folder: Path, config: ModelConfig, card: str | None = None) -> None:
    """Write the card, if one is given, and ``config.json`` with the hashes of all files as they lie there now.

    Raises:
        RadlensError: the folder cannot be written to.
    """
    if card is not None:
        write_text(folder / CARD_FILE, card)
    files = {name: record_file(folder / name) for name in KNOWN_FILES[1:] if (folder / name).is_file()}
    config = config.model_copy(update={"files": files})
    write_text(folder / CONFIG_FILE, config.model_dump_json(indent=2) + "\n")


def open_model_folder(path: Path, *, any_card: bool = False) -> ModelFolder:
    """Read the config of a model folder, or of the ``model`` folder inside a run folder, and check its files.

    No file is read but for its hash, and no code of the folder is run. Folders of format version 1 have no hashes.

    Args:
        path: the folder.
        any_card: take a card that was edited.

    Raises:
        DataError: there is none, a file is missing, altered or damaged, or a newer radlens wrote it.
    """
    path = Path(path)
    folder = path / "model" if (path / "model" / CONFIG_FILE).is_file() else path
    if not (folder / CONFIG_FILE).is_file():
        raise DataError(
            f"{path} is not a model: a run folder, or a folder with {CONFIG_FILE} and {WEIGHTS_FILE}, was expected. "
            "Train one with: radlens run SOURCE --out DIR"
        )
    where = safe_file(folder, CONFIG_FILE)
    try:
        values = json.loads(where.read_text(encoding="utf-8"))
        version = values.get("format_version") if isinstance(values, dict) else None
        if type(version) is not int or version not in (1, FORMAT_VERSION):
            raise DataError(
                f"{where} has format version {str(version)[:40]!r}; this radlens reads versions 1 and {FORMAT_VERSION}."
            )
        config = ModelConfig.model_validate({**values, "format_version": FORMAT_VERSION})
    except RecursionError:
        raise DataError(f"{where} cannot be read: it is nested too deeply.") from None
    except (OSError, ValueError, ValidationError) as error:
        raise DataError(f"The model folder {folder} cannot be read: {error}") from error
    if version == 1:
        safe_file(folder, WEIGHTS_FILE)
    else:
        check_files(folder, config.files, unchecked=(CARD_FILE,) if any_card else ())
    return ModelFolder(folder, config)


def read_model_folder(path: Path) -> tuple[ModelConfig, Tensors]:
    """The config and the weights of a model folder, or of the ``model`` folder inside a run folder.

    Raises:
        DataError: there is none, a file is missing, altered or damaged, a weight is not a finite number, or a newer
            radlens wrote it.
    """
    folder = open_model_folder(path)
    return folder.config, read_weights(folder)


def read_weights(folder: ModelFolder) -> Tensors:
    """The weights of a model folder that was opened.

    Raises:
        DataError: it has none, they are damaged, or one is not a finite number.
    """
    where = safe_file(folder.path, WEIGHTS_FILE)
    try:
        tensors = load_file(where)
    except (OSError, ValueError, KeyError, TypeError, MemoryError, SafetensorError) as error:
        raise DataError(f"The weights {where} cannot be read: {error}") from error
    if folder.config.abstention and folder.config.abstention.farthest and not split_tensors(tensors)[1]:
        raise DataError(f"{where} lacks the statistics of familiar images that {CONFIG_FILE} needs.")
    for name, value in tensors.items():
        if np.issubdtype(value.dtype, np.floating) and not np.isfinite(value).all():
            raise DataError(
                f"The weights {where} hold values that are not finite numbers, in {name[:100]!r}: they are damaged."
            )
    return tensors


def join_tensors(network: Tensors, familiarity: Tensors) -> Tensors:
    """The network's weights and the statistics of familiar images, under names that tell them apart."""
    return {**network, **{_OOD_PREFIX + name: value for name, value in familiarity.items()}}


def split_tensors(tensors: Tensors) -> tuple[Tensors, Tensors]:
    """What :func:`join_tensors` joined.

    >>> [list(part) for part in split_tensors(join_tensors({"head.bias": np.zeros(1)}, {"centre": np.zeros(2)}))]
    [['head.bias'], ['centre']]
    """
    network = {name: value for name, value in tensors.items() if not name.startswith(_OOD_PREFIX)}
    others = {name.removeprefix(_OOD_PREFIX): tensors[name] for name in tensors if name not in network}
    return network, others


def run_of(path: Path) -> Path | None:
    """The run folder that a model is in: the path itself or the folder above; None for a model that was taken out."""
    for folder in (Path(path), Path(path).absolute().parent):
        if (folder / "config.yaml").is_file() and (folder / "model" / CONFIG_FILE).is_file():
            return folder
    return None


def hash_weights(path: Path) -> str:
    """SHA-256 of a model's weights, in hexadecimal digits.

    Args:
        path: a model folder, or a run folder that holds one.
    """
    folder = Path(path) / "model" if (Path(path) / "model" / CONFIG_FILE).is_file() else Path(path)
    return hashlib.sha256((folder / WEIGHTS_FILE).read_bytes()).hexdigest()
