"""Images in class folders, alone or together with folders of splits and of groups such as folds and hospitals."""

from __future__ import annotations

import logging
import os
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pandas as pd

from radlens.config import DataSettings
from radlens.dataset.manifest import DatasetInfo, Manifest, order_classes, task_of
from radlens.dataset.sources.folder_layout import descend, group_column, read_levels
from radlens.dataset.sources.folder_reading import FolderReading
from radlens.dataset.sources.folder_tree import FolderTree
from radlens.dataset.sources.header_columns import enrich_from_headers
from radlens.dataset.sources.names import one_spelling, split_of
from radlens.imaging.scan import is_writable, writable

logger = logging.getLogger(__name__)

_SHOWN = 12


def read_folder(folder: Path, settings: DataSettings) -> Manifest:
    """Read a folder of images.

    Class folders may lie in the folder itself, in folders of splits (``train``, ``Validation``, ``test_set``) or of
    groups (``fold_1``, ``siteA``), or hold such folders themselves; ``data.folder.layout`` says which where the names
    do not. A class may be spelled with other capitals in each split. Folders inside a class folder are walked. A folder
    that only holds another one, as archives do, is entered. What is named as masks, annotations or the like is left
    out, and so is a split without class folders; both are said aloud and noted in the manifest.
    What is an image is told by content where the name does not say. Hidden files, what operating systems leave behind
    and what radlens wrote are left out; other files that are not images are counted and said aloud. Files and links
    that have an image's name but cannot be read are listed like images, so that reading them says why; what else cannot
    be looked at is said aloud and noted in the manifest.

    Raises:
        DataError: the layout is another one or can be read in two ways, or a class folder holds no image.
    """
    tree = FolderTree.read(Path(folder).resolve(), keep_companions=settings.folder.companions == "keep")
    top, stated = descend(tree), settings.folder.layout
    levels = read_levels(tree, top) if stated == "auto" else tuple(stated.split("/"))
    reading = FolderReading(tree, levels, stated != "auto")
    reading.read(top)
    root = tree.root / top
    column = settings.folder.group or group_column([values.get("group", "") for values, _ in reading.parts])
    frames = [
        # Text of which all rows of a class share one object: a million rows are a matter of memory.
        pd.DataFrame({"path": [path[len(top) + bool(top) :] for path in paths]}).assign(
            label=values["class"],
            split=values.get("split", ""),
            **({column: values["group"]} if "group" in values else {}),
        )
        for values, paths in reading.parts
    ]
    notes = _notes(reading, root)
    for note in notes:
        logger.warning("%s: %s", root, note)
    logger.info("%s", _shown_tree(reading, root))
    manifest = _manifest(root, pd.concat(frames, ignore_index=True), settings).with_notes(*notes)
    return replace(manifest, info=manifest.info.model_copy(update={"reading": _in_few_words(reading)}))


def _notes(reading: FolderReading, root: Path) -> tuple[str, ...]:
    """What a reader must know of what was left out; files that are not images are said aloud and no more."""
    tree, left_out = reading.tree, reading.left_out
    if left_out.others:
        kinds = left_out.named_others()
        logger.warning("Ignored %d file(s) in %s that are not images: %s.", left_out.others.total(), root, kinds)
    notes = []
    if tree.companions:
        first = writable(next(iter(tree.companions)))
        notes.append(
            f"{tree.companions.total()} picture(s) in {len(tree.companions)} folder(s), first {first}, are left out: "
            "by the names of folder or file they are masks, annotations or the like of other images. To keep them as "
            "images of their class: --set data.folder.companions=keep"
        )
    for path in reading.unlabelled:
        notes.append(
            f"{tree.images[path]} image(s) in {writable(path)} are left out: no folder in it is one of the classes, so "
            "their labels are not known."
        )
    left_out.lost += tree.unreadable.lost
    left_out.again += tree.unreadable.again
    return (*notes, *left_out.notes())


def _in_few_words(reading: FolderReading) -> str:
    left_out = {
        "named as masks or the like": reading.tree.companions.total(),
        "without label": sum(reading.tree.images[path] for path in reading.unlabelled),
        "not images": reading.left_out.others.total(),
        "not to be looked at": len(reading.left_out.lost),
    }
    counts = [f"{count:,} {what}" for what, count in left_out.items() if count]
    said = [f"folders read as {'/'.join(reading.levels)}"]
    said += [f"{reading.walked:,} sub-folders walked"] if reading.walked else []
    return ", ".join(said) + (f"; left out: {', '.join(counts)}" if counts else "")


def _shown_tree(reading: FolderReading, root: Path) -> str:
    """The folders as they were read, one line for each that lies above the classes."""
    lines: dict[str, Counter[str]] = {}
    for values, paths in reading.parts:
        line = " ".join(values[level] for level in ("split", "group") if level in values)
        lines.setdefault(line, Counter())[values["class"]] += len(paths)
    shown = [
        f"  {name}{': ' if name else ''}{', '.join(f'{label} {count:,}' for label, count in counts.items())}"
        for name, counts in lines.items()
    ]
    more = [f"  and {len(shown) - _SHOWN} more"] if len(shown) > _SHOWN else []
    walked = f", {reading.walked} sub-folder(s) walked" if reading.walked else ""
    return "\n".join((f"{root} read as {'/'.join(reading.levels)}{walked}:", *shown[:_SHOWN], *more))


def _manifest(root: Path, table: pd.DataFrame, settings: DataSettings) -> Manifest:
    table["path"] = writable_paths(root, table["path"])
    table = table.sort_values("path", kind="stable", ignore_index=True)
    table["label"] = one_spelling(table["label"])
    names = list(table["label"].unique())
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
