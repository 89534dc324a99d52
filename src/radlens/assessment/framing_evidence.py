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

from radlens.assessment.changed_answers import judge_changes
from radlens.assessment.predictions import targets_of
from radlens.base.progress import track
from radlens.dataset.manifest import DatasetInfo
from radlens.imaging.framing import SUITE, Framing, FramingChange, reframe
from radlens.runtime.framing_records import Flip, FramingEvidence

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Pixels = npt.NDArray[np.uint8]

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
    judged = judge_changes(SUITE, predictions, answers, info, threshold, confidence)
    flips = []
    for turned in judged.turned:
        framing = framings_of(SUITE[turned.change], len(predictions), seed)[turned.image]
        window = (framing.top, framing.bottom, framing.left, framing.right)
        flips.append(Flip(**turned.described(SUITE, predictions), window=window))
    return FramingEvidence(
        images=len(predictions),
        patients=len(np.unique(predictions["patient"].to_numpy(dtype=str))),
        confidence=confidence,
        seed=seed,
        **judged.figures,
        flips=tuple(flips),
    )
