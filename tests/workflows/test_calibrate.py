"""What travels with a model is chosen on validation images and on changed copies of them, and on nothing else."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from radlens.assessment.alpha_choice import cheapest_alpha
from radlens.assessment.calibration import fit_calibration
from radlens.assessment.conformal import farthest_distance, least_probabilities
from radlens.assessment.operating_point import balanced_threshold, choose_threshold, threshold_for_sensitivity
from radlens.assessment.predictions import predictions_table
from radlens.config import EvaluateSettings
from radlens.dataset.manifest import DatasetInfo, Manifest
from radlens.decision import Calibration, Task, recalibrate
from radlens.imaging.framing import reframe_each
from radlens.learning.corruptions import corrupt_each
from radlens.learning.data_module import LabelledPixels
from radlens.learning.trained_model import TrainedModel
from radlens.workflows.calibrate import choose

IMAGES = 60


class Brightness:
    """Answers by the mean of an image, and remembers what it was asked."""

    def __init__(self, classes: int) -> None:
        self.classes = classes
        self.asked: list[npt.NDArray[np.uint8]] = []

    def probabilities(
        self, pixels: npt.NDArray[np.uint8], rows: npt.NDArray[np.int64] | None = None
    ) -> npt.NDArray[np.float64]:
        """The brighter, the more of the last class."""
        pixels = pixels if rows is None else pixels[rows]
        self.asked.append(pixels.copy())
        last = 1 / (1 + np.exp(-(pixels.mean(axis=(1, 2, 3)) - 110) / 8))
        others = np.repeat((1 - last)[:, None] / (self.classes - 1), self.classes - 1, axis=1)
        return np.concatenate([others, last[:, None]], axis=1)

    def distances(self, pixels: npt.NDArray[np.uint8], rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """How far from a middling grey."""
        return np.asarray(np.abs(pixels[rows].mean(axis=(1, 2, 3)) - 100))


def case(task: Task = "binary") -> tuple[Manifest, LabelledPixels, Brightness]:
    rng = np.random.default_rng(0)
    classes = ("clear", "spot") if task == "binary" else ("a", "b", "c")
    targets = np.arange(IMAGES) % len(classes)
    levels = 70 + 60 * (targets == len(classes) - 1) + rng.normal(0, 18, IMAGES)
    pixels = np.clip(levels[:, None, None, None] + rng.normal(0, 5, (IMAGES, 1, 24, 24)), 0, 255).astype(np.uint8)
    table = pd.DataFrame(
        {
            "path": [f"{number}.png" for number in range(IMAGES)],
            "label": [classes[target] for target in targets],
            "patient": [f"p{number}" for number in range(IMAGES)],
            "split": "val",
        }
    )
    manifest = Manifest(table, DatasetInfo(name="made up", root="", task=task, classes=classes))
    return manifest, LabelledPixels(pixels, np.arange(IMAGES), targets), Brightness(len(classes))


def chosen(task: Task = "binary", **settings: Any) -> tuple[Any, Manifest, Brightness]:
    manifest, images, model = case(task)
    found = choose(cast(TrainedModel, model), manifest, images, EvaluateSettings(**settings), seed=3)
    return found, manifest, model


def images_of(found: Any) -> Any:
    """1 where the image shows the spot."""
    return (found.validation["label"] == "spot").to_numpy(dtype=np.int64)


def test_without_copies_it_is_the_validation_images_that_choose() -> None:
    found, manifest, model = chosen(threshold="balanced", calibration="platt")
    assert len(model.asked) == 1
    raw = model.probabilities(model.asked[0])
    assert found.calibration == Calibration("platt", fit_calibration(raw, manifest.targets(), "binary"))
    assert (found.calibration.slope, found.calibration.offset) != (1, 0)
    moved = predictions_table(manifest, recalibrate(raw, "binary", *found.calibration.numbers))
    assert found.part["threshold"] == choose_threshold("balanced", moved, manifest.info)
    pd.testing.assert_frame_equal(
        found.validation.drop(columns=["predicted", "answer"]), moved.drop(columns="predicted")
    )
    positive = found.validation["probability_spot"] >= found.part["threshold"]
    assert (found.validation["predicted"] == np.where(positive, "spot", "clear")).all()


def test_copies_are_by_turns_under_other_framings_and_corrupted() -> None:
    _, _, model = chosen(threshold="balanced", stress=3)
    plain, *copies = model.asked
    for number, (change, copy) in enumerate(zip((reframe_each, corrupt_each, reframe_each), copies, strict=True)):
        np.testing.assert_array_equal(copy, change(plain, np.random.default_rng((3, 11, number))))


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_what_is_referred_goes_by_images_and_copies(task: Task) -> None:
    """At the stated rate no class loses more of the images, nor of images and copies together."""
    found, manifest, model = chosen(task, calibration="temperature", alpha=0.2, stress=4)
    truth, limits = manifest.targets(), np.array(found.part["abstention"].least)
    each = [found.calibration.apply(model.probabilities(asked), task) for asked in tuple(model.asked)]
    for scores, classes in ((each[0], truth), (np.concatenate(each), np.tile(truth, 5))):
        for name, limit in enumerate(limits):
            assert (scores[classes == name, name] < limit).mean() <= 0.2
    alone = least_probabilities(found.validation, manifest.info, 0.2)
    assert (limits <= alone).all()
    assert (limits < alone).any(), "copies are harder to tell"


def test_changed_copies_calibrate_with_them_and_are_not_reported() -> None:
    found, _, model = chosen(threshold="balanced", calibration="platt", stress=3)
    assert len(model.asked) == 4
    assert all((copy != model.asked[0]).any() for copy in model.asked[1:])
    assert any((model.asked[1] != copy).any() for copy in model.asked[2:])
    assert len(found.validation) == IMAGES
    again, _, _ = chosen(threshold="balanced", calibration="platt", stress=3)
    assert (again.calibration, again.part["threshold"]) == (found.calibration, found.part["threshold"])
    plain, _, _ = chosen(threshold="balanced", calibration="platt")
    assert found.calibration.slope < plain.calibration.slope, "copies that are harder to tell make it less sure"
    assert (found.part["operating_point"].copies, plain.part["operating_point"].copies) == (3, 0)
    every = [found.calibration.apply(model.probabilities(asked), "binary")[:, 1] for asked in tuple(model.asked)]
    truth = np.tile(images_of(found), 4)
    assert found.part["threshold"] == balanced_threshold(truth[:, None], np.concatenate(every)[:, None])
    shown = found.validation["probability_spot"] >= found.part["threshold"]
    sensitivity = shown[found.validation["label"] == "spot"].mean()
    assert found.part["operating_point"].sensitivity == pytest.approx(sensitivity), (
        "what it does is told of the images alone"
    )


def test_a_target_sensitivity_is_one_on_the_images_themselves() -> None:
    found, _, _ = chosen(threshold="sensitivity:0.9", calibration="platt", stress=2)
    cases = found.validation[found.validation["label"] == "spot"]["probability_spot"]
    assert found.part["threshold"] == threshold_for_sensitivity(0.9, found.validation, case()[0].info)
    assert (cases >= found.part["threshold"]).mean() >= 0.9
    assert found.part["operating_point"].copies == 0


def test_thresholds_for_sensitivities_are_those_of_binary_tasks() -> None:
    found, _, _ = chosen()
    assert list(found.part["operating_points"]) == ["sensitivity 0.95", "sensitivity 0.98", "sensitivity 0.99"]
    cases = found.validation[found.validation["label"] == "spot"]["probability_spot"]
    for name, threshold in found.part["operating_points"].items():
        assert (cases >= threshold).mean() >= float(name.split()[1])
    assert list(found.part["operating_point_bounds"]) == list(found.part["operating_points"])
    for name, point in found.part["operating_point_bounds"].items():
        assert point.sensitivity_low < float(name.split()[1]) <= point.sensitivity
    assert (
        chosen("multiclass")[0].part["operating_points"] == chosen("multiclass")[0].part["operating_point_bounds"] == {}
    )


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_asked_for_nothing_it_leaves_everything_as_it_is(task: Task) -> None:
    found, _, model = chosen(task)
    assert (found.calibration, found.part["threshold"]) == (Calibration(), 0.5)
    shown = found.validation[[name for name in found.validation if name.startswith("probability_")]]
    np.testing.assert_array_equal(shown, model.probabilities(model.asked[0]))


def test_the_limits_of_abstaining_are_those_of_the_validation_images_at_every_rate() -> None:
    found, manifest, _ = chosen(alpha=0.2, ood_rate=0.03)
    assert list(found.part["abstention"].least_probabilities) == ["0.01", "0.02", "0.05", "0.1", "0.2"]
    assert found.part["abstention"].least == least_probabilities(found.validation, manifest.info, 0.2)
    assert list(found.part["abstention"].farthest) == ["0.002", "0.005", "0.01", "0.015", "0.03"]
    distances = Brightness(2).distances(case()[1].pixels, np.arange(IMAGES))
    assert found.part["abstention"].distance == farthest_distance(distances, 0.03)
    expected = distances / found.part["abstention"].distance
    np.testing.assert_array_equal(found.validation["unfamiliarity"], expected)
    assert ((found.validation["answer"] == "refuse") == (expected > 1)).all()


def test_a_rate_that_was_not_asked_for_is_weighed_and_recorded() -> None:
    found, manifest, _ = chosen(threshold="balanced", stress=2)
    limits = found.part["abstention"]
    assert limits.alpha_rule == "cost"
    assert limits.alpha == cheapest_alpha(limits.alpha_choice)
    assert limits.alpha_choice.images == IMAGES // 2
    assert f"{limits.alpha:g}" in limits.least_probabilities
    # Rates that are only carried along have limits from all images.
    other = next(rate for rate in (0.05, 0.1) if rate != limits.alpha)
    assert limits.least_probabilities[f"{other:g}"] <= least_probabilities(found.validation, manifest.info, other)
    assert chosen(alpha=0.2)[0].part["abstention"].alpha_rule == "stated"
    few = chosen(threshold="balanced", most_referred=0.0)[0].part["abstention"]
    assert few.alpha_choice.at(few.alpha).referred == min(point.referred for point in few.alpha_choice.points)


def test_several_labels_have_no_conformal_limits_and_without_a_rate_no_distance() -> None:
    found, _, _ = chosen("multiclass")
    assert found.part["abstention"].distance is None
    assert len(found.part["abstention"].least or ()) == 3
    assert "unfamiliarity" not in found.validation


def test_auto_takes_the_kind_with_the_least_loss_on_patients_left_out() -> None:
    found, _, model = chosen(threshold="balanced", calibration="auto", stress=2)
    assert set(found.part["calibration_losses"]) == {"none", "temperature", "platt", "beta", "isotonic"}
    assert found.part["calibration_losses"][found.calibration.kind] == min(found.part["calibration_losses"].values())
    raw = model.probabilities(model.asked[0])
    moved = found.calibration.apply(raw, "binary")[:, 1]
    np.testing.assert_allclose(found.validation["probability_spot"], moved)
    losses = chosen("multiclass", calibration="auto")[0].part["calibration_losses"]
    assert set(losses) == {"none", "temperature"}


@pytest.mark.parametrize("kind", ["temperature", "beta", "isotonic"])
def test_a_kind_that_is_asked_for_is_taken(kind: str) -> None:
    found, _, _ = chosen(calibration=kind)
    assert found.calibration.kind == kind
    assert found.part["calibration_losses"] == {}


def test_the_operating_point_carries_its_uncertainty() -> None:
    found, _, _ = chosen(threshold="sensitivity:0.9")
    point = found.part["operating_point"]
    assert point.rule == "sensitivity:0.9"
    assert point.sensitivity >= 0.9 > point.sensitivity_low
    assert point.specificity > point.specificity_low
    assert (point.positive_patients, point.negative_patients) == (30, 30)
    assert chosen("multiclass")[0].part["operating_point"] is None
