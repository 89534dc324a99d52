"""Train the model in the box from the training images of the Kaggle set, and write its card.

``radlens run`` with the preset ``best`` on ``kermany224/train``, split by patient; the official test images are not
there to be opened. What the run found goes into ``src/radlens/models/pneumonia-cxr`` with a model card whose figures
are those of the run. Weights are stored in half precision, if that changes next to nothing on all images of the set;
what was measured is in its ``config.json``. ``--card`` writes the card anew from the run folder, ``--export`` all other
files, neither of them training.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from common import HERE, KERMANY, describe_machine, training_seconds
from out_of_distribution import CHOSEN
from out_of_distribution import RESULTS as OUT_OF_DISTRIBUTION
from sklearn.metrics import roc_auc_score

import radlens
from radlens.assessment.framing_words import verdict_in_words
from radlens.dataset.audit.picture_hash import picture_hashes
from radlens.dataset.manifest import Manifest
from radlens.delivery.export import parity_images
from radlens.delivery.onnx_variants import Trial
from radlens.delivery.release import add_metrics, describe_data, release
from radlens.imaging.cache.pixel_cache import PixelCache
from radlens.imaging.framing import KINDS as KINDS_OF_FRAMING
from radlens.learning.corruptions import KINDS, SUITE, corrupt
from radlens.runtime.metrics_record import Metrics, read_metrics
from radlens.runtime.model_folder import open_model_folder, read_model_folder, split_tensors, write_config
from radlens.runtime.training_images import write_training_images

TARGET = HERE.parent / "src" / "radlens" / "models" / "pneumonia-cxr"
CARD = HERE / "boxed_model_card.md"
# In place of the folder that the run was given.
SOURCE = "Kaggle chest-xray-pneumonia, training images; Kermany et al. 2018, doi:10.1016/j.cell.2018.02.010; CC BY 4.0"
DATA = {
    "name": "chest-xray-pneumonia",
    "source": "https://www.kaggle.com/datasets/paultimothymooney/chest-xray-pneumonia",
    "licence": "CC BY 4.0",
    "citation": "Kermany et al. 2018, doi:10.1016/j.cell.2018.02.010; data doi:10.17632/rscbjbr9sj",
}
METRICS = ("auroc", "accuracy", "sensitivity", "specificity", "precision", "f1", "brier", "ece")


def train(out: Path, seed: int) -> None:
    """One run by the command line, resumed if it was stopped."""
    command = [str(Path(sys.executable).parent / "radlens"), "run", "--out", str(out)]
    if (out / "config.yaml").is_file():
        command.append("--resume")
    else:
        command += [str(KERMANY), "--preset", "best", "--seed", str(seed)]
    subprocess.run(command, check=True)


def figures(metrics: Metrics) -> str:
    """A Markdown table of the metrics with their intervals."""
    lines = ["| split | n | " + " | ".join(METRICS) + " |", "|---" * (len(METRICS) + 2) + "|"]
    for split in ("val", "test"):
        measured = [metrics[split].metrics[name] for name in METRICS]
        cells = [
            f"{metric.value:.3f}" + ("" if metric.low is None else f" ({metric.low:.3f}, {metric.high:.3f})")
            for metric in measured
        ]
        lines.append(
            f"| {'validation' if split == 'val' else 'internal test'} | {metrics[split].n} | "
            + " | ".join(cells)
            + " |"
        )
    return "\n".join(lines)


def robustness(out: Path) -> str:
    """A Markdown table: the internal test images under each corruption, at the model's operating point."""
    manifest = Manifest.read(out)
    manifest = manifest.only((manifest.table["split"] == "test").to_numpy())
    model = radlens.load(out)
    cache = PixelCache.build(manifest.locations, model.preprocessing)
    pixels, truth = cache.pixels[cache.rows], manifest.targets()
    rng = np.random.default_rng(0)
    lines = ["| changed by | weak | medium | strong |", "|---|---|---|---|"]
    for kind in KINDS:
        cells = []
        for strength in [strength for other, strength in SUITE if other == kind]:
            scores = model.probabilities(corrupt(pixels, kind, strength, rng))[:, 1]
            called = scores >= model.threshold
            sensitivity, specificity = called[truth == 1].mean(), 1 - called[truth == 0].mean()
            cells.append(f"{roc_auc_score(truth, scores):.3f}, {sensitivity:.2f}, {specificity:.2f}")
        lines.append(f"| {kind} | " + " | ".join([*cells, "", ""][:3]) + " |")
    return "\n".join(lines)


