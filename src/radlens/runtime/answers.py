"""The answer to one image, and the one place where it is put together from what the network gave."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from radlens.decision import REFUSE, commit, decide, name_answers, prediction_sets
from radlens.runtime.model_config import ModelConfig

Outputs = Mapping[str, npt.NDArray[np.float32]]


def needed_outputs(config: ModelConfig) -> tuple[str, ...]:
    """What :func:`answer_of` reads of the network's outputs; the runtime is asked for no more."""
    tells = config.abstention is not None and config.abstention.distance is not None
    return ("probabilities", "distance") if tells else ("probabilities",)


@dataclass(frozen=True)
class Familiarity:
    """Whether an image is like those that the model was made with.

    Attributes:
        is_familiar: False where the score is beyond the limit that the model carries; its answer then means little.
        score: distance from the training images as a share of the limit; the larger, the less familiar.
    """

    is_familiar: bool
    score: float


@dataclass(frozen=True)
class Answer:
    """What the model says of one image.

    Attributes:
        path: of the image, as it was given; for bytes and arrays ``bytes`` and ``array``.
        predicted: the class at the operating point; for multilabel the names joined by ``|``, empty for none. Empty
            where the image could not be read.
        probabilities: calibrated, 0 to 1, by class; empty where the image could not be read.
        conformal: the class that the model is sure enough to name, or ``refer``; None where it carries no limits.
        familiar: whether the image is like those that it was made with; None where it carries no such limit.
        remarks: what is odd about the picture (:func:`radlens.runtime.remarks.remarks_of`).
        error: why the image could not be read; empty otherwise.
    """

    path: str
    predicted: str = ""
    probabilities: Mapping[str, float] = field(default_factory=dict)
    conformal: str | None = None
    familiar: Familiarity | None = None
    remarks: tuple[str, ...] = ()
    error: str = ""

    @property
    def answer(self) -> str:
        """What the model stands by: a class, ``refer`` or ``refuse``; for models that do not abstain, the class."""
        if self.familiar is not None and not self.familiar.is_familiar:
            return REFUSE
        return self.predicted if self.conformal is None else self.conformal


@dataclass(frozen=True)
class ReadImage:
    """One image on its way to an answer.

    Attributes:
        path: what the answer calls it.
        pixels: uint8, shape (channels, height, width), as the contract gives them.
        remarks: what is odd about the picture.
    """

    path: str
    pixels: npt.NDArray[np.uint8]
    remarks: tuple[str, ...] = ()


def answer_of(image: ReadImage, outputs: Outputs, config: ModelConfig, threshold: float) -> Answer:
    """Put the answer to one image together.

    Args:
        image: what was answered for.
        outputs: of the network for this image alone, those of :func:`needed_outputs`; ``probabilities`` has shape
            (classes,), ``distance`` none.
        config: what the model carries.
        threshold: the operating point in force.
    """
    probabilities = outputs["probabilities"].astype(np.float64)
    decided = decide(probabilities[np.newaxis], config.task, threshold)
    names = name_answers(decided, config.task, config.classes)
    return Answer(
        image.path,
        names[0],
        dict(zip(config.classes, probabilities.tolist(), strict=True)),
        conformal=_conformal(names, probabilities, config),
        familiar=_familiar(outputs, config),
        remarks=image.remarks,
    )


def _conformal(names: list[str], probabilities: npt.NDArray[np.float64], config: ModelConfig) -> str | None:
    if config.abstention is None or config.abstention.least is None:
        return None
    sets = prediction_sets(probabilities[np.newaxis], config.abstention.least)
    return commit(names, config.classes, sets)[0]


def _familiar(outputs: Outputs, config: ModelConfig) -> Familiarity | None:
    if config.abstention is None or config.abstention.distance is None:
        return None
    score = float(outputs["distance"]) / config.abstention.distance
    return Familiarity(score <= 1, score)
