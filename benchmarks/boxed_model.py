"""Train the model in the box from the training images of the Kaggle set, and write its card.

``radlens run`` with the preset ``best`` on ``kermany224/train``, split by patient; the official test images are not
there to be opened. What the run found goes into ``src/radlens/models/pneumonia-cxr`` with a model card whose figures
are those of the run. ``--card`` writes the card anew from the run folder.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from common import HERE, KERMANY, describe_machine
from sklearn.metrics import roc_auc_score

import radlens
from radlens.dataset.manifest import Manifest
from radlens.delivery.model_folder import read_model_folder
from radlens.imaging.cache import PixelCache
from radlens.learning.corruptions import KINDS, SUITE, corrupt

TARGET = HERE.parent / "src" / "radlens" / "models" / "pneumonia-cxr"
CARD = HERE / "boxed_model_card.md"
# In place of the folder that the run was given.
SOURCE = "Kaggle chest-xray-pneumonia, training images; Kermany et al. 2018, doi:10.1016/j.cell.2018.02.010; CC BY 4.0"
METRICS = ("auroc", "accuracy", "sensitivity", "specificity", "precision", "f1", "brier", "ece")


def train(out: Path, seed: int) -> None:
    """One run by the command line, resumed if it was stopped."""
    command = [str(Path(sys.executable).parent / "radlens"), "run", "--out", str(out)]
    if (out / "config.yaml").is_file():
        command.append("--resume")
    else:
        command += [str(KERMANY), "--preset", "best", "--seed", str(seed)]
    subprocess.run(command, check=True)


def figures(metrics: dict[str, Any]) -> str:
    """A Markdown table of the metrics with their intervals."""
    lines = ["| split | n | " + " | ".join(METRICS) + " |", "|---" * (len(METRICS) + 2) + "|"]
    for split in ("val", "test"):
        cells = [
            "{value:.3f} ({low:.3f}, {high:.3f})".format(**metrics[split][name])
            if metrics[split][name]["low"] is not None
            else f"{metrics[split][name]['value']:.3f}"
            for name in METRICS
        ]
        lines.append(
            f"| {'validation' if split == 'val' else 'internal test'} | {metrics[split]['n']} | "
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
    _, tensors = read_model_folder(out)
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
        minutes=history["seconds"].sum() / 60,
        machine=describe_machine().split(";")[0],
        seed=config["seed"],
        slope=config["calibration_slope"],
        offset=config["calibration_offset"],
        threshold=config["threshold"],
        stress=settings["evaluate"]["stress"],
        mirror=" The answer is that to the image and to its mirror image." if config["mirror"] else "",
        points=", ".join(f"{name.split()[1]} at {value:.3f}" for name, value in config["operating_points"].items()),
        robustness=robustness(out),
        table=figures(json.loads((out / "metrics.json").read_text(encoding="utf-8"))),
    )
    (TARGET / "README.md").write_text(text, encoding="utf-8")


def main() -> None:
    """Train, copy the model folder, write the card."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/boxed-model"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--card", action="store_true", help="only write the card, from a finished run")
    options = parser.parse_args()
    if not options.card:
        train(options.out, options.seed)
    TARGET.mkdir(parents=True, exist_ok=True)
    for file in (options.out / "model").iterdir():
        shutil.copy(file, TARGET / file.name)
    config = json.loads((TARGET / "config.json").read_text(encoding="utf-8"))
    (TARGET / "config.json").write_text(json.dumps({**config, "trained_on": SOURCE}, indent=2) + "\n", encoding="utf-8")
    write_card(options.out)
    print(f"{sum(file.stat().st_size for file in TARGET.iterdir()) / 2**20:.1f} MiB in {TARGET}")


if __name__ == "__main__":
    main()
