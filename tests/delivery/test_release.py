"""From weights to a whole folder, by ``release`` and by ``export``: checked, complete, or nothing at all."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fixture_types import PredictionsOf
from radlens.assessment.evaluate import evaluate
from radlens.assessment.framing_evidence import judge_framing
from radlens.assessment.predictions import predictions_table
from radlens.base.errors import DataError, UsageError
from radlens.config import EvaluateSettings, RunSettings, resolve, to_yaml
from radlens.dataset.manifest import Manifest
from radlens.dataset.phantom.source import make_phantoms
from radlens.delivery import release as release_module
from radlens.delivery.card import MARK
from radlens.delivery.export import export, parity_images
from radlens.delivery.onnx_export import NoGraphError, export_graph, phantom_pixels, run_graph
from radlens.delivery.onnx_variants import Trial
from radlens.delivery.release import add_framing, add_metrics, describe_data, release, release_if_possible
from radlens.delivery.torch_model import trained_model
from radlens.imaging.cache.pixel_cache import PixelCache
from radlens.imaging.framing import SUITE
from radlens.learning.out_of_distribution import OodDetector
from radlens.runtime.known_images import NO_IMAGES_KNOWN
from radlens.runtime.metrics_sections import Metric
from radlens.runtime.model_config import ModelConfig
from radlens.runtime.model_folder import (
    join_tensors,
    open_model_folder,
    read_model_folder,
    write_config,
    write_model_folder,
)
from radlens.runtime.record_base import Figure
from radlens.runtime.training_images import read_training_images, write_training_images
from radlens.statistics.metrics import METRICS

Maker = Callable[..., Any]


@pytest.fixture(scope="module")
def model(make_model: Maker) -> tuple[Any, Any]:
    return make_model(calibration_slope=1.3, calibration_offset=0.2, threshold=0.123)  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def pixels(model: tuple[Any, Any]) -> Any:
    return phantom_pixels(model[0].preprocessing, 6)


@pytest.fixture(scope="module")
def run(model: tuple[Any, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a run leaves, but for the training: phantoms, their manifest, the settings, a model of the first form."""
    folder = tmp_path_factory.mktemp("run")
    settings = RunSettings.model_validate({"data": {"phantom": {"images": 40, "size": 64, "format": "png"}}})
    made = make_phantoms(settings.data.phantom, folder / "phantoms", workers=1)
    made.with_split(["train"] * 24 + ["val"] * 10 + ["test"] * 6).write(folder)
    (folder / "config.yaml").write_text(to_yaml(settings), encoding="utf-8")
    config, tensors = model
    write_model_folder(folder / "model", config, tensors)
    write_training_images(folder / "model", ["ab" * 32])
    write_config(folder / "model", config)
    return folder


def test_a_released_folder_is_whole(model: tuple[Any, Any], pixels: Any, tmp_path: Path) -> None:
    config, tensors = model
    release(tmp_path / "model", config, tensors, pixels, "6 phantoms")
    found = open_model_folder(tmp_path / "model")
    assert found.config.files.keys() == {"model.safetensors", "model.onnx", "README.md"}
    assert found.config.onnx is not None
    assert found.config.onnx.parity.model_dump(include={"images", "source", "decisions_flipped"}) == {
        "images": 6,
        "source": "6 phantoms",
        "decisions_flipped": 0,
    }
    graph = (tmp_path / "model" / "model.onnx").read_bytes()
    expected = trained_model(*read_model_folder(tmp_path / "model")).probabilities(pixels)
    np.testing.assert_allclose(run_graph(graph, pixels)["probabilities"], expected, atol=1e-5)
    assert MARK in (tmp_path / "model" / "README.md").read_text(encoding="utf-8")


