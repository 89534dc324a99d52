"""What a network's scores mean, chosen on validation images: calibration, default threshold, stated targets."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypedDict

import numpy as np
import numpy.typing as npt
import pandas as pd

from radlens.assessment.alpha_choice import choose_alpha
from radlens.assessment.calibration_choice import choose_kind, fit_kind
from radlens.assessment.carried_points import operating_point_or_half, points_for_sensitivities
from radlens.assessment.conformal import (
    ALPHAS,
    OOD_RATES,
    USUAL_RATE,
    common_limits,
    farthest_distance,
)
from radlens.assessment.predictions import predictions_table, with_answers, with_threshold
from radlens.config import EvaluateSettings
from radlens.dataset.manifest import DatasetInfo, Manifest
from radlens.decision import Calibration, CalibrationKind, OperatingPoint, Task
from radlens.imaging.framing import reframe_each
from radlens.learning.corruptions import corrupt_each
from radlens.learning.data_module import LabelledPixels
from radlens.learning.trained_model import TrainedModel
from radlens.runtime.records import Abstention

logger = logging.getLogger(__name__)


class CalibrationPart(TypedDict):
    """What is chosen on validation images of a model's configuration, by the names of the fields of ModelConfig."""

    threshold: float
    calibration_slope: float
    calibration_offset: float
    calibration_map: Calibration | None
    calibration_losses: dict[CalibrationKind, float]
    operating_point: OperatingPoint | None
    operating_points: dict[str, float]
    operating_point_bounds: dict[str, OperatingPoint]
    abstention: Abstention


@dataclass(frozen=True)
class Calibrated:
    """What travels with the model, and what it then says of the validation images.

    Attributes:
        part: of the configuration of the model.
        calibration: how the probabilities are moved.
        validation: predictions on the validation images, calibrated and at the chosen threshold.
    """

    part: CalibrationPart
    calibration: Calibration
    validation: pd.DataFrame


def choose(
    model: TrainedModel, manifest: Manifest, images: LabelledPixels, settings: EvaluateSettings, seed: int
) -> Calibrated:
    """Choose on the validation images, and on changed copies of them too where the settings ask for it.

    A model is surer of images like those of training than of others, and its scores of others shift. Copies under other
    framings, and under other exposures, noise and sharpness, stand in for the others: calibration, threshold and the
    limits of what is referred go by them as well.

    Args:
        model: the trained network, not calibrated; with what tells unfamiliar images, where the settings ask for it.
        manifest: the validation images.
        images: their pixels, in the same order.
        settings: what to choose, and by how many copies of each image.
        seed: what the changes follow from.
    """
    info = manifest.info
    raw = model.probabilities(images.pixels, images.rows)
    copies = list(_of_copies(model, images, settings.stress, seed))
    calibration = Calibration()
    losses: dict[CalibrationKind, float] = {}
    if settings.calibration != "none":
        patients = manifest.table["patient"].to_numpy(dtype=str)
        calibration, losses = _calibration([raw, *copies], images.targets, patients, info.task, settings.calibration)
    predictions, *of_copies = (
        predictions_table(manifest, calibration.apply(each, info.task)) for each in (raw, *copies)
    )
    threshold, point = operating_point_or_half(settings, predictions, info, of_copies)
    points = points_for_sensitivities(predictions, info, settings.confidence) if info.task == "binary" else {}
    logger.info(
        "Chosen on %d validation images: threshold %.3f; calibration: %s",
        *(len(manifest), threshold, calibration.kind),
    )
    predictions, *of_copies = (with_threshold(each, info, threshold) for each in (predictions, *of_copies))
    distances = model.distances(images.pixels, images.rows) if settings.ood_rate else None
    abstention = _abstention(predictions, of_copies, info, distances, settings, seed)
    unfamiliarity = None if distances is None or abstention.distance is None else distances / abstention.distance
    predictions = with_answers(predictions, info, abstention.least, unfamiliarity)
    part = CalibrationPart(
        threshold=threshold,
        calibration_slope=calibration.slope,
        calibration_offset=calibration.offset,
        calibration_map=calibration if calibration.kind in ("beta", "isotonic") else None,
        calibration_losses=losses,
        operating_point=point,
        operating_points={name: value for name, (value, _) in points.items()},
        operating_point_bounds={name: known for name, (_, known) in points.items() if known is not None},
        abstention=abstention,
    )
    return Calibrated(part, calibration, predictions)


def _abstention(
    predictions: pd.DataFrame,
    of_copies: Sequence[pd.DataFrame],
    info: DatasetInfo,
    distances: npt.NDArray[np.float64] | None,
    settings: EvaluateSettings,
    seed: int,
) -> Abstention:
    """Limits for the rates that are asked for, and for others to choose among later."""
    limits: dict[float, tuple[float, ...]] = {}
    farthest = {}
    alpha, choice = settings.alpha or USUAL_RATE, None
    rule: Literal["stated", "cost", "images"] | None = None if settings.alpha is None else "stated"
    if info.task != "multilabel":
        for rate in {*ALPHAS, alpha}:
            limits[rate] = common_limits([predictions, *of_copies], info, rate)
        if settings.alpha is None:
            chosen = choose_alpha(predictions, of_copies, info, settings, seed)
            alpha, choice = chosen.alpha, chosen.choice
            limits[alpha] = chosen.least
            rule = "images" if choice is None else "cost"
    if distances is not None:
        for rate in sorted({*OOD_RATES, settings.ood_rate}):
            farthest[f"{rate:g}"] = farthest_distance(distances, rate)
    return Abstention(
        alpha=alpha,
        alpha_rule=rule,
        alpha_choice=choice,
        least_probabilities={f"{rate:g}": limits[rate] for rate in sorted(limits)},
        ood_rate=settings.ood_rate,
        farthest=farthest,
    )


def _of_copies(
    model: TrainedModel, images: LabelledPixels, copies: int, seed: int
) -> Iterator[npt.NDArray[np.float64]]:
    """The network's probabilities for so many copies of the images, by turns under other framings and corrupted."""
    for copy in range(copies):
        change = reframe_each if copy % 2 == 0 else corrupt_each
        yield model.probabilities(change(images.pixels[images.rows], np.random.default_rng((seed, 11, copy))))


def _calibration(
    together: Sequence[npt.NDArray[np.float64]],
    targets: npt.NDArray[np.int64],
    patients: npt.NDArray[np.str_],
    task: Task,
    kind: CalibrationKind | Literal["auto"],
) -> tuple[Calibration, dict[CalibrationKind, float]]:
    """Fitted to the images' own probabilities and to those of their copies."""
    probabilities, every = np.concatenate(together), np.concatenate([targets] * len(together))
    if kind == "auto":
        return choose_kind(probabilities, every, np.tile(patients, len(together)), task)
    return fit_kind(kind, probabilities, every, task), {}
