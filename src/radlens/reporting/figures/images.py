"""Figures that show images: samples of each class, augmented samples, wrong answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from radlens.reporting.figures.style import INK, PALETTE, new_figure, shown, styled

Pixels = npt.NDArray[np.uint8]
T = TypeVar("T")

_CELL = 1.5


@styled
def sample_grid(samples: Mapping[str, Sequence[tuple[str, Pixels]]], columns: int = 6) -> Figure:
    """A row of images for each class.

    Args:
        samples: path and uint8 pixels, shape (height, width) or (height, width, 3), of some images of each class.
        columns: the most images in a row.
    """
    figure = new_figure(height=len(samples) * (_CELL + 0.3), width=_CELL * columns)
    panels = figure.subplots(len(samples), columns, squeeze=False)
    for row, (name, images) in zip(panels, samples.items(), strict=True):
        for axes, item in _padded(row, images):
            _show(axes, item[1] if item else None)
        row[0].set_title(shown(name))
    return figure


@styled
def augmented_grid(examples: Sequence[tuple[Pixels, Sequence[Pixels]]], columns: int = 6) -> Figure:
    """In each row an image as it is, and next to it what augmentation made of it."""
    figure = new_figure(height=len(examples) * _CELL + 0.3, width=_CELL * columns)
    panels = figure.subplots(len(examples), columns, squeeze=False)
    for row, (original, variants) in zip(panels, examples, strict=True):
        for axes, pixels in _padded(row, [original, *variants]):
            _show(axes, pixels)
    panels[0, 0].set_title("original")
    if columns > 1:
        panels[0, 1].set_title("augmented")
    return figure


@styled
def error_grid(errors: pd.DataFrame, read_pixels: Callable[[str], Pixels], limit: int = 24, columns: int = 6) -> Figure:
    """The first wrong answers with true and predicted label, score and file name.

    Args:
        errors: as :func:`radlens.assessment.misclassified.misclassified` orders them.
        read_pixels: gives the pixels of a path.
        limit: the most images shown.
        columns: images in a row.
    """
    part = errors.head(limit)
    rows = max(1, -(-len(part) // columns))
    figure = new_figure(height=rows * (_CELL + 0.75), width=columns * (_CELL + 0.15))
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    records: list[Any] = list(part.itertuples())
    for axes, record in _padded(panels, records):
        _show(axes, read_pixels(str(record.path)) if record else None)
        if record:
            answer = (
                f"{shown(record.label or 'none', 20)}\n→ {shown(record.predicted or 'none', 18)}  {record.score:.2f}"
            )
            axes.set_title(answer, fontsize=8, color=PALETTE[1] if record.missed else INK)
            axes.set_xlabel(shown(str(record.path).rsplit("/", 1)[-1], 26), fontsize=6.5)
    if not records:
        figure.text(0.5, 0.5, "no wrong answer", ha="center", va="center")
    return figure


def _padded(panels: Iterable[Axes], items: Sequence[T]) -> list[tuple[Axes, T | None]]:
    panels = list(panels)
    shortened = list(items)[: len(panels)]
    return list(zip(panels, [*shortened, *[None] * (len(panels) - len(shortened))], strict=True))


def _show(axes: Axes, pixels: Pixels | None) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    if pixels is not None:
        axes.imshow(pixels, cmap="gray", vmin=0, vmax=255)
