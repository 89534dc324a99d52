"""Freed memory stays with the process where glibc is the allocator, and nothing breaks elsewhere."""

from __future__ import annotations

import ctypes
import platform
import subprocess
import sys

import pytest

from radlens.learning import allocator
from radlens.learning.allocator import keep_freed_memory

on_glibc = pytest.mark.skipif(
    sys.platform != "linux" or platform.libc_ver()[0] != "glibc", reason="glibc's allocator is not there to be told"
)

# Resident MiB kept after a block of 200 MiB was used and freed, as a training step does.
MEASURE = """
import ctypes, os, sys
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, (ctypes.c_size_t,)
libc.memset.argtypes, libc.free.argtypes = (ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t), (ctypes.c_void_p,)
how = sys.argv.pop()
if how == "keep":
    from radlens.learning.allocator import keep_freed_memory
    assert keep_freed_memory()
elif how == "command line":
    from radlens.cli.commands import main
    sys.argv.append("--version")
    try:
        main()
    except SystemExit:
        pass
elif how == "library":
    import tempfile
    from pathlib import Path
    import numpy as np
    from radlens.config import resolve
    from radlens.learning.data_module import LabelledPixels
    from radlens.learning.fit import fit
    from radlens.learning.trained_model import TrainedModel
    small = {"network": "small_resnet_28", "epochs": 1, "accelerator": "cpu", "progressive_resizing": 1.0, "threads": 1}
    settings = resolve("fast", preprocessing={"height": 28, "width": 28}, train=small)
    images = LabelledPixels(np.zeros((4, 1, 28, 28), np.uint8), np.arange(4), np.arange(4) % 2)
    with tempfile.TemporaryDirectory() as folder:
        fitted = fit(settings, "binary", ("a", "b"), images, images, Path(folder))
    tensors = {name: value.numpy() for name, value in fitted.network.items()}
    TrainedModel("binary", ("a", "b"), "small_resnet_28", settings.preprocessing, 0.5, tensors)
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
before = resident()
block = libc.malloc(200 * 2**20)
libc.memset(block, 1, 200 * 2**20)
libc.free(block)
print(resident() - before)
"""


def kept(how: str) -> float:
    done = subprocess.run([sys.executable, "-c", MEASURE, how], capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


@on_glibc
def test_a_big_freed_buffer_stays_with_the_process() -> None:
    assert kept("default") < 20
    assert kept("keep") > 150


@on_glibc
def test_the_command_line_which_owns_its_process_keeps_memory() -> None:
    assert kept("command line") > 150


@on_glibc
def test_training_and_building_a_model_leave_the_callers_allocator_alone() -> None:
    assert kept("library") < 20


def test_off_linux_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(ctypes, "CDLL", lambda _: pytest.fail("the C library was opened"))
    assert keep_freed_memory() is False


class Library:
    """A C library whose mallopt answers as told, and remembers what it was asked."""

    def __init__(self, answers: list[int]) -> None:
        self.answers, self.asked = answers, list[tuple[int, int]]()

        def mallopt(name: int, value: int) -> int:
            self.asked.append((name, value))
            return self.answers[len(self.asked) - 1]

        self.mallopt = mallopt


def test_an_old_glibc_gets_the_largest_threshold_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    library = Library([0, 1, 1, 1])
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(allocator.ctypes, "CDLL", lambda _: library)  # type: ignore[attr-defined]
    assert keep_freed_memory() is True
    assert library.asked[:2] == [(-3, 2**30), (-3, 32 * 2**20)]


def test_a_refused_setting_is_not_called_a_success(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(allocator.ctypes, "CDLL", lambda _: Library([1, 0, 1]))  # type: ignore[attr-defined]
    assert keep_freed_memory() is False


def test_a_c_library_without_mallopt_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(allocator.ctypes, "CDLL", lambda _: object())  # type: ignore[attr-defined]
    assert keep_freed_memory() is False
