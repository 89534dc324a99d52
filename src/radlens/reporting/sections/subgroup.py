"""Who the model fails, as a section of the report: what differs in words, a table a column, forest plots."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from radlens.assessment.comparison_verdict import p_text
from radlens.assessment.subgroup_columns import NAME_FAMILY
from radlens.assessment.subgroups import SHOWN, TESTED
from radlens.reporting.content import ReportContent
from radlens.reporting.embed import Chart
from radlens.reporting.figures.style import SPLIT_NAMES
from radlens.reporting.figures.subgroups import forest
from radlens.reporting.wording import METRIC_NAMES, SHARES, number

# A difference is called one when its p-value, adjusted for all tests, is below this.
LEVEL = 0.05


@dataclass(frozen=True)
class Cell:
    """A figure of a group: its value, its interval, and what the test of its difference says."""

    value: str
    interval: str
    test: str
    differs: bool


@dataclass(frozen=True)
class GroupRow:
    """A group of images."""

    name: str
    images: str
    patients: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class SubgroupView:
    """The section, ready to be shown."""

    split: str
    verdict: str
    tone: str
    found: tuple[str, ...]
    metrics: tuple[str, ...]
    columns: tuple[tuple[str, tuple[GroupRow, ...]], ...]
    charts: tuple[Chart, ...]
    tests: int


def subgroup_view(content: ReportContent) -> SubgroupView | None:
    """The section on groups of the main split; None where there are none."""
    table = content.subgroups
    if table is None or table.empty:
        return None
    block = content.metrics[content.main_split]
    metrics = [name for name in SHOWN if table.loc[table["metric"] == name, "value"].notna().any()]
    differing = table[table["p_holm"] < LEVEL].sort_values("p_holm", kind="stable")
    tests = _count_tests(table)
    verdict, tone = _verdict(differing, tests)
    charts = tuple(
        Chart(
            forest(table, name, METRIC_NAMES[name], block.metrics[name].value, block.interval.confidence),
            f"forest-{name}",
            f"{METRIC_NAMES[name]} by group",
            _forest_text(table, name),
            "The dashed line is all images. Square and orange: differs from the rest by more than chance.",
        )
        for name in TESTED[content.info.task]
        if (table.loc[table["metric"] == name, "value"].notna()).sum() > 1
    )
    columns = tuple(
        (_column_name(str(column)), tuple(_rows(part, metrics))) for column, part in table.groupby("column", sort=False)
    )
    return SubgroupView(
        split=SPLIT_NAMES[content.main_split],
        verdict=verdict,
        tone=tone,
        found=tuple(_sentence(row) for _, row in differing.iterrows()),
        metrics=tuple(METRIC_NAMES[name] for name in metrics),
        columns=columns,
        charts=charts,
        tests=tests,
    )


def _verdict(differing: pd.DataFrame, tests: int) -> tuple[str, str]:
    if differing.empty and not tests:
        return "The groups are too small to test whether the model does differently on any of them.", "warning"
    if differing.empty:
        compared = "The one difference tested is no" if tests == 1 else f"None of the {tests} differences tested is"
        proof = "That is not proof that there is none: the intervals say how large one may be."
        return f"{compared} larger than chance would make it. {proof}", ""
    groups = differing[["column", "group"]].drop_duplicates()
    noun = "group" if len(groups) == 1 else "groups"
    return f"The model does differently on {len(groups)} {noun} than on the rest, by more than chance.", "warning"


def _sentence(row: pd.Series) -> str:
    share = row["metric"] in SHARES
    name = METRIC_NAMES[row["metric"]]
    return (
        f"{_column_name(row['column'])}, {row['group']}: {name} {number(row['value'], share=share)} against "
        f"{number(row['rest'], share=share)} in the rest (p {p_text(row['p_holm'])}, adjusted for all tests)."
    )


def _rows(part: pd.DataFrame, metrics: list[str]) -> list[GroupRow]:
    rows = []
    for group, rows_of_group in part.groupby("group", sort=False):
        cells = tuple(_cell(rows_of_group[rows_of_group["metric"] == name].iloc[0], name) for name in metrics)
        first = rows_of_group.iloc[0]
        rows.append(GroupRow(str(group), f"{first['n']:,}", f"{first['n_patients']:,}", cells))
    return rows


def _cell(row: pd.Series, name: str) -> Cell:
    if pd.isna(row["value"]):
        return Cell("–", str(row["remark"]), "", False)
    share = name in SHARES
    interval = "no interval"
    if pd.notna(row["low"]):
        low, high = number(row["low"], share=share), number(row["high"], share=share)
        interval = f"{low.removesuffix('%')}–{high}"
    differs = bool(row["p_holm"] < LEVEL)
    test = str(row["remark"]) if pd.isna(row["p_holm"]) else f"p {p_text(row['p_holm'])}"
    return Cell(number(row["value"], share=share), interval, test, differs)


def _forest_text(table: pd.DataFrame, metric: str) -> str:
    share = metric in SHARES
    rows = table[(table["metric"] == metric) & table["value"].notna()]
    said = [
        f"{_column_name(row['column'])}, {row['group']}: {number(row['value'], share=share)}"
        for _, row in rows.iterrows()
    ]
    return f"{METRIC_NAMES[metric]} by group. {'; '.join(said)}."


def _column_name(column: str) -> str:
    text = {NAME_FAMILY: "family of file names"}.get(column, column.replace("_", " "))
    return text[:1].upper() + text[1:]


def _count_tests(table: pd.DataFrame) -> int:
    """Of two groups that are each other's rest, the shared test counts once."""
    tested = table[table["p"].notna()]
    pairs = tested.assign(size=tested["difference"].abs().round(12))
    return len(pairs.drop_duplicates(["column", "metric", "size", "p"]))
