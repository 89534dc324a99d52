"""Images in class folders, with or without ``train``, ``val`` and ``test`` above them."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from radlens.config import DataSettings
from radlens.dataset.manifest import DatasetInfo, Manifest, order_classes, task_of
from radlens.dataset.sources.names import one_spelling, split_of
from radlens.dataset.sources.patients import assign_patients
from radlens.errors import DataError

log = logging.getLogger("radlens")

IMAGE_SUFFIXES = frozenset({".bmp", ".dcm", ".dicom", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
_IGNORED = frozenset({"__macosx", "thumbs.db", "desktop.ini", "dicomdir", "@eadir", "$recycle.bin"})
_DICOM_PREFIX = 128
_LAYOUT = (
    "Expected one folder for each class with its images inside (such as NORMAL/ and PNEUMONIA/), or train/, val/ and "
    "test/ with those class folders inside."
)


def read_folder(folder: Path, settings: DataSettings) -> Manifest:
    """Read a folder of images.

    Class folders may lie in ``train``, ``val`` and ``test`` (or ``training``, ``valid``, ``validation``, ``dev``,
    ``testing``, in any case) or in the folder itself. A class may be spelled with other capitals in each split.
    Folders inside a class folder are walked. A folder that only holds another one, as archives do, is entered.
    Hidden files and what operating systems leave behind are ignored; other files that are no images are counted and
    said aloud.

    Raises:
        DataError: the layout is another one, a class folder holds no image, or there is one class only.
    """
    root = _descend(Path(folder).resolve())
    rows: list[tuple[str, str, str]] = []
    others: Counter[str] = Counter()
    for split, class_folder in _class_folders(root):
        images, strange = _images_in(class_folder)
        others += strange
        if not images:
            found = f"; it holds {_listed(strange)}" if strange else "; it is empty"
            raise DataError(
                f"The class folder {class_folder} holds no image{found}. Remove it, or put images of these types "
                f"there: {', '.join(sorted(IMAGE_SUFFIXES))}."
            )
        rows.extend((path, class_folder.name, split) for path in images)
    if others:
        log.warning("Ignored %d file(s) in %s that are no images: %s.", others.total(), root, _listed(others))
    return _manifest(root, pd.DataFrame(rows, columns=["path", "label", "split"]), settings)


def _manifest(root: Path, table: pd.DataFrame, settings: DataSettings) -> Manifest:
    start = len(str(root).rstrip(os.sep)) + 1
    table["path"] = table["path"].str.slice(start)
    if os.sep != "/":
        table["path"] = table["path"].str.replace(os.sep, "/", regex=False)
    table = table.sort_values("path", kind="stable", ignore_index=True)
    _check_names(root, table["path"])
    table["label"] = one_spelling(table["label"])
    names = list(table["label"].unique())
    if len(names) < 2:
        raise DataError(f"Only one class was found in {root}: {names[0]}. A classifier needs two or more. {_LAYOUT}")
    classes = order_classes(names, settings.positive_class)
    table["patient"], notes = assign_patients(table["path"], settings.patient_from)
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
    return Manifest(table[["path", "label", "patient", "split"]], info)


def _check_names(root: Path, paths: pd.Series) -> None:
    """Refuse file names that cannot be written into a table."""
    try:
        "".join(paths).encode("utf-8")
    except UnicodeEncodeError:
        bad = next(path for path in paths if any("\ud800" <= letter <= "\udfff" for letter in path))
        raise DataError(
            f"The file name {os.fsencode(bad)!r} in {root} is no valid UTF-8 text. Rename the file."
        ) from None


def _class_folders(root: Path) -> Iterator[tuple[str, Path]]:
    """Each class folder with the split it lies in (empty without splits)."""
    folders, _ = _entries(root)
    splits = [folder for folder in folders if split_of(folder.name)]
    if not splits:
        yield from (("", folder) for folder in _classes_of(root))
        return
    doubled = [name for name, count in Counter(split_of(folder.name) for folder in splits).items() if count > 1]
    if doubled:
        names = ", ".join(folder.name for folder in splits if split_of(folder.name) in doubled)
        raise DataError(f"{root} has several folders for the split {doubled[0]}: {names}. Merge or rename them.")
    beside = [folder.name for folder in folders if folder not in splits]
    if beside:
        log.warning(
            "Ignored the folder(s) %s in %s, beside %s.",
            ", ".join(beside),
            root,
            ", ".join(folder.name for folder in splits),
        )
    for folder in splits:
        split = split_of(folder.name) or ""
        yield from ((split, class_folder) for class_folder in _classes_of(_descend(folder, same_split=True)))


def _classes_of(folder: Path) -> list[Path]:
    """The class folders in a folder; images beside them are counted and said aloud.

    Raises:
        DataError: there are none.
    """
    folders, files = _entries(folder)
    images = [path for path in files if _is_image(path)]
    if not folders:
        found = _listed(Counter(map(_suffix, files))) if files else "nothing"
        raise DataError(f"{folder} has no class folders; found {found} in it. {_LAYOUT}")
    if images:
        log.warning("Ignored %d image(s) in %s that lie in no class folder, first %s.", len(images), folder, images[0])
    return folders


def _descend(folder: Path, *, same_split: bool = False) -> Path:
    """Enter the one folder that a folder holds, as long as that holds folders and no images itself.

    Args:
        folder: where to begin.
        same_split: enter only a folder that names the same split, as in ``train/train``.
    """
    passed = {folder.resolve()}
    while True:
        folders, files = _entries(folder)
        if len(folders) != 1 or any(map(_is_image, files)):
            return folder
        inner = folders[0]
        wanted = split_of(folder.name) if same_split else None
        inner_folders, inner_files = _entries(inner)
        if (
            split_of(inner.name) != wanted
            or not inner_folders
            or any(map(_is_image, inner_files))
            or inner.resolve() in passed
        ):
            return folder
        folder = inner
        passed.add(folder.resolve())


def _images_in(folder: Path) -> tuple[list[str], Counter[str]]:
    """The images below a folder, and how many other files there are of each type."""
    images: list[str] = []
    others: Counter[str] = Counter()
    pending, entered = [folder], set()
    while pending:
        current = pending.pop()
        facts = current.stat()
        # Each real folder is entered once, so that links in a circle come to an end.
        if (facts.st_dev, facts.st_ino) in entered:
            continue
        entered.add((facts.st_dev, facts.st_ino))
        folders, files = _entries(current)
        pending.extend(reversed(folders))
        for path in files:
            if _is_image(path):
                images.append(path)
            else:
                others[_suffix(path)] += 1
    return images, others


def _entries(folder: Path) -> tuple[list[Path], list[str]]:
    """The visible folders and files in a folder, sorted by name."""
    folders, files = [], []
    try:
        with os.scandir(folder) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                if entry.name.startswith(".") or entry.name.casefold() in _IGNORED:
                    continue
                if _is_folder(entry):
                    folders.append(Path(entry.path))
                else:
                    files.append(entry.path)
    except OSError as error:
        raise DataError(f"The folder {folder} cannot be read: {error.strerror or error}.") from error
    return folders, files


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        # A link to itself: no folder; as a file it is told of when it cannot be read.
        return False


def _is_image(path: str) -> bool:
    suffix = _suffix(path)
    if suffix in IMAGE_SUFFIXES:
        return True
    # DICOM files often have no suffix, or a unique identifier as name, which ends in a number.
    if suffix and not suffix[1:].isdecimal():
        return False
    try:
        with Path(path).open("rb") as file:
            return file.read(_DICOM_PREFIX + 4)[_DICOM_PREFIX:] == b"DICM"
    except OSError:
        return False


def _suffix(path: str) -> str:
    name = path.rpartition(os.sep)[2]
    return f".{name.rpartition('.')[2].lower()}" if "." in name else ""


def _listed(counts: Counter[str]) -> str:
    """Counts by file type as words: ``3 .txt, 1 without suffix``."""
    return ", ".join(f"{count} {suffix or 'without suffix'}" for suffix, count in counts.most_common())
