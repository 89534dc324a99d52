"""Whether the class activation maps mean anything, and whether the model looks at the anatomy.

On simulated radiographs, whose lesions are known: the pointing game (Zhang et al. 2018, doi:10.1007/s11263-017-1059-x).
The strongest place of the map lies in the lesion, or within 15 of 224 pixels of it, or it does not; beside it stand the
same for a random place of the picture, for its centre, and for the class activation map of the last features.

On the images of a run that the model was not trained on (validation and internal test): sanity checks by randomising
the weights from the last layer backwards (Adebayo et al. 2018, arXiv:1810.03292), after which the map must no longer be
the same; the sign, which must speak for the class that the model answers; the share of the map outside the central
field; and the AUROC that is left when the border is hidden, and when all but the border is. The last should be chance:
an AUROC of .5, or a log loss of .693, which is that of whoever says one half of every image. AUROC counts any
difference of rank however small; beside it stands that of the probabilities as radlens shows them, with three decimals.
"""

from __future__ import annotations

import argparse
import copy
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
import yaml
from common import HERE, describe_machine, markdown_table, write_between
from PIL import Image
from scipy import ndimage
from scipy.stats import spearmanr
from shift_tests import border_alone, logit
from sklearn.metrics import log_loss, roc_auc_score
from torch import nn
from torch.nn import functional

import radlens
from radlens.dataset.manifest import Manifest
from radlens.delivery.torch_model import trained_model
from radlens.imaging.cache.pixel_cache import PixelCache
from radlens.learning.trained_model import TrainedModel
from radlens.runtime.model_folder import read_model_folder

RESULTS = HERE / "results" / "saliency.csv"
PAGE = HERE.parent / "docs" / "explanation" / "saliency.md"
LAST = "class activation map of the last features"
TOLERANCE = 15 / 224
PHANTOMS = {"fast": 2000, "best": 800}
BORDERS = (0.05, 0.1, 0.15, 0.2)
PARTS = ("pointing", "randomisation", "attention", "ablation")
Maps = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]
Row = dict[str, object]


class Images:
    """The images of a run that its model was not trained on."""

    def __init__(self, run: Path) -> None:
        self.config, tensors = read_model_folder(run)
        self.model = trained_model(self.config, tensors, device="cpu")
        manifest = Manifest.read(run)
        manifest = manifest.only(manifest.table["split"].isin(("val", "test")).to_numpy())
        cache = PixelCache.build(manifest.locations, self.config.preprocessing)
        self.pixels, self.targets, self.manifest = cache.pixels[cache.rows], manifest.targets(), manifest
        self.rows = np.arange(len(self.pixels))

    def maps(self, model: TrainedModel, rows: npt.NDArray[np.int64]) -> Maps:
        """Of the positive class, at the size of the images."""
        maps = torch.from_numpy(model.maps(self.pixels, rows)[:, :1])
        enlarged = functional.interpolate(maps, self.pixels.shape[-2:], mode="bilinear", align_corners=False)
        return np.asarray(enlarged[:, 0].numpy())

    def lesion(self, row: np.integer[Any]) -> npt.NDArray[np.bool_]:
        """Where it is in one image, of phantoms."""
        name = self.manifest.table["mask"].to_numpy()[row]
        with Image.open(Path(self.manifest.info.root) / name) as file:
            shown = np.asarray(file.convert("L").resize(self.pixels.shape[:-3:-1]))
        return np.asarray(shown == 255)

    def judged(self, of: str, pixels: Pixels) -> Iterator[Row]:
        """How well and how surely the model tells the classes apart on these pixels."""
        yield from self.judged_answers(of, self.model.probabilities(pixels)[:, 1])

    def judged_answers(self, of: str, shown: npt.NDArray[np.float64]) -> Iterator[Row]:
        """The same of probabilities that are known."""
        yield {"check": "AUROC", "of": of, "value": roc_auc_score(self.targets, shown), "images": len(shown)}
        yield {"check": "log loss", "of": of, "value": log_loss(self.targets, shown), "images": len(shown)}


