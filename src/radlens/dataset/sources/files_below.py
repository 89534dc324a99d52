"""The files below a folder, by name alone."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from radlens.imaging.scan import is_litter

logger = logging.getLogger(__name__)


def files_below(root: Path, without: Path) -> list[str]:
    """The visible files below a folder but one, relative to it, with forward slashes; each real folder once.

    What operating systems leave behind (``Thumbs.db``, ``__MACOSX``) is passed over without a word.

    Args:
        root: the folder.
        without: the file that is left out, such as the table that lists the others.
    """
    paths: list[str] = []
    closed: list[OSError] = []
    entered: set[tuple[int, int]] = set()
    for current, folders, names in os.walk(root, followlinks=True, onerror=closed.append):
        facts = Path(current).stat()
        # Links in a circle come to an end so.
        if (facts.st_dev, facts.st_ino) in entered:
            folders.clear()
            continue
        entered.add((facts.st_dev, facts.st_ino))
        folders[:] = sorted(name for name in folders if not _is_hidden(name))
        inside = os.path.relpath(current, root).replace(os.sep, "/")
        start = "" if inside == "." else f"{inside}/"
        paths.extend(f"{start}{name}" for name in names if not _is_hidden(name))
    if closed:
        logger.warning(
            "%d folder(s) in %s cannot be listed (%s) and are left out.", len(closed), root, closed[0].strerror
        )
    own = os.path.relpath(without, root).replace(os.sep, "/")
    return sorted(path for path in paths if path != own)


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or is_litter(name)
