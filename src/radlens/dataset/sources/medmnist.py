"""Images inside the arrays of an ``.npz`` archive in MedMNIST form, and PneumoniaMNIST from its published archive."""

from __future__ import annotations

import logging
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from radlens.base.errors import DataError, UsageError
from radlens.base.files import write_error
from radlens.base.optional import import_optional
from radlens.config import DataSettings
from radlens.dataset.manifest import SPLITS, DatasetInfo, Manifest, order_classes, task_of
from radlens.dataset.sources.patients import assign_patients
from radlens.decision import Task
from radlens.imaging.arrays import ARRAY_KINDS

logger = logging.getLogger(__name__)

# From the MedMNIST project, version 3.0.2: https://github.com/MedMNIST/MedMNIST/blob/main/medmnist/info.py
PNEUMONIAMNIST_URL = "https://zenodo.org/records/10519652/files/pneumoniamnist.npz?download=1"
PNEUMONIAMNIST_MD5 = "28209eda62fecd6e6a2d98b1501bb15f"
_CITATION = (
    "Yang J, Shi R, Wei D, et al. MedMNIST v2 - A large-scale lightweight benchmark for 2D and 3D biomedical image "
    "classification. Scientific Data 10, 41 (2023). https://doi.org/10.1038/s41597-022-01721-8"
)
_ORGANS = (
    "bladder",
    "femur-left",
    "femur-right",
    "heart",
    "kidney-left",
    "kidney-right",
    "liver",
    "lung-left",
    "lung-right",
    "pancreas",
    "spleen",
)
_FORM = (
    "Expected the MedMNIST form: train_images, val_images and/or test_images, uint8 (or another of the types "
    f"{', '.join(ARRAY_KINDS)}), shape (images, height, width) or (images, height, width, 3), "
    "and train_labels, val_labels and/or test_labels, whole numbers, shape (images, 1), or (images, labels) of 0 and 1."
)


class Published(NamedTuple):
    """What the MedMNIST project says of one of its archives; the names are in the order of the label numbers."""

    names: tuple[str, ...]
    licence: str = "CC BY 4.0"
    positive: str | None = None


PUBLISHED = {
    "breastmnist": Published(("malignant", "normal, benign"), positive="malignant"),
    "chestmnist": Published(
        (
            "atelectasis",
            "cardiomegaly",
            "effusion",
            "infiltration",
            "mass",
            "nodule",
            "pneumonia",
            "pneumothorax",
            "consolidation",
            "edema",
            "emphysema",
            "fibrosis",
            "pleural",
            "hernia",
        )
    ),
    "dermamnist": Published(
        (
            "actinic keratoses and intraepithelial carcinoma",
            "basal cell carcinoma",
            "benign keratosis-like lesions",
            "dermatofibroma",
            "melanoma",
            "melanocytic nevi",
            "vascular lesions",
        ),
        licence="CC BY-NC 4.0",
    ),
    "octmnist": Published(("choroidal neovascularization", "diabetic macular edema", "drusen", "normal")),
    "organamnist": Published(_ORGANS),
    "organcmnist": Published(_ORGANS),
    "organsmnist": Published(_ORGANS),
    "pneumoniamnist": Published(("normal", "pneumonia")),
}


def read_npz(file: Path, settings: DataSettings) -> Manifest:
    """Read an archive in MedMNIST form; the images stay in it, as ``name.npz::train_images/17``.

    Labels of several columns of 0 and 1 make the task multilabel. Class names are known for archives named as the
    MedMNIST project names them; else they are ``class 0``, ``class 1``, …

    Raises:
        DataError: the file is not such an archive, or its arrays do not fit together.
    """
    file = Path(file).resolve()
    published = PUBLISHED.get(file.stem.partition("_")[0].casefold())
    labels = _read_labels(file)
    splits = [split for split in SPLITS if split in labels]
    stacked = np.concatenate([labels[split] for split in splits])
    task, classes, cells = _encode(stacked, published, settings, file)
    table = pd.DataFrame(
        {
            "path": [f"{file.name}::{split}_images/{row}" for split in splits for row in range(len(labels[split]))],
            "label": cells,
            "split": np.repeat(splits, [len(labels[split]) for split in splits]),
        }
    )
    table["patient"], notes = _patients(table["path"], settings.patient_from)
    info = DatasetInfo(
        name=file.stem,
        task=task,
        classes=classes,
        root=str(file.parent),
        source=str(file),
        licence=published.licence if published else "",
        citation=_CITATION if published else "",
        notes=notes,
    )
    return Manifest(table[["path", "label", "patient", "split"]], info)


def read_pneumoniamnist(
    settings: DataSettings, folder: Path, url: str = PNEUMONIAMNIST_URL, md5: str = PNEUMONIAMNIST_MD5
) -> Manifest:
    """Download PneumoniaMNIST once into a folder and read it.

    Args:
        settings: how to read it.
        folder: where the archive is kept.
        url: where it is published.
        md5: its checksum; a file with another one is not used.

    Raises:
        DataError: the download failed, with the manual steps, or the checksum is another one.
    """
    pooch = import_optional("pooch", "The source pneumoniamnist")
    manual = (
        f"Manual steps: download {url} in a browser (its MD5 checksum is {md5}), then give the file itself: "
        "radlens run pneumoniamnist.npz"
    )
    try:
        file = pooch.retrieve(url, known_hash=f"md5:{md5}", fname="pneumoniamnist.npz", path=folder)
    except OSError as error:
        # Failures of the network carry no number of the operating system; failures of the disk do.
        if error.errno:
            raise write_error(folder, error) from error
        raise DataError(f"PneumoniaMNIST could not be downloaded: {error}.\n{manual}") from error
    except ValueError as error:
        raise DataError(
            f"The downloaded PneumoniaMNIST archive has another checksum than the published one and was not kept: "
            f"{error}\n{manual}"
        ) from error
    manifest = read_npz(Path(file), settings)
    return manifest.with_notes(
        "PneumoniaMNIST was split into training and validation by image, so the two may share patients; test is the "
        "official test part of Kermany's chest X-rays."
    )


