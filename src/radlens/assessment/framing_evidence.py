"""What changes a model's mind and must not: its answers to the same images under other framings.

A network that goes by how tightly a chest was framed is right on an internal test, whose images were framed as those
of training were, and wrong elsewhere (Geirhos et al. 2020, shortcut learning, doi:10.1038/s42256-020-00257-z). Changing
nothing but the framing tells the two apart without images from elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import zip_longest

import numpy as np
import numpy.typing as npt
import pandas as pd

from radlens.assessment.framing_answers import FramedAnswers, Groups, figures_of, groups_of, mean_of_means
from radlens.assessment.predictions import probabilities_of, targets_of
from radlens.base.progress import track
from radlens.dataset.manifest import DatasetInfo
from radlens.decision import name_answers
from radlens.imaging.framing import SUITE, Framing, FramingChange, reframe
from radlens.runtime.framing_records import (
    TOLERATED_LOSS,
    ChangeEvidence,
    Estimate,
    Flip,
    FramingEvidence,
    Verdict,
)
from radlens.statistics.intervals import logit_limits

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Pixels = npt.NDArray[np.uint8]

# With fewer images of a class a model is said neither to pass nor to fail.
FEWEST = 20
# How far a change moved a logit, its number in the suite and the question whose answer turned.
_Turn = tuple[float, int, int]
# Images shown whose decision flips.
_MOST_FLIPS = 12
# After training the suite may cost this share of it; a step of training costs as much as so many forward passes.
_SHARE_OF_TRAINING, _PASSES_OF_A_STEP = 0.1, 3
# With fewer images the suite would say nothing, however short the training was.
_LEAST_AFFORDED = 64


def affordable_images(training_images: int, epochs: int, passes: int) -> int:
    """How many images the suite may take so that it costs at most about a tenth of training, and 64 in any case.

    Work is counted in forward passes and not in seconds, so that the same settings give the same figures anywhere.

    Args:
        training_images: how many there are.
        epochs: passes over them.
        passes: of the network for one answer: 2 where the mirror image is asked about too.

    >>> affordable_images(4000, 30, 2), affordable_images(500, 2, 1)
    (391, 64)
    """
    work = _SHARE_OF_TRAINING * _PASSES_OF_A_STEP * epochs * training_images
    return max(_LEAST_AFFORDED, int(work / (len(SUITE) * passes)))


def sample_images(predictions: pd.DataFrame, info: DatasetInfo, most: int, seed: int) -> Ints:
    """Positions of at most ``most`` rows in ascending order: of each class as many, for multilabel any.

    A class with fewer leaves its places to the others.
    """
    rng = np.random.default_rng((seed, 41))
    order = rng.permutation(len(predictions))
    if info.task == "multilabel" or len(order) <= most:
        return np.sort(order[:most])
    truth = targets_of(predictions, info)[order]
    # Each image's number within its class: taking the lowest numbers first fills all classes evenly.
    turn = pd.Series(truth).groupby(truth).cumcount().to_numpy()
    return np.sort(order[np.argsort(turn, kind="stable")[:most]])


def framings_of(change: FramingChange, images: int, seed: int) -> list[Framing]:
    """The framing of each image under a change: the same seed gives the same."""
    return change.framings(images, np.random.default_rng((seed, 43, SUITE.index(change))))


def measure_framing(
    predict: Callable[[Pixels], Floats],
    pixels: Pixels,
    predictions: pd.DataFrame,
    info: DatasetInfo,
    threshold: float,
    *,
    seed: int = 0,
    confidence: float = 0.95,
) -> FramingEvidence:
    """Ask a model about images under every change of the suite.

    Args:
        predict: from pixels to class probabilities, shape (images, classes).
        pixels: uint8, shape (images, channels, height, width), as the model's contract gives them.
        predictions: the model's answers to the same images in the same order; see
            :func:`radlens.assessment.predictions.predictions_table`.
        info: the task and the classes.
        threshold: the operating point.
        seed: what random windows follow from.
        confidence: of the intervals.

    Raises:
        ValueError: pixels and predictions are not of as many images.
    """
    if len(pixels) != len(predictions):
        raise ValueError(f"{len(pixels)} images and {len(predictions)} predictions")
    answers = [
        predict(reframe(pixels, framings_of(change, len(pixels), seed)))
        for change in track(SUITE, "Changing the framing (changes)", len(SUITE))
    ]
    return judge_framing(predictions, answers, info, threshold, seed=seed, confidence=confidence)


def judge_framing(
    predictions: pd.DataFrame,
    answers: Sequence[npt.ArrayLike],
    info: DatasetInfo,
    threshold: float,
    *,
    seed: int = 0,
    confidence: float = 0.95,
) -> FramingEvidence:
    """The evidence from the answers under every change.

    Args:
        predictions: answers to the unchanged images.
        answers: class probabilities, shape (images, classes), under each change of the suite in its order, the framings
            being those of :func:`framings_of` with the same seed.
        info: the task and the classes.
        threshold: the operating point.
        seed: what random windows followed from.
        confidence: of the intervals.
    """
    truth = targets_of(predictions, info)
    groups = groups_of(truth, info)
    plain = FramedAnswers.of(probabilities_of(predictions, info), truth, info, threshold)
    changed = [FramedAnswers.of(np.asarray(each, dtype=np.float64), truth, info, threshold) for each in answers]
    figures = tuple(figures_of(change, plain, each, groups) for change, each in zip(SUITE, changed, strict=True))
    counted = [number for number, change in enumerate(SUITE) if change.counted]
    worst = min(counted, key=lambda number: figures[number].balanced_accuracy)
    patients = predictions["patient"].to_numpy(dtype=str)
    unchanged = figures_of(None, plain, plain, groups)
    loss = _loss(plain, changed[worst], groups, patients, 1 - (1 - confidence) / len(counted))
    return FramingEvidence(
        images=len(predictions),
        patients=len(np.unique(patients)),
        confidence=confidence,
        seed=seed,
        unchanged=unchanged,
        changes=figures,
        worst=figures[worst].name,
        worst_balanced_accuracy=_balanced(changed[worst], groups, patients, confidence),
        loss=loss,
        verdict=_verdict(loss, unchanged, info),
        flips=_flips(predictions, plain, changed, info, seed),
    )


def _balanced(answers: FramedAnswers, groups: Groups, patients: npt.NDArray[np.str_], confidence: float) -> Estimate:
    mean = mean_of_means(answers.right.astype(np.float64), groups, patients)
    low, high = logit_limits(mean.value, mean.standard_error**2, confidence, mean.patients)
    return Estimate(value=mean.value, low=low, high=high)


def _loss(
    plain: FramedAnswers,
    changed: FramedAnswers,
    groups: Groups,
    patients: npt.NDArray[np.str_],
    confidence: float,
) -> Estimate:
    lost = mean_of_means(plain.right.astype(np.float64) - changed.right, groups, patients)
    low, high = lost.limits(confidence)
    return Estimate(value=lost.value, low=max(-1.0, low), high=min(1.0, high))


def _verdict(loss: Estimate, unchanged: ChangeEvidence, info: DatasetInfo) -> Verdict:
    every = 2 * len(info.classes) if info.task == "multilabel" else len(info.classes)
    absent = len(unchanged.groups) < every
    # Where all of a few images answer alike the interval has no width, and would be taken for certainty.
    if absent or any(group.images < FEWEST for group in unchanged.groups.values()):
        return "warn"
    if loss.low > TOLERATED_LOSS:
        return "fail"
    # Shares of few images differ by rounding where they are the same.
    return "warn" if loss.value > TOLERATED_LOSS + 1e-9 else "pass"


def _flips(
    predictions: pd.DataFrame, plain: FramedAnswers, changed: Sequence[FramedAnswers], info: DatasetInfo, seed: int
) -> tuple[Flip, ...]:
    """Images that counted changes turn wrong, of each kind of change in turn the one whose logit it moves most."""
    kinds: dict[str, dict[int, _Turn]] = {}
    for number, (change, answers) in enumerate(zip(SUITE, changed, strict=True)):
        if not change.counted:
            continue
        turned = plain.right & ~answers.right
        moved = np.where(turned, np.abs(answers.logits - plain.logits), -1.0)
        of_kind = kinds.setdefault(change.kind, {})
        for image in np.flatnonzero(turned.any(axis=1)).tolist():
            question = int(moved[image].argmax())
            turn = (float(moved[image, question]), number, question)
            of_kind[image] = max(of_kind.get(image, turn), turn, key=lambda one: one[0])
    queues = [sorted(turns.items(), key=lambda item: -item[1][0]) for turns in kinds.values() if turns]
    queues.sort(key=lambda queue: -queue[0][1][0])
    shown: dict[int, _Turn] = {}
    for each in zip_longest(*queues):
        for item in filter(None, each):
            if len(shown) < _MOST_FLIPS:
                shown.setdefault(*item)
    return tuple(
        _flip(predictions, image, number, question, plain, changed[number], info, seed)
        for image, (_, number, question) in shown.items()
    )


def _flip(
    predictions: pd.DataFrame,
    image: int,
    number: int,
    question: int,
    plain: FramedAnswers,
    changed: FramedAnswers,
    info: DatasetInfo,
    seed: int,
) -> Flip:
    row = predictions.iloc[image]
    framing = framings_of(SUITE[number], len(predictions), seed)[image]
    decided = changed.decided[image] if info.task == "multilabel" else changed.decided[image, 0]
    asked = {"binary": info.classes[-1], "multiclass": str(row["label"]), "multilabel": info.classes[question]}
    return Flip(
        path=str(row["path"]),
        label=str(row["label"]),
        predicted=name_answers(np.array([decided]), info.task, info.classes)[0],
        change=SUITE[number].name,
        window=(framing.top, framing.bottom, framing.left, framing.right),
        asked=asked[info.task],
        before=float(plain.probability[image, question]),
        after=float(changed.probability[image, question]),
    )
