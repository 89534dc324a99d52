"""What each ingredient of the recipe gives, on images like those of training and on images that differ.

Only the training images are used; see ``shift_tests.py``. Each (recipe, ingredient, shift, seed) is one row of
``ablation.csv``; rows that are there are not computed again, so the script can be stopped at any time. When the preset
changes, rows of the new recipe are added beside the old ones: those of different recipes are not comparable. With
several workers each trains a network of its own, on one thread: for a machine of many cores, with or without a GPU.

    python benchmarks/ablation.py [--seeds N] [--workers N] [--minutes N] [--only VARIANT ...]
    python benchmarks/ablation.py --report
    python benchmarks/ablation.py --judge ID [--scores FOLDER]
"""

from __future__ import annotations

import argparse
import re
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from ablation_recipe import DATA, KEY, RESULTS, VARIANTS, recipe_id, settings_of
from ablation_tables import report
from common import describe_machine, device_name, in_processes
from shift_tests import CLASSES, SHIFTS, answering, ask, judged, mean_answer, radiographs

from radlens.base.cpu import available_cores
from radlens.learning.allocator import keep_freed_memory
from radlens.learning.corruptions import SUITE, corrupt
from radlens.learning.fit import fit


@dataclass(frozen=True)
class Job:
    """One row: a training and what the network says."""

    variant: str
    shift: str
    seed: int

    def scores(self, folder: Path) -> Path:
        """Where the answers are kept."""
        name = re.sub("[^a-z0-9]+", "-", self.variant.lower())
        return folder / f"{name}-{list(SHIFTS).index(self.shift)}-{self.seed}.npz"


def measure(job: Job, folder: Path, threads: int) -> dict[str, Any]:
    """Train once and ask the network about all images; its answers are kept in ``folder``."""
    keep_freed_memory()
    torch.set_num_threads(threads or available_cores())
    settings = settings_of(VARIANTS[job.variant], job.seed, threads)
    parts = radiographs(settings.preprocessing).parts(job.shift, job.seed)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as made:
        fitted = fit(settings, "binary", CLASSES, parts["train"], parts["val"], Path(made))
        last = torch.load(Path(made) / "checkpoints" / "last.ckpt", map_location="cpu", weights_only=True)
    seconds = time.perf_counter() - started
    model = answering(settings, fitted.network)
    scores = ask([model], parts)
    state = last["state_dict"].items()
    final = answering(settings, {name.removeprefix("network."): value for name, value in state if "network." in name})
    scores["shifted_last"] = mean_answer([final], parts["shifted"].pixels[parts["shifted"].rows])
    if job.variant == "recipe" and job.seed == 0:
        pixels = parts["val"].pixels[parts["val"].rows]
        for kind, strength in SUITE:
            changed = corrupt(pixels, kind, strength, np.random.default_rng(5))
            scores[f"{kind} {strength}"] = mean_answer([model], changed)
    np.savez_compressed(job.scores(folder), **scores)  # type: ignore[arg-type]
    facts = {"seconds": round(seconds, 1), "device": device_name()}
    return {"recipe": recipe_id(), **vars(job), **judged(scores), **facts}


def rows_there(path: Path, key: list[str]) -> set[tuple[Any, ...]]:
    """The keys of the rows that a data file has of this recipe."""
    if not path.exists():
        return set()
    done = pd.read_csv(path)
    return set(done.loc[done["recipe"] == recipe_id(), key].itertuples(index=False, name=None))


def add_row(path: Path, row: Mapping[str, Any]) -> None:
    """Write a data file with one row more."""
    done = [pd.read_csv(path)] if path.exists() else []
    pd.concat([*done, pd.DataFrame([row])]).to_csv(path, index=False)


def missing(options: argparse.Namespace) -> list[Job]:
    """The rows that are not there yet, seed by seed."""
    there = rows_there(DATA, KEY)
    jobs = [
        Job(variant, shift, seed)
        for seed in range(options.seeds)
        for variant in options.only or VARIANTS
        for shift in SHIFTS
    ]
    return [job for job in jobs if (job.variant, job.shift, job.seed) not in there]


def measured(jobs: list[Job], options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """The rows as they are done; after the minutes given, no other is begun."""
    until = time.monotonic() + 60 * options.minutes
    if options.workers == 1:
        for job in jobs:
            if time.monotonic() < until:
                yield measure(job, options.scores, 0)
        return
    yield from in_processes(measure, ((job, options.scores, 1) for job in jobs), options.workers, until)


def judge_again(folder: Path, recipe: str) -> None:
    """Write the rows of a recipe anew from the answers that are kept in a folder."""
    rows = []
    for row in pd.read_csv(DATA).to_dict("records"):
        scores = Job(row["variant"], row["shift"], row["seed"]).scores(folder)
        if row["recipe"] == recipe and scores.is_file():
            with np.load(scores) as kept:
                row.update(judged(dict(kept)).items())
        rows.append(row)
    pd.DataFrame(rows).to_csv(DATA, index=False)


def main() -> None:
    """Compute the rows that are missing, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", nargs="*", choices=list(VARIANTS), help="these variants alone")
    parser.add_argument("--workers", type=int, default=1, help="processes, each with a network to train")
    parser.add_argument("--minutes", type=float, default=1e6, help="begin no other row after so many")
    parser.add_argument("--scores", type=Path, default=Path("runs/ablation"), help="folder for the models' answers")
    parser.add_argument("--report", action="store_true", help="only print and plot what is there")
    parser.add_argument("--judge", metavar="RECIPE", help="no training: judge the answers kept for a recipe anew")
    options = parser.parse_args()
    if options.judge:
        judge_again(options.scores, options.judge)
    elif not options.report:
        print(describe_machine())
        RESULTS.mkdir(exist_ok=True)
        options.scores.mkdir(parents=True, exist_ok=True)
        jobs = missing(options)
        for contract in {settings_of(VARIANTS[job.variant], 0).preprocessing for job in jobs}:
            radiographs(contract)
        for row in measured(jobs, options):
            add_row(DATA, row)
            print({name: row[name] for name in (*KEY, "auroc_shifted", "auroc", "seconds")}, flush=True)
    report()


if __name__ == "__main__":
    main()
