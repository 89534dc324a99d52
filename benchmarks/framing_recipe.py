"""Which recipe answers by the lungs and not by the framing: variants of the presets under the framing suite.

Each (variant, seed) trains on a patient-grouped part of the training images of the Kaggle set, chooses its operating
point on validation images, and is asked about internal test images under every change of the framing suite. The seed
moves the split too. Rows are kept in ``results/framing_recipe.csv``; those that are there are not computed again. The
answers and weights are kept as well, so that ways to choose the threshold can be compared without training.

    python benchmarks/framing_recipe.py [--seeds N] [--workers N] [--only VARIANT ...]
    python benchmarks/framing_recipe.py --report
"""

from __future__ import annotations

import argparse
import re
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from common import HERE, describe_machine, in_processes, markdown_table, write_between
from shift_tests import CLASSES, logit, radiographs, threshold_of
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict

from radlens.config import RunSettings
from radlens.config.presets import presets
from radlens.imaging.framing import SUITE, reframe, reframe_each
from radlens.learning.allocator import keep_freed_memory
from radlens.learning.corruptions import corrupt_each
from radlens.learning.data_module import LabelledPixels
from radlens.learning.fit import fit
from radlens.learning.trained_model import TrainedModel
from radlens.statistics.metrics import expected_calibration_error

DATA = HERE / "results" / "framing_recipe.csv"
PAGE = HERE.parent / "docs" / "explanation" / "recipe.md"
# Copies of each validation image under random framings, and as many under random corruptions.
COPIES = 2
# Of each class, at most so many internal test images go through the suite.
MOST = 130
# Smaller than in the presets: what a recipe does to the framing shows at this size, in half of the time.
SIDE = 96


def _of(preset: str, augment: Mapping[str, Any], side: int = SIDE, **train: Any) -> dict[str, Any]:
    """A preset at the size of the comparison, with changed sections."""
    base = presets()[preset]
    return {
        **base,
        "preprocessing": {**base["preprocessing"], "height": side, "width": side},
        "augment": {**base["augment"], **augment},
        "train": {**base["train"], **train},
    }


_BEFORE: dict[str, Any] = {"stretch": 0.0, "sides": (0.0, 0.0), "margin": 0.0, "crop": (0.35, 1.1), "degrade": 0.3}
_CROPPED: dict[str, Any] = {**_BEFORE, "stretch": 0.6, "crop": (0.25, 1.3)}
_MARGIN: dict[str, Any] = {**_CROPPED, "margin": 0.5}
VARIANTS: dict[str, dict[str, Any]] = {
    "before, at 128 pixels": _of("fast", _BEFORE, 128),
    "stretch, at 128 pixels": _of("fast", {**_BEFORE, "stretch": 0.6}, 128),
    "before": _of("fast", _BEFORE),
    "stretch": _of("fast", {**_BEFORE, "stretch": 0.6}),
    "stretch, crop": _of("fast", _CROPPED),
    "stretch, crop, black margins": _of("fast", _MARGIN),
    "sides alone": _of("fast", {**_BEFORE, "margin": 0.5, "crop": (1.0, 1.0), "sides": (-0.2, 0.25)}),
    "stretch, crop, sides": _of("fast", {**_MARGIN, "crop": (0.4, 1.3), "sides": (-0.1, 0.15)}),
    "more stretch": _of("fast", {**_MARGIN, "stretch": 0.9}),
    "no degradation": _of("fast", {**_MARGIN, "degrade": 0.0}),
    "nothing hidden": _of("fast", {**_MARGIN, "hide": 0.0}),
    "inverse propensity": _of("fast", _MARGIN),
    "inverse propensity alone": _of("fast", _BEFORE),
    "nine epochs": _of("fast", _MARGIN, epochs=9),
}
# Variants that draw training images so that a framing-only score is independent of the class.
WEIGHTED = ("inverse propensity", "inverse propensity alone")


def settings_of(variant: str, seed: int, threads: int) -> RunSettings:
    """The settings of one training."""
    values = VARIANTS[variant]
    return RunSettings.model_validate({**values, "train": {**values["train"], "threads": threads}, "seed": seed})


def parts(settings: RunSettings) -> dict[str, LabelledPixels]:
    """Training, validation and internal test images; no patient is in two of them."""
    images = radiographs(settings.preprocessing)
    patients = np.unique(images.patients)
    order = np.random.default_rng((settings.seed, 31)).permutation(patients)
    ends = np.cumsum([0.1, 0.12]) * len(patients)
    split = {"test": order[: int(ends[0])], "val": order[int(ends[0]) : int(ends[1])], "train": order[int(ends[1]) :]}
    rows = {name: np.flatnonzero(np.isin(images.patients, members)) for name, members in split.items()}
    return {
        name: LabelledPixels(images.cache.pixels, images.cache.rows[own], images.targets[own])
        for name, own in rows.items()
    }