def test_a_graph_that_differs_leaves_nothing(
    model: tuple[Any, Any], pixels: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = model[0].model_copy(update={"calibration_slope": 1.31})
    monkeypatch.setattr(release_module, "export_graph", lambda _, tensors, **__: export_graph(other, tensors))
    with pytest.raises(DataError, match="does not answer as PyTorch does"):
        release(tmp_path / "model", *model, pixels, "phantoms")
    assert not (tmp_path / "model").exists()


def test_a_run_goes_on_without_a_graph_and_says_so(
    model: tuple[Any, Any],
    pixels: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise NoGraphError("The network cannot be written as ONNX.")

    release_if_possible(tmp_path / "model", *model, pixels, "phantoms")
    assert "model.onnx" not in caplog.text
    monkeypatch.setattr(release_module, "export_graph", fails)
    release_if_possible(tmp_path / "model", *model, pixels, "phantoms")
    assert "The model has no model.onnx. The network cannot be written as ONNX." in caplog.text
    found = open_model_folder(tmp_path / "model")
    assert found.config.onnx is None
    assert found.config.files.keys() == {"model.safetensors", "README.md"}


@pytest.mark.parametrize("error", [AttributeError("a slip of the pen"), DataError("onnxruntime cannot load the graph")])
def test_a_bug_in_building_the_graph_surfaces_and_the_model_is_kept(
    model: tuple[Any, Any], pixels: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(release_module, "export_graph", fails)
    with pytest.raises(type(error), match=str(error)):
        release_if_possible(tmp_path / "model", *model, pixels, "phantoms")
    config, tensors = read_model_folder(tmp_path / "model")
    assert config.onnx is None
    assert tensors.keys() == model[1].keys()


@pytest.mark.parametrize("package", ["onnx", "onnxscript"])
def test_a_run_goes_on_without_the_packages_for_a_graph(
    model: tuple[Any, Any],
    pixels: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    package: str,
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    release_if_possible(tmp_path / "model", *model, pixels, "phantoms")
    assert f"The model has no model.onnx. Writing ONNX needs {package}, which is not installed." in caplog.text
    assert open_model_folder(tmp_path / "model").config.onnx is None


def test_smaller_weights_are_in_both_files_and_stay_when_written_anew(
    model: tuple[Any, Any], pixels: Any, tmp_path: Path
) -> None:
    config, tensors = model
    trial = Trial(pixels, np.arange(6) % 2, "phantoms", pixels)
    with pytest.raises(ValueError, match="need images"):
        release(tmp_path / "half", config, tensors, pixels, "phantoms", ["float16"])
    release(tmp_path / "half", config, tensors, pixels, "phantoms", ["float16"], trial)
    release(tmp_path / "full", config, tensors, pixels, "phantoms")
    for name in ("model.safetensors", "model.onnx"):
        sizes = [(tmp_path / folder / name).stat().st_size for folder in ("half", "full")]
        assert sizes[0] < 0.65 * sizes[1], name
    again = export(tmp_path / "half", tmp_path / "again")
    before, after = (open_model_folder(folder).config for folder in (tmp_path / "half", again))
    assert after.onnx is not None
    assert before.onnx is not None
    assert after.onnx.weights == before.onnx.weights == "float16"
    assert after.onnx.variants == before.onnx.variants
    assert after.files["model.safetensors"] == before.files["model.safetensors"]


def test_what_tells_unfamiliar_images_does_not_make_weights_pass_for_halved(
    model: tuple[Any, Any], pixels: Any, tmp_path: Path
) -> None:
    config, tensors = model
    ood_detector = OodDetector.fit(config.preprocessing.shape, pixels, np.arange(len(pixels)), 0)
    joined = join_tensors(tensors, ood_detector.statistics())
    assert any(value.dtype == np.float16 for value in joined.values()), "references are kept in half precision"
    complete = release(tmp_path / "model", config, joined, pixels, "phantoms")
    assert complete.onnx is not None
    assert complete.onnx.weights == "float32"
    trial = Trial(pixels, np.arange(6) % 2, "phantoms", pixels)
    tried = release(tmp_path / "half", config, joined, pixels, "phantoms", ["float16"], trial)
    assert tried.onnx is not None
    assert [variant.kind for variant in tried.onnx.variants] == ["float16"]


def test_eight_bits_are_measured_and_the_outcome_is_written_down(
    model: tuple[Any, Any], pixels: Any, tmp_path: Path
) -> None:
    config, tensors = model
    trial = Trial(pixels, np.arange(6) % 2, "phantoms", pixels)
    complete = release(tmp_path / "model", config, tensors, pixels, "phantoms", ["int8"], trial)
    assert complete.onnx is not None
    (tried,) = complete.onnx.variants
    assert (tried.kind, complete.onnx.weights == "int8") == ("int8", tried.kept)
    kinds = b"QuantizeLinear" in (tmp_path / "model" / "model.onnx").read_bytes()
    assert kinds == tried.kept


def test_a_run_is_written_anew_in_place_and_elsewhere(run: Path, tmp_path: Path) -> None:
    before = read_model_folder(run)
    assert export(run) == run / "model"
    config = open_model_folder(run).config
    assert config.onnx is not None
    assert config.onnx.parity.source == "10 of validation, 24 of training, 166 phantoms"
    assert config.onnx.parity.images == 200
    out = export(run, tmp_path / "out")
    assert {file.name for file in out.iterdir()} == {
        "config.json",
        "model.safetensors",
        "model.onnx",
        "README.md",
        "training_images.txt",
    }
    assert read_training_images(out) == read_training_images(run) != NO_IMAGES_KNOWN
    for name, value in read_model_folder(out)[1].items():
        np.testing.assert_array_equal(value, before[1][name])
    with pytest.raises(UsageError, match="exists. Choose another --out"):
        export(run, tmp_path / "out")


def test_smaller_weights_of_a_run_are_measured_on_its_validation_images(run: Path, tmp_path: Path) -> None:
    out = export(run, tmp_path / "out", ["float16"])
    onnx = open_model_folder(out).config.onnx
    assert onnx is not None
    (tried,) = onnx.variants
    assert (tried.images, tried.source) == (10, "of validation")
    with pytest.raises(UsageError, match="measured on the validation images of a run"):
        export(out, tmp_path / "more", ["int8"])


def test_a_card_of_ones_own_is_kept_and_nothing_else_that_was_altered(run: Path, tmp_path: Path) -> None:
    out = export(run, tmp_path / "out")
    (out / "README.md").write_text("# My card\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"README\.md was altered"):
        open_model_folder(out)
    export(out)
    open_model_folder(out)
    assert (out / "README.md").read_text(encoding="utf-8") == "# My card\n"
    content = (out / "model.safetensors").read_bytes()
    (out / "model.safetensors").write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(DataError, match=r"model\.safetensors was altered"):
        export(out)


def test_without_its_images_a_run_is_checked_on_phantoms(run: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    moved.mkdir()
    Manifest.read(run).write(moved)
    values = json.dumps({**RunSettings().model_dump(mode="json")})
    (moved / "config.yaml").write_text(values, encoding="utf-8")
    assert resolve(file=moved / "config.yaml")
    text = (moved / "dataset.yaml").read_text(encoding="utf-8").replace(str(run / "phantoms"), str(tmp_path / "gone"))
    (moved / "dataset.yaml").write_text(text, encoding="utf-8")
    write_model_folder(moved / "model", *read_model_folder(run))
    export(moved)
    onnx = open_model_folder(moved).config.onnx
    assert onnx is not None
    assert onnx.parity.source == "200 phantoms"


def test_images_to_compare_on_are_never_of_the_test_split(run: Path) -> None:
    manifest = Manifest.read(run)
    config, _ = read_model_folder(run)
    cache = PixelCache.build(manifest.locations, config.preprocessing)
    split = manifest.table["split"].to_numpy(dtype=str)
    pixels, source = parity_images(config.preprocessing, cache, split)
    test = {cache.pixels[row].tobytes() for row in cache.rows[split == "test"]}
    assert not test & {image.tobytes() for image in pixels}
    assert len(pixels) == 200
    assert source.startswith("10 of validation, 24 of training")


def test_figures_go_into_the_config_and_the_card(
    model: tuple[Any, Any], tmp_path: Path, predictions_of: PredictionsOf
) -> None:
    write_model_folder(tmp_path / "model", *model)
    table, info = predictions_of("binary")
    measured = evaluate(table[table["split"] == "val"], info, 0.5, EvaluateSettings(resamples=100), seed=0)["val"]
    planted = {
        "auroc": Metric(value=0.91, low=0.8, high=0.97, method="DeLong"),
        "precision": Metric(value=None, low=None, high=None, method=None, reason="no image was called ill"),
    }
    metrics = {"val": measured.model_copy(update=planted)}
    add_metrics(tmp_path, metrics)
    config = open_model_folder(tmp_path / "model").config
    assert config.metrics.keys() == {"val"}
    assert config.metrics["val"].metrics.keys() == set(METRICS)
    assert config.metrics["val"].metrics["precision"] == Figure(value=None)
    assert config.metrics["val"].metrics["auroc"].low == 0.8
    card = tmp_path / "model" / "README.md"
    assert "0.910 (0.800, 0.970)" in card.read_text(encoding="utf-8")
    write_config(tmp_path / "model", config, "# A card by hand\n")
    add_metrics(tmp_path, metrics)
    assert card.read_text(encoding="utf-8") == "# A card by hand\n"
    open_model_folder(tmp_path / "model")


def test_the_data_are_described_without_paths_of_this_machine(run: Path) -> None:
    manifest = Manifest.read(run)
    digests = [f"{number:064x}" for number in range(len(manifest))]
    data = describe_data(manifest, digests)
    assert data.images == {"train": 24, "val": 10, "test": 6}
    assert sum(data.classes.values()) == 34
    assert data.sha256 == describe_data(manifest, digests[:34] + ["f" * 64] * 6).sha256, "test images do not count"
    assert data.sha256 != describe_data(manifest, ["f" * 64, *digests[1:]]).sha256
    for source, shown in (
        ("/home/me/images", ""),
        ("C:\\images", ""),
        ("~/images", ""),
        ("Kaggle, a/b", "Kaggle, a/b"),
    ):
        info = manifest.info.model_copy(update={"source": source})
        assert describe_data(Manifest(manifest.table, info), digests).source == shown


def framing_evidence(manifest: Manifest) -> Any:
    """Of a model that is right under every change."""
    right = np.eye(2)[manifest.targets()] * 0.8 + 0.1
    return judge_framing(predictions_table(manifest, right), [right] * len(SUITE), manifest.info, 0.5)


def test_framing_goes_into_config_and_card_and_stays_with_an_export(run: Path) -> None:
    manifest = Manifest.read(run)
    evidence = framing_evidence(manifest)
    add_framing(run, "val", evidence)
    found = open_model_folder(run)
    assert found.config.framing is not None
    assert (found.config.framing.split, found.config.framing.images) == ("val", len(manifest))
    assert dict(evidence.summary).items() <= dict(found.config.framing).items()
    assert found.config.framing.verdict.capitalize() in (found.path / "README.md").read_text(encoding="utf-8")
    table = predictions_table(manifest, np.eye(2)[manifest.targets()] * 0.8 + 0.1)
    metrics = evaluate(table[table["split"] == "test"], manifest.info, 0.5, EvaluateSettings(resamples=100), seed=0)
    changed = metrics["test"].model_copy(update={"framing": evidence.model_copy(update={"images": 6})})
    add_metrics(run, {"test": changed})
    again = open_model_folder(run).config.framing
    assert again is not None
    assert (again.split, again.images) == ("test", 6)
    # Figures without it leave what is there.
    add_metrics(run, metrics)
    assert open_model_folder(run).config.framing == again


def test_a_config_of_before_has_no_framing(model: tuple[Any, Any]) -> None:
    config, _ = model
    written = config.model_dump(mode="json")
    del written["framing"]
    assert ModelConfig.model_validate(written).framing is None
