"""Images in class folders, with or without ``train``, ``val`` and ``test`` above them."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from radlens.base.errors import DataError
from radlens.config import DataSettings
from radlens.dataset.manifest import DatasetInfo, Manifest, order_classes, task_of
from radlens.dataset.sources.header_columns import enrich_from_headers
from radlens.dataset.sources.names import one_spelling, split_of
from radlens.imaging.scan import (
    IMAGE_SUFFIXES,
    LeftOut,
    Listing,
    is_writable,
    list_folder,
    listed,
    suffix_of,
    walk,
    writable,
)

logger = logging.getLogger(__name__)

_LAYOUT = (
    "Expected one folder for each class with its images inside (such as NORMAL/ and PNEUMONIA/), or train/, val/ and "
    "test/ with those class folders inside. For DICOM files with labels in a CSV: --set data.dicom.labels=labels.csv"
)


def read_folder(folder: Path, settings: DataSettings) -> Manifest:
    """Read a folder of images.

    Class folders may lie in ``train``, ``val`` and ``test`` (or ``training``, ``valid``, ``validation``, ``dev``,
    ``testing``, in any case) or in the folder itself. A class may be spelled with other capitals in each split.
    Folders inside a class folder are walked. A folder that only holds another one, as archives do, is entered.
    Hidden files and what operating systems leave behind are ignored; other files that are not images are counted and
    said aloud. Files and links that have an image's name but cannot be read are listed like images, so that reading
    them says why; what else cannot be looked at is said aloud and noted in the manifest.

    Raises:
        DataError: the layout is another one, a class folder holds no image, or there is one class only.
    """
    root = _descend(Path(folder).resolve())
    parts: list[pd.DataFrame] = []
    left_out = LeftOut()
    for split, class_folder in _class_folders(root, left_out):
        class_left_out = LeftOut()
        images = list(walk(class_folder, class_folder.relative_to(root).as_posix(), class_left_out))
        if not images:
            raise _no_images(class_folder, class_left_out)
        left_out.add(class_left_out)
        # Text of which all rows of a class share one object: a million rows are a matter of memory.
        parts.append(pd.DataFrame({"path": images}).assign(label=class_folder.name, split=split))
    if left_out.others:
        counts = left_out.others
        logger.warning("Ignored %d file(s) in %s that are not images: %s.", counts.total(), root, listed(counts))
    notes = left_out.notes()
    for note in notes:
        logger.warning("%s: %s", root, note)
    return _manifest(root, pd.concat(parts, ignore_index=True), settings).with_notes(*notes)


def _no_images(class_folder: Path, left_out: LeftOut) -> DataError:
    if left_out.others:
        content = f"it holds {listed(left_out.others)}"
    else:
        content = "it is empty" if not left_out.lost else f"it cannot be read: {left_out.lost[0][1]}"
    return DataError(
        f"The class folder {class_folder} holds no image; {content}. Remove it, or put images of these types "
        f"there: {', '.join(sorted(IMAGE_SUFFIXES))}."
    )


def _manifest(root: Path, table: pd.DataFrame, settings: DataSettings) -> Manifest:
    table["path"] = writable_paths(root, table["path"])
    table = table.sort_values("path", kind="stable", ignore_index=True)
    table["label"] = one_spelling(table["label"])
    names = list(table["label"].unique())
    if len(names) < 2:
        raise DataError(f"Only one class was found in {root}: {names[0]}. A classifier needs two or more. {_LAYOUT}")
    classes = order_classes(names, settings.positive_class)
    table, notes = enrich_from_headers(table, root, settings)
    # A folder that is only called "train" says nothing; the one it lies in does.
    named = root.parent if split_of(root.name) else root
    info = DatasetInfo(
        name=named.name or "images",
        task=task_of(classes),
        classes=classes,
        root=str(root),
        source=str(root),
        notes=notes,
    )
    return Manifest(table, info)


def writable_paths(root: Path, paths: pd.Series) -> pd.Series:
    """The paths as text; a file whose name is not text cannot be found by it, and is rejected when it is read."""
    if is_writable(paths):
        return paths
    undecodable = [path for path in paths if not is_writable(path)]
    logger.warning(
        "%d file(s) in %s have names that are not UTF-8 text and count as unreadable, first %r. Rename them.",
        len(undecodable),
        root,
        os.fsencode(undecodable[0]),
    )
    return pd.Series([writable(path) for path in paths], index=paths.index, dtype=str)


def _class_folders(root: Path, left_out: LeftOut) -> Iterator[tuple[str, Path]]:
    """Each class folder with the split it lies in (empty without splits)."""
    entries = _entries(root)
    splits = [name for name in entries.folders if split_of(name)]
    if not splits:
        yield from (("", folder) for folder in _classes_of(root, left_out))
        return
    doubled = [name for name, count in Counter(map(split_of, splits)).items() if count > 1]
    if doubled:
        names = ", ".join(name for name in splits if split_of(name) in doubled)
        raise DataError(f"{root} has several folders for the split {doubled[0]}: {names}. Merge or rename them.")
    left_out.lost.extend(entries.lost)
    ignored = [writable(name) for name in entries.folders if name not in splits]
    if ignored:
        logger.warning("Ignored the folder(s) %s in %s, next to %s.", ", ".join(ignored), root, ", ".join(splits))
    for name in splits:
        folder = _descend(root / name, same_split=True)
        yield from ((split_of(name) or "", class_folder) for class_folder in _classes_of(folder, left_out))


def _classes_of(folder: Path, left_out: LeftOut) -> list[Path]:
    """The class folders in a folder; images next to them are counted and said aloud.

    Raises:
        DataError: there are none, or the name of one is not text.
    """
    entries = _entries(folder)
    if not entries.folders:
        files = Counter(map(suffix_of, [*entries.images, *entries.others]))
        raise DataError(
            f"{folder} has no class folders; found {listed(files) if files else 'nothing'} in it. {_LAYOUT}"
        )
    if entries.images:
        logger.warning(
            "Ignored %d image(s) in %s that lie in no class folder, first %s.",
            len(entries.images),
            folder,
            folder / writable(entries.images[0]),
        )
    left_out.lost.extend((f"{folder.name}/{name}", reason) for name, reason in entries.lost)
    for name in entries.folders:
        if not is_writable(str(folder / name)):
            raise DataError(
                f"The class folder {os.fsencode(name)!r} in {folder} has a name that is not UTF-8 text. Rename it."
            )
    return [folder / name for name in entries.folders]


def _descend(folder: Path, *, same_split: bool = False) -> Path:
    """Enter the one folder that a folder holds, as long as that holds folders and no images itself.

    Args:
        folder: where to begin.
        same_split: enter only a folder that names the same split, as in ``train/train``.
    """
    passed = {folder.resolve()}
    while True:
        entries = _entries(folder)
        if len(entries.folders) != 1 or entries.images:
            return folder
        inner = folder / entries.folders[0]
        wanted = split_of(folder.name) if same_split else None
        within = _entries(inner)
        if split_of(inner.name) != wanted or not within.folders or within.images or inner.resolve() in passed:
            return folder
        folder = inner
        passed.add(folder.resolve())


def _entries(folder: Path) -> Listing:
    try:
        return list_folder(folder)
    except OSError as error:
        raise DataError(f"The folder {folder} cannot be read: {error.strerror or error}.") from error
