"""From JPEG file to network input: radlens against naive Pillow, side by side on radiographs of original size.

Naive is ``Image.open(path).convert("L").resize((side, side), filter)``: the whole picture decoded, then resized by
the same filter that radlens resizes with. Pillow's own default is bicubic, that of radlens is bilinear. For colour it
is ``"RGB"`` and three channels. Both end in a uint8 array. Each round measures all variants one after the other on one
thread, then radlens on more threads; ratios are taken within a round. The difference is the mean over pixels of the
absolute difference in grey levels to the naive picture of the same filter: mean over images, and the worst image.
"""

from __future__ import annotations

import argparse
import functools
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
from common import DATA, describe_machine, print_table, spread
from PIL import Image

from radlens.imaging.pixels import read_pixels
from radlens.imaging.preprocess import Preprocessing

ORIGINALS = DATA / "kermany_original_sample"
VARIANTS = (("bilinear", 1), ("bicubic", 1), ("lanczos", 1), ("bilinear", 3), ("bicubic", 3))
Pixels = npt.NDArray[np.uint8]


def naive(side: int, resample: str, channels: int, path: str) -> Pixels:
    """What one would write without thinking of speed."""
    image = Image.open(path).convert("L" if channels == 1 else "RGB")
    pixels = np.asarray(image.resize((side, side), Image.Resampling[resample.upper()]))
    return pixels.reshape(side, side, channels).transpose(2, 0, 1)


def ours(contract: Preprocessing, path: str) -> Pixels:
    """The road of the cache and of a trained model."""
    return read_pixels(path, contract)[0]


def timed(read: Callable[[str], Pixels], paths: list[str], threads: int = 1) -> tuple[float, list[Pixels]]:
    """Images a second, and the images."""
    started = time.perf_counter()
    if threads == 1:
        images = [read(path) for path in paths]
    else:
        with ThreadPoolExecutor(threads) as pool:
            images = list(pool.map(read, paths))
    return len(paths) / (time.perf_counter() - started), images


def compare(paths: list[str], side: int, rounds: int) -> list[list[str]]:
    """One line for each filter and number of channels."""
    slow: dict[tuple[str, int], list[float]] = {variant: [] for variant in VARIANTS}
    fast: dict[tuple[str, int], list[float]] = {variant: [] for variant in VARIANTS}
    difference: dict[tuple[str, int], list[float]] = {}
    for _ in range(rounds):
        for resample, channels in VARIANTS:
            record = {"height": side, "width": side, "resample": resample, "channels": channels}
            rate, whole = timed(functools.partial(naive, side, resample, channels), paths)
            slow[resample, channels].append(rate)
            rate, quick = timed(functools.partial(ours, Preprocessing.model_validate(record)), paths)
            fast[resample, channels].append(rate)
            difference[resample, channels] = [
                float(np.abs(one.astype(float) - other).mean()) for one, other in zip(whole, quick, strict=True)
            ]
    return [
        [
            f"{side} px, {'grey' if variant[1] == 1 else 'colour'}, {variant[0]}",
            spread(slow[variant], 0),
            spread(fast[variant], 0),
            ratio(fast[variant], slow[variant]),
            ratio(fast[variant], slow["bicubic", variant[1]]),
            f"{np.mean(difference[variant]):.2f} ({max(difference[variant]):.2f})",
        ]
        for variant in VARIANTS
    ]


def ratio(fast: list[float], slow: list[float]) -> str:
    """Round by round."""
    return spread([one / other for one, other in zip(fast, slow, strict=True)], 2)


def scaling(paths: list[str], side: int, rounds: int, most: int) -> list[list[str]]:
    """The default contract on one thread and more."""
    read = functools.partial(ours, Preprocessing(height=side, width=side))
    counts = sorted({1, *(2**power for power in range(1, most.bit_length())), most})
    rates: dict[int, list[float]] = {}
    for _ in range(rounds):
        for threads in counts:
            rates.setdefault(threads, []).append(timed(read, 2 * paths, threads)[0])
    return [
        [
            f"{side} px, {threads} thread{'s'[: threads > 1]}",
            spread(rates[threads], 0),
            ratio(rates[threads], rates[1]),
        ]
        for threads in counts
    ]


def main() -> None:
    """Print two tables, each figure as median [smallest, largest] of the rounds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=ORIGINALS, help="JPEG files of original size")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    paths = [str(path) for path in sorted(options.folder.rglob("*.jp*g"))]
    if not paths:
        sys.exit(f"No JPEG files in {options.folder}; name a folder of radiographs at original size.")
    for path in paths:
        # Once for the operating system's cache, so that no variant pays for the disk.
        Path(path).read_bytes()
    sizes = [Image.open(path).size for path in paths]
    print(describe_machine())
    print(
        f"{len(paths)} files, {np.mean([width * height for width, height in sizes]) / 1e6:.2f} megapixels on average\n"
    )
    lines = [line for side in (150, 224) for line in compare(paths, side, options.rounds)]
    naive_title, ours_title = "naive Pillow (images/s)", "radlens (images/s)"
    print_table(["", naive_title, ours_title, "ratio", "ratio to Pillow's default", "difference (worst)"], lines)
    print()
    lines = [line for side in (150, 224) for line in scaling(paths, side, options.rounds, options.threads)]
    print_table(["", "radlens (images/s)", "ratio to one thread"], lines)


if __name__ == "__main__":
    main()
