"""The bar shows count, rate and estimate on a terminal, and nothing elsewhere."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest
from rich.console import Console

from radlens.base.progress import RateColumn, progress_bar, track


def terminal() -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=120, color_system=None)


def shown(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_terminal_sees_description_and_count() -> None:
    console = terminal()
    with progress_bar(console) as bar:
        for _ in bar.track(range(7), total=7, description="Decoding images"):
            pass
    text = shown(console)
    assert "Decoding images" in text
    assert "7/7" in text


def test_elsewhere_nothing_is_written() -> None:
    console = Console(file=io.StringIO(), force_terminal=False)
    with progress_bar(console) as bar:
        assert list(bar.track(range(3), total=3)) == [0, 1, 2]
    assert shown(console) == ""


def test_tracked_items_come_through_in_order_and_as_they_are_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    taken = []

    def source() -> Iterator[int]:
        for number in range(5):
            taken.append(number)
            yield number

    tracked = track(source(), "Reading", 5)
    assert next(tracked) == 0
    assert taken == [0]
    assert list(tracked) == [1, 2, 3, 4]
    assert capsys.readouterr() == ("", "")


def test_the_rate_is_empty_until_known_and_counts_by_the_clock() -> None:
    seconds = 0.0
    with progress_bar(terminal()) as bar:
        bar.get_time = lambda: seconds
        bar.add_task("x", total=3000)
        task = bar.tasks[0]
        column = RateColumn()
        assert column.render(task).plain == ""
        for _ in range(2):
            seconds += 1.0
            bar.update(task.id, advance=1500)
        assert column.render(task).plain == "1,500/s"


def test_a_bar_within_a_bar_shows_both() -> None:
    console = terminal()
    with progress_bar(console) as outer:
        for _ in outer.track(range(2), total=2, description="Changing the framing"):
            with progress_bar(console) as inner:
                assert list(inner.track(range(3), total=3, description="Scoring")) == [0, 1, 2]
    assert "Changing the framing" in shown(console)
    assert "Scoring" in shown(console)
