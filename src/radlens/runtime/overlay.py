"""The map of where a model looks over the picture: red where it speaks for the class, blue where against it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from radlens.imaging.paint import AGAINST, FOR, OPACITY, paint
from radlens.runtime.answers import Answer
from radlens.runtime.model_config import ModelConfig

_MIN_WIDTH = 320

Floats = npt.NDArray[np.float32]


def overlay(picture: Image.Image, cam: Floats, answer: Answer, config: ModelConfig) -> Image.Image:
    """Lay the map of one class over the picture, at the picture's own size, with a legend below it.

    The map (:func:`radlens.learning.saliency.activation_maps`) holds what each place adds to the logit: its mean over
    the places is the logit, before calibration. Of a binary model it is that of the positive class; of a multiclass
    model that of the answer; of a multilabel model that of the most probable label.

    Args:
        picture: as :func:`radlens.imaging.decode.decode` gives it.
        cam: shape (outputs, height, width), of what the contract made of the picture.
        answer: to this picture.
        config: of the model.

    Returns:
        Mode ``RGB``; the picture lies at the left upper corner.
    """
    number = _class_shown(answer, config)
    values = cam[0] if config.task == "binary" else cam[number]
    largest = float(np.abs(values).max()) or 1.0
    shown = paint(picture, values, config.preprocessing)
    return _with_legend(shown, answer, config.classes[number], largest)


def _class_shown(answer: Answer, config: ModelConfig) -> int:
    if config.task == "binary":
        return 1
    return max(range(len(config.classes)), key=lambda number: answer.probabilities[config.classes[number]])


def _with_legend(shown: Image.Image, answer: Answer, name: str, largest: float) -> Image.Image:
    width = max(_MIN_WIDTH, shown.width)
    size = int(np.clip(width // 45, 12, 60))
    font = ImageFont.load_default(size)
    canvas = Image.new("RGB", (width, shown.height + 5 * size))
    canvas.paste(shown, (0, 0))
    draw = ImageDraw.Draw(canvas)
    top, edge = shown.height + size // 2, size // 2
    said = f"{name}: p = {answer.probabilities[name]:.3f}; answer: {answer.answer or 'none'}"
    draw.text((edge, top), said, fill="white", font=font)
    bar = _colour_bar(width - 2 * edge, size)
    canvas.paste(bar, (edge, top + size * 3 // 2))
    below = top + size * 11 // 4
    draw.text((edge, below), f"-{largest:.2f} against", fill="white", font=font)
    draw.text((width // 2, below), "0", fill="white", font=font, anchor="ma")
    draw.text((width - edge, below), f"for +{largest:.2f}", fill="white", font=font, anchor="ra")
    return canvas


def _colour_bar(width: int, height: int) -> Image.Image:
    """From all against to all for, over a mid-grey picture."""
    values = np.linspace(-1, 1, width, dtype=np.float32)
    opacity = np.abs(values)[:, np.newaxis] * OPACITY
    colour = np.where(values[:, np.newaxis] > 0, np.array(FOR), np.array(AGAINST))
    line = 128 * (1 - opacity) + colour * opacity
    return Image.fromarray(np.repeat(line[np.newaxis], height, axis=0).astype(np.uint8))
