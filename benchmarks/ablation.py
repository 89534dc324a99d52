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
import hashlib
import json
import re
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from common import HERE, describe_machine, device_name, in_processes, markdown_table, write_between
from shift_tests import CLASSES, SHIFTS, answering, ask, judged, mean_answer, radiographs

from radlens.base.cpu import available_cores
from radlens.config import RunSettings
from radlens.config.presets import presets
from radlens.learning.allocator import keep_freed_memory
from radlens.learning.corruptions import SUITE, corrupt
from radlens.learning.fit import fit

RESULTS = HERE / "results"
DATA = RESULTS / "ablation.csv"
PAGE = HERE.parent / "docs" / "explanation" / "recipe.md"
KEY = ["variant", "shift", "seed"]
# The recipe that the page's tables are of, that before the framing suite, and the one before it, which had what the
# code no longer has. A new one comes once it is measured as widely.
TODAY, BEFORE = "053cd7ab", "9b631141"
_BEST = presets()["best"]
RECIPE: dict[str, Any] = {
    "preprocessing": _BEST["preprocessing"],
    # That of the preset but for fewer hidden images: see the variant.
    "augment": presets()["fast"]["augment"],
    # A third of the preset's epochs.
    "train": {**_BEST["train"], "epochs": 10},
}
_UNCHANGED_GREY = {"brightness": 0.0, "contrast": 0.0, "gamma": (1.0, 1.0)}
_WEAK = {
    **{"rotation": 10.0, "zoom": (0.9, 1.3), "crop": (1.0, 1.0), "shift": 0.08},
    **{"brightness": 0.15, "contrast": 0.3, "gamma": (1.0, 1.0), "degrade": 0.0},
}
# Columns of ways to calibrate, to choose a threshold and to abstain, by how they begin, and which is the worst.
CHOICES = {"ece ": "max", "log loss ": "max", "balanced ": "min", "referred ": "max", "answered wrongly ": "max"}
# What could be asked in place of the network that is kept, for each recipe: the one before kept the epoch of the least
# validation loss.
SHIFTED = {
    TODAY: {"auroc_shifted": "AUROC", "auroc_shifted_mirrored": "AUROC, mean over image and mirror image"},
    BEFORE: {
        "auroc_shifted": "AUROC of the epoch of the least validation loss",
        "auroc_shifted_last": "AUROC of the last epoch",
    },
}


def _square(side: int) -> dict[str, Any]:
    return {"preprocessing": {"height": side, "width": side}}


