"""Which calibration a model gets: every kind fitted, and the one that does best on patients left out in turn."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from sklearn.isotonic import IsotonicRegression
from sklearn.model_selection import GroupKFold

from radlens.assessment.calibration import fit_calibration, log_loss
from radlens.base.errors import DataError
from radlens.decision import Calibration, CalibrationKind, Task

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

# From the simplest to the freest: of equally good ones the first is taken.
KINDS: Mapping[Task, tuple[CalibrationKind, ...]] = MappingProxyType(
    {
        "binary": ("none", "temperature", "platt", "beta", "isotonic"),
        "multilabel": ("none", "temperature", "platt", "beta", "isotonic"),
        "multiclass": ("none", "temperature"),
    }
)
FOLDS = 5
_EXPONENTS, _CONSTANTS = (0.0, 20.0), (-10.0, 10.0)


def fit_kind(kind: CalibrationKind, probabilities: Floats, targets: Ints, task: Task) -> Calibration:
    """The calibration of a kind with the smallest log loss.

    Each label is taken as right but for one chance in the number of images plus two, as Platt does; see
    :func:`radlens.assessment.calibration.fit_calibration`.

    Args:
        kind: ``line`` is for multiclass the temperature alone.
        probabilities: shape (images, classes), of images that the model was not trained on.
        targets: shape (images,), or (images, classes) for multilabel; labels share one calibration.
        task: binary, multiclass or multilabel.

    Raises:
        DataError: a multiclass task has no such kind.

    >>> sure = np.array([[0.01, 0.99]] * 4 + [[0.9, 0.1]] * 4)
    >>> fit_kind("isotonic", sure, np.array([1, 1, 1, 0, 0, 0, 0, 1]), "binary").numbers
    (0.1, 0.99, 0.25, 0.75)
    """
    if kind == "none":
        return Calibration()
    if task == "multiclass" and kind in ("beta", "isotonic"):
        raise DataError(
            f"A multiclass task cannot be calibrated by {kind}: set evaluate.calibration to none, temperature or auto."
        )
    if kind == "platt" and task != "multiclass":
        return Calibration("platt", fit_calibration(probabilities, targets, task))
    if kind in ("temperature", "platt"):
        return Calibration("temperature", (fit_calibration(probabilities, targets, task, offset=False)[0],))
    return (_fit_beta if kind == "beta" else _fit_isotonic)(probabilities, targets, task)


def choose_kind(
    probabilities: Floats, targets: Ints, patients: npt.ArrayLike, task: Task
) -> tuple[Calibration, dict[CalibrationKind, float]]:
    """The kind with the least log loss on patients left out in turn, fitted on all.

    Args:
        probabilities: shape (images, classes), of images that the model was not trained on.
        targets: shape (images,), or (images, classes) for multilabel.
        patients: the patient of each image: all of one are left out together, copies of images too.
        task: binary, multiclass or multilabel.

    Returns:
        The calibration, and the mean log loss of each kind on images left out. With a single patient, where nothing
        can be left out, no calibration and no losses.
    """
    owners = np.asarray(patients)
    folds = min(FOLDS, len(np.unique(owners)))
    if folds < 2:
        return Calibration(), {}
    parts = list(GroupKFold(folds).split(probabilities, groups=owners))
    losses: dict[CalibrationKind, float] = {}
    for kind in KINDS[task]:
        total = 0.0
        for rest, left_out in parts:
            fitted = fit_kind(kind, probabilities[rest], targets[rest], task)
            moved = fitted.apply(probabilities[left_out], task)
            total += log_loss(moved, targets[left_out], task) * len(left_out)
        losses[kind] = total / len(probabilities)
    best = min(losses, key=lambda kind: losses[kind])
    return fit_kind(best, probabilities, targets, task), losses


def _fit_beta(probabilities: Floats, targets: Ints, task: Task) -> Calibration:
    """Exponents of 0 or more, so that the order stays (Kull et al. 2017, doi:10.1214/17-EJS1338SI)."""
    doubt = 1 / (len(targets) + 2)

    def loss(values: Floats) -> float:
        return log_loss(Calibration("beta", tuple(values)).apply(probabilities, task), targets, task, doubt)

    limits = [_EXPONENTS, _EXPONENTS, _CONSTANTS]
    options = {"xatol": 1e-5, "fatol": 1e-9, "maxiter": 2000}
    optimum = minimize(loss, np.array([1.0, 1.0, 0.0]), method="Nelder-Mead", bounds=limits, options=options)
    return Calibration("beta", tuple(float(value) for value in optimum.x))


def _fit_isotonic(probabilities: Floats, targets: Ints, task: Task) -> Calibration:
    """Means of neighbours until they rise; none nearer to 0 or 1 than the doubt (doi:10.1145/775047.775151)."""
    scores = probabilities[:, 1] if task == "binary" else probabilities.ravel()
    doubt = 1 / (len(targets) + 2)
    rising = IsotonicRegression(y_min=doubt, y_max=1 - doubt, out_of_bounds="clip").fit(scores, targets.ravel())
    before, place = np.unique(rising.X_thresholds_, return_index=True)
    after = np.maximum.accumulate(rising.y_thresholds_[place])
    return Calibration("isotonic", tuple(float(value) for value in (*before, *after)))
