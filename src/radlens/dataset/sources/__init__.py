"""Where images come from: each source returns a manifest."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

from radlens.base.errors import DataError, UsageError, did_you_mean
from radlens.base.files import cache_root
from radlens.config import DataSettings
from radlens.dataset.manifest import Manifest, order_classes
from radlens.dataset.opening import opening_line
from radlens.dataset.positive_class import settle_positive
from radlens.dataset.sources.class_map import map_classes
from radlens.dataset.sources.table_cells import is_table

logger = logging.getLogger(__name__)

NAMED_SOURCES = ("kermany", "phantom", "pneumoniamnist")
_KINDS = (
    "a folder (train/ val/ test/ or class folders; or DICOM files, with data.dicom.labels), a .csv, an .npz in "
    f"MedMNIST form, a folder with manifest.csv and dataset.yaml, or a name: {', '.join(NAMED_SOURCES)}"
)


def read_source(settings: DataSettings, *, ask_positive: bool = True, lacking: bool = False) -> Manifest:
    """Read the images and labels that ``settings.source`` names.

    A known name (in any case) wins over a folder of that name, which can be given as ``./name``. Classes are renamed
    as ``settings.class_map`` says, whatever the source.

    Args:
        settings: with the source.
        ask_positive: whether the names of two classes must tell which is positive, where the settings do not; False:
            it is known from elsewhere, such as a model, or does not matter.
        lacking: whether there may be one class alone, or one without an image: to judge by, not to learn from.

    Raises:
        UsageError: no source was given, or it is neither a known name nor a file or folder that can be read.
        DataError: what is there cannot be used; the message says what was found and what was expected.
    """
    if settings.class_map:
        # The positive class is one of those that the mapping makes.
        read = _read(settings.model_copy(update={"positive_class": None}))
        manifest = map_classes(read, settings.class_map, settings.positive_class)
    else:
        manifest = _read(settings)
    if not lacking:
        manifest.require_every_class()
    if ask_positive or settings.positive_class is not None:
        manifest = settle_positive(manifest, settings)
    logger.info("%s", opening_line(manifest))
    return manifest


def _read(settings: DataSettings) -> Manifest:
    source = (settings.source or "").strip()
    if not source:
        raise UsageError(f"No source was given. Expected {_KINDS}.")
    name = source.casefold()
    if settings.dicom.labels is not None and not Path(source).expanduser().is_dir():
        raise UsageError(
            f"data.dicom.labels is for a folder of DICOM files, and the source {source!r} is not a folder."
        )
    if name in NAMED_SOURCES and settings.dicom.labels is None:
        if Path(source).exists():
            logger.warning("Reading the named source %s; for the folder of that name give ./%s", name, source)
        return _read_named(name, settings)
    path = Path(source).expanduser()
    if not path.exists():
        near = "" if _looks_like_path(source) else did_you_mean(source, NAMED_SOURCES).partition("Known:")[0]
        raise UsageError(f"The source {source!r} does not exist ({path.absolute()}). {near}Expected {_KINDS}.")
    if path.is_dir():
        return _read_folder(path, settings)
    return _read_file(path, settings)


def _read_named(name: str, settings: DataSettings) -> Manifest:
    if name == "phantom":
        from radlens.dataset.phantom.source import phantom_manifest

        return phantom_manifest(settings.phantom)
    if name == "kermany":
        from radlens.dataset.sources.kermany import read_kermany

        return read_kermany(settings)
    from radlens.dataset.sources.medmnist import read_pneumoniamnist

    return read_pneumoniamnist(settings, cache_root() / "downloads")


def _looks_like_path(source: str) -> bool:
    return any(mark in source for mark in ("/", "\\", "."))


def _read_folder(path: Path, settings: DataSettings) -> Manifest:
    if settings.dicom.labels is not None:
        from radlens.dataset.sources.dicom_folder import read_dicom_folder

        return read_dicom_folder(path, settings)
    if (path / "manifest.csv").is_file() and (path / "dataset.yaml").is_file():
        return _read_manifest(path, settings)
    from radlens.dataset.sources.folder import read_folder

    return read_folder(path, settings)


def _read_manifest(folder: Path, settings: DataSettings) -> Manifest:
    manifest = Manifest.read(folder)
    # A root that is not absolute starts from the folder itself, so that folder and images can be moved together.
    root = (folder / manifest.info.root).resolve()
    if not root.is_dir():
        raise DataError(
            f"The manifest in {folder} says that its images lie in {root}, which does not exist. "
            "Put them back, or mend root in dataset.yaml."
        )
    changed = {"root": str(root), "positive_reason": manifest.info.positive_reason or "as dataset.yaml has it"}
    info = manifest.info.model_copy(update=changed)
    if settings.positive_class is not None:
        info = info.model_copy(update={"classes": order_classes(info.classes, settings.positive_class)})
    return replace(manifest, info=info)


def _read_file(path: Path, settings: DataSettings) -> Manifest:
    suffix = path.suffix.lower()
    if is_table(path):
        from radlens.dataset.sources.csv_table import read_csv_table

        return read_csv_table(path, settings)
    if suffix == ".npz":
        from radlens.dataset.sources.medmnist import read_npz

        return read_npz(path, settings)
    if suffix in (".zip", ".tar", ".gz", ".tgz", ".7z", ".rar"):
        raise UsageError(f"The source {path} is an archive. Unpack it and give the folder.")
    raise UsageError(f"The source {path} is a file of another kind. Expected {_KINDS}.")
