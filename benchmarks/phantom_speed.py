"""How fast simulated radiographs are made, and whether two makes give the same bytes.

Run: ``python benchmarks/phantom_speed.py [--images 1000] [--size 224] [--repeats 5] [--format jpeg]``
"""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import resource
import statistics
import tempfile
import time
from pathlib import Path

from radlens.base.environment import cpu_name
from radlens.config import PhantomSettings
from radlens.dataset.phantom.source import make_phantoms


def digest(folder: Path) -> str:
    """One hash over the names and contents of all files."""
    state = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            state.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes())
    return state.hexdigest()


def cpu_seconds() -> float:
    """Processor time of this process and of its workers that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def measure(
    settings: PhantomSettings, workers: int, repeats: int, root: Path
) -> tuple[list[float], list[float], set[str]]:
    """Seconds by the clock and of processor of each make, start of the workers included; and the distinct digests."""
    seconds, busy, digests = [], [], set()
    for repeat in range(repeats):
        folder = root / f"{workers}-{repeat}"
        start, used = time.perf_counter(), cpu_seconds()
        make_phantoms(settings, folder, workers=workers)
        seconds.append(time.perf_counter() - start)
        busy.append(cpu_seconds() - used)
        digests.add(digest(folder))
    return seconds, busy, digests


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--format", default="jpeg", choices=["jpeg", "png", "dicom", "mixed"])
    options = parser.parse_args()
    settings = PhantomSettings(images=options.images, size=options.size, format=options.format)
    counts = sorted({1, os.cpu_count() or 1})
    print(f"{cpu_name()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    if hasattr(os, "getloadavg"):
        print(f"load average before: {os.getloadavg()[0]:.2f}")
    print(f"{options.images} images, {options.size} px, {options.format}, {options.repeats} repeats\n")
    heads = ("workers", "seconds min", "median", "max", "images/s min", "median", "max", "CPU s median")
    print("  ".join(heads))
    digests: set[str] = set()
    with tempfile.TemporaryDirectory() as root:
        for workers in counts:
            seconds, busy, seen = measure(settings, workers, options.repeats, Path(root))
            digests |= seen
            spread = [min(seconds), statistics.median(seconds), max(seconds)]
            rates = [options.images / value for value in reversed(spread)]
            cells = [str(workers), *(f"{value:.2f}" for value in spread), *(f"{rate:.0f}" for rate in rates)]
            cells.append(f"{statistics.median(busy):.2f}")
            print("  ".join(cell.rjust(len(head)) for cell, head in zip(cells, heads, strict=True)))
    makes = options.repeats * len(counts)
    print(f"\nsame bytes in all {makes} makes: {'yes' if len(digests) == 1 else f'NO, {len(digests)} different'}")


if __name__ == "__main__":
    main()
