"""What each ingredient of the recipe gives, on images like those of training and on images that differ.

Only the training images are used. Two *shift* trainings stand in for a test on other patients of another time: one
series of normals and one kind of pneumonia are left out of training altogether (``NORMAL2-IM-`` with bacteria, or
``IM-`` with virus), and the model is asked about them. A fifth of the patients of the series that it did see is its
validation; the corruption suite is run on these. Each (ingredient, shift, seed) is one row of ``ablation.csv``; rows
that are there are not computed again, so the script can be stopped at any time.
"""

from __future__ import annotations

import argparse
import re
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from common import HERE, KERMANY, describe_machine, markdown_table, write_between
from sklearn.metrics import roc_auc_score
from torch import Tensor

from radlens.assessment.calibration import fit_calibration, log_loss
from radlens.assessment.metrics import expected_calibration_error
from radlens.assessment.operating_point import balanced_accuracy, balanced_threshold
from radlens.config import RunSettings
from radlens.dataset.sources import read_source
from radlens.decision import recalibrate
from radlens.imaging.cache import PixelCache
from radlens.learning.corruptions import SUITE, corrupt, corrupt_each
from radlens.learning.data_module import LabelledPixels
from radlens.learning.fit import fit
from radlens.learning.trained_model import TrainedModel
from radlens.presets import presets

CLASSES = ("normal", "pneumonia")
RESULTS = HERE / "results"
PAGE = HERE.parent / "docs" / "explanation" / "recipe.md"
# The preset fast, shorter and with whole images from the start. Rows measured with other values are not comparable.
_FAST = presets()["fast"]
RECIPE: dict[str, Any] = {
    "preprocessing": _FAST["preprocessing"],
    "augment": _FAST["augment"],
    "train": {**_FAST["train"], "epochs": 5, "first_size": 1.0},
}
VARIANTS: dict[str, dict[str, dict[str, Any]]] = {
    "recipe": {},
    "weak augmentation": {
        "augment": {
            **{"rotation": 10.0, "zoom": (0.9, 1.3), "crop": (1.0, 1.0), "shift": 0.08},
            **{"brightness": 0.15, "contrast": 0.3, "gamma": (1.0, 1.0), "degrade": 0.0},
        }
    },
    "no strong crop": {"augment": {"crop": (1.0, 1.0), "zoom": (0.9, 1.3), "shift": 0.08}},
    "no brightness, contrast, gamma": {"augment": {"brightness": 0.0, "contrast": 0.0, "gamma": (1.0, 1.0)}},
    "twice the epochs": {"train": {"epochs": 10}},
    "192 pixels": {"preprocessing": {"height": 192, "width": 192}},
    "160 pixels, 16 epochs, small images first": {
        "preprocessing": {"height": 160, "width": 160},
        "train": {"epochs": 16, "first_size": 0.6, "ema": 0.995},
    },
    "20 epochs": {"train": {"epochs": 20, "ema": 0.995}},
    "twice the epochs, with CutMix": {"train": {"epochs": 10, "cutmix": 1.0}},
    "twice the epochs, small images first": {"train": {"epochs": 10, "first_size": 0.6}},
    "no weight averaging": {"train": {"ema": 0.0}},
    "with CutMix": {"train": {"cutmix": 1.0}},
    "small images first": {"train": {"first_size": 0.6}},
    "with mixup": {"train": {"mixup": 0.2}},
    "no label smoothing": {"train": {"label_smoothing": 0.0}},
    "balanced loss": {"train": {"balance": "loss"}},
    "backbone at a fifth of the rate": {"train": {"backbone_rate": 0.2}},
    "no blur, resolution, JPEG, noise": {"augment": {"degrade": 0.0}},
    "no noise": {"augment": {"noise": 0.0}},
    "a third of the rate": {"train": {"learning_rate": 5e-4}},
    "random initial weights": {"train": {"initial_weights": "random"}},
}
# What training sees in each shift, by the names of the files.
SHIFTS = {"NORMAL2-IM-, bacteria": r"^NORMAL2-IM-|_bacteria_", "IM-, virus": r"^IM-|_virus_"}
FIGURES = {
    "auroc": "AUROC, like training",
    "auroc_shifted": "AUROC, left out",
    "auroc_corrupted": "AUROC, corrupted",
    "specificity_shifted": "specificity, left out",
    "sensitivity_shifted": "sensitivity, left out",
    "balanced_shifted": "balanced accuracy, left out",
}


