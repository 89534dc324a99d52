"""The parts of an audit's page: charts and tables under one heading."""

from __future__ import annotations

import re
from dataclasses import dataclass

from radlens.reporting.embed import Chart

FACT_NAMES = {
    "bytes": "file size",
    "bytes_per_pixel": "bytes per pixel",
    "mode": "pixel form",
    "format": "file format",
    "intensity_mean": "mean grey value",
    "intensity_std": "spread of grey values",
    "aspect": "width / height",
    "chest_aspect": "chest height / width",
    "chest_share": "chest, share of the picture",
}


@dataclass(frozen=True)
class Table:
    """A table for the page: the first cell of a row names it.

    Attributes:
        columns: one name for each cell of a row.
        rows: the cells.
        strong: for each row, whether it stands out.
        text: numbers of columns whose cells are words rather than numbers.
        left_out: rows that are not shown.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    strong: tuple[bool, ...]
    text: tuple[int, ...] = ()
    left_out: int = 0


@dataclass(frozen=True)
class Part:
    """Charts and tables under one heading, with a sentence before them and notes after."""

    title: str
    lead: str
    charts: tuple[Chart, ...]
    tables: tuple[tuple[str, Table], ...]
    notes: tuple[str, ...] = ()
    alarming: bool = False


def fact_name(fact: str) -> str:
    """How a fact is named to a reader.

    >>> fact_name("bytes"), fact_name("corner_top_left_mean")
    ('file size', 'corner top left (mean)')
    """
    return FACT_NAMES.get(fact) or re.sub(r" (mean|std)$", r" (\1)", fact.replace("_", " "))


def number_text(value: float, fact: str) -> str:
    """A value of a fact, as long as a reader needs it.

    >>> number_text(524288, "bytes"), number_text(0.61234, "aspect"), number_text(2048.4, "width")
    ('512 KB', '0.612', '2,048')
    """
    if fact == "bytes":
        return f"{value / 1024:,.0f} KB" if value >= 10240 else f"{value / 1024:,.1f} KB"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
