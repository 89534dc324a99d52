"""What the pixel cache costs when it is filled, and when it is hit, on chest X-rays.

Run: ``python benchmarks/cache_speed.py [--side 224] [--repeats 5] [--originals]``

Filled: nothing is known of any file; with one thread and with one for each core in turn. One added: all but one of the
images are known. Moved: the same files under other paths, so that each is read and none decoded. Hit: the files are as
they were, so that none is opened. Read in order: every image is copied out of the cache, alone or 32 at a time, with
the cache in the operating system's memory.
Images a second, median with the smallest and the largest of the repeats.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
from common import DATA, KERMANY, describe_machine, peak_memory, print_table, spread

from radlens.base.files import cache_root
from radlens.imaging.cache.pixel_cache import PixelCache
from radlens.imaging.preprocess import Preprocessing

Rates = dict[str, list[float]]


class Clock:
    """Images a second of each step, over the repeats."""

    def __init__(self, images: int) -> None:
        self.images = images
        self.rates: Rates = {}
        self._last = time.perf_counter()

    def start(self) -> None:
        """Forget the time since the last step."""
        self._last = time.perf_counter()

    def lap(self, step: str) -> None:
        """All images went through a step since the last one."""
        now = time.perf_counter()
        self.rates.setdefault(step, []).append(self.images / (now - self._last))
        self._last = now


def read_in_order(cache: PixelCache, batch: int) -> None:
    """Copy all images out of the cache."""
    for start in range(0, len(cache.rows), batch):
        np.array(cache.pixels[cache.rows[start : start + batch]])


def one_repeat(paths: list[str], contract: Preprocessing, clock: Clock, moved: Path) -> None:
    """Every step once."""
    moved.mkdir()
    others = [str(moved / f"{number}.jpeg") for number in range(len(paths))]
    for path, other in zip(paths, others, strict=True):
        Path(other).symlink_to(path)
    shutil.rmtree(cache_root(), ignore_errors=True)
    PixelCache.build(paths[:-1], contract)
    clock.start()
    PixelCache.build(paths, contract)
    clock.lap("one image added")
    for workers in sorted({1, os.cpu_count() or 1}):
        shutil.rmtree(cache_root(), ignore_errors=True)
        clock.start()
        PixelCache.build(paths, contract, workers)
        clock.lap(f"filled, {workers} thread(s)")
    PixelCache.build(others, contract)
    clock.lap("moved")
    cache = PixelCache.build(paths, contract)
    clock.lap("hit")
    read_in_order(cache, 1)
    clock.lap("read in order, one at a time")
    read_in_order(cache, 32)
    clock.lap("read in order, 32 at a time")
    read_in_order(PixelCache.build(paths, contract), 32)
    clock.lap("hit and read in order, 32 at a time")


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=224)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--originals", action="store_true", help="the 100 of original size instead of 5,216 at 224")
    options = parser.parse_args()
    folder = DATA / "kermany_original_sample" if options.originals else KERMANY
    paths = sorted(str(path) for path in folder.rglob("*.jpeg"))
    if not paths:
        raise SystemExit(f"There are no X-rays in {folder}; set RADLENS_TEST_DATA.")
    clock = Clock(len(paths))
    contract = Preprocessing(height=options.side, width=options.side)
    with tempfile.TemporaryDirectory() as root:
        os.environ["RADLENS_CACHE"] = str(Path(root) / "cache")
        for repeat in range(options.repeats):
            one_repeat(paths, contract, clock, Path(root) / f"moved-{repeat}")
    print(describe_machine())
    print(f"{len(paths):,} images, {options.side} x {options.side}; peak memory {peak_memory():.0f} MiB")
    header = f"images/s, median [min, max] of {options.repeats}"
    print_table(["step", header], [[step, spread(rates, 0)] for step, rates in clock.rates.items()])


if __name__ == "__main__":
    main()
