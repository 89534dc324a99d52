"""What changes a model's mind and must not: its answers to the same images under other framings.

A network that goes by how tightly a chest was framed is right on an internal test, whose images were framed as those
of training were, and wrong elsewhere (Geirhos et al. 2020, shortcut learning, doi:10.1038/s42256-020-00257-z). Changing
nothing but the framing tells the two apart without images from elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from radlens.assessment.framing_records import (
    ChangeEvidence,
    Estimate,
    Flip,
    FramingEvidence,
    GroupAnswers,
    Verdict,
)
from radlens.assessment.intervals import logit_limits
from radlens.assessment.paired_difference import Difference
from radlens.assessment.predictions import probabilities_of, targets_of
from radlens.dataset.manifest import DatasetInfo
from radlens.decision import Task, decide, name_answers
from radlens.imaging.framing import SUITE, Framing, FramingChange, reframe

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Pixels = npt.NDArray[np.uint8]

# The loss of balanced accuracy under the worst change that a model may have.
TOLERATED_LOSS = 0.05
# With fewer images of a class a model is not said to pass.
FEWEST = 20
# Images shown whose decision flips.
_MOST_FLIPS = 12


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
    answers = [predict(reframe(pixels, framings_of(change, len(pixels), seed))) for change in SUITE]
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
    groups = _groups(truth, info)
    plain = _Answers.of(probabilities_of(predictions, info), truth, info, threshold)
    changed = [_Answers.of(np.asarray(each, dtype=np.float64), truth, info, threshold) for each in answers]
    figures = tuple(
        _figures(change.kind, change.strength, change.name, change.counted, plain, each, groups)
        for change, each in zip(SUITE, changed, strict=True)
    )
    counted = [number for number, change in enumerate(SUITE) if change.counted]
    worst = min(counted, key=lambda number: figures[number].balanced_accuracy)
    patients = predictions["patient"].to_numpy(dtype=str)
    unchanged = _figures("unchanged", 0.0, "unchanged", True, plain, plain, groups)
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
        verdict=_verdict(loss, unchanged),
        flips=_flips(predictions, plain, changed, info, seed),
    )


class _Answers:
    """Answers to the images under one framing, each of shape (images, questions): one question, or one a label."""

    def __init__(self, right: Bools, decided: Ints, logits: Floats, probability: Floats) -> None:
        self.right, self.decided, self.logits, self.probability = right, decided, logits, probability

    @classmethod
    def of(cls, probabilities: Floats, truth: Ints, info: DatasetInfo, threshold: float) -> _Answers:
        decided = decide(probabilities, info.task, threshold)
        asked = _asked(probabilities, truth, info.task)
        clipped = np.clip(asked, 1e-6, 1 - 1e-6)
        logits = np.log(clipped) - np.log1p(-clipped)
        rows = len(truth)
        return cls((decided == truth).reshape(rows, -1), decided.reshape(rows, -1), logits, asked)


def _asked(probabilities: Floats, truth: Ints, task: Task) -> Floats:
    """The probabilities whose logits are compared, shape (images, questions)."""
    if task == "multilabel":
        return probabilities
    column = np.ones(len(truth), dtype=np.int64) if task == "binary" else truth
    return probabilities[np.arange(len(truth)), column][:, None]


def _groups(truth: Ints, info: DatasetInfo) -> dict[str, tuple[Bools, int]]:
    """By name the images of each group and the question they are asked; groups without images are left out."""
    if info.task == "multilabel":
        named = {
            f"{prefix}{name}": (truth[:, index] == value, index)
            for index, name in enumerate(info.classes)
            for prefix, value in (("", 1), ("no ", 0))
        }
    else:
        named = {name: (truth == index, 0) for index, name in enumerate(info.classes)}
    return {name: group for name, group in named.items() if group[0].any()}


def _figures(
    kind: str,
    strength: float,
    name: str,
    counted: bool,
    plain: _Answers,
    changed: _Answers,
    groups: dict[str, tuple[Bools, int]],
) -> ChangeEvidence:
    each = {}
    for group, (members, question) in groups.items():
        logits = changed.logits[members, question]
        low, middle, high = np.quantile(logits, [0.25, 0.5, 0.75]).tolist()
        each[group] = GroupAnswers(
            images=int(members.sum()),
            recall=float(changed.right[members, question].mean()),
            flipped=float((changed.decided != plain.decided)[members, question].mean()),
            shift=float(np.median(logits - plain.logits[members, question])),
            quartiles=(low, middle, high),
        )
    balanced = float(np.mean([group.recall for group in each.values()]))
    return ChangeEvidence(
        kind=kind, strength=strength, name=name, counted=counted, balanced_accuracy=balanced, groups=each
    )


def _influence(right: Floats, groups: dict[str, tuple[Bools, int]]) -> Floats:
    """What each image adds to the mean of the groups' means less that mean, shape (images,)."""
    added = np.zeros(len(right))
    for members, question in groups.values():
        values = right[members, question]
        added[members] += (values - values.mean()) / len(values) / len(groups)
    return added


