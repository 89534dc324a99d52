"""The files of a model folder: which there may be, that they lie in it, and that they are what was written."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Collection, Mapping
from pathlib import Path

from radlens.base.errors import DataError
from radlens.runtime.records import FileRecord
from radlens.runtime.training_images import TRAINING_IMAGES_FILE

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
ONNX_FILE = "model.onnx"
CARD_FILE = "README.md"
# All that is ever read, downloaded or sent.
KNOWN_FILES = (CONFIG_FILE, WEIGHTS_FILE, ONNX_FILE, CARD_FILE, TRAINING_IMAGES_FILE)

# In bytes. The largest networks of today have some billions of weights; the rest is text.
_LARGEST = {WEIGHTS_FILE: 2**34, ONNX_FILE: 2**31, TRAINING_IMAGES_FILE: 2**30}
_LARGEST_TEXT = 2**20


def safe_file(folder: Path, name: str) -> Path:
    """The path of a file of the folder, once it is known to be a regular file in it, and of a sensible size.

    In a cache of the Hugging Face hub the files are links to ``blobs`` next to ``snapshots``, which is allowed.

    Raises:
        DataError: it is missing, is not a regular file, lies elsewhere, or is too large.
    """
    path = folder / name
    try:
        target, root = path.resolve(strict=True), folder.resolve()
        kind = target.stat()
    except FileNotFoundError:
        raise DataError(f"{folder} lacks {name}; the model folder is incomplete.") from None
    except (OSError, RuntimeError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    homes = [root, *([root.parent.parent / "blobs"] if root.parent.name == "snapshots" else [])]
    if target.parent not in homes:
        raise DataError(f"{path} leads out of the model folder, to {target}. Files of a model lie in its folder.")
    if not stat.S_ISREG(kind.st_mode):
        raise DataError(f"{path} is not a regular file.")
    check_size(path, kind.st_size)
    return path


def check_size(path: Path, size: int) -> None:
    """Raises DataError: a file of this name and size, in bytes, is larger than any model's."""
    limit = _LARGEST.get(path.name, _LARGEST_TEXT)
    if size > limit:
        raise DataError(f"{path} has {size:,} bytes; at most {limit:,} are expected of a model.")


def record_file(path: Path) -> FileRecord:
    """Hash and size of a file."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return FileRecord(sha256=digest, size=path.stat().st_size)


def check_files(folder: Path, files: Mapping[str, FileRecord], unchecked: Collection[str] = ()) -> None:
    """Compare the files with what was written down of them, sizes first, but for those that may have any content.

    Raises:
        DataError: a file is unknown, missing or altered, or there is one that nothing was written down of.
    """
    unexpected = [name for name in files if name not in KNOWN_FILES or name == CONFIG_FILE]
    if unexpected:
        raise DataError(
            f"{folder / CONFIG_FILE} lists the file {unexpected[0][:100]!r}, which no model has. "
            f"Known: {', '.join(KNOWN_FILES[1:])}."
        )
    if WEIGHTS_FILE not in files and ONNX_FILE not in files:
        raise DataError(f"{folder / CONFIG_FILE} lists neither {WEIGHTS_FILE} nor {ONNX_FILE}: there is no model.")
    for name in KNOWN_FILES[1:]:
        if name not in files and name not in unchecked and (folder / name).exists():
            raise DataError(f"{folder / name} is not listed in {CONFIG_FILE}: it was put there by something else.")
    paths = {name: safe_file(folder, name) for name in files if name not in unchecked}
    for name, path in paths.items():
        if path.stat().st_size != files[name].size:
            _altered(path, f"{files[name].size:,} bytes were written, it has {path.stat().st_size:,}")
    for name, path in paths.items():
        try:
            present = record_file(path)
        except OSError as error:
            raise DataError(f"{path} cannot be read: {error}") from error
        if present != files[name]:
            _altered(path, f"its SHA-256 is {present.sha256[:12]}…, {files[name].sha256[:12]}… was written")


def _altered(path: Path, how: str) -> None:
    raise DataError(f"{path} was altered or damaged: {how}. Copy or download the model folder again.")
