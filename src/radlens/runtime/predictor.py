"""Answers for images without PyTorch: from files, bytes or arrays, one, some, or a stream without end."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Protocol, TypeAlias, overload

import numpy as np
import numpy.typing as npt
from PIL import Image

from radlens.base.cpu import available_cores
from radlens.base.errors import DataError, RadlensError, UsageError, did_you_mean
from radlens.imaging.limits import DecodeLimits
from radlens.runtime.answers import Answer, Outputs, ReadImage, answer_of, needed_outputs
from radlens.runtime.model_config import ModelConfig
from radlens.runtime.overlay import overlay
from radlens.runtime.prevalence import Prevalence
from radlens.runtime.remarks import remarks_of
from radlens.runtime.sources import Source, name_of, picture_of, read_image
from radlens.runtime.stream import in_order

# Told of every image that was read: the source, its answer, its class activation map.
Onlooker: TypeAlias = Callable[[Source, Answer, npt.NDArray[np.float32]], None]

# What a thread reads, decodes and answers in one go; see IMAGES_AT_ONCE of radlens.runtime.onnx_network.
BATCH_SIZE = 4
# Of pixels that are ready, enough that every core has several such batches.
PIXELS_AT_ONCE = 32


class Network(Protocol):
    """What computes: an :class:`radlens.runtime.onnx_network.OnnxNetwork`, or the trained network itself."""

    outputs: frozenset[str]

    def run(self, pixels: npt.NDArray[np.uint8], wanted: Sequence[str]) -> Outputs:
        """The wanted outputs for pixels of shape (images, channels, height, width), each with one row an image."""


class Predictor:
    """A model that answers. All methods may be called from any number of threads at once.

    Args:
        config: what the model folder says.
        network: what computes.
        identity: of the model, which rows of answers name; see :func:`radlens.runtime.loading.load`.
        operating_point: name of one of the operating points that the model carries; None: its own threshold.
        prevalence: share of images of the positive class where the model is used, for a binary model; probabilities and
            threshold are then told for it, and the answers stay what they were. None: as in validation.
        limits: bounds on the files that are opened; None: those of training.

    Attributes:
        threshold: the operating point in force, on the scale of the probabilities that are told.

    Raises:
        UsageError: the model carries no operating point of this name, or cannot be told a prevalence.
        DataError: the network lacks an output that the config needs.
    """

    def __init__(
        self,
        config: ModelConfig,
        network: Network,
        identity: str = "",
        *,
        operating_point: str | None = None,
        prevalence: float | None = None,
        limits: DecodeLimits | None = None,
    ) -> None:
        self.config, self.identity = config, identity
        self.task, self.classes, self.preprocessing = config.task, config.classes, config.preprocessing
        self._decide_at = _threshold(config, operating_point)
        self._prevalence = Prevalence(config, prevalence)
        self.threshold = float(self._prevalence.tell(np.array([[1 - self._decide_at, self._decide_at]]))[0, 1])
        self._network, self._limits, self._needed = network, limits or config.limits, needed_outputs(config)
        missing = sorted({*self._needed} - network.outputs)
        if missing:
            raise DataError(
                f"The model's network gives no {', '.join(missing)}, which its config.json needs. Write the folder "
                "again with: radlens export MODEL"
            )

    @overload
    def predict(self, images: Source, *, fail_fast: bool = False) -> Answer: ...  # type: ignore[overload-overlap]
    @overload
    def predict(self, images: Iterable[Source], *, fail_fast: bool = False) -> list[Answer]: ...
    def predict(self, images: Source | Iterable[Source], *, fail_fast: bool = False) -> Answer | list[Answer]:
        """Answer for one image or for several.

        Args:
            images: a path, the bytes of a file, or a picture as array; or any number of them. A picture is uint8, shape
                (height, width) or (height, width, 3), 0 black to 255 white, bone bright, as
                :func:`radlens.imaging.decode.decode` gives it; or of wider values, where the model recorded in
                training which of them is white.
            fail_fast: raise for the first image that cannot be read; else its answer says why.

        Returns:
            One answer for one image; else a list in the same order.

        Raises:
            DataError: with ``fail_fast``, an image cannot be read.
        """
        if isinstance(images, str | Path | bytes | np.ndarray):
            return _or_raise(self._answer([images], None)[0], fail_fast=fail_fast)
        return list(self.stream(images, fail_fast=fail_fast))

    def predict_batch(self, pixels: npt.NDArray[np.uint8], batch_size: int = PIXELS_AT_ONCE) -> list[Answer]:
        """Answer for pixels that the contract was applied to already.

        Args:
            pixels: uint8, shape (images, channels, height, width); may be memory-mapped.
            batch_size: images taken at once.

        Raises:
            DataError: the pixels have another shape or type.
        """
        answers: list[Answer] = []
        for start in range(0, len(self._checked(pixels)), batch_size):
            part = pixels[start : start + batch_size]
            images = [ReadImage("array", image, remarks_of(image, self.preprocessing)) for image in part]
            answers += self._answers(images, self._network.run(part, self._needed))
        return answers

    def probabilities(self, pixels: npt.NDArray[np.uint8], batch_size: int = PIXELS_AT_ONCE) -> npt.NDArray[np.float64]:
        """Calibrated class probabilities alone, shape (images, classes); takes what :meth:`predict_batch` takes."""
        results = np.empty((len(self._checked(pixels)), len(self.classes)))
        for start in range(0, len(pixels), batch_size):
            part = pixels[start : start + batch_size]
            results[start : start + len(part)] = self._network.run(part, ("probabilities",))["probabilities"]
        return self._prevalence.tell(results)

    def stream(
        self,
        images: Iterable[Source],
        *,
        batch_size: int = BATCH_SIZE,
        workers: int = 0,
        fail_fast: bool = False,
        onlooker: Onlooker | None = None,
    ) -> Generator[Answer, None, None]:
        """Answer for any number of images, in their order, with some dozens in memory.

        Each thread reads, decodes and answers a batch, so that one reads while another computes.

        Args:
            images: as for :meth:`predict`; may block, as a pipe does.
            batch_size: most images that the network takes at once.
            workers: threads; 0: one a core.
            fail_fast: raise for the first image that cannot be read.
            onlooker: called from the threads for every image that was read.

        Raises:
            DataError: with ``fail_fast``, an image cannot be read; or an onlooker is given and the model makes no maps.
            UsageError: ``batch_size`` or ``workers`` is out of range.
        """
        if batch_size < 1 or workers < 0:
            raise UsageError(f"batch_size must be 1 or more and workers 0 or more, got {batch_size} and {workers}.")
        if onlooker is not None:
            self.require_maps()

        def work(sources: list[Source]) -> list[Answer]:
            return self._answer(sources, onlooker)

        answers = in_order(work, images, workers=workers or available_cores(), batch_size=batch_size)
        with closing(answers):
            for answer in answers:
                yield _or_raise(answer, fail_fast=fail_fast)

    def explain(self, image: Source) -> Image.Image:
        """The picture at its own size, red where it speaks for the answer and blue where against, with a legend.

        Raises:
            DataError: the image cannot be read, or the model makes no class activation maps.
        """
        self.require_maps()
        read = read_image(image, self.preprocessing, self._limits)
        outputs = self._network.run(read.pixels[np.newaxis], (*self._needed, "cam"))
        return self.overlay(image, self._answers([read], outputs)[0], outputs["cam"][0])

    def overlay(self, image: Source, answer: Answer, cam: npt.NDArray[np.float32]) -> Image.Image:
        """What :meth:`explain` gives, of an answer and a map that were made already.

        Raises:
            DecodeError: the image cannot be read.
        """
        return overlay(picture_of(image, self.preprocessing, self._limits), cam, answer, self.config)

    def _answer(self, sources: Sequence[Source], onlooker: Onlooker | None) -> list[Answer]:
        """Answers for a few sources; those that cannot be read are told apart before the network runs."""
        images = [self._read_or_say(source) for source in sources]
        readable = [
            (source, image) for source, image in zip(sources, images, strict=True) if isinstance(image, ReadImage)
        ]
        answered: list[Answer] = []
        if readable:
            wanted = (*self._needed, "cam") if onlooker else self._needed
            outputs = self._network.run(np.stack([image.pixels for _, image in readable]), wanted)
            answered = self._answers([image for _, image in readable], outputs)
            if onlooker:
                for (source, _), answer, cam in zip(readable, answered, outputs["cam"], strict=True):
                    onlooker(source, answer, cam)
        left = iter(answered)
        return [image if isinstance(image, Answer) else next(left) for image in images]

    def _answers(self, images: Sequence[ReadImage], outputs: Outputs) -> list[Answer]:
        answers = [
            answer_of(image, {name: rows[number] for name, rows in outputs.items()}, self.config, self._decide_at)
            for number, image in enumerate(images)
        ]
        if not self._prevalence.is_stated:
            return answers
        told = self._prevalence.tell(outputs["probabilities"]).tolist()
        return [
            replace(answer, probabilities=dict(zip(self.classes, row, strict=True)))
            for answer, row in zip(answers, told, strict=True)
        ]

    def _read_or_say(self, source: Source) -> ReadImage | Answer:
        try:
            return read_image(source, self.preprocessing, self._limits)
        except RadlensError as error:
            name = name_of(source)
            return Answer(name, error=str(error).removeprefix(f"{name}: "))

    def _checked(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        if pixels.dtype != np.uint8 or pixels.shape[1:] != self.preprocessing.shape:
            raise DataError(
                f"Pixels of type {pixels.dtype} and shape {pixels.shape} were given; uint8 of shape "
                f"(images, {', '.join(map(str, self.preprocessing.shape))}) was expected, as the contract makes them. "
                "For pictures of other sizes use predict."
            )
        return pixels

    def require_maps(self) -> None:
        """Check that the model makes class activation maps.

        Raises:
            DataError: it makes none.
        """
        if "cam" not in self._network.outputs:
            raise DataError(
                f"The model makes no class activation maps: its network ({self.config.network}) has no global pooling, "
                "or the folder has no model.onnx. There is nothing to explain with."
            )


def _threshold(config: ModelConfig, operating_point: str | None) -> float:
    if operating_point is None:
        return config.threshold
    if operating_point not in config.operating_points:
        known = config.operating_points
        raise UsageError(
            f"The model has no operating point {operating_point!r}. "
            + (did_you_mean(operating_point, known) if known else "It carries none besides its own threshold.")
        )
    return config.operating_points[operating_point]


def _or_raise(answer: Answer, *, fail_fast: bool) -> Answer:
    if answer.error and fail_fast:
        raise DataError(f"{answer.path}: {answer.error}")
    return answer
