"""Answering: cold start, latency and throughput beside PyTorch and Keras, the whole way from files, and memory.

Everything is measured in one run and in turn, round by round, so that a busy moment meets all alike; ratios are of the
same round. Part ``start``: fresh processes. Part ``network``: the model in the box (with the distance that it tells,
and its classifier alone) and the baseline CNN by onnxruntime, by PyTorch as training uses it (channels last), by
torch.compile (frozen) and by OpenVINO if it is installed, and the baseline CNN by Keras's ``model.predict``. Part
``openvino``: how far its answers are from onnxruntime's. Part ``map``: answers with their map beside answers alone.
Part ``files``: original JPEG files to CSV, beside decoding alone and the network alone. Part ``memory``: peak of
``radlens predict`` over many images.

    python benchmarks/inference_speed.py [--part PART]... [--rounds N]
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import itertools
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import numpy as np
from common import DATA, HERE, KERMANY, describe_machine, matrix_peak, print_table, spread
from inference_engines import THREADS, baseline_folder, openvino_run, operations, timers, with_graph, without_distance
from PIL import Image

from radlens.imaging.pixels import read_pixels
from radlens.runtime.loading import load
from radlens.runtime.predict_files import predict_files

ORIGINALS = DATA / "kermany_original_sample"
RESULTS = HERE / "results" / "inference_speed.csv"
BATCHES = (1, 8, 32)
PARTS = ("start", "network", "openvino", "map", "files", "memory")
COMMAND = "from radlens.cli.commands import main; main()"
# The peak of the process itself; what its parent had when it started it does not count.
WITH_PEAK = """
import sys
from radlens.cli.commands import main
try:
    main()
except SystemExit:
    pass
