"""How long ``index`` and ``split`` take, and how much memory, as the images grow in number: CSV files and a folder.

Run: ``python benchmarks/index_scale.py [--rows 10000 100000 1000000] [--kinds csv multilabel folder] [--repeats 3]``

A folder of links to one image is made, 1,000 a folder, and listed in CSV files: of two classes with a patient column,
and of fourteen labels in columns of 0 and 1 with the patients told from the file names. Each measurement is a fresh
process: ``radlens.index``, then ``assign_splits``, then writing and reading back what came out. Seconds are without the
import of radlens; peak memory is of the whole process, of the import of torch as well.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from common import describe_machine, peak_memory, print_table

STEPS = ("index", "split", "write", "read back")
FINDINGS = tuple(f"finding_{number}" for number in range(14))


def images(rows: int) -> Iterator[tuple[str, int]]:
    """Path and patient of each image: two images a patient, a quarter of the patients normal."""
    for number in range(rows):
        patient = number // 2
        folder = "PNEUMONIA" if patient % 4 else "NORMAL"
        kind = "virus" if patient % 3 else "bacteria"
        yield f"{folder}/{number // 1000:04d}/person{patient}_{kind}_{number}.jpeg", patient


def make_sources(root: Path, rows: int) -> dict[str, Path]:
    """The folder of links and the tables that list it."""
    target = root / "one.jpeg"
    target.write_bytes(b"no picture: index and split look at names alone")
    folder = root / "images"
    csv, multilabel = root / "labels.csv", root / "multilabel.csv"
    with csv.open("w") as table, multilabel.open("w") as marks:
        table.write("path,label,patient,age,sex\n")
        marks.write(",".join(["path", *FINDINGS]) + "\n")
        for number, (path, patient) in enumerate(images(rows)):
            link = folder / path
            if number % 1000 < 8:
                link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(target)
            table.write(f"images/{path},{path.partition('/')[0]},p{patient},{20 + number % 70},{'FM'[number % 2]}\n")
            found = ",".join("1" if patient % (5 + place) == 0 else "0" for place in range(len(FINDINGS)))
            marks.write(f"images/{path},{found}\n")
    return {"csv": csv, "multilabel": multilabel, "folder": folder}


def measure(kind: str, source: Path) -> dict[str, float]:
    """Seconds of each step and peak MiB, in this process."""
    started = time.perf_counter()
    from radlens.config import SplitSettings
    from radlens.dataset.manifest import Manifest
    from radlens.dataset.split import assign_splits
    from radlens.workflows.audit import index

    laps = [time.perf_counter()]
    settings = {"csv": ["data.csv.patient=patient"], "multilabel": [f"data.csv.label=[{','.join(FINDINGS)}]"]}
    with tempfile.TemporaryDirectory() as out:
        manifest = index(source, Path(out) / "index", settings=settings.get(kind, []))
        laps.append(time.perf_counter())
        parted = assign_splits(manifest, SplitSettings(), seed=0)
        laps.append(time.perf_counter())
        parted.write(Path(out) / "split")
        laps.append(time.perf_counter())
        again = Manifest.read(Path(out) / "split")
        laps.append(time.perf_counter())
    assert list(again.table["split"].unique()) == list(parted.table["split"].unique())
    seconds = dict(zip(STEPS, (end - begin for begin, end in itertools.pairwise(laps)), strict=True))
    return {**seconds, "import": laps[0] - started, "MiB": peak_memory()}


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--kinds", nargs="+", default=["csv", "multilabel", "folder"])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--here", nargs=2, metavar=("KIND", "SOURCE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.here:
        print(json.dumps(measure(options.here[0], Path(options.here[1]))))
        return
    print(describe_machine())
    lines = []
    for rows in options.rows:
        with tempfile.TemporaryDirectory() as root:
            started = time.perf_counter()
            sources = make_sources(Path(root), rows)
            print(f"{rows:,} links made in {time.perf_counter() - started:.0f} s", file=sys.stderr)
            for kind in options.kinds:
                lines.append([kind, f"{rows:,}", *summary(kind, sources[kind], rows, options.repeats)])
    print_table(["source", "images", *(f"{step}, s" for step in STEPS), "all, s", "s a million", "peak MiB"], lines)


def summary(kind: str, source: Path, rows: int, repeats: int) -> list[str]:
    """Medians of the repeats; of all seconds the smallest and the largest too."""
    command = [sys.executable, __file__, "--here", kind, str(source)]
    results = []
    for _ in range(repeats):
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        results.append(json.loads(done.stdout.splitlines()[-1]))
    totals = [sum(result[step] for step in STEPS) for result in results]
    total = statistics.median(totals)
    return [
        *(f"{statistics.median(result[step] for result in results):.2f}" for step in STEPS),
        f"{total:.2f} [{min(totals):.2f}, {max(totals):.2f}]",
        f"{total / rows * 1e6:.1f}",
        f"{max(result['MiB'] for result in results):.0f}",
    ]


if __name__ == "__main__":
    main()