VARIANTS: dict[str, dict[str, dict[str, Any]]] = {
    "recipe": {},
    "weak augmentation": {"augment": _WEAK},
    "no strong crop": {"augment": {"crop": (1.0, 1.0), "zoom": (0.9, 1.3), "shift": 0.08}},
    "no rotation": {"augment": {"rotation": 0.0}},
    "no mirror images": {"augment": {"flip_horizontal": 0.0}},
    "no brightness, contrast, gamma": {"augment": _UNCHANGED_GREY},
    "no brightness": {"augment": {"brightness": 0.0}},
    "no contrast": {"augment": {"contrast": 0.0}},
    "no gamma": {"augment": {"gamma": (1.0, 1.0)}},
    "no blur, resolution, JPEG, noise": {"augment": {"degrade": 0.0}},
    "twice as often blur, resolution, JPEG, noise": {"augment": {"degrade": 0.6}},
    "no blur": {"augment": {"blur": 0.0}},
    "no lower resolution": {"augment": {"resolution": 1.0}},
    "no JPEG": {"augment": {"jpeg": 100}},
    "no noise": {"augment": {"noise": 0.0}},
    "128 pixels": _square(128),
    "192 pixels": _square(192),
    "224 pixels": _square(224),
    "half the epochs": {"train": {"epochs": 5}},
    "half as many epochs more": {"train": {"epochs": 15}},
    "twice the epochs": {"train": {"epochs": 20}},
    "small images first": {"train": {"progressive_resizing": 0.6}},
    "balanced loss": {"train": {"balance": "loss"}},
    "no balance": {"train": {"balance": "none"}},
    "backbone at a fifth of the rate": {"train": {"backbone_rate": 0.2}},
    "a third of the rate": {"train": {"learning_rate": 5e-4}},
    "twice the rate": {"train": {"learning_rate": 3e-3}},
    "no weight decay": {"train": {"weight_decay": 0.0}},
    "batches of 64": {"train": {"batch_size": 64}},
    "random initial weights": {"train": {"initial_weights": "random"}},
    "no frames": {"augment": {"frame": 0.0}},
    "no hidden anatomy": {"augment": {"hide": 0.0}},
    "more hidden anatomy": {"augment": _BEST["augment"]},
    "no frames, no hidden anatomy": {"augment": {"frame": 0.0, "hide": 0.0}},
    "EfficientNet-Lite1": {"train": {"network": "efficientnet_lite1"}},
    "EfficientNet-Lite2": {"train": {"network": "efficientnet_lite2"}},
}
COVERED = (
    *("recipe", "weak augmentation", "no frames", "no hidden anatomy", "more hidden anatomy"),
    "no frames, no hidden anatomy",
)
FIGURES = {
    "auroc": "AUROC, like training",
    "auroc_shifted": "AUROC, left out",
    "auroc_corrupted": "AUROC, corrupted",
    "specificity_shifted": "specificity, left out",
    "sensitivity_shifted": "sensitivity, left out",
    "balanced_shifted": "balanced accuracy, left out",
}
COVERED_FIGURES = {
    "auroc": "AUROC, like training",
    "auroc_shifted": "AUROC, left out",
    "balanced_shifted": "balanced accuracy, left out",
    "auroc_corrupted": "AUROC, corrupted",
    "balanced_framed": "balanced accuracy, black frame of 15 %",
    "auroc_border": "AUROC, border of 10 % alone",
    "log_loss_border": "log loss, border of 10 % alone",
}


def recipe_id() -> str:
    """Tells the rows of this recipe from those of another."""
    return hashlib.sha256(json.dumps(RECIPE, sort_keys=True).encode()).hexdigest()[:8]


def settings_of(variant: Mapping[str, Mapping[str, Any]], seed: int, threads: int = 0) -> RunSettings:
    """The recipe with the variant's values in place of its own."""
    values = {section: {**values, **variant.get(section, {})} for section, values in RECIPE.items()}
    return RunSettings.model_validate({**values, "train": {**values["train"], "threads": threads}, "seed": seed})


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


def in_order(column: pd.Series[Any]) -> pd.Series[Any]:
    """The variants as they are listed here, those that are no more at the end; other columns as they are."""
    if column.name != "variant":
        return column
    names = [*VARIANTS, *sorted(set(column) - set(VARIANTS))]
    return column.map(names.index)


def summary(table: pd.DataFrame, figures: Mapping[str, str]) -> pd.DataFrame:
    """Mean over shifts and seeds, with the difference from the recipe over the runs that both have.

    The standard error is that of the mean of the paired differences.
    """
    paired = table.set_index(KEY)[list(figures)]
    recipe = paired.loc["recipe"]
    rows = []
    for variant in table["variant"].unique():
        own = paired.loc[variant]
        common = own.index.intersection(recipe.index)
        difference = own.loc[common] - recipe.loc[common]
        for figure in figures:
            values = difference[figure]
            rows.append(
                {
                    "variant": variant,
                    "figure": figure,
                    "runs": len(own),
                    "mean": own[figure].mean(),
                    "sd": own.groupby("shift")[figure].std().mean(),
                    "difference": values.mean(),
                    "error": values.std() / np.sqrt(len(values)) if len(values) > 1 else np.nan,
                }
            )
    return pd.DataFrame(rows)