peak = next(line for line in open('/proc/self/status') if line.startswith('VmHWM'))
print(int(peak.split()[1]) / 1024, file=sys.stderr)
"""
Row = list[str]


def measure_start(folder: Path, rounds: int) -> list[Row]:
    """Fresh processes, in turn."""
    image = min(ORIGINALS.glob("*/*"))
    commands = {
        "radlens predict, one JPEG": [sys.executable, "-c", COMMAND, "predict", str(folder), str(image)],
        "import radlens": [sys.executable, "-c", "import radlens"],
        "python, nothing": [sys.executable, "-c", "pass"],
    }
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for number, (name, command) in itertools.product(range(rounds + 1), commands.items()):
        started = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        if number:
            seconds[name].append(time.perf_counter() - started)
    return [["start", name, "s", spread(values, 3)] for name, values in seconds.items()]


def measure_network(
    name: str, folder: Path, rounds: int, batches: list[int], *, compiled: bool, keras: bool
) -> list[Row]:
    """Latency and throughput of each engine, interleaved; and the share of the arithmetic peak."""
    gflop, rows = operations(folder), []
    with ExitStack() as stack:
        engines = timers(folder, compiled=compiled, keras=stack if keras else None)
        for batch in batches:
            seconds: dict[tuple[str, int], list[list[float]]] = {key: [] for key in engines}
            repeats = max(3, 60 // batch)
            for _, (key, timer) in itertools.product(range(rounds), engines.items()):
                seconds[key].append(timer(batch, repeats))
            for (engine, threads), found in seconds.items():
                every = np.concatenate(found)
                p50, p99 = np.percentile(every, (50, 99))
                rate = [batch / statistics.median(one) for one in found]
                ours = [statistics.median(one) for one in seconds["onnxruntime", threads]]
                ratio = [statistics.median(one) / our for one, our in zip(found, ours, strict=True)]
                share = 100 * gflop * statistics.median(rate) / matrix_peak(2048, threads=threads)
                label = f"{name}, {engine}, {threads} thread(s), batch {batch}"
                rows += [
                    ["network", label, "ms, p50 and p99", f"{1e3 * p50:.1f}, {1e3 * p99:.1f}"],
                    ["network", label, "images/s", spread(rate)],
                    ["network", label, "time / onnxruntime's", spread(ratio, 2)],
                    ["network", label, "% of the matrix-product rate", f"{share:.0f}"],
                ]
    return rows


def measure_openvino(folder: Path) -> list[Row]:
    """How far OpenVINO's probabilities are from onnxruntime's, and how many decisions they change, on real images."""
    model = load(folder)
    paths = sorted(KERMANY.glob("*/*"))[::13]
    pixels = np.stack([read_pixels(str(path), model.preprocessing)[0] for path in paths])
    ours, rows = model.probabilities(pixels)[:, 1], []
    for precision in ("f32", "bf16"):
        run = openvino_run(folder, 1, precision)
        found = np.concatenate([run(pixels[start : start + 8], 8) for start in range(0, len(pixels), 8)])[:, 1]
        flips = int(((found >= model.threshold) != (ours >= model.threshold)).sum())
        label = f"OpenVINO {precision}, {len(pixels)} images"
        rows.append(["openvino", label, "largest |difference| of probability", f"{np.abs(found - ours).max():.1e}"])
        rows.append(["openvino", label, "decisions changed", str(flips)])
    return rows


def measure_map(folder: Path, rounds: int) -> list[Row]:
    """What a map costs beside the answer that it explains."""
    rows = []
    for threads in THREADS:
        model = load(folder, threads=threads)
        pixels = np.random.default_rng(0).integers(0, 256, (32, *model.preprocessing.shape), dtype=np.uint8)
        for batch in (1, 32):
            seconds: dict[str, list[float]] = {"answer": [], "answer and map": []}
            for _, (name, times) in itertools.product(range(rounds * max(3, 60 // batch)), seconds.items()):
                wanted = (*model._needed, "cam") if "map" in name else model._needed
                started = time.perf_counter()
                model._network.run(pixels[:batch], wanted)
                times.append(time.perf_counter() - started)
            alone, both = (statistics.median(times) for times in seconds.values())
            label = f"pneumonia-cxr, {threads} thread(s), batch {batch}"
            rows += [
                ["map", label, "answer (ms)", f"{1e3 * alone:.1f}"],
                ["map", label, "answer and map (ms)", f"{1e3 * both:.1f}"],
                ["map", label, "ratio", f"{both / alone:.2f}"],
            ]
    return rows


def measure_files(folder: Path, rounds: int, copies: int) -> list[Row]:
    """Original JPEG files to a CSV file, beside its two halves alone, each on one core and on all."""
    paths = [str(path) for path in sorted(ORIGINALS.glob("*/*"))] * copies
    model = load(folder)
    pixels = np.stack([read_pixels(path, model.preprocessing)[0] for path in paths])

    def in_threads(work: Callable[[int], object], step: int, threads: int) -> None:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(work, range(0, len(paths), step)))

    def decode_one(number: int) -> object:
        return read_pixels(paths[number], model.preprocessing)

    def answer_four(start: int) -> object:
        return model.probabilities(pixels[start : start + 4])

    def whole() -> None:
        with tempfile.TemporaryDirectory() as target:
            predict_files(model, paths, sys.stdout, out=Path(target) / "answers.csv")

    works: dict[str, Callable[[], None]] = {"files to CSV": whole}
    for threads in THREADS:
        works[f"decoding alone, {threads} thread(s)"] = partial(in_threads, decode_one, 1, threads)
        works[f"network alone, {threads} thread(s)"] = partial(in_threads, answer_four, 4, threads)
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for name in itertools.chain.from_iterable([list(works)] * rounds):
        started = time.perf_counter()
        works[name]()
        seconds[name].append(time.perf_counter() - started)
    rows = [["files", name, "images/s", spread([len(paths) / one for one in times])] for name, times in seconds.items()]
    for threads in THREADS:
        halves = [seconds[f"{half} alone, {threads} thread(s)"] for half in ("decoding", "network")]
        slower, both = [list(map(fold, zip(*halves, strict=True))) for fold in (max, sum)]
        for what, than in (("the slower half", slower), ("both halves one after the other", both)):
            ratio = [one / other for one, other in zip(seconds["files to CSV"], than, strict=True)]
            rows.append(["files", f"files to CSV / {what}, {threads} thread(s)", "ratio", spread(ratio, 2)])
    return rows


def measure_memory(folder: Path, counts: list[int]) -> list[Row]:
    """Peak of ``radlens predict`` in a process of its own, for so many images."""
    rows = []
    with tempfile.TemporaryDirectory() as target:
        images = []
        for number, path in enumerate(sorted(ORIGINALS.glob("*/*"))):
            images.append(Path(target) / f"{number}.jpeg")
            with Image.open(path) as picture:
                picture.convert("L").resize((224, 224)).save(images[-1])
        for count in counts:
            given = "".join(f"{path}\n" for path in itertools.islice(itertools.cycle(images), count))
            command = [sys.executable, "-c", WITH_PEAK, "--quiet", "predict", str(folder), "-", "--format", "csv"]
            done = subprocess.run(command, input=given, capture_output=True, text=True, check=True)
            lines = done.stdout.count("\n") - 1
            peak = float(done.stderr.split()[-1])
            assert lines == count, f"{lines} answers to {count} images"
            rows.append(["memory", f"radlens predict, {count:,} images", "MiB, peak", f"{peak:.0f}"])
    return rows


def main() -> None:
    """Measure, print the table, write the CSV file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", action="append", choices=PARTS, help="default: all")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--model", default="pneumonia-cxr", help="where it lacks model.onnx, a copy gets one")
    parser.add_argument("--batches", default=",".join(map(str, BATCHES)), help="images at a time, for the part network")
    parser.add_argument("--no-compile", action="store_true", help="leave torch.compile out, which compiles for minutes")
    parser.add_argument("--no-keras", action="store_true", help="leave Keras out")
    parser.add_argument("--memory-images", default="1000,100000", help="numbers of images for the part memory")
    parser.add_argument("--copies", type=int, default=4, help="how often the 100 originals are read in the part files")
    options = parser.parse_args()
    parts = options.part or PARTS
    if not importlib.util.find_spec("openvino"):
        parts = [part for part in parts if part != "openvino"]
    print(describe_machine())
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as target:
        folder = with_graph(options.model, Path(target) / "model")
        if "start" in parts:
            rows += measure_start(folder, 3 * options.rounds)
        if "network" in parts:
            compiled = not options.no_compile
            batches = [int(batch) for batch in options.batches.split(",")]
            folders = {
                "pneumonia-cxr": folder,
                "its classifier alone": without_distance(folder, Path(target) / "classifier"),
                "baseline CNN": baseline_folder(Path(target) / "baseline"),
            }
            for name, one in folders.items():
                keras = name == "baseline CNN" and not options.no_keras
                rows += measure_network(name, one, options.rounds, batches, compiled=compiled, keras=keras)
        if "openvino" in parts:
            rows += measure_openvino(folder)
        if "map" in parts:
            rows += measure_map(folder, options.rounds)
        if "files" in parts:
            rows += measure_files(folder, options.rounds, options.copies)
        if "memory" in parts:
            rows += measure_memory(folder, [int(count) for count in options.memory_images.split(",")])
    for part in parts:
        show(part, [row for row in rows if row[0] == part])
    write(["part", "what", "measure", "median [min, max]"], rows, parts)


def show(part: str, rows: list[Row]) -> None:
    """One line for each thing measured, one column for each measure."""
    measures = list(dict.fromkeys(row[2] for row in rows))
    lines: dict[str, dict[str, str]] = {}
    for _, what, measure, value in rows:
        lines.setdefault(what, {})[measure] = value
    print_table([part, *measures], [[what, *map(line.get, measures, [""] * 9)] for what, line in lines.items()])
    print()


def write(header: Row, rows: list[Row], parts: Sequence[str]) -> None:
    """Write the rows, and keep those of the parts that were not measured."""
    kept: list[Row] = []
    if RESULTS.is_file():
        with RESULTS.open(newline="", encoding="utf-8") as file:
            kept = [row for row in list(csv.reader(file))[1:] if row[0] not in parts]
    machine = describe_machine()
    made = [*kept, *([*row, machine] for row in rows)]
    with RESULTS.open("w", newline="", encoding="utf-8") as file:
        table = sorted(made, key=lambda row: PARTS.index(row[0]))
        csv.writer(file, lineterminator="\n").writerows([[*header, "machine"], *table])


if __name__ == "__main__":
    main()
