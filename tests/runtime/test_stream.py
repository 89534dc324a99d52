"""Items in batches through threads: in order, few at a time, and to an end whatever happens."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator

import pytest

from radlens.runtime.stream import in_order


def double(batch: list[int]) -> list[int]:
    # Later ones finish first.
    time.sleep(0.002 * (batch[0] % 3 == 0))
    return [2 * item for item in batch]


@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_results_come_in_the_order_of_the_items(workers: int, batch_size: int) -> None:
    assert list(in_order(double, range(200), workers=workers, batch_size=batch_size)) == list(range(0, 400, 2))
    assert list(in_order(double, [], workers=workers, batch_size=batch_size)) == []


def test_batches_are_as_large_as_allowed_and_no_larger() -> None:
    sizes = []

    def work(batch: list[int]) -> list[int]:
        sizes.append(len(batch))
        time.sleep(0.002)
        return batch

    list(in_order(work, range(100), workers=2, batch_size=7))
    assert sum(sizes) == 100
    assert max(sizes) == 7


def test_only_some_dozens_are_held_however_many_there_are() -> None:
    drawn = itertools.count()
    results = in_order(lambda batch: batch, (next(drawn) for _ in itertools.count()), workers=2, batch_size=3)
    for wanted in range(1000):
        assert next(results) == wanted
    results.close()
    assert next(drawn) <= 1000 + 8 * 2 * 3 + 2


def test_a_result_does_not_wait_for_an_item_that_is_yet_to_come() -> None:
    seen = threading.Event()

    def slow() -> Iterator[int]:
        yield 1
        assert seen.wait(10), "the first result was held back"
        yield 2

    results = in_order(double, slow(), workers=2, batch_size=8)
    assert next(results) == 2
    seen.set()
    assert list(results) == [4]


def test_what_the_work_raises_comes_in_its_turn() -> None:
    def work(batch: list[int]) -> list[int]:
        if 5 in batch:
            raise KeyError("five")
        return batch

    results = in_order(work, range(100), workers=2, batch_size=1)
    assert [next(results) for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(KeyError, match="five"):
        next(results)


def test_what_drawing_the_items_raises_comes_after_the_items_before() -> None:
    def broken() -> Iterator[int]:
        yield 0
        raise OSError("gone")

    results = in_order(double, broken(), workers=2, batch_size=4)
    assert next(results) == 0
    with pytest.raises(OSError, match="gone"):
        next(results)


def test_too_few_results_are_an_error_and_no_standstill() -> None:
    with pytest.raises(ValueError, match="zip"):
        list(in_order(lambda batch: batch[1:], range(10), workers=2, batch_size=2))


def test_no_thread_that_works_is_left_behind() -> None:
    before = set(threading.enumerate())
    results = in_order(double, itertools.count(), workers=3, batch_size=2)
    next(results)
    results.close()
    deadline = time.monotonic() + 10
    while set(threading.enumerate()) - before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert set(threading.enumerate()) <= before
