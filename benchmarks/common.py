"""What the benchmarks share: the machine in words, an environment for TensorFlow, and tables."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
import torch

from radlens.base.environment import cpu_name, git_commit

Result = TypeVar("Result")

HERE = Path(__file__).parent
DATA = Path(os.environ.get("RADLENS_TEST_DATA", HERE.parents[1] / "shared" / "data"))
KERMANY = DATA / "kermany224" / "train"


def describe_machine() -> str:
    """One line to print above every table."""
    commit = (git_commit() or "no checkout")[:12]
    return (
        f"{cpu_name()}, {os.cpu_count()} cores, {platform.system()}; Python {platform.python_version()}, "
        f"torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}; radlens at {commit}"
    )


def matrix_peak(side: int = 4096, repeats: int = 5, threads: int | None = None) -> float:
    """Best fp32 matrix-product rate of this machine, in GFLOP/s, on all cores or on some."""
    torch.set_num_threads(threads or os.cpu_count() or 1)
    left, right = torch.randn(side, side), torch.randn(side, side)
    best = float("inf")
    for _ in range(repeats):
        started = time.perf_counter()
        left @ right
        best = min(best, time.perf_counter() - started)
    return 2 * side**3 / best / 1e9


def peak_memory() -> float:
    """Most memory that this process ever had, in MiB."""
    status = Path("/proc/self/status")
    if status.exists():
        # Not getrusage, which on Linux counts what the parent had when it started this process.
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def keras_python() -> str:
    """The Python of an environment with TensorFlow: ``$KERAS_PYTHON``, else one made beside this file on first use."""
    given = os.environ.get("KERAS_PYTHON")
    if given:
        return given
    folder = HERE / ".keras-venv"
    python = folder / "bin" / "python"
    if not python.exists():
        print("Making an environment for TensorFlow (once) ...", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        packages = ["tensorflow", "scipy", "pillow"]
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *packages], check=True)
    return str(python)


def run_keras(*arguments: str) -> str:
    """Run ``keras_reference.py``; the last line it prints."""
    command = [keras_python(), str(HERE / "keras_reference.py"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"The Keras reference failed:\n{done.stderr[-3000:]}")
    return done.stdout.strip().splitlines()[-1] if done.stdout.strip() else ""


def device_name() -> str:
    """What networks are trained on here."""
    return torch.cuda.get_device_name(0) if torch.cuda.is_available() else "CPU"


def in_processes(
    work: Callable[..., Result], jobs: Iterable[tuple[Any, ...]], workers: int, until: float
) -> Iterator[Result]:
    """What ``work`` gives for each job, as they are done, in so many processes.

    Args:
        work: a function of a module.
        jobs: its arguments, those of one call each.
        workers: number of processes.
        until: no other job is begun once ``time.monotonic()`` says so.
    """
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        waiting: set[Future[Result]] = set()
        ahead = iter(jobs)
        while True:
            while len(waiting) < workers and time.monotonic() < until:
                job = next(ahead, None)
                if job is None:
                    break
                waiting.add(pool.submit(work, *job))
            if not waiting:
                return
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            yield from (future.result() for future in done)


def training_seconds(run: Path) -> float:
    """Of a run, all epochs together."""
    return float(pd.read_csv(run / "history.csv")["seconds"].sum())


def spread(values: list[float], digits: int = 1) -> str:
    """Median with the smallest and the largest."""
    return f"{statistics.median(values):.{digits}f} [{min(values):.{digits}f}, {max(values):.{digits}f}]"


def markdown_table(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table, one line a row."""
    return "".join("| " + " | ".join(cells) + " |\n" for cells in (header, ["---"] * len(header), *rows))


def print_table(header: list[str], rows: list[list[str]]) -> None:
    """A Markdown table."""
    print(markdown_table(header, rows), end="")


def write_between(page: Path, mark: str, text: str) -> None:
    """Put text into a page of the documentation, in place of what stands between ``<!-- mark -->`` and its end."""
    before, begin, rest = page.read_text(encoding="utf-8").partition(f"<!-- {mark} -->")
    _, end, after = rest.partition(f"<!-- /{mark} -->")
    if not begin or not end:
        raise SystemExit(f"{page} has no place marked {mark} to write to.")
    page.write_text(f"{before}{begin}\n\n{text}\n{end}{after}", encoding="utf-8")
