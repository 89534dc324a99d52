"""What radlens wrote itself, told by its content, so that no folder's images grow by what was made of them."""

from __future__ import annotations

from pathlib import Path

from PIL.PngImagePlugin import PngInfo

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_KEYWORD, _WRITER = "Software", "radlens"
_MARK = f"tEXt{_KEYWORD}\0{_WRITER}".encode()
# A table of answers begins with these columns.
_ANSWERS = b"path,predicted,"
# Files that stand together in the folder of a run or an evaluation, of an audit, of a model, of a comparison.
_WRITTEN_TOGETHER = (
    ("config.yaml", "environment.json"),
    ("audit.json", "manifest.csv"),
    ("config.json", "model.safetensors"),
    ("comparison.json", "manifest.csv"),
)
_INDEX = frozenset({"manifest.csv", "dataset.yaml"})


def picture_mark() -> PngInfo:
    """What marks a PNG as written by radlens; it stays when the file is copied, moved or renamed."""
    mark = PngInfo()
    mark.add_text(_KEYWORD, _WRITER)
    return mark


def is_own_output(head: bytes) -> bool:
    """Whether a file that begins so is a picture that radlens made of another, such as an overlay, or its answers.

    Args:
        head: the first :data:`radlens.imaging.content.HEAD_BYTES` or more.
    """
    return (head.startswith(_SIGNATURE) and _MARK in head) or head.startswith(_ANSWERS)


def is_own_folder(folder: Path) -> bool:
    """Whether a folder is one that radlens wrote and keeps no images to read: of a run, an audit, a model, an index.

    Pictures written for another program (``stress --write-images``) are to be read, and their folder is not one; nor is
    a folder that cannot be looked into.
    """
    try:
        if any(all((folder / name).is_file() for name in names) for names in _WRITTEN_TOGETHER):
            return True
        return (folder / "dataset.yaml").is_file() and {entry.name for entry in folder.iterdir()} == _INDEX
    except OSError:
        return False