def settings_of(variant: Mapping[str, Mapping[str, Any]], seed: int) -> RunSettings:
    """The recipe with the variant's values in place of its own."""
    values = {section: {**values, **variant.get(section, {})} for section, values in RECIPE.items()}
    return RunSettings.model_validate({**values, "seed": seed})


class Radiographs:
    """The training images of the Kaggle set with what their names tell of them."""

    def __init__(self, settings: RunSettings) -> None:
        manifest = read_source(settings.data.model_copy(update={"source": str(KERMANY)}))
        self.contract = settings.preprocessing
        self.cache = PixelCache.build(manifest.locations, self.contract, 0, settings.data.limits)
        self.names = np.array([Path(path).name for path in manifest.table["path"]])
        self.patients = manifest.table["patient"].to_numpy(dtype=str)
        self.targets = manifest.targets()

    def parts(self, seen: str, seed: int) -> dict[str, npt.NDArray[np.int64]]:
        """Rows of training, validation and left-out images; no patient is in two of them."""
        known = np.array([bool(re.search(seen, name)) for name in self.names])
        patients = np.unique(self.patients[known])
        chosen = np.random.default_rng((seed, 17)).permutation(patients)[: len(patients) // 5]
        held = np.isin(self.patients, chosen)
        familiar = np.isin(self.patients, patients)
        rows = {"train": known & ~held, "val": known & held, "shifted": ~known & ~familiar}
        return {name: np.flatnonzero(mask) for name, mask in rows.items()}

    def split(self, rows: npt.NDArray[np.int64]) -> LabelledPixels:
        return LabelledPixels(self.cache.pixels, self.cache.rows[rows], self.targets[rows])


def measure(images: Radiographs, variant: str, shift: str, seed: int, keep: Path) -> dict[str, Any]:
    """Train once and ask the model about all images; the scores are kept in ``keep``. Seconds add up the cores."""
    settings = settings_of(VARIANTS[variant], seed)
    parts = images.parts(SHIFTS[shift], seed)
    started = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        train, val = images.split(parts["train"]), images.split(parts["val"])
        fitted = fit(settings, "binary", CLASSES, train, val, Path(folder))
        last = torch.load(Path(folder) / "checkpoints" / "last.ckpt", map_location="cpu", weights_only=True)
    seconds = time.process_time() - started
    model = answering(settings, fitted.network)
    scores = {
        name: model.probabilities(images.cache.pixels, images.cache.rows[parts[name]])[:, 1]
        for name in ("val", "shifted")
    }
    state = last["state_dict"].items()
    final = answering(settings, {name.removeprefix("network."): value for name, value in state if "network." in name})
    scores["shifted_last"] = final.probabilities(images.cache.pixels, images.cache.rows[parts["shifted"]])[:, 1]
    mirrored = images.cache.pixels[images.cache.rows[parts["shifted"]]][..., ::-1].copy()
    scores["shifted_mirrored"] = model.probabilities(mirrored)[:, 1]
    pixels = images.cache.pixels[images.cache.rows[parts["val"]]]
    rng = np.random.default_rng(5)
    scores["corrupted"] = np.stack([model.probabilities(corrupt_each(pixels, rng))[:, 1] for _ in range(4)])
    if variant == "recipe" and seed == 0:
        for kind, strength in SUITE:
            changed = corrupt(pixels, kind, strength, rng)
            scores[f"{kind} {strength}"] = model.probabilities(changed)[:, 1]
    scores |= {f"truth_{name}": images.targets[parts[name]] for name in ("val", "shifted")}
    np.savez(keep, **scores)
    key = {"variant": variant, "shift": shift, "seed": seed}
    return {**key, **judged(scores), "cpu_seconds": round(seconds, 1)}


def answering(settings: RunSettings, network: Mapping[str, Tensor]) -> TrainedModel:
    """The network with these weights."""
    tensors = {name: value.numpy() for name, value in network.items()}
    return TrainedModel("binary", CLASSES, settings.train.network, settings.preprocessing, 0.5, tensors)


def judged(scores: Mapping[str, Any]) -> dict[str, float]:
    """All that a row says of a model's answers, with four decimals."""
    truth = {name: scores[f"truth_{name}"] for name in ("val", "shifted")}
    return {name: round(float(value), 4) for name, value in (figures(scores, truth) | choices(scores, truth)).items()}


def figures(scores: Mapping[str, Any], truth: Mapping[str, Any]) -> dict[str, float]:
    """AUROC on each kind of image, and the answers at the threshold that validation images choose."""
    validation, shifted = scores["val"], scores["shifted"]
    threshold = threshold_of(validation, truth["val"])
    answers = shifted >= threshold
    sensitivity = answers[truth["shifted"] == 1].mean()
    specificity = 1 - answers[truth["shifted"] == 0].mean()
    mean = (shifted + scores["shifted_mirrored"]) / 2
    found = {
        "auroc": roc_auc_score(truth["val"], validation),
        "auroc_shifted": roc_auc_score(truth["shifted"], shifted),
        "auroc_shifted_mirrored": roc_auc_score(truth["shifted"], mean),
        "auroc_corrupted": np.mean([roc_auc_score(truth["val"], row) for row in scores["corrupted"]]),
        "threshold": threshold,
        "sensitivity_shifted": sensitivity,
        "specificity_shifted": specificity,
        "balanced_shifted": (sensitivity + specificity) / 2,
    }
    # The first answers were kept without those of the last epoch.
    if "shifted_last" in scores:
        found["auroc_shifted_last"] = roc_auc_score(truth["shifted"], scores["shifted_last"])
    return found


def choices(scores: Mapping[str, Any], truth: Mapping[str, Any]) -> dict[str, float]:
    """Ways to calibrate and to choose a threshold on validation, judged on the images left out."""
    shifted, validation = both(scores["shifted"]), both(scores["val"])
    stressed = both(np.concatenate([scores["val"], scores["corrupted"].ravel()]))
    stressed_truth = np.tile(truth["val"], 1 + len(scores["corrupted"]))
    ways = {"none": (1.0, 0.0)}
    for name, probabilities, targets in (("", validation, truth["val"]), (" stressed", stressed, stressed_truth)):
        ways[f"line{name}"] = fit_calibration(probabilities, targets, "binary")
        # As for a multiclass task: the slope alone.
        ways[f"temperature{name}"] = fit_calibration(probabilities, targets, "multiclass")
    found: dict[str, float] = {}
    for name, line in ways.items():
        moved = recalibrate(shifted, "binary", *line)
        found[f"ece {name}"] = expected_calibration_error(moved[:, 1], truth["shifted"])
        found[f"log loss {name}"] = log_loss(moved, truth["shifted"], "binary")
    thresholds = {
        "half": 0.5,
        "validation": threshold_of(validation[:, 1], truth["val"]),
        "stressed": threshold_of(stressed[:, 1], stressed_truth),
    }
    for name, threshold in thresholds.items():
        found[f"balanced {name}"] = balanced_accuracy(np.array([threshold]), truth["shifted"], shifted[:, 1])[0]
    return found


def both(positive: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Probabilities of both classes."""
    return np.stack([1 - positive, positive], axis=1)


def threshold_of(positive: npt.NDArray[np.float64], truth: npt.NDArray[np.int64]) -> float:
    """The one that training would choose."""
    return balanced_threshold(truth[:, None], positive[:, None])


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Mean over shifts and seeds, with the difference from the recipe over the runs that both have."""
    paired = table.set_index(["variant", "shift", "seed"])[list(FIGURES)]
    recipe = paired.loc["recipe"]
    rows = []
    for variant in [name for name in VARIANTS if name in set(table["variant"])]:
        own = paired.loc[variant]
        common = own.index.intersection(recipe.index)
        difference = own.loc[common] - recipe.loc[common]
        for figure in FIGURES:
            rows.append(
                {
                    "variant": variant,
                    "figure": figure,
                    "runs": len(own),
                    "mean": own[figure].mean(),
                    "difference": difference[figure].mean(),
                    "lowest": difference[figure].min(),
                    "highest": difference[figure].max(),
                }
            )
    return pd.DataFrame(rows)


def draw_plot(found: pd.DataFrame, path: Path) -> None:
    """Difference of each variant from the recipe, with the whole range over shifts and seeds."""
    shown = ("auroc_shifted", "auroc_corrupted", "balanced_shifted")
    variants = [name for name in found["variant"].unique() if name != "recipe"][::-1]
    figure, axes = plt.subplots(1, len(shown), figsize=(12, 0.4 * len(variants) + 1.5), sharey=True)
    for axis, name in zip(axes, shown, strict=True):
        rows = found[found["figure"] == name].set_index("variant").loc[variants]
        ends = [rows["difference"] - rows["lowest"], rows["highest"] - rows["difference"]]
        axis.errorbar(rows["difference"], range(len(variants)), xerr=ends, fmt="o", capsize=3, color="#1b5e8c")
        axis.axvline(0, color="grey", linewidth=1)
        axis.set(title=FIGURES[name], xlabel="difference from the recipe")
        axis.set_yticks(range(len(variants)), variants)
        axis.grid(axis="x", alpha=0.3)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def report() -> None:
    """Print the tables from the data file, put them into the documentation, and draw the plot."""
    data = pd.read_csv(RESULTS / "ablation.csv")
    found = summary(data)
    rows = []
    for variant, part in found.groupby("variant", sort=False):
        part = part.set_index("figure")
        cells = [
            f"{part['mean'][name]:.3f} ({part['lowest'][name]:+.3f}, {part['highest'][name]:+.3f})" for name in FIGURES
        ]
        rows.append([str(variant), str(part["runs"].iloc[0]), *cells])
    tables = markdown_table(["variant", "runs", *FIGURES.values()], rows) + "\n" + choice_table(data)
    print(tables, end="")
    draw_plot(found, RESULTS / "ablation.png")
    write_between(PAGE, "ablation", tables)


def choice_table(data: pd.DataFrame) -> str:
    """Mean and worst over all runs for each way to calibrate and to choose a threshold."""
    rows = []
    for prefix, worst in (("ece ", "max"), ("log loss ", "max"), ("balanced ", "min")):
        for name in [column for column in data if column.startswith(prefix)]:
            rows.append([name, f"{data[name].mean():.4f}", f"{getattr(data[name], worst)():.4f}"])
    return markdown_table([f"on the images left out, {len(data)} runs", "mean", "worst"], rows)


def again(folder: Path) -> None:
    """Compute the figures anew from the answers that are there, without training."""
    data = pd.read_csv(RESULTS / "ablation.csv")
    rows = []
    for row in data.to_dict("records"):
        path = scores_file(folder, row["variant"], row["shift"], row["seed"])
        if path.exists():
            row |= judged(np.load(path))
        rows.append(row)
    pd.DataFrame(rows).to_csv(RESULTS / "ablation.csv", index=False)


def scores_file(folder: Path, variant: str, shift: str, seed: int) -> Path:
    """Where the answers of one run are kept."""
    return folder / f"{re.sub('[^a-z0-9]+', '-', variant.lower())}-{list(SHIFTS).index(shift)}-{seed}.npz"


def main() -> None:
    """Compute the rows that are missing, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--only", nargs="*", choices=list(VARIANTS), help="these variants alone")
    parser.add_argument("--scores", type=Path, default=Path("runs/ablation"), help="folder for the models' answers")
    parser.add_argument("--report", action="store_true", help="only print and plot what is there")
    parser.add_argument("--again", action="store_true", help="first compute the figures anew from the models' answers")
    options = parser.parse_args()
    data = RESULTS / "ablation.csv"
    if not options.report:
        print(describe_machine())
        RESULTS.mkdir(exist_ok=True)
        options.scores.mkdir(parents=True, exist_ok=True)
        images = Radiographs(settings_of({}, 0))
        for seed in range(options.seeds):
            for variant in options.only or VARIANTS:
                for shift in SHIFTS:
                    done = pd.read_csv(data) if data.exists() else pd.DataFrame(columns=["variant", "shift", "seed"])
                    if ((done["variant"] == variant) & (done["shift"] == shift) & (done["seed"] == seed)).any():
                        continue
                    keep = scores_file(options.scores, variant, shift, seed)
                    settings = settings_of(VARIANTS[variant], seed)
                    if images.contract != settings.preprocessing:
                        images = Radiographs(settings)
                    row = measure(images, variant, shift, seed, keep)
                    pd.concat([done, pd.DataFrame([row])]).to_csv(data, index=False)
                    print(row, flush=True)
    if options.again:
        again(options.scores)
    report()


if __name__ == "__main__":
    main()
