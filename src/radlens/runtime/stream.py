"""Many items through several threads in batches: in order, with a bounded number on the way."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

A = TypeVar("A")
B = TypeVar("B")


def in_order(
    work: Callable[[list[A]], list[B]], items: Iterable[A], *, workers: int, batch_size: int
) -> Generator[B, None, None]:
    """Apply ``work`` to batches of the items, and yield the results one by one in the order of the items.

    A thread of its own draws the items, so that finished results do not wait for an item that is yet to come. A batch
    is what is there when a thread is free, ``batch_size`` at most. However many items there are, only some dozens
    are held at a time. When the caller stops early, no further batch is begun.

    Args:
        work: from some items to as many results; called from several threads at once.
        items: any number; may block.
        workers: threads that work.
        batch_size: most items at a time.

    Raises:
        Exception: what ``work`` or drawing the items raised, in its turn.
    """
    flow = _Flow(work, items, workers, batch_size)
    try:
        yield from flow.results()
    finally:
        flow.stop()


class _Flow(Generic[A, B]):
    def __init__(self, work: Callable[[list[A]], list[B]], items: Iterable[A], workers: int, batch_size: int) -> None:
        self._work, self._batch_size = work, batch_size
        self._room = threading.Semaphore(8 * workers * batch_size)
        self._jobs: SimpleQueue[tuple[A, Future[B]] | None] = SimpleQueue()
        self._order: SimpleQueue[Future[B] | None] = SimpleQueue()
        self._taking, self._stopped = threading.Lock(), threading.Event()
        self._workers = [threading.Thread(target=self._run, daemon=True) for _ in range(workers)]
        # Never waited for: it may hang in reading a pipe.
        feeder = threading.Thread(target=self._feed, args=(items,), daemon=True)
        for thread in (*self._workers, feeder):
            thread.start()

    def results(self) -> Generator[B, None, None]:
        while (future := self._order.get()) is not None:
            result = future.result()
            self._room.release()
            yield result

    def stop(self) -> None:
        self._stopped.set()
        self._room.release()
        self._jobs.put(None)
        for worker in self._workers:
            worker.join()

    def _feed(self, items: Iterable[A]) -> None:
        try:
            for item in items:
                self._room.acquire()
                if self._stopped.is_set():
                    break
                future: Future[B] = Future()
                self._order.put(future)
                self._jobs.put((item, future))
        except Exception as error:  # noqa: BLE001
            failed: Future[B] = Future()
            failed.set_exception(error)
            self._order.put(failed)
        self._order.put(None)
        self._jobs.put(None)

    def _run(self) -> None:
        while batch := self._take():
            try:
                for (_, future), result in zip(batch, self._work([item for item, _ in batch]), strict=True):
                    future.set_result(result)
            except BaseException as error:  # noqa: BLE001
                for _, future in batch:
                    if not future.done():
                        future.set_exception(error)

    def _take(self) -> list[tuple[A, Future[B]]]:
        """The next items that are there, in their order; none when there are no more."""
        batch: list[tuple[A, Future[B]]] = []
        with self._taking:
            while len(batch) < self._batch_size and not self._stopped.is_set():
                try:
                    job = self._jobs.get(block=not batch)
                except Empty:
                    break
                if job is None:
                    # Left there for the other threads.
                    self._jobs.put(None)
                    break
                batch.append(job)
        return batch
