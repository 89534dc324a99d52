"""What the command line prints of results: tables with the headline figures, and where to read more."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from radlens.assessment.comparison import Comparisons
    from radlens.dataset.audit import Audit
    from radlens.runtime.framing_records import FramingSummary
    from radlens.runtime.record_base import Figure
    from radlens.workflows.result import Result
    from radlens.workflows.stress_result import StressResult


def show_audit(audit: Audit) -> None:
    """What was found, by severity, a line each."""
    from rich.console import Console
    from rich.markup import escape

    console = Console()
    patients = f"{audit.images:,} images of {audit.patients:,} patients, {audit.unreadable:,} unreadable"
    console.print(patients, highlight=False)
    if not audit.findings:
        console.print("No problem found.")
        return
    colours = {"block": "red", "warn": "yellow", "note": "default"}
    for finding in audit.findings:
        severity = f"[{colours[finding.severity]}]{finding.severity:5}[/]"
        console.print(f"{severity} {finding.check}: {escape(finding.headline)}", soft_wrap=True, highlight=False)


def show_result(result: Result) -> None:
    """The headline figures with their intervals, and where to read more."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title="Simulated images, not of people" if result.manifest.info.simulated else None)
    table.add_column("metric")
    for name, record in result.metrics.items():
        table.add_column(f"{name} (n = {record.n})", justify="right")
    for metric in ("auroc", "accuracy", "sensitivity", "specificity", "precision", "f1"):
        table.add_row(metric, *(_interval(record.metrics[metric]) for record in result.metrics.values()))
    console = Console()
    console.print(table)
    if result.manifest.info.task == "binary":
        negative, positive = result.manifest.info.classes
        console.print(f"Positive: {positive}; negative: {negative}.", soft_wrap=True, highlight=False, markup=False)
    for name, record in result.metrics.items():
        if counts := record.abstention:
            console.print(
                f"Where it may abstain, on {name}: {counts.n_answered:,} answered, {counts.n_referred:,} referred, "
                f"{counts.n_refused:,} refused; {counts.errors_avoided:,} of {counts.errors:,} errors avoided.",
                soft_wrap=True,
                highlight=False,
            )
        if record.framing is not None:
            show_framing(record.framing.summary)
    console.print(f"Report: {result.report}", soft_wrap=True, highlight=False)


def show_framing(summary: FramingSummary) -> None:
    """One line on how the answers hang on the framing of images, and what to do about it."""
    from rich.console import Console
    from rich.markup import escape

    from radlens.assessment.framing_words import line

    colour = {"fail": "red", "warn": "yellow", "pass": "green"}[summary.verdict]
    head, _, rest = line(summary).partition(". ")
    Console().print(f"[{colour}]{escape(head)}.[/] {escape(rest)}", soft_wrap=True, highlight=False)


def show_comparison(comparisons: Comparisons) -> None:
    """The figures of each pair, with the interval of the difference."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from radlens.reporting.comparison_page import framing_rows, summary

    for rows in summary(comparisons):
        table = Table()
        for name in ("metric", rows.first, rows.second, "difference", f"{comparisons.confidence:.0%} CI", "p"):
            table.add_column(escape(name), justify="left" if name == "metric" else "right")
        for row in rows.cells:
            table.add_row(*map(escape, row))
        Console().print(table)
    for name, verdict, worst, limits, unchanged, change in framing_rows(comparisons):
        known = f", worst balanced accuracy {worst} (CI {limits}), unchanged {unchanged}: {change}"
        Console().print(
            f"Framing, {escape(name)}: {verdict}{'' if name not in comparisons.framing else known}",
            soft_wrap=True,
            highlight=False,
        )


def show_stress(result: StressResult) -> None:
    """The worst change of each suite, the verdict, what to do, and where to read more."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    record = result.record
    title = f"{record.framing.images:,} images of {record.framing.patients:,} patients"
    table = Table(title=f"{title}, simulated, not of people" if record.simulated else title)
    groups = record.framing.unchanged.groups
    for name in ("change", "balanced accuracy", "lost", *groups):
        table.add_column(escape(name), justify="left" if name == "change" else "right")
    rows = [(record.framing.unchanged, "")]
    rows += [
        (each.worst_change, f"{each.loss.value:.3f} ({each.loss.low:.3f}, {each.loss.high:.3f})")
        for each in record.suites().values()
    ]
    for change, lost in rows:
        recalls = [f"{group.recall:.3f}" for group in change.groups.values()]
        table.add_row(escape(change.name), f"{change.balanced_accuracy:.3f}", lost, *recalls)
    console = Console()
    console.print(table)
    colour = {"fail": "red", "warn": "yellow", "pass": "green"}[record.verdict]
    console.print(f"[{colour}]{escape(result.verdict)}[/]", soft_wrap=True, highlight=False)
    for text in (result.advice, f"Page: {result.page}"):
        console.print(text, soft_wrap=True, highlight=False, markup=False)


def _interval(figure: Figure) -> str:
    if figure.value is None:
        return "undefined"
    if figure.low is None:
        return f"{figure.value:.3f}"
    return f"{figure.value:.3f} ({figure.low:.3f}, {figure.high:.3f})"
