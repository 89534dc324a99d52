"""How figures of the benchmarks are written: cells and tables in Markdown."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence

import pandas as pd


def seeds_named(data: pd.DataFrame) -> str:
    """The seeds of a data file, or how many repeats it has."""
    if "seed" in data:
        return ", ".join(f"{seed:g}" for seed in sorted(data["seed"].unique()))
    return f"{data['repeat'].nunique()} repeats" if "repeat" in data else "–"


def machines_named(data: pd.DataFrame) -> str:
    """The machines that a data file names, each once."""
    column = next((name for name in ("machine", "device") if name in data), None)
    return "; ".join(dict.fromkeys(_without_commit(name) for name in data[column])) if column else "–"


def _without_commit(machine: str) -> str:
    return machine.partition("; radlens at")[0]


def with_interval(figure: dict[str, float]) -> str:
    """A figure with the ends of its interval."""
    return f"{figure['value']:.3f} ({figure['low']:.3f}, {figure['high']:.3f})"


def with_spread(values: pd.Series[float], digits: int) -> str:
    """The mean, with the smallest and the largest where there are several."""
    mean, low, high = (f"{value:.{digits}f}" for value in (values.mean(), values.min(), values.max()))
    return mean if len(values) == 1 else f"{mean} [{low}, {high}]"


def first_paragraph(source: str) -> str:
    """The first paragraph of a script's docstring, on one line."""
    text = ast.get_docstring(ast.parse(source)) or ""
    return " ".join(text.partition("\n\n")[0].replace("``", "`").split())


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n" for cells in lines)
