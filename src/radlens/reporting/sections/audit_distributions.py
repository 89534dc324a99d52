"""How sizes, intensities and other facts are distributed over splits and classes, as charts and a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from radlens.dataset.audit import Audit
from radlens.dataset.audit.distributions import QUANTILES, Distribution
from radlens.reporting.embed import Chart
from radlens.reporting.figures.audit import spreads
from radlens.reporting.figures.style import SPLIT_NAMES
from radlens.reporting.sections.audit_part import Part, Table, fact_name, number_text

# The facts that are drawn, where they vary, and how their axis is named.
_DRAWN = {
    "width": "width (pixels)",
    "height": "height (pixels)",
    "bytes": "file size (KB)",
    "intensity_mean": "mean grey value (0 to 255)",
    "intensity_std": "spread of grey values (standard deviation)",
    "age": "age (years)",
}
_MOST_ROWS = 18
_MOST_LEVELS = 3
_MOST_COLUMNS = 6


def distribution_part(audit: Audit) -> Part | None:
    """Sizes, intensities and other facts of the images, per split and class."""
    if not audit.distributions:
        return None
    by_fact: dict[str, list[Distribution]] = {}
    for distribution in audit.distributions:
        by_fact.setdefault(distribution.fact, []).append(distribution)
    varying = {fact: distributions for fact, distributions in by_fact.items() if _varies(distributions)}
    same = [
        f"{fact_name(fact)} {_only_value(distributions)}"
        for fact, distributions in by_fact.items()
        if fact not in varying
    ]
    charts = [
        _spread_chart(fact, varying[fact])
        for fact in _DRAWN
        if any(distribution.quantiles for distribution in varying.get(fact, ()))
    ]
    groups = [(distribution.split, distribution.label) for distribution in next(iter(by_fact.values()))]
    several = len({split for split, _ in groups}) > 1
    lead = "Classes or splits that differ here can be told apart by how the images were made."
    if charts:
        lead += " Dots are medians, thick lines the middle half of the images, thin lines 5 to 95% of them."
    return Part(
        title="Sizes and intensities per split and class" if several else "Sizes and intensities per class",
        lead=lead,
        charts=tuple(chart for chart in charts if chart is not None),
        tables=(("Medians (5 to 95% of the images), or the most frequent names", _table(varying, groups, several)),)
        if varying
        else (),
        notes=(f"The same in all images: {', '.join(same)}.",) if same else (),
    )


def _table(facts: Mapping[str, Sequence[Distribution]], groups: Sequence[tuple[str, str]], several: bool) -> Table:
    """Facts in rows and splits and classes in columns, or the other way round where these are many."""
    heads = [_group_name(split, label, several) for split, label in groups]
    names = [fact_name(fact).capitalize() for fact in facts]
    cells = [[_summary(distributions, split, label) for split, label in groups] for distributions in facts.values()]
    corner = "Fact"
    if len(groups) > _MOST_COLUMNS:
        heads, names, cells = names, heads, [list(column) for column in zip(*cells, strict=True)]
        corner = "Split and class" if several else "Class"
    rows = tuple((name, *row) for name, row in zip(names, cells, strict=True))
    return Table((corner, *heads), rows, (False,) * len(rows))


def _varies(distributions: Sequence[Distribution]) -> bool:
    ends = {value for distribution in distributions for value in distribution.quantiles}
    names = {level for distribution in distributions for level in distribution.levels}
    known = any(distribution.unknown < distribution.images for distribution in distributions)
    return len(ends) > 1 or len(names) > 1 or (known and any(distribution.unknown for distribution in distributions))


def _only_value(distributions: Sequence[Distribution]) -> str:
    for distribution in distributions:
        if distribution.quantiles:
            return number_text(distribution.quantiles[0], distribution.fact)
        if distribution.levels:
            return next(iter(distribution.levels))
    return "unknown"


def _summary(distributions: Sequence[Distribution], split: str, label: str) -> str:
    distribution = next(
        (distribution for distribution in distributions if (distribution.split, distribution.label) == (split, label)),
        None,
    )
    if distribution is None or distribution.unknown == distribution.images:
        return "unknown"
    if distribution.quantiles:
        low, middle, high = (
            number_text(distribution.quantiles[QUANTILES.index(at)], distribution.fact) for at in (0.05, 0.5, 0.95)
        )
        return middle if low == high else f"{middle} ({low.removesuffix(' KB')} to {high.removesuffix(' KB')})"
    listed = [
        f"{level} {count / distribution.images:.0%}"
        for level, count in list(distribution.levels.items())[:_MOST_LEVELS]
    ]
    return ", ".join(listed) + (", …" if len(distribution.levels) > _MOST_LEVELS else "")


def _spread_chart(fact: str, distributions: Sequence[Distribution]) -> Chart | None:
    known = [distribution for distribution in distributions if distribution.quantiles]
    limited = len(known) > _MOST_ROWS
    if limited:
        known = [distribution for distribution in known if distribution.split == known[0].split]
    if len(known) > 2 * _MOST_ROWS:
        return None
    several = len({distribution.split for distribution in known}) > 1
    labels = list(dict.fromkeys(distribution.label for distribution in distributions))
    scale = 1024 if fact == "bytes" else 1
    rows = pd.DataFrame(
        {
            "name": _group_name(distribution.split, distribution.label, several),
            "group": labels.index(distribution.label),
            **{
                f"p{round(100 * at)}": distribution.quantiles[QUANTILES.index(at)] / scale
                for at in (0.05, 0.25, 0.5, 0.75, 0.95)
            },
        }
        for distribution in known
    )
    said = "; ".join(
        f"{_group_name(distribution.split, distribution.label, several)} "
        f"{_summary([distribution], distribution.split, distribution.label)}"
        for distribution in known
    )
    only = f"Only {SPLIT_NAMES.get(known[0].split, 'the first')} images are drawn." if limited else ""
    return Chart(
        spreads(rows, _DRAWN[fact]),
        f"audit-{fact.replace('_', '-')}",
        fact_name(fact).capitalize(),
        f"{fact_name(fact).capitalize()}, median and 5 to 95% of the images: {said}.",
        only,
    )


def _group_name(split: str, label: str, several: bool) -> str:
    return f"{SPLIT_NAMES.get(split, split) or 'unsplit'} · {label}" if several else label