def draw_plot(found: pd.DataFrame, path: Path) -> None:
    """Difference of each variant from the recipe, with twice its standard error to either side."""
    shown = ("auroc_shifted", "auroc_corrupted", "balanced_shifted")
    # What is far worse than all others would leave no room to tell these apart.
    hidden = ("recipe", "random initial weights")
    variants = [name for name in found["variant"].unique() if name not in hidden][::-1]
    figure, axes = plt.subplots(1, len(shown), figsize=(12, 0.26 * len(variants) + 1.5), sharey=True)
    for axis, name in zip(axes, shown, strict=True):
        rows = found[found["figure"] == name].set_index("variant").loc[variants]
        ends = 2 * rows["error"]
        axis.errorbar(
            rows["difference"], range(len(variants)), xerr=ends, fmt="o", capsize=2, markersize=4, color="#1b5e8c"
        )
        axis.axvline(0, color="grey", linewidth=1)
        axis.set(title=FIGURES[name], xlabel="difference from the recipe")
        axis.set_yticks(range(len(variants)), variants, fontsize=8)
        axis.locator_params(axis="x", nbins=5)
        axis.grid(axis="x", alpha=0.3)
    figure.tight_layout()
    figure.savefig(path, dpi=100)
    plt.close(figure)


def variant_table(found: pd.DataFrame, figures: Mapping[str, str]) -> str:
    """One line a variant, with its differences from the recipe."""
    rows = []
    for variant, part in found.groupby("variant", sort=False):
        part = part.set_index("figure")
        cells = [f"{part['mean'][name]:.3f}" for name in figures]
        if variant == "recipe":
            cells = [f"{cell} (SD {part['sd'][name]:.3f})" for cell, name in zip(cells, figures, strict=True)]
        else:
            cells = [
                f"{cell} ({part['difference'][name]:+.4f} ± {part['error'][name]:.4f})"
                for cell, name in zip(cells, figures, strict=True)
            ]
        rows.append([str(variant), str(part["runs"].iloc[0]), *cells])
    return markdown_table(["variant", "runs", *figures.values()], rows)


def report() -> None:
    """Print the tables from the data file, put them into the documentation, and draw the plot."""
    data = pd.read_csv(DATA).sort_values(["variant", "shift", "seed"], key=in_order)
    today, before = (data[data["recipe"] == recipe] for recipe in (TODAY, BEFORE))
    found = summary(today, FIGURES)
    # What was not measured again, and what it is compared with.
    dropped = before[~before["variant"].isin(set(today["variant"]) - {"recipe"})]
    covered = today[today["variant"].isin(COVERED)]
    tables = {
        "ablation": variant_table(found, FIGURES) + "\n" + choice_table(today, CHOICES, SHIFTED[TODAY]),
        "dropped": variant_table(summary(dropped, FIGURES), FIGURES) + "\n" + choice_table(before, {}, SHIFTED[BEFORE]),
        "covered": variant_table(summary(covered, COVERED_FIGURES), COVERED_FIGURES),
    }
    draw_plot(found, RESULTS / "ablation.png")
    for place, table in tables.items():
        print(table)
        write_between(PAGE, place, table)


def choice_table(data: pd.DataFrame, choices: Mapping[str, str], shifted: Mapping[str, str]) -> str:
    """Mean and worst over all runs for each way to calibrate, to choose a threshold, and to ask.

    Networks without weights from ImageNet, which hardly learn from so few images, are left out.
    """
    data = data[data["variant"] != "random initial weights"]
    rows: list[list[str]] = []
    for prefix, worst in choices.items():
        for name in [column for column in map(str, data) if column.startswith(prefix)]:
            rows.append([name, f"{data[name].mean():.4f}", f"{getattr(data[name], worst)():.4f}"])
    for name, words in shifted.items():
        difference = data[name] - data["auroc_shifted"]
        error = difference.std() / np.sqrt(len(data))
        gain = f" ({difference.mean():+.4f} ± {error:.4f})" if error else ""
        rows.append([words, f"{data[name].mean():.4f}{gain}", f"{data[name].min():.4f}"])
    return markdown_table([f"on the images left out, {len(data)} runs", "mean", "worst"], rows)


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
