"""The provenance of a report names files by the hashes that anyone can take of them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from radlens.dataset.access_log import hash_images
from radlens.dataset.manifest import DatasetInfo, Manifest
from radlens.imaging.cache.pixel_cache import PixelCache
from radlens.imaging.preprocess import Preprocessing
from radlens.runtime.model_folder import boxed_models, hash_weights
from radlens.workflows.report_inputs import trace


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    for name, value in (("a", 10), ("b", 200), ("c", 90)):
        Image.fromarray(np.full((40, 40), value, dtype=np.uint8)).save(tmp_path / f"{name}.png")
    table = pd.DataFrame(
        {
            "path": ["a.png", "b.png", "c.png"],
            "label": ["no", "yes", "no"],
            "patient": ["1", "2", "3"],
            "split": ["test", "test", "train"],
        }
    )
    return Manifest(table, DatasetInfo(name="x", task="binary", classes=("no", "yes"), root=str(tmp_path)))


def test_images_are_told_by_their_contents_and_labels(manifest: Manifest, tmp_path: Path) -> None:
    cache = PixelCache.build(manifest.locations, Preprocessing(height=32, width=32))
    made = trace("run", manifest, cache, ["test"], None, ())
    digests = [hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() for name in ("a.png", "b.png")]
    assert made.images == {"test": hash_images(zip(digests, ("no", "yes"), strict=True))}
    assert made.opened


def test_without_pixels_the_paths_are_hashed_and_that_is_told(manifest: Manifest) -> None:
    made = trace("outside", manifest, None, ["test"], None, ())
    assert made.images == {"test": hash_images([("a.png", "no"), ("b.png", "yes")])}
    assert not made.opened


def test_the_files_of_the_model_are_told_by_their_hashes(manifest: Manifest) -> None:
    box = boxed_models()["pneumonia-cxr"]
    made = trace("model", manifest, None, ["test"], box, ())
    assert made.model["model.safetensors"] == hash_weights(box)
    assert made.model["model.onnx"] == hashlib.sha256((box / "model.onnx").read_bytes()).hexdigest()
    assert made.network == "efficientnet_lite0"
    assert len(made.training_images) == 64
