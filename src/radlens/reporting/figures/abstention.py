"""Figures of abstaining: what the surest answers are worth, and how unlike the training images the images are."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from radlens.reporting.figures.style import INK, PALETTE, new_figure, styled
from radlens.runtime.metrics_sections import AbstentionCounts
from radlens.runtime.records import AlphaChoice


@styled
def risk_coverage_curve(
    coverage: npt.NDArray[np.float64], risk: npt.NDArray[np.float64], counts: AbstentionCounts
) -> Figure:
    """Wrong answers among the surest, and where the model that abstains stands.

    Args:
        coverage: shares of the images, ascending.
        risk: the share of wrong answers among them.
        counts: what :func:`radlens.assessment.abstention.abstention` gave.
    """
    figure = new_figure(height=3.3)
    axes = figure.subplots()
    axes.plot(coverage, risk, color=PALETTE[0], drawstyle="steps-post", label="the surest answers")
    answered, accuracy = counts.answered.value, counts.accuracy.value
    highest = float(risk.max())
    if answered is not None and accuracy is not None:
        axes.plot([answered], [1 - accuracy], color=PALETTE[1], marker="D", linestyle="none", label="answered")
        highest = max(highest, 1 - accuracy)
    axes.set(xlim=(0, 1.01), ylim=(-0.02 * max(highest, 0.01), 1.1 * max(highest, 0.01)))
    axes.set(xlabel="share of the images that is answered", ylabel="wrong among them")
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=1))
    figure.legend(loc="outside lower center", ncols=2)
    return figure


@styled
def alpha_costs(choice: AlphaChoice, alpha: float) -> Figure:
    """What each rate of error refers, and which share of the errors it avoids; the rate that was chosen is marked.

    Args:
        choice: what was weighed.
        alpha: the rate that was chosen.
    """
    figure = new_figure(height=3.3)
    axes = figure.subplots()
    referred = [point.referred / choice.images for point in choice.points]
    avoided = [point.errors_avoided / max(choice.errors, 1) for point in choice.points]
    axes.plot(referred, avoided, color=PALETTE[0], marker="o", markersize=4, linewidth=0.8, label="rates of error")
    # Rates of the same outcome share a label.
    rates_at: dict[tuple[float, float], list[float]] = {}
    for place, point in zip(zip(referred, avoided, strict=True), choice.points, strict=True):
        rates_at.setdefault(place, []).append(point.alpha)
    for place, alphas in rates_at.items():
        ends = dict.fromkeys((min(alphas), max(alphas)))
        text = "–".join(f"{100 * end:g}" for end in ends) + "%"
        axes.annotate(text, place, (4, -10), textcoords="offset points", fontsize=8)
    number = [point.alpha for point in choice.points].index(alpha)
    axes.plot(referred[number], avoided[number], color=PALETTE[1], marker="D", linestyle="none", label="chosen")
    axes.axvline(choice.most_referred, color=INK, linewidth=1.0, linestyle=(0, (4, 3)), label="most referred")
    axes.set(xlabel="share of the images that is referred", ylabel="errors avoided", xlim=(0, None), ylim=(-0.03, 1.05))
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    figure.legend(loc="outside lower center", ncols=3)
    return figure


@styled
def unfamiliarity_histogram(far: pd.Series) -> Figure:
    """How far the images are from those of training, on a scale on which the limit is 1.

    Args:
        far: a share of the limit for each image, from 0 up.
    """
    figure = new_figure(height=3.0)
    axes = figure.subplots()
    end = max(1.5, float(far.max()))
    axes.hist(far, bins=np.linspace(0, end, 41).tolist(), color=PALETTE[0], alpha=0.7)
    axes.axvline(1.0, color=INK, linewidth=1.2, linestyle=(0, (4, 3)), label="refused beyond")
    axes.set(xlabel="distance from the training images (limit = 1)", ylabel="images", xlim=(0, end))
    figure.legend(loc="outside lower center")
    return figure
