"""The folders below a folder, each looked at once: which hold images, and which belong to the images of others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from radlens.base.errors import DataError
from radlens.dataset.sources.companions import companion_files, companion_folders
from radlens.imaging.scan import LeftOut, Listing, joined, walk_folders


@dataclass
class FolderTree:
    """What lies below a folder.

    Attributes:
        root: the folder.
        keep_companions: whether masks and the like count as images.
        listings: what lies in each folder, by its path from the root; the root's is empty.
        images: how many images each folder holds, with all below it.
        unreadable: what could not be looked at, and links to folders that were read already.
        companions: how many pictures were left out as companions, by the folder's path, for those asked for.
    """

    root: Path
    keep_companions: bool
    listings: dict[str, Listing] = field(default_factory=dict)
    images: Counter[str] = field(default_factory=Counter)
    unreadable: LeftOut = field(default_factory=LeftOut)
    companions: Counter[str] = field(default_factory=Counter)

    @classmethod
    def read(cls, root: Path, *, keep_companions: bool) -> FolderTree:
        """Look through a folder.

        Raises:
            DataError: it cannot be read.
        """
        tree = cls(root, keep_companions)
        tree.listings = dict(walk_folders(root, "", tree.unreadable))
        if "" not in tree.listings:
            raise DataError(f"The folder {root} cannot be read: {tree.unreadable.lost[0][1]}.")
        for path, listing in tree.listings.items():
            above = path
            while count := len(listing.images):
                tree.images[above] += count
                if not above:
                    break
                above = above.rpartition("/")[0]
        return tree

    def folders(self, path: str, *, classes_here: bool = True) -> list[str]:
        """Names of the folders in a folder that hold images, without those of companions.

        Args:
            path: of the folder.
            classes_here: whether the names may be those of classes, or lie above them.
        """
        names = [name for name in self.listings[path].folders if self.images[joined(path, name)]]
        companions = self._companions(path, names, classes_here)
        return [name for name in names if name not in companions]

    def leave_out_companions(self, path: str, *, classes_here: bool = True) -> list[str]:
        """The same, and the companions are counted."""
        names = self.folders(path, classes_here=classes_here)
        for name in self.listings[path].folders:
            if name not in names and (count := self.images[joined(path, name)]):
                self.companions[joined(path, name)] = count
        return names

    def walk(self, path: str, left_out: LeftOut) -> Iterator[str]:
        """Paths of all images below a folder of a class, without companions, which are counted.

        Args:
            path: of the folder.
            left_out: told what is left out along the way.
        """
        listing = self.listings[path]
        left_out.count(path, listing)
        companions = frozenset[str]() if self.keep_companions else companion_files(listing.images)
        if companions:
            self.companions[path] = len(companions)
        for name in listing.images:
            if name not in companions:
                yield joined(path, name)
        for name in self.leave_out_companions(path, classes_here=False):
            yield from self.walk(joined(path, name), left_out)

    def below(self, path: str) -> LeftOut:
        """What lies below a folder apart from images."""
        left_out = LeftOut()
        left_out.lost += [entry for entry in self.unreadable.lost if entry[0] == path]
        for folder, listing in self.listings.items():
            if folder == path or folder.startswith(f"{path}/"):
                left_out.count(folder, listing)
        return left_out

    def _companions(self, path: str, names: list[str], classes_here: bool) -> frozenset[str]:
        if self.keep_companions:
            return frozenset()
        images_here = bool(self.listings[path].images)
        return companion_folders(names, images_here=images_here, classes_here=classes_here)
