"""Which images a model was made with, as content hashes: so that it is never judged on them unawares."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from radlens.errors import DataError
from radlens.files import write_text

TRAINING_IMAGES_FILE = "training_images.txt"
# 96 bits: a chance of 1 in 10^10 that any two of a billion images share a beginning.
_HEX_DIGITS = 24


def write_training_images(folder: Path, digests: Iterable[str]) -> None:
    """Write ``training_images.txt``: the beginning of each image's SHA-256, one a line, in sorted order.

    Raises:
        RadlensError: the folder cannot be written to.
    """
    lines = sorted({digest[:_HEX_DIGITS] for digest in digests})
    write_text(Path(folder) / TRAINING_IMAGES_FILE, "".join(f"{line}\n" for line in lines))


def read_training_images(path: Path) -> frozenset[str]:
    """What :func:`write_training_images` wrote into a model folder, or into the ``model`` folder of a run.

    Returns:
        Beginnings of SHA-256 content hashes, all of one length; none where the model does not say.

    Raises:
        DataError: the file cannot be read, or holds something else.
    """
    path = Path(path)
    file = next(
        (at for at in (path / "model" / TRAINING_IMAGES_FILE, path / TRAINING_IMAGES_FILE) if at.is_file()), None
    )
    if file is None:
        return frozenset()
    try:
        lines = file.read_text(encoding="ascii").split()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file} cannot be read: {error}") from error
    strange = [line for line in lines if len(line) != _HEX_DIGITS or set(line) - set("0123456789abcdef")]
    if strange:
        raise DataError(
            f"{file} is damaged: {_HEX_DIGITS} hexadecimal digits a line were expected, got {strange[0][:40]!r}."
        )
    return frozenset(lines)
