"""What a model that may abstain does: how many cases it answers, refers and refuses, and which errors that avoids."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from radlens.assessment.predictions import ANSWER, probabilities_of, targets_of
from radlens.dataset.manifest import DatasetInfo
from radlens.decision import REFER, REFUSE
from radlens.runtime.metrics_sections import AbstentionCounts
from radlens.runtime.record_base import Figure
from radlens.statistics.proportions import clustered_wilson

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

DEFINITIONS = {
    "answered": "share of images that the model answers by itself",
    "referred": "share that it refers to a person, because more than one class or none is plausible",
    "refused": "share that it refuses, because the image is unlike those that it was trained on",
    "accuracy": "share of the answers given that are right",
    "wrong": "of the images of a class, the share that is answered as another class; the stated rate of error bounds "
    "it for images like those of validation",
}


def abstention(predictions: pd.DataFrame, info: DatasetInfo, confidence: float) -> AbstentionCounts:
    """Count what was answered, referred and refused.

    Args:
        predictions: of one split, with the column ``answer``.
        info: the task and the classes.
        confidence: of the intervals: Wilson's, with the images of a patient taken together.

    Returns:
        The counts, and the shares of :data:`DEFINITIONS`; None where there is no image to take a share of.
    """
    answer, patients = predictions[ANSWER], predictions["patient"].to_numpy(dtype=str)
    referred, refused = (answer == REFER).to_numpy(), (answer == REFUSE).to_numpy()
    answered = ~(referred | refused)
    wrong = wrong_answers(predictions, info)
    everyone = np.ones(len(answer), dtype=bool)

    def share(of: Bools, among: Bools) -> Figure:
        return _share(of, among, patients, confidence)

    by_class = {}
    if info.task != "multilabel":
        truth = targets_of(predictions, info)
        of_class = {name: share(wrong & answered, truth == index) for index, name in enumerate(info.classes)}
        by_class = {"wrong": of_class}
    return AbstentionCounts(
        n_answered=int(answered.sum()),
        n_referred=int(referred.sum()),
        n_refused=int(refused.sum()),
        errors=int(wrong.sum()),
        errors_avoided=int((wrong & ~answered).sum()),
        answered=share(answered, everyone),
        referred=share(referred, everyone),
        refused=share(refused, everyone),
        accuracy=share(~wrong, answered),
        **by_class,
        definitions={name: text for name, text in DEFINITIONS.items() if name != "wrong" or by_class},
    )


def wrong_answers(predictions: pd.DataFrame, info: DatasetInfo) -> Bools:
    """Where the class at the operating point is not the true one; for multilabel, where any label is wrong."""
    differs = targets_of(predictions, info) != targets_of(predictions, info, "predicted")
    return np.asarray(differs.any(axis=1) if differs.ndim > 1 else differs)


def risk_coverage(predictions: pd.DataFrame, info: DatasetInfo) -> tuple[Floats, Floats]:
    """Share of wrong answers among those that the model is surest of, for every number of them.

    How sure it is is the probability of its answer's class; a curve that falls towards small shares says that what the
    model is sure of is right (El-Yaniv and Wiener 2010, https://www.jmlr.org/papers/v11/el-yaniv10a.html).

    Args:
        predictions: of one split, of a task with one class an image.
        info: the task and the classes.

    Returns:
        The share of the images that is answered, ascending to 1, and the share of wrong answers among them, each of
        shape (distinct degrees of sureness,): images that it is equally sure of come together.
    """
    called = targets_of(predictions, info, "predicted")
    sure = probabilities_of(predictions, info)[np.arange(len(called)), called]
    order = np.argsort(-sure, kind="stable")
    errors = np.cumsum(wrong_answers(predictions, info)[order])
    ends = np.flatnonzero(np.diff(sure[order], append=-1.0))
    return (ends + 1) / len(sure), errors[ends] / (ends + 1)


def _share(of: Bools, among: Bools, patients: npt.NDArray[np.str_], confidence: float) -> Figure:
    if not among.any():
        return Figure(value=None, low=None, high=None)
    low, high = clustered_wilson(of[among], patients[among], confidence)
    return Figure(value=float(of[among].mean()), low=low, high=high)
