"""What several trainings give together, beside one longer training: by the shift tests.

Members are trained by the recipe on the same split with seeds of their own. Then: the mean of their logits; one network
of their mean weights (Wortsman et al. 2022, arXiv:2203.05482); one network that learns their mean answers (Hinton et
al. 2015, arXiv:1503.02531); the mean of one training's weights at the ends of its last epochs (Izmailov et al. 2018,
arXiv:1803.05407). Batch norm's statistics are computed anew wherever weights were averaged. Each (recipe, way, shift,
split) is one row of ``ensembles.csv``; weights are kept in a folder, so the script can be stopped at any time.

    python benchmarks/ensembles.py [--splits N] [--workers N] [--minutes N]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import lightning.pytorch as pl
import numpy as np
import pandas as pd
import torch
from ablation import FIGURES, TODAY, add_row, recipe_id, rows_there, settings_of
from common import HERE, describe_machine, device_name, in_processes, markdown_table, write_between
from lightning.pytorch.callbacks import Callback
from shift_tests import CLASSES, SHIFTS, answering, ask, judged, radiographs
from torch import Tensor, nn

from radlens.config import RunSettings
from radlens.learning import augment
from radlens.learning.classifier import Classifier
from radlens.learning.data_module import LabelledPixels
from radlens.learning.fit import fit
from radlens.learning.teachers import Teachers
from radlens.learning.trained_model import TrainedModel, load_network

DATA = HERE / "results" / "ensembles.csv"
PAGE = HERE.parent / "docs" / "explanation" / "recipe.md"
KEY = ["way", "shift", "split"]
MEMBERS = 5
# What one training can do with the time of several.
LONGER = {"30 epochs": {"epochs": 30}}
# How many members teach, and the settings in place of the recipe's.
TAUGHT: dict[str, tuple[int, dict[str, Any]]] = {
    "taught by 2": (2, {}),
    "taught by 3": (3, {}),
    "taught by 5": (MEMBERS, {}),
    "taught by 2, 20 epochs": (2, {"epochs": 20}),
    "taught by 5, 20 epochs": (MEMBERS, {"epochs": 20}),
}
WAYS = (
    *("one training", "mean of 2", "mean of 3", "mean of 5", "mean weights of 3", "mean weights of 5"),
    *(*TAUGHT, *LONGER),
    *("last 4 epochs averaged", "constant rate, last 5 epochs averaged"),
)
# With a threshold that validation chose, and with one that corrupted copies of validation chose with it.
SHOWN = {
    **FIGURES,
    "balanced stressed": "balanced accuracy, left out, threshold by copies too",
    "balanced_framed": "balanced accuracy, black frame of 15 %",
    "auroc_border": "AUROC, border of 10 % alone",
}
Weights = dict[str, Tensor]


@dataclass(frozen=True)
class Training:
    """One network to train.

    Attributes:
        name: of its file of weights.
        shift: what is left out.
        split: which patients are validation.
        seed: of the training.
        train: settings in place of the recipe's.
        teachers: how many members it learns from; 0: from the labels.
    """

    name: str
    shift: str
    split: int
    seed: int
    train: Mapping[str, Any]
    teachers: int = 0

    def path(self, folder: Path) -> Path:
        """Its weights."""
        name = self.name.replace(" ", "-").replace(",", "")
        return folder / f"{name}-{list(SHIFTS).index(self.shift)}-{self.split}.pt"

    @property
    def settings(self) -> RunSettings:
        return settings_of({"train": dict(self.train)}, self.seed, 1)


class KeepEpochs(Callback):
    """Keeps the weights at the end of each epoch; takes the progress bar's place."""

    def __init__(self, epochs: list[Weights]) -> None:
        self.epochs = epochs

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Copy them."""
        network = pl_module.get_submodule("network")
        self.epochs.append({name: value.detach().cpu().clone() for name, value in network.state_dict().items()})


def train(job: Training, folder: Path) -> str:
    """Train and keep the weights of the best epoch, and those at the ends of all."""
    settings = job.settings
    parts = radiographs(settings.preprocessing).parts(job.shift, job.split)
    members = [load(member(job, number), folder) for number in range(job.teachers)]
    teachers = Teachers(members, "binary") if members else None
    epochs: list[Weights] = []
    with (
        tempfile.TemporaryDirectory() as work,
        # The members are those that the other ways use too, rather than trained anew.
        mock.patch(
            "radlens.learning.fit.Classifier",
            lambda settings, task, classes, shape, weights, _: Classifier(
                settings, task, classes, shape, weights, teachers
            ),
        ),
        mock.patch("radlens.learning.fit.TrainingProgress", return_value=KeepEpochs(epochs)),
    ):
        fitted = fit(settings, "binary", CLASSES, parts["train"], parts["val"], Path(work))
    torch.save({"best": fitted.network, "epochs": epochs[-5:]}, job.path(folder))
    return job.name


def load(job: Training, folder: Path) -> nn.Module:
    """A trained network."""
    settings = job.settings
    tensors = {name: value.numpy() for name, value in torch.load(job.path(folder))["best"].items()}
    return load_network(settings.train.network, "binary", 2, settings.preprocessing, tensors)


def member(of: Training, number: int) -> Training:
    """The member of that number on the same shift and split."""
    return Training(f"member {number}", of.shift, of.split, 100 * of.split + number, {})


def trainings(shift: str, split: int) -> Iterator[tuple[int, Training]]:
    """All networks of a shift and split, with the stage that each belongs to."""
    for name, values in LONGER.items():
        yield 0, Training(name, shift, split, 100 * split, values)
    for number in range(MEMBERS):
        yield 0, member(Training("", shift, split, 0, {}), number)
    constant = {"schedule": "constant", "learning_rate": 3e-4}
    yield 0, Training("constant", shift, split, 100 * split, constant)
    for name, (teachers, values) in TAUGHT.items():
        yield 1, Training(name, shift, split, 100 * split + 50, values, teachers)


def averaged(weights: Sequence[Weights]) -> Weights:
    """The mean of each weight."""
    return {
        name: torch.stack([one[name].float() for one in weights]).mean(dim=0) if first.is_floating_point() else first
        for name, first in weights[0].items()
    }


@torch.no_grad()
def refreshed(weights: Weights, settings: RunSettings, images: LabelledPixels) -> Weights:
    """With batch norm's statistics computed anew on the training images as augmentation makes them."""
    contract = settings.preprocessing
    tensors = {name: value.numpy() for name, value in weights.items()}
    device = "cuda" if torch.cuda.is_available() else "cpu"
    network = load_network(settings.train.network, "binary", 2, contract, tensors).to(device).train()
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.reset_running_stats()
            layer.momentum = None
    table = torch.from_numpy(augment.draw_epoch(len(images), settings.augment, settings.seed, 999))
    order = np.random.default_rng(0).permutation(len(images))
    for start in range(0, len(order) - 31, 64):
        rows = order[start : start + 64]
        pixels = torch.from_numpy(images.pixels[images.rows[rows]]).to(device)
        network(augment.apply(pixels, table[rows].to(device), contract))
    return {name: value.cpu() for name, value in network.state_dict().items()}


