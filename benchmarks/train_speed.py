"""Training speed on the 5,216 images, side by side with what others do, each in a process of its own, in turn.

Part ``baseline``: one epoch of the baseline CNN (batch 32, augmentation on) beside the notebook's pipeline in Keras.
The radlens process also times the same number of steps on one fixed batch, and the machine's matrix-product rate
before and after. ``--keras-epochs 0`` leaves Keras out.

Part ``fast``: one epoch of the preset ``fast``, at its whole image size, beside the same network in ordinary PyTorch
(``ordinary_pytorch.py``), which sees ``--ordinary-images`` of the images; the ratio is that of images a second.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from common import KERMANY, describe_machine, matrix_peak, peak_memory, print_table, run_keras, spread
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from radlens.config import RunSettings, resolve
from radlens.imaging.cache.pixel_cache import PixelCache
from radlens.learning.allocator import keep_freed_memory
from radlens.learning.classifier import Classifier, class_weights
from radlens.learning.data_module import LabelledPixels
from radlens.learning.fit import fit
from radlens.learning.process_settings import process_settings
from radlens.learning.trainer import training_precision


def measure_radlens() -> dict[str, float]:
    """One epoch through the whole pipeline and the same steps on one fixed batch; run in a process of its own."""
    settings = resolve("baseline", assignments=("train.epochs=2",))
    started = time.perf_counter()
    train, few = radiographs(settings)
    decoding = time.perf_counter() - started
    seconds = quickest_epoch(settings, train, few)
    peak_mib = peak_memory()
    before = matrix_peak()
    with process_settings(settings.train):
        # As Lightning has it while it trains.
        torch.use_deterministic_algorithms(True, warn_only=True)
        fixed = fixed_batch(
            settings, train, torch.bfloat16 if training_precision(False, "baseline_cnn") == "bf16-mixed" else None
        )
        fixed32 = fixed_batch(settings, train, None)
    return {
        "images": len(train),
        "decoding": decoding,
        "epoch": seconds,
        "fixed": fixed,
        "fixed32": fixed32,
        "gflop": operations(settings, train) / 1e9,
        "peak": max(before, matrix_peak()),
        "peak_mib": peak_mib,
    }


def measure_fast() -> dict[str, float]:
    """The quicker of two epochs of the preset ``fast``; run in a process of its own."""
    settings = resolve("fast", assignments=("train.epochs=2", "train.progressive_resizing=1"))
    train, few = radiographs(settings)
    seconds, peak_mib = quickest_epoch(settings, train, few), peak_memory()
    # There and back, three times the way there: the counter takes the weights of depthwise convolutions for full ones.
    gflop = 3 * operations(settings, train, back=False) / 1e9
    return {"images": len(train), "seconds": seconds, "peak_mib": peak_mib, "gflop": gflop, "peak": matrix_peak()}


def radiographs(settings: RunSettings) -> tuple[LabelledPixels, LabelledPixels]:
    """The images to train on, and one in two hundred of them in place of a validation."""
    paths = [str(path) for path in sorted(KERMANY.glob("*/*"))]
    cache = PixelCache.build(paths, settings.preprocessing)
    targets = np.array(["PNEUMONIA" in path for path in paths], dtype=np.int64)
    few = LabelledPixels(cache.pixels, cache.rows[::200], targets[::200])
    return LabelledPixels(cache.pixels, cache.rows, targets), few


def quickest_epoch(settings: RunSettings, train: LabelledPixels, few: LabelledPixels) -> float:
    """Seconds of the quickest epoch of a training, in a process that keeps its memory as the command line's does."""
    keep_freed_memory()
    with tempfile.TemporaryDirectory() as folder:
        fit(settings, "binary", ("NORMAL", "PNEUMONIA"), train, few, Path(folder))
        return float(pd.read_csv(Path(folder) / "history.csv")["seconds"].min())


def one_batch(settings: RunSettings, train: LabelledPixels) -> tuple[Classifier, Tensor, Tensor]:
    """The classifier with a batch of images and targets."""
    classifier = Classifier(
        settings.train, "binary", 2, settings.preprocessing.shape, class_weights(train.targets, "binary", 2)
    )
    size = settings.train.batch_size
    images = torch.from_numpy(train.pixels[train.rows[:size]]).float().div_(255)
    return classifier, images.contiguous(memory_format=torch.channels_last), torch.from_numpy(train.targets[:size])


def operations(settings: RunSettings, train: LabelledPixels, *, back: bool = True) -> float:
    """Floating-point operations of a training step, or of the way there alone, for each image."""
    classifier, images, target = one_batch(settings, train)
    # In 64 bit depthwise convolutions go PyTorch's own way back; the counter does not know ours.
    classifier, images = classifier.double(), images.double()
    with FlopCounterMode(display=False) as counter:
        loss = classifier.loss(classifier(images), target)
        if back:
            loss.backward()
    return int(counter.get_total_flops()) / len(images)


