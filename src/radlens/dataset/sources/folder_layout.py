"""What the folders of a folder of images name: splits, classes, groups such as folds and hospitals, or nothing."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from radlens.base.errors import DataError
from radlens.dataset.class_names import Meaning, fold, meaning_of, word_set, words_of
from radlens.dataset.sources.companions import is_transparent_name
from radlens.dataset.sources.folder_tree import FolderTree
from radlens.dataset.sources.names import split_of, splits_of_siblings
from radlens.imaging.scan import joined

_FOLDS = word_set("fold folds cv kfold split")
_SITES = word_set("site sites hospital hosp center centre clinic institution institute hospitals centers")
_GROUPS = (
    _FOLDS
    | _SITES
    | word_set(
        """
scanner device vendor manufacturer machine batch part partition subset cohort source dataset database db country
region year session round campaign
"""
    )
)
# Folders of these names divide the images of a class and are not classes.
_ATTRIBUTES = word_set(
    """
left right l r lt rt od os ap pa lat lateral frontal axial coronal sagittal male female m f adult adults child
children pediatric paediatric t t1 t2 flair pre post gray grey grayscale color colour rgb view x
"""
)


def read_levels(tree: FolderTree, top: str) -> tuple[str, ...]:
    """What the levels of folders name, from the top down to the last that says something.

    Args:
        tree: the folders.
        top: where the levels begin.

    Raises:
        DataError: two readings are possible; the message names both and the setting that chooses.
    """
    names = tree.folders(top)
    splits = splits_of_siblings(names)
    within = {name: enter(tree, joined(top, name), split) for name, split in splits.items()}
    labelled = [path for path in within.values() if tree.folders(path)]
    if not labelled:
        return _within_splits(tree, [top], [name for name in names if name not in splits], above=False)
    inner = {name for path in labelled for name in tree.folders(path)}
    return ("split", *_within_splits(tree, labelled, sorted(inner), above=True))


def enter(tree: FolderTree, path: str, split: str | None) -> str:
    """Go down while a folder holds one other folder alone that adds nothing to it: the same split again, images/."""
    while True:
        names = tree.folders(path)
        if len(names) != 1 or tree.listings[path].images:
            return path
        below = joined(path, names[0])
        same = split is not None and split_of(names[0]) == split
        if not (same or is_transparent_name(names[0])) or not tree.folders(below):
            return path
        tree.leave_out_companions(path)
        path = below


def descend(tree: FolderTree) -> str:
    """Enter the one folder that a folder holds, as long as that holds folders and no images itself."""
    path = ""
    while True:
        names = tree.folders(path)
        if len(names) != 1 or tree.listings[path].images:
            return path
        below = joined(path, names[0])
        told = split_of(names[0]) is not None or meaning_of(names[0]) != Meaning.UNKNOWN
        if told or tree.listings[below].images or not tree.folders(below):
            return path
        tree.leave_out_companions(path)
        path = below


def group_column(names: Iterable[str]) -> str:
    """The column for what a level of groups says: fold, site, or group."""
    words = {word for name in names for word in words_of(name)}
    return "fold" if words & _FOLDS else "site" if words & _SITES else "group"


def _within_splits(tree: FolderTree, parents: Sequence[str], names: Sequence[str], *, above: bool) -> tuple[str, ...]:
    """The levels from those of some names down.

    Args:
        tree: the folders.
        parents: the folders that hold those of the names.
        names: of all folders in them.
        above: whether a split was named above.
    """
    paths = [joined(parent, name) for parent in parents for name in names if joined(parent, name) in tree.listings]
    inner = [tree.folders(path) for path in paths]
    if _all_splits(inner):
        return _split_inside(tree, paths, inner, names, above=above)
    if not all(inner) and _tell(names) <= 0:
        # Images that lie in no class folder, next to folds or hospitals.
        deeper = [path for path, below in zip(paths, inner, strict=True) if below]
        classes = _may_be_classes(tree, deeper, [below for below in inner if below])
        if classes and (_all_groups([path.rpartition("/")[2] for path in deeper]) or _tell(classes) > 0):
            paths, inner = deeper, [below for below in inner if below]
            names = sorted({path.rpartition("/")[2] for path in deeper})
    if _all_groups(names) and all(inner):
        return ("group", *_within_splits(tree, paths, _union(tree, paths), above=above))
    shared = _may_be_classes(tree, paths, inner)
    if not shared:
        return ("class", "group") if inner and all(inner) and all(map(_all_groups, inner)) else ("class",)
    here, below = _tell(names), _tell(shared)
    if here > below:
        return ("class", "group") if _all_groups(shared) else ("class",)
    if below > here:
        return ("group", *_within_splits(tree, paths, _union(tree, paths), above=above))
    prefix = "split/" if above else ""
    raise DataError(
        f"The folders in {tree.root / parents[0]} can be read in two ways: {_listed(names)} are the classes, or each "
        f"holds the classes {_listed(shared)}. Say which, with one of:\n"
        f"  --set data.folder.layout={prefix}class   the classes are {_listed(names)}\n"
        f"  --set data.folder.layout={prefix}group/class   the classes are {_listed(shared)}"
    )


def _split_inside(
    tree: FolderTree, paths: Sequence[str], inner: Sequence[Sequence[str]], names: Sequence[str], *, above: bool
) -> tuple[str, ...]:
    """The levels where each folder holds train, val or test: a class does, or a fold whose splits hold classes."""
    splits = [joined(path, name) for path, listed in zip(paths, inner, strict=True) for name in listed]
    below = [tree.folders(path) for path in splits]
    if not above:
        if _tell(names) <= 0 and all(below) and _may_be_classes(tree, splits, below):
            return ("group", "split", *_within_splits(tree, splits, _union(tree, splits), above=True))
        return ("class", "split")
    if all(
        split_of(part) == split_of(path.split("/")[-1]) for path in splits for part in path.split("/") if split_of(part)
    ):
        return ("class", "any")
    raise DataError(
        f"In {tree.root} the folders above the classes and those below both name splits, and not the same ones, such "
        f"as {splits[0]}. Say which count, with one of:\n"
        "  --set data.folder.layout=split/class   those above\n"
        "  --set data.folder.layout=any/class/split   those below"
    )


def _all_splits(inner: Sequence[Sequence[str]]) -> bool:
    return bool(inner) and all(names and len(splits_of_siblings(names)) == len(names) for names in inner)


def _all_groups(names: Sequence[str]) -> bool:
    """Whether all names are of folds, hospitals and the like: fold_1, siteA, Hospital Mayo."""
    words = [words_of(name) for name in names]
    return bool(words) and all(parts and (parts[0] in _GROUPS or parts[-1] in _GROUPS) for parts in words)


def _may_be_classes(tree: FolderTree, paths: Sequence[str], inner: Sequence[Sequence[str]]) -> list[str]:
    """The names that the folders share, where they can be those of classes; none where they cannot."""
    if len(inner) < 2 or not all(inner) or any(tree.listings[path].images for path in paths):
        return []
    counts = Counter(fold(name) for names in inner for name in set(names))
    shared = {name for name, count in counts.items() if count > 1}
    names = sorted({name for listed in inner for name in listed if fold(name) in shared})
    some = sum(len(shared & set(map(fold, listed))) >= 2 for listed in inner)
    if len(shared) < 2 or 2 * len(shared) < len(counts) or some < len(inner) / 2:
        return []
    if all(fold(name) in _ATTRIBUTES or is_transparent_name(name) for name in names):
        return []
    # Numbered folders are patients, studies or series; two to five bare numbers may be classes.
    stems = {re.sub(r"\d+", "#", name) for name in shared}
    return [] if len(stems) == 1 and (stems != {"#"} or len(shared) > 5) and "#" in next(iter(stems)) else names


def _tell(names: Iterable[str]) -> int:
    """How much speaks for these being the names of classes: 1, or -1 for the contrary."""
    named = [name for name in names if not name.strip().isdecimal()]
    if any(meaning_of(name) not in (Meaning.UNKNOWN, Meaning.REST) for name in named):
        return 1
    return -1 if named and all(fold(name) in _ATTRIBUTES or is_transparent_name(name) for name in named) else 0


def _union(tree: FolderTree, paths: Sequence[str]) -> list[str]:
    return sorted({name for path in paths for name in tree.folders(path)})


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:6]) + (", …" if len(names) > 6 else "")
