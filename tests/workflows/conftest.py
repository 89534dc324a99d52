"""Models whose reasons are known, for the tests of what changes a mind; and runs without their longest parts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import pytest

from made_stress import known_networks
from radlens.dataset.audit import inspect
from radlens.delivery import release
from radlens.delivery.onnx_export import NoGraphError

__all__ = ["known_networks"]


@contextmanager
def _without_graph_and_shortcuts() -> Iterator[None]:
    """Half the time of a small run goes into these two, which test_run.py has and most other tests do not look at."""

    def no_graph(*args: Any, **named: Any) -> NoReturn:
        raise NoGraphError("left out in this test")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(release, "export_graph", no_graph)
        patch.setattr(inspect, "find_shortcuts", lambda *_: ())
        yield


@pytest.fixture(scope="module")
def light_runs() -> Iterator[None]:
    """All runs of a module do without the ONNX graph and the audit's shortcuts."""
    with _without_graph_and_shortcuts():
        yield


@pytest.fixture
def light_run() -> Iterator[None]:
    """The runs of one test do without the ONNX graph and the audit's shortcuts."""
    with _without_graph_and_shortcuts():
        yield