def write_card(out: Path) -> None:
    """Put the figures of the run into the card."""
    config = json.loads((out / "model" / "config.json").read_text(encoding="utf-8"))
    tensors, _ = split_tensors(read_model_folder(out)[1])
    settings = yaml.safe_load((out / "config.yaml").read_text(encoding="utf-8"))
    manifest, history = pd.read_csv(out / "manifest.csv"), pd.read_csv(out / "history.csv")
    counts = manifest["split"].value_counts()
    text = CARD.read_text(encoding="utf-8").format(
        images=len(manifest),
        **{name: int(counts[name]) for name in ("train", "val", "test")},
        prevalence=float((manifest["label"] == "PNEUMONIA").mean()),
        network={"efficientnet_lite0": "EfficientNet-Lite0"}.get(config["network"], config["network"]),
        parameters=f"{sum(value.size for value in tensors.values()) / 1e6:.1f}",
        height=config["preprocessing"]["height"],
        width=config["preprocessing"]["width"],
        epochs=len(history),
        best_epoch=config["best_epoch"],
        kept="the last" if settings["train"]["monitor"] == "last" else "the best on validation",
        minutes=training_seconds(out) / 60,
        machine=describe_machine().split(";")[0],
        seed=config["seed"],
        slope=config["calibration_slope"],
        offset=config["calibration_offset"],
        threshold=config["threshold"],
        stress=settings["evaluate"]["stress"],
        flip_tta=" The answer is that to the image and to its mirror image." if config["flip_tta"] else "",
        points=", ".join(f"{name.split()[1]} at {value:.3f}" for name, value in config["operating_points"].items()),
        abstention=abstention(read_metrics(out / "metrics.json"), config),
        strange=strange(),
        robustness=robustness(out),
        framing=framing(read_metrics(out / "metrics.json")),
        weights=half_precision(),
        table=figures(read_metrics(out / "metrics.json")),
    )
    write_config(TARGET, open_model_folder(TARGET).config, text)


def abstention(metrics: Metrics, config: dict[str, Any]) -> str:
    """What the model answers, refers and refuses of the internal test, in words."""
    counts, limits = metrics["test"].abstention, config["abstention"]
    if counts is None:
        raise SystemExit("The run was made without abstention (evaluate.alpha).")
    least = limits["least_probabilities"][f"{limits['alpha']:g}"]
    # Between them both classes stay possible, or none, by which of the two limits is the lower one.
    low, high = sorted((least[1], 1 - least[0]))
    return (
        f"At the stated rate of error of {limits['alpha']:g} it answers normal up to a probability of {low:.3f} "
        f"and pneumonia from {high:.3f}; what lies between it refers to a person. Of the {metrics['test'].n} "
        f"internal test images it answers {counts.n_answered}, refers {counts.n_referred} and refuses "
        f"{counts.n_refused} as unlike its training images; {counts.errors - counts.errors_avoided} of the "
        f"answers given are wrong, where answering all at the operating point would give {counts.errors} wrong ones."
    )


