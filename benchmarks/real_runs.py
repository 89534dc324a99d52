"""``radlens run`` on the real training images: each preset over its seeds.

Time an epoch, time of training, validation and internal test metrics (grouped by patient; the
official test images are not opened). Every run is the command a user would type, in a process of its own; finished runs
in ``--out`` are not repeated.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
from common import KERMANY, describe_machine, print_table, spread, training_seconds

from radlens.runtime.metrics_record import read_metrics

METRICS = ("auroc", "accuracy", "sensitivity", "specificity", "ece")


def run_once(preset: str, seed: int, out: Path, extra: list[str]) -> dict[str, Any]:
    """One run; its metrics, epoch times and the peak memory of the process."""
    folder = out / f"{preset}-{seed}"
    if not (folder / "peak_mib").is_file():
        command = [str(Path(sys.executable).parent / "radlens"), "run", str(KERMANY), "--out", str(folder)]
        command += ["--preset", preset, "--seed", str(seed), "--overwrite", *extra]
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
        # The largest child so far: right for a run that outgrows those before it, an upper bound for the others.
        peak = max(before, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
        (folder / "peak_mib").write_text(f"{peak / 1024:.0f}")
    metrics = read_metrics(folder / "metrics.json")
    history = pd.read_csv(folder / "history.csv")
    return {
        "metrics": metrics,
        "environment": json.loads((folder / "environment.json").read_text()),
        "seconds": history["seconds"].tolist(),
        "total": training_seconds(folder),
        "to_99": seconds_to(history, 0.99),
        "train": int((pd.read_csv(folder / "manifest.csv")["split"] == "train").sum()),
        "peak": float((folder / "peak_mib").read_text()),
    }


def seconds_to(history: pd.DataFrame, auroc: float) -> float:
    """Seconds of training until validation first reached the AUROC; infinite if it never did."""
    reached = history["val_auroc"] >= auroc
    return float(history["seconds"].cumsum()[reached].min()) if reached.any() else float("inf")


def figures(runs: list[dict[str, Any]], split: str) -> list[str]:
    """Each metric as median [smallest, largest] over the seeds, or with its interval for a single run."""
    cells = []
    for metric in METRICS:
        values = [run["metrics"][split].metrics[metric] for run in runs]
        if len(runs) == 1:
            cells.append(f"{values[0].value:.3f} ({values[0].low:.3f}, {values[0].high:.3f})")
        else:
            cells.append(spread([value.value for value in values], 3))
    return cells


def run_rows(preset: str, seed: int, run: dict[str, Any]) -> list[dict[str, Any]]:
    """The metrics of one run by split; of the split whose framing was changed, the worst balanced accuracy too."""
    environment, rows = run["environment"], []
    for split, record in run["metrics"].items():
        row = {"preset": preset, "seed": seed, "split": split, "n": record.n}
        row |= {metric: record.metrics[metric].value for metric in METRICS}
        if record.framing is not None:
            row |= {"framing_images": record.framing.images, "framing_worst": record.framing.worst}
            row |= {"framing_worst_balanced_accuracy": record.framing.worst_balanced_accuracy.value}
            row |= {"framing_verdict": record.framing.verdict}
        row |= {"machine": environment["cpu"], "commit": (environment["git_commit"] or "")[:12]}
        rows.append(row)
    return rows


def main() -> None:
    """Print one row for each preset and split."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/benchmark"))
    parser.add_argument("--seeds", nargs="*", default=["baseline:1", "fast:3", "best:3"], metavar="PRESET:SEEDS")
    parser.add_argument(
        "--results", type=Path, help="CSV of one row a run and split, such as benchmarks/results/real_runs.csv"
    )
    parser.add_argument("--set", action="append", default=[], dest="settings", help="passed on to every run")
    options = parser.parse_args()
    extra = [part for setting in options.settings for part in ("--set", setting)]
    print(describe_machine())
    groups, table = {}, []
    for text in options.seeds:
        preset, _, count = text.partition(":")
        seeds = range(int(count))
        how = "1 seed, 95 % intervals" if len(seeds) == 1 else f"{count} seeds, median [min, max]"
        groups[f"{preset} ({how})"] = [run_once(preset, seed, options.out, extra) for seed in seeds]
        for seed, run in zip(seeds, next(reversed(groups.values())), strict=True):
            table += run_rows(preset, seed, run)
    if options.results:
        pd.DataFrame(table).to_csv(options.results, index=False)
    rows = []
    for name, runs in groups.items():
        seconds = spread([second for run in runs for second in run["seconds"]])
        total = spread([run["total"] for run in runs], 0)
        reached = spread([run["to_99"] for run in runs], 0)
        for split in ("val", "test"):
            count = str(runs[0]["metrics"][split].n)
            peak = max(run["peak"] for run in runs)
            rows.append([name, split, count, *figures(runs, split), seconds, total, reached, f"{peak:.0f}"])
    header = ["preset", "split", "n", *METRICS, "s an epoch", "s of training", "s to AUROC .99 on val", "peak MiB"]
    print_table(header, rows)


if __name__ == "__main__":
    main()
