"""The search for shortcuts: what is planted is found with the AUROC it must have, and nothing where nothing is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fixture_types import MakeImages
from radlens.config import DataSettings, PhantomSettings
from radlens.dataset.audit import held_out
from radlens.dataset.audit import shortcuts as module
from radlens.dataset.audit.shortcuts import VIEWS, Shortcut, find_shortcuts
from radlens.dataset.manifest import Manifest
from radlens.dataset.phantom.source import make_phantoms
from radlens.dataset.sources import read_source
from radlens.imaging.cache.pixel_cache import PixelCache
from radlens.imaging.preprocess import Preprocessing


def by_view(found: tuple[Shortcut, ...]) -> dict[str, Shortcut]:
    return {shortcut.view: shortcut for shortcut in found}


def flip(rng: np.random.Generator, truth: np.ndarray, strength: float) -> np.ndarray:
    """A cue that follows the truth with this probability, else a coin; its AUROC is 1/2 + strength / 2."""
    return np.where(rng.random(len(truth)) < strength, truth, rng.random(len(truth)) < 0.5)


def open_images(manifest: Manifest) -> tuple[Manifest, PixelCache]:
    return manifest, PixelCache.build(manifest.locations, Preprocessing(height=64, width=64), 2)


def test_a_planted_file_fact_is_found_with_the_auroc_it_must_have(make_images: MakeImages) -> None:
    rng = np.random.default_rng(0)
    truth = rng.random(1200) < 0.5
    cue = flip(rng, truth, 0.6)
    manifest, cache = make_images(
        np.where(truth, "well", "ill"),
        patients=np.arange(1200) // 2,
        facts={"width": np.where(cue, 280, 224).tolist(), "bytes": rng.integers(1000, 9000, 1200).tolist()},
    )
    found = by_view(find_shortcuts(manifest, cache, seed=0))
    assert tuple(found) == VIEWS
    for view in ("file", "facts"):
        shortcut = found[view]
        assert shortcut.auroc.low < 0.8 < shortcut.auroc.high
        assert shortcut.auroc.high - shortcut.auroc.low < 0.1
        assert shortcut.classes == {"well": shortcut.auroc}
        # Width and aspect hold the same, so that one can stand in for the other.
        assert {weight.fact for weight in shortcut.facts[:2]} == {"width", "aspect"}
        assert shortcut.facts[0].auroc == pytest.approx(0.8, abs=0.04)
        assert (shortcut.images, shortcut.patients, shortcut.sampled) == (1200, 600, False)
        assert shortcut.facts[0].label == "well"
    # All pictures are black: there is nothing to see.
    for view in ("thumbnail", "border"):
        assert found[view].auroc.value == 0.5
        assert found[view].facts == ()


def test_permuted_labels_are_not_told(make_images: MakeImages, monkeypatch: pytest.MonkeyPatch) -> None:
    # Fewer trees than usual tell the same here, sooner.
    monkeypatch.setattr(held_out, "TREES", 20)
    covered = 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        # Images of a patient are alike in everything, label too: only whole patients are evidence.
        owner = np.repeat(np.arange(60), 3)
        pixels = rng.integers(0, 256, (60, 1, 16, 16), dtype=np.uint8)[owner]
        manifest, cache = make_images(
            np.where(rng.random(60) < 0.5, "ill", "well")[owner],
            patients=owner,
            facts={"width": rng.integers(100, 200, 60)[owner].tolist()},
            pixels=pixels,
        )
        covered += sum(found.auroc.low <= 0.5 <= found.auroc.high for found in find_shortcuts(manifest, cache, seed))
    # 95 % of 48, give or take.
    assert covered >= 42


def test_same_content_under_two_patients_is_never_parted(make_images: MakeImages) -> None:
    """Random pictures cannot tell random labels, unless the same picture with the same label is in two folds."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (100, 1, 16, 16), dtype=np.uint8)
    labels = np.where(rng.random(100) < 0.5, "ill", "well").tolist() * 2
    rows = list(range(100)) * 2
    apart = find_shortcuts(*make_images(labels, pixels=pixels, rows=rows), 0)
    assert by_view(apart)["thumbnail"].auroc.low < 0.5
    assert by_view(apart)["thumbnail"].patients == 100
    leaking = find_shortcuts(*make_images(labels, pixels=np.concatenate([pixels, pixels])), 0)
    assert by_view(leaking)["thumbnail"].auroc.low > 0.8


