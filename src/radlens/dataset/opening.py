"""One line on a source as it was read: what every command that reads one begins with."""

from __future__ import annotations

from radlens.dataset.manifest import SPLITS, Manifest

_MOST_CLASSES = 12


def opening_line(manifest: Manifest) -> str:
    """Images, classes, which is positive, splits, patients, and how the source was read."""
    info, table = manifest.info, manifest.table
    return "; ".join(
        filter(
            None,
            (
                f"{info.name}: {len(table):,} images, {info.task}, {_classes(manifest)}",
                _positive(manifest),
                _splits(manifest),
                _patients(manifest),
                info.reading,
            ),
        )
    )


def _classes(manifest: Manifest) -> str:
    counts = manifest.class_counts().sum(axis=0)
    shown = [f"{name} {int(count):,}" for name, count in counts.items()]
    more = [f"{len(shown) - _MOST_CLASSES} more"] if len(shown) > _MOST_CLASSES else []
    return ", ".join([*shown[:_MOST_CLASSES], *more])


def _positive(manifest: Manifest) -> str:
    info = manifest.info
    if info.task != "binary":
        return ""
    return f"positive: {info.classes[1]}{f' ({info.positive_reason})' if info.positive_reason else ''}"


def _splits(manifest: Manifest) -> str:
    counts = manifest.table["split"].value_counts()
    named = [f"{split} {int(counts[split]):,}" for split in SPLITS if split in counts]
    if not named:
        return "no splits"
    return ", ".join([*named, *([f"without split {int(counts['']):,}"] if "" in counts else [])])


def _patients(manifest: Manifest) -> str:
    table = manifest.table
    own = table["patient"] == table["path"]
    known = f"{table['patient'][~own].nunique():,} patients"
    if not own.any():
        return known
    return "patients unknown" if own.all() else f"{known}, unknown for {int(own.sum()):,} images"
