"""Masks and empty pictures among images, by their grey levels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageDraw

from fixture_types import MakeImages
from radlens.dataset.audit.flat_pictures import flat_findings, is_flat

RNG = np.random.default_rng(0)


def mask(low: int = 0, high: int = 255, *, size: int = 256, quality: int = 0) -> npt.NDArray[np.uint8]:
    """Two ellipses, as lungs in a mask, drawn in another size and reduced, so that the edges are blurred."""
    image = Image.new("L", (size, size), low)
    draw = ImageDraw.Draw(image)
    for left in (0.15, 0.55):
        draw.ellipse((left * size, 0.2 * size, (left + 0.3) * size, 0.85 * size), fill=high)
    pixels = np.asarray(image.resize((160, 160), Image.Resampling.BILINEAR)).astype(np.int64)
    noise = RNG.integers(-quality, quality + 1, pixels.shape) if quality else 0
    return np.asarray(np.clip(pixels + noise, 0, 255), dtype=np.uint8)


def picture(black: float = 0.0) -> npt.NDArray[np.uint8]:
    """Smooth grey levels with noise, part of it black as a border is."""
    ramp = np.linspace(30, 220, 160)[None, :] + 25 * np.sin(np.linspace(0, 9, 160))[:, None]
    pixels = np.clip(ramp + RNG.normal(0, 6, (160, 160)), 0, 255)
    pixels[: round(black * 160)] = 0
    return np.asarray(pixels, dtype=np.uint8)


@pytest.mark.parametrize(
    "pixels",
    [
        mask(),
        mask(size=1024),
        mask(0, 1, size=512) * 0,
        mask(20, 200),
        mask(255, 0),
        mask(0, 255, quality=4),
        np.zeros((160, 160), np.uint8),
        np.full((160, 160), 128, np.uint8),
    ],
)
def test_masks_and_empty_pictures_are_flat(pixels: npt.NDArray[np.uint8]) -> None:
    assert is_flat(pixels[None]).tolist() == [True]


@pytest.mark.parametrize("black", [0.0, 0.3, 0.6, 0.8])
def test_pictures_are_not_whatever_black_border_they_have(black: float) -> None:
    assert is_flat(picture(black)[None]).tolist() == [False]


def test_a_folder_of_masks_is_named_whatever_it_is_called(make_images: MakeImages) -> None:
    count = 40
    labels, kinds = ["ill", "well"] * (count // 2), np.arange(count) % 4 < 2
    pixels = np.stack([picture() if kind else mask() for kind in kinds])[:, None]
    paths = [
        f"{label}/{'a' if kind else 'b'}/{n}.png" for n, (label, kind) in enumerate(zip(labels, kinds, strict=True))
    ]
    (finding,) = flat_findings(*make_images(labels, pixels=pixels, paths=paths))
    assert (finding.check, finding.severity, finding.count) == ("flat_pictures", "warn", 20)
    assert "10 of 10 in ill/b, 10 of 10 in well/b" in finding.message
    assert set(finding.examples) <= {path for path in paths if "/b/" in path}


def test_a_single_empty_picture_is_a_note_and_none_is_nothing(make_images: MakeImages) -> None:
    pixels = np.stack([picture() for _ in range(200)])[:, None]
    labels = ["ill", "well"] * 100
    assert flat_findings(*make_images(labels, pixels=pixels)) == []
    pixels[7] = 0
    (finding,) = flat_findings(*make_images(labels, pixels=pixels))
    assert (finding.severity, finding.examples) == ("note", ("7.png",))
