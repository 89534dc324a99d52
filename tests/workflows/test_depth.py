"""One scale for a set of images whose files declare no depth: from the training images, said, and kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from PIL import Image

from radlens.config import RunSettings, resolve
from radlens.dataset.audit.depth import depth_findings
from radlens.dataset.manifest import DatasetInfo, Manifest
from radlens.imaging.cache.pixel_cache import PixelCache
from radlens.imaging.depth import Depth
from radlens.workflows.depth import has_undeclared, read_on_one_scale
from radlens.workflows.prepare import read_images

SMALL = ("preprocessing.height=24", "preprocessing.width=24", "preprocessing.low=-1")


def values(bits: int, brightest: int = 0) -> npt.NDArray[np.uint16]:
    ramp: npt.NDArray[np.uint16] = (np.linspace(0.1, 0.9, 24 * 24).reshape(24, 24) * (2**bits - 1)).astype(np.uint16)
    if brightest:
        ramp[0, 0] = brightest
    return ramp


def images(folder: Path, parts: dict[str, list[npt.NDArray[np.uint16]]]) -> Manifest:
    rows = []
    for split, pictures in parts.items():
        for number, picture in enumerate(pictures):
            name = f"{split or 'none'}-{number}.png"
            Image.fromarray(picture).save(folder / name)
            rows.append((name, "ab"[number % 2], name, split))
    table = pd.DataFrame(rows, columns=["path", "label", "patient", "split"])
    return Manifest(table, DatasetInfo(name="x", task="binary", classes=("a", "b"), root=str(folder)))


def read(manifest: Manifest, depth: Depth = "auto") -> tuple[RunSettings, PixelCache]:
    settings = resolve(assignments=SMALL)
    contract = settings.preprocessing.model_copy(update={"depth": depth})
    return read_on_one_scale(manifest, settings.model_copy(update={"preprocessing": contract}), read_images)


def test_images_that_differ_in_one_pixel_come_out_alike(tmp_path: Path) -> None:
    manifest = images(tmp_path, {"": [values(12, top) for top in (0, 4095, 4096, 16383, 16384, 65535)]})
    settings, cache = read(manifest)
    assert settings.preprocessing.depth == cache.contract.depth == 12
    pixels = cache.pixels[cache.rows].astype(int)[:, 0, 1:]
    assert np.ptp(pixels, axis=0).max() == 0
    np.testing.assert_allclose(pixels[0], values(12)[1:] / 4095 * 255, atol=0.5001)


def test_the_training_images_decide_and_not_those_to_be_judged(tmp_path: Path) -> None:
    parts = {"train": [values(12)] * 3, "val": [values(16)] * 3, "test": [values(16)] * 9}
    settings, cache = read(images(tmp_path, parts))
    assert settings.preprocessing.depth == 12
    assert sum(facts is not None and facts.clipped > 0.5 for facts in cache.facts) == 12


def test_what_was_stated_stays_and_eight_bits_leave_nothing_to_decide(tmp_path: Path) -> None:
    manifest = images(tmp_path, {"train": [values(12)] * 4})
    for depth in (14, (0.0, 3000.0), "full", "significant"):
        settings, cache = read(manifest, depth)
        assert settings.preprocessing.depth == depth == cache.contract.depth
    (tmp_path / "grey").mkdir()
    grey = images(tmp_path / "grey", {"train": [values(8).astype(np.uint8)] * 4})
    settings, cache = read(grey)
    assert settings.preprocessing.depth == "significant"
    assert not has_undeclared(cache)
    assert not list(depth_findings(grey, cache))


def test_arrays_of_an_archive_get_one_scale_too(tmp_path: Path) -> None:
    for kind, scale in (("uint16", 12), ("float32", (0.0, 4095.0))):
        stack = np.stack([values(12, top) for top in (4095, 4096, 60_000)]).astype(kind)
        np.savez(tmp_path / f"{kind}.npz", train_images=stack)
        table = pd.DataFrame({"path": [f"{kind}.npz::train_images/{number}" for number in range(3)]})
        table = table.assign(label=["a", "b", "a"], patient=["1", "2", "3"], split="train")
        info = DatasetInfo(name="x", task="binary", classes=("a", "b"), root=str(tmp_path))
        settings, cache = read(Manifest(table, info))
        assert settings.preprocessing.depth == scale
        pixels = cache.pixels[cache.rows].astype(int)[:, 0, 1:]
        assert np.ptp(pixels, axis=0).max() == 0


def test_the_audit_says_the_scale_the_mixture_and_what_does_not_fit(tmp_path: Path) -> None:
    manifest = images(tmp_path, {"train": [values(12)] * 6 + [values(16)] * 6})
    settings, cache = read(manifest)
    assert settings.preprocessing.depth == 16
    scale, mixture = depth_findings(manifest, cache)
    assert (scale.severity, mixture.severity) == ("note", "warn")
    assert "white at 65,535 (16 bits)" in scale.message
    assert "6 of 12 bits, 6 of 16 bits" in mixture.message
    *_, clipped = depth_findings(manifest, read(manifest, 12)[1])
    assert clipped.count == 6
    assert "brighter than the scale, black at 0, white at 4,095 (12 bits)" in clipped.message
    by_itself, _ = depth_findings(manifest, read(manifest, "significant")[1])
    assert by_itself.severity == "warn"


def test_one_deep_image_among_many_is_named_and_does_not_darken_the_others(tmp_path: Path) -> None:
    manifest = images(tmp_path, {"train": [values(12)] * 39 + [values(16)]})
    settings, cache = read(manifest)
    assert settings.preprocessing.depth == 12
    _, clipped = depth_findings(manifest, cache)
    assert clipped.examples == ("train-39.png",)


@pytest.mark.parametrize("text", ["7", "17", "[5, 5]", "[1]", "deep"])
def test_a_depth_that_cannot_be_is_refused_by_its_name(text: str) -> None:
    with pytest.raises(Exception, match="preprocessing") as error:
        resolve(assignments=(f"preprocessing.depth={text}",))
    assert "depth" in str(error.value)