def weighted(images: LabelledPixels, seed: int) -> LabelledPixels:
    """As many training images, drawn by inverse propensity: a score of row and column profiles tells no class then.

    The propensity is that of a logistic regression on the standardised mean grey of 32 rows and 32 columns, out of
    five folds; weights are stabilised and at most ten times the mean (Robins et al. 2000,
    doi:10.1097/00001648-200009000-00011).
    """
    pixels = images.pixels[images.rows, 0].astype(np.float32)
    profiles = [pixels.mean(axis=axis).reshape(len(pixels), 32, -1).mean(axis=2) for axis in (2, 1)]
    features = np.concatenate(
        [(each - each.mean(1, keepdims=True)) / each.std(1, keepdims=True) for each in profiles], 1
    )
    score = cross_val_predict(
        LogisticRegression(C=0.1, max_iter=2000), features, images.targets, cv=5, method="predict_proba"
    )
    weights = 1 / score[np.arange(len(score)), images.targets]
    weights = np.minimum(weights, 10 * weights.mean())
    rng = np.random.default_rng((seed, 37))
    drawn = np.concatenate(
        [
            rng.choice(own, len(own), p=weights[own] / weights[own].sum())
            for own in (np.flatnonzero(images.targets == name) for name in (0, 1))
        ]
    )
    return LabelledPixels(images.pixels, images.rows[drawn], images.targets[drawn])


