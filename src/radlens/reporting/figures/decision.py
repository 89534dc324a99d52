"""The figure for those who are to act on the answers: net benefit against the probability at which one would act."""

from __future__ import annotations

from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from radlens.reporting.figures.style import INK, MUTED, PALETTE, new_figure, styled
from radlens.runtime.metrics_sections import DecisionCurve


@styled
def decision_curve_figure(curve: DecisionCurve) -> Figure:
    """Net benefit of acting on the model, on everyone and on no one (Vickers and Elkin 2006)."""
    steps = curve.threshold
    figure = new_figure(height=3.8)
    axes = figure.subplots()
    axes.axhline(0, color=INK, linewidth=1.2, label="no one")
    axes.plot(steps, curve.treat_all, color=MUTED, linewidth=1.4, linestyle=(0, (5, 2)), label="everyone")
    axes.fill_between(steps, curve.low, curve.high, color=PALETTE[0], alpha=0.18, linewidth=0)
    axes.plot(steps, curve.net_benefit, color=PALETTE[0], label="the model")
    top = max(*curve.high, 0.01)
    axes.set(
        xlabel="probability from which on one acts",
        ylabel="net benefit",
        xlim=(0, 1),
        ylim=(max(-0.25 * top, min(*curve.low, 0)) - 0.04 * top, 1.06 * top),
    )
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    handles, texts = axes.get_legend_handles_labels()
    figure.legend(handles[::-1], texts[::-1], loc="outside lower center", ncols=3)
    return figure
