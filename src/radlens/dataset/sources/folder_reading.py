"""The images below a folder, with the split, class and group that the folders above them name."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

from radlens.base.errors import DataError
from radlens.dataset.class_names import fold
from radlens.dataset.sources.companions import is_companion_name
from radlens.dataset.sources.folder_layout import enter
from radlens.dataset.sources.folder_tree import FolderTree
from radlens.dataset.sources.names import split_of, splits_and_classes, splits_of_siblings
from radlens.imaging.limits import Format
from radlens.imaging.scan import LeftOut, counted, is_writable, joined, suffix_of, writable

logger = logging.getLogger(__name__)

LAYOUT = (
    "Expected one folder for each class with its images inside (such as NORMAL/ and PNEUMONIA/), or train/, val/ and "
    "test/ with those class folders inside. For DICOM files with labels in a CSV: --set data.dicom.labels=labels.csv"
)


@dataclass
class FolderReading:
    """The images of a folder, as its levels say.

    Attributes:
        tree: the folders.
        levels: what they name, from the top down.
        stated: whether the user said so.
        parts: what the folders above name (``class``, ``split``, ``group``), and the paths of the images below them.
        left_out: what was found apart from images.
        walked: how many folders with images lie below those of classes.
        unlabelled: folders of splits that hold images and no class folders.
    """

    tree: FolderTree
    levels: tuple[str, ...]
    stated: bool
    parts: list[tuple[dict[str, str], list[str]]] = field(default_factory=list)
    left_out: LeftOut = field(default_factory=LeftOut)
    walked: int = 0
    unlabelled: list[str] = field(default_factory=list)

    def read(self, path: str, values: Mapping[str, str] | None = None, depth: int = 0) -> None:
        """Read a folder whose folders name the next level.

        Args:
            path: of the folder.
            values: what the folders above it name, by level.
            depth: of the level.

        Raises:
            DataError: a class folder holds no image, or there is none.
        """
        values = dict(values or {})
        level, last = self.levels[depth], depth + 1 == len(self.levels)
        names = self.tree.leave_out_companions(path, classes_here="class" not in values)
        splits = splits_of_siblings(names) if level == "split" else {}
        if level == "split":
            names = self._splits_to_read(path, splits)
        elif level == "class":
            self._check_classes(path, names)
            if not self.stated and depth == 0:
                names = self._without_splits(path, names)
        self._mention_loose(path)
        both = splits_and_classes(names) if level == "class" and "split" not in self.levels and not self.stated else {}
        for name in names:
            below = joined(path, name)
            if level == "split" and not last:
                below = enter(self.tree, below, splits[name])
            said = values | ({level: splits.get(name, name)} if level != "any" else {})
            if both:
                said["split"], said["class"] = both[name]
            if last:
                self._read_class(below, said)
            elif level in ("group", "any") and not self.tree.folders(below):
                self.unlabelled.append(below)
            else:
                self.read(below, said, depth + 1)

    def _read_class(self, path: str, values: dict[str, str]) -> None:
        left_out = LeftOut()
        images = list(self.tree.walk(path, left_out))
        if not images:
            raise no_images(self.tree, path)
        self._mention_unused_splits(path, values)
        self.left_out.add(left_out)
        self.walked += len({image.rpartition("/")[0] for image in images} - {path})
        self.parts.append((values, images))

    def _mention_unused_splits(self, path: str, values: Mapping[str, str]) -> None:
        names = [name for name in self.tree.folders(path) if split_of(name)]
        if names and "split" not in values and not self.stated:
            logger.warning(
                "The folder(s) %s in %s are not used as splits, since not every class folder holds such ones alone. To "
                "use them: put all images of every class into such folders.",
                ", ".join(names),
                self.tree.root / path,
            )

    def _splits_to_read(self, path: str, splits: Mapping[str, str]) -> list[str]:
        """The folders of splits, without those that hold no class folders; what lies next to them is said aloud.

        Raises:
            DataError: two folders name one split, or train is without class folders.
        """
        folder = self.tree.root / path
        doubled = [split for split, count in Counter(splits.values()).items() if count > 1]
        if doubled:
            several = ", ".join(name for name, split in splits.items() if split == doubled[0])
            raise DataError(
                f"{folder} has several folders for the split {doubled[0]}: {several}. Merge or rename them."
            )
        ignored = [writable(name) for name in self.tree.listings[path].folders if name not in splits]
        if ignored:
            logger.warning("Ignored the folder(s) %s in %s, next to %s.", ", ".join(ignored), folder, ", ".join(splits))
        if self.levels[-1] == "split":
            return list(splits)
        labels = {
            name: set(map(fold, self.tree.folders(enter(self.tree, joined(path, name), split))))
            for name, split in splits.items()
        }
        train = next((labels[name] for name, split in splits.items() if split == "train"), set[str]())
        unlabelled = [name for name in splits if not labels[name] or (train and not labels[name] & train)]
        for name in unlabelled:
            below = joined(path, name)
            if splits[name] == "train" or not self.tree.images[below]:
                raise no_classes(self.tree, below)
            self.unlabelled.append(below)
        return [name for name in splits if name not in unlabelled]

    def _without_splits(self, path: str, names: list[str]) -> list[str]:
        """The class folders, without a split next to them that holds images of which no label is known."""
        classes = [name for name in names if split_of(name) is None]
        if len(classes) < 2:
            return names
        self.unlabelled += [joined(path, name) for name in names if name not in classes]
        return classes

    def _check_classes(self, path: str, names: Sequence[str]) -> None:
        """See that there are class folders, each with images and a name that is text."""
        folders = self.tree.listings[path].folders
        if not folders:
            raise no_classes(self.tree, path)
        for name in folders:
            below = joined(path, name)
            if not is_writable(below):
                raise DataError(
                    f"The class folder {os.fsencode(name)!r} in {self.tree.root / path} has a name that is not UTF-8 "
                    "text. Rename it."
                )
            if self.tree.images[below] or is_companion_name(name):
                continue
            own = self.tree.below(below).own
            if not own:
                raise no_images(self.tree, below)
            self.left_out.own += own
        if not names:
            raise no_classes(self.tree, path)

    def _mention_loose(self, path: str) -> None:
        listing = self.tree.listings[path]
        self.left_out.lost += [(joined(path, name), reason) for name, reason in listing.lost]
        self.left_out.own += [joined(path, name) for name in listing.own]
        if listing.images:
            folder: Path = self.tree.root / path
            logger.warning(
                "Ignored %d image(s) in %s that lie in no %s folder, first %s.",
                len(listing.images),
                folder,
                "class" if "class" in self.levels else self.levels[-1],
                folder / writable(listing.images[0]),
            )


def no_classes(tree: FolderTree, path: str) -> DataError:
    """There are no class folders where they were expected."""
    listing = tree.listings[path]
    files = Counter([*map(suffix_of, listing.images), *(kind for _, kind in listing.others)])
    folders = f", and the folder(s) {', '.join(map(writable, listing.folders))}" if listing.folders else ""
    content = ", ".join(counted(kind, count) for kind, count in files.most_common()) or "nothing"
    return DataError(f"{tree.root / path} has no class folders; found {content} in it{folders}. {LAYOUT}")


def no_images(tree: FolderTree, path: str) -> DataError:
    """A class folder holds no image."""
    left_out = tree.below(path)
    if count := sum(tree.companions[folder] for folder in tree.companions if folder.startswith(path)):
        return DataError(
            f"The class folder {tree.root / path} holds no image apart from {count} that are named as masks, "
            "annotations or the like. If these are its images: --set data.folder.companions=keep"
        )
    if left_out.others:
        content = f"it holds {left_out.named_others()}"
    else:
        content = "it is empty" if not left_out.lost else f"it cannot be read: {left_out.lost[0][1]}"
    return DataError(
        f"The class folder {tree.root / path} holds no image; {content}. Remove it, or put images there: "
        f"{', '.join(form for form in get_args(Format) if form != 'ARRAY')}, told by their content."
    )