def judge(way: str, shift: str, split: int, folder: Path) -> dict[str, Any]:
    """One row."""
    here = Training("", shift, split, 0, {})
    settings = member(here, 0).settings
    parts = radiographs(settings.preprocessing).parts(shift, split)
    members = [torch.load(member(here, number).path(folder)) for number in range(MEMBERS)]
    named = {job.name: job for _, job in trainings(shift, split)}

    def one(weights: Weights) -> TrainedModel:
        return answering(settings, weights)

    def mean(weights: Sequence[Weights]) -> TrainedModel:
        return one(refreshed(averaged(weights), settings, parts["train"]))

    best = [found["best"] for found in members]
    if way == "one training":
        rows = [judged(ask([one(weights)], parts)) for weights in best]
        figures = {name: round(float(np.mean([row[name] for row in rows])), 4) for name in rows[0]}
    elif way.startswith("mean of"):
        figures = judged(ask([one(weights) for weights in best[: int(way[-1])]], parts))
    elif way.startswith("mean weights"):
        figures = judged(ask([mean(best[: int(way[-1])])], parts))
    elif way == "last 4 epochs averaged":
        figures = judged(ask([mean(members[0]["epochs"][-4:])], parts))
    elif way.startswith("constant"):
        figures = judged(ask([mean(torch.load(named["constant"].path(folder))["epochs"][-5:])], parts))
    else:
        figures = judged(ask([one(torch.load(named[way].path(folder))["best"])], parts))
    return {"recipe": recipe_id(), "way": way, "shift": shift, "split": split, **figures, "device": device_name()}


def report() -> None:
    """Print the table from the data file and put it into the documentation."""
    data = pd.read_csv(DATA)
    data = data[data["recipe"] == TODAY].set_index(KEY)
    one = data.loc["one training"]
    rows = []
    for way in [way for way in WAYS if way in data.index]:
        own = data.loc[way]
        cells = []
        for name in SHOWN:
            difference = own[name] - one[name]
            error = difference.std() / np.sqrt(len(difference))
            cell = f"{own[name].mean():.3f}"
            cells.append(cell if way == "one training" else f"{cell} ({difference.mean():+.4f} ± {error:.4f})")
        rows.append([way, str(len(own)), *cells])
    table = markdown_table(["way", "runs", *SHOWN.values()], rows)
    print(table, end="")
    write_between(PAGE, "ensembles", table)


def main() -> None:
    """Train what is missing, judge what is missing, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--splits", type=int, default=3)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=1e6, help="begin nothing more after so many")
    parser.add_argument("--weights", type=Path, default=Path("runs/ensembles"), help="folder for the weights")
    parser.add_argument("--report", action="store_true", help="only print what is there")
    options = parser.parse_args()
    if not options.report:
        print(describe_machine())
        options.weights.mkdir(parents=True, exist_ok=True)
        work(options)
    report()


def work(options: argparse.Namespace) -> None:
    """All trainings, then all rows."""
    until = time.monotonic() + 60 * options.minutes
    places = [(shift, split) for split in range(options.splits) for shift in SHIFTS]
    radiographs(settings_of({}, 0).preprocessing)
    for stage in (0, 1):
        jobs = [job for place in places for wanted, job in trainings(*place) if wanted == stage]
        jobs = [job for job in jobs if not job.path(options.weights).exists()]
        # The longest first, so that no core waits for one of them at the end.
        jobs.sort(key=lambda job: -job.settings.train.epochs)
        for name in in_processes(train, ((job, options.weights) for job in jobs), options.workers, until):
            print(name, flush=True)
    whole = [place for place in places if all(job.path(options.weights).exists() for _, job in trainings(*place))]
    there = rows_there(DATA, KEY)
    rows = [(way, *place, options.weights) for place in whole for way in WAYS if (way, *place) not in there]
    for row in in_processes(judge, rows, options.workers, until):
        add_row(DATA, row)


if __name__ == "__main__":
    main()