def _patients(paths: pd.Series, rule: str) -> tuple[pd.Series, tuple[str, ...]]:
    if rule != "auto":
        return assign_patients(paths, rule)
    note = (
        "The archive does not tell the patient: each image counts as its own patient, so images of one patient may lie "
        "in several splits and the results may look better than they are."
    )
    logger.warning(note)
    return paths.copy(), (note,)


def _read_labels(file: Path) -> dict[str, npt.NDArray[np.int64]]:
    """The labels of each split, shape (images, columns), after the images were seen to fit them by their headers."""
    try:
        with zipfile.ZipFile(file) as archive:
            headers = {
                name.removesuffix(".npy"): _header(archive, name)
                for name in archive.namelist()
                if name.endswith(".npy")
            }
        expected = {f"{split}_{part}" for split in SPLITS for part in ("images", "labels")}
        if not expected & headers.keys():
            raise DataError(f"{file} holds the array(s) {', '.join(headers) or 'none'}. {_FORM}")
        unknown = sorted(headers.keys() - expected)
        if unknown:
            logger.warning("Ignored the array(s) %s in %s.", ", ".join(unknown), file)
        labels = {}
        with np.load(file, allow_pickle=False) as arrays:
            for split in SPLITS:
                if _has_images(headers, split, file):
                    labels[split] = _whole_numbers(arrays[f"{split}_labels"], f"{file}: {split}_labels")
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{file} cannot be read as an .npz archive: {error}. {_FORM}") from error
    if not labels:
        raise DataError(f"{file} holds arrays without any image. {_FORM}")
    columns = {split: values.shape[1] for split, values in labels.items()}
    if len(set(columns.values())) > 1:
        raise DataError(f"{file}: the splits have different numbers of label columns: {columns}. {_FORM}")
    return labels


class _Header(NamedTuple):
    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]


def _header(archive: zipfile.ZipFile, name: str) -> _Header:
    """Shape and type of an array, without reading its values."""
    with archive.open(name) as member:
        version = np.lib.format.read_magic(member)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(member)
    return _Header(shape, dtype)


def _has_images(headers: dict[str, _Header], split: str, file: Path) -> bool:
    """Whether the split is there; its two arrays must fit together."""
    images, labels = headers.get(f"{split}_images"), headers.get(f"{split}_labels")
    if images is None and labels is None:
        return False
    if images is None or labels is None:
        lacking = "images" if images is None else "labels"
        raise DataError(f"{file} lacks the array {split}_{lacking}. {_FORM}")
    for part, header in (("images", images), ("labels", labels)):
        if header.dtype.hasobject:
            raise DataError(
                f"{file}: {split}_{part} holds Python objects, which could run code when read and are not opened. "
                f"Save it again as an array of numbers. {_FORM}"
            )
    grey, colour = len(images.shape) == 3, len(images.shape) == 4 and images.shape[-1] == 3
    if images.dtype.name not in ARRAY_KINDS or not (grey or colour) or 0 in images.shape[1:]:
        raise DataError(f"{file}: {split}_images has type {images.dtype} and shape {images.shape}. {_FORM}")
    if not labels.shape or images.shape[0] != labels.shape[0]:
        raise DataError(
            f"{file}: {split}_images has {images.shape[0]} images, but {split}_labels has shape {labels.shape}. {_FORM}"
        )
    return images.shape[0] > 0


def _whole_numbers(values: npt.NDArray[Any], where: str) -> npt.NDArray[np.int64]:
    columns = values.reshape(-1, 1) if values.ndim == 1 else values
    if columns.ndim != 2 or columns.shape[1] == 0 or columns.dtype.kind not in "biuf":
        raise DataError(f"{where} has type {values.dtype} and shape {values.shape}. {_FORM}")
    invalid = ~np.isfinite(columns) | (columns < 0) | (columns != np.floor(columns))
    if columns.shape[1] > 1:
        invalid = invalid | (columns > 1)
    if invalid.any():
        row, column = (int(number) for number in np.argwhere(invalid)[0])
        raise DataError(f"{where} holds {columns[row, column]} at row {row}, column {column}. {_FORM}")
    return columns.astype(np.int64)


def _encode(
    labels: npt.NDArray[np.int64], published: Published | None, settings: DataSettings, file: Path
) -> tuple[Task, tuple[str, ...], Sequence[str]]:
    """Task, classes and one label cell an image."""
    columns = labels.shape[1]
    numbers, places = (np.arange(columns), None) if columns > 1 else np.unique(labels[:, 0], return_inverse=True)
    names = [f"class {number}" for number in numbers]
    known = published is not None and (
        columns == len(published.names) or (columns == 1 and numbers[-1] < len(published.names))
    )
    if published and known:
        names = [published.names[number] for number in numbers]
    elif published:
        logger.warning("%s has other labels than the published archive of that name: the classes get numbers.", file)
    if places is None:
        if settings.positive_class is not None:
            raise UsageError("data.positive_class is for two-class tasks; here an image may have several labels.")
        return "multilabel", tuple(names), ["|".join(names[column] for column in np.flatnonzero(row)) for row in labels]
    classes = tuple(names)
    positive = settings.positive_class or (published.positive if published and known and len(names) == 2 else None)
    if positive or known:
        classes = order_classes(names, positive)
    return task_of(classes), classes, [names[place] for place in places]