def _error(influence: Floats, patients: npt.NDArray[np.str_]) -> tuple[float, int]:
    """Standard error of a mean of means over patients, and how many patients there are (Rao and Scott 1992)."""
    _, member = np.unique(patients, return_inverse=True)
    sums = np.bincount(member, weights=influence)
    error = float(np.sqrt((sums**2).sum() * len(sums) / max(1, len(sums) - 1)))
    return error, len(sums)


def _balanced(
    answers: _Answers, groups: dict[str, tuple[Bools, int]], patients: npt.NDArray[np.str_], confidence: float
) -> Estimate:
    right = answers.right.astype(np.float64)
    value = float(np.mean([right[members, question].mean() for members, question in groups.values()]))
    error, count = _error(_influence(right, groups), patients)
    low, high = logit_limits(value, error**2, confidence, count)
    return Estimate(value=value, low=low, high=high)


def _loss(
    plain: _Answers,
    changed: _Answers,
    groups: dict[str, tuple[Bools, int]],
    patients: npt.NDArray[np.str_],
    confidence: float,
) -> Estimate:
    lost = plain.right.astype(np.float64) - changed.right
    value = float(np.mean([lost[members, question].mean() for members, question in groups.values()]))
    low, high = Difference(value, *_error(_influence(lost, groups), patients)).limits(confidence)
    return Estimate(value=value, low=max(-1.0, low), high=min(1.0, high))


def _verdict(loss: Estimate, unchanged: ChangeEvidence) -> Verdict:
    if loss.low > TOLERATED_LOSS:
        return "fail"
    few = any(group.images < FEWEST for group in unchanged.groups.values())
    return "warn" if few or loss.value > TOLERATED_LOSS else "pass"


def _flips(
    predictions: pd.DataFrame, plain: _Answers, changed: Sequence[_Answers], info: DatasetInfo, seed: int
) -> tuple[Flip, ...]:
    """For each image the counted change that moves its logit furthest to the wrong side; the furthest moved first."""
    furthest: dict[int, tuple[float, int]] = {}
    for number, (change, answers) in enumerate(zip(SUITE, changed, strict=True)):
        if not change.counted:
            continue
        turned = plain.right.all(axis=1) & ~answers.right.all(axis=1)
        moved = np.abs(answers.logits - plain.logits).max(axis=1)
        for image in np.flatnonzero(turned).tolist():
            furthest[image] = max(furthest.get(image, (0.0, number)), (float(moved[image]), number))
    ranked = sorted(furthest, key=lambda image: -furthest[image][0])[:_MOST_FLIPS]
    return tuple(
        _flip(predictions, image, furthest[image][1], plain, changed[furthest[image][1]], info, seed)
        for image in ranked
    )


def _flip(
    predictions: pd.DataFrame,
    image: int,
    number: int,
    plain: _Answers,
    changed: _Answers,
    info: DatasetInfo,
    seed: int,
) -> Flip:
    row = predictions.iloc[image]
    framing = framings_of(SUITE[number], len(predictions), seed)[image]
    question = int(np.abs(changed.logits - plain.logits)[image].argmax())
    decided = changed.decided[image] if info.task == "multilabel" else changed.decided[image, 0]
    return Flip(
        path=str(row["path"]),
        label=str(row["label"]),
        predicted=name_answers(np.array([decided]), info.task, info.classes)[0],
        change=SUITE[number].name,
        window=(framing.top, framing.bottom, framing.left, framing.right),
        before=float(plain.probability[image, question]),
        after=float(changed.probability[image, question]),
    )