def pointing_game(runs: Sequence[Path]) -> Iterator[Row]:
    """Hits among the images with a lesion, of all runs of a preset together and of the run with the fewest."""
    found: dict[tuple[str, str], list[npt.NDArray[np.bool_]]] = {}
    for run in runs:
        preset = yaml.safe_load((run / "config.yaml").read_text())["preset"]
        for way, hits in hits_of(Images(run)).items():
            found.setdefault((preset, way), []).append(hits)
    for (preset, way), each in found.items():
        row = {"check": "pointing game, phantoms", "images": sum(map(len, each))}
        name = f"`{preset}`, {len(each)} trainings: {way}"
        yield {**row, "of": name, "value": np.concatenate(each).mean()}
        if way in ("map", LAST) and len(each) > 1:
            yield {**row, "of": f"{name}, the least of them", "value": min(one.mean() for one in each)}


def hits_of(images: Images) -> dict[str, npt.NDArray[np.bool_]]:
    """For each way of choosing a place, whether it lies in or near the lesion of each image that has one."""
    ill = np.flatnonzero(images.targets == 1)
    size = images.pixels.shape[-1]
    rng = np.random.default_rng(0)
    maps = {"map": images.maps(images.model, ill), LAST: images.maps(at_last_features(images.model), ill)}
    hits: dict[str, list[bool]] = {}
    for number, row in enumerate(ill):
        near = ndimage.distance_transform_edt(~images.lesion(row)) <= TOLERANCE * size
        places = {way: np.unravel_index(found[number].argmax(), found[number].shape) for way, found in maps.items()}
        places |= {"random place": tuple(rng.integers(0, size, 2)), "centre": (size // 2, size // 2)}
        for way, place in places.items():
            hits.setdefault(way, []).append(bool(near[place]))
    return {way: np.array(each) for way, each in hits.items()}


def at_last_features(model: TrainedModel) -> TrainedModel:
    """The same model, whose maps are those of Zhou et al. 2016, doi:10.1109/CVPR.2016.319."""
    made = copy.copy(model)
    made._layers = model._layers._replace(finer=None)
    return made


def picture(images: Images, target: Path, count: int = 5) -> None:
    """The same lesions with both kinds of maps, beside each other."""
    ill = np.flatnonzero(images.targets == 1)
    rows = ill[:: max(1, len(ill) // count)][:count]
    kinds = {
        "at the last features": images.maps(at_last_features(images.model), rows),
        "one step before": images.maps(images.model, rows),
    }
    figure, axes = plt.subplots(1 + len(kinds), count, figsize=(1.7 * count, 5.4), layout="constrained")
    for column, row in enumerate(rows):
        lesion = images.lesion(row)
        for axis, (kind, maps) in zip(axes[:, column], {"phantom": None, **kinds}.items(), strict=True):
            axis.imshow(images.pixels[row, 0], cmap="gray")
            axis.contour(lesion, [0.5], colors="lime", linewidths=1)
            axis.set(xticks=[], yticks=[], ylabel="" if column else kind)
            if maps is not None:
                reach = np.abs(maps[column]).max()
                axis.imshow(maps[column], cmap="bwr", vmin=-reach, vmax=reach, alpha=0.4)
    figure.savefig(target, dpi=80)
    plt.close(figure)


def randomisation(images: Images, seed: int = 0) -> Iterator[Row]:
    """How alike the maps stay when layers are randomised from the last one backwards; and with the sign reversed."""
    rows = images.rows[:: max(1, len(images.rows) // 200)]
    before = images.maps(images.model, rows)
    torch.manual_seed(seed)
    network = images.model._network
    leaves = [(name, module) for name, module in network.named_modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    kept = {name: value.clone() for name, value in network.state_dict().items()}
    steps = {1: "the last layer", 2: "and the convolution before it", 10: "and 8 more", len(leaves): "all layers"}
    for number, (_, module) in enumerate(reversed(leaves), start=1):
        module.reset_parameters()
        if number in steps:
            after = images.maps(images.model, rows)
            likeness = [spearmanr(a.ravel(), b.ravel()).statistic for a, b in zip(before, after, strict=True)]
            likeness = [0.0 if np.isnan(value) else value for value in likeness]
            yield {
                "check": "rank correlation of the map after randomising",
                "of": steps[number],
                "value": np.mean(likeness),
                "images": len(rows),
            }
    network.load_state_dict(kept)


def attention(images: Images) -> Iterator[Row]:
    """The sign of the maps, and how much of what speaks for the disease lies outside the central field."""
    maps = images.maps(images.model, images.rows)
    positive = images.model.probabilities(images.pixels)[:, 1] >= images.config.threshold
    for name, mask in zip(images.config.classes, (~positive, positive), strict=True):
        mean = maps[mask].mean(axis=(1, 2))
        right = mean > 0 if name == images.config.classes[1] else mean < 0
        yield {
            "check": "sign of the map is that of the answer",
            "of": name,
            "value": right.mean(),
            "images": mask.sum(),
        }
    weight = np.maximum(maps[positive], 0)
    for border in BORDERS[1:]:
        outside = ~_field(maps.shape[-1], border)
        share = (weight * outside).sum(axis=(1, 2)) / weight.sum(axis=(1, 2)).clip(1e-9)
        text = f"border of {border:.0%}, which is {outside.mean():.0%} of the picture"
        yield {"check": "share of the map in the border", "of": text, "value": share.mean(), "images": len(share)}


def ablation(images: Images) -> Iterator[Row]:
    """AUROC with parts of the picture hidden."""
    yield from images.judged("whole images", images.pixels)
    size = images.pixels.shape[-1]
    grey = images.pixels.mean(axis=(2, 3), keepdims=True).astype(np.uint8)
    blurred = ndimage.gaussian_filter(images.pixels, (0, 0, size / 8, size / 8))
    for border in BORDERS:
        inside = _field(size, border)
        for text, pixels in {
            f"border of {border:.0%} hidden": np.where(inside, images.pixels, grey),
            f"all but the border of {border:.0%} hidden": np.where(inside, grey, images.pixels),
            f"all but the border of {border:.0%} blurred away": np.where(inside, blurred, images.pixels),
        }.items():
            yield from images.judged(text, pixels)
        yield from covered(images, border)
    text = "whole picture blurred, SD an eighth of its side"
    yield from images.judged(text, blurred)
    yield from refused(images, blurred, text)
    shuffled = images.pixels[np.random.default_rng(0).permutation(len(images.pixels))]
    hidden = np.where(_field(size, 0.1), images.pixels, shuffled)
    yield from images.judged("border of 10% from another image", hidden)


def covered(images: Images, border: float) -> Iterator[Row]:
    """What is said where all but the border is one grey: how well, by class, and how much of it is refused."""
    pixels = border_alone(images.pixels, border)
    shown = images.model.probabilities(pixels)[:, 1]
    of = f"all but the border of {border:.0%} one grey"
    yield from images.judged_answers(of, shown)
    as_shown = roc_auc_score(images.targets, shown.round(3))
    yield {"check": "AUROC of probabilities with three decimals", "of": of, "value": as_shown, "images": len(shown)}
    for index, name in enumerate(images.config.classes):
        own = shown[images.targets == index]
        for measure, value in (("mean", own.mean()), ("SD", own.std())):
            yield {"check": f"{measure} probability of {name} images", "of": of, "value": value, "images": len(own)}
    yield from refused(images, pixels, of)


def borders_alone(trained: Sequence[Images]) -> Iterator[Row]:
    """What several trainings say where all but the border is one grey: by rank, and how far the classes lie apart."""
    for border in (None, *BORDERS):
        areas, apart = [], []
        for images in trained:
            pixels = images.pixels if border is None else border_alone(images.pixels, border)
            shown = images.model.probabilities(pixels)[:, 1]
            areas.append(roc_auc_score(images.targets, shown))
            apart.append(np.subtract(*(logit(shown[images.targets == kind]).mean() for kind in (1, 0))))
        of = "whole images" if border is None else f"all but the border of {border:.0%} one grey"
        row = {"of": of, "images": sum(len(each.targets) for each in trained)}
        for measure, value in {
            "AUROC, the least": min(areas),
            "AUROC, the most": max(areas),
            "mean logit of pneumonia less that of normal, the least": min(apart),
            "mean logit of pneumonia less that of normal, the most": max(apart),
        }.items():
            yield {**row, "check": f"{len(trained)} trainings: {measure}", "value": value}


def refused(images: Images, pixels: Pixels, of: str) -> Iterator[Row]:
    """The share of these images that is unlike those of training, for models that tell."""
    limit = images.config.abstention.distance if images.config.abstention else None
    if limit is not None:
        unlike = images.model.distances(pixels, images.rows) > limit
        yield {"check": "refused", "of": of, "value": unlike.mean(), "images": len(pixels)}


def _field(size: int, border: float) -> npt.NDArray[np.bool_]:
    inside = np.zeros((size, size), dtype=bool)
    edge = round(border * size)
    inside[edge : size - edge, edge : size - edge] = True
    return inside


def report() -> None:
    """Print the table from the data file and put it into the documentation."""
    data = pd.read_csv(RESULTS)
    checks = list(data["check"].unique())
    data = data.sort_values("check", key=lambda names: names.map(checks.index), kind="stable")
    cells = [[row["check"], row["of"], f"{row['value']:.3f}", f"{row['images']:,}"] for _, row in data.iterrows()]
    table = markdown_table(["check", "of", "value", "images"], cells)
    print(table, end="")
    write_between(PAGE, "saliency", table)


def main() -> None:
    """Measure, keep the figures, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, nargs="?", help="a run folder on radiographs; none: only print")
    parser.add_argument(
        "--phantoms", type=Path, nargs="*", default=[], help="run folders on phantoms; none: six are made (hours)"
    )
    parser.add_argument("--others", type=Path, nargs="*", default=[], help="run folders of other trainings like it")
    parser.add_argument("--picture", type=Path, help="a file for the page's picture, of the first of these runs")
    parser.add_argument("--part", action="append", choices=PARTS, help="these alone; the other figures are kept")
    options = parser.parse_args()
    if options.run is not None:
        print(describe_machine())
        found = pd.DataFrame(measured(options))
        if RESULTS.is_file():
            before = pd.read_csv(RESULTS)
            found = pd.concat([before[~before["check"].isin(found["check"])], found])
        found.to_csv(RESULTS, index=False, float_format="%.4f")
    if options.picture and options.phantoms:
        picture(Images(options.phantoms[0]), options.picture)
    report()


def phantom_runs(folder: Path) -> Iterator[Path]:
    """Trainings with both presets on phantoms, three each, all on other patients."""
    for preset, count in PHANTOMS.items():
        for seed in range(3):
            settings = [f"data.phantom.images={count}", f"data.phantom.seed={seed}", "train.batch_size=16"]
            out = folder / f"{preset}-{seed}"
            radlens.run("phantom", out, preset=preset, seed=seed, settings=settings)
            yield out


def measured(options: argparse.Namespace) -> Iterator[Row]:
    """The rows of the parts that are wanted."""
    parts = options.part or PARTS
    if "pointing" in parts:
        with tempfile.TemporaryDirectory() as folder:
            yield from pointing_game(options.phantoms or [*phantom_runs(Path(folder))])
    images = Images(options.run)
    for name, check in {"randomisation": randomisation, "attention": attention, "ablation": ablation}.items():
        if name in parts:
            yield from check(images)
    if options.others:
        yield from borders_alone([images, *map(Images, options.others)])


if __name__ == "__main__":
    main()
