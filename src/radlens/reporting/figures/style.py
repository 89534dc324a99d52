"""The look that all figures share: one palette safe for colour-blind readers, one type size, a light page."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import matplotlib as mpl
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

P = ParamSpec("P")
R = TypeVar("R")

# Okabe and Ito 2008, "Color Universal Design": told apart by readers with any form of colour blindness.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7A5195", "#4D4D4D")
# How the splits are named to a reader.
SPLIT_NAMES = {"train": "training", "val": "validation", "test": "test"}

INK, MUTED, FAINT = "#1c2733", "#5b6875", "#dfe4e9"

# Inches; as wide as a phone's screen at a readable type size.
WIDTH = 4.8

# More curves than this in one figure cannot be told apart.
MOST_CURVES = len(PALETTE)

_STYLE: dict[str, Any] = {
    "font.family": ["sans-serif"],
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 10.0,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 10.0,
    "axes.labelcolor": INK,
    "axes.edgecolor": "#9aa5b1",
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlecolor": INK,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelsize": 9.0,
    "ytick.labelsize": 9.0,
    "grid.color": FAINT,
    "grid.linewidth": 0.7,
    "legend.fontsize": 9.0,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "image.cmap": "gray",
    "figure.dpi": 100,
    # A class may be called "$x$": names are shown as they are, never read as formulas.
    "text.parse_math": False,
    # The same figure gives the same bytes.
    "svg.hashsalt": "radlens",
    "svg.fonttype": "none",
}


def styled(function: Callable[P, R]) -> Callable[P, R]:
    """Run a drawing function with the shared look, leaving the caller's own settings as they were."""

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        settings: Any = sns.axes_style("whitegrid") | _STYLE
        with mpl.rc_context(settings), warnings.catch_warnings():
            # The font only measures; the reader's browser has the letters of other scripts.
            warnings.filterwarnings("ignore", message="Glyph .* missing from font")
            # seaborn 0.13 names a direction in the way of older releases of Matplotlib.
            warnings.filterwarnings("ignore", message="vert: bool was deprecated")
            return function(*args, **kwargs)

    return wrapper


def new_figure(height: float, width: float = WIDTH) -> Figure:
    """An empty figure of this size in inches that no global state knows of."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def square_figure(height: float = 4.5) -> tuple[Figure, Axes]:
    """Axes for two shares from 0 to 100%."""
    figure = new_figure(height, width=4.5)
    axes = figure.subplots()
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
    axes.set_box_aspect(1)
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    return figure, axes


def class_colour(index: int) -> str:
    """The colour of a class, the same in every figure."""
    return PALETTE[index % len(PALETTE)]


def shown(name: object, length: int = 28) -> str:
    """A name as it can be drawn: control characters as spaces, long ones cut.

    >>> shown("a very long name of a finding in an image")
    'a very long name of a findi…'
    """
    text = "".join(letter if letter.isprintable() else " " for letter in str(name))
    text = text if len(text) <= length else text[: length - 1] + "…"
    # Matplotlib leaves out legend entries that begin with an underscore.
    return "\u200b" + text if text.startswith("_") else text
