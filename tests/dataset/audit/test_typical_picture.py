"""The typical picture of a set: the window of it that each image shows is the one that was cut."""

from __future__ import annotations

import numpy as np
import pytest

from fixture_types import MakeImages
from radlens.dataset.audit.typical_picture import SIDE, fit_windows, structures, typical_picture
from radlens.imaging.cache.pixel_cache import PixelCache


def scene(top: float, bottom: float, left: float, right: float, size: int = 64) -> np.ndarray:
    """A window of a scene of blobs that has no edges: two dark ellipses with a bright bar between them, and a base."""
    v = top + (bottom - top) * (np.arange(size)[:, None] + 0.5) / size
    u = left + (right - left) * (np.arange(size) + 0.5) / size
    grey = 130 + 0 * v * u
    for centre, wide in ((0.3, 0.12), (0.7, 0.12)):
        grey = grey - 90 * np.exp(-(((u - centre) / wide) ** 4) - ((v - 0.45) / 0.28) ** 4)
    grey = grey + 70 * np.exp(-(((u - 0.5) / 0.06) ** 2)) + 60 / (1 + np.exp(-(v - 0.8) / 0.03))
    return np.asarray(grey - 100 / (1 + np.exp((0.5 - np.abs(u - 0.5)) / 0.03)))


def cut(make_images: MakeImages, frames: np.ndarray, seed: int = 0) -> PixelCache:
    """Noisy pictures of the scene in these frames (top, bottom, left, right), each of its own exposure."""
    rng = np.random.default_rng(seed)
    shown = np.stack([scene(*frame) for frame in frames]) / 255
    exposed = np.clip(shown, 0, 1) ** rng.uniform(0.7, 1.4, (len(frames), 1, 1)) * 200 + rng.uniform(0, 40)
    pixels = np.clip(exposed + rng.normal(0, 6, exposed.shape), 0, 255).astype(np.uint8)[:, None]
    return make_images(["ill", "well"] * (len(frames) // 2), pixels=pixels)[1]


def draw_frames(rng: np.random.Generator, count: int) -> np.ndarray:
    """Cuts of up to 15 % at each edge, or a margin of up to 15 %."""
    start, stop = rng.uniform(-0.15, 0.15, (2, 2, count))
    return np.stack([start[0], 1 + stop[0], start[1], 1 + stop[1]], axis=1)


def test_the_windows_are_those_that_were_cut(make_images: MakeImages) -> None:
    frames = draw_frames(np.random.default_rng(1), 160)
    cache = cut(make_images, frames)
    pictures = structures(cache, np.arange(160))
    windows = fit_windows(pictures, typical_picture(pictures, 0))
    # The typical picture has a frame of its own: one scale and one shift for each axis are free.
    for axis in (0, 1):
        edges = np.concatenate([windows.start[:, axis], windows.start[:, axis] + windows.length[:, axis]])
        truth = np.concatenate([frames[:, 2 * axis], frames[:, 2 * axis + 1]])
        slope, offset = np.polyfit(edges, truth, 1)
        error = slope * edges + offset - truth
        assert slope == pytest.approx(1, abs=0.12)
        assert np.sqrt((error**2).mean()) < 0.025
        assert np.abs(error).max() < 0.08
    assert np.median(windows.similarity) > 0.9


def test_brightness_contrast_and_gamma_do_not_count(make_images: MakeImages) -> None:
    grey = np.stack([scene(0, 1, 0, 1), scene(0.1, 0.9, 0, 1)]).clip(0, 255) / 255
    pixels = [(grey**gamma * gain + offset) for gamma, gain, offset in ((1, 250, 0), (0.6, 180, 60), (1.8, 250, 0))]
    first, *others = (
        structures(make_images(["ill", "well"], pixels=each.round().astype(np.uint8)[:, None])[1], np.arange(2))
        for each in pixels
    )
    assert first.shape == (2, SIDE, SIDE)
    assert (first**2).sum(axis=(1, 2)) == pytest.approx(1, abs=1e-4)
    for other in others:
        assert ((first * other).sum(axis=(1, 2)) > 0.99).all()


def test_the_same_seed_gives_the_same_picture(make_images: MakeImages) -> None:
    frames = draw_frames(np.random.default_rng(2), 400)
    pictures = structures(cut(make_images, frames), np.arange(400))
    first, again, other = (typical_picture(pictures, seed) for seed in (3, 3, 4))
    assert (first == again).all()
    assert (first != other).any()
    # Which images it is made of hardly matters.
    assert np.corrcoef(first.ravel(), other.ravel())[0, 1] > 0.95


def test_noise_is_like_nothing(make_images: MakeImages) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (100, 1, 64, 64), dtype=np.uint8)
    pictures = structures(make_images(["ill", "well"] * 50, pixels=pixels)[1], np.arange(100))
    assert fit_windows(pictures, typical_picture(pictures, 0)).similarity.max() < 0.5
