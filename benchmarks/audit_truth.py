"""Whether the audit finds what was planted in simulated radiographs, and how often it alarms where nothing was.

Run: ``python benchmarks/audit_truth.py [--seeds 20] [--images 300] [--only clean]``

Clean: one set for each seed, with its splits; findings are counted by check and severity. Planted: one defect at a
time, in five sets; counted is in how many the right check speaks at the right severity, and the share of planted
images, patients or files that it counts. Wrong labels are looked for after a short training (preset fast, 12 epochs),
in validation and test, where no weight was fitted to them.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
from common import describe_machine, print_table, spread

import radlens
from radlens.config import PhantomSettings
from radlens.dataset.audit import Audit, audit
from radlens.dataset.phantom.source import phantom_manifest
from radlens.imaging.cache.pixel_cache import PixelCache
from radlens.imaging.preprocess import Preprocessing

# What is planted, how much of it, and the check and severity that must speak.
PLANTED: tuple[tuple[str, dict[str, Any], str, str, int], ...] = (
    ("exact duplicates", {"duplicates": 15}, "duplicate", "warn", 30),
    ("patients in two splits", {"shared_patients": 10}, "leak", "block", 10),
    ("damaged files", {"corrupt": 12}, "unreadable_files", "warn", 12),
    ("corner marker, always", {"shortcut": "marker"}, "shortcut_border", "warn", 0),
    ("corner marker, strength 0.8", {"shortcut": "marker", "shortcut_strength": 0.8}, "shortcut_border", "warn", 0),
    ("tight frame, always", {"shortcut": "framing"}, "shortcut_framing", "warn", 0),
    ("tight frame, strength 0.8", {"shortcut": "framing", "shortcut_strength": 0.8}, "shortcut_framing", "warn", 0),
    ("image size, always", {"shortcut": "size"}, "shortcut_facts", "warn", 0),
    ("image size, strength 0.8", {"shortcut": "size", "shortcut_strength": 0.8}, "shortcut_facts", "warn", 0),
)


def audited(images: int, seed: int, planted: dict[str, Any]) -> Audit:
    """The audit of one simulated set."""
    manifest = phantom_manifest(PhantomSettings(images=images, seed=seed, **planted))
    cache = PixelCache.build(manifest.locations, Preprocessing())
    return audit(manifest, cache.rejected, cache)


def show_clean(seeds: int, images: int) -> None:
    """False alarms by check and severity."""
    counts: Counter[tuple[str, str]] = Counter()
    seconds: list[float] = []
    for seed in range(seeds):
        start = time.perf_counter()
        counts.update({(each.check, each.severity) for each in audited(images, seed, {}).findings})
        seconds.append(time.perf_counter() - start)
    blocks = sum(count for (_, severity), count in counts.items() if severity == "block")
    print(f"\nClean: {seeds} sets of {images} images; findings that block: {blocks}; {spread(seconds)} s a set\n")
    order = ("block", "warn", "note")
    rows = [[check, severity, f"{count} of {seeds}"] for (check, severity), count in sorted(counts.items())]
    print_table(["check", "severity", "sets with it"], sorted(rows, key=lambda row: order.index(row[1])))


def show_planted(seeds: int, images: int) -> None:
    """In how many sets each defect is found, and how much of it."""
    rows = []
    for name, planted, check, severity, wanted in PLANTED:
        said = [
            [each.count for each in audited(images, seed, planted).findings if (each.check, each.severity) == key]
            for seed in range(seeds)
            for key in [(check, severity)]
        ]
        share = spread([max(counts, default=0) / wanted for counts in said], 2) if wanted else "-"
        rows.append([name, f"{check}, {severity}", f"{sum(map(bool, said))} of {seeds}", share])
    print()
    print_table(["planted", "check", "sets in which it speaks", "share of what was planted"], rows)


def show_wrong_labels(seeds: int, images: int) -> None:
    """Wrong labels among the held-out images, and how many of the suspects they are."""
    rows = []
    for seed in range(seeds):
        settings = (
            f"data.phantom.images={images}",
            f"data.phantom.seed={seed}",
            "data.phantom.wrong_labels=0.08",
            "data.split.official=false",
            "train.epochs=12",
            "evaluate.resamples=100",
        )
        with tempfile.TemporaryDirectory() as folder:
            done = radlens.run("phantom", Path(folder) / "run", seed=seed, settings=settings)
            suspects = done.folder / "label_suspects.csv"
            named = set(pd.read_csv(suspects)["path"]) if suspects.exists() else set()
            root = Path(done.manifest.info.root)
            planted = {each["file"] for each in json.loads((root / "defects.json").read_text())["wrong_labels"]}
            table = done.manifest.table
            held_out = set(table["path"][table["split"].isin(["val", "test"])])
        wrong = planted & held_out
        rows.append([str(seed), str(len(held_out)), str(len(wrong)), str(len(wrong & named)), str(len(named))])
    print()
    print_table(["seed", "held-out images", "wrong labels among them", "named as suspects", "suspects in all"], rows)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--images", type=int, default=300)
    parser.add_argument("--only", choices=("clean", "planted", "labels"), help="one part; else all three")
    chosen = parser.parse_args()
    print(describe_machine())
    few = min(chosen.seeds, 5)
    if chosen.only in (None, "clean"):
        show_clean(chosen.seeds, chosen.images)
    if chosen.only in (None, "planted"):
        show_planted(few, chosen.images)
    if chosen.only in (None, "labels"):
        show_wrong_labels(min(few, 3), 2 * chosen.images)


if __name__ == "__main__":
    main()
