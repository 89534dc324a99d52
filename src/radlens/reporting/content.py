"""What a report is made of."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from radlens.dataset.access_log import Access
from radlens.dataset.audit import Audit
from radlens.dataset.manifest import DatasetInfo
from radlens.decision import OperatingPoint
from radlens.runtime.metrics_record import SplitRecord
from radlens.runtime.records import Abstention

Pixels = npt.NDArray[np.uint8]
# From a path and the number of an output.
MapPainter = Callable[[str, int], Pixels]

# An image, what augmentation made of it, and the parameters that were drawn for each of these.
Augmented = tuple[Pixels, Sequence[Pixels], Sequence[Mapping[str, Any]]]


# Who answered: a model trained by this run, one model a fold, a model trained before, another program.
Origin = Literal["run", "folds", "model", "outside"]


@dataclass(frozen=True)
class OperatingPoints:
    """The operating points that a model carries.

    Attributes:
        own: how the one that the figures are at was chosen; None where it is not known.
        others: thresholds by what they are for, such as ``sensitivity 0.95``, with what is known of each.
    """

    own: OperatingPoint | None = None
    others: Mapping[str, tuple[float, OperatingPoint | None]] = field(default_factory=dict)


@dataclass(frozen=True)
class Provenance:
    """Where figures come from, in hashes (SHA-256, in hexadecimal digits) that can be compared.

    Attributes:
        origin: who answered.
        images: of each split that was measured: of its images' contents and labels.
        opened: whether the contents were read; else ``images`` is of paths and labels.
        model: of the model's files, by name.
        network: name of the model's network in the registry; empty where it is not known.
        training: what the model was trained by; empty where it is not known.
        trained_on: name of the data set that the model was made of; empty where it is not known.
        training_images: of the training and validation images' contents; empty where it is not known.
        points: the operating points of the model; None where there is no one model.
        abstention: when the model leaves an image to a person; None where there is no one model, or it always answers.
        openings: every scoring of test images that is written down, the oldest first; the last is the one reported.
    """

    origin: Origin
    images: Mapping[str, str] = field(default_factory=dict)
    opened: bool = True
    model: Mapping[str, str] = field(default_factory=dict)
    network: str = ""
    training: str = ""
    trained_on: str = ""
    training_images: str = ""
    points: OperatingPoints | None = None
    abstention: Abstention | None = None
    openings: Sequence[Access] = ()


@dataclass(frozen=True)
class ReportContent:
    """Everything that a report can show; parts that are absent leave their section out.

    Pixels are uint8, shape (height, width) for grey or (height, width, 3) for colour.

    Attributes:
        title: the heading of the page.
        info: task, classes, source and licence of the data.
        manifest: the manifest's table.
        predictions: the predictions table.
        metrics: what :func:`radlens.assessment.evaluate.evaluate` returned for these predictions.
        facts: one row an image file: ``path, width, height, bytes, mode, format, mean, std``.
        audit: what the audit found; None when none was made.
        rejected: path and reason of each image that could not be read.
        suspects: labels that may be wrong, the most doubtful first: ``path, given, suggested, self_confidence``.
        subgroups: what :func:`radlens.assessment.subgroups.find_subgroups` found; None or empty: no groups.
        samples: paths of some images of each class.
        augmented: examples of augmentation.
        history: one row an epoch: ``epoch, train_loss, val_loss, val_auroc, val_accuracy, lr, seconds``.
        best_epoch: the epoch whose weights were kept.
        read_pixels: gives the pixels of a path of the manifest; one that it cannot give is said to be missing. None:
            duplicates and errors are listed without images.
        read_input: gives what the model sees of a path, shape (channels, height, width); None: answers that turn when
            the framing is changed are listed without images.
        paint_map: gives the picture of a path with where the model sees one of its outputs painted over it; None: wrong
            answers are shown without.
        neighbours: by path of a wrong answer, path and label of the training images that the model finds most like it.
        settings_yaml: the resolved settings, those that had a part in the figures.
        environment: versions, hardware, seed, commit; may be nested.
        notes: what the reader must know, such as that a split was replaced.
        provenance: where the figures come from; None: not known.

    Raises:
        ValueError: metrics and predictions speak of different splits.
    """

    title: str
    info: DatasetInfo
    manifest: pd.DataFrame
    predictions: pd.DataFrame
    metrics: Mapping[str, SplitRecord]
    facts: pd.DataFrame | None = None
    audit: Audit | None = None
    rejected: Sequence[tuple[str, str]] = ()
    suspects: pd.DataFrame | None = None
    subgroups: pd.DataFrame | None = None
    samples: Mapping[str, Sequence[str]] = field(default_factory=dict)
    augmented: Sequence[Augmented] = ()
    history: pd.DataFrame | None = None
    best_epoch: int | None = None
    read_pixels: Callable[[str], Pixels] | None = None
    read_input: Callable[[str], Pixels] | None = None
    paint_map: MapPainter | None = None
    neighbours: Mapping[str, Sequence[tuple[str, str]]] = field(default_factory=dict)
    settings_yaml: str = ""
    environment: Mapping[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()
    provenance: Provenance | None = None

    def __post_init__(self) -> None:
        predicted, measured = set(self.predictions["split"]), set(self.metrics)
        if not measured or not measured <= predicted:
            raise ValueError(f"metrics are of the splits {sorted(measured)}, predictions of {sorted(predicted)}")

    @property
    def main_split(self) -> str:
        """The split that the headline speaks of: test if there is one."""
        return main_split(self.metrics)


def main_split(metrics: Collection[str]) -> str:
    """The split that matters most of those that were measured: test if there is one."""
    return next(split for split in ("test", "val", "train") if split in metrics)
