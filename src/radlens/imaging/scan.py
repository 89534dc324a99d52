"""Looking through folders for images, and keeping account of all that is left out.

Content decides what is an image. A file that is called like one is not opened for that: reading it says what is wrong
with it. Any other is, for its first bytes; so is a PNG, which may be an overlay that radlens made.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from radlens.imaging.content import HEAD_BYTES, begins_as_image, other_kind
from radlens.imaging.own_output import is_own_folder, is_own_output

IMAGE_SUFFIXES = frozenset(
    (
        *(".bmp", ".dib", ".dcm", ".dic", ".dicom", ".ima", ".png", ".tif", ".tiff", ".webp"),
        *(".jpeg", ".jpg", ".jpe", ".jfif", ".jfi", ".jif", ".pjpeg", ".pjp"),
    )
)
# What operating systems, file managers and media leave behind; nobody need hear of it.
_LITTER = frozenset(
    (
        *("__macosx", ".ds_store", ".apdisk", ".fseventsd", ".localized", ".spotlight-v100", ".temporaryitems"),
        *(".trashes", "icon\r", "thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "$recycle.bin"),
        *("system volume information", "lost+found", ".directory", ".nomedia", "@eadir", "picasa.ini", ".picasa.ini"),
    )
)
_EXAMPLES = 3


class Listing(NamedTuple):
    """The entries of one folder, by name and sorted.

    Attributes:
        folders: folders, and links to folders.
        images: what is an image by its name, whether it can be read or not, or by its content.
        others: files of other kinds, each with its kind: the suffix, else what its content is.
        hidden: what begins with a dot, but for what operating systems leave behind.
        lost: links that lead nowhere and files that cannot be opened, of which the name does not tell what they were,
            with the reason.
        own: files and folders that radlens wrote.
    """

    folders: list[str]
    images: list[str]
    others: list[tuple[str, str]]
    hidden: list[str]
    lost: list[tuple[str, str]]
    own: list[str]


@dataclass
class LeftOut:
    """What was found apart from the images.

    Attributes:
        others: number of other files of each kind.
        examples: the first paths of each kind.
        hidden: number of hidden files and folders.
        lost: what could not be looked at, by its path, with the reason.
        again: links to folders that were read already.
        own: files and folders that radlens wrote, such as overlays and runs.
    """

    others: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)
    hidden: int = 0
    lost: list[tuple[str, str]] = field(default_factory=list)
    again: list[str] = field(default_factory=list)
    own: list[str] = field(default_factory=list)

    def add(self, other: LeftOut) -> None:
        """Count that of another folder too."""
        self.others += other.others
        for kind, paths in other.examples.items():
            self.examples[kind] = (self.examples.get(kind, []) + paths)[:_EXAMPLES]
        self.hidden += other.hidden
        self.lost += other.lost
        self.again += other.again
        self.own += other.own

    def add_other(self, path: str, kind: str) -> None:
        """Count a file of another kind."""
        self.others[kind] += 1
        examples = self.examples.setdefault(kind, [])
        if len(examples) < _EXAMPLES:
            examples.append(path)

    def named_others(self) -> str:
        """The other files by their kind, with the first of each: ``3 .txt (a.txt, b.txt, …), 1 a GIF (c)``."""
        parts = []
        for kind, count in self.others.most_common():
            shown = [writable(path) for path in self.examples.get(kind, [])]
            parts.append(f"{counted(kind, count)} ({', '.join(shown)}{', …' if count > len(shown) else ''})")
        return ", ".join(parts)

    def count(self, folder: str, listing: Listing) -> None:
        """Count what lies in a folder apart from images and folders."""
        for name, kind in listing.others:
            self.add_other(joined(folder, name), kind)
        self.hidden += len(listing.hidden)
        self.lost += [(joined(folder, name), reason) for name, reason in listing.lost]
        self.own += [joined(folder, name) for name in listing.own]

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
        if self.own:
            notes.append(
                f"{len(self.own):,} file(s) or folder(s) that radlens wrote are left out, first "
                f"{writable(self.own[0])}."
            )
        return tuple(notes)


def list_folder(folder: Path) -> Listing:
    """The entries of a folder.

    Raises:
        OSError: the folder cannot be listed.
    """
    listing = Listing([], [], [], [], [], [])
    with os.scandir(folder) as entries:
        for entry in entries:
            # The directory of a DICOM medium is DICOM without a picture.
            if is_litter(entry.name) or entry.name.casefold() == "dicomdir":
                continue
            if entry.name.startswith("."):
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


def is_litter(name: str) -> bool:
    """Whether a file or folder is one that operating systems and file managers leave behind.

    >>> is_litter("Thumbs.db"), is_litter("._scan.png"), is_litter(".hidden.png")
    (True, True, False)
    """
    return name.casefold() in _LITTER or name.startswith("._")


def counted(kind: str, count: int) -> str:
    """So many files of a kind in words: ``3 .txt``, ``1 without suffix``."""
    return f"{count:,} {writable(kind) or 'without suffix'}"


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
            (listing.own if is_own_folder(Path(entry.path)) else listing.folders).append(entry.name)
            return
        regular = entry.is_file()
    except OSError:
        # A link to itself, or to where one may not look.
        regular = False
    suffix = suffix_of(entry.name)
    if suffix in IMAGE_SUFFIXES and not (regular and suffix == ".png" and is_own_file(entry.path)):
        listing.images.append(entry.name)
    elif not regular and entry.is_symlink():
        listing.lost.append((entry.name, "a link that leads nowhere"))
    elif not regular:
        listing.others.append((entry.name, suffix))
    else:
        try:
            head = _head(entry.path)
        except OSError as error:
            listing.lost.append((entry.name, error.strerror or str(error)))
            return
        if is_own_output(head):
            listing.own.append(entry.name)
        elif begins_as_image(head):
            listing.images.append(entry.name)
        else:
            listing.others.append((entry.name, suffix or other_kind(head)))


def is_own_file(path: str) -> bool:
    """Whether a file is one that radlens wrote; not, where it cannot be looked at."""
    try:
        return is_own_output(_head(path))
    except (OSError, ValueError):
        return False


def _head(path: str) -> bytes:
    with Path(path).open("rb", buffering=0) as file:
        return file.read(HEAD_BYTES)