def balanced_sample(images: LabelledPixels, most: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Pixels and classes of at most so many images of each class."""
    kept = np.concatenate([np.flatnonzero(images.targets == name)[:most] for name in (0, 1)])
    return images.pixels[images.rows[kept]], images.targets[kept]


def ask(model: TrainedModel, images: Mapping[str, LabelledPixels]) -> dict[str, npt.NDArray[Any]]:
    """Logits of pneumonia of all that a row is computed from."""

    def answer(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        with torch.autocast("cpu", torch.bfloat16):
            return logit(model.probabilities(pixels, batch_size=64)[:, 1]).astype(np.float32)

    val = images["val"].pixels[images["val"].rows]
    test, truth = balanced_sample(images["test"], MOST)
    rng = np.random.default_rng(7)
    scores: dict[str, npt.NDArray[Any]] = {
        "truth_val": images["val"].targets,
        "truth_test": truth,
        "val": answer(val),
        "val_framed": np.stack([answer(reframe_each(val, rng)) for _ in range(COPIES)]),
        "val_corrupted": np.stack([answer(corrupt_each(val, rng)) for _ in range(COPIES)]),
        "test": answer(test),
        "test_corrupted": np.stack([answer(corrupt_each(test, rng)) for _ in range(COPIES)]),
        "suite": np.stack([answer(reframe(test, change.framings(len(test), rng))) for change in SUITE]),
    }
    return scores


def judged(scores: Mapping[str, Any], threshold: float) -> dict[str, Any]:
    """The figures of a row at a threshold on the logit."""
    truth = scores["truth_test"]
    counted = np.array([change.counted for change in SUITE])

    def rates(answers: npt.NDArray[np.float32]) -> tuple[float, float]:
        return float((answers[truth == 1] >= threshold).mean()), float((answers[truth == 0] < threshold).mean())

    every = np.array([rates(answers) for answers in scores["suite"]])
    balanced = every.mean(axis=1)
    worst = int(np.argmin(np.where(counted, balanced, 2)))
    shifted = scores["suite"][counted].ravel()
    own_sensitivity, own_specificity = rates(scores["test"])
    return {
        "auroc": roc_auc_score(truth, scores["test"]),
        "auroc_corrupted": np.mean([roc_auc_score(truth, row) for row in scores["test_corrupted"]]),
        "sensitivity": own_sensitivity,
        "specificity": own_specificity,
        "worst_balanced": balanced[worst],
        "worst_change": SUITE[worst].name,
        "worst_sensitivity": every[counted, 0].min(),
        "worst_specificity": every[counted, 1].min(),
        "mean_balanced": balanced[counted].mean(),
        "worst_auroc": min(roc_auc_score(truth, row) for row in scores["suite"][counted]),
        "worst_balanced_all": balanced.min(),
        "ece_framed": expected_calibration_error(
            1 / (1 + np.exp(-shifted.astype(float))), np.tile(truth, int(counted.sum()))
        ),
    }


def thresholds_of(scores: Mapping[str, Any]) -> dict[str, float]:
    """The logit that each way of choosing gives."""
    truth = scores["truth_val"]
    sets = {
        "validation": ["val"],
        "framed": ["val", "val_framed"],
        "corrupted": ["val", "val_corrupted"],
        "framed and corrupted": ["val", "val_framed", "val_corrupted"],
    }
    found = {"half": 0.0}
    for name, members in sets.items():
        logits = np.concatenate([np.atleast_2d(scores[member]) for member in members])
        positive = 1 / (1 + np.exp(-logits.astype(np.float64)))
        found[name] = float(logit(np.array([threshold_of(positive.ravel(), np.tile(truth, len(logits)))]))[0])
    return found


def measure(variant: str, seed: int, folder: Path, threads: int) -> dict[str, Any]:
    """Train once, keep the answers, and the row."""
    keep_freed_memory()
    torch.set_num_threads(threads)
    settings = settings_of(variant, seed, threads)
    images = parts(settings)
    if variant in WEIGHTED:
        images["train"] = weighted(images["train"], seed)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as made:
        fitted = fit(settings, "binary", CLASSES, images["train"], images["val"], Path(made))
    seconds = time.perf_counter() - started
    tensors = {name: value.float().numpy() for name, value in fitted.network.items()}
    np.savez(folder / f"{_slug(variant)}-{seed}-weights.npz", **tensors)  # type: ignore[arg-type]
    model = TrainedModel("binary", CLASSES, settings.train.network, settings.preprocessing, 0.5, tensors)
    scores = ask(model, images)
    np.savez_compressed(folder / f"{_slug(variant)}-{seed}.npz", **scores)  # type: ignore[arg-type]
    return row_of(variant, seed, scores, seconds)


def row_of(variant: str, seed: int, scores: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    """One row, at the threshold of validation images and their framed and corrupted copies."""
    row = judged(scores, thresholds_of(scores)["framed and corrupted"])
    rounded = {name: value if isinstance(value, str) else round(float(value), 4) for name, value in row.items()}
    return {"variant": variant, "seed": seed, **rounded, "seconds": round(seconds, 1)}


def _slug(variant: str) -> str:
    return re.sub("[^a-z0-9]+", "-", variant.lower())


FIGURES = {
    "worst_balanced": "worst balanced accuracy",
    "worst_specificity": "worst specificity",
    "worst_sensitivity": "worst sensitivity",
    "mean_balanced": "mean balanced accuracy, all changes",
    "auroc": "AUROC, unchanged",
    "worst_auroc": "worst AUROC",
    "auroc_corrupted": "AUROC, corrupted",
}


def summary(table: pd.DataFrame) -> str:
    """A Markdown table: one line a variant, mean over the seeds with the smallest and the largest."""
    rows = []
    for variant in [name for name in VARIANTS if name in set(table["variant"])]:
        own = table[table["variant"] == variant]
        cells = []
        for figure in FIGURES:
            low, mean, high = (f"{value:.3f}" for value in (own[figure].min(), own[figure].mean(), own[figure].max()))
            cells.append(mean if len(own) == 1 else f"{mean} [{low}, {high}]")
        worst = own["worst_change"].value_counts().index[0]
        rows.append([variant, str(len(own)), *cells, str(worst)])
    return markdown_table(["variant", "seeds", *FIGURES.values(), "worst change (most often)"], rows)


def main() -> None:
    """Compute the rows that are missing, and print what is there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--only", nargs="*", choices=list(VARIANTS), help="these variants alone")
    parser.add_argument("--workers", type=int, default=2, help="processes, each with a network to train on one thread")
    parser.add_argument("--scores", type=Path, default=Path("runs/framing"), help="folder for the models' answers")
    parser.add_argument("--report", action="store_true", help="only print what is there")
    options = parser.parse_args()
    if not options.report:
        compute(options)
    text = summary(pd.read_csv(DATA))
    print(text)
    write_between(PAGE, "framing", text)


def compute(options: argparse.Namespace) -> None:
    """Add the rows that are missing to the data file."""
    options.scores.mkdir(parents=True, exist_ok=True)
    print(describe_machine())
    table = pd.read_csv(DATA) if DATA.exists() else pd.DataFrame({"variant": [], "seed": []})
    there = set(table[["variant", "seed"]].itertuples(index=False, name=None))
    names = options.only or list(VARIANTS)
    jobs = [(name, seed) for seed in options.seeds for name in names if (name, seed) not in there]
    for contract in {settings_of(name, 0, 1).preprocessing for name, _ in jobs}:
        radiographs(contract)
    arguments = ((name, seed, options.scores, 1) for name, seed in jobs)
    for row in in_processes(measure, arguments, options.workers, float("inf")):
        table = pd.concat([table, pd.DataFrame([row])])
        table.to_csv(DATA, index=False)
        print(row, flush=True)


if __name__ == "__main__":
    main()
