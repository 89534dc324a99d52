"""Fixtures that all tests share."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

SHARED_DATA = Path(os.environ.get("RADLENS_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))

# How long an example takes says nothing on a busy machine.
hypothesis.settings.register_profile("radlens", deadline=None)
hypothesis.settings.load_profile("radlens")


def pytest_configure(config: pytest.Config) -> None:
    """Give each of several test processes a core of its own: arithmetic on the same cores slows each other tenfold."""
    worker = getattr(config, "workerinput", None)
    if worker is not None and hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[int(worker["workerid"].removeprefix("gw")) % len(cores)]})


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whole runs first: what begins last then is short, and no process waits for another at the end."""
    whole_runs = Path(__file__).parent / "workflows"
    items.sort(key=lambda item: not item.path.is_relative_to(whole_runs))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real X-rays; the test is skipped where it is absent."""
    if not (SHARED_DATA / "kermany224" / "train").is_dir():
        pytest.skip(
            f"real X-rays are absent: {SHARED_DATA} (set RADLENS_TEST_DATA to the folder that holds kermany224)"
        )
    return SHARED_DATA


@pytest.fixture
def no_privileges() -> Iterator[None]:
    """Permissions count, even where the tests run as root: this thread and those it starts lose the right to pass by.

    Linux alone can do so (capabilities(7): CAP_DAC_OVERRIDE is bit 1, CAP_DAC_READ_SEARCH bit 2).
    """
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        yield
        return
    library = ctypes.CDLL(None, use_errno=True)
    header, state = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    if not hasattr(library, "capset") or library.capget(header, state):
        pytest.skip("root may read every file, and this system has no capabilities to give up")
    before = state[0]
    state[0] = before & ~0b110
    assert library.capset(header, state) == 0
    yield
    state[0] = before
    assert library.capset(header, state) == 0


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the user's pixel cache and salt out of the tests."""
    monkeypatch.setenv("RADLENS_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
    monkeypatch.setenv("RADLENS_SALT", "the salt of the tests")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say at the end of a run when the tests on real X-rays did not run."""
    skipped = [report for report in terminalreporter.stats.get("skipped", []) if "real X-rays" in str(report.longrepr)]
    if skipped:
        terminalreporter.write_line(
            f"WARNING: {len(skipped)} test(s) on real X-rays were skipped.", yellow=True, bold=True
        )