def framing(metrics: Metrics) -> str:
    """The verdict of the framing suite in words, and a Markdown table of every change."""
    framing = metrics["test"].framing
    if framing is None:
        raise SystemExit("The run was made without the framing suite (evaluate.framing_images=0).")
    negative, positive = metrics["test"].classes
    lines = ["| change | " + " | ".join(["weak to strong", "", "", "", ""]) + " |", "|---" * 6 + "|"]
    for kind in KINDS_OF_FRAMING:
        cells = [
            f"{each.strength:g}: {each.groups[positive].recall:.2f}, {each.groups[negative].recall:.2f}"
            + ("" if each.counted else " \\*")
            for each in framing.changes
            if each.kind == kind
        ]
        lines.append(f"| {kind} | " + " | ".join([*cells, "", "", "", ""][:5]) + " |")
    table = "\n".join(lines)
    return (
        f"{verdict_in_words(framing.summary)} Sensitivity and specificity on {framing.images:,} internal test images "
        f"under each change of the framing suite, at the threshold above (unchanged: "
        f"{framing.unchanged.groups[positive].recall:.2f}, {framing.unchanged.groups[negative].recall:.2f}); \\* could "
        f"cut the finding itself away and does not count:\n\n{table}"
    )


def strange() -> str:
    """A Markdown table of what is refused, from the figures of out_of_distribution.py."""
    data = pd.read_csv(OUT_OF_DISTRIBUTION)
    lines = ["| images | number | refused |", "|---|---|---|"]
    own = data[(data["way"] == CHOSEN) & ~data["kind"].str.startswith("left out")]
    # Of what is framed otherwise or corrupted there are dozens of kinds: their mean.
    own = own.assign(kind=own["kind"].str.replace("framed: .*", "validation, framed otherwise (mean)", regex=True))
    own = own.assign(kind=own["kind"].str.replace("corrupted: .*", "validation, corrupted (mean)", regex=True))
    for kind, rows in own.groupby("kind", sort=False):
        lines.append(f"| {kind} | {rows['images'].sum():,} | {rows['refused at 0.015'].mean():.1%} |")
    return "\n".join(lines)


def half_precision() -> str:
    """What half precision changed, in words for the card."""
    onnx = open_model_folder(TARGET).config.onnx
    tried = next((each for each in onnx.variants if each.kind == "float16"), None) if onnx else None
    if tried is None or not tried.kept:
        return "Weights are stored in single precision."
    return (
        f"Weights are stored in half precision: on {tried.images:,} images of the set, AUROC went from "
        f"{tried.auroc[0]:.5f} to {tried.auroc[1]:.5f}, and {tried.flipped:.2%} of the answers changed."
    )


def export(out: Path) -> None:
    """Write the model folder from the run, with half-precision weights if they do on all of its images."""
    config, tensors = read_model_folder(out)
    manifest = Manifest.read(out)
    cache = PixelCache.build(manifest.locations, config.preprocessing)
    data = describe_data(manifest, cache.digests).model_copy(update=DATA)
    config = config.model_copy(update={"trained_on": SOURCE, "training_data": data})
    split = manifest.table["split"].to_numpy(dtype=str)
    words = "all training, validation and internal test images"
    trial = Trial(cache.pixels[cache.rows], manifest.targets(), words, cache.pixels[:0])
    TARGET.mkdir(parents=True, exist_ok=True)
    used = np.isin(split, ("train", "val"))
    pictures = picture_hashes(cache.pixels, cache.rows[used])
    write_training_images(TARGET, np.asarray(cache.digests)[used].tolist(), pictures)
    pixels, source = parity_images(config.preprocessing, cache, split)
    release(TARGET, config, tensors, pixels, source, ["float16"], trial)
    add_metrics(TARGET, read_metrics(out / "metrics.json"))


def main() -> None:
    """Train, write the model folder and its card."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/boxed-model"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--card", action="store_true", help="only write the card, from a finished run")
    parser.add_argument("--export", action="store_true", help="only write the other files, from a finished run")
    options = parser.parse_args()
    if not options.card and not options.export:
        train(options.out, options.seed)
    if not options.card:
        export(options.out)
    if not options.export:
        write_card(options.out)
    print(f"{sum(file.stat().st_size for file in TARGET.iterdir()) / 2**20:.1f} MiB in {TARGET}")


if __name__ == "__main__":
    main()
