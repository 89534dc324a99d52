"""Looking through folders for images, and keeping account of all that is left out."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

IMAGE_SUFFIXES = frozenset(
    {".bmp", ".dcm", ".dic", ".dicom", ".ima", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}
)
_IGNORED = frozenset({"__macosx", "thumbs.db", "desktop.ini", "dicomdir", "@eadir", "$recycle.bin"})
_DICOM_PREFIX = 128


class Listing(NamedTuple):
    """The entries of one folder, by name and sorted.

    Attributes:
        folders: folders, and links to folders.
        images: what is an image by its suffix, whether it can be read or not, or a DICOM file by its content.
        others: files of other kinds.
        hidden: what begins with a dot, and what operating systems leave behind.
        lost: links that lead nowhere and files that cannot be opened, of which the name does not tell what they were,
            with the reason.
    """

    folders: list[str]
    images: list[str]
    others: list[str]
    hidden: list[str]
    lost: list[tuple[str, str]]


@dataclass
class LeftOut:
    """What was found apart from the images.

    Attributes:
        others: number of other files of each type.
        hidden: number of hidden files and folders and of those that operating systems leave behind.
        lost: what could not be looked at, by its path, with the reason.
        again: links to folders that were read already.
    """

    others: Counter[str] = field(default_factory=Counter)
    hidden: int = 0
    lost: list[tuple[str, str]] = field(default_factory=list)
    again: list[str] = field(default_factory=list)

    def add(self, other: LeftOut) -> None:
        """Count that of another folder too."""
        self.others += other.others
        self.hidden += other.hidden
        self.lost += other.lost
        self.again += other.again

    def count(self, folder: str, listing: Listing) -> None:
        """Count what lies in a folder apart from images and folders."""
        self.others.update(map(suffix_of, listing.others))
        self.hidden += len(listing.hidden)
        self.lost += [(joined(folder, name), reason) for name, reason in listing.lost]

    def notes(self) -> tuple[str, ...]:
        """What a reader must know of it."""
        notes = []
        if self.lost:
            path, reason = self.lost[0]
            notes.append(
                f"{len(self.lost)} file(s), link(s) or folder(s) could not be looked at and are left out, first "
                f"{writable(path)} ({reason})."
            )
        if self.again:
            notes.append(
                f"{len(self.again)} link(s) to a folder that was read already are left out, first "
                f"{writable(self.again[0])}."
            )
        return tuple(notes)


def list_folder(folder: Path) -> Listing:
    """The entries of a folder.

    Raises:
        OSError: the folder cannot be listed.
    """
    listing = Listing([], [], [], [], [])
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(".") or entry.name.casefold() in _IGNORED:
                listing.hidden.append(entry.name)
            else:
                _assign(entry, listing)
    for names in listing:
        names.sort()
    return listing


def walk(folder: Path, prefix: str, left_out: LeftOut) -> Iterator[str]:
    """All images below a folder, links to folders followed, each real folder entered once, in a fixed order.

    Args:
        folder: where to begin.
        prefix: what the paths begin with, for the folder itself.
        left_out: told what is left out along the way.

    Yields:
        Their paths, separated by slashes; no more than one folder's are held at a time.
    """
    for path, listing in walk_folders(folder, prefix, left_out):
        left_out.count(path, listing)
        for name in listing.images:
            yield joined(path, name)


def walk_folders(folder: Path, prefix: str, left_out: LeftOut) -> Iterator[tuple[str, Listing]]:
    """Each folder below a folder, and itself, with what lies in it; see :func:`walk`.

    Links to folders come after the folders themselves, so that a folder is entered by its own name.
    """
    pending, links, entered = [(folder, prefix)], list[tuple[Path, str]](), set()
    while pending or links:
        current, prefix = pending.pop() if pending else links.pop(0)
        try:
            facts = current.stat()
            # Links in a circle come to an end so.
            if (facts.st_dev, facts.st_ino) in entered:
                left_out.again.append(prefix)
                continue
            entered.add((facts.st_dev, facts.st_ino))
            listing = list_folder(current)
        except OSError as error:
            left_out.lost.append((prefix, error.strerror or str(error)))
            continue
        for name in reversed(listing.folders):
            below = current / name
            (links if below.is_symlink() else pending).append((below, joined(prefix, name)))
        yield prefix, listing


def joined(folder: str, name: str) -> str:
    """The path of what lies in a folder; the folder that all begins in has no name."""
    return f"{folder}/{name}" if folder else name


def suffix_of(name: str) -> str:
    """The suffix in lower case: ``.png``, or nothing."""
    return f".{name.rpartition('.')[2].lower()}" if "." in name else ""


def listed(counts: Counter[str]) -> str:
    """Counts by file type as words: ``3 .txt, 1 without suffix``."""
    return ", ".join(f"{count} {writable(suffix) or 'without suffix'}" for suffix, count in counts.most_common())


def is_writable(names: Iterable[str]) -> bool:
    """Whether the names are text; a file name may hold any bytes."""
    try:
        "".join(names).encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def writable(name: str) -> str:
    r"""The name as text, bytes that are not text shown by their value.

    >>> writable(os.fsdecode(b"caf\xe9.png"))
    'caf\\xe9.png'
    """
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _assign(entry: os.DirEntry[str], listing: Listing) -> None:
    try:
        if entry.is_dir():
            listing.folders.append(entry.name)
            return
        regular = entry.is_file()
    except OSError:
        # A link to itself, or to where one may not look.
        regular = False
    suffix = suffix_of(entry.name)
    if suffix in IMAGE_SUFFIXES:
        listing.images.append(entry.name)
    elif not regular and entry.is_symlink():
        listing.lost.append((entry.name, "a link that leads nowhere"))
    # DICOM files often have no suffix, or a unique identifier as name, which ends in a number.
    elif not regular or (suffix and not suffix[1:].isdecimal()):
        listing.others.append(entry.name)
    else:
        try:
            (listing.images if _is_dicom(entry.path) else listing.others).append(entry.name)
        except OSError as error:
            listing.lost.append((entry.name, error.strerror or str(error)))


def _is_dicom(path: str) -> bool:
    with Path(path).open("rb") as file:
        return file.read(_DICOM_PREFIX + 4)[_DICOM_PREFIX:] == b"DICM"
