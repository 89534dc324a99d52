"""Which images a model was made with, as hashes: so that it is never judged on them unawares."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from radlens.base.errors import DataError
from radlens.base.files import write_text
from radlens.runtime.known_images import CONTENT_DIGITS, NO_IMAGES_KNOWN, PICTURE_DIGITS, KnownImages

TRAINING_IMAGES_FILE = "training_images.txt"
_LINE = re.compile(rf"([0-9a-f]{{{CONTENT_DIGITS}}})(?: ([0-9a-f]{{{PICTURE_DIGITS}}}))?")


def write_training_images(folder: Path, digests: Sequence[str], pictures: Sequence[str] = ()) -> None:
    """Write ``training_images.txt``: an image a line, in sorted order.

    Args:
        folder: the model folder.
        digests: SHA-256 of each image's content.
        pictures: hash of what each of them shows, empty for one that shows nothing; none: of no image.

    Raises:
        ValueError: there are not as many of both.
        RadlensError: the folder cannot be written to.
    """
    shown = pictures or [""] * len(digests)
    lines = {f"{digest[:CONTENT_DIGITS]} {picture}".rstrip() for digest, picture in zip(digests, shown, strict=True)}
    write_text(Path(folder) / TRAINING_IMAGES_FILE, "".join(f"{line}\n" for line in sorted(lines)))


def read_training_images(path: Path) -> KnownImages:
    """What :func:`write_training_images` wrote into a model folder, or into the ``model`` folder of a run.

    Returns:
        The images; none where the model does not say.

    Raises:
        DataError: the file cannot be read, or holds something else.
    """
    path = Path(path)
    file = next(
        (at for at in (path / "model" / TRAINING_IMAGES_FILE, path / TRAINING_IMAGES_FILE) if at.is_file()), None
    )
    if file is None:
        return NO_IMAGES_KNOWN
    try:
        lines = file.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file} cannot be read: {error}") from error
    contents, pictures = set(), set()
    for line in lines:
        match = _LINE.fullmatch(line)
        if match is None:
            raise DataError(
                f"{file} is damaged: {CONTENT_DIGITS} hexadecimal digits a line were expected, and {PICTURE_DIGITS} "
                f"more after a space or none, got {line[:100]!r}."
            )
        contents.add(match[1])
        pictures.add(match[2])
    return KnownImages(frozenset(contents), frozenset(pictures - {None}))
