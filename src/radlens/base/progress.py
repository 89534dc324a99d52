"""Progress of long work on the terminal, with a rate and an estimate, written to standard error."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

T = TypeVar("T")


class RateColumn(ProgressColumn):
    """Items finished in a second."""

    def render(self, task: Task) -> Text:
        """The rate of the task, or nothing before it is known."""
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.0f}/s", style="progress.data.speed")


def progress_bar(console: Console | None = None) -> Progress:
    """A bar with count, rate, elapsed time and estimate; shows nothing when standard error is not a terminal."""
    console = console or Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        RateColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    )


def track(items: Iterable[T], description: str, total: int) -> Iterator[T]:
    """Yield the items while showing how many of the total are done."""
    with progress_bar() as bar:
        yield from bar.track(items, total=total, description=description)