def fixed_batch(settings: RunSettings, train: LabelledPixels, mixed: torch.dtype | None) -> float:
    """Seconds for an epoch's steps on one batch held in memory."""
    classifier, images, target = one_batch(settings, train)
    optimizer = torch.optim.Adam(classifier.network.parameters(), 1e-6, fused=True)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", mixed, enabled=mixed is not None):
            logits = classifier(images)
        classifier.loss(logits, target).backward()
        optimizer.step()

    for _ in range(4):
        step()
    started = time.perf_counter()
    for _ in range(-(-len(train) // len(images))):
        step()
    return time.perf_counter() - started


def last_line(*command: str) -> dict[str, float]:
    """What a process of this Python printed last, as JSON."""
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    found: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def main() -> None:
    """Print a table of medians with the smallest and largest of the rounds for each part."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--part", choices=("baseline", "fast", "both"), default="both")
    parser.add_argument("--keras-epochs", type=int, default=1, help="epochs of Keras in each round; the first counts")
    parser.add_argument("--ordinary-images", type=int, default=1024, help="images that ordinary PyTorch trains on")
    parser.add_argument("--measure", choices=("baseline", "fast"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure_radlens() if options.measure == "baseline" else measure_fast()))
        return
    print(describe_machine())
    ours, theirs, fast, ordinary = [], [], [], []
    for number in range(options.rounds):
        if options.part != "fast":
            ours.append(last_line(__file__, "--measure", "baseline"))
            if options.keras_epochs:
                theirs.append(json.loads(run_keras("epoch", str(KERMANY), str(options.keras_epochs))))
        if options.part != "baseline":
            fast.append(last_line(__file__, "--measure", "fast"))
            script = str(Path(__file__).with_name("ordinary_pytorch.py"))
            ordinary.append(last_line(script, "--images", str(options.ordinary_images)))
        print(f"round {number + 1} of {options.rounds} done", file=sys.stderr)
    if ours:
        report(ours, theirs)
    if fast:
        report_fast(fast, ordinary)


def report_fast(ours: list[dict[str, float]], theirs: list[dict[str, float]]) -> None:
    """Images a second of the preset and of ordinary PyTorch."""
    rates = [[one["images"] / one["seconds"] for one in side] for side in (ours, theirs)]
    share = [100 * one["gflop"] * one["images"] / one["seconds"] / one["peak"] for one in ours]
    rows = [
        ["radlens, epoch with loading and augmentation (s)", spread([one["seconds"] for one in ours])],
        ["radlens, images a second", spread(rates[0])],
        ["precision of training on this machine", training_precision(False, "efficientnet_lite0")],
        ["GFLOP of a training image", f"{statistics.median(one['gflop'] for one in ours):.3f}"],
        ["fp32 matrix-product rate (GFLOP/s)", spread([one["peak"] for one in ours], 0)],
        ["training with loading and augmentation, % of that rate", spread(share, 0)],
        ["radlens, peak memory (MiB)", spread([one["peak_mib"] for one in ours], 0)],
        ["ordinary PyTorch, images a second", spread(rates[1])],
        ["ordinary PyTorch, peak memory (MiB)", spread([one["peak_mib"] for one in theirs], 0)],
        ["radlens / ordinary, round by round", spread([a / b for a, b in zip(*rates, strict=True)], 2)],
    ]
    print_table(["preset fast, batch 32", "median [min, max]"], rows)


def report(ours: list[dict[str, float]], theirs: list[dict[str, list[float]]]) -> None:
    """The figures, each as median [smallest, largest] over the rounds."""
    share, share32 = (
        [100 * one["gflop"] * one["images"] / one[name] / one["peak"] for one in ours] for name in ("fixed", "fixed32")
    )
    rows = [
        ["radlens, epoch with loading and augmentation (s)", spread([one["epoch"] for one in ours])],
        ["radlens, images a second", spread([one["images"] / one["epoch"] for one in ours])],
        ["precision of training on this machine", training_precision(False, "baseline_cnn")],
        ["the same steps on one fixed batch (s)", spread([one["fixed"] for one in ours])],
        ["the same in 32 bit (s)", spread([one["fixed32"] for one in ours])],
        ["epoch / fixed batch", spread([one["epoch"] / one["fixed"] for one in ours], 3)],
        ["GFLOP of a training image", f"{statistics.median(one['gflop'] for one in ours):.3f}"],
        ["fp32 matrix-product rate (GFLOP/s)", spread([one["peak"] for one in ours], 0)],
        ["training step, % of that rate", spread(share, 0)],
        ["training step in 32 bit, % of that rate", spread(share32, 0)],
        ["decoding the images once (s; 0 when cached)", spread([one["decoding"] for one in ours])],
        ["radlens, peak memory (MiB)", spread([one["peak_mib"] for one in ours], 0)],
    ]
    if theirs:
        epochs = [min(one["seconds"]) for one in theirs]
        ratios = [keras / one["epoch"] for keras, one in zip(epochs, ours, strict=True)]
        rows += [
            ["Keras, epoch (s)", spread(epochs)],
            ["Keras / radlens, round by round", spread(ratios, 2)],
            ["Keras, peak memory (MiB)", spread([float(one["peak_mib"]) for one in theirs], 0)],  # type: ignore[arg-type]
        ]
    print_table(["baseline CNN, 5,216 images, batch 32", "median [min, max]"], rows)


if __name__ == "__main__":
    main()
