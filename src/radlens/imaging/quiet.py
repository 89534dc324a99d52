"""Reading DICOM without a word of pydicom's, which quotes in logs and warnings what it finds in a file."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


class _Silence(logging.Filter):
    """The state of the process that all threads that read share.

    Python's list of warning filters belongs to the process: were each thread to put its own back when it is done, one
    could let warnings through while another still reads, or leave them off for good. So the first to come in
    turns them off, and the last to go turns them on.
    """

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._readers = 0
        self._kept = warnings.catch_warnings()
        self._here = threading.local()

    def filter(self, record: logging.LogRecord) -> bool:  # noqa: ARG002
        """Hold back what is logged from within a thread that reads."""
        return not getattr(self._here, "depth", 0)

    def enter(self) -> None:
        self._here.depth = getattr(self._here, "depth", 0) + 1
        with self._lock:
            self._readers += 1
            if self._readers == 1:
                self._kept = warnings.catch_warnings()
                self._kept.__enter__()
                warnings.filterwarnings("ignore", module="pydicom")
                logging.getLogger("pydicom").addFilter(self)

    def leave(self) -> None:
        self._here.depth -= 1
        with self._lock:
            self._readers -= 1
            if self._readers == 0:
                self._kept.__exit__(None, None, None)
                logging.getLogger("pydicom").removeFilter(self)


_SILENCE = _Silence()


@contextmanager
def quiet_pydicom() -> Iterator[None]:
    """Within it, pydicom warns of nothing and logs nothing; any number of threads may be inside at once."""
    _SILENCE.enter()
    try:
        yield
    finally:
        _SILENCE.leave()
