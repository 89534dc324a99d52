"""The audit's figures show the numbers that they are given."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from radlens.reporting.figures.audit import auroc_dots, spreads
from radlens.reporting.figures.style import class_colour


def texts(figure: Figure) -> list[str]:
    figure.canvas.draw()
    return [text.get_text() for text in figure.findobj(mpl.text.Text) if text.get_text()]


def test_dots_lie_at_their_values_with_their_intervals_and_a_line_at_guessing() -> None:
    rows = pd.DataFrame(
        {
            "name": ["file", "border", "$x$"],
            "auroc": [0.98, 0.7, 0.3],
            "low": [0.95, 0.6, np.nan],
            "high": [1, 0.8, np.nan],
        }
    )
    figure = auroc_dots(rows)
    (axes,) = figure.axes
    dots, guessing = axes.lines
    np.testing.assert_allclose(np.asarray(dots.get_xdata()), [0.98, 0.7, 0.3])
    assert set(np.asarray(guessing.get_xdata()).tolist()) == {0.5}
    intervals = axes.collections[0]
    assert isinstance(intervals, LineCollection)
    segments = intervals.get_segments()
    np.testing.assert_allclose([segment[:, 0] for segment in segments], [[0.95, 1], [0.6, 0.8]])
    assert {"file", "border", "$x$", "0.98", "0.70", "0.30"} <= set(texts(figure))
    low, high = axes.get_xlim()
    assert low < 0.3
    assert high >= 1
    # The first row is on top.
    assert axes.transData.transform((0.5, 0))[1] > axes.transData.transform((0.5, 2))[1]


@pytest.mark.parametrize("value", [0.5, 0.87, 0.91, 1.0])
def test_no_number_lies_outside_the_figure(value: float) -> None:
    rows = pd.DataFrame({"name": ["a"], "auroc": [value], "low": [max(0, value - 0.1)], "high": [min(1, value + 0.01)]})
    figure = auroc_dots(rows)
    figure.canvas.draw()
    (axes,) = figure.axes
    width = figure.bbox.width
    for note in axes.texts:
        extent = note.get_window_extent()
        assert extent.x0 > 0
        assert extent.x1 < width


def test_spreads_show_five_quantiles_in_the_colour_of_the_class() -> None:
    rows = pd.DataFrame(
        {
            "name": ["train · a", "train · b"],
            "group": [0, 1],
            "p5": [1, 2],
            "p25": [2, 3],
            "p50": [3, 4],
            "p75": [4, 5],
            "p95": [5000, 6000],
        }
    )
    figure = spreads(rows, "width (pixels)")
    (axes,) = figure.axes
    thin, thick, dots = axes.collections
    assert isinstance(thin, LineCollection)
    assert isinstance(thick, LineCollection)
    np.testing.assert_allclose([segment[:, 0] for segment in thin.get_segments()], [[1, 5000], [2, 6000]])
    np.testing.assert_allclose([segment[:, 0] for segment in thick.get_segments()], [[2, 4], [3, 5]])
    np.testing.assert_allclose(np.asarray(dots.get_offsets()), [[3, 0], [4, 1]])
    for part in (thin, thick):
        colours = np.asarray(part.get_colors())
        np.testing.assert_allclose(colours[:, :3], [mpl.colors.to_rgb(class_colour(i)) for i in (0, 1)])
    assert {"train · a", "train · b", "width (pixels)", "6,000"} <= set(texts(figure))
