"""Tables and plot of what ``ablation.py`` measured, printed and put into the documentation."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from ablation_recipe import (
    BEFORE,
    CHOICES,
    COVERED,
    COVERED_FIGURES,
    DATA,
    FIGURES,
    KEY,
    PAGE,
    RESULTS,
    SHIFTED,
    TODAY,
    VARIANTS,
)
from common import markdown_table, write_between


def in_order(column: pd.Series[Any]) -> pd.Series[Any]:
    """The variants as they are listed here, those that are no more at the end; other columns as they are."""
    if column.name != "variant":
        return column
    names = [*VARIANTS, *sorted(set(column) - set(VARIANTS))]
    return column.map(names.index)


def summary(table: pd.DataFrame, figures: Mapping[str, str]) -> pd.DataFrame:
    """Mean over shifts and seeds, with the difference from the recipe over the runs that both have.

    The standard error is that of the mean of the paired differences.
    """
    paired = table.set_index(KEY)[list(figures)]
    recipe = paired.loc["recipe"]
    rows = []
    for variant in table["variant"].unique():
        own = paired.loc[variant]
        common = own.index.intersection(recipe.index)
        difference = own.loc[common] - recipe.loc[common]
        for figure in figures:
            values = difference[figure]
            rows.append(
                {
                    "variant": variant,
                    "figure": figure,
                    "runs": len(own),
                    "mean": own[figure].mean(),
                    "sd": own.groupby("shift")[figure].std().mean(),
                    "difference": values.mean(),
                    "error": values.std() / np.sqrt(len(values)) if len(values) > 1 else np.nan,
                }
            )
    return pd.DataFrame(rows)


def draw_plot(summarised: pd.DataFrame, path: Path) -> None:
    """Difference of each variant from the recipe, with twice its standard error to either side."""
    shown = ("auroc_shifted", "auroc_corrupted", "balanced_shifted")
    # What is far worse than all others would leave no room to tell these apart.
    hidden = ("recipe", "random initial weights")
    variants = [name for name in summarised["variant"].unique() if name not in hidden][::-1]
    figure, axes = plt.subplots(1, len(shown), figsize=(12, 0.26 * len(variants) + 1.5), sharey=True)
    for axis, name in zip(axes, shown, strict=True):
        rows = summarised[summarised["figure"] == name].set_index("variant").loc[variants]
        ends = 2 * rows["error"]
        axis.errorbar(
            rows["difference"], range(len(variants)), xerr=ends, fmt="o", capsize=2, markersize=4, color="#1b5e8c"
        )
        axis.axvline(0, color="grey", linewidth=1)
        axis.set(title=FIGURES[name], xlabel="difference from the recipe")
        axis.set_yticks(range(len(variants)), variants, fontsize=8)
        axis.locator_params(axis="x", nbins=5)
        axis.grid(axis="x", alpha=0.3)
    figure.tight_layout()
    figure.savefig(path, dpi=100)
    plt.close(figure)


def variant_table(summarised: pd.DataFrame, figures: Mapping[str, str]) -> str:
    """One line a variant, with its differences from the recipe."""
    rows = []
    for variant, part in summarised.groupby("variant", sort=False):
        part = part.set_index("figure")
        cells = [f"{part['mean'][name]:.3f}" for name in figures]
        if variant == "recipe":
            cells = [f"{cell} (SD {part['sd'][name]:.3f})" for cell, name in zip(cells, figures, strict=True)]
        else:
            cells = [
                f"{cell} ({part['difference'][name]:+.4f} ± {part['error'][name]:.4f})"
                for cell, name in zip(cells, figures, strict=True)
            ]
        rows.append([str(variant), str(part["runs"].iloc[0]), *cells])
    return markdown_table(["variant", "runs", *figures.values()], rows)


def report() -> None:
    """Print the tables from the data file, put them into the documentation, and draw the plot."""
    data = pd.read_csv(DATA).sort_values(["variant", "shift", "seed"], key=in_order)
    today, before = (data[data["recipe"] == recipe] for recipe in (TODAY, BEFORE))
    summarised = summary(today, FIGURES)
    # What was not measured again, and what it is compared with.
    dropped = before[~before["variant"].isin(set(today["variant"]) - {"recipe"})]
    covered = today[today["variant"].isin(COVERED)]
    tables = {
        "ablation": variant_table(summarised, FIGURES) + "\n" + choice_table(today, CHOICES, SHIFTED[TODAY]),
        "dropped": variant_table(summary(dropped, FIGURES), FIGURES) + "\n" + choice_table(before, {}, SHIFTED[BEFORE]),
        "covered": variant_table(summary(covered, COVERED_FIGURES), COVERED_FIGURES),
    }
    draw_plot(summarised, RESULTS / "ablation.png")
    for place, table in tables.items():
        print(table)
        write_between(PAGE, place, table)


def choice_table(data: pd.DataFrame, choices: Mapping[str, str], shifted: Mapping[str, str]) -> str:
    """Mean and worst over all runs for each way to calibrate, to choose a threshold, and to ask.

    Networks without weights from ImageNet, which hardly learn from so few images, are left out.
    """
    data = data[data["variant"] != "random initial weights"]
    rows: list[list[str]] = []
    for prefix, worst in choices.items():
        for name in [column for column in map(str, data) if column.startswith(prefix)]:
            rows.append([name, f"{data[name].mean():.4f}", f"{getattr(data[name], worst)():.4f}"])
    for name, words in shifted.items():
        difference = data[name] - data["auroc_shifted"]
        error = difference.std() / np.sqrt(len(data))
        gain = f" ({difference.mean():+.4f} ± {error:.4f})" if error else ""
        rows.append([words, f"{data[name].mean():.4f}{gain}", f"{data[name].min():.4f}"])
    return markdown_table([f"on the images left out, {len(data)} runs", "mean", "worst"], rows)
