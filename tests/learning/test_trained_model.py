"""A trained network gives its own probabilities, whatever the batch, and takes nothing but its own weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from radlens.base.errors import DataError, UsageError
from radlens.decision import Calibration, Task
from radlens.imaging.preprocess import Preprocessing
from radlens.imaging.preprocess import to_network_range as numpy_network_range
from radlens.learning.classifier import outputs_of, to_probabilities
from radlens.learning.networks import build_network
from radlens.learning.trained_model import TrainedModel

CONTRACT = Preprocessing(height=24, width=32, low=-1.0, high=1.0)
TASKS: list[tuple[Task, tuple[str, ...]]] = [
    ("binary", ("normal", "pneumonia")),
    ("multiclass", ("a", "b", "c")),
    ("multilabel", ("a", "b", "c")),
]


def network(task: Task = "binary", classes: int = 2, contract: Preprocessing = CONTRACT) -> torch.nn.Module:
    """Weights as after some training, so that the answers differ from image to image."""
    torch.manual_seed(0)
    module = build_network("small_resnet", contract.shape, outputs_of(task, classes))
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return module.eval()


def tensors_of(module: torch.nn.Module) -> dict[str, npt.NDArray[Any]]:
    return {name: value.numpy() for name, value in module.state_dict().items()}


def model(
    task: Task = "binary",
    classes: tuple[str, ...] = ("normal", "pneumonia"),
    threshold: float = 0.5,
    contract: Preprocessing = CONTRACT,
) -> TrainedModel:
    tensors = tensors_of(network(task, len(classes), contract))
    return TrainedModel(task, classes, "small_resnet", contract, threshold, tensors)


def some_pixels(count: int = 7, contract: Preprocessing = CONTRACT) -> npt.NDArray[np.uint8]:
    rng = np.random.default_rng(0)
    brightness = rng.integers(40, 255, (count, 1, 1, 1))
    return (rng.random((count, *contract.shape)) * brightness).astype(np.uint8)


@pytest.mark.parametrize(("task", "classes"), TASKS)
def test_probabilities_are_the_networks_own(task: Task, classes: tuple[str, ...]) -> None:
    pixels = some_pixels()
    with torch.inference_mode():
        logits = network(task, len(classes))(torch.from_numpy(numpy_network_range(pixels, CONTRACT)))
    wanted = to_probabilities(logits.double(), task).numpy()
    found = model(task, classes).probabilities(pixels)
    assert found.shape == (7, len(classes))
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    assert np.ptp(found, axis=0).min() > 1e-3, "the images make no difference"
    if task != "multilabel":
        np.testing.assert_allclose(found.sum(axis=1), 1)


@pytest.mark.parametrize(("task", "classes"), TASKS)
def test_a_calibration_and_a_mirror_image_change_the_logits_alone(task: Task, classes: tuple[str, ...]) -> None:
    pixels = some_pixels()
    module = network(task, len(classes))
    with torch.inference_mode():
        views = [np.ascontiguousarray(view) for view in (pixels, pixels[..., ::-1])]
        logits = [module(torch.from_numpy(numpy_network_range(view, CONTRACT))).double() for view in views]
    line = (0.4, 0.0 if task == "multiclass" else 0.7)
    wanted = to_probabilities((logits[0] + logits[1]) / 2 * line[0] + line[1], task).numpy()
    weights = tensors_of(module)
    calibration = Calibration("temperature", line[:1]) if task == "multiclass" else Calibration("platt", line)
    both = TrainedModel(task, classes, "small_resnet", CONTRACT, 0.5, weights, calibration=calibration, flip_tta=True)
    np.testing.assert_allclose(both.probabilities(pixels), wanted, atol=1e-5)
    np.testing.assert_allclose(both.probabilities(views[1]), wanted, atol=1e-5)
    assert np.abs(both.probabilities(pixels) - model(task, classes).probabilities(pixels)).max() > 1e-2


def test_rows_are_scored_in_the_order_asked_for_whatever_the_batch() -> None:
    pixels = some_pixels(11)
    rows = np.array([3, 3, 0, 10, 7])
    whole = model().probabilities(pixels)
    np.testing.assert_allclose(model().probabilities(pixels, rows), whole[rows], atol=1e-6)
    for batch_size in (1, 2, 4, 100):
        np.testing.assert_allclose(model().probabilities(pixels, batch_size=batch_size), whole, atol=1e-6)
    assert model().probabilities(pixels, rows[:0]).shape == (0, 2)


def test_the_same_image_gets_the_same_answer_beside_any_other() -> None:
    pixels = some_pixels(6)
    alone = model().probabilities(pixels[:1])
    np.testing.assert_allclose(model().probabilities(pixels)[:1], alone, atol=1e-6)


def test_pixels_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(1, 24, 24\).*\(1, 24, 32\)"):
        model().probabilities(np.zeros((2, 1, 24, 24), dtype=np.uint8))


def test_it_is_a_network_for_the_predictor() -> None:
    pixels = some_pixels()
    trained = model()
    found = trained.run(pixels, ("probabilities",))
    assert set(found) == trained.outputs == {"probabilities"}
    assert found["probabilities"].dtype == np.float32
    np.testing.assert_allclose(found["probabilities"], trained.probabilities(pixels), atol=1e-6)


def wrong_weights() -> dict[str, dict[str, npt.NDArray[Any]]]:
    right = tensors_of(network())
    return {
        "one is missing": {name: value for name, value in right.items() if name != "head.bias"},
        "one too many": {**right, "head.scale": np.zeros(3, np.float32)},
        "another shape": {**right, "head.weight": np.zeros((2, 192), np.float32)},
        "of another network": tensors_of(build_network("baseline_cnn", (1, 64, 64), 1)),
        "none": {},
    }


@pytest.mark.parametrize("case", sorted(wrong_weights()))
def test_weights_that_do_not_fit_are_refused(case: str) -> None:
    with pytest.raises(DataError, match="do not fit the network small_resnet"):
        TrainedModel("binary", ("a", "b"), "small_resnet", CONTRACT, 0.5, wrong_weights()[case])


def test_an_unknown_network_is_refused() -> None:
    with pytest.raises(UsageError, match="Unknown network 'resnet'"):
        TrainedModel("binary", ("a", "b"), "resnet", CONTRACT, 0.5, {})


def test_the_weights_given_are_copied() -> None:
    tensors = tensors_of(network())
    trained = TrainedModel("binary", ("a", "b"), "small_resnet", CONTRACT, 0.5, tensors)
    before = trained.probabilities(some_pixels())
    for value in tensors.values():
        value.flat[:] = 0
    np.testing.assert_array_equal(trained.probabilities(some_pixels()), before)


def test_scoring_changes_no_running_statistics() -> None:
    trained = model()
    first = trained.probabilities(some_pixels())
    trained.probabilities(255 - some_pixels())
    np.testing.assert_array_equal(trained.probabilities(some_pixels()), first)
