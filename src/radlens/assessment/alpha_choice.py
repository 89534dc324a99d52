"""Which rate of error a model states unless it is asked: referrals weighed against the errors that they avoid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold

from radlens.assessment.abstention import wrong_answers
from radlens.assessment.conformal import USUAL_RATE, common_limits
from radlens.assessment.predictions import probabilities_of, targets_of
from radlens.config import EvaluateSettings
from radlens.dataset.manifest import DatasetInfo
from radlens.decision import REFER, commit, prediction_sets
from radlens.runtime.records import AlphaChoice, AlphaCost

RATES = (0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.07, 0.1, 0.15, 0.2)

# Images of each class in either half; with fewer, what a rate costs is too uncertain.
_FEWEST = 10


@dataclass(frozen=True)
class ChosenAlpha:
    """A rate of error and its limits.

    Attributes:
        alpha: the rate.
        least: for each class the least probability with which it stays possible.
        choice: what was weighed; None: there are too few validation images for that.
    """

    alpha: float
    least: tuple[float, ...]
    choice: AlphaChoice | None


def choose_alpha(
    predictions: pd.DataFrame, copies: Sequence[pd.DataFrame], info: DatasetInfo, settings: EvaluateSettings, seed: int
) -> ChosenAlpha:
    """The rate that costs least on half of the validation patients (:func:`cheapest_alpha`), its limits from the rest.

    A rate chosen on the images that its limits are from need not be kept. Here the images that choose have no part in
    the limits, and as patients are drawn by their labels alone, the others are as exchangeable with new ones as before
    (split conformal prediction; Lei et al. 2018, doi:10.1080/01621459.2017.1307116).

    Args:
        predictions: rows of the validation split, at the operating point.
        copies: predictions on changed copies of the same images, in the same order. They lower limits, and do not
            count as referrals.
        info: the task and the classes, one an image.
        settings: what an error is worth, and how much may be referred.
        seed: of the draw of the patients.

    Returns:
        With too few images of a class, the lowest rate from .05 up at which each class can be ruled out at all, with
        limits from all images; that goes by the numbers of images alone.
    """
    tables = (predictions, *copies)
    choosing = choosing_images(predictions, info, seed)
    if choosing is None:
        alpha = next((rate for rate in _usable(predictions, info) if rate >= USUAL_RATE), USUAL_RATE)
        return ChosenAlpha(alpha, common_limits(tables, info, alpha), None)
    images, rest = predictions[choosing], [table[~choosing] for table in tables]
    usable = sorted({*_usable(images, info)} & {*_usable(rest[0], info)})
    points = tuple(_cost(rate, [table[choosing] for table in tables], info) for rate in usable)
    choice = AlphaChoice(
        images=len(images),
        patients=images["patient"].nunique(),
        errors=int(wrong_answers(images, info).sum()),
        referrals_per_error=settings.referrals_per_error,
        most_referred=settings.most_referred,
        points=points,
    )
    alpha = cheapest_alpha(choice)
    return ChosenAlpha(alpha, common_limits(rest, info, alpha), choice)


def cheapest_alpha(choice: AlphaChoice) -> float:
    """The rate with the least cost among those that may be paid for; if none may, the one that refers fewest.

    A referral costs 1, a wrong answer that is given ``referrals_per_error`` (Chow 1970, doi:10.1109/TIT.1970.1054406).
    Of rates that cost no more than one such answer above the least, the one that refers fewest is taken: so few images
    do not tell these apart.

    >>> about = {"images": 200, "patients": 200, "errors": 8, "referrals_per_error": 10, "most_referred": 0.2}
    >>> costs = {0.01: (38, 8), 0.05: (9, 7), 0.1: (2, 1)}
    >>> points = [AlphaCost(alpha=rate, referred=r, errors_avoided=e) for rate, (r, e) in costs.items()]
    >>> cheapest_alpha(AlphaChoice(points=points, **about))
    0.05
    """
    affordable = [point for point in choice.points if point.referred <= choice.most_referred * choice.images]
    if not affordable:
        return min(choice.points, key=lambda point: (point.referred, point.alpha)).alpha

    def cost(point: AlphaCost) -> float:
        return point.referred + choice.referrals_per_error * (choice.errors - point.errors_avoided)

    least = min(map(cost, affordable))
    equal = [point for point in affordable if cost(point) <= least + choice.referrals_per_error]
    return min(equal, key=lambda point: (point.referred, point.alpha)).alpha


def choosing_images(predictions: pd.DataFrame, info: DatasetInfo, seed: int) -> npt.NDArray[np.bool_] | None:
    """Half of the patients, drawn by their labels alone, with as many of each class; None: too few images."""
    truth, patients = targets_of(predictions, info), predictions["patient"].to_numpy(dtype=str)
    if _fewest(predictions, info) < 2 * _FEWEST or len(np.unique(patients)) < 2:
        return None
    folds = StratifiedGroupKFold(2, shuffle=True, random_state=seed).split(truth, truth, patients)
    choosing = np.zeros(len(truth), dtype=bool)
    choosing[next(iter(folds))[1]] = True
    # A patient with very many images may leave hardly any of a class to one side.
    enough = all(_fewest(predictions[side], info) >= _FEWEST for side in (choosing, ~choosing))
    return choosing if enough else None


def _usable(predictions: pd.DataFrame, info: DatasetInfo) -> list[float]:
    """The rates at which there are images enough to rule out every class."""
    return [rate for rate in RATES if rate * (_fewest(predictions, info) + 1) >= 1 - 1e-9]


def _fewest(predictions: pd.DataFrame, info: DatasetInfo) -> int:
    """Images of the class that has fewest."""
    return int(np.bincount(targets_of(predictions, info), minlength=len(info.classes)).min())


def _cost(rate: float, tables: Sequence[pd.DataFrame], info: DatasetInfo) -> AlphaCost:
    """What a rate costs on the images themselves, with limits from them and their copies."""
    images = tables[0]
    sets = prediction_sets(probabilities_of(images, info), common_limits(tables, info, rate))
    referred = np.array([answer == REFER for answer in commit(list(images["predicted"]), info.classes, sets)])
    avoided = int((wrong_answers(images, info) & referred).sum())
    return AlphaCost(alpha=rate, referred=int(referred.sum()), errors_avoided=avoided)