def test_three_classes_are_each_told_from_the_rest(make_images: MakeImages) -> None:
    rng = np.random.default_rng(0)
    label = rng.integers(0, 3, 600)
    manifest, cache = make_images(
        np.array(["a", "b", "c"])[label],
        task="multiclass",
        classes=("a", "b", "c"),
        facts={"mode": np.where(label == 2, "RGB", "L").tolist()},
    )
    shortcut = by_view(find_shortcuts(manifest, cache, 0))["file"]
    assert list(shortcut.classes) == ["a", "b", "c"]
    assert shortcut.classes["c"].value == 1
    assert shortcut.worst[0] == "c"
    # Of the others, half of the rest has another mode, and of the same mode all are alike.
    assert shortcut.classes["a"].value == pytest.approx(0.75, abs=0.05)
    assert shortcut.auroc.value == pytest.approx(np.mean([each.value for each in shortcut.classes.values()]))
    assert (shortcut.facts[0].fact, shortcut.facts[0].label) == ("mode", "c")


def test_several_labels_are_each_judged(make_images: MakeImages) -> None:
    rng = np.random.default_rng(0)
    held = rng.random((500, 3)) < [0.5, 0.3, 0]
    held[:6, 2] = True
    labels = ["|".join(name for name, has in zip("abc", row, strict=True) if has) for row in held]
    manifest, cache = make_images(
        labels,
        task="multilabel",
        classes=("a", "b", "c"),
        columns={"manufacturer": np.where(held[:, 1], "X", "Y")},
    )
    shortcut = by_view(find_shortcuts(manifest, cache, 0))["file"]
    assert list(shortcut.classes) == ["a", "b"]
    assert shortcut.left_out == ("c",)
    assert shortcut.classes["b"].value == 1
    assert shortcut.classes["a"].low < 0.5 < shortcut.classes["a"].high
    assert (shortcut.facts[0].fact, shortcut.facts[0].kind, shortcut.facts[0].label) == ("manufacturer", "header", "b")


def test_too_few_patients_are_not_judged(make_images: MakeImages) -> None:
    labels, patients = ["ill"] * 50 + ["well"] * 50, [number // 6 for number in range(100)]
    assert find_shortcuts(*make_images(labels, patients=patients), 0) == ()


def test_of_many_images_a_part_is_drawn(make_images: MakeImages, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LIMIT", 60)
    patients = np.arange(300) // 2
    manifest, cache = make_images(["ill", "ill", "well", "well"] * 75, patients=patients)
    shortcut = find_shortcuts(manifest, cache, 0)[0]
    assert (shortcut.images, shortcut.patients, shortcut.sampled) == (60, 30, True)


def test_the_same_seed_gives_the_same_answer(make_images: MakeImages, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held_out, "TREES", 20)
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (80, 1, 16, 16), dtype=np.uint8)
    images = make_images(["ill", "well"] * 40, pixels=pixels)
    once, again, otherwise = (find_shortcuts(*images, seed) for seed in (3, 3, 4))
    assert once == again != otherwise


def test_a_marker_planted_in_phantoms_is_found_and_where_it_is(tmp_path: Path) -> None:
    settings = PhantomSettings(images=120, size=64, shortcut="marker", seed=2)
    found = by_view(find_shortcuts(*open_images(make_phantoms(settings, tmp_path / "phantoms", workers=1)), 0))
    assert found["border"].auroc.low > 0.7
    assert found["facts"].auroc.low > 0.7
    assert found["file"].auroc.low < 0.6
    assert found["facts"].facts[0].fact.startswith(("corner_bottom_left", "border_left", "border_bottom"))


def test_the_file_shortcut_of_the_kermany_originals(shared_data: Path) -> None:
    manifest = read_source(DataSettings(source=str(shared_data / "kermany_original_sample")))
    found = by_view(find_shortcuts(*open_images(manifest), 0))
    weights = {weight.fact: weight.auroc for weight in found["file"].facts}
    assert found["file"].auroc.low > 0.85
    assert weights["bytes"] > 0.97
    assert min(weights["height"], weights["aspect"], weights["width"]) > 0.8
    assert found["file"].images == 100
