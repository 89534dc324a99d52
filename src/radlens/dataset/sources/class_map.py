"""Classes renamed, joined or left out, whatever the source: so that a model's classes are met on others' folders."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import numpy as np
import pandas as pd

from radlens.base.errors import DataError, UsageError, did_you_mean
from radlens.dataset.class_names import means_nothing_found
from radlens.dataset.manifest import UNKNOWN_LABELS, DatasetInfo, Manifest, order_classes, split_labels, task_of
from radlens.dataset.sources.marks import same_answer

logger = logging.getLogger(__name__)

REST = "*"


def map_classes(manifest: Manifest, class_map: Mapping[str, str | None], positive: str | None = None) -> Manifest:
    """The images under other class names.

    Args:
        manifest: as the source gives it.
        class_map: the new name of each class, by the name in the source (in any case; ``0`` is also ``0.0``). Several
            may become one. None leaves out the images of a class, or a label of several. A class that is not named
            keeps its name, unless ``*`` says what becomes of the rest. Where an image may have several labels and a
            name for those without any is mapped (``No Finding``), the classes become exclusive: images of several
            classes or of none are left out.
        positive: the positive one of two classes after the mapping.

    Raises:
        UsageError: a name is no class of the source, or a positive class is named for several labels an image.
        DataError: fewer than two classes have images.

    """
    info = manifest.info
    nothing = _key_of_nothing(manifest, class_map)
    target_of = _targets(info, {name: new for name, new in class_map.items() if name != nothing})
    if info.task != "multilabel":
        cells = manifest.table["label"].map(target_of)
        out = cells.isna()
    elif nothing is None:
        if positive is not None:
            raise UsageError("data.positive_class is for two-class tasks; here an image may have several labels.")
        return _several_labels(manifest, target_of)
    else:
        cells, out = _exclusive(manifest, target_of, class_map[nothing])
    names = sorted(set(cells[~out]))
    if len(names) < 2:
        raise DataError(
            f"data.class_map leaves {'the class ' + names[0] if names else 'no class'} of {', '.join(info.classes)}; "
            "two or more are needed."
        )
    table = manifest.table[~out].assign(label=cells[~out]).drop(columns=UNKNOWN_LABELS, errors="ignore")
    classes = order_classes(names, positive)
    return _told(manifest, table, classes, target_of, int(out.sum()), {"task": task_of(classes)})


def _targets(info: DatasetInfo, class_map: Mapping[str, str | None]) -> dict[str, str | None]:
    """The new name of each class."""
    target_of: dict[str, str | None] = {name: class_map.get(REST, name) for name in info.classes}
    for key, new in class_map.items():
        if key == REST:
            continue
        same = [name for name in info.classes if same_answer(name.strip(), key.strip())]
        if not same:
            raise UsageError(f"data.class_map: the source has no class {key!r}. {did_you_mean(key, info.classes)}")
        target_of.update(dict.fromkeys(same, new))
    return target_of


def _key_of_nothing(manifest: Manifest, class_map: Mapping[str, str | None]) -> str | None:
    """The name in the map for images without a label, where an image may have several."""
    known = {name.casefold() for name in manifest.info.classes}
    names = [name for name in class_map if name.casefold() not in known and means_nothing_found(name)]
    return names[0] if names and manifest.info.task == "multilabel" else None


def _renamed(cells: pd.Series, target_of: Mapping[str, str | None]) -> dict[str, list[str]]:
    """The distinct new names in each distinct cell, in the order of the old ones."""
    return {
        cell: list(dict.fromkeys(new for name in split_labels(cell) if (new := target_of[name]) is not None))
        for cell in cells.unique()
    }


def _several_labels(manifest: Manifest, target_of: Mapping[str, str | None]) -> Manifest:
    kept = list(dict.fromkeys(new for new in target_of.values() if new is not None))
    if len(kept) < 2:
        raise DataError(
            f"data.class_map leaves {len(kept)} label(s) of several; two or more are needed. For exclusive classes "
            "name the images without a label too, such as 'No Finding': NORMAL."
        )
    rank = {name: number for number, name in enumerate(kept)}
    columns = [name for name in ("label", UNKNOWN_LABELS) if name in manifest.table]
    table = manifest.table.copy()
    for column in columns:
        renamed = _renamed(table[column], target_of)
        joined = {cell: "|".join(sorted(names, key=rank.__getitem__)) for cell, names in renamed.items()}
        table[column] = table[column].map(joined)
    if UNKNOWN_LABELS in columns:
        # What one of several joined labels says is known, whatever the others leave open.
        pairs = zip(table[UNKNOWN_LABELS], table["label"], strict=True)
        table[UNKNOWN_LABELS] = [
            "|".join(name for name in split_labels(unknown) if name not in split_labels(label))
            for unknown, label in pairs
        ]
    return _told(manifest, table, tuple(kept), target_of, 0, {})


def _exclusive(
    manifest: Manifest, target_of: Mapping[str, str | None], none: str | None
) -> tuple[pd.Series, pd.Series]:
    """The one class of each image, and which images have none or several."""
    labels = manifest.table["label"]
    renamed = _renamed(labels, target_of)
    one = {cell: names[0] if len(names) == 1 else None for cell, names in renamed.items()} | {"": none}
    cells = labels.map(one)
    out = cells.isna()
    if UNKNOWN_LABELS in manifest.table:
        unknown = _renamed(manifest.table[UNKNOWN_LABELS], target_of)
        out |= np.asarray([bool(unknown[cell]) for cell in manifest.table[UNKNOWN_LABELS]])
    return cells, out


def _told(
    manifest: Manifest,
    table: pd.DataFrame,
    classes: tuple[str, ...],
    target_of: Mapping[str, str | None],
    left_out: int,
    changed: dict[str, object],
) -> Manifest:
    """The manifest of these rows and classes, with a note on what became of the old ones."""
    changes = ", ".join(f"{old} → {new or 'left out'}" for old, new in target_of.items() if new != old)
    note = f"Classes as data.class_map has them: {changes or 'unchanged'}; {left_out} image(s) left out."
    logger.info("%s", note)
    info = manifest.info.model_copy(
        update={**changed, "classes": classes, "notes": (*manifest.info.notes, note), "positive_reason": ""}
    )
    return Manifest(table.reset_index(drop=True), info)
